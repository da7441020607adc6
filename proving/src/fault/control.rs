//! Faults of the control plane towards an agent that may have none.

use ledger::codes::{Code, Party};
use ledger::record::Rule;

use super::agents::{let_lapse, recover_by_lease};
use super::{autohealing_after, degraded_after, fall_silent, finding, heal, transition};
use crate::diary::Diary;
use crate::script::{CLOCKS, DAY_MS, Deed, MINUTE_MS, Trick, Wrong};
use crate::truth::{Class, What, When};

pub(super) fn duty_forgotten(diary: &mut Diary<'_>) {
    let class = Class::DutyForgotten;
    diary.deed(Deed::Forget(Some(Rule::PulseLost)));
    let silent = fall_silent(diary);
    let due = degraded_after(silent);
    let missed = What::Finding(Code::DutyMissed, Party::Control);
    diary.expect(class, When::TooLate(due), missed);
    diary.wait_until(due + CLOCKS.tolerance_ms);
    diary.happened(class, "control", diary.now_ms());
    diary.wait_until(due + 20 * MINUTE_MS);
    diary.deed(Deed::Forget(None));
    transition(diary, class, Rule::PulseLost, due + 20 * MINUTE_MS);
    transition(diary, class, Rule::HealDue, autohealing_after(silent));
    diary.wait_until(autohealing_after(silent));
    heal(diary, class);
    diary.happened(class, "silence", silent);
}

pub(super) fn no_cause(diary: &mut Diary<'_>) {
    let class = Class::NoCause;
    diary.deed(Deed::Transition(Wrong::Cause));
    finding(diary, class, Code::TransitionUnfounded, Party::Control);
    let now = diary.now_ms();
    transition(diary, class, Rule::PulseLost, now);
    diary.happened(class, "control", now);
    diary.said_wrongly(class, "silence");
    recover_by_beat(diary, class);
}

pub(super) fn wrong_state(diary: &mut Diary<'_>) {
    let class = Class::WrongState;
    diary.deed(Deed::Transition(Wrong::State));
    finding(diary, class, Code::TransitionIllegal, Party::Control);
    let now = diary.now_ms();
    transition(diary, class, Rule::Recovered, now);
    diary.happened(class, "control", now);
}

pub(super) fn wrong_number(diary: &mut Diary<'_>) {
    let class = Class::WrongNumber;
    diary.deed(Deed::Forget(Some(Rule::PulseLost)));
    let silent = fall_silent(diary);
    diary.wait_until(degraded_after(silent) + 1_000);
    diary.deed(Deed::Transition(Wrong::Number));
    finding(diary, class, Code::TransitionNumber, Party::Control);
    let now = diary.now_ms();
    transition(diary, class, Rule::PulseLost, now);
    diary.happened(class, "control", now);
    diary.deed(Deed::Forget(None));
    recover_by_beat(diary, class);
    diary.happened(class, "silence", silent);
}

pub(super) fn forged_refusal(diary: &mut Diary<'_>) {
    let class = Class::ForgedRefusal;
    diary.deed(Deed::Goal);
    diary.wait(1_000);
    diary.deed(Deed::ForgeRefusal);
    finding(diary, class, Code::RefusalUnfounded, Party::Control);
    let now = diary.now_ms();
    diary.expect(class, When::At(now), What::Refusal(Code::ScopeDenied));
    diary.happened(class, "control", now);
    diary.said_wrongly(class, "scope");
    diary.wait(5_000);
    diary.call(10_000);
    diary.deed(Deed::Outcome);
}

pub(super) fn admitted_scope(diary: &mut Diary<'_>) {
    let class = Class::AdmittedScope;
    diary.deed(Deed::Goal);
    diary.wait(1_000);
    let scope = "write:repo/secrets/key";
    diary.deed(Deed::Admit(Trick::Intent { scope, n: 0 }));
    finding(diary, class, Code::ScopeDenied, Party::Agent);
    finding(diary, class, Code::ScopeDenied, Party::Control);
    diary.happened(class, "scope", diary.now_ms());
    diary.happened(class, "control", diary.now_ms());
    diary.wait(5_000);
    diary.deed(Deed::Result { tokens: 10 });
    diary.deed(Deed::Outcome);
}

pub(super) fn admitted_zombie(diary: &mut Diary<'_>) {
    let class = Class::AdmittedZombie;
    let silent = fall_silent(diary);
    transition(diary, class, Rule::PulseLost, degraded_after(silent));
    transition(diary, class, Rule::HealDue, autohealing_after(silent));
    diary.wait_until(autohealing_after(silent));
    heal(diary, class);
    diary.happened(class, "silence", silent);
    diary.deed(Deed::Admit(Trick::Zombie));
    finding(diary, class, Code::EpochFenced, Party::Agent);
    finding(diary, class, Code::EpochFenced, Party::Control);
    diary.happened(class, "zombie", diary.now_ms());
    diary.happened(class, "control", diary.now_ms());
}

pub(super) fn admitted_forgery(diary: &mut Diary<'_>) {
    let class = Class::AdmittedForgery;
    diary.deed(Deed::Admit(Trick::ForeignKey));
    finding(diary, class, Code::KeyUnknown, Party::Log);
    finding(diary, class, Code::KeyUnknown, Party::Control);
    diary.happened(class, "control", diary.now_ms());
}

pub(super) fn admitted_replay(diary: &mut Diary<'_>) {
    let class = Class::AdmittedReplay;
    diary.deed(Deed::Admit(Trick::Replay));
    finding(diary, class, Code::SequenceRepeated, Party::Log);
    finding(diary, class, Code::SequenceRepeated, Party::Control);
    diary.happened(class, "control", diary.now_ms());
}

pub(super) fn admitted_lapse(diary: &mut Diary<'_>) {
    let class = Class::AdmittedLapse;
    let lapsed = let_lapse(diary, class);
    diary.live(lapsed + 6 * MINUTE_MS);
    diary.deed(Deed::Admit(Trick::Goal));
    finding(diary, class, Code::LeaseExpired, Party::Agent);
    finding(diary, class, Code::LeaseExpired, Party::Control);
    diary.happened(class, "control", diary.now_ms());
    recover_by_lease(diary, class, lapsed);
    diary.deed(Deed::Outcome);
}

/// The agent goes on from what the log does not show. The first record after it is wrong, the second only for the
/// first, and from there on the log is what the agent says it is.
pub(super) fn hidden_records(diary: &mut Diary<'_>) {
    let class = Class::HiddenRecords;
    for _ in 0..2 {
        diary.wait(20_000);
        diary.deed(Deed::Hide);
    }
    diary.wait(20_000);
    diary.deed(Deed::AdmitGap);
    finding(diary, class, Code::SequenceGap, Party::Agent);
    finding(diary, class, Code::SequenceGap, Party::Control);
    diary.happened(class, "control", diary.now_ms());
    diary.wait(20_000);
    diary.deed(Deed::AdmitResting);
    finding(diary, class, Code::RestsOnProblem, Party::Agent);
}

pub(super) fn unearned(diary: &mut Diary<'_>) {
    let class = Class::Unearned;
    diary.renew_by_operators();
    diary.live(diary.now_ms() + 10 * MINUTE_MS);
    let expires_ms = diary.lease_ends_ms() + MINUTE_MS;
    diary.renew(true, expires_ms);
    finding(diary, class, Code::RenewalUnearned, Party::Control);
    diary.happened(class, "control", diary.now_ms());
}

pub(super) fn loosened(diary: &mut Diary<'_>) {
    let class = Class::Loosened;
    diary.deed(Deed::Goal);
    diary.wait(1_000);
    diary.deed(Deed::Outcome);
    let expires_ms = diary.lease_ends_ms() + 30 * DAY_MS;
    diary.renew(true, expires_ms);
    finding(diary, class, Code::RenewalTooLong, Party::Control);
    diary.happened(class, "control", diary.now_ms());
    // The operators take back what they never gave.
    diary.wait(20 * MINUTE_MS / 10);
    diary.lease_anew(None);
    diary.wait(2_000);
    diary.deed(Deed::Follow);
}

pub(super) fn forged_lease(diary: &mut Diary<'_>) {
    let class = Class::ForgedLease;
    diary.deed(Deed::ForgeLease);
    finding(diary, class, Code::RoleMissing, Party::Log);
    finding(diary, class, Code::RoleMissing, Party::Control);
    diary.happened(class, "control", diary.now_ms());
}

/// The agent is called silent and beats.
fn recover_by_beat(diary: &mut Diary<'_>, class: Class) {
    diary.wait(MINUTE_MS);
    diary.deed(Deed::Beat {
        steps: 1,
        seen: false,
    });
    let now = diary.now_ms();
    transition(diary, class, Rule::Recovered, now);
}
