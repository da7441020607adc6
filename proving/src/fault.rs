//! The faults: what happens, and what must be seen of it. Both are written here, by the text of the rules and without
//! their code.

mod agents;
mod control;

use ledger::codes::{Code, Party};
use ledger::record::{AgentState, Rule};

use crate::diary::Diary;
use crate::fleet::Span;
use crate::script::{CLOCKS, Deed, LAG_MS, MINUTE_MS};
use crate::truth::{Class, Fact, Incident, What, When};

/// Writes a fault of an agent, or one of the control plane towards it, into its diary.
pub(crate) fn write(diary: &mut Diary<'_>, class: Class) {
    match class {
        Class::SilentStall => agents::silent_stall(diary),
        Class::ShortStall => agents::short_stall(diary),
        Class::NoProgress => agents::no_progress(diary),
        Class::Zombie => agents::zombie(diary),
        Class::NeverHealed => agents::never_healed(diary),
        Class::LeaseLapsed => agents::lease_lapsed(diary),
        Class::LeaseRevoked => agents::lease_revoked(diary),
        Class::OutOfScope => agents::out_of_scope(diary),
        Class::TooManyDenials => agents::too_many_denials(diary),
        Class::Overrun => agents::overrun(diary),
        Class::Drift => agents::drift(diary),
        Class::SkippedNumber => agents::skipped_number(diary),
        Class::BrokenChain => agents::broken_chain(diary),
        Class::ForgedBeat => agents::forged_beat(diary),
        Class::ReplayedBeat => agents::replayed_beat(diary),
        Class::Backdated => agents::backdated(diary),
        Class::AbandonedCall => agents::abandoned_call(diary),
        Class::SecondInstance => agents::second_instance(diary),
        Class::ForkShown => agents::fork_shown(diary),
        Class::DutyForgotten => control::duty_forgotten(diary),
        Class::NoCause => control::no_cause(diary),
        Class::WrongState => control::wrong_state(diary),
        Class::WrongNumber => control::wrong_number(diary),
        Class::ForgedRefusal => control::forged_refusal(diary),
        Class::AdmittedScope => control::admitted_scope(diary),
        Class::AdmittedZombie => control::admitted_zombie(diary),
        Class::AdmittedForgery => control::admitted_forgery(diary),
        Class::AdmittedReplay => control::admitted_replay(diary),
        Class::AdmittedLapse => control::admitted_lapse(diary),
        Class::HiddenRecords => control::hidden_records(diary),
        Class::Unearned => control::unearned(diary),
        Class::Loosened => control::loosened(diary),
        Class::ForgedLease => control::forged_lease(diary),
        Class::PulseForgotten | Class::Silence | Class::Outage | Class::SlowClock => {
            unreachable!("{} is not an agent's", class.as_str())
        }
    }
}

/// What must be seen of something that happens to the whole log. Its pulses are due at every multiple of their
/// interval, and the span begins with one.
pub(crate) fn of_the_log(class: Class, span: Span) -> Vec<Fact> {
    let Span { from_ms, to_ms } = span;
    let every = usize::try_from(CLOCKS.pulse_ms).expect("a few minutes");
    let due_before = |end: u64| (from_ms + CLOCKS.pulse_ms..end).step_by(every);
    let finding = |when, code, by| Fact::of_the_log(class, when, What::Finding(code, by));
    match class {
        // By a clock that is late, the pulses until it is put right.
        Class::SlowClock => due_before(to_ms - LAG_MS + 1)
            .map(|pulse| finding(When::At(pulse), Code::ClockImplausible, Party::Log))
            .collect(),
        // Once, however many it forgets in a row.
        Class::PulseForgotten => due_before(to_ms)
            .take(1)
            .map(|pulse| When::FirstAfter(pulse + CLOCKS.tolerance_ms))
            .map(|when| finding(when, Code::DutyMissed, Party::Control))
            .collect(),
        _ => vec![finding(When::At(to_ms), Code::ControlGap, Party::Control)],
    }
}

/// What happens to the whole log, in the words of a report. Nobody can notice a forgotten pulse before it is missed,
/// nor a clock that is late before a pulse says so.
pub(crate) const fn incident_of_the_log(fault: Class, span: Span) -> Incident {
    let Span { from_ms, to_ms } = span;
    let every = CLOCKS.pulse_ms;
    let (began_ms, ended_ms) = match fault {
        Class::SlowClock => (from_ms + every, (to_ms - LAG_MS) / every * every),
        Class::PulseForgotten => (from_ms + every, from_ms + every),
        _ => (from_ms, to_ms),
    };
    Incident {
        fault,
        class: "control",
        agent: None,
        began_ms,
        ended_ms,
        is_false: false,
    }
}

/// The process falls silent now, after a last beat; gives when that was.
fn fall_silent(diary: &mut Diary<'_>) -> u64 {
    diary.deed(Deed::Beat {
        steps: 1,
        seen: false,
    });
    diary.now_ms()
}

fn degraded_after(ms: u64) -> u64 {
    ms + CLOCKS.degraded_after_ms
}

fn autohealing_after(ms: u64) -> u64 {
    ms + CLOCKS.autoheal_after_ms
}

fn transition(diary: &mut Diary<'_>, class: Class, rule: Rule, at_ms: u64) {
    diary.expect(class, When::At(at_ms), What::Transition(rule));
}

fn finding(diary: &mut Diary<'_>, class: Class, code: Code, by: Party) {
    let now = diary.now_ms();
    diary.expect(class, When::At(now), What::Finding(code, by));
}

/// A new process beats twice with progress, far enough apart, and the agent is healed.
fn heal(diary: &mut Diary<'_>, class: Class) {
    diary.wait(2 * MINUTE_MS);
    diary.deed(Deed::Begin);
    for _ in 0..CLOCKS.heal_beats {
        diary.wait(CLOCKS.heartbeat_ms / 2 + 5_000);
        diary.deed(Deed::Beat {
            steps: 1,
            seen: false,
        });
    }
    let now = diary.now_ms();
    transition(diary, class, Rule::Healed, now);
    diary.wait(MINUTE_MS);
}

/// An operator lets a quarantined agent heal.
fn release(diary: &mut Diary<'_>, class: Class) {
    diary.wait(7 * MINUTE_MS);
    diary.deed(Deed::Order(AgentState::Autohealing));
    heal(diary, class);
}
