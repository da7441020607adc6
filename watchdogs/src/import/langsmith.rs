//! LangSmith: runs of its API (`POST /runs/query`, a list of them, or one a line), and the webhook of its alerts.
//!
//! A run is no alert: it says that a tool or an agent ran, and how. An alert says that a number went over a limit; when it
//! went back nobody says.

use ledger::record::{Event, SeenStatus};
use ledger::text::Name;
use serde_json::Value;

use super::document::{at, list, put, put_members, scalar, text};
use super::{ImportError, malformed, timed};
use crate::alert::{Alert, Kind, Labels, Notice, call, id};
use crate::time;

pub(super) fn is_runs(document: &Value) -> bool {
    let is_run = |run: &Value| run.get("run_type").is_some();
    let is_list = |list: &Vec<Value>| list.first().is_some_and(is_run);
    let runs = document.get("runs").and_then(Value::as_array);
    is_run(document) || runs.is_some() || document.as_array().is_some_and(is_list)
}

pub(super) fn is_webhook(document: &Value) -> bool {
    document.get("alert_rule_id").is_some()
}

/// Runs of tools and of agents. Those of models, prompts and parsers say nothing that a record has.
pub(super) fn runs(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let all = match document {
        Value::Array(runs) => runs.as_slice(),
        Value::Object(members) if members.contains_key("run_type") => {
            std::slice::from_ref(document)
        }
        _ => list(document, &["runs"]),
    };
    let notices = (1..).zip(all).map(|(place, run)| read(source, place, run));
    notices.filter_map(Result::transpose).collect()
}

fn read(source: &Name, place: usize, run: &Value) -> Result<Option<Notice>, ImportError> {
    let place = format!("run {place}");
    let is_root = text(run, &["parent_run_id"]).is_none();
    let event = match text(run, &["run_type"]).unwrap_or_default() {
        "tool" => Event::ToolEnded,
        "chain" if is_root => Event::AgentRan,
        _ => return Ok(None),
    };
    let time = |member| {
        let text = text(run, &[member]);
        let time = text.map(time::utc_if_unsaid);
        time.map(|time| timed(&place, time)).transpose()
    };
    let opened_ms = time("start_time")?.ok_or_else(|| malformed(&place, "no start_time"))?;
    let name = text(run, &["id"]).ok_or_else(|| malformed(&place, "no id"))?;
    let ended_ms = time("end_time")?;
    let failed = text(run, &["error"]).is_some() || text(run, &["status"]) == Some("error");
    let status = ended_ms.map(|_| match failed {
        true => SeenStatus::Error,
        false => SeenStatus::Ok,
    });
    let metadata = at(run, &["extra", "metadata"]);
    let mut labels = Labels::new();
    put_members(&mut labels, "metadata.", metadata);
    for member in ["name", "run_type", "session_name", "session_id", "trace_id"] {
        put(&mut labels, member, run.get(member).and_then(scalar));
    }
    for tag in list(run, &["tags"]).iter().filter_map(Value::as_str) {
        labels.insert(format!("tag.{tag}"), "true".to_owned());
    }
    let call_id = ["tool_call_id", "toolCallId"]
        .iter()
        .find_map(|member| text(run, &["extra", "metadata", member]));
    Ok(Some(Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(name),
            monitor: text(run, &["name"]).unwrap_or_default().to_owned(),
            agent: None,
            kind: Kind::Event {
                event,
                call: call_id.and_then(call),
                status,
            },
            opened_ms,
            closed_ms: ended_ms,
            severity: None,
        },
        labels,
        class: None,
        muted: None,
        by_name: false,
    }))
}

/// `POST` of an alert that went over its limit.
pub(super) fn webhook(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let member = |name: &str| {
        document
            .get(name)
            .and_then(scalar)
            .filter(|it| !it.is_empty())
    };
    let place = "the body";
    let rule = member("alert_rule_id").ok_or_else(|| malformed(place, "no alert_rule_id"))?;
    let at = member("timestamp").unwrap_or_default();
    let opened_ms = timed(&place, time::utc_if_unsaid(&at))?;
    let mut labels = Labels::new();
    put_members(&mut labels, "", Some(document));
    Ok(vec![Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(&format!("{rule}/{opened_ms}")),
            monitor: member("alert_rule_name").unwrap_or(rule),
            agent: None,
            kind: Kind::Alert,
            opened_ms,
            closed_ms: None,
            severity: None,
        },
        labels,
        class: None,
        muted: None,
        by_name: false,
    }])
}
