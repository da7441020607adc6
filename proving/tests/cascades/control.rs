//! What the control plane does wrong, or leaves undone, is not the agents' fault.

use ledger::codes::{Class, Code, Party};
use ledger::record::{AgentState, Body, Refused, Rule, Transition};
use proving::{Speaker, record};

use crate::story::{Found, HOUR, MINUTE, Story, let_in, one, with};

#[test]
fn what_an_agent_does_in_a_state_it_was_put_into_without_cause_is_not_its_fault() {
    let rules = [
        (Rule::PulseLost, AgentState::Degraded, 0),
        (Rule::ManifestDrift, AgentState::Quarantined, 0),
        (Rule::Finished, AgentState::Stopped, 0),
    ];
    for (rule, to, opens) in rules {
        let mut story = Story::new();
        story.transition(rule, to, opens);
        let intent = record::intent(story.goal.unwrap(), "write:repo/a");
        let signed = story.me.intent(intent, &story.log, story.now);
        story.me.said(&signed);
        story.hold(signed);
        let want = one(Code::TransitionUnfounded, Class::Breach, Party::Control);
        assert_eq!(story.found(), want, "{rule}");
    }
}

#[test]
fn a_fence_without_cause_makes_no_zombie() {
    let mut story = Story::new();
    story.transition(Rule::HealDue, AgentState::Autohealing, 1);
    let beat = story.me.beat(&story.log, story.now);
    story.hold(beat);
    let found = story.found();
    let agent = found.keys().filter(|(_, _, by)| *by == "agent");
    assert_eq!(agent.count(), 0, "{found:?}");
    assert!(found.contains_key(&("transition-unfounded", "breach", "control")));
}

#[test]
fn refusals_without_ground_quarantine_nobody_by_their_fault() {
    let mut story = Story::under(|charter| charter.limits.denials_max = 2);
    for n in 0..2 {
        let intent = record::intent(story.goal.unwrap(), "read:docs");
        let intent = story.me.intent(intent, &story.log, story.now + n);
        let refused = Refused {
            envelope: Some(intent.envelope().clone()),
            ..record::refused(&story.me.identity.name, 1, &intent, Code::ScopeDenied)
        };
        story.by_control(Body::Refusal(Box::new(refused)));
    }
    story.settle();
    let name = &story.me.identity.name;
    let state = story.log.state().agent(name).unwrap().state();
    assert_eq!(state, AgentState::Quarantined);
    let beat = story.me.beat(&story.log, story.now);
    story.hold(beat);
    let want = Found::from([(("refusal-unfounded", "breach", "control"), 2)]);
    assert_eq!(story.found(), want);
}

#[test]
fn a_denial_is_judged_again() {
    let mut story = Story::new();
    let intent = record::intent(story.goal.unwrap(), "write:repo/secrets/key");
    let intent = story.me.intent(intent, &story.log, story.now);
    let refused = Refused {
        envelope: Some(intent.envelope().clone()),
        ..record::refused(&story.me.identity.name, 1, &intent, Code::ScopeDenied)
    };
    story.by_control(Body::Refusal(Box::new(refused)));
    story.live(3);
    assert_eq!(story.found(), Found::new(), "a denial with its ground");
}

#[test]
fn a_wrong_transition_number_is_one() {
    let mut story = Story::new();
    for _ in 0..31 {
        story.now += MINUTE;
        let body = story.log.pulse(None);
        story.by_control(body);
    }
    let agent = story.log.state().agent(&story.me.identity.name).unwrap();
    let n = agent.transitions() + 3;
    let body = Body::Transition(Transition {
        agent: agent.name().clone(),
        n,
        from: AgentState::Running,
        to: AgentState::Degraded,
        rule: Rule::PulseLost,
        epoch: agent.epoch(),
    });
    story.by_control(body);
    story.live(3);
    let want = one(Code::TransitionNumber, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn a_forgotten_transition_is_missed_once() {
    let mut story = Story::new();
    for _ in 0..50 {
        story.now += MINUTE;
        let body = story.log.pulse(None);
        story.by_control(body);
    }
    story.live(3);
    let want = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn a_cause_that_passes_in_time_is_no_duty() {
    let mut story = Story::new();
    for _ in 0..30 {
        story.now += MINUTE;
        let body = story.log.pulse(None);
        story.by_control(body);
    }
    story.now += MINUTE / 2;
    story.me.progress += 1;
    let signed = story.me.beat(&story.log, story.now);
    story.me.said(&signed);
    story.hold(signed);
    story.live(3);
    assert_eq!(story.found(), Found::new());
}

#[test]
fn pulses_that_are_missing_between_other_leaves_are_missed_once() {
    let mut story = Story::new();
    for _ in 0..10 {
        story.now += MINUTE;
        story.beat();
    }
    story.live(3);
    let want = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn a_gap_is_control_s_and_nobody_else_s() {
    let mut story = Story::new();
    let intent = story.intent("read:docs");
    story.now += 5 * HOUR;
    story.live(5);
    story.result(intent);
    story.live(40);
    let want = one(Code::ControlGap, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

/// Once an agent is fenced without cause, attempts at healing fail by themselves. None of that is its fault.
#[test]
fn a_healing_without_cause_is_without_cause_to_its_end() {
    let mut story = Story::new();
    let stuck = story.me.clone();
    story.transition(Rule::HealDue, AgentState::Autohealing, 1);
    for minutes in [10, 20] {
        story.sleep(minutes);
        let beat = stuck.beat(&story.log, story.now);
        story.hold(beat);
    }
    assert_eq!(story.state(), AgentState::Quarantined);
    let found = story.found();
    let by_agent = found.keys().filter(|(.., by)| *by == "agent");
    assert_eq!(by_agent.count(), 0, "{found:?}");
    assert_eq!(
        found.get(&("transition-unfounded", "breach", "control")),
        Some(&1)
    );
}

#[test]
fn an_honest_heal_after_a_forged_transition_is_one() {
    let mut story = Story::new();
    story.transition(Rule::HealDue, AgentState::Autohealing, 1);
    story.me = Speaker::beginning(story.me.identity.clone(), "second", &story.log);
    story.live(3);
    assert_eq!(story.state(), AgentState::Running);
    let intent = story.intent("read:docs");
    story.result(intent);
    story.live(40);
    let want = one(Code::TransitionUnfounded, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

/// Several are due at once, and control takes the one that spares the agent.
#[test]
fn of_several_duties_the_first_comes_first() {
    let mut story = Story::new();
    let mut beat = story.me.heartbeat();
    beat.manifest_hash = ledger::digest::Digest::of(&[b"v2"]);
    beat.r#final = true;
    let beat = story
        .me
        .sign(Body::Heartbeat(Box::new(beat)), &story.log, story.now);
    story.hold(beat);
    story.transition(Rule::Finished, AgentState::Stopped, 0);
    story.sleep(5);
    let mut want = one(Code::ManifestDrift, Class::Breach, Party::Agent);
    want.extend(one(
        Code::TransitionUnfounded,
        Class::Breach,
        Party::Control,
    ));
    assert_eq!(story.found(), want);
}

#[test]
fn a_forged_pulse_is_the_log_s_and_the_next_one_goes_on() {
    let forge = |story: &mut Story, is_believed: bool| {
        let observer = story.log.keys().observer.clone();
        let pulse = story.log.pulse(None);
        match is_believed {
            true => story.believed(pulse, &observer),
            false => story.by(pulse, &observer),
        };
        story.live(5);
        story.found()
    };
    let alone = let_in(Code::RoleMissing, Class::Problem, Party::Log);
    assert_eq!(forge(&mut Story::new(), false), alone);
    let want = with(alone, Code::RestsOnProblem, Party::Log, 1);
    assert_eq!(forge(&mut Story::new(), true), want);
}

#[test]
fn what_was_refused_twice_is_one_denial() {
    let mut story = Story::under(|charter| charter.limits.denials_max = 2);
    let intent = record::intent(story.goal.unwrap(), "write:repo/secrets/key");
    let intent = story.me.intent(intent, &story.log, story.now);
    for _ in 0..2 {
        let denial = story.denial(&intent, Code::ScopeDenied);
        story.by_control(Body::Refusal(Box::new(denial)));
        story.now += 1;
    }
    story.settle();
    assert_eq!(story.state(), AgentState::Running);
    let mut want = one(Code::RefusalUnfounded, Class::Breach, Party::Control);
    assert_eq!(story.found(), want, "it counts already");
    story.transition(Rule::Denials, AgentState::Quarantined, 0);
    want.extend(one(
        Code::TransitionUnfounded,
        Class::Breach,
        Party::Control,
    ));
    assert_eq!(story.found(), want);
}

#[test]
fn a_refusal_says_what_was_refused() {
    let denied = |change: &dyn Fn(&mut Refused)| {
        let mut story = Story::new();
        let intent = record::intent(story.goal.unwrap(), "write:repo/secrets/key");
        let intent = story.me.intent(intent, &story.log, story.now);
        let mut denial = story.denial(&intent, Code::ScopeDenied);
        change(&mut denial);
        story.by_control(Body::Refusal(Box::new(denial)));
        story.live(3);
        story.found()
    };
    let unfounded = one(Code::RefusalUnfounded, Class::Breach, Party::Control);
    assert_eq!(denied(&|_| {}), Found::new());
    // Told as anything else it would not count.
    assert_eq!(denied(&|it| it.phase = Some("goal".to_owned())), unfounded);
    let as_a_beat = |it: &mut Refused| {
        it.kind = ledger::record::Kind::Heartbeat;
        it.phase = None;
    };
    assert_eq!(denied(&as_a_beat), unfounded);
    assert_eq!(denied(&|it| it.epoch += 1), unfounded);
    assert_eq!(denied(&|it| it.code = Code::BudgetExceeded), unfounded);
    // What brings no envelope is the log's own word, and moves nothing.
    let counted = |it: &mut Refused| {
        (it.epoch, it.envelope, it.count) = (0, None, 7);
        it.code = Code::EpochFenced;
    };
    assert_eq!(denied(&counted), Found::new());
}

#[test]
fn a_gap_in_the_middle_of_a_heal_costs_no_attempt() {
    let begin = || {
        let mut story = Story::new();
        story.sleep(61);
        assert_eq!(story.state(), AgentState::Autohealing);
        story.now += 3 * HOUR;
        story.pulse();
        story
    };
    let mut story = begin();
    story.me = Speaker::beginning(story.me.identity.clone(), "second", &story.log);
    story.live(3);
    assert_eq!(story.state(), AgentState::Running);
    let gap = one(Code::ControlGap, Class::Breach, Party::Control);
    assert_eq!(story.found(), gap);
    // An attempt that had no time is not over.
    let mut story = begin();
    story.transition(Rule::HealRetry, AgentState::Autohealing, 1);
    let mut want = gap;
    want.extend(one(
        Code::TransitionUnfounded,
        Class::Breach,
        Party::Control,
    ));
    assert_eq!(story.found(), want);
}

#[test]
fn a_quarantine_without_cause_ends_with_the_operators() {
    let mut story = Story::new();
    story.transition(Rule::Denials, AgentState::Quarantined, 0);
    let goal = story
        .me
        .receipt(record::goal("more"), &story.log, story.now);
    story.me.said(&goal);
    story.hold(goal);
    let name = story.me.identity.name.clone();
    story.by_operators(record::order(&name, AgentState::Autohealing));
    story.me = Speaker::beginning(story.me.identity.clone(), "second", &story.log);
    story.live(3);
    assert_eq!(story.state(), AgentState::Running);
    let unfounded = one(Code::TransitionUnfounded, Class::Breach, Party::Control);
    assert_eq!(story.found(), unfounded);
    // From here on what it does is its own again.
    story.by_operators(record::order(&name, AgentState::Quarantined));
    let beat = story.me.beat(&story.log, story.now);
    story.hold(beat);
    let mut want = unfounded;
    want.extend(let_in(Code::StateForbids, Class::Breach, Party::Agent));
    assert_eq!(story.found(), want);
}

/// A refusal lays something to an agent, so the agent has to have signed it.
#[test]
fn what_somebody_else_signed_is_not_refused_to_an_agent() {
    let mut story = Story::new();
    let mut forger = story.me.clone();
    forger.identity.key = story.log.keys().control.clone();
    let intent = record::intent(story.goal.unwrap(), "read:docs");
    let intent = forger.intent(intent, &story.log, story.now);
    let denial = story.denial(&intent, Code::KeyNotAgents);
    story.by_control(Body::Refusal(Box::new(denial)));
    story.live(3);
    let want = one(Code::RefusalUnfounded, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}
