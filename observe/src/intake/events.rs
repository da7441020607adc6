//! Log records that are events of coding agents: the end of a tool, a tool that was not let run, and a counter without gaps
//! that says whether any are missing.

use ledger::record::{Event, SeenStatus};
use watchdogs::alert::{Alert, Kind, Notice, call, id};

use super::attributes::{Attributes, Derived};
use super::{Count, Found, Intake, Sighting, Way};
use crate::otlp::message::{AnyValue, LogRecord, Logs, Scalar};
use crate::profile::{EVENTS, EventProfile};

pub(super) fn read(intake: &Intake, logs: &Logs) -> Found {
    let mut found = Found::default();
    for resource in &logs.resource_logs {
        for scope in &resource.scope_logs {
            for record in &scope.log_records {
                found.items += 1;
                let attributes = Attributes {
                    own: &record.attributes,
                    resource: resource.resource.as_ref(),
                    scope: scope.scope.as_ref(),
                    name: &record.event_name,
                };
                if let Some(read) = Read::of(record, attributes) {
                    found.counts.extend(read.count(intake));
                    found.sightings.extend(read.sighting(intake));
                }
            }
        }
    }
    found
}

/// A record that is an event of a profile.
struct Read<'a> {
    profile: &'static EventProfile,
    event: String,
    attributes: Attributes<'a>,
    conversation: Option<String>,
    tool: String,
    number: Option<u64>,
    at_ms: u64,
}

impl<'a> Read<'a> {
    fn of(record: &LogRecord, attributes: Attributes<'a>) -> Option<Self> {
        let (profile, event) = profile_of(record, &attributes)?;
        let number = attributes.own(profile.counter);
        // The record's own time, or where that is 0 when a collector saw it.
        let times = [record.time_unix_nano, record.observed_time_unix_nano];
        let at_ns = times.into_iter().find(|it| *it > 0).unwrap_or_default();
        Some(Self {
            conversation: attributes.own(profile.conversation),
            tool: attributes.own(profile.tool_name).unwrap_or_default(),
            number: number.and_then(|it| it.parse().ok()),
            at_ms: at_ns / 1_000_000,
            profile,
            event,
            attributes,
        })
    }

    fn labels(&self, intake: &Intake) -> watchdogs::alert::Labels {
        let agent = self.attributes.own(self.profile.agent_name);
        let derived = Derived {
            profile: self.profile.name,
            agent: agent.as_deref(),
            conversation: self.conversation.as_deref(),
            tool: &self.tool,
        };
        self.attributes.labels(intake, &derived)
    }

    fn count(&self, intake: &Intake) -> Option<Count> {
        let conversation = self.conversation.as_deref()?;
        Some(Count {
            source: intake.source.clone(),
            stream: format!("{}/{conversation}", self.profile.name),
            number: self.number?,
            at_ms: self.at_ms,
            labels: self.labels(intake),
        })
    }

    fn sighting(&self, intake: &Intake) -> Option<Sighting> {
        let (event, status) = self.outcome()?;
        let call_text = self.attributes.own(self.profile.call).unwrap_or_default();
        let conversation = self.conversation.as_deref().unwrap_or("-");
        let source_id = match (call_text.as_str(), self.number) {
            ("", number) => {
                let number = number.unwrap_or_default();
                format!("{conversation}/{number}/{}", self.at_ms)
            }
            (call, _) => format!("{conversation}/{call}"),
        };
        let lasted_ms = self.attributes.own("duration_ms");
        let lasted_ms: u64 = lasted_ms.and_then(|it| it.parse().ok()).unwrap_or(0);
        let alert = Alert {
            source: intake.source.clone(),
            source_id: id(&source_id),
            monitor: self.tool.clone(),
            agent: None,
            kind: Kind::Event {
                event,
                call: call(&call_text),
                status: Some(status),
            },
            opened_ms: self.at_ms.saturating_sub(lasted_ms),
            closed_ms: Some(self.at_ms),
            severity: None,
        };
        Some(Sighting {
            notice: Notice {
                alert,
                labels: self.labels(intake),
                class: None,
                muted: None,
                by_name: false,
            },
            way: Way::Event,
            span: None,
        })
    }

    /// What the event says about a tool, if anything.
    fn outcome(&self) -> Option<(Event, SeenStatus)> {
        let (decision, denials) = self.profile.decision;
        if self.event == decision {
            let said = self.attributes.own("decision")?;
            let is_denied = denials.contains(&said.as_str());
            return is_denied.then_some((Event::ToolDenied, SeenStatus::Denied));
        }
        let failed = self
            .attributes
            .own("success")
            .is_some_and(|it| it == "false");
        let status = match failed {
            true => SeenStatus::Error,
            false => SeenStatus::Ok,
        };
        (self.event == self.profile.result).then_some((Event::ToolEnded, status))
    }
}

/// The profile of a record, and the name of the event: an attribute, the record's own, or its body.
fn profile_of(
    record: &LogRecord,
    attributes: &Attributes<'_>,
) -> Option<(&'static EventProfile, String)> {
    let body = match record.body.as_ref() {
        Some(AnyValue {
            value: Some(Scalar::Text(text)),
        }) => text.as_str(),
        _ => "",
    };
    let named = attributes.own("event.name").unwrap_or_default();
    let names = [named.as_str(), record.event_name.as_str(), body];
    let bears = |profile: &&EventProfile| names.iter().any(|it| it.starts_with(profile.mark));
    let profile = EVENTS.iter().find(bears)?;
    let name = names.into_iter().find(|name| !name.is_empty())?;
    // Claude's attribute leaves out what its body begins with.
    let is_whole = profile.result.starts_with(profile.mark);
    let short = name.strip_prefix(profile.mark).filter(|_| !is_whole);
    Some((profile, short.unwrap_or(name).to_owned()))
}
