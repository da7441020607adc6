//! The rules of governance told a second time, plainly, and held against `ledger::govern`.
//!
//! The model keeps the whole log as a list and remembers nothing else: whatever it is asked, it
//! looks through all records again. So it has no state that could be wrong, no queue of deadlines
//! and no order of updates, and it is far too slow to serve. Histories at random go through both.
//! Both must admit the same records or refuse them by the same code, say the same of every agent
//! and every lease, and name the same duties in the same order.

mod acts;
mod admit;
mod amendments;
mod authority;
mod clocks;
mod entries;
mod fleet;
mod golden;
mod history;
mod leases;
mod owed;
mod remarks;
mod steps;
#[path = "../rules/world.rs"]
#[allow(dead_code, reason = "only its charter and its keys are needed here")]
mod world;

use std::collections::BTreeMap;

use ledger::codes::{Class, Code, Group};
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

/// How many histories are looked through for what happens in them.
const HISTORIES: usize = 300;

/// How often each thing has to happen in the histories below. What comes up once may not come up in the next hundred.
const OFTEN: usize = 5;

/// What the random steps cannot reach shows nothing of the rules: here it is listed.
#[test]
fn the_steps_reach_every_rule_and_most_codes() {
    let seen = happenings(Mode::Enforce);
    let rare = |rule: &&Rule| seen.rules.get(*rule).is_none_or(|count| *count < OFTEN);
    assert_eq!(Rule::ALL.iter().find(rare), None, "{:?}", seen.rules);
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
    ];
    let others = [
        Group::Form,
        Group::Log,
        Group::Passing,
        Group::Pack,
        Group::Service,
    ];
    let groups = Group::ALL.iter().filter(|group| !others.contains(group));
    let asked = groups.flat_map(|group| group.codes()).copied();
    let rare = |code: &Code| seen.codes.get(code).is_none_or(|count| *count < OFTEN);
    let rare: Vec<Code> = asked
        .filter(|code| rare(code) && !elsewhere.contains(code))
        .collect();
    assert_eq!(rare, [], "{:?}", seen.codes);
    for remark in [Code::ManifestDrift, Code::BudgetExceeded] {
        let count = seen.remarks.get(&(remark, Class::Breach)).copied();
        assert!(count >= Some(OFTEN), "{remark}: {:?}", seen.remarks);
    }
}

/// In observe mode what breaks a rule is logged all the same, or is only late.
#[test]
fn the_steps_reach_what_observe_mode_lets_in() {
    let seen = happenings(Mode::Observe);
    let breaches = [
        Code::LeaseExpired,
        Code::LeaseRevoked,
        Code::CapabilityMissing,
        Code::ScopeDenied,
        Code::BudgetExceeded,
        Code::GoalUnknown,
        Code::IntentUnknown,
        Code::ProgressRegressed,
        Code::OutcomeUnbacked,
        Code::StateForbids,
    ];
    let rare = |code: &&Code| seen.breaches.get(*code).is_none_or(|count| *count < OFTEN);
    assert_eq!(breaches.iter().find(rare), None, "{:?}", seen.breaches);
    let late = seen.remarks.get(&(Code::LeaseExpired, Class::Late));
    assert!(late >= Some(&OFTEN), "{:?}", seen.remarks);
}

/// How often what happened.
#[derive(Default)]
struct Happenings {
    rules: BTreeMap<Rule, usize>,
    codes: BTreeMap<Code, usize>,
    breaches: BTreeMap<Code, usize>,
    remarks: BTreeMap<(Code, Class), usize>,
}

fn happenings(mode: Mode) -> Happenings {
    let mut runner = TestRunner::deterministic();
    let mut seen = Happenings::default();
    for _ in 0..HISTORIES {
        let steps = any_steps().new_tree(&mut runner).unwrap().current();
        let mut fleet = Fleet::begin(short(mode));
        steps.iter().for_each(|step| fleet.take(step));
        count(&mut seen.rules, fleet.rules);
        count(&mut seen.codes, fleet.codes);
        count(&mut seen.breaches, fleet.breaches);
        count(&mut seen.remarks, fleet.remarks);
    }
    seen
}

fn count<T: Ord>(counts: &mut BTreeMap<T, usize>, all: Vec<T>) {
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
}
