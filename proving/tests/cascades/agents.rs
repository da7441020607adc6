//! What an agent does wrong is said once, and its successor and its other records are judged for themselves.

use ledger::codes::{Class, Code, Party};
use ledger::record::{Amounts, Body, Mode, Phase, Seen, Status, Verdict as Judged};
use ledger::verify::Verdict;
use proving::{Speaker, record};

use crate::story::{Found, HOUR, MINUTE, START, Story, found, let_in, one, with};

#[test]
fn a_healthy_log_shows_nothing() {
    let mut story = Story::new();
    let intent = story.intent("read:docs");
    story.live(2);
    story.result(intent);
    story.live(90);
    let report = story.report();
    assert_eq!(found(&report), Found::new());
    assert_eq!(report.verdict, Verdict::Verified);
}

#[test]
fn a_skipped_number_is_the_agent_s_and_said_once() {
    let mut story = Story::new();
    story.me.chain.seq += 1;
    let skipping = story.me.beat(&story.log, story.now);
    story.me.said(&skipping);
    story.log.force_resting(skipping, story.now);
    story.beat_on();
    story.live(40);
    let alone = let_in(Code::SequenceGap, Class::Problem, Party::Agent);
    let want = with(alone, Code::RestsOnProblem, Party::Agent, 1);
    assert_eq!(story.found(), want);
}

#[test]
fn a_zombie_does_not_disturb_its_successor() {
    let mut story = Story::new();
    let zombie = story.me.clone();
    for _ in 0..3 {
        story.now += MINUTE;
        story.pulse();
    }
    story.me = Speaker::restarting(story.me.identity.clone(), "second", &story.log);
    story.beat();
    story.live(2);
    let late = zombie.beat(&story.log, story.now);
    story.hold(late);
    story.live(40);
    let want = let_in(Code::EpochFenced, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);
}

#[test]
fn an_action_without_a_result_is_the_agent_s() {
    let mut story = Story::new();
    story.intent("read:docs");
    story.live(60);
    let want = one(Code::ActionUnfinished, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);
}

#[test]
fn drift_and_overruns_are_the_agent_s_alone() {
    let mut story = Story::new();
    let mut other = story.me.clone();
    other.identity.manifest_hash = ledger::digest::Digest::of(&[b"v2"]);
    let beat = other.beat(&story.log, story.now);
    story.hold(beat);
    story.settle();
    let want = one(Code::ManifestDrift, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);

    let mut story = Story::new();
    let me = story.me.identity.clone();
    let mut lease = record::lease(&me.name, me.manifest_hash, story.now, story.now + HOUR);
    lease.budget.tokens = Some(15);
    let operator = story.log.keys().operator.clone();
    let lease = story.log.knowing(Body::Lease(Box::new(lease)));
    let lease = story.log.sign(lease, story.now, &[&operator]);
    let last = story.log.state().agent(&me.name).unwrap().last();
    story.hold(lease.clone());
    story.me.follow(2, lease.hash(), last);
    story.beat();
    let intent = story.intent("read:docs");
    let mut result = record::result(intent, Status::Ok, 1);
    result.usage = Amounts {
        tokens: 20,
        cost_micros: 0,
    };
    story.work(Phase::Result(result));
    story.live(3);
    let want = one(Code::BudgetExceeded, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);
}

#[test]
fn observing_lays_breaches_to_the_agent_alone_and_tells_what_was_only_late() {
    let mut story = Story::under(|charter| charter.mode = Mode::Observe);
    story.intent("write:repo/secrets/key");
    let want = one(Code::ScopeDenied, Class::Breach, Party::Agent);
    assert_eq!(
        story.found().get(&("scope-denied", "breach", "agent")),
        Some(&1)
    );
    assert_eq!(story.found(), want);

    let mut story = Story::under(|charter| charter.mode = Mode::Observe);
    story.live(10 * 60 - 5);
    story.now = START + 10 * HOUR - 1000;
    story.pulse();
    let made_in_time = story
        .me
        .receipt(record::goal("late"), &story.log, story.now);
    story.me.said(&made_in_time);
    story.now += 2000;
    story.hold(made_in_time);
    let late = one(Code::LeaseExpired, Class::Late, Party::Agent);
    assert_eq!(story.found(), late);
    assert_eq!(story.report().verdict, Verdict::Verified);
}

/// What follows from the goal is judged for itself: it is not unknown to who made it.
#[test]
fn a_goal_that_cannot_be_relied_on_spoils_nothing_that_came_of_it() {
    let mut story = Story::new();
    story.me.chain.seq += 1;
    let goal = story
        .me
        .receipt(record::goal("more"), &story.log, story.now);
    story.me.said(&goal);
    story.log.force_resting(goal.clone(), story.now);
    story.goal = Some(goal.hash());
    let intent = story.intent("read:docs");
    story.live(2);
    story.result(intent);
    story.work(record::outcome(goal.hash(), Judged::Accepted));
    story.live(40);
    let alone = let_in(Code::SequenceGap, Class::Problem, Party::Agent);
    // The intent has nothing in front of it, the outcome has no goal.
    let want = with(alone, Code::RestsOnProblem, Party::Agent, 2);
    assert_eq!(story.found(), want);
}

/// Somebody else's problem in between does not take it over.
#[test]
fn what_rests_on_an_agents_problem_is_the_agents() {
    let mut story = Story::new();
    story.me.chain.seq += 1;
    let skipping = story.me.beat(&story.log, story.now);
    story.me.said(&skipping);
    story.log.force_resting(skipping, story.now);
    let observer = story.log.keys().observer.clone();
    let pulse = story.log.pulse(None);
    story.by(pulse, &observer);
    story.beat_on();
    story.live(40);
    let mut want = let_in(Code::SequenceGap, Class::Problem, Party::Agent);
    want.extend(let_in(Code::RoleMissing, Class::Problem, Party::Log));
    let want = with(want, Code::RestsOnProblem, Party::Agent, 1);
    assert_eq!(story.found(), want);
}

/// The log shows that it was finished, if only in a record that cannot be relied on.
#[test]
fn an_action_whose_result_is_out_of_place_is_not_unfinished() {
    let mut story = Story::new();
    let intent = story.intent("read:docs");
    story.me.chain.seq += 1;
    let result = Phase::Result(record::result(intent, Status::Ok, 1));
    let result = story.me.receipt(result, &story.log, story.now);
    story.me.said(&result);
    story.log.force_resting(result, story.now);
    story.live(40);
    let alone = let_in(Code::SequenceGap, Class::Problem, Party::Agent);
    let want = with(alone, Code::RestsOnProblem, Party::Agent, 1);
    assert_eq!(story.found(), want);
}

#[test]
fn an_action_that_builds_on_nothing_is_not_unfinished_too() {
    let mut story = Story::new();
    let mut intent = record::intent(story.goal.unwrap(), "read:docs");
    let unknown = ledger::digest::Digest::of(&[b"nothing"]);
    intent
        .parents
        .push(ledger::digest::RecordHash::new(unknown));
    let intent = story.work(Phase::Intent(Box::new(intent)));
    story.live(2);
    story.result(intent);
    story.live(40);
    let found = story.found();
    let alone = let_in(Code::ReferenceUnknown, Class::Problem, Party::Agent);
    let rests = found.get(&("rests-on-problem", "problem", "agent"));
    let rests = rests.copied().expect("the result at least");
    assert_eq!(
        found,
        with(alone, Code::RestsOnProblem, Party::Agent, rests)
    );
}

/// Whoever is fenced can write what he likes into his heartbeat: only the log's own signature speaks against the log.
#[test]
fn a_head_that_the_log_never_signed_is_no_split_view() {
    let unsigned = |story: &Story| Seen {
        size: 3,
        root: tlog::leaf_hash(b"made up"),
        sig: {
            let note = story.log.checkpoint(story.log.size()).to_string();
            note.trim_end().rsplit(' ').next().unwrap().to_owned()
        },
    };
    let mut story = Story::new();
    let mut beat = story.me.heartbeat();
    beat.chain.instance = proving::keys::instance("another");
    beat.seen = Some(unsigned(&story));
    let signed = story
        .me
        .sign(Body::Heartbeat(Box::new(beat)), &story.log, story.now);
    story.hold(signed);
    story.live(3);
    let fenced = let_in(Code::EpochFenced, Class::Breach, Party::Agent);
    assert_eq!(story.found(), fenced);
    // What the log did sign speaks against it, whoever brings it.
    let mut story = Story::new();
    let honest = story.log.checkpoint(story.log.size());
    let mut shown = honest.unverified().clone();
    shown.root = tlog::leaf_hash(b"made up");
    let note = tlog::checkpoint::sign(&story.log.keys().log, &shown);
    let mut beat = story.me.heartbeat();
    beat.chain.instance = proving::keys::instance("another");
    beat.seen = Some(Seen {
        size: shown.size.get(),
        root: shown.root,
        sig: note.trim_end().rsplit(' ').next().unwrap().to_owned(),
    });
    let signed = story
        .me
        .sign(Body::Heartbeat(Box::new(beat)), &story.log, story.now);
    story.hold(signed);
    let mut want = fenced;
    want.extend(one(Code::SplitView, Class::Problem, Party::Log));
    assert_eq!(story.found(), want);
}

#[test]
fn in_observe_mode_what_follows_a_breach_is_judged_for_itself() {
    let mut story = Story::under(|charter| charter.mode = Mode::Observe);
    let intent = story.intent("run:shell");
    story.result(intent);
    let intent = story.intent("read:docs");
    story.result(intent);
    story.work(record::outcome(story.goal.unwrap(), Judged::Accepted));
    story.live(40);
    let want = one(Code::CapabilityMissing, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);
}

#[test]
fn in_observe_mode_no_state_makes_a_breach() {
    let mut story = Story::under(|charter| charter.mode = Mode::Observe);
    story.sleep(61);
    assert_eq!(story.state(), ledger::record::AgentState::Autohealing);
    story.work(record::goal("more"));
    story.live(3);
    let name = story.me.identity.name.clone();
    let quarantined = ledger::record::AgentState::Quarantined;
    story.by_operators(record::order(&name, quarantined));
    story.live(3);
    let intent = story.intent("write:repo/a");
    story.result(intent);
    assert_eq!(story.found(), Found::new());
}
