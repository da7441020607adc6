//! What a report must say about a run beside its watchdogs, and how well it does.
//!
//! What happened is known from the [plan](crate::fleet), what the watchdogs said from [`crate::watchdog`].
//! Which alert is about which incident follows from both by the text of the rule: same agent, same class or an unknown
//! one, times that meet within the slack of the source, and the earliest of those.

use std::collections::BTreeMap;
use std::fmt;

use crate::fleet::Plan;
use crate::script::CLOCKS;
use crate::simulation::agent_name;
use crate::truth;
use crate::watchdog::{self, Alarm};

/// How far the time of something may be from the truth: until the next leaf shows it, and to the end of what follows.
const SLOP_MS: u64 = CLOCKS.pulse_ms + CLOCKS.tolerance_ms;

/// The classes, in the order that decides between two that begin together.
pub const CLASSES: [&str; 9] = [
    "stall",
    "silence",
    "authority",
    "scope",
    "drift",
    "zombie",
    "overrun",
    "unfinished",
    "control",
];

/// A cell of the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Both saw it.
    Both,
    /// Dragons alone saw it.
    Dragons,
    /// The watchdog alone saw it: the log does not cover it.
    Watchdog,
    /// A false alarm of the control plane.
    FalseDragons,
    /// A false alarm of a watchdog.
    FalseWatchdog,
}

/// A case as a report tells it, or as it must be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Its class; `unknown` for an alert of which nobody knows.
    pub class: String,
    /// The agent.
    pub agent: Option<String>,
    /// When it began.
    pub began_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// Where it belongs.
    pub cell: Cell,
    /// The alerts about it: source, name and opening, sorted.
    pub alerts: Vec<(String, String, u64)>,
    /// Whether a watchdog could see it, where somebody says.
    pub could_see: Option<bool>,
    /// Whether a watchdog had a rule for it when the run began, where somebody says.
    pub rule_on_day_0: Option<bool>,
    /// Whether all alerts about it were muted.
    pub muted: bool,
}

/// What must be told of a run.
pub fn truth(plan: &Plan, alarms: &[Alarm]) -> Vec<Difference> {
    let mut about: Vec<Vec<&Alarm>> = plan.incidents.iter().map(|_| Vec::new()).collect();
    let mut told = Vec::new();
    for alarm in alarms {
        match incident_of(alarm, plan) {
            Some(at) => about[at].push(alarm),
            None => told.push(alone(alarm, plan)),
        }
    }
    let incidents = plan.incidents.iter().zip(&about);
    told.extend(incidents.map(|(incident, alarms)| with(incident, alarms)));
    told.sort();
    told
}

fn with(incident: &truth::Incident, alarms: &[&Alarm]) -> Difference {
    let sees = |dog: &watchdog::Watchdog| dog.sees.contains(&incident.class);
    Difference {
        class: incident.class.to_owned(),
        agent: incident.agent.map(|agent| agent_name(agent).to_string()),
        began_ms: incident.began_ms,
        ended_ms: Some(incident.ended_ms),
        cell: match (incident.is_false, alarms.is_empty()) {
            (true, _) => Cell::FalseDragons,
            (false, true) => Cell::Dragons,
            (false, false) => Cell::Both,
        },
        alerts: names(alarms),
        // Whoever said so could see it.
        could_see: Some(!alarms.is_empty() || watchdog::ALL.iter().any(sees)),
        rule_on_day_0: Some(had_rule(incident.class)),
        muted: !alarms.is_empty() && alarms.iter().all(|alarm| alarm.muted),
    }
}

fn alone(alarm: &Alarm, plan: &Plan) -> Difference {
    let closed_ms = alarm.closed_ms.unwrap_or(alarm.opened_ms);
    let mut gaps = plan
        .incidents
        .iter()
        .filter(|incident| matches!(incident.fault, truth::Class::Outage | truth::Class::Silence));
    let is_in_gap = gaps.any(|gap| gap.began_ms <= closed_ms && gap.ended_ms >= alarm.opened_ms);
    Difference {
        class: alarm.class.unwrap_or("unknown").to_owned(),
        agent: Some(agent_name(alarm.agent).to_string()),
        began_ms: alarm.opened_ms,
        ended_ms: alarm.closed_ms,
        cell: match is_in_gap {
            true => Cell::Watchdog,
            false => Cell::FalseWatchdog,
        },
        alerts: names(&[alarm]),
        could_see: Some(true),
        rule_on_day_0: alarm.class.map(had_rule),
        muted: alarm.muted,
    }
}

fn had_rule(class: &str) -> bool {
    let mut dogs = watchdog::ALL.iter();
    dogs.any(|dog| dog.sees.contains(&class) && dog.rules_after_ms == 0)
}

fn names(alarms: &[&Alarm]) -> Vec<(String, String, u64)> {
    let name = |alarm: &&Alarm| (alarm.source.to_owned(), alarm.id.clone(), alarm.opened_ms);
    let mut names: Vec<_> = alarms.iter().map(name).collect();
    names.sort();
    names
}

fn incident_of(alarm: &Alarm, plan: &Plan) -> Option<usize> {
    let dog = watchdog::ALL.iter().find(|dog| dog.name == alarm.source);
    let slack_ms = dog.map_or(0, |dog| dog.slack_ms);
    let closed_ms = alarm.closed_ms.unwrap_or(alarm.opened_ms);
    let fits = |incident: &truth::Incident| {
        !incident.is_false
            && incident.agent == Some(alarm.agent)
            && alarm.class.is_none_or(|class| class == incident.class)
            && closed_ms + slack_ms >= incident.began_ms
            && alarm.opened_ms <= incident.ended_ms + slack_ms
    };
    let fitting = plan
        .incidents
        .iter()
        .enumerate()
        .filter(|(_, incident)| fits(incident));
    let place = |class: &str| CLASSES.iter().position(|other| *other == class);
    let earliest = fitting.min_by_key(|(_, incident)| (incident.began_ms, place(incident.class)));
    earliest.map(|(at, _)| at)
}

/// How well a report agrees with the truth, cell by cell.
#[derive(Debug, Default)]
pub struct Score {
    rows: BTreeMap<(String, Cell), Row>,
    /// What is true and was not told.
    pub missed: Vec<Difference>,
    /// What was told and is not true.
    pub surplus: Vec<Difference>,
}

/// One cell of one class.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    right: u64,
    missed: u64,
    surplus: u64,
}

/// Compares what a report tells with the truth: one case for one.
pub fn score(truth: Vec<Difference>, mut told: Vec<Difference>) -> Score {
    let mut score = Score::default();
    for want in truth {
        let row = score
            .rows
            .entry((want.class.clone(), want.cell))
            .or_default();
        match told.iter().position(|got| agrees(&want, got)) {
            Some(at) => {
                told.swap_remove(at);
                row.right += 1;
            }
            None => {
                row.missed += 1;
                score.missed.push(want);
            }
        }
    }
    told.sort();
    for got in &told {
        let row = score.rows.entry((got.class.clone(), got.cell)).or_default();
        row.surplus += 1;
    }
    score.surplus = told;
    score
}

/// Alerts have their times to the millisecond; incidents are shown by the next leaf.
fn agrees(want: &Difference, got: &Difference) -> bool {
    let is_same = |want: &Difference, got: &Difference| {
        let of = |told: &Difference| {
            (
                told.class.clone(),
                told.agent.clone(),
                told.cell,
                told.alerts.clone(),
            )
        };
        let aside = |told: &Difference| (told.could_see, told.rule_on_day_0, told.muted);
        of(want) == of(got) && aside(want) == aside(got)
    };
    let is_near = |want: u64, got: u64| want.abs_diff(got) <= SLOP_MS;
    let ends_near = match (want.ended_ms, got.ended_ms) {
        (Some(want), Some(got)) => is_near(want, got),
        (want, got) => want == got,
    };
    is_same(want, got) && is_near(want.began_ms, got.began_ms) && ends_near
}

impl Score {
    /// Whether every case is told, in the right cell, and no other.
    pub fn is_perfect(&self) -> bool {
        self.missed.is_empty() && self.surplus.is_empty()
    }

    /// How many cases were told rightly.
    pub fn right(&self) -> u64 {
        self.rows.values().map(|row| row.right).sum()
    }

    /// The cells in which there was a case, of any class.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = self.rows.keys().map(|(_, cell)| *cell).collect();
        cells.sort_unstable();
        cells.dedup();
        cells
    }

    /// The classes of which there was a case.
    pub fn classes(&self) -> Vec<&str> {
        let mut classes: Vec<&str> = self.rows.keys().map(|(class, _)| class.as_str()).collect();
        classes.dedup();
        classes
    }

    /// Adds the score of another run.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (key, more) in other.rows {
            let row = self.rows.entry(key).or_default();
            row.right += more.right;
            row.missed += more.missed;
            row.surplus += more.surplus;
        }
        self.missed.extend(other.missed);
        self.surplus.extend(other.surplus);
        self
    }
}

/// The table.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12} {:<14} {:>7} {:>7} {:>8} {:>10} {:>7}",
            "class", "cell", "right", "missed", "surplus", "precision", "recall"
        )?;
        for ((class, cell), row) in &self.rows {
            let cell = format!("{cell:?}");
            let (precision, recall) = (share(row.right, row.surplus), share(row.right, row.missed));
            writeln!(
                f,
                "{class:<12} {cell:<14} {:>7} {:>7} {:>8} {precision:>10.4} {recall:>7.4}",
                row.right, row.missed, row.surplus
            )?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases are small")]
fn share(part: u64, rest: u64) -> f64 {
    match part + rest {
        0 => 1.0,
        all => part as f64 / all as f64,
    }
}
