//! Alertmanager: its webhook, version 4, and what `GET /api/v2/alerts` answers. Both name an alert by the fingerprint of its
//! labels, which is the same each time it fires; with its beginning it is the name of one firing.
//!
//! A webhook with `max_alerts` says how many alerts it leaves out: that is a gap of the source.

use ledger::record::Event;
use ledger::text::Name;
use serde_json::Value;

use super::document::{at, list, put, put_members, text, whole};
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

/// `POST` to a receiver. An alert that fires has an end of 0001-01-01, which says that it has none. What is sent is not
/// silenced.
pub(super) fn webhook(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let version = text(document, &["version"]).unwrap_or_default();
    if version != WEBHOOK_VERSION {
        let what =
            format!("version {version:?} of the webhook, and only {WEBHOOK_VERSION} is known");
        return Err(malformed("the body", what));
    }
    let receiver = text(document, &["receiver"]);
    let alerts = (1..).zip(list(document, &["alerts"]));
    let notices = alerts.map(|(place, alert)| {
        let is_over = text(alert, &["status"]) == Some("resolved");
        let mut notice = read(source, place, alert, is_over)?;
        put(&mut notice.labels, "receiver", receiver);
        notice.muted = Some(false);
        Ok(notice)
    });
    let mut notices = notices.collect::<Result<Vec<_>, ImportError>>()?;
    notices.extend(left_out(source, document, &notices));
    Ok(notices)
}

/// The gap of a webhook that leaves alerts out. It is as long as what it brings, since it says no more of the others.
fn left_out(source: &Name, document: &Value, brought: &[Notice]) -> Option<Notice> {
    let count = document.get("truncatedAlerts").and_then(whole);
    let count = count.filter(|count| *count > 0)?;
    let alerts = || brought.iter().map(|notice| &notice.alert);
    let opened_ms = alerts().map(|alert| alert.opened_ms).min()?;
    let last = |alert: &Alert| alert.closed_ms.unwrap_or(alert.opened_ms);
    let closed_ms = alerts().map(last).max();
    let group = text(document, &["groupKey"]).unwrap_or_default();
    let mut labels = Labels::new();
    put_members(&mut labels, "", document.get("groupLabels"));
    put_members(&mut labels, "", document.get("commonLabels"));
    put(&mut labels, "receiver", text(document, &["receiver"]));
    Some(Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(&format!("left-out/{opened_ms}/{count}/{group}")),
            monitor: format!("{count} alerts left out of a webhook"),
            agent: None,
            kind: Kind::of(Event::SourceGap),
            opened_ms,
            closed_ms,
            severity: None,
        },
        labels,
        class: None,
        muted: None,
        by_name: false,
    })
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
    let fingerprint = text(alert, &["fingerprint"]).map(ToOwned::to_owned);
    let fingerprint = fingerprint.unwrap_or_else(|| fingerprint_of(alert));
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
        muted: is_silenced(alert),
        by_name: false,
    })
}

/// Whether it is held back, where the answer has a status for that.
fn is_silenced(alert: &Value) -> Option<bool> {
    let state = at(alert, &["status", "state"])?;
    let by = ["silencedBy", "inhibitedBy", "mutedBy"];
    let mut by = by.iter().map(|by| list(alert, &["status", by]));
    Some(state == "suppressed" || by.any(|it| !it.is_empty()))
}

/// The fingerprint of its labels as Alertmanager itself makes it, which old versions do not send: FNV-1a over the names
/// and values, sorted, each with a byte behind it that is in no text.
fn fingerprint_of(alert: &Value) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    const BEHIND: u8 = 0xff;
    let mut labels = Labels::new();
    put_members(&mut labels, "", alert.get("labels"));
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    let bytes = texts.flat_map(|text| text.bytes().chain([BEHIND]));
    let hash = bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:016x}")
}
