//! Charters, manifests, leases and orders that do not hold, and who goes by them.

use ledger::codes::{Class, Code, Party};
use ledger::digest::RecordHash;
use ledger::record::{AgentState, Body, CharterKey, Lease, Rule};
use ledger::verify::Verdict;
use proving::{Identity, Speaker, record};

use crate::story::{Found, HOUR, MINUTE, Story, found, let_in, one, with};

#[test]
fn a_lease_with_too_few_signatures_is_not_held_against_who_follows_it() {
    let mut story = Story::under(|charter| {
        let mut second = charter.keys[1].clone();
        second.key = proving::keys::key("second-operator").public();
        charter.keys.push(second);
    });
    // From now on it takes two.
    let mut stricter = story.log.state().charter().unwrap().clone();
    stricter.version = 2;
    stricter.previous = story.log.state().charter_hash();
    stricter.thresholds.operator = 2;
    let (root, operator) = (
        story.log.keys().root.clone(),
        story.log.keys().operator.clone(),
    );
    let amendment = story
        .log
        .sign(Body::Charter(Box::new(stricter)), story.now, &[&root]);
    story.hold(amendment);
    let me = story.me.identity.clone();
    let lease = record::lease(&me.name, me.manifest_hash, story.now, story.now + HOUR);
    let lease = story
        .log
        .sign(Body::Lease(Box::new(lease)), story.now, &[&operator]);
    story.hold(lease.clone());
    let last = story.log.state().agent(&me.name).unwrap().last();
    story.me.follow(2, lease.hash(), last);
    story.me.progress = 1;
    let beat = story.me.beat(&story.log, story.now);
    story.me.said(&beat);
    story.hold(beat);
    let found = story.found();
    let alone = let_in(Code::ThresholdNotMet, Class::Problem, Party::Operator);
    let want = with(alone, Code::RestsOnProblem, Party::Operator, 1);
    assert_eq!(found, want);
}

#[test]
fn rules_of_a_later_version_are_not_judged() {
    let mut story = Story::new();
    let mut later = story.log.state().charter().unwrap().clone();
    later.version = 2;
    later.rules = 2;
    later.previous = story.log.state().charter_hash();
    let root = story.log.keys().root.clone();
    let later = story
        .log
        .sign(Body::Charter(Box::new(later)), story.now, &[&root]);
    story.hold(later);
    let report = story.report();
    assert_eq!(found(&report), Found::new());
    assert_eq!(report.verdict, Verdict::Incomplete);
}

/// Whoever may not amend cannot stop the judging by rules that nobody has.
#[test]
fn rules_of_a_later_version_come_from_the_roots() {
    let mut story = Story::new();
    let operator = story.log.keys().operator.clone();
    let usurped = story.next_charter(|charter| charter.rules = 2);
    story.by(usurped, &operator);
    story.live(40);
    story.transition(Rule::PulseLost, AgentState::Degraded, 0);
    let mut want = let_in(Code::CharterNotAuthorized, Class::Problem, Party::Operator);
    want.extend(one(
        Code::TransitionUnfounded,
        Class::Breach,
        Party::Control,
    ));
    assert_eq!(story.found(), want);
}

#[test]
fn a_charter_that_no_root_signed_changes_nothing() {
    let mut story = Story::new();
    let mut usurped = story.log.state().charter().unwrap().clone();
    usurped.version = 2;
    usurped.previous = story.log.state().charter_hash();
    let thief = proving::keys::key("thief");
    usurped.keys[0].key = thief.public();
    let usurped = story
        .log
        .sign(Body::Charter(Box::new(usurped)), story.now, &[&thief]);
    story.hold(usurped);
    story.live(40);
    let want = let_in(Code::CharterNotAuthorized, Class::Problem, Party::Operator);
    assert_eq!(story.found(), want);
}

#[test]
fn a_forged_lease_is_no_alibi_for_what_control_does_later() {
    let mut story = Story::new();
    let me = story.me.identity.clone();
    let lease = record::lease(&me.name, me.manifest_hash, story.now, story.now + HOUR);
    story.by_control(Body::Lease(Box::new(lease)));
    story.live(60);
    story.transition(Rule::PulseLost, AgentState::Degraded, 0);
    let mut want = let_in(Code::RoleMissing, Class::Problem, Party::Log);
    want.extend(one(
        Code::TransitionUnfounded,
        Class::Breach,
        Party::Control,
    ));
    assert_eq!(story.found(), want);
}

#[test]
fn a_charter_that_contradicts_itself_changes_nothing() {
    let mut story = Story::new();
    let root = story.log.keys().root.clone();
    let broken = story.next_charter(|charter| charter.liveness.heal_attempts = 0);
    story.by(broken, &root);
    story.live(40);
    let want = let_in(Code::CharterInvalid, Class::Problem, Party::Operator);
    assert_eq!(story.found(), want);
}

/// Where the log lets a charter in that no root signed, control goes by its clocks: what it does rests on that charter.
#[test]
fn who_goes_by_a_usurped_charter_is_not_blamed_for_it() {
    let mut story = Story::new();
    let usurped = story.next_charter(|charter| charter.liveness.degraded_after_ms = 20 * MINUTE);
    story.believed(usurped, &proving::keys::key("thief"));
    story.sleep(20);
    assert_eq!(story.state(), AgentState::Degraded);
    story.beat();
    story.live(3);
    let found = story.found();
    let by = |by: &str| found.keys().filter(|(.., party)| *party == by).count();
    assert_eq!(by("agent"), 0, "{found:?}");
    let let_it_in = let_in(Code::KeyUnknown, Class::Problem, Party::Log);
    let want = with(let_it_in, Code::RestsOnProblem, Party::Log, 1);
    assert_eq!(found, want);
}

/// Nor is the agent for what it does in the state that it was put into.
#[test]
fn who_is_degraded_by_a_charter_of_the_operators_is_not_blamed_for_it() {
    let mut story = Story::new();
    let operator = story.log.keys().operator.clone();
    let usurped = story.next_charter(|charter| charter.liveness.degraded_after_ms = 20 * MINUTE);
    story.believed(usurped, &operator);
    story.sleep(20);
    assert_eq!(story.state(), AgentState::Degraded);
    story.work(record::goal("more"));
    let alone = let_in(Code::CharterNotAuthorized, Class::Problem, Party::Operator);
    let want = with(alone, Code::RestsOnProblem, Party::Operator, 1);
    assert_eq!(story.found(), want);
}

/// The registration of a new agent, without the operators, and all that it leads to.
#[test]
fn what_rests_on_a_manifest_that_no_operator_signed_is_the_operators() {
    let mut story = Story::new();
    let name = record::name("newcomer");
    let key = proving::keys::key("newcomer");
    let manifest = record::manifest(&name, "v1");
    let registration = record::registration(manifest, key.public(), None);
    let manifest_hash = registration.manifest_hash;
    story.believed(Body::Manifest(Box::new(registration)), &key);
    let lease = record::lease(&name, manifest_hash, story.now, story.now + HOUR);
    story.by_operators(Body::Lease(Box::new(lease)));
    let identity = Identity {
        name,
        key,
        manifest_hash,
    };
    let mut newcomer = Speaker::beginning(identity, "first", &story.log);
    for _ in 0..3 {
        newcomer.progress += 1;
        let beat = newcomer.beat(&story.log, story.now);
        newcomer.said(&beat);
        story.hold(beat);
        story.settle();
        story.live(1);
    }
    let alone = let_in(Code::ThresholdNotMet, Class::Problem, Party::Operator);
    // The lease, three beats, and the start; and three pulses, which count the newcomer.
    let want = with(alone, Code::RestsOnProblem, Party::Operator, 8);
    assert_eq!(story.found(), want);
}

/// Whichever of the keys sorts first: who registers an agent with somebody else's key is the operator.
#[test]
fn a_manifest_with_the_key_of_another_is_the_operators() {
    for name in ["b", "c", "d", "e", "f", "g"] {
        let mut story = Story::new();
        let (name, mine) = (record::name(name), story.me.identity.key.clone());
        let manifest = record::manifest(&name, "v1");
        let registration = record::registration(manifest, mine.public(), None);
        let operator = story.log.keys().operator.clone();
        let body = Body::Manifest(Box::new(registration));
        let signed = story.log.sign(body, story.now, &[&operator, &mine]);
        story.hold(signed);
        story.live(40);
        let want = let_in(Code::KeyNotAgents, Class::Breach, Party::Operator);
        assert_eq!(story.found(), want, "{name}");
    }
}

#[test]
fn a_lease_by_an_observer_is_not_held_against_who_follows_it() {
    let mut story = Story::new();
    let observer = story.log.keys().observer.clone();
    let lease = story.lease(HOUR);
    story.believed(Body::Lease(Box::new(lease)), &observer);
    story.follow();
    for _ in 0..3 {
        story.live(1);
    }
    let alone = let_in(Code::RoleMissing, Class::Problem, Party::Log);
    let found = story.found();
    let rests = found.get(&("rests-on-problem", "problem", "log")).copied();
    assert!(rests.is_some(), "{found:?}");
    assert_eq!(
        found,
        with(alone, Code::RestsOnProblem, Party::Log, rests.unwrap())
    );
}

/// The parent is another agent's, so what is wrong with it is not a problem of the agent that holds the part.
#[test]
fn a_part_of_a_lease_with_too_few_signatures_rests_on_the_operators() {
    let mut story = Story::under(|charter| {
        let mut second: CharterKey = charter.keys[1].clone();
        second.key = proving::keys::key("second-operator").public();
        charter.keys.push(second);
    });
    let root = story.log.keys().root.clone();
    let stricter = story.next_charter(|charter| charter.thresholds.operator = 2);
    story.by(stricter, &root);
    let (first, second) = (
        story.log.keys().operator.clone(),
        proving::keys::key("second-operator"),
    );
    let key = proving::keys::key("helper");
    let name = record::name("helper");
    let registration = record::registration(record::manifest(&name, "v1"), key.public(), None);
    let manifest_hash = registration.manifest_hash;
    let body = Body::Manifest(Box::new(registration));
    let signed = story.log.sign(body, story.now, &[&first, &second, &key]);
    story.hold(signed);
    // One operator is too few.
    let parent = Body::Lease(Box::new(story.lease(HOUR)));
    let parent = story.believed(parent, &first);
    let part = Lease {
        parent: Some(parent.hash()),
        ..record::lease(&name, manifest_hash, story.now, story.now + HOUR)
    };
    let body = Body::Lease(Box::new(part));
    let signed = story.log.sign(body, story.now, &[&first, &second]);
    story.hold(signed);
    let alone = let_in(Code::ThresholdNotMet, Class::Problem, Party::Operator);
    let want = with(alone, Code::RestsOnProblem, Party::Operator, 1);
    assert_eq!(story.found(), want);
}

#[test]
fn a_part_that_is_wider_than_its_parent_is_the_operators() {
    let mut story = Story::new();
    let mut narrow = story.lease(HOUR);
    narrow.allow = vec!["read:docs/**".parse().unwrap()];
    let parent = story.by_operators(Body::Lease(Box::new(narrow)));
    story.follow();
    story.beat();
    let helper = Identity::registered(&mut story.log, "helper", story.now);
    let part = Lease {
        parent: Some(parent.hash()),
        ..record::lease(
            &helper.name,
            helper.manifest_hash,
            story.now,
            story.now + HOUR,
        )
    };
    story.by_operators(Body::Lease(Box::new(part)));
    let mut helper = Speaker::beginning(helper, "first", &story.log);
    helper.progress = 1;
    let beat = helper.beat(&story.log, story.now);
    helper.said(&beat);
    story.hold(beat);
    story.settle();
    let goal = helper.receipt(record::goal("help"), &story.log, story.now);
    helper.said(&goal);
    story.hold(goal.clone());
    let intent = record::intent(goal.hash(), "read:docs/a");
    let intent = helper.intent(intent, &story.log, story.now);
    story.hold(intent);
    let want = let_in(Code::LeaseWidened, Class::Breach, Party::Operator);
    assert_eq!(story.found(), want);
}

#[test]
fn a_forged_revocation_takes_nothing_from_anybody() {
    let lease_of = |story: &Story| -> RecordHash {
        let agent = story.log.state().agent(&story.me.identity.name);
        agent.unwrap().lease().unwrap()
    };
    // Nobody believes it.
    let mut story = Story::new();
    let observer = story.log.keys().observer.clone();
    let revocation = record::revocation(lease_of(&story));
    story.by(revocation, &observer);
    let intent = story.intent("read:docs");
    story.result(intent);
    story.live(40);
    let alone = let_in(Code::RoleMissing, Class::Problem, Party::Log);
    assert_eq!(story.found(), alone);
    // Control believes it, and the agent waits.
    let mut story = Story::new();
    let revocation = record::revocation(lease_of(&story));
    story.believed(revocation, &observer);
    story.settle();
    assert_eq!(story.state(), AgentState::Degraded);
    // The agent has not heard of it yet.
    story.work(record::goal("more"));
    story.live(10);
    let want = with(alone, Code::RestsOnProblem, Party::Log, 2);
    assert_eq!(story.found(), want);
}

#[test]
fn time_that_an_observer_gave_is_not_held_against_who_uses_it() {
    let mut story = Story::new();
    let lease = story.lease(30 * MINUTE);
    let lease = story.by_operators(Body::Lease(Box::new(lease)));
    story.follow();
    story.beat();
    let observer = story.log.keys().observer.clone();
    let renewal = record::renewal(lease.hash(), story.now + 5 * HOUR);
    story.believed(renewal, &observer);
    story.live(31);
    story.work(record::goal("in time that nobody gave"));
    story.live(3);
    let alone = let_in(Code::RoleMissing, Class::Problem, Party::Log);
    let want = with(alone, Code::RestsOnProblem, Party::Log, 1);
    assert_eq!(story.found(), want);
}

/// The renewal is sound and out of bounds, so it counts; whoever uses it has nothing to do with it.
#[test]
fn an_unearned_renewal_is_control_s_and_its_time_is_the_agents() {
    let mut story = Story::new();
    let lease = story.lease(30 * MINUTE);
    let lease = story.by_operators(Body::Lease(Box::new(lease)));
    let renewal = record::renewal(lease.hash(), story.now + 59 * MINUTE);
    story.by_control(renewal);
    story.follow();
    story.live(58);
    story.work(record::goal("in time that was not earned"));
    let want = one(Code::RenewalUnearned, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn what_a_distrusted_key_granted_ends_and_nobody_is_to_blame() {
    let amended = |story: &Story| {
        let distrusted = story.log.keys().operator.public();
        let second = proving::keys::key("second-operator").public();
        story.next_charter(|charter| {
            let mut next = charter.keys[1].clone();
            next.key = second;
            charter.keys.push(next);
            charter.distrusted.push(distrusted.id());
        })
    };
    let mut story = Story::new();
    let root = story.log.keys().root.clone();
    let amendment = amended(&story);
    story.by(amendment, &root);
    story.settle();
    assert_eq!(story.state(), AgentState::Degraded);
    story.live(10);
    assert_eq!(story.found(), Found::new());
    // What it goes on with is its own doing, and control's, that lets it in.
    let goal = story
        .me
        .receipt(record::goal("more"), &story.log, story.now);
    story.hold(goal);
    let want = let_in(Code::LeaseRevoked, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);
    // Control has to say that the lease has ended.
    let mut story = Story::new();
    let amendment = amended(&story);
    story.by(amendment, &root);
    for _ in 0..3 {
        story.now += MINUTE;
        let pulse = story.log.pulse(None);
        story.by_control(pulse);
    }
    let want = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn a_forged_order_stops_nobody() {
    let mut story = Story::new();
    let observer = story.log.keys().observer.clone();
    let name = story.me.identity.name.clone();
    for to in [AgentState::Quarantined, AgentState::Stopped] {
        story.by(record::order(&name, to), &observer);
        story.live(5);
    }
    story.live(40);
    let found = story.found();
    let want = Found::from([
        (("role-missing", "problem", "log"), 2),
        (("role-missing", "breach", "control"), 2),
    ]);
    assert_eq!(found, want);
}

/// The agent worked on, and with that showed that nobody went by it.
#[test]
fn a_forged_revocation_is_no_alibi_for_what_control_does_later() {
    let mut story = Story::new();
    let agent = story.log.state().agent(&story.me.identity.name).unwrap();
    let revocation = record::revocation(agent.lease().unwrap());
    let observer = story.log.keys().observer.clone();
    story.by(revocation, &observer);
    story.work(record::goal("more"));
    story.live(60);
    story.transition(Rule::LeaseEnded, AgentState::Degraded, 0);
    let mut want = let_in(Code::RoleMissing, Class::Problem, Party::Log);
    want.extend(one(
        Code::TransitionUnfounded,
        Class::Breach,
        Party::Control,
    ));
    assert_eq!(story.found(), want);
}

/// By the clocks of a charter that does not count there is time until 45 minutes; by no clocks is there more.
#[test]
fn a_charter_that_does_not_count_puts_a_duty_off_and_no_further() {
    let missed_after = |minutes: u64| {
        let mut story = Story::new();
        let operator = story.log.keys().operator.clone();
        let usurped =
            story.next_charter(|charter| charter.liveness.degraded_after_ms = 45 * MINUTE);
        story.by(usurped, &operator);
        for _ in 0..minutes {
            story.now += MINUTE;
            let pulse = story.log.pulse(None);
            story.by_control(pulse);
        }
        story.found()
    };
    let mut want = let_in(Code::CharterNotAuthorized, Class::Problem, Party::Operator);
    assert_eq!(missed_after(46), want);
    want.extend(one(Code::DutyMissed, Class::Breach, Party::Control));
    assert_eq!(missed_after(48), want);
}
