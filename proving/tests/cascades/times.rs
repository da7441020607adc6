//! What is too late, or cannot be, to the millisecond.

use ledger::codes::{Class, Code, Party};
use ledger::record::{AgentState, Body, Rule};
use ledger::verify::verify;

use crate::story::{Found, MINUTE, START, Story, found, let_in, one};

#[test]
fn an_action_has_its_time_to_the_millisecond() {
    let closed_after = |ms: u64| {
        let mut story = Story::new();
        let intent = story.intent("read:docs");
        story.live(14);
        story.now += ms - 14 * MINUTE;
        story.pulse();
        story.result(intent);
        story.live(3);
        story.found()
    };
    let unfinished = one(Code::ActionUnfinished, Class::Breach, Party::Agent);
    assert_eq!(closed_after(15 * MINUTE), Found::new());
    assert_eq!(closed_after(15 * MINUTE + 1), unfinished);
}

#[test]
fn a_transition_has_the_tolerance_to_the_millisecond() {
    let told_after = |ms: u64| {
        let mut story = Story::new();
        for _ in 0..30 {
            story.now += MINUTE;
            let pulse = story.log.pulse(None);
            story.by_control(pulse);
        }
        story.now += ms;
        story.transition(Rule::PulseLost, AgentState::Degraded, 0);
        story.pulse();
        story.live(3);
        story.found()
    };
    let missed = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(told_after(MINUTE), Found::new());
    assert_eq!(told_after(MINUTE + 1), missed);
}

#[test]
fn a_pulse_has_the_tolerance_to_the_millisecond() {
    let beaten_after = |ms: u64| {
        let mut story = Story::new();
        story.now += MINUTE;
        story.beat();
        story.now += ms - MINUTE;
        story.pulse();
        story.live(3);
        story.found()
    };
    let missed = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(beaten_after(2 * MINUTE), Found::new());
    assert_eq!(beaten_after(2 * MINUTE + 1), missed);
}

#[test]
fn witnesses_bound_the_clock_of_the_log_to_a_minute() {
    let witnessed_at = |apart_s: i64| witnessed(&mut Story::new(), apart_s);
    let implausible = one(Code::ClockImplausible, Class::Problem, Party::Log);
    for apart_s in [-60, 0, 60] {
        assert_eq!(witnessed_at(apart_s), Found::new(), "{apart_s}");
    }
    for apart_s in [-61, 61] {
        assert_eq!(witnessed_at(apart_s), implausible, "{apart_s}");
    }
}

/// Who seems to be ahead of a clock that is late by its witnesses is not.
#[test]
fn a_clock_that_is_late_itself_speaks_against_nobody() {
    let ahead = |apart_s: i64| {
        let mut story = Story::new();
        let beat = story.me.beat(&story.log, story.now + 3 * MINUTE);
        story.me.said(&beat);
        story.hold(beat);
        witnessed(&mut story, apart_s)
    };
    let implausible = one(Code::ClockImplausible, Class::Problem, Party::Log);
    assert_eq!(ahead(180), implausible);
    let agents = let_in(Code::ClockAhead, Class::Breach, Party::Agent);
    assert_eq!(ahead(0), agents);
}

/// A pulse comes with a head that the witness saw so many seconds later than it says; what is found then by whoever
/// asks for the witness.
fn witnessed(story: &mut Story, apart_s: i64) -> Found {
    let now_s = (story.now / 1000).checked_add_signed(apart_s).unwrap();
    let head = story.log.cosigned(story.log.size(), now_s).to_string();
    story.by_control(story.log.pulse(Some(head)));
    let head = story.log.cosigned(story.log.size(), START / 1000 + 3600);
    let pack = story.log.pack_of(0, story.log.size().get(), &head);
    found(&verify(pack.as_bytes(), &story.log.trust_witnessed(), None))
}

/// What was made good once is owed again the next time.
#[test]
fn each_duty_is_missed_each_time() {
    let twice = Found::from([(("duty-missed", "breach", "control"), 2)]);
    let mut story = Story::new();
    for _ in 0..2 {
        for _ in 0..33 {
            bare_pulse(&mut story, MINUTE);
        }
        story.live(3);
    }
    assert_eq!(story.found(), twice, "a transition");
    let mut story = Story::new();
    for _ in 0..2 {
        for _ in 0..3 {
            story.now += MINUTE;
            story.beat();
        }
        story.live(3);
    }
    assert_eq!(story.found(), twice, "a pulse");
}

/// Recovery needs a lease, and that ends before the tolerance does.
#[test]
fn a_cause_may_pass_by_time_alone() {
    let mut story = Story::new();
    let lease = story.lease(33 * MINUTE);
    story.by_operators(Body::Lease(Box::new(lease)));
    story.follow();
    story.beat();
    story.sleep(31);
    assert_eq!(story.state(), AgentState::Degraded);
    story.now += 90_000;
    story.me.progress += 1;
    let beat = story.me.beat(&story.log, story.now);
    story.hold(beat);
    bare_pulse(&mut story, 1_000);
    bare_pulse(&mut story, 90_000);
    assert_eq!(story.found(), Found::new());
}

/// A duty is due from the next leaf on, also when that comes in the same millisecond.
#[test]
fn what_an_amendment_makes_due_is_due_at_once() {
    let told_after = |ms: u64| {
        let mut story = Story::new();
        let thief = story.log.keys().operator.public().id();
        let another = proving::keys::key("second-operator").public();
        let amendment = story.next_charter(|charter| {
            let mut next = charter.keys[1].clone();
            next.key = another;
            charter.keys.push(next);
            charter.distrusted.push(thief);
        });
        let root = story.log.keys().root.clone();
        story.by(amendment, &root);
        bare_pulse(&mut story, 0);
        bare_pulse(&mut story, MINUTE - 1);
        story.now += ms + 1 - MINUTE;
        story.transition(Rule::LeaseEnded, AgentState::Degraded, 0);
        story.found()
    };
    let missed = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(told_after(MINUTE), Found::new());
    assert_eq!(told_after(MINUTE + 1), missed);
}

/// A pulse of a control plane that does nothing else.
fn bare_pulse(story: &mut Story, after_ms: u64) {
    story.now += after_ms;
    story.by_control(story.log.pulse(None));
}
