//! A log tells of every fault, and of nothing else.

use proving::fleet::{Size, plan};
use proving::score::{Score, score, sights, verify};
use proving::simulation::play;
use proving::truth::{Class, What};

const SIZE: Size = Size {
    days: 3,
    agents: 20,
};

fn run(seed: u64) -> Score {
    let plan = plan(seed, SIZE);
    let log = play(seed, &plan.script, plan.end_ms);
    let report = verify(&log);
    let sights = sights(&log, &report);
    score(&plan, &log, sights)
}

const fn is_finding(what: What) -> bool {
    matches!(what, What::Finding(..))
}

#[test]
fn the_log_itself_tells_of_transitions_and_refusals() {
    let mut score = run(1);
    assert_eq!(score.classes().count(), Class::ALL.len());
    score.missed.retain(|fact| !is_finding(fact.what));
    score.surplus.retain(|sight| !is_finding(sight.what));
    assert!(
        score.is_perfect(),
        "{:#?}\n{:#?}",
        score.missed,
        score.surplus
    );
    assert_eq!(score.of_the_healthy, 0);
}
