//! Faults of agents and of those who run them, under a control plane that keeps to the rules.

use ledger::codes::{Code, Party};
use ledger::record::Rule;

use super::{autohealing_after, degraded_after, fall_silent, finding, heal, release, transition};
use crate::diary::Diary;
use crate::record::DENIED;
use crate::script::{CLOCKS, Deed, INFLIGHT_MS, MINUTE_MS, Trick, denials_max};
use crate::truth::{Class, What, When};

/// Within the capabilities, and what every lease here denies.
const DENIED_SCOPE: &str = "write:repo/secrets/key";
/// Within no capability.
const INCAPABLE_SCOPE: &str = "run:shell";

pub(super) fn silent_stall(diary: &mut Diary<'_>) {
    let silent = stall_until_heal(diary, Class::SilentStall);
    heal(diary, Class::SilentStall);
    diary.happened(Class::SilentStall, "silence", silent);
}

pub(super) fn short_stall(diary: &mut Diary<'_>) {
    let silent = fall_silent(diary);
    transition(
        diary,
        Class::ShortStall,
        Rule::PulseLost,
        degraded_after(silent),
    );
    diary.wait(40 * MINUTE_MS);
    beat(diary);
    let now = diary.now_ms();
    transition(diary, Class::ShortStall, Rule::Recovered, now);
    diary.happened(Class::ShortStall, "silence", silent);
}

pub(super) fn no_progress(diary: &mut Diary<'_>) {
    let class = Class::NoProgress;
    diary.deed(Deed::Goal);
    diary.wait(1_000);
    diary.call(20_000);
    diary.wait(1_000);
    beat(diary);
    let stuck = diary.now_ms();
    transition(diary, class, Rule::ProgressLost, degraded_after(stuck));
    transition(diary, class, Rule::HealDue, autohealing_after(stuck));
    diary.live(autohealing_after(stuck));
    heal(diary, class);
    diary.happened(class, "stall", stuck);
    diary.deed(Deed::Outcome);
}

pub(super) fn zombie(diary: &mut Diary<'_>) {
    let class = Class::Zombie;
    let silent = stall_until_heal(diary, class);
    heal(diary, class);
    diary.happened(class, "silence", silent);
    diary.wait(10_000);
    offer(diary, class, Trick::Zombie, Code::EpochFenced);
    diary.happened(class, "zombie", diary.now_ms());
}

pub(super) fn never_healed(diary: &mut Diary<'_>) {
    let class = Class::NeverHealed;
    let silent = stall_until_heal(diary, class);
    let mut attempt = autohealing_after(silent);
    for _ in 1..CLOCKS.heal_attempts {
        attempt += CLOCKS.heal_timeout_ms;
        transition(diary, class, Rule::HealRetry, attempt);
    }
    attempt += CLOCKS.heal_timeout_ms;
    transition(diary, class, Rule::HealExhausted, attempt);
    diary.wait_until(attempt);
    release(diary, class);
    diary.happened(class, "silence", silent);
}

pub(super) fn lease_lapsed(diary: &mut Diary<'_>) {
    let class = Class::LeaseLapsed;
    let lapsed = let_lapse(diary, class);
    diary.live(lapsed + 6 * MINUTE_MS);
    offer(diary, class, Trick::Goal, Code::LeaseExpired);
    recover_by_lease(diary, class, lapsed);
}

pub(super) fn lease_revoked(diary: &mut Diary<'_>) {
    let class = Class::LeaseRevoked;
    diary.deed(Deed::Revoke);
    let now = diary.now_ms();
    transition(diary, class, Rule::LeaseEnded, now);
    diary.live(now + 11 * MINUTE_MS);
    offer(diary, class, Trick::Goal, Code::LeaseRevoked);
    recover_by_lease(diary, class, now);
}

pub(super) fn out_of_scope(diary: &mut Diary<'_>) {
    let class = Class::OutOfScope;
    diary.deed(Deed::Goal);
    let first = diary.now_ms() + 20_000;
    for (n, (scope, code)) in (0..).zip([
        (DENIED_SCOPE, Code::ScopeDenied),
        (INCAPABLE_SCOPE, Code::CapabilityMissing),
        (DENIED_SCOPE, Code::ScopeDenied),
    ]) {
        diary.wait(20_000);
        offer(diary, class, Trick::Intent { scope, n }, code);
    }
    diary.happened(class, "scope", first);
    diary.wait(2_000);
    diary.call(10_000);
    diary.deed(Deed::Outcome);
}

pub(super) fn too_many_denials(diary: &mut Diary<'_>) {
    let class = Class::TooManyDenials;
    debug_assert!(DENIED.starts_with("write:repo/secrets"));
    // An epoch of its own, so that no denial before counts.
    diary.lease_anew(None);
    diary.wait(2_000);
    diary.deed(Deed::Follow);
    diary.deed(Deed::Goal);
    let first = diary.now_ms() + 3_000;
    for n in 0..denials_max() {
        diary.wait(3_000);
        let scope = DENIED_SCOPE;
        offer(diary, class, Trick::Intent { scope, n }, Code::ScopeDenied);
    }
    let now = diary.now_ms();
    transition(diary, class, Rule::Denials, now);
    release(diary, class);
    diary.happened(class, "scope", first);
    diary.deed(Deed::Outcome);
}

pub(super) fn overrun(diary: &mut Diary<'_>) {
    let class = Class::Overrun;
    diary.lease_anew(Some(100));
    diary.wait(2_000);
    diary.deed(Deed::Follow);
    diary.deed(Deed::Goal);
    diary.wait(1_000);
    diary.deed(Deed::Intent);
    diary.wait(20_000);
    diary.deed(Deed::Result { tokens: 500 });
    finding(diary, class, Code::BudgetExceeded, Party::Agent);
    let overrun = diary.now_ms();
    diary.wait(5_000);
    let scope = "read:repo/src/main.rs";
    offer(
        diary,
        class,
        Trick::Intent { scope, n: 0 },
        Code::BudgetExceeded,
    );
    diary.happened(class, "overrun", overrun);
    diary.wait(5_000);
    diary.deed(Deed::Outcome);
    diary.lease_anew(None);
    diary.wait(2_000);
    diary.deed(Deed::Follow);
}

pub(super) fn drift(diary: &mut Diary<'_>) {
    let class = Class::Drift;
    diary.deed(Deed::BeatOfDrift);
    finding(diary, class, Code::ManifestDrift, Party::Agent);
    let now = diary.now_ms();
    transition(diary, class, Rule::ManifestDrift, now);
    release(diary, class);
    diary.happened(class, "drift", now);
}

pub(super) fn skipped_number(diary: &mut Diary<'_>) {
    offer(
        diary,
        Class::SkippedNumber,
        Trick::SkippedNumber,
        Code::SequenceGap,
    );
}

pub(super) fn broken_chain(diary: &mut Diary<'_>) {
    offer(
        diary,
        Class::BrokenChain,
        Trick::OtherPrevious,
        Code::PreviousMismatch,
    );
}

/// Nothing of it reaches the log, for nobody can be told to have sent it.
pub(super) fn forged_beat(diary: &mut Diary<'_>) {
    diary.deed(Deed::Offer(Trick::ForeignKey, Code::KeyUnknown));
}

/// Nothing of it reaches the log, for it is there already.
pub(super) fn replayed_beat(diary: &mut Diary<'_>) {
    diary.deed(Deed::Offer(Trick::Replay, Code::SequenceRepeated));
}

pub(super) fn backdated(diary: &mut Diary<'_>) {
    let class = Class::Backdated;
    diary.live(diary.now_ms() + 20_000);
    offer(diary, class, Trick::Ahead(3 * MINUTE_MS), Code::ClockAhead);
    // The chain's last record is older than this one, so what is wrong is its age.
    let quiet = diary.now_ms();
    diary.wait_until(quiet + 9 * MINUTE_MS);
    offer(diary, class, Trick::Old(6 * MINUTE_MS), Code::Stale);
    diary.deed(Deed::Goal);
    diary.wait(1_000);
    diary.deed(Deed::Intent);
    diary.wait(5_000);
    offer(diary, class, Trick::OutOfOrder, Code::ClockRegressed);
    diary.wait(5_000);
    diary.deed(Deed::Result { tokens: 10 });
    diary.deed(Deed::Outcome);
}

pub(super) fn abandoned_call(diary: &mut Diary<'_>) {
    let class = Class::AbandonedCall;
    diary.deed(Deed::Goal);
    beat(diary);
    diary.wait(1_000);
    diary.deed(Deed::Intent);
    let late = diary.now_ms() + INFLIGHT_MS;
    let found = What::Finding(Code::ActionUnfinished, Party::Agent);
    diary.expect(class, When::FirstAfter(late), found);
    diary.restart_after_silence();
    diary.live(late + 7 * MINUTE_MS);
    diary.deed(Deed::Result { tokens: 10 });
    diary.happened(class, "unfinished", late);
    diary.deed(Deed::Outcome);
}

pub(super) fn second_instance(diary: &mut Diary<'_>) {
    let class = Class::SecondInstance;
    beat(diary);
    diary.wait(30_000);
    offer(diary, class, Trick::SecondInstance, Code::EpochFenced);
    diary.happened(class, "zombie", diary.now_ms());
    diary.wait(30_000);
    offer(diary, class, Trick::EarlyRestart, Code::StateForbids);
    diary.happened(class, "authority", diary.now_ms());
}

pub(super) fn fork_shown(diary: &mut Diary<'_>) {
    diary.deed(Deed::BeatOfFork);
    finding(diary, Class::ForkShown, Code::SplitView, Party::Log);
    diary.happened(Class::ForkShown, "control", diary.now_ms());
}

/// The process falls silent and stays so until healing begins; gives since when.
fn stall_until_heal(diary: &mut Diary<'_>, class: Class) -> u64 {
    let silent = fall_silent(diary);
    transition(diary, class, Rule::PulseLost, degraded_after(silent));
    transition(diary, class, Rule::HealDue, autohealing_after(silent));
    diary.wait_until(autohealing_after(silent));
    silent
}

/// A lease that nobody renews; gives when it ends.
pub(super) fn let_lapse(diary: &mut Diary<'_>, class: Class) -> u64 {
    let ends = diary.now_ms() + 20 * MINUTE_MS;
    diary.deed(Deed::Lease {
        for_ms: 20 * MINUTE_MS,
        tokens: None,
    });
    diary.wait(2_000);
    diary.deed(Deed::Follow);
    transition(diary, class, Rule::LeaseEnded, ends);
    ends
}

/// A new lease for an agent that beat without one since a time: it is well at once.
pub(super) fn recover_by_lease(diary: &mut Diary<'_>, class: Class, since_ms: u64) {
    diary.wait(5 * MINUTE_MS / 2);
    diary.lease_anew(None);
    let now = diary.now_ms();
    transition(diary, class, Rule::Recovered, now);
    diary.happened(class, "authority", since_ms);
    diary.wait(2_000);
    diary.deed(Deed::Follow);
}

fn offer(diary: &mut Diary<'_>, class: Class, trick: Trick, code: Code) {
    diary.deed(Deed::Offer(trick, code));
    let now = diary.now_ms();
    diary.expect(class, When::At(now), What::Refusal(code));
}

fn beat(diary: &mut Diary<'_>) {
    diary.deed(Deed::Beat {
        steps: 1,
        seen: false,
    });
}
