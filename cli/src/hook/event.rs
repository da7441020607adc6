//! Events as hosts send them. Each host has names of its own for the same few things.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use super::Host;

/// What a host tells.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) host: Host,
    pub(crate) kind: Kind,
    /// The host's name for the session.
    pub(crate) session: String,
    /// Where the host works now.
    pub(crate) cwd: Option<String>,
    /// The host's name for the action; Gemini has none.
    pub(crate) call: Option<String>,
    /// The sub-agent that acts.
    pub(crate) subagent: Option<String>,
    /// The tool, where the event is about one.
    pub(crate) tool: String,
    /// What the tool gets: an object.
    pub(crate) input: Map<String, Value>,
    /// All that was told.
    pub(crate) members: Map<String, Value>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A tool is about to be used.
    Before,
    /// A tool was used.
    After,
    /// A tool failed.
    Failed,
    /// All calls of one answer of the model are over: what has had no event after it has none.
    Batch,
    /// A sub-agent begins.
    SubagentStart,
    /// A sub-agent ends.
    SubagentStop,
    /// A turn is over.
    TurnEnd,
    /// A session begins.
    SessionStart,
    /// A session ends.
    SessionEnd,
    /// Something else, of which nothing is logged.
    Other,
}

/// What an event of this name is about.
pub(crate) fn kind_of(name: &str) -> Kind {
    match name.to_ascii_lowercase().as_str() {
        "pretooluse" | "beforetool" => Kind::Before,
        "posttooluse" | "aftertool" => Kind::After,
        "posttoolusefailure" => Kind::Failed,
        "posttoolbatch" => Kind::Batch,
        "subagentstart" => Kind::SubagentStart,
        "subagentstop" => Kind::SubagentStop,
        "stop" | "afteragent" => Kind::TurnEnd,
        "sessionstart" => Kind::SessionStart,
        "sessionend" => Kind::SessionEnd,
        _ => Kind::Other,
    }
}

impl Event {
    /// Reads an event. Its own name counts; `named` is for one that has none.
    ///
    /// # Errors
    ///
    /// If it is not one.
    pub(crate) fn read(host: Host, named: Option<&str>, json: &[u8]) -> Result<Self> {
        let members: Map<String, Value> =
            serde_json::from_slice(json).context("the event is not a JSON object")?;
        let text = |names: &[&str]| text_of(&members, names).map(str::to_owned);
        let name = text(&["hook_event_name", "hookEventName"]);
        let name = name.or_else(|| named.map(str::to_owned));
        let kind = kind_of(&name.context("the event has no name")?);
        let session = text(&["session_id", "conversation_id", "sessionId"]);
        let roots = members
            .get("workspace_roots")
            .and_then(|roots| roots.get(0));
        let root = roots.and_then(Value::as_str).map(str::to_owned);
        let tool = text(&["tool_name", "toolName"]).unwrap_or_default();
        let is_about_tool = matches!(kind, Kind::Before | Kind::After | Kind::Failed);
        ensure!(
            !is_about_tool || !tool.is_empty(),
            "the event names no tool"
        );
        Ok(Self {
            host,
            kind,
            session: session
                .filter(|session| !session.is_empty())
                .context("the event names no session")?,
            cwd: text(&["cwd"]).filter(|cwd| !cwd.is_empty()).or(root),
            call: text(&["tool_use_id", "toolUseId"]).filter(|call| !call.is_empty()),
            subagent: text(&["agent_id"]).filter(|agent| !agent.is_empty()),
            tool,
            input: input_of(&members),
            members,
        })
    }

    /// The type of the sub-agent that begins.
    pub(crate) fn subagent_type(&self) -> Option<&str> {
        text_of(&self.members, &["agent_type", "subagent_type"])
    }

    /// The names of the calls of a batch.
    pub(crate) fn batch(&self) -> Vec<String> {
        let calls = self.members.get("tool_calls").and_then(Value::as_array);
        let name = |call: &Value| text_of(call.as_object()?, &["tool_use_id"]).map(str::to_owned);
        calls.into_iter().flatten().filter_map(name).collect()
    }

    /// Whether something goes on behind a turn that is over.
    pub(crate) fn has_background(&self) -> bool {
        let tasks = self
            .members
            .get("background_tasks")
            .and_then(Value::as_array);
        tasks.is_some_and(|tasks| !tasks.is_empty())
    }

    /// How the action ended, as the log has it.
    pub(crate) fn status(&self) -> &'static str {
        let is_set = |name| self.members.get(name).and_then(Value::as_bool) == Some(true);
        let response = self.members.get("tool_response").and_then(Value::as_object);
        let has_error = response.is_some_and(|response| {
            response.get("error").is_some_and(|error| !error.is_null())
                || response.get("is_error").and_then(Value::as_bool) == Some(true)
        });
        let was_interrupted = response.is_some_and(|response| {
            response.get("interrupted").and_then(Value::as_bool) == Some(true)
        });
        let failure = text_of(&self.members, &["failure_type"]);
        match self.kind {
            _ if is_set("is_interrupt") || was_interrupted => "cancelled",
            Kind::Failed if failure == Some("permission_denied") => "cancelled",
            Kind::Failed if failure == Some("timeout") => "timeout",
            Kind::Failed => "error",
            _ if has_error => "error",
            _ => "ok",
        }
    }

    /// What came out, as text.
    pub(crate) fn output(&self) -> Option<String> {
        let names = ["tool_response", "tool_output", "error", "error_message"];
        let output = names.iter().find_map(|name| self.members.get(*name));
        output.map(|output| match output {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// How long the action took, if the host says so.
    pub(crate) fn duration_ms(&self) -> Option<u64> {
        let named = ["duration_ms", "duration"];
        let given = named.iter().find_map(|name| self.members.get(*name));
        given.and_then(|given| given.as_u64().or_else(|| given.as_f64().map(whole)))
    }
}

/// A member that is a text, by the first of its names that is there.
pub(super) fn text_of<'a>(members: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| members.get(*name)?.as_str())
}

/// Most hosts send an object; what some send as a text is one.
fn input_of(members: &Map<String, Value>) -> Map<String, Value> {
    let named = ["tool_input", "toolInput", "tool_args"];
    match named.iter().find_map(|name| members.get(*name)) {
        Some(Value::Object(input)) => input.clone(),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Object(input)) => input,
            _ => Map::from_iter([("input".to_owned(), Value::String(text.clone()))]),
        },
        _ => Map::new(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that is out of range becomes the nearest integer, which is as good a duration"
)]
fn whole(ms: f64) -> u64 {
    ms.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Event> {
        Event::read(Host::ClaudeCode, None, json.as_bytes())
    }

    #[test]
    fn an_event_has_a_name_a_session_and_if_need_be_a_tool() {
        for (json, why) in [
            ("", "JSON"),
            ("[]", "JSON"),
            ("{\"session_id\":\"s\"}", "no name"),
            ("{\"hook_event_name\":\"Stop\"}", "no session"),
            (
                "{\"hook_event_name\":\"PreToolUse\",\"session_id\":\"s\"}",
                "no tool",
            ),
        ] {
            let said = format!("{:#}", read(json).unwrap_err());
            assert!(said.contains(why), "{json}: {said}");
        }
        let named = Event::read(Host::Codex, Some("Stop"), b"{\"session_id\":\"s\"}").unwrap();
        assert_eq!(named.kind, Kind::TurnEnd);
        let other = "{\"hook_event_name\":\"UserPromptSubmit\",\"session_id\":\"s\"}";
        let own = Event::read(Host::Codex, Some("PreToolUse"), other.as_bytes()).unwrap();
        assert_eq!(own.kind, Kind::Other, "its own name counts");
    }

    #[test]
    fn how_an_action_ended_is_told_in_many_ways() {
        let event = |name: &str, more: &str| {
            let json = format!(
                "{{\"hook_event_name\":\"{name}\",\"session_id\":\"s\",\"tool_name\":\"T\",{more}}}"
            );
            read(&json).unwrap().status()
        };
        for (name, more, status) in [
            ("PostToolUse", "\"tool_response\":\"hi\"", "ok"),
            (
                "PostToolUseFailure",
                "\"error\":\"Exit code 3\",\"is_interrupt\":false",
                "error",
            ),
            ("PostToolUseFailure", "\"is_interrupt\":true", "cancelled"),
            ("postToolUseFailure", "\"failure_type\":\"error\"", "error"),
            (
                "postToolUseFailure",
                "\"failure_type\":\"timeout\"",
                "timeout",
            ),
            (
                "postToolUseFailure",
                "\"failure_type\":\"permission_denied\"",
                "cancelled",
            ),
            (
                "PostToolUse",
                "\"tool_response\":{\"interrupted\":true}",
                "cancelled",
            ),
            (
                "AfterTool",
                "\"tool_response\":{\"error\":{\"message\":\"x\"}}",
                "error",
            ),
            (
                "AfterTool",
                "\"tool_response\":{\"llmContent\":\"x\"}",
                "ok",
            ),
        ] {
            assert_eq!(event(name, more), status, "{name} {more}");
        }
    }
}
