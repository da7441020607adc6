//! The rules of governance told a second time, plainly, and held against `ledger::govern`.
//!
//! The model keeps the whole log as a list and remembers nothing else: whatever it is asked, it
//! looks through all records again. So it has no state that could be wrong, no queue of deadlines
//! and no order of updates, and it is far too slow to serve. Histories at random go through both.
//! Both must admit the same records or refuse them by the same code, say the same of every agent
//! and every lease, and name the same duties in the same order.

mod acts;
mod admit;
mod authority;
mod clocks;
mod fleet;
mod history;
mod leases;
mod steps;
#[path = "../rules/world.rs"]
#[allow(dead_code, reason = "only its charter and its keys are needed here")]
mod world;

use std::collections::BTreeSet;

use ledger::codes::{Code, Group};
use ledger::record::{Mode, Rule};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::fleet::{Fleet, short};
use crate::steps::{Step, any_steps};

fn both_agree(mode: Mode, steps: &[Step]) {
    let mut fleet = Fleet::begin(short(mode));
    for step in steps {
        fleet.take(step);
        fleet.deadline_is_no_later_than_a_cause();
    }
}

/// A quarter of what proptest does by default, because each looks through its whole log again and
/// again. `PROPTEST_CASES` asks for more.
fn histories() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: default.cases.div_ceil(4),
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn in_enforce_mode(steps in any_steps()) {
        both_agree(Mode::Enforce, &steps);
    }

    #[test]
    fn in_observe_mode(steps in any_steps()) {
        both_agree(Mode::Observe, &steps);
    }
}

/// What the random steps cannot reach shows nothing of the rules: here it is listed.
#[test]
fn the_steps_reach_every_rule_and_most_codes() {
    let mut runner = TestRunner::deterministic();
    let (mut rules, mut codes) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..400 {
        let steps = any_steps().new_tree(&mut runner).unwrap().current();
        let mut fleet = Fleet::begin(short(Mode::Enforce));
        steps.iter().for_each(|step| fleet.take(step));
        rules.extend(fleet.rules);
        codes.extend(fleet.codes);
    }
    assert_eq!(rules, Rule::ALL.iter().copied().collect());
    // Of form, found by replay, or not reachable by so few records.
    let elsewhere = [
        Code::KeyRepeated,
        Code::CharterMissing,
        Code::ManifestDrift,
        Code::RestsOnProblem,
        Code::TooManyOpen,
        Code::ActionUnfinished,
        Code::DutyMissed,
        Code::ControlGap,
        Code::RefusalUnfounded,
    ];
    let others = [Group::Form, Group::Log, Group::Pack, Group::Service];
    let groups = Group::ALL.iter().filter(|group| !others.contains(group));
    let asked = groups.flat_map(|group| group.codes()).copied();
    let missed: Vec<Code> = asked
        .filter(|code| !codes.contains(code) && !elsewhere.contains(code))
        .collect();
    assert_eq!(missed, []);
}
