//! Alertmanager: its webhook, version 4, and what `GET /api/v2/alerts` answers. Both name an alert by the fingerprint of its
//! labels, which is the same each time it fires; with its beginning it is the name of one firing.

use ledger::text::Name;
use serde_json::Value;

use super::document::{at, list, put_members, text};
use super::{ImportError, malformed, timed};
use crate::alert::{Alert, Kind, Labels, Notice, id};
use crate::time;

/// The only version of the webhook there has ever been.
const WEBHOOK_VERSION: &str = "4";

pub(super) fn is_webhook(document: &Value) -> bool {
    document.get("alerts").is_some_and(Value::is_array) && document.get("version").is_some()
}

pub(super) fn is_alerts(document: &Value) -> bool {
    let is_one = |alert: &Value| alert.get("startsAt").is_some() && alert.get("labels").is_some();
    document
        .as_array()
        .is_some_and(|alerts| alerts.first().is_none_or(is_one))
}

/// `POST` to a receiver. An alert that fires has an end of 0001-01-01, which says that it has none.
pub(super) fn webhook(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let version = text(document, &["version"]).unwrap_or_default();
    if version != WEBHOOK_VERSION {
        let what =
            format!("version {version:?} of the webhook, and only {WEBHOOK_VERSION} is known");
        return Err(malformed("the body", what));
    }
    let alerts = (1..).zip(list(document, &["alerts"]));
    alerts
        .map(|(place, alert)| {
            let is_over = text(alert, &["status"]) == Some("resolved");
            let mut notice = read(source, place, alert, is_over)?;
            let receiver = text(document, &["receiver"]).map(ToOwned::to_owned);
            super::document::put(&mut notice.labels, "receiver", receiver);
            Ok(notice)
        })
        .collect()
}

/// `GET /api/v2/alerts`. There `endsAt` of an alert that goes on is when it would end if nobody repeated it.
pub(super) fn alerts(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let alerts = document.as_array().map_or(&[][..], Vec::as_slice);
    let alerts = (1..).zip(alerts);
    alerts
        .map(|(place, alert)| {
            let at = |member| text(alert, &[member]).and_then(|text| time::with_offset(text).ok());
            let (ends, updated) = (at("endsAt"), at("updatedAt"));
            let is_over = ends
                .zip(updated)
                .is_some_and(|(ends, updated)| ends <= updated);
            read(source, place, alert, is_over)
        })
        .collect()
}

fn read(source: &Name, place: usize, alert: &Value, is_over: bool) -> Result<Notice, ImportError> {
    let place = format!("alert {place}");
    let time = |member| {
        let text = text(alert, &[member]);
        text.ok_or_else(|| malformed(&place, format!("no {member}")))
            .and_then(|text| timed(&place, time::with_offset(text)))
    };
    let mut labels = Labels::new();
    put_members(&mut labels, "annotations.", alert.get("annotations"));
    put_members(&mut labels, "", alert.get("labels"));
    let monitor = labels.get("alertname").cloned().unwrap_or_default();
    let opened_ms = time("startsAt")?;
    let closed_ms = is_over.then(|| time("endsAt")).transpose()?;
    let fingerprint = match text(alert, &["fingerprint"]) {
        Some(fingerprint) => fingerprint.to_owned(),
        None => return Err(malformed(&place, "no fingerprint")),
    };
    let silenced = ["silencedBy", "inhibitedBy", "mutedBy"]
        .iter()
        .any(|by| !list(alert, &["status", by]).is_empty());
    let is_suppressed = at(alert, &["status", "state"]).is_some_and(|it| it == "suppressed");
    Ok(Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(&format!("{fingerprint}/{opened_ms}")),
            monitor,
            agent: None,
            kind: Kind::Alert,
            opened_ms,
            closed_ms,
            severity: labels.get("severity").cloned(),
        },
        labels,
        class: None,
        muted: silenced || is_suppressed,
    })
}
