//! `/charter`: who holds which key, how many must sign, and how long anything may take; each version, and what it changed.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::digest::RecordHash;
use ledger::fingerprint::Fingerprint;
use ledger::json::Value;
use ledger::record::{Body, Charter, CharterKey, Kind, Mode, Role};
use serde::Deserialize;
use store::{Order, Topic};
use timeline::difference::{self, Difference};
use timeline::entry::Entry;
use timeline::words;
use tlog::LeafIndex;

use super::frame::Frame;
use super::respond;
use super::shown::{When, visible};
use crate::history;
use crate::http::Service;
use crate::http::parameters::{Decimal, Parameters, parsed_if_present};
use crate::http::problem::Problem;
use crate::log::Published;

/// How many versions are listed: of more, the newest.
const LISTED: usize = 100;

/// Which version is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The version; the one in force if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    version: Option<Decimal>,
}

#[derive(Template)]
#[template(path = "charter.html")]
struct CharterPage {
    frame: Frame,
    fingerprint: Option<String>,
    index: u64,
    since: When,
    version: u64,
    is_in_force: bool,
    mode: &'static str,
    thresholds: [String; 2],
    keys: Vec<Key>,
    log_keys: Vec<String>,
    bounds: Vec<(&'static str, String)>,
    /// What it changed; empty for the first.
    changes: Vec<Difference>,
    versions: Vec<Version>,
}

/// A key of the charter.
struct Key {
    name: String,
    roles: String,
    keyid: String,
    fingerprint: String,
    is_distrusted: bool,
}

/// A version in the list.
struct Version {
    version: u64,
    index: u64,
    since: When,
    is_shown: bool,
}

/// `GET /charter`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            respond(&build(&published, &wanted)?)
        })
        .await
}

fn build(published: &Published, wanted: &Wanted) -> Result<CharterPage, Problem> {
    let all = versions(published)?;
    let missing = || Problem::not_found("such a version of the charter");
    let newest = all.first().ok_or_else(missing)?;
    let is_wanted = |it: &&(Entry, Charter)| match wanted.version {
        Some(Decimal(version)) => it.1.version == version,
        None => true,
    };
    let at = all
        .iter()
        .position(|it| is_wanted(&it))
        .ok_or_else(missing)?;
    let (entry, charter) = all.get(at).ok_or_else(missing)?;
    let before = all
        .get(at + 1)
        .map(|(entry, _)| payload(entry))
        .transpose()?;
    let changes = match before {
        Some(before) => changes(&before, &payload(entry)?),
        None => Vec::new(),
    };
    let listed = |(entry, charter): &(Entry, Charter)| Version {
        version: charter.version,
        index: entry.index.get(),
        since: When(entry.received_ms),
        is_shown: charter.version == all[at].1.version,
    };
    let log = published.state.log();
    Ok(CharterPage {
        frame: Frame::of(published, "Charter").following("kind=charter"),
        fingerprint: log
            .as_ref()
            .map(|log: &RecordHash| Fingerprint::of_charter(log).to_string()),
        index: entry.index.get(),
        since: When(entry.received_ms),
        version: charter.version,
        is_in_force: charter.version == newest.1.version,
        mode: match charter.mode {
            Mode::Enforce => "This log refuses what breaks a rule.",
            Mode::Observe => {
                "This log only observes agents: it logs what they do, notes what breaks a rule, and refuses nothing."
            }
        },
        thresholds: thresholds(charter),
        keys: charter
            .keys
            .iter()
            .map(|key| Key::of(key, charter))
            .collect(),
        log_keys: charter
            .log_keys
            .iter()
            .map(|key| Fingerprint::of_note_key(key).to_string())
            .collect(),
        bounds: bounds(charter),
        changes,
        versions: all.iter().map(listed).collect(),
    })
}

/// The charters of the log, the one in force first.
fn versions(published: &Published) -> Result<Vec<(Entry, Charter)>, Problem> {
    let all = 0..published.size.get();
    let rows = published.mentions(&Topic::Kind(Kind::Charter), all, Order::NewestFirst, LISTED)?;
    let mut found = Vec::new();
    for (index, _) in rows {
        let entry = history::entry(published, LeafIndex::new(index.get()))?;
        if let Body::Charter(charter) = entry.body() {
            let charter = (**charter).clone();
            found.push((entry, charter));
        }
    }
    Ok(found)
}

fn payload(entry: &Entry) -> Result<Value, Problem> {
    Value::parse(entry.record.envelope().payload()).map_err(Problem::internal)
}

/// What differs beside what differs in every version.
fn changes(old: &Value, new: &Value) -> Vec<Difference> {
    let always = [
        "version",
        "previous",
        "charter.version",
        "charter.previous",
        "at_ms",
    ];
    let mut all = difference::between(old, new);
    all.retain(|it| !always.contains(&it.member.as_str()));
    all
}

fn thresholds(charter: &Charter) -> [String; 2] {
    let of = |needed: u64, role: Role| {
        let holders = charter.keys_of(role).count();
        format!("{needed} of {holders}")
    };
    let needed = charter.thresholds;
    [
        of(needed.root, Role::Root),
        of(needed.operator, Role::Operator),
    ]
}

fn bounds(charter: &Charter) -> Vec<(&'static str, String)> {
    let (limits, clocks, span) = (&charter.limits, &charter.liveness, words::span);
    vec![
        ("A lease lasts at most", span(limits.lease_max_ms)),
        ("One action takes at most", span(limits.inflight_max_ms)),
        (
            "A signer's clock may be off by",
            span(limits.authority_age_ms),
        ),
        (
            "Denials in 24 hours that quarantine an agent",
            limits.denials_max.to_string(),
        ),
        (
            "An agent sends a heartbeat every",
            span(clocks.heartbeat_ms),
        ),
        (
            "The control plane sends a pulse every",
            span(clocks.pulse_ms),
        ),
        (
            "Silence or lack of progress that degrades",
            span(clocks.degraded_after_ms),
        ),
        (
            "Silence or lack of progress that starts healing",
            span(clocks.autoheal_after_ms),
        ),
        (
            "Attempts at healing before quarantine",
            clocks.heal_attempts.to_string(),
        ),
        ("One attempt takes at most", span(clocks.heal_timeout_ms)),
        (
            "Heartbeats with progress that end the healing",
            clocks.heal_beats.to_string(),
        ),
        (
            "The control plane may be late by",
            span(clocks.tolerance_ms),
        ),
    ]
}

impl Key {
    fn of(key: &CharterKey, charter: &Charter) -> Self {
        let roles: Vec<&str> = key.roles.iter().map(|role| role.as_str()).collect();
        let keyid = key.key.id();
        Self {
            name: visible(key.name.as_str()),
            roles: roles.join(", "),
            fingerprint: Fingerprint::of_key(&key.key).to_string(),
            is_distrusted: charter.distrusted.contains(&keyid),
            keyid: keyid.to_string(),
        }
    }
}
