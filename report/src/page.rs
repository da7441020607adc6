//! `report.html`: the report for people, in one file that runs nothing and fetches nothing.

use askama::Template;
use ledger::digest::Digest;
use ledger::record::AgentState;
use ledger::text::Name;
use timeline::life::LifeView;
use timeline::words::{counted, span, utc, visible};
use watchdogs::class::Class;

use crate::class::sentence;
use crate::compare::Judged;
use crate::document::{AgentView, CaseView, Document, InterventionView, SourceView};
use crate::picture::{self, Mark};
use crate::replay::Played;

/// How it looks: by day, by night, and on paper.
const STYLE: &str = include_str!("../templates/report.css");

/// Rows of the longest table: a browser takes seconds for more. The registers have all.
const MAX_INCIDENTS: usize = 1_000;

/// Evidence that ends so near to the report's time is not said to leave a part of it out.
const ENDS_NEAR_MS: u64 = 3_600_000;

/// Of false alarms fewer will do.
const MAX_ALARMS: usize = 100;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    /// Nothing may be loaded or run, and of styles only the one in the page, by its hash (CSP 3 §2.3.1).
    policy: String,
    style: &'static str,
    it: &'a Document,
    from: String,
    to: String,
    length: String,
    verdict: String,
    sums: Sums,
    coverage: Vec<Fact>,
    rows: Vec<ClassRow>,
    pictures: Vec<String>,
    legend: Vec<(String, &'static str)>,
    states: Vec<(AgentState, u64)>,
    incidents: Vec<CaseRow>,
    incidents_left_out: usize,
    alarms: Vec<CaseRow>,
    alarms_left_out: usize,
    agents: Vec<AgentRow>,
    mtboi: String,
    running: String,
    interventions: Vec<[String; 4]>,
    sources: Vec<SourceRow>,
}

/// A number with what it is a part of.
struct Fact {
    name: &'static str,
    value: String,
    of: String,
}

/// The whole difference in a line.
struct Sums {
    incidents: u64,
    both: u64,
    dragons: u64,
    watchdog: u64,
    false_dragons: u64,
    false_watchdog: u64,
    first: String,
}

struct ClassRow {
    class: &'static str,
    sentence: &'static str,
    numbers: [String; 5],
    rule: &'static str,
}

struct CaseRow {
    began: String,
    lasted: String,
    agent: String,
    class: &'static str,
    word: &'static str,
    mark: &'static str,
    claim: &'static str,
    who: String,
    could: &'static str,
    shown: String,
}

struct AgentRow {
    agent: String,
    hours: Vec<String>,
    numbers: [String; 3],
}

struct SourceRow {
    name: String,
    sees: String,
    rules: String,
    alerts: String,
    matched: String,
    muted: String,
    observations: String,
    skew: String,
    gaps: String,
}

/// Writes the page.
///
/// # Errors
/// If the template cannot be filled, which should not happen.
pub(crate) fn page(it: &Document, played: &Played) -> Result<String, askama::Error> {
    let mtboi = &it.mtboi;
    let is_incident = |case: &&CaseView| case.verdict == Judged::Incident.as_str();
    let (incidents, alarms): (Vec<&CaseView>, Vec<&CaseView>) =
        it.cases.iter().partition(is_incident);
    Page {
        policy: policy(),
        style: STYLE,
        from: day(it.from_ms),
        to: day(it.to_ms),
        length: span(it.to_ms - it.from_ms),
        verdict: verdict(it),
        sums: Sums::of(it),
        coverage: coverage(it),
        rows: it
            .difference
            .iter()
            .map(|row| ClassRow::of(row, it))
            .collect(),
        pictures: pictures(it, played),
        legend: Mark::ALL.map(|mark| (icon(mark), mark.words())).into(),
        states: AgentState::ALL
            .iter()
            .map(|it| (*it, picture::thickness(*it)))
            .collect(),
        incidents: rows_of(&incidents, MAX_INCIDENTS),
        incidents_left_out: incidents.len().saturating_sub(MAX_INCIDENTS),
        alarms: rows_of(&alarms, MAX_ALARMS),
        alarms_left_out: alarms.len().saturating_sub(MAX_ALARMS),
        agents: it.agents.iter().map(AgentRow::of).collect(),
        mtboi: mtboi.ms.map_or_else(|| "no intervention".to_owned(), span),
        running: span(mtboi.running_ms),
        interventions: it.coverage.interventions.iter().map(intervention).collect(),
        sources: it.coverage.sources.iter().map(SourceRow::of).collect(),
        it,
    }
    .render()
}

fn rows_of(cases: &[&CaseView], most: usize) -> Vec<CaseRow> {
    let cases = cases.iter().take(most);
    cases.map(|case| CaseRow::of(case)).collect()
}

fn policy() -> String {
    let hash = Digest::of(&[STYLE.as_bytes()]);
    let hash = tlog::base64::encode(hash.as_bytes());
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

fn verdict(it: &Document) -> String {
    let size = grouped(it.log.size);
    match (it.verdict, it.coverage.whole_log) {
        ("verified", true) => format!("Verified: all {size} entries of the log, from the first to the last, hold together."),
        ("verified", false) => "Verified: this part of the log holds together, and goes on from a state that the trust names."
            .to_owned(),
        ("failed", _) => "Failed: the evidence has a problem, so nothing in this report can be relied on. \
                          verification.json says what it is."
            .to_owned(),
        (_, false) => "Incomplete: the evidence is a part of the log, so what it leaves out can't be judged.".to_owned(),
        _ => "Incomplete: something that the trust demands could not be checked. verification.json says what.".to_owned(),
    }
}

impl Sums {
    fn of(it: &Document) -> Self {
        let sum = |part: fn(&crate::document::Row) -> u64| it.difference.iter().map(part).sum();
        let (both, dragons) = (sum(|row| row.both), sum(|row| row.dragons));
        let watchdog = sum(|row| row.watchdog);
        Self {
            incidents: both + dragons + watchdog,
            both,
            dragons,
            watchdog,
            false_dragons: sum(|row| row.false_dragons),
            false_watchdog: sum(|row| row.false_watchdog),
            first: first(&it.cases),
        }
    }
}

/// Who was earlier with what both saw, and by how much in the median.
fn first(cases: &[CaseView]) -> String {
    let mut leads: Vec<i64> = cases.iter().filter_map(|case| case.lead_ms).collect();
    leads.sort_unstable();
    let Some(median) = leads.get(leads.len() / 2).copied() else {
        return "Nothing was seen by both, so nobody was first.".to_owned();
    };
    let count = |is_one: fn(&i64) -> bool| leads.iter().filter(|lead| is_one(lead)).count();
    let (dragons, watchdog) = (count(|lead| *lead > 0), count(|lead| *lead < 0));
    let by = span(median.unsigned_abs());
    let median = match median {
        0 => "In the median neither was earlier.".to_owned(),
        1.. => format!("In the median Dragons was {by} earlier."),
        _ => format!("In the median the watchdog was {by} earlier."),
    };
    let all = counted(leads.len() as u64, "incident");
    format!(
        "Of {all} that both saw, Dragons was first with {dragons} and the watchdog with {watchdog}. {median}"
    )
}

fn coverage(it: &Document) -> Vec<Fact> {
    let (about, actions) = (&it.coverage, &it.coverage.actions);
    let window = it.to_ms - it.from_ms;
    let clipped =
        |from_ms: u64, to_ms: u64| to_ms.min(it.to_ms).saturating_sub(from_ms.max(it.from_ms));
    let silent: u64 = about
        .log_gaps
        .iter()
        .map(|gap| clipped(gap.from_ms, gap.to_ms))
        .sum();
    let hours: f64 = it
        .agents
        .iter()
        .flat_map(|agent| agent.hours.values())
        .sum();
    let all = actions.governed + actions.observed + actions.counted;
    let fact = |name, value: String, of: String| Fact { name, value, of };
    let share = |part: u64, words: &str| fact_of(part, all, words);
    let judged = match about.whole_log {
        true => "all of them judged, from the first entry of the log to the last",
        false => "of a part of the log: what it leaves out is not judged",
    };
    vec![
        evidence(it),
        fact("Entries", grouped(about.entries), judged.to_owned()),
        fact(
            "Agents",
            grouped(it.agents.len() as u64),
            format!(
                "registered for {hours:.1} agent-hours of these {}",
                span(window)
            ),
        ),
        fact(
            "Log silent",
            span(silent),
            format!(
                "of {}, in {}: nobody is blamed for these",
                span(window),
                counted(about.log_gaps.len() as u64, "gap")
            ),
        ),
        Fact {
            name: "Governed",
            ..share(actions.governed, "have a receipt")
        },
        Fact {
            name: "Observed only",
            ..share(
                actions.observed,
                "were seen by another tool and have no receipt",
            )
        },
        Fact {
            name: "Only counted",
            ..share(actions.counted, "reached no log, by the agents' own count")
        },
    ]
}

/// How much of the time the evidence is about.
fn evidence(it: &Document) -> Fact {
    let about = &it.coverage;
    let (value, of) = match about.log_from_ms.zip(about.log_to_ms) {
        None => ("none".to_owned(), "there is not a single entry".to_owned()),
        Some((from_ms, to_ms)) => {
            let late = from_ms.saturating_sub(it.from_ms);
            let early = it.to_ms.saturating_sub(to_ms);
            let both = to_ms.min(it.to_ms).saturating_sub(from_ms.max(it.from_ms));
            let of = format!("of {} in this report", span(it.to_ms - it.from_ms));
            let begins = format!("it begins {} after the report's time does", span(late));
            let ends = format!("it ends {} before the report's time does", span(early));
            let more = [(late, begins), (early, ends)].into_iter();
            // The last entry of a log that lives is a little older than the time that is asked for.
            let more = more
                .filter(|(ms, _)| *ms > ENDS_NEAR_MS)
                .map(|(_, text)| text);
            let all = std::iter::once(of).chain(more).collect::<Vec<_>>();
            (span(both), all.join("; "))
        }
    };
    Fact {
        name: "Evidence",
        value,
        of,
    }
}

fn fact_of(part: u64, all: u64, words: &str) -> Fact {
    let share = match all {
        0 => String::new(),
        _ => format!(" ({}.{} %)", part * 100 / all, part * 1000 / all % 10),
    };
    Fact {
        name: "",
        value: grouped(part),
        of: format!("of {} actions {words}{share}", grouped(all)),
    }
}

impl ClassRow {
    fn of(row: &crate::document::Row, it: &Document) -> Self {
        let class = Class::ALL.iter().find(|class| class.as_str() == row.class);
        let sees = |source: &&SourceView| {
            let words = source.sees.as_ref();
            words.is_some_and(|words| words.contains(&row.class))
        };
        let has_rule = it.coverage.sources.iter().any(|source| sees(&source));
        Self {
            class: row.class,
            sentence: class.map_or("The map does not say of which class the alert is.", |it| {
                sentence(*it)
            }),
            numbers: [
                row.both,
                row.dragons,
                row.watchdog,
                row.false_dragons,
                row.false_watchdog,
            ]
            .map(shown),
            rule: match (class, has_rule) {
                (None, _) => "–",
                (_, true) => "yes",
                (_, false) => "no rule",
            },
        }
    }
}

/// A dot for nothing, so that what is there stands out.
fn shown(count: u64) -> String {
    match count {
        0 => "·".to_owned(),
        count => grouped(count),
    }
}

fn pictures(it: &Document, played: &Played) -> Vec<String> {
    let lives: Vec<(&Name, &LifeView)> = played.lives.iter().collect();
    let chunks = lives.chunks(picture::AGENTS).enumerate();
    chunks
        .map(|(id, agents)| picture::svg(id, agents, &it.cases))
        .collect()
}

/// A mark alone, for the legend.
fn icon(mark: Mark) -> String {
    let (class, path) = (mark.class(), mark.path(8, 8));
    format!(
        "<svg class=\"month icon\" viewBox=\"0 0 16 16\" width=\"16\" height=\"16\" aria-hidden=\"true\">\
         <path class=\"mark {class}\" d=\"{path}\"/></svg>"
    )
}

impl CaseRow {
    fn of(case: &CaseView) -> Self {
        let (word, mark) = match (case.by, case.verdict) {
            ("both", _) => ("both", "both"),
            ("dragons", "incident") => ("Dragons alone", "alone"),
            ("dragons", _) => ("Dragons", "false"),
            (_, "incident") => ("watchdog alone", "uncovered"),
            _ => ("watchdog", "false"),
        };
        Self {
            began: moment(case.began_ms),
            lasted: case.ended_ms.map_or("not ended".to_owned(), |ended| {
                span(ended.saturating_sub(case.began_ms))
            }),
            agent: case.agent.clone().unwrap_or_else(|| "the log".to_owned()),
            class: case.class,
            word,
            mark,
            claim: if case.claimed {
                "control's claim: "
            } else {
                ""
            },
            who: who(case),
            could: could(case),
            shown: entries(&case.entries),
        }
    }
}

fn who(case: &CaseView) -> String {
    let mut monitors: Vec<String> = case
        .alerts
        .iter()
        .map(|it| format!("{} {}", it.source, it.monitor))
        .collect();
    monitors.dedup();
    let monitors = visible(&monitors.join(", ")).into_owned();
    let muted = if case.muted { ", muted" } else { "" };
    match case.lead_ms {
        None => format!("{monitors}{muted}"),
        Some(0) => format!("at the same time: {monitors}{muted}"),
        Some(lead) if lead > 0 => format!(
            "Dragons {} earlier than {monitors}{muted}",
            span(lead.unsigned_abs())
        ),
        Some(lead) => format!("{monitors} {} earlier{muted}", span(lead.unsigned_abs())),
    }
}

const fn could(case: &CaseView) -> &'static str {
    match (case.could_see, case.rule_on_day_0) {
        (None, _) => "not known: gap",
        (Some(false), _) => "no rule",
        (Some(true), Some(true)) => "rule on day 0",
        (Some(true), Some(false)) => "rule came later",
        (Some(true), None) => "has a rule",
    }
}

/// Entries one after another as one range; of many, how many more.
fn entries(entries: &[u64]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = entries.iter().take(SHOWN).map(u64::to_string).collect();
    match entries.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl AgentRow {
    fn of(agent: &AgentView) -> Self {
        let hours = AgentState::ALL
            .iter()
            .map(|state| agent.hours.get(state.as_str()));
        let hours = hours.map(|hours| match hours {
            Some(hours) if *hours > 0.0 => format!("{hours:.1}"),
            _ => "·".to_owned(),
        });
        let actions = &agent.actions;
        Self {
            agent: agent.agent.clone(),
            hours: hours.collect(),
            numbers: [actions.governed, actions.observed, actions.counted].map(shown),
        }
    }
}

fn intervention(it: &InterventionView) -> [String; 4] {
    [
        it.entry.to_string(),
        moment(it.at_ms),
        it.agent.clone(),
        visible(&it.what).into_owned(),
    ]
}

impl SourceRow {
    fn of(it: &SourceView) -> Self {
        let every = it.every_ms.map(|ms| format!("; looks every {}", span(ms)));
        Self {
            name: visible(&it.name).into_owned(),
            sees: match &it.sees {
                None => "the map does not say".to_owned(),
                Some(sees) => format!("{}{}", sees.join(", "), every.unwrap_or_default()),
            },
            rules: it
                .rules_from_ms
                .map_or("the map does not say".to_owned(), day),
            alerts: grouped(it.alerts),
            matched: grouped(it.matched),
            muted: it.muted.map_or("not known".to_owned(), grouped),
            observations: grouped(it.observations),
            skew: skew(it),
            gaps: gaps(it),
        }
    }
}

fn skew(it: &SourceView) -> String {
    match (it.skew.ms, it.skew.at_least_ms) {
        (Some(ms), _) => format!(
            "{} {}, by {}",
            span(ms.unsigned_abs()),
            side(ms),
            counted(it.skew.actions, "action")
        ),
        (None, Some(ms)) if ms > 0 => format!("at least {} ahead", span(ms.unsigned_abs())),
        (None, Some(_)) => "not ahead, by what it delivered".to_owned(),
        (None, None) => "not known: it logged no observation".to_owned(),
    }
}

const fn side(ms: i64) -> &'static str {
    if ms < 0 { "behind" } else { "ahead" }
}

fn gaps(it: &SourceView) -> String {
    let told = it.gaps.iter().map(|gap| {
        let (from, to) = (moment(gap.from_ms), moment(gap.to_ms));
        let entry = gap.entry.map(|entry| format!(", entry {entry}"));
        format!(
            "{from} to {to}: {}{}",
            visible(&gap.detail),
            entry.unwrap_or_default()
        )
    });
    match it.gaps.is_empty() {
        true => "nothing that it tells of".to_owned(),
        false => told.collect::<Vec<_>>().join("; "),
    }
}

/// A number with a thin space between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A time for people, to the second: the heads of the tables say that it is in UTC.
fn moment(ms: u64) -> String {
    let text = utc(ms);
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// A time as a day, where it is midnight.
fn day(ms: u64) -> String {
    let text = moment(ms);
    text.strip_suffix(" 00:00:00").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_threes() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1\u{202f}000"),
            (51_522_407, "51\u{202f}522\u{202f}407"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn of_many_entries_some_are_shown() {
        assert_eq!(entries(&[]), "");
        assert_eq!(entries(&[1, 5]), "1, 5");
        assert_eq!(entries(&[1, 2, 3, 4, 5, 6]), "1, 2, 3, 4 and 2 more");
    }
}
