//! `report.json`: what the report says, for programs. The same evidence and inputs give the same bytes; only `made_by`
//! says which program wrote it.
//!
//! Times are milliseconds since the epoch. The schema is `docs/report.schema.json`.

use std::collections::BTreeMap;

use ledger::digest::Digest;
use ledger::record::AgentState;
use ledger::text::Name;
use serde::Serialize;
use timeline::life::LifeView;
use watchdogs::class::Class;
use watchdogs::config::{DEFAULT_SLACK_MS, MapSource};

use crate::acts::Unlogged;
use crate::compare::{By, Case, Judged, Reference};
use crate::inputs::{InputView, Watch};
use crate::replay::{LogGap, Played};
use crate::watch::{self, Alert, Gap};

/// The name of this form of report.
pub const FORMAT: &str = "dragons.day30/v1";

/// An hour in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// Which time a report is about, and who makes it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Its first millisecond.
    pub from_ms: u64,
    /// The first after it.
    pub to_ms: u64,
    /// The record hash of the charter that the reader trusts.
    pub charter: String,
    /// The program that makes it.
    pub made_by: String,
}

/// The report.
#[derive(Debug, Serialize)]
pub struct Document {
    day30: &'static str,
    /// The first millisecond that it is about.
    pub from_ms: u64,
    /// The first after it.
    pub to_ms: u64,
    /// Which log, and how much of it.
    pub log: LogView,
    /// The program that made it.
    pub made_by: String,
    /// What the verifier says of the evidence.
    pub verdict: &'static str,
    /// What the numbers rest on.
    pub coverage: Coverage,
    /// What it was made from.
    pub inputs: Vec<InputView>,
    /// Each agent.
    pub agents: Vec<AgentView>,
    /// What happened, or did not.
    pub cases: Vec<CaseView>,
    /// How many of each, by class.
    pub difference: Vec<Row>,
    /// Mean time between interventions.
    pub mtboi: Mtboi,
}

/// The log that the report rests on.
#[derive(Debug, Serialize)]
pub struct LogView {
    /// What it is called.
    pub origin: String,
    /// The fingerprint of its constitution, as the reader trusts it.
    pub charter: String,
    /// How many entries it had.
    pub size: u64,
    /// The root of its tree.
    pub root: String,
}

/// What the numbers rest on.
#[derive(Debug, Serialize)]
pub struct Coverage {
    /// Whether every entry of the log was judged, from the first to the last.
    pub whole_log: bool,
    /// How many entries were logged within the time.
    pub entries: u64,
    /// The first of them.
    pub first_entry: Option<u64>,
    /// The last of them.
    pub last_entry: Option<u64>,
    /// When the first entry of the evidence was received.
    pub log_from_ms: Option<u64>,
    /// When the last was.
    pub log_to_ms: Option<u64>,
    /// Leaves that hold no record.
    pub unreadable: u64,
    /// When nothing at all was logged: nobody is blamed for these times.
    pub log_gaps: Vec<SpanView>,
    /// What the agents did, summed.
    pub actions: ActionsView,
    /// What agents did without a log, by their own count.
    pub unlogged: Vec<UnloggedView>,
    /// The watchdogs.
    pub sources: Vec<SourceView>,
    /// Interventions, which [`Mtboi`] counts.
    pub interventions: Vec<InterventionView>,
    /// Incidents that were noticed before the time and last into it: they are in the report before this one.
    pub earlier_incidents: u64,
    /// What the verifier found, or the control plane refused, that belongs to no class.
    pub unclassed: Vec<UnclassedView>,
}

/// A span of time, and the entry that tells of it.
#[derive(Debug, Serialize)]
pub struct SpanView {
    /// Its first millisecond.
    pub from_ms: u64,
    /// Its last.
    pub to_ms: u64,
    /// The entry.
    pub entry: u64,
}

/// How many actions.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ActionsView {
    /// With a receipt.
    pub governed: u64,
    /// Seen by another tool, without a receipt.
    pub observed: u64,
    /// Only counted.
    pub counted: u64,
}

/// What an agent did without a log.
#[derive(Debug, Serialize)]
pub struct UnloggedView {
    /// The agent.
    pub agent: String,
    /// When it was heard of before.
    pub from_ms: u64,
    /// When it said so.
    pub to_ms: u64,
    /// How many actions.
    pub count: u64,
    /// The entry that says so.
    pub entry: u64,
}

/// A watchdog.
#[derive(Debug, Serialize)]
pub struct SourceView {
    /// What it is called.
    pub name: String,
    /// How often it looks.
    pub every_ms: Option<u64>,
    /// How far its alerts may be from what they are about.
    pub slack_ms: u64,
    /// What it has rules for; null if the map does not say.
    pub sees: Option<Vec<&'static str>>,
    /// Since when.
    pub rules_from_ms: Option<u64>,
    /// Its alerts about agents, within the time.
    pub alerts: u64,
    /// How many of them were about an incident.
    pub matched: u64,
    /// How many were muted; null where nobody says so of any.
    pub muted: Option<u64>,
    /// Observations other than alerts, within the time.
    pub observations: u64,
    /// What it has lost.
    pub gaps: Vec<Gap>,
    /// How far its clock is ahead of the log's.
    pub skew: SkewView,
}

/// How far a clock is ahead; below zero if it is behind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct SkewView {
    /// The estimate; null where no action was seen by both.
    pub ms: Option<i64>,
    /// The least that it can be.
    pub at_least_ms: Option<i64>,
    /// How many actions the estimate rests on.
    pub actions: u64,
}

/// An intervention.
#[derive(Debug, Serialize)]
pub struct InterventionView {
    /// The entry.
    pub entry: u64,
    /// When.
    pub at_ms: u64,
    /// About whom.
    pub agent: String,
    /// What it was.
    pub what: String,
}

/// What belongs to no class.
#[derive(Debug, Serialize)]
pub struct UnclassedView {
    /// The code.
    pub code: &'static str,
    /// At whose fault; null for a refusal.
    pub by: Option<&'static str>,
    /// Where.
    pub entries: Vec<u64>,
}

/// An agent.
#[derive(Debug, Serialize)]
pub struct AgentView {
    /// Its name.
    pub agent: String,
    /// How long it was in each state, in hours.
    pub hours: BTreeMap<&'static str, f64>,
    /// What it did.
    pub actions: ActionsView,
}

/// A case.
#[derive(Debug, Serialize)]
pub struct CaseView {
    /// Its name: the class, the agent and the first entry; or the alert.
    pub id: String,
    /// The agent; null for the log as a whole.
    pub agent: Option<String>,
    /// The class; `unknown` for an alert whose class the map does not say.
    pub class: &'static str,
    /// When it began.
    pub began_ms: u64,
    /// When it ended; null if it lasts, or if nobody closed the alert.
    pub ended_ms: Option<u64>,
    /// Who saw it.
    pub by: &'static str,
    /// What it was.
    pub verdict: &'static str,
    /// The entries that show it.
    pub entries: Vec<u64>,
    /// The alerts about it.
    pub alerts: Vec<Alert>,
    /// By how much Dragons was earlier; below zero if it was later; null unless both saw it.
    pub lead_ms: Option<i64>,
    /// Whether a watchdog has a rule for the class; null if all that have one had lost something at that time.
    pub could_see: Option<bool>,
    /// Whether it had that rule when the time began; null if nobody says.
    pub rule_on_day_0: Option<bool>,
    /// Whether every alert about it is known to have been muted.
    pub muted: bool,
    /// Whether all that shows it is the control plane's claim: refusals without the records that were refused.
    pub claimed: bool,
}

/// One class of the difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The class.
    pub class: &'static str,
    /// Incidents that both saw.
    pub both: u64,
    /// Incidents that Dragons alone saw.
    pub dragons: u64,
    /// Alerts for times that the log does not cover.
    pub watchdog: u64,
    /// False alarms of the control plane.
    pub false_dragons: u64,
    /// False alarms of the watchdogs.
    pub false_watchdog: u64,
}

/// Mean time between operator interventions: the time in which agents ran, governed, over the interventions.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Mtboi {
    /// How long agents were in the state running, summed.
    pub running_ms: u64,
    /// Orders, revocations, and leases granted again after a quarantine or a stop.
    pub interventions: u64,
    /// The quotient; null for no intervention.
    pub ms: Option<u64>,
}

/// The class of an alert of which the map does not say one.
pub const UNKNOWN: &str = "unknown";

impl Document {
    /// Puts the report together.
    pub fn of(terms: &Terms, played: &Played, watch: &Watch, pack: Digest) -> Self {
        let alerts = watch::merged([&played.alerts[..], &watch.alerts[..]].concat());
        let all = cases(terms, played, watch, &alerts);
        let is_ours = |case: &&Case| is_within(case, terms);
        let cases: Vec<CaseView> = all.iter().filter(is_ours).map(CaseView::of).collect();
        let agents: Vec<AgentView> = agents(played);
        Self {
            day30: FORMAT,
            from_ms: terms.from_ms,
            to_ms: terms.to_ms,
            log: LogView {
                origin: played.header.origin.clone(),
                charter: terms.charter.clone(),
                size: played.header.size.get(),
                root: played.checkpoint.root.to_string(),
            },
            made_by: terms.made_by.clone(),
            verdict: played.report.verdict.as_str(),
            coverage: coverage(terms, played, watch, &all),
            inputs: inputs(played, watch, pack),
            difference: difference(&cases),
            mtboi: mtboi(played),
            agents,
            cases,
        }
    }

    /// It as JSON, with its LF.
    ///
    /// # Errors
    /// If it cannot be written as JSON, for which there is no reason.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// The alerts that the log itself tells of come first.
fn inputs(played: &Played, watch: &Watch, pack: Digest) -> Vec<InputView> {
    let alerts = played.alerts.len() as u64;
    let log = InputView {
        name: crate::files::PACK.to_owned(),
        kind: "pack".to_owned(),
        sha256: hex(pack),
        rows: alerts,
        mapped: alerts,
        unmapped: 0,
    };
    [log]
        .into_iter()
        .chain(watch.inputs.iter().cloned())
        .collect()
}

/// A digest without its prefix, as `sha256sum` prints it.
pub(crate) fn hex(digest: Digest) -> String {
    let text = digest.to_string();
    text.strip_prefix("sha256:").unwrap_or(&text).to_owned()
}

/// A case belongs to the report in whose time it was noticed, so that no two reports count it.
fn is_within(case: &Case, terms: &Terms) -> bool {
    let at_ms = case.noticed_ms.unwrap_or(case.began_ms);
    (terms.from_ms..terms.to_ms).contains(&at_ms)
}

fn cases(terms: &Terms, played: &Played, watch: &Watch, alerts: &[Alert]) -> Vec<Case> {
    let ground = Reference {
        found: &played.found,
        sources: &watch.sources,
        gaps: &played.acts.gaps,
        from_ms: terms.from_ms,
        covers: &|alert| covers(played, alert),
    };
    ground.cases(alerts)
}

/// Whether the log shows what an agent did while an alert was open. Where it does not, the alert may be right.
fn covers(played: &Played, alert: &Alert) -> bool {
    let (from_ms, to_ms) = (alert.opened_ms, alert.last_ms());
    let life = played.lives.get(&alert.agent);
    let known_ms = life.and_then(|life| life.states.first().map(|it| it.from_ms));
    let ends_ms = played.seen.last_ms.unwrap_or(0);
    let meets = |gap: &LogGap| gap.from_ms <= to_ms && gap.to_ms >= from_ms;
    let acted_unseen = |it: &Unlogged| {
        let is_of = it.agent == alert.agent && alert.class != Some(Class::Silence);
        is_of && it.from_ms <= to_ms && it.to_ms >= from_ms
    };
    played.has_judged(from_ms)
        && known_ms.is_some_and(|known_ms| known_ms <= from_ms)
        && from_ms <= ends_ms
        && !played.log_gaps.iter().any(meets)
        && !played.acts.unlogged.iter().any(acted_unseen)
}

fn agents(played: &Played) -> Vec<AgentView> {
    let of = |(name, life): (&Name, &LifeView)| AgentView {
        agent: name.to_string(),
        hours: hours(life),
        actions: actions(played, name),
    };
    played.lives.iter().map(of).collect()
}

fn actions(played: &Played, agent: &Name) -> ActionsView {
    let actions = played.acts.actions.get(agent).copied().unwrap_or_default();
    ActionsView {
        governed: actions.governed,
        observed: actions.observed,
        counted: actions.counted,
    }
}

fn hours(life: &LifeView) -> BTreeMap<&'static str, f64> {
    let mut ms: BTreeMap<&'static str, u64> =
        AgentState::ALL.iter().map(|it| (it.as_str(), 0)).collect();
    for span in &life.states {
        let state = span.state.map_or(UNKNOWN, AgentState::as_str);
        *ms.entry(state).or_default() += span.to_ms - span.from_ms;
    }
    ms.into_iter()
        .map(|(state, ms)| (state, in_hours(ms)))
        .collect()
}

/// In hours, to four places: a third of a second.
#[expect(
    clippy::cast_precision_loss,
    reason = "times of centuries are exact in 53 bits"
)]
fn in_hours(ms: u64) -> f64 {
    (ms as f64 / HOUR_MS as f64 * 10_000.0).round() / 10_000.0
}

fn mtboi(played: &Played) -> Mtboi {
    let states = played.lives.values().flat_map(|life| &life.states);
    let running = states.filter(|span| span.state == Some(AgentState::Running));
    let running_ms = running.map(|span| span.to_ms - span.from_ms).sum();
    let interventions = played.books.interventions.len() as u64;
    Mtboi {
        running_ms,
        interventions,
        ms: (interventions > 0).then(|| running_ms / interventions.max(1)),
    }
}

fn difference(cases: &[CaseView]) -> Vec<Row> {
    let words = Class::ALL.iter().map(|class| class.as_str());
    let unknown = cases.iter().any(|case| case.class == UNKNOWN);
    let words = words.chain(unknown.then_some(UNKNOWN));
    words.map(|class| row(class, cases)).collect()
}

fn row(class: &'static str, cases: &[CaseView]) -> Row {
    let count = |by: By, verdict: Judged| {
        let is_one = |case: &&CaseView| {
            (case.class, case.by, case.verdict) == (class, by.as_str(), verdict.as_str())
        };
        cases.iter().filter(is_one).count() as u64
    };
    Row {
        class,
        both: count(By::Both, Judged::Incident),
        dragons: count(By::Dragons, Judged::Incident),
        watchdog: count(By::Watchdog, Judged::Incident),
        false_dragons: count(By::Dragons, Judged::FalseAlarm),
        false_watchdog: count(By::Watchdog, Judged::FalseAlarm),
    }
}

fn coverage(terms: &Terms, played: &Played, watch: &Watch, cases: &[Case]) -> Coverage {
    let seen = &played.seen;
    let meets = |from_ms: u64, to_ms: u64| from_ms < terms.to_ms && to_ms >= terms.from_ms;
    let log_gaps = played
        .log_gaps
        .iter()
        .filter(|gap| meets(gap.from_ms, gap.to_ms));
    let unlogged = played
        .acts
        .unlogged
        .iter()
        .filter(|it| meets(it.from_ms, it.to_ms));
    let is_earlier = |case: &&Case| {
        case.noticed_ms.is_some_and(|at_ms| at_ms < terms.from_ms)
            && case.verdict == Judged::Incident
            && case.meets(terms.from_ms, terms.to_ms)
    };
    let mut actions = ActionsView::default();
    for of in played.acts.actions.values() {
        actions.governed += of.governed;
        actions.observed += of.observed;
        actions.counted += of.counted;
    }
    Coverage {
        whole_log: played.is_whole(),
        entries: seen.within,
        first_entry: seen.indices.map(|(first, _)| first),
        last_entry: seen.indices.map(|(_, last)| last),
        log_from_ms: seen.first_ms,
        log_to_ms: seen.last_ms,
        unreadable: seen.unreadable,
        log_gaps: log_gaps.map(SpanView::of).collect(),
        actions,
        unlogged: unlogged.map(UnloggedView::of).collect(),
        sources: sources(terms, played, watch, cases),
        interventions: interventions(played),
        earlier_incidents: cases.iter().filter(is_earlier).count() as u64,
        unclassed: unclassed(played),
    }
}

fn interventions(played: &Played) -> Vec<InterventionView> {
    let of = |it: &crate::register::Intervention| InterventionView {
        entry: it.index,
        at_ms: it.received_ms,
        agent: it.agent.to_string(),
        what: it.what.clone(),
    };
    played.books.interventions.iter().map(of).collect()
}

fn unclassed(played: &Played) -> Vec<UnclassedView> {
    let within = played.seen.indices;
    let is_ours = |entry: &&u64| within.is_some_and(|(first, last)| (first..=last).contains(entry));
    let of = |(what, entries): (&crate::found::Unclassed, &Vec<u64>)| UnclassedView {
        code: what.code.as_str(),
        by: what.by.map(ledger::codes::Party::as_str),
        entries: entries.iter().filter(is_ours).copied().collect(),
    };
    let told = played.unclassed.iter().map(of);
    told.filter(|it| !it.entries.is_empty()).collect()
}

/// Those that the map names, and those that only the log knows.
fn sources(terms: &Terms, played: &Played, watch: &Watch, cases: &[Case]) -> Vec<SourceView> {
    let mut sources = watch.sources.clone();
    let heard = played.acts.clocks.keys();
    let alerting = cases
        .iter()
        .flat_map(|case| &case.alerts)
        .map(|it| &it.source);
    let names = heard
        .chain(alerting)
        .filter_map(|name| name.parse::<Name>().ok());
    for name in names {
        if !sources.iter().any(|it| it.name == name) {
            sources.push(MapSource {
                name,
                every_ms: None,
                slack_ms: DEFAULT_SLACK_MS,
                sees: None,
                rules_from_ms: None,
            });
        }
    }
    sources.sort_by(|left, right| left.name.cmp(&right.name));
    sources
        .iter()
        .map(|it| source(it, terms, played, cases))
        .collect()
}

fn source(source: &MapSource, terms: &Terms, played: &Played, cases: &[Case]) -> SourceView {
    let (acts, name) = (&played.acts, source.name.as_str());
    let within = |alert: &&Alert| (terms.from_ms..terms.to_ms).contains(&alert.opened_ms);
    let is_its = |alert: &&Alert| alert.source == name && within(alert);
    let count = |is_counted: &dyn Fn(&Case, &Alert) -> bool| {
        let of = |case: &Case| {
            let alerts = case.alerts.iter().filter(is_its);
            alerts.filter(|alert| is_counted(case, alert)).count() as u64
        };
        cases.iter().map(of).sum()
    };
    let skew = acts.clocks.get(name).map(|clocks| clocks.skew());
    let skew = skew.unwrap_or_default();
    let gaps = acts.gaps.iter().filter(|gap| gap.source == name);
    SourceView {
        name: name.to_owned(),
        every_ms: source.every_ms,
        slack_ms: source.slack_ms,
        sees: source
            .sees
            .as_ref()
            .map(|sees| sees.iter().map(|class| class.as_str()).collect()),
        rules_from_ms: source.rules_from_ms,
        alerts: count(&|_, _| true),
        matched: count(&|case, _| case.by == By::Both),
        muted: (count(&|_, alert| alert.muted.is_some()) > 0)
            .then(|| count(&|_, alert| alert.muted == Some(true))),
        observations: acts.observations.get(name).copied().unwrap_or(0),
        gaps: gaps.cloned().collect(),
        skew: SkewView {
            ms: skew.ms,
            at_least_ms: skew.at_least_ms,
            actions: skew.actions,
        },
    }
}

impl SpanView {
    const fn of(gap: &LogGap) -> Self {
        Self {
            from_ms: gap.from_ms,
            to_ms: gap.to_ms,
            entry: gap.entry,
        }
    }
}

impl UnloggedView {
    fn of(it: &Unlogged) -> Self {
        Self {
            agent: it.agent.to_string(),
            from_ms: it.from_ms,
            to_ms: it.to_ms,
            count: it.count,
            entry: it.entry,
        }
    }
}

impl CaseView {
    fn of(case: &Case) -> Self {
        Self {
            id: case.id.clone(),
            agent: case.agent.as_ref().map(Name::to_string),
            class: case.class.map_or(UNKNOWN, Class::as_str),
            began_ms: case.began_ms,
            ended_ms: case.ended_ms,
            by: case.by.as_str(),
            verdict: case.verdict.as_str(),
            entries: case.entries.clone(),
            alerts: case.alerts.clone(),
            lead_ms: case.lead_ms(),
            could_see: case.could_see,
            rule_on_day_0: case.rule_on_day_0,
            muted: case.muted,
            claimed: case.claimed,
        }
    }
}
