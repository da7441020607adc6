//! What each instrumentation calls things: a table each, by name and by the version that it was made from. The first one
//! whose marks are on a span reads it.
//!
//! | profile | made from | a tool has |
//! | --- | --- | --- |
//! | `claude-code` | Claude Code 2.1.332 | `span.type=tool`; its children say what became of it |
//! | `codex` | Codex 0.171.0 | `codex.tool.phase=dispatch`, one span of 512 |
//! | `vercel-ai` | AI SDK 6 | `ai.operationId=ai.toolCall` |
//! | `langsmith` | LangSmith's exporter 0.15 | `langsmith.span.kind=tool` |
//! | `openinference` | OpenInference 0.1 | `openinference.span.kind=TOOL` |
//! | `openllmetry` | OpenLLMetry 0.62 | `traceloop.span.kind=tool` |
//! | `gen-ai` | OpenTelemetry's conventions 1.37 | `gen_ai.operation.name=execute_tool` |

use ledger::record::SeenStatus;

/// What an attribute has to be; names and values are compared as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Is(pub(crate) &'static str, pub(crate) &'static str);

/// How an instrumentation writes spans.
#[derive(Debug)]
pub(crate) struct SpanProfile {
    /// What it is called here.
    pub(crate) name: &'static str,
    /// An attribute that begins so marks its spans; none for those whose kinds are marks enough.
    pub(crate) mark: Option<&'static str>,
    /// One of these makes it the end of a tool.
    pub(crate) tool: &'static [Is],
    /// One of these makes it a run of an agent.
    pub(crate) agent: &'static [Is],
    /// Where the name of the tool stands, the first that is there.
    pub(crate) tool_name: &'static [&'static str],
    /// Where the host's own name of the action stands.
    pub(crate) call: &'static [&'static str],
    /// Where the conversation stands.
    pub(crate) conversation: &'static [&'static str],
    /// Where the name of the agent stands.
    pub(crate) agent_name: &'static [&'static str],
    /// Attributes of the span itself that say more than its status.
    pub(crate) status: &'static [(Is, SeenStatus)],
    /// What a child says about its parent.
    pub(crate) child: &'static [(Is, Is, SeenStatus)],
}

/// How a program writes events as log records.
#[derive(Debug)]
pub(crate) struct EventProfile {
    /// What it is called here.
    pub(crate) name: &'static str,
    /// An attribute that begins so, or the body, marks its records.
    pub(crate) mark: &'static str,
    /// The name of the event at the end of a tool.
    pub(crate) result: &'static str,
    /// The event before a tool, and what it says where the tool was not let run.
    pub(crate) decision: (&'static str, &'static [&'static str]),
    /// Where the name of the tool stands.
    pub(crate) tool_name: &'static str,
    /// Where the host's own name of the action stands.
    pub(crate) call: &'static str,
    /// Where the conversation stands, within which the counter counts.
    pub(crate) conversation: &'static str,
    /// Where the name of the agent stands.
    pub(crate) agent_name: &'static str,
    /// The counter without gaps.
    pub(crate) counter: &'static str,
}

const GEN_AI_TOOL: [&str; 1] = ["gen_ai.tool.name"];
const GEN_AI_CALL: [&str; 1] = ["gen_ai.tool.call.id"];

/// The profiles of spans, the most particular first.
pub(crate) const SPANS: [SpanProfile; 7] = [
    SpanProfile {
        name: "claude-code",
        mark: Some("span.type"),
        tool: &[Is("span.type", "tool")],
        agent: &[Is("span.type", "interaction")],
        tool_name: &["tool_name", "gen_ai.tool.name"],
        call: &["tool_use_id", "gen_ai.tool.call.id"],
        conversation: &["session.id", "gen_ai.conversation.id"],
        agent_name: &["agent.name", "gen_ai.agent.name"],
        status: &[],
        child: &[
            (
                Is("span.type", "tool.blocked_on_user"),
                Is("decision", "reject"),
                SeenStatus::Denied,
            ),
            (
                Is("span.type", "tool.execution"),
                Is("success", "false"),
                SeenStatus::Error,
            ),
        ],
    },
    SpanProfile {
        name: "codex",
        mark: Some("codex."),
        tool: &[Is("codex.tool.phase", "dispatch")],
        agent: &[],
        tool_name: &["tool_name"],
        call: &["call_id"],
        conversation: &["conversation.id"],
        agent_name: &["agent_name"],
        status: &[(Is("aborted", "true"), SeenStatus::Cancelled)],
        child: &[],
    },
    SpanProfile {
        name: "vercel-ai",
        mark: Some("ai.operationId"),
        tool: &[Is("ai.operationId", "ai.toolCall")],
        agent: &[
            Is("ai.operationId", "ai.generateText"),
            Is("ai.operationId", "ai.streamText"),
            Is("ai.operationId", "ai.generateObject"),
            Is("ai.operationId", "ai.streamObject"),
        ],
        tool_name: &["ai.toolCall.name"],
        call: &["ai.toolCall.id"],
        conversation: &[
            "ai.telemetry.metadata.conversation",
            "ai.telemetry.metadata.sessionId",
            "ai.telemetry.metadata.threadId",
        ],
        agent_name: &["ai.telemetry.functionId"],
        status: &[],
        child: &[],
    },
    SpanProfile {
        name: "langsmith",
        mark: Some("langsmith."),
        tool: &[
            Is("langsmith.span.kind", "tool"),
            Is("gen_ai.operation.name", "execute_tool"),
        ],
        agent: &[Is("gen_ai.operation.name", "invoke_agent")],
        tool_name: &["gen_ai.tool.name", "langsmith.trace.name"],
        call: &["gen_ai.tool.call.id", "langsmith.metadata.tool_call_id"],
        conversation: &[
            "langsmith.metadata.thread_id",
            "langsmith.metadata.session_id",
            "langsmith.metadata.conversation_id",
        ],
        agent_name: &["gen_ai.agent.name", "langsmith.metadata.lc_agent_name"],
        status: &[],
        child: &[],
    },
    SpanProfile {
        name: "openinference",
        mark: Some("openinference.span.kind"),
        tool: &[Is("openinference.span.kind", "TOOL")],
        agent: &[Is("openinference.span.kind", "AGENT")],
        tool_name: &["tool.name", "gen_ai.tool.name"],
        call: &["tool_call.id", "tool.id", "gen_ai.tool.call.id"],
        conversation: &["session.id", "gen_ai.conversation.id"],
        agent_name: &["agent.name", "graph.node.id", "gen_ai.agent.name"],
        status: &[],
        child: &[],
    },
    SpanProfile {
        name: "openllmetry",
        mark: Some("traceloop."),
        tool: &[
            Is("traceloop.span.kind", "tool"),
            Is("gen_ai.operation.name", "execute_tool"),
        ],
        agent: &[Is("traceloop.span.kind", "agent")],
        tool_name: &["gen_ai.tool.name", "traceloop.entity.name"],
        call: &GEN_AI_CALL,
        conversation: &[
            "gen_ai.conversation.id",
            "traceloop.association.properties.session_id",
        ],
        agent_name: &["gen_ai.agent.name", "traceloop.entity.name"],
        status: &[],
        child: &[],
    },
    SpanProfile {
        name: "gen-ai",
        mark: None,
        tool: &[Is("gen_ai.operation.name", "execute_tool")],
        agent: &[Is("gen_ai.operation.name", "invoke_agent")],
        tool_name: &GEN_AI_TOOL,
        call: &GEN_AI_CALL,
        conversation: &["gen_ai.conversation.id"],
        agent_name: &["gen_ai.agent.name"],
        status: &[],
        child: &[],
    },
];

/// The profiles of events.
pub(crate) const EVENTS: [EventProfile; 2] = [
    EventProfile {
        name: "claude-code",
        mark: "claude_code.",
        result: "tool_result",
        decision: ("tool_decision", &["reject"]),
        tool_name: "tool_name",
        call: "tool_use_id",
        conversation: "session.id",
        agent_name: "agent.name",
        counter: "event.sequence",
    },
    EventProfile {
        name: "codex",
        mark: "codex.",
        result: "codex.tool_result",
        decision: (
            "codex.tool_decision",
            &["denied", "abort", "denied_for_session", "timed_out"],
        ),
        tool_name: "tool_name",
        call: "call_id",
        conversation: "conversation.id",
        agent_name: "agent_name",
        counter: "tool_result_seq",
    },
];

/// Where the result of a tool stands as text.
pub(crate) const RESULTS: [&str; 3] = [
    "gen_ai.tool.call.result",
    "output.value",
    "traceloop.entity.output",
];

/// How the text begins into which OpenAI's agents turn an exception of a tool.
pub(crate) const EXCEPTION_AS_RESULT: &str = "An error occurred while running the tool";

/// What an `error.type` says, by a part of its name.
pub(crate) const ERROR_TYPES: [(&str, SeenStatus); 3] = [
    ("timeout", SeenStatus::Timeout),
    ("timed_out", SeenStatus::Timeout),
    ("cancel", SeenStatus::Cancelled),
];
