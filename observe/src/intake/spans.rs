//! Spans: which of them are tools or agents, and what became of each. A child may say more than the span itself: the span
//! of a call that was denied looks like any other, and only a child says that it was rejected.

use std::collections::BTreeMap;

use ledger::record::{Event, SeenStatus};
use watchdogs::alert::{Alert, Kind, Notice, call, id};

use super::attributes::{Attributes, Derived};
use super::{Found, Intake, Sighting, SpanKey, Verdict, Way};
use crate::otlp::message::{Span, Traces};
use crate::profile::{ERROR_TYPES, EXCEPTION_AS_RESULT, RESULTS, SPANS, SpanProfile};

/// How far up a name is looked for: traces are not deep, and a circle has no end.
const MAX_ANCESTORS: usize = 32;

const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

/// `STATUS_CODE_ERROR`
const ERROR: i32 = 2;

/// What a request says about its own spans, for those below them.
#[derive(Default)]
struct Family {
    parents: BTreeMap<SpanKey, SpanKey>,
    agents: BTreeMap<SpanKey, String>,
    conversations: BTreeMap<SpanKey, String>,
    verdicts: BTreeMap<SpanKey, SeenStatus>,
}

/// A span that counts.
struct Counted<'a> {
    profile: &'static SpanProfile,
    event: Event,
    span: &'a Span,
    attributes: Attributes<'a>,
}

pub(super) fn read(intake: &Intake, traces: &Traces) -> Found {
    let mut found = Found::default();
    let mut family = Family::default();
    let mut counted = Vec::new();
    for resource in &traces.resource_spans {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                found.items += 1;
                if !is_sound(span) {
                    found.rejected += 1;
                    continue;
                }
                let attributes = Attributes {
                    own: &span.attributes,
                    resource: resource.resource.as_ref(),
                    scope: scope.scope.as_ref(),
                    name: &span.name,
                };
                family.add(span, &attributes);
                counted.extend(Counted::of(span, attributes));
            }
        }
    }
    for counted in &counted {
        let verdict = family.verdicts.remove(&key(counted.span));
        let sighting = counted.sighting(intake, &family, verdict);
        found.sightings.push(sighting);
    }
    let verdicts = family.verdicts.into_iter();
    found.verdicts = verdicts
        .map(|(parent, status)| Verdict { parent, status })
        .collect();
    found
}

/// Ids have their lengths and are not all zero (trace/v1, `Span`).
fn is_sound(span: &Span) -> bool {
    let has = |bytes: &[u8], length| bytes.len() == length && bytes.iter().any(|it| *it != 0);
    has(&span.trace_id, TRACE_ID_BYTES) && has(&span.span_id, SPAN_ID_BYTES)
}

fn key(span: &Span) -> SpanKey {
    (span.trace_id.clone(), span.span_id.clone())
}

/// The profile of a span: the first whose mark it bears.
fn profile_of(attributes: &Attributes<'_>) -> Option<&'static SpanProfile> {
    let bears =
        |profile: &&SpanProfile| profile.mark.is_none_or(|mark| attributes.has_prefix(mark));
    SPANS.iter().find(bears)
}

impl Family {
    fn add(&mut self, span: &Span, attributes: &Attributes<'_>) {
        let own = key(span);
        let parent = (span.parent_span_id.len() == SPAN_ID_BYTES)
            .then(|| (span.trace_id.clone(), span.parent_span_id.clone()));
        if let Some(profile) = profile_of(attributes) {
            self.add_names(&own, profile, attributes);
            let said = profile.child.iter().find(|child| {
                let (is, says, _) = child;
                attributes.is(*is) && attributes.is(*says)
            });
            if let (Some((_, _, status)), Some(parent)) = (said, &parent) {
                self.hear(parent.clone(), *status);
            }
        }
        if let Some(parent) = parent {
            self.parents.insert(own, parent);
        }
    }

    /// The agent's name is that of a span of an agent, or of any span that says so by the conventions' own name.
    fn add_names(&mut self, own: &SpanKey, profile: &SpanProfile, attributes: &Attributes<'_>) {
        let of_agent = || attributes.first(profile.agent_name);
        let is_agent = attributes.is_any(profile.agent);
        let agent = is_agent.then(of_agent).flatten();
        if let Some(agent) = agent.or_else(|| attributes.first(&["gen_ai.agent.name"])) {
            self.agents.insert(own.clone(), agent);
        }
        if let Some(conversation) = attributes.first(profile.conversation) {
            self.conversations.insert(own.clone(), conversation);
        }
    }

    /// A tool that was not let run cannot have failed as well.
    fn hear(&mut self, parent: SpanKey, status: SeenStatus) {
        let known = self.verdicts.entry(parent).or_insert(status);
        if status == SeenStatus::Denied {
            *known = status;
        }
    }

    /// What the nearest of a span and those above it has.
    fn nearest<'a>(&'a self, of: &'a BTreeMap<SpanKey, String>, span: &SpanKey) -> Option<&'a str> {
        let mut at = span;
        for _ in 0..MAX_ANCESTORS {
            if let Some(found) = of.get(at) {
                return Some(found);
            }
            at = self.parents.get(at)?;
        }
        None
    }
}

impl<'a> Counted<'a> {
    fn of(span: &'a Span, attributes: Attributes<'a>) -> Option<Self> {
        let profile = profile_of(&attributes)?;
        let event = match () {
            () if attributes.is_any(profile.tool) => Event::ToolEnded,
            () if attributes.is_any(profile.agent) => Event::AgentRan,
            () => return None,
        };
        Some(Self {
            profile,
            event,
            span,
            attributes,
        })
    }

    fn sighting(&self, intake: &Intake, family: &Family, verdict: Option<SeenStatus>) -> Sighting {
        let (profile, own) = (self.profile, key(self.span));
        let agent = family.nearest(&family.agents, &own).map(ToOwned::to_owned);
        let agent = agent.or_else(|| self.attributes.first(profile.agent_name));
        let conversation = family.nearest(&family.conversations, &own);
        let call_text = self.attributes.first(profile.call).unwrap_or_default();
        let tool = self.monitor();
        let derived = Derived {
            profile: profile.name,
            agent: agent.as_deref(),
            conversation,
            tool: &tool,
        };
        let labels = self.attributes.labels(intake, &derived);
        let status = verdict.unwrap_or_else(|| self.status());
        let opened_ms = self.span.start_time_unix_nano / 1_000_000;
        let closed_ms = (self.span.end_time_unix_nano / 1_000_000).max(opened_ms);
        let kind = Kind::Event {
            event: match (self.event, status) {
                (Event::ToolEnded, SeenStatus::Denied) => Event::ToolDenied,
                (event, _) => event,
            },
            call: call(&call_text),
            status: Some(status),
        };
        let alert = Alert {
            source: intake.source.clone(),
            source_id: id(&self.source_id(conversation, &call_text)),
            monitor: tool,
            agent: None,
            kind,
            opened_ms,
            closed_ms: Some(closed_ms),
            severity: None,
        };
        Sighting {
            notice: Notice {
                alert,
                labels,
                class: None,
                muted: None,
                by_name: false,
            },
            way: Way::Span,
            span: (self.event == Event::ToolEnded).then_some(own),
        }
    }

    /// An action is named by its conversation and call where it has them, so a span and an event of it have one name.
    fn source_id(&self, conversation: Option<&str>, call: &str) -> String {
        let trace = hex(&self.span.trace_id);
        match call {
            "" => format!("{trace}/{}", hex(&self.span.span_id)),
            call => format!("{}/{call}", conversation.unwrap_or(&trace)),
        }
    }

    fn monitor(&self) -> String {
        let names = match self.event {
            Event::ToolEnded => self.profile.tool_name,
            _ => self.profile.agent_name,
        };
        let named = self.attributes.first(names);
        named.unwrap_or_else(|| self.span.name.clone())
    }

    /// What the span says about itself.
    fn status(&self) -> SeenStatus {
        let mut said = self.profile.status.iter();
        if let Some((_, status)) = said.find(|(is, _)| self.attributes.is(*is)) {
            return *status;
        }
        let failed = self.span.status.as_ref().is_some_and(|it| it.code == ERROR);
        let error_type = self.attributes.own("error.type").unwrap_or_default();
        let error_type = error_type.to_lowercase();
        if failed || !error_type.is_empty() {
            let known = ERROR_TYPES
                .iter()
                .find(|(part, _)| error_type.contains(part));
            return known.map_or(SeenStatus::Error, |(_, status)| *status);
        }
        let result = self.attributes.first(&RESULTS).unwrap_or_default();
        match result
            .trim_start_matches('"')
            .starts_with(EXCEPTION_AS_RESULT)
        {
            true => SeenStatus::Error,
            false => SeenStatus::Ok,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
