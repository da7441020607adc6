//! Datadog: events of its API, version 2, and a webhook whose payload is our template.
//!
//! An event of a monitor says that it went off or recovered; the two belong together by the monitor and the group that it
//! speaks of. The webhook's `cycle` (`$ALERT_CYCLE_KEY`) does the same: it is one from going off to recovering.

use std::collections::BTreeMap;

use ledger::record::Event;
use ledger::text::Name;
use serde_json::Value;

use super::document::{at, list, put, put_members, scalar, text, whole};
use super::{ImportError, malformed, timed};
use crate::alert::{Alert, Kind, Labels, Notice, id};
use crate::time;

pub(super) fn is_events(document: &Value) -> bool {
    let is_one = |event: &Value| {
        event.get("type").is_some_and(|it| it == "event") && event.get("attributes").is_some()
    };
    let data = document.get("data").and_then(Value::as_array);
    data.is_some_and(|data| data.first().is_none_or(is_one))
}

pub(super) fn is_webhook(document: &Value) -> bool {
    document.get("cycle").is_some() && document.get("transition").is_some()
}

/// What an event says about its monitor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It went off, or goes on.
    Off,
    /// It recovered.
    Recovered,
    /// Neither: somebody wrote something, a host came up.
    Neither,
}

/// `GET /api/v2/events`, all pages of it.
pub(super) fn events(source: &Name, documents: &[Value]) -> Result<Vec<Notice>, ImportError> {
    let all = documents.iter().flat_map(|it| list(it, &["data"]));
    let mut events: Vec<Said> = (1..)
        .zip(all)
        .map(|(place, event)| Said::read(place, event))
        .collect::<Result<_, _>>()?;
    events.sort_by(|one, other| (one.at_ms, &one.id).cmp(&(other.at_ms, &other.id)));
    events.dedup_by(|one, other| one.id == other.id);
    let mut notices: Vec<Notice> = Vec::new();
    let mut open = BTreeMap::new();
    for said in events {
        match said.turn {
            Turn::Off => {
                open.entry(said.key.clone()).or_insert_with(|| {
                    notices.push(said.notice(source, Kind::Alert, said.at_ms, None));
                    notices.len() - 1
                });
            }
            Turn::Recovered => match open.remove(&said.key).and_then(|it| notices.get_mut(it)) {
                Some(notice) => notice.alert.closed_ms = Some(said.at_ms),
                None => {
                    // It went off before the first event that was exported.
                    let opened_ms = said.at_ms.saturating_sub(said.lasted_ms);
                    notices.push(said.notice(source, Kind::Alert, opened_ms, Some(said.at_ms)));
                }
            },
            Turn::Neither => {
                let kind = Kind::of(Event::Other);
                notices.push(said.notice(source, kind, said.at_ms, Some(said.at_ms)));
            }
        }
    }
    Ok(notices)
}

/// An event, as far as it matters.
struct Said {
    id: String,
    key: String,
    turn: Turn,
    at_ms: u64,
    lasted_ms: u64,
    monitor: String,
    severity: Option<String>,
    labels: Labels,
}

impl Said {
    fn read(place: usize, event: &Value) -> Result<Self, ImportError> {
        let place = format!("event {place}");
        let outer = event.get("attributes").unwrap_or(&Value::Null);
        let inner = outer.get("attributes").unwrap_or(&Value::Null);
        let id = text(event, &["id"]).ok_or_else(|| malformed(&place, "no id"))?;
        let at_ms = match (
            text(outer, &["timestamp"]),
            inner.get("timestamp").and_then(whole),
        ) {
            (Some(text), _) => timed(&place, time::with_offset(text))?,
            (None, Some(ms)) => ms,
            (None, None) => return Err(malformed(&place, "no timestamp")),
        };
        let title = text(inner, &["title"]).unwrap_or_default();
        let monitor = text(inner, &["monitor", "name"]).unwrap_or(title);
        let transition = text(inner, &["monitor", "transition", "trans_name"]);
        let status = text(inner, &["status"]).map(ToOwned::to_owned);
        let monitor_id = monitor_id(inner);
        let groups = groups(inner).join(",");
        // One monitor may watch many groups; where none is named the key that Datadog aggregates by is as good.
        let group = match groups.as_str() {
            "" => text(inner, &["aggregation_key"]).unwrap_or_default(),
            groups => groups,
        };
        Ok(Self {
            id: id.to_owned(),
            key: format!("{}|{group}", monitor_id.as_deref().unwrap_or_default()),
            turn: match monitor_id {
                None => Turn::Neither,
                Some(_) => turn(transition, status.as_deref(), title),
            },
            at_ms,
            lasted_ms: inner.get("duration").and_then(whole).unwrap_or(0) / 1_000_000,
            monitor: monitor.to_owned(),
            severity: status,
            labels: labels(outer, inner, monitor),
        })
    }

    fn notice(&self, source: &Name, kind: Kind, opened_ms: u64, closed_ms: Option<u64>) -> Notice {
        Notice {
            alert: Alert {
                source: source.clone(),
                source_id: id(&self.id),
                monitor: self.monitor.clone(),
                agent: None,
                kind,
                opened_ms,
                closed_ms,
                severity: self.severity.clone(),
            },
            labels: self.labels.clone(),
            class: None,
            muted: None,
            by_name: false,
        }
    }
}

fn monitor_id(inner: &Value) -> Option<String> {
    let own = at(inner, &["monitor_id"]);
    own.or_else(|| at(inner, &["monitor", "id"]))
        .and_then(scalar)
}

fn groups(inner: &Value) -> Vec<String> {
    let own = list(inner, &["monitor_groups"]).iter();
    let groups = own.chain(list(inner, &["monitor", "groups"]));
    groups.filter_map(scalar).collect()
}

/// What rules may ask for: what the monitor is called and says, and the tags of the event and of its groups.
fn labels(outer: &Value, inner: &Value, monitor: &str) -> Labels {
    let mut labels = Labels::new();
    put_members(&mut labels, "monitor.", inner.get("monitor"));
    for member in [
        "service",
        "hostname",
        "status",
        "priority",
        "aggregation_key",
        "title",
    ] {
        put(&mut labels, member, inner.get(member).and_then(scalar));
    }
    put(&mut labels, "monitor_id", monitor_id(inner));
    put(&mut labels, "monitor", Some(monitor));
    let transition = text(inner, &["monitor", "transition", "trans_name"]);
    put(&mut labels, "transition", transition);
    let tags = list(outer, &["tags"]).iter().chain(list(inner, &["tags"]));
    for tag in tags.filter_map(Value::as_str) {
        put_tag(&mut labels, tag);
    }
    for group in groups(inner) {
        put_tag(&mut labels, &group);
    }
    labels
}

/// `POST` of the template in the documentation. An end whose beginning was never heard of begins where it ends.
pub(super) fn webhook(source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
    let member = |name: &str| {
        document
            .get(name)
            .and_then(scalar)
            .filter(|it| !it.is_empty())
    };
    let needed =
        |name: &str| member(name).ok_or_else(|| malformed("the body", format!("no {name}")));
    let cycle = needed("cycle")?;
    let at_ms = document.get("at_ms").and_then(whole);
    let at_ms = at_ms.ok_or_else(|| malformed("the body", "at_ms is not a whole number"))?;
    let began_ms = document
        .get("began_ms")
        .and_then(whole)
        .filter(|it| *it > 0);
    let turn = turn(
        member("transition").as_deref(),
        member("type").as_deref(),
        "",
    );
    let mut labels = Labels::new();
    put_members(&mut labels, "", Some(document));
    let tags = member("tags").unwrap_or_default();
    tags.split(',')
        .for_each(|tag| put_tag(&mut labels, tag.trim()));
    let (kind, closed_ms) = match turn {
        Turn::Off => (Kind::Alert, None),
        Turn::Recovered => (Kind::Alert, Some(at_ms)),
        Turn::Neither => (Kind::of(Event::Other), Some(at_ms)),
    };
    Ok(vec![Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(&cycle),
            monitor: needed("monitor")?,
            agent: None,
            kind,
            opened_ms: began_ms.unwrap_or(at_ms).min(at_ms),
            closed_ms,
            severity: member("priority").or_else(|| member("type")),
        },
        labels,
        class: None,
        muted: None,
        by_name: began_ms.is_none(),
    }])
}

/// A tag is `name:value`; one without a value is a name alone.
fn put_tag(labels: &mut Labels, tag: &str) {
    let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
    if !name.is_empty() {
        labels
            .entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
}

/// By the transition where it is told, else by the status, else by how titles of monitors begin.
fn turn(transition: Option<&str>, status: Option<&str>, title: &str) -> Turn {
    let begins = |word: &str| title.starts_with(&format!("[{word}"));
    if let Some(transition) = transition {
        let transition = transition.to_lowercase();
        return match transition.as_str() {
            "recovered" | "alert recovery" | "warning recovery" | "no data recovery" => {
                Turn::Recovered
            }
            word if ["trigger", "no data", "re-", "warn", "renotify", "alert"]
                .iter()
                .any(|it| word.starts_with(it)) =>
            {
                Turn::Off
            }
            _ => Turn::Neither,
        };
    }
    match status {
        Some("error" | "warning" | "failure" | "warn") => Turn::Off,
        Some("success" | "ok") => Turn::Recovered,
        _ if begins("Triggered") || begins("Warn") || begins("No Data") || begins("Re-") => {
            Turn::Off
        }
        _ if begins("Recovered") => Turn::Recovered,
        _ => Turn::Neither,
    }
}
