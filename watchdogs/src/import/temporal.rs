//! Temporal: the history of a workflow (`temporal workflow show --output json`) and its description, for the activities that
//! are pending (`temporal workflow describe --output json`).
//!
//! A time-out that is retried is *not* an event of the history: it is known from the description while the activity is
//! pending, and from `lastFailure` of its last start once it is over. Enums come in two spellings,
//! `EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT` and `ActivityTaskTimedOut`.

use std::collections::BTreeMap;

use ledger::record::{Event, SeenStatus};
use ledger::text::Name;
use serde_json::Value;

use super::document::{at, list, put, scalar, text, whole};
use super::{ImportError, malformed, timed};
use crate::alert::{Alert, Kind, Labels, Notice, call, id};
use crate::time;

pub(super) fn is_history(document: &Value) -> bool {
    let events = events(document);
    events
        .first()
        .is_some_and(|it| it.get("eventType").is_some())
}

pub(super) fn is_pending(document: &Value) -> bool {
    document.get("workflowExecutionInfo").is_some() || document.get("pendingActivities").is_some()
}

fn events(document: &Value) -> &[Value] {
    match document {
        Value::Array(events) => events,
        _ => match list(document, &["events"]) {
            [] => list(document, &["history", "events"]),
            events => events,
        },
    }
}

/// The last words of an enum, in one spelling: `EVENT_TYPE_TIMED_OUT` and `TimedOut` are both `timedout`.
fn word(value: &str, prefix: &str) -> String {
    let rest = value.strip_prefix(prefix).unwrap_or(value);
    rest.replace('_', "").to_lowercase()
}

/// The workflow that a history is of, and its activities by the event that scheduled them.
#[derive(Default)]
struct History<'a> {
    run: String,
    labels: Labels,
    scheduled: BTreeMap<u64, (&'a Value, u64)>,
    started: BTreeMap<u64, (&'a Value, u64)>,
}

pub(super) fn history(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let mut history = History::default();
    let mut notices = Vec::new();
    for event in events(document) {
        notices.extend(history.take(source, event)?);
    }
    Ok(notices)
}

impl<'a> History<'a> {
    fn take(&mut self, source: &Name, event: &'a Value) -> Result<Option<Notice>, ImportError> {
        let number = event.get("eventId").and_then(whole);
        let number = number.ok_or_else(|| malformed("an event", "no eventId"))?;
        let place = format!("event {number}");
        let event_type = text(event, &["eventType"]).unwrap_or_default();
        let at_ms = text(event, &["eventTime"]).unwrap_or_default();
        let at_ms = timed(&place, time::with_offset(at_ms))?;
        let attributes = attributes(event);
        let word = word(event_type, "EVENT_TYPE_");
        match word.as_str() {
            "workflowexecutionstarted" => self.begin(attributes),
            "activitytaskscheduled" => {
                self.scheduled.insert(number, (attributes, at_ms));
            }
            "activitytaskstarted" => {
                let scheduled = attributes.get("scheduledEventId").and_then(whole);
                self.started
                    .insert(scheduled.unwrap_or_default(), (attributes, at_ms));
                return Ok(self.retried(source, number, attributes, at_ms));
            }
            "activitytaskcompleted" | "activitytaskfailed" | "activitytaskcanceled" => {
                return Ok(Some(self.ended(source, number, &word, attributes, at_ms)));
            }
            "activitytasktimedout" | "workflowtasktimedout" | "workflowexecutiontimedout" => {
                return Ok(Some(
                    self.alarm(source, number, event_type, attributes, at_ms),
                ));
            }
            "workflowexecutionfailed" | "workflowtaskfailed" | "workflowexecutionterminated" => {
                return Ok(Some(
                    self.alarm(source, number, event_type, attributes, at_ms),
                ));
            }
            _ => {}
        }
        Ok(None)
    }

    fn begin(&mut self, attributes: &Value) {
        for (label, path) in [
            ("workflow_id", &["workflowId"][..]),
            ("workflow_type", &["workflowType", "name"]),
            ("task_queue", &["taskQueue", "name"]),
            ("identity", &["identity"]),
        ] {
            put(&mut self.labels, label, text(attributes, path));
        }
        let run = [
            "originalExecutionRunId",
            "firstExecutionRunId",
            "workflowId",
        ];
        let run = run.iter().find_map(|member| text(attributes, &[member]));
        self.run = run.unwrap_or_default().to_owned();
    }

    /// An attempt that is not the first says why the one before it failed.
    fn retried(&self, source: &Name, number: u64, started: &Value, at_ms: u64) -> Option<Notice> {
        let failure = started.get("lastFailure")?;
        let kind = timeout(failure)?;
        let mut notice = self.notice(source, number, started, at_ms);
        notice.alert.monitor = format!("activity time-out, retried: {kind}");
        put(&mut notice.labels, "timeout_type", Some(kind));
        Some(notice)
    }

    /// Something that Temporal itself noticed: it has no end of its own.
    fn alarm(
        &self,
        source: &Name,
        number: u64,
        event_type: &str,
        attributes: &Value,
        at_ms: u64,
    ) -> Notice {
        let mut notice = self.notice(source, number, attributes, at_ms);
        let kind = attributes.get("failure").and_then(timeout);
        notice.alert.monitor = spelled(event_type);
        put(&mut notice.labels, "timeout_type", kind);
        notice
    }

    fn ended(
        &self,
        source: &Name,
        number: u64,
        word: &str,
        attributes: &Value,
        at_ms: u64,
    ) -> Notice {
        let scheduled = attributes.get("scheduledEventId").and_then(whole);
        let scheduled = scheduled.unwrap_or_default();
        let activity = self.scheduled.get(&scheduled);
        let began = self.started.get(&scheduled).or(activity);
        let status = match word {
            "activitytaskcompleted" => SeenStatus::Ok,
            "activitytaskcanceled" => SeenStatus::Cancelled,
            _ => SeenStatus::Error,
        };
        let mut notice = self.notice(source, number, attributes, at_ms);
        let activity_id = activity.and_then(|(it, _)| text(it, &["activityId"]));
        notice.alert.kind = Kind::Event {
            event: Event::ToolEnded,
            call: activity_id.and_then(call),
            status: Some(status),
        };
        notice.alert.monitor = notice
            .labels
            .get("activity_type")
            .cloned()
            .unwrap_or_default();
        notice.alert.opened_ms = began.map_or(at_ms, |(_, began_ms)| (*began_ms).min(at_ms));
        notice
    }

    /// An alarm that began and ended with its event, about the activity that it names.
    fn notice(&self, source: &Name, number: u64, attributes: &Value, at_ms: u64) -> Notice {
        let mut labels = self.labels.clone();
        let scheduled = attributes.get("scheduledEventId").and_then(whole);
        if let Some((activity, _)) = scheduled.and_then(|it| self.scheduled.get(&it)) {
            put(&mut labels, "activity_id", text(activity, &["activityId"]));
            put(
                &mut labels,
                "activity_type",
                text(activity, &["activityType", "name"]),
            );
            put(
                &mut labels,
                "task_queue",
                text(activity, &["taskQueue", "name"]),
            );
        }
        Notice {
            alert: Alert {
                source: source.clone(),
                source_id: id(&format!("{}/{number}", self.run)),
                monitor: String::new(),
                agent: None,
                kind: Kind::Alert,
                opened_ms: at_ms,
                closed_ms: Some(at_ms),
                severity: None,
            },
            labels,
            class: None,
            muted: None,
            by_name: false,
        }
    }
}

/// The attributes of an event stand in the member that is named after its kind.
fn attributes(event: &Value) -> &Value {
    let members = event.as_object().into_iter().flatten();
    let mut attributes = members.filter(|(name, _)| name.ends_with("EventAttributes"));
    attributes.next().map_or(&Value::Null, |(_, value)| value)
}

/// The kind of a time-out, in the short spelling; `None` for any other failure.
fn timeout(failure: &Value) -> Option<String> {
    let info = failure.get("timeoutFailureInfo")?;
    let kind = text(info, &["timeoutType"]).unwrap_or("unspecified");
    Some(
        kind.strip_prefix("TIMEOUT_TYPE_")
            .unwrap_or(kind)
            .replace('_', "")
            .to_lowercase(),
    )
}

/// The name of an event in its short spelling.
fn spelled(event_type: &str) -> String {
    let Some(rest) = event_type.strip_prefix("EVENT_TYPE_") else {
        return event_type.to_owned();
    };
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{first}{}", rest.to_lowercase())
    };
    rest.split('_')
        .filter(|part| part.is_ascii())
        .map(word)
        .collect()
}

/// Activities that are pending after an attempt failed: the only place where a retried time-out shows while it matters.
pub(super) fn pending(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let execution = ["workflowExecutionInfo", "execution"];
    let member = |name| {
        at(document, &execution)
            .and_then(|it| text(it, &[name]))
            .map(ToOwned::to_owned)
    };
    let mut labels = Labels::new();
    put(&mut labels, "workflow_id", member("workflowId"));
    let info = document
        .get("workflowExecutionInfo")
        .unwrap_or(&Value::Null);
    put(&mut labels, "workflow_type", text(info, &["type", "name"]));
    put(&mut labels, "task_queue", text(info, &["taskQueue"]));
    let run = member("runId")
        .or_else(|| member("workflowId"))
        .unwrap_or_default();
    let activities = list(document, &["pendingActivities"]).iter();
    let failed = activities.filter(|it| it.get("lastFailure").is_some_and(Value::is_object));
    failed
        .map(|activity| attempt(source, &run, labels.clone(), activity))
        .collect()
}

/// When the attempt before failed. A server that does not say so says when the activity was last heard of, and how long
/// it may be silent.
fn failed_ms(place: &str, activity: &Value, kind: Option<&str>) -> Result<u64, ImportError> {
    let known = |members: &[&str]| members.iter().find_map(|member| text(activity, &[member]));
    let read = |at: &str| timed(&place, time::with_offset(at));
    if let Some(completed) = known(&["lastAttemptCompleteTime"]) {
        return read(completed);
    }
    let patience = text(activity, &["activityOptions", "heartbeatTimeout"]).and_then(duration_ms);
    if let (Some("heartbeat"), Some(heard), Some(patience_ms)) =
        (kind, known(&["lastHeartbeatTime"]), patience)
    {
        return Ok(read(heard)?.saturating_add(patience_ms));
    }
    read(known(&["lastStartedTime", "lastHeartbeatTime", "scheduledTime"]).unwrap_or_default())
}

/// A duration as protobuf's JSON writes it: seconds with a fraction, and an `s`.
fn duration_ms(text: &str) -> Option<u64> {
    let (seconds, fraction) = match text.strip_suffix('s')?.split_once('.') {
        Some((seconds, fraction)) => (seconds, fraction),
        None => (text.strip_suffix('s')?, ""),
    };
    let ms: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds: u64 = seconds.parse().ok()?;
    seconds.checked_mul(1_000)?.checked_add(ms)
}

fn attempt(
    source: &Name,
    run: &str,
    mut labels: Labels,
    activity: &Value,
) -> Result<Notice, ImportError> {
    let activity_id = text(activity, &["activityId"]).unwrap_or_default();
    let place = format!("pending activity {activity_id}");
    let attempt = activity.get("attempt").and_then(scalar).unwrap_or_default();
    let failure = activity.get("lastFailure").unwrap_or(&Value::Null);
    let kind = timeout(failure);
    let opened_ms = failed_ms(&place, activity, kind.as_deref())?;
    put(&mut labels, "activity_id", Some(activity_id));
    put(
        &mut labels,
        "activity_type",
        text(activity, &["activityType", "name"]),
    );
    put(
        &mut labels,
        "identity",
        text(activity, &["lastWorkerIdentity"]),
    );
    put(&mut labels, "timeout_type", kind.clone());
    Ok(Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(&format!("{run}/{activity_id}/{attempt}")),
            monitor: match kind {
                Some(kind) => format!("activity time-out, pending: {kind}"),
                None => "activity failure, pending".to_owned(),
            },
            agent: None,
            kind: Kind::Alert,
            opened_ms,
            closed_ms: None,
            severity: None,
        },
        labels,
        class: None,
        muted: None,
        by_name: true,
    })
}
