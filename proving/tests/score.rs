//! Every fault is found, whoever is at fault is named, and nothing else is found.

use std::collections::BTreeSet;

use ledger::record::{Body, Kind, Rule};
use ledger::text::Name;
use proving::Log;
use proving::fleet::{Plan, Size, plan};
use proving::score::{Score, score, sights, verify};
use proving::simulation::{agent_name, play};
use proving::truth::Class;

/// Enough agents for each class of fault to come up in every run.
const SIZE: Size = Size {
    days: 3,
    agents: 20,
};

const SEEDS: u64 = 8;

#[test]
fn every_fault_is_found_and_nothing_else() {
    let runs: Vec<_> = (1..=SEEDS)
        .map(|seed| std::thread::spawn(move || run(seed)))
        .collect();
    let scores = runs.into_iter().map(|run| run.join().expect("a run"));
    let total = scores.fold(Score::default(), Score::and);
    let (missed, surplus) = (&total.missed, &total.surplus);
    assert!(
        total.is_perfect(),
        "{total}\nmissed {missed:#?}\nsurplus {surplus:#?}"
    );
}

fn run(seed: u64) -> Score {
    let plan = plan(seed, SIZE);
    let log = play(seed, &plan.script, plan.end_ms);
    assert_healthy_agents_run(&plan, &log);
    let report = verify(&log);
    let sights = sights(&log, &report);
    let score = score(&plan, &log, sights);
    assert_eq!(score.classes().count(), Class::ALL.len(), "seed {seed}");
    score
}

/// They start, finish and restart; nothing else ever happens to them.
fn assert_healthy_agents_run(plan: &Plan, log: &Log) {
    let healthy: BTreeSet<Name> = plan
        .healthy
        .iter()
        .map(|agent| agent_name(*agent))
        .collect();
    assert!(healthy.len() * 3 > SIZE.agents, "a good part of the fleet");
    for held in log.leaves_of(Kind::Transition) {
        let (at, signed) = (held.received_ms, held.record());
        let Body::Transition(transition) = &signed.record().body else {
            continue;
        };
        let is_routine = matches!(
            transition.rule,
            Rule::Started | Rule::Restarted | Rule::Finished
        );
        assert!(
            is_routine || !healthy.contains(&transition.agent),
            "{transition:?} at {at}"
        );
    }
}
