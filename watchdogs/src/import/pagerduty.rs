//! PagerDuty: incidents of its REST API, and webhooks, version 3.

use ledger::text::Name;
use serde_json::Value;

use super::document::{at, list, put, text};
use super::{ImportError, malformed, timed};
use crate::alert::{Alert, Kind, Labels, Notice, id};
use crate::time;

pub(super) fn is_incidents(document: &Value) -> bool {
    document.get("incidents").is_some_and(Value::is_array)
}

pub(super) fn is_webhook(document: &Value) -> bool {
    text(document, &["event", "event_type"]).is_some()
}

/// `GET /incidents`.
pub(super) fn incidents(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let incidents = (1..).zip(list(document, &["incidents"]));
    incidents
        .map(|(place, incident)| {
            let place = format!("incident {place}");
            let resolved = ["resolved_at", "last_status_change_at"]
                .iter()
                .find_map(|member| text(incident, &[member]));
            let is_over = text(incident, &["status"]) == Some("resolved");
            let closed = resolved.filter(|_| is_over).map(time::with_offset);
            let closed = closed.map(|time| timed(&place, time)).transpose()?;
            read(source, &place, incident, closed)
        })
        .collect()
}

/// One event of an incident. What happens between its beginning and its end says nothing that the record has.
pub(super) fn webhook(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let event = document.get("event").unwrap_or(&Value::Null);
    let event_type = text(event, &["event_type"]).unwrap_or_default();
    let is_incident = event_type.starts_with("incident.")
        && at(event, &["data", "type"]).is_none_or(|it| it == "incident");
    if !is_incident {
        // `pagey.ping` asks whether anybody is there.
        return Ok(Vec::new());
    }
    let incident = event.get("data").unwrap_or(&Value::Null);
    let closed = match event_type {
        "incident.resolved" => {
            let occurred = text(event, &["occurred_at"]).unwrap_or_default();
            Some(timed(&"the event", time::with_offset(occurred))?)
        }
        "incident.triggered" | "incident.acknowledged" | "incident.reopened" => None,
        _ => return Ok(Vec::new()),
    };
    read(source, "the event", incident, closed).map(|notice| vec![notice])
}

fn read(
    source: &Name,
    place: &str,
    incident: &Value,
    closed_ms: Option<u64>,
) -> Result<Notice, ImportError> {
    let member = |path: &[&str]| text(incident, path).map(ToOwned::to_owned);
    let name = member(&["id"]).ok_or_else(|| malformed(place, "no id"))?;
    let created = member(&["created_at"]).unwrap_or_default();
    let title = member(&["title"]).or_else(|| member(&["summary"]));
    let priority = member(&["priority", "summary"]);
    let mut labels = Labels::new();
    for (label, path) in [
        ("service", &["service", "summary"][..]),
        ("service_id", &["service", "id"]),
        ("incident_key", &["incident_key"]),
        ("urgency", &["urgency"]),
        ("escalation_policy", &["escalation_policy", "summary"]),
    ] {
        put(&mut labels, label, member(path));
    }
    put(&mut labels, "title", title.clone());
    put(&mut labels, "priority", priority.clone());
    Ok(Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(&name),
            monitor: title.unwrap_or_default(),
            agent: None,
            kind: Kind::Alert,
            opened_ms: timed(&place, time::with_offset(&created))?,
            closed_ms,
            severity: priority.or_else(|| member(&["urgency"])),
        },
        labels,
        class: None,
        muted: None,
        by_name: false,
    })
}
