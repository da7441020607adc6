//! What a log and its verifier show, beside what is true of it.

use std::collections::BTreeMap;
use std::fmt;

use ledger::record::{Body, Kind, Rule};
use ledger::text::Name;
use ledger::verify::{Report, Verifier};

use crate::Log;
use crate::fleet::Plan;
use crate::script::{CLOCKS, HOUR_MS};
use crate::simulation::agent_name;
use crate::truth::{Class, Fact, What, When};

/// Something that a log or its verifier shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sight {
    /// When the leaf was received that shows it.
    pub received_ms: u64,
    /// The agent that it is about; `None` for the log as a whole.
    pub agent: Option<Name>,
    /// What it is.
    pub what: What,
    /// What the verifier says about it, if it says something.
    pub detail: String,
}

/// How well the sights of a run agree with its truth.
#[derive(Debug, Default)]
pub struct Score {
    rows: BTreeMap<Class, Row>,
    /// What was seen and is not true.
    pub surplus: Vec<Sight>,
    /// What is true and was not seen.
    pub missed: Vec<Fact>,
    /// What was seen of agents and at times for which no fault was planned.
    pub of_the_healthy: u64,
}

/// One class of fault.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    faults: u64,
    found: u64,
    missed: u64,
    surplus: u64,
}

/// Verifies a whole log as an auditor does who trusts the log's key and its witness.
pub fn verify(log: &Log) -> Report {
    let size = log.size();
    let signed = log.cosigned(size, log.state().last_received_ms() / 1000);
    let mut verifier = Verifier::new(log.trust_witnessed());
    for line in log.pack_lines(0, size.get(), &signed) {
        verifier.push(line.as_bytes());
    }
    verifier.finish()
}

/// What the log itself tells of transitions that healthy agents do not go through, and of refusals; and what the
/// verifier found.
pub fn sights(log: &Log, report: &Report) -> Vec<Sight> {
    let mut sights: Vec<Sight> = Vec::new();
    let by_control = [Kind::Transition, Kind::Refusal].map(|kind| log.leaves_of(kind));
    for held in by_control.into_iter().flatten() {
        let signed = held.record();
        let (agent, what) = match &signed.record().body {
            Body::Transition(transition) if !is_routine(transition.rule) => {
                (&transition.agent, What::Transition(transition.rule))
            }
            Body::Refusal(refused) => (&refused.agent, What::Refusal(refused.code)),
            _ => continue,
        };
        sights.push(Sight {
            received_ms: held.received_ms,
            agent: Some(agent.clone()),
            what,
            detail: String::new(),
        });
    }
    let received = |index: tlog::LeafIndex| {
        let at = usize::try_from(index.get()).expect("an index in memory");
        log.leaves()[at].received_ms
    };
    sights.extend(report.findings.iter().map(|finding| Sight {
        received_ms: finding.index.map_or(0, received),
        agent: finding.agent.clone(),
        what: What::Finding(finding.refusal.code, finding.by),
        detail: finding.refusal.detail.clone(),
    }));
    sights
}

/// Compares what was seen in a log with what is true of it: one sight for one fact.
pub fn score(plan: &Plan, log: &Log, sights: Vec<Sight>) -> Score {
    let mut score = Score::default();
    for class in &plan.faults {
        score.row(*class).faults += 1;
    }
    let mut left = sights;
    for fact in &plan.truth {
        let at = match fact.when {
            When::At(ms) => Some(ms),
            When::FirstAfter(ms) => first_after(log, ms),
            When::TooLate(due) => too_late(log, due),
        };
        let agent = fact.agent.map(agent_name);
        let shows = |sight: &Sight| {
            sight.what == fact.what && sight.agent == agent && Some(sight.received_ms) == at
        };
        match left.iter().position(shows) {
            Some(found) => {
                left.swap_remove(found);
                score.row(fact.class).found += 1;
            }
            None => {
                score.row(fact.class).missed += 1;
                score.missed.push(fact.clone());
            }
        }
    }
    left.sort();
    for sight in left {
        match nearest(plan, &sight) {
            Some(class) => score.row(class).surplus += 1,
            None => score.of_the_healthy += 1,
        }
        score.surplus.push(sight);
    }
    score
}

impl Score {
    /// Whether everything that is true was seen, and nothing else.
    pub fn is_perfect(&self) -> bool {
        self.surplus.is_empty() && self.missed.is_empty()
    }

    /// Adds the score of another run.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (class, more) in other.rows {
            let row = self.row(class);
            row.faults += more.faults;
            row.found += more.found;
            row.missed += more.missed;
            row.surplus += more.surplus;
        }
        self.surplus.extend(other.surplus);
        self.missed.extend(other.missed);
        self.of_the_healthy += other.of_the_healthy;
        self
    }

    /// The classes of which there was a fault.
    pub fn classes(&self) -> impl Iterator<Item = Class> {
        let rows = self.rows.iter().filter(|(_, row)| row.faults > 0);
        rows.map(|(class, _)| *class)
    }

    fn row(&mut self, class: Class) -> &mut Row {
        self.rows.entry(class).or_default()
    }
}

/// The table. A class that is to leave no trace has nothing to recall, and is perfect while nothing is seen of it.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18} {:>7} {:>7} {:>7} {:>8} {:>10} {:>7}",
            "class", "faults", "found", "missed", "surplus", "precision", "recall"
        )?;
        for (class, row) in &self.rows {
            let (precision, recall) = (share(row.found, row.surplus), share(row.found, row.missed));
            writeln!(
                f,
                "{:<18} {:>7} {:>7} {:>7} {:>8} {precision:>10.4} {recall:>7.4}",
                class.as_str(),
                row.faults,
                row.found,
                row.missed,
                row.surplus
            )?;
        }
        writeln!(f, "{:<18} {:>39}", "no fault planned", self.of_the_healthy)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of faults are small")]
fn share(part: u64, rest: u64) -> f64 {
    if part + rest == 0 {
        return 1.0;
    }
    part as f64 / (part + rest) as f64
}

/// What agents go through that come and go as they should.
const fn is_routine(rule: Rule) -> bool {
    matches!(rule, Rule::Started | Rule::Restarted | Rule::Finished)
}

/// When the first leaf was received after a time.
fn first_after(log: &Log, ms: u64) -> Option<u64> {
    let leaves = log.leaves();
    let next = leaves.partition_point(|held| held.received_ms <= ms);
    leaves.get(next).map(|held| held.received_ms)
}

/// When it is too late for what is due from the first leaf at this time or later.
fn too_late(log: &Log, due_ms: u64) -> Option<u64> {
    let due_ms = first_after(log, due_ms - 1)?;
    first_after(log, due_ms + CLOCKS.tolerance_ms)
}

/// The class of the planned fault that a sight is nearest to, if one of its agent is near at all.
fn nearest(plan: &Plan, sight: &Sight) -> Option<Class> {
    let of_agent = |fact: &&Fact| fact.agent.map(agent_name) == sight.agent;
    let apart = |fact: &Fact| match fact.when {
        When::At(ms) | When::FirstAfter(ms) | When::TooLate(ms) => ms.abs_diff(sight.received_ms),
    };
    let facts = plan.truth.iter().filter(of_agent);
    let near = facts.filter(|fact| apart(fact) < 2 * HOUR_MS);
    near.min_by_key(|fact| apart(fact)).map(|fact| fact.class)
}
