//! An incident as a page: one file without script that fetches nothing, with the picture that the service draws, and the
//! same facts in tables.

use anyhow::Result;
use askama::Template;
use ledger::digest::Digest;
use ledger::record::AgentState;
use timeline::entry::Line;
use timeline::life::{Span, StateSpan};
use timeline::words::{self, utc, visible};
use timeline::{drawing, goal};

use super::Incident;
use super::lease::LeaseView;
use super::text::{NO_STATE, capabilities, files, refused};
use super::version::VersionView;
use crate::story::text::sentence;

/// How it looks, by day and by night.
const STYLE: &str = include_str!("../../templates/incident.css");

/// Rows of the longest table: a browser takes seconds for more. Of more, the newest; the other files have all.
const MAX_ROWS: usize = 5_000;

#[derive(Template)]
#[template(path = "incident.html")]
struct Page<'a> {
    /// Nothing may be loaded or run, and of styles only the one in the page, by its hash (CSP 3 §2.3.1).
    policy: String,
    style: &'static str,
    agent: &'a str,
    from: String,
    to: String,
    length: String,
    verdict: String,
    extent: String,
    is_verified: bool,
    heard: Option<String>,
    drawing: String,
    findings: Vec<FindingRow>,
    other_findings: usize,
    states: Vec<StateRow>,
    rows: Vec<EntryRow>,
    left_out: usize,
    leases: Vec<LeaseRow>,
    unleased: Vec<(String, String)>,
    versions: Vec<VersionRow>,
    refusals: Vec<RefusalRow>,
}

struct FindingRow {
    index: String,
    what: String,
    means: &'static str,
}

struct StateRow {
    since: String,
    state: &'static str,
    lasted: String,
    why: String,
}

struct EntryRow {
    index: String,
    when: String,
    kind: &'static str,
    what: String,
    findings: Vec<String>,
}

struct LeaseRow {
    index: u64,
    agent: String,
    from: String,
    to: String,
    scope: String,
    purpose: String,
    granted: String,
    renewals: Vec<String>,
    used: String,
    standing: String,
    record: String,
}

struct VersionRow {
    index: u64,
    since: String,
    version: String,
    hash: String,
    by: String,
    reason: String,
    capabilities: String,
    code: String,
    config: String,
    before: String,
    differences: Vec<[String; 4]>,
}

struct RefusalRow {
    index: u64,
    when: String,
    what: String,
    code: &'static str,
    means: &'static str,
}

/// Writes the page.
///
/// # Errors
///
/// If the template cannot be filled, which should not happen.
pub(crate) fn page(incident: &Incident) -> Result<String> {
    let rows: Vec<&[Line]> = incident.runs().collect();
    let left_out = rows.len().saturating_sub(MAX_ROWS);
    let life = &incident.life;
    let times = |from_ms, to_ms| (short(from_ms), short(to_ms));
    let page = Page {
        policy: policy(),
        style: STYLE,
        agent: incident.agent.as_str(),
        from: utc(incident.from_ms),
        to: utc(incident.to_ms),
        length: words::span(incident.to_ms - incident.from_ms),
        verdict: incident.verdict(),
        extent: incident.extent(),
        is_verified: incident.report.is_some(),
        heard: heard(incident),
        drawing: drawing::svg(life),
        findings: incident.findings.iter().map(FindingRow::of).collect(),
        other_findings: incident.other_findings(),
        states: life.states.iter().map(StateRow::of).collect(),
        rows: rows[left_out..]
            .iter()
            .map(|run| EntryRow::of(incident, run))
            .collect(),
        left_out,
        leases: incident
            .leases
            .iter()
            .map(|lease| LeaseRow::of(incident, lease))
            .collect(),
        unleased: life
            .unleased
            .iter()
            .map(|Span { from_ms, to_ms }| times(*from_ms, *to_ms))
            .collect(),
        versions: incident
            .versions
            .iter()
            .map(|version| VersionRow::of(incident, version))
            .collect(),
        refusals: life.refusals.iter().map(RefusalRow::of).collect(),
    };
    Ok(page.render()?)
}

fn policy() -> String {
    let hash = Digest::of(&[STYLE.as_bytes()]);
    let hash = tlog::base64::encode(hash.as_bytes());
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

fn heard(incident: &Incident) -> Option<String> {
    let header = incident.header.as_ref()?;
    let count = words::entries(header.count);
    let (origin, size, selection) = (&header.origin, header.size, &header.selection);
    Some(format!(
        "{}: {count} of {size}, {selection}",
        visible(origin)
    ))
}

impl FindingRow {
    fn of(finding: &ledger::verify::Finding) -> Self {
        Self {
            index: finding.index.map_or_else(String::new, |it| it.to_string()),
            what: visible(&sentence(finding)).into_owned(),
            means: finding.refusal.code.sentence(),
        }
    }
}

impl StateRow {
    fn of(span: &StateSpan) -> Self {
        let cause = span.cause.as_ref();
        let why = cause.map(|cause| format!("{}, entry {}", cause.in_words(), cause.index));
        Self {
            since: short(span.from_ms),
            state: span.state.map_or(NO_STATE, AgentState::as_str),
            lasted: words::span(span.to_ms - span.from_ms),
            why: why.unwrap_or_else(|| "since before".to_owned()),
        }
    }
}

impl EntryRow {
    fn of(incident: &Incident, run: &[Line]) -> Self {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        let about = first.agent.as_ref().filter(|it| **it != incident.agent);
        let about = about.map(|about| format!("{about}: "));
        let found = incident.findings_at(first.index);
        let (index, what) = match run.len() {
            1 => (first.index.to_string(), first.what.clone()),
            count => (
                format!("{} to {}", first.index, last.index),
                format!("{count} up to {}: {}", short(last.received_ms), last.what),
            ),
        };
        Self {
            index,
            when: short(first.received_ms),
            kind: first.kind,
            what: format!("{}{what}", about.unwrap_or_default()),
            findings: found
                .iter()
                .map(|finding| visible(&sentence(finding)).into_owned())
                .collect(),
        }
    }
}

impl LeaseRow {
    fn of(incident: &Incident, lease: &LeaseView) -> Self {
        let (told, holders) = (&lease.span, &incident.holders);
        Self {
            index: told.index.get(),
            agent: told.agent.to_string(),
            from: short(told.from_ms),
            to: short(told.to_ms),
            scope: lease.scope(),
            purpose: visible(told.purpose.as_str()).into_owned(),
            granted: visible(&lease.granted(holders)).into_owned(),
            renewals: lease
                .renewals(holders)
                .iter()
                .map(|it| visible(it).into_owned())
                .collect(),
            used: lease.budget(),
            standing: visible(&lease.standing(holders)).into_owned(),
            record: told.lease.to_string(),
        }
    }
}

impl VersionRow {
    fn of(incident: &Incident, version: &VersionView) -> Self {
        let (now, before) = (&version.now, version.before.as_ref());
        let name = |it: &super::version::Registered| {
            let version = it.registration.manifest.version.as_str();
            visible(version).into_owned()
        };
        let shown = |text: &str| visible(text).into_owned();
        let side = |side: &Option<String>| shown(side.as_deref().unwrap_or("nothing"));
        let differences = version.differences();
        let differences = differences.iter().map(|it| {
            [
                it.group.to_owned(),
                shown(&it.name),
                side(&it.old),
                side(&it.new),
            ]
        });
        Self {
            index: now.index.get(),
            since: short(now.received_ms),
            version: name(now),
            hash: now.registration.manifest_hash.to_string(),
            by: shown(&incident.holders.names(&now.by)),
            reason: shown(now.registration.reason.as_str()),
            capabilities: capabilities(&now.registration.manifest),
            code: files(&now.registration.manifest.code),
            config: files(&now.registration.manifest.config),
            before: before.map_or_else(
                || "none: it is the first".to_owned(),
                |before| format!("{}, entry {}", name(before), before.index),
            ),
            differences: differences.collect(),
        }
    }
}

impl RefusalRow {
    fn of(refusal: &goal::Refusal) -> Self {
        Self {
            index: refusal.index.get(),
            when: short(refusal.received_ms),
            what: visible(&refused(refusal)).into_owned(),
            code: refusal.code.as_str(),
            means: refusal.code.sentence(),
        }
    }
}

/// A time for people: the heads of the tables say that it is in UTC.
fn short(ms: u64) -> String {
    utc(ms).replace('T', " ").trim_end_matches('Z').to_owned()
}
