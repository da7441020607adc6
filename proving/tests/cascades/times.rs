//! What is too late, or cannot be, to the millisecond.

use ledger::codes::{Class, Code, Party};
use ledger::record::{AgentState, Rule};
use ledger::verify::verify;
use proving::record;

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
            let pulse = record::pulse(story.log.state().pulses() + 1, 1, None);
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
    let n = story.log.state().pulses() + 1;
    story.by_control(record::pulse(n, 1, Some(head)));
    let head = story.log.cosigned(story.log.size(), START / 1000 + 3600);
    let pack = story.log.pack_of(0, story.log.size().get(), &head);
    found(&verify(pack.as_bytes(), &story.log.trust_witnessed(), None))
}
