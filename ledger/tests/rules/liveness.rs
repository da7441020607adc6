//! The clocks and the five states, to the millisecond.

use ledger::codes::Code;
use ledger::record::{AgentState, Body, Chain, Heartbeat, Rule, Transition};

use crate::world::{HOUR, MINUTE, SECOND, World, agent_key, charter, digest, instance, key};

/// A world whose agent has a lease of a day and runs.
fn day() -> World {
    let mut world = World::leased();
    world.grant(&world.lease("a", 24 * HOUR)).unwrap();
    world.beat(1).unwrap();
    world
}

#[test]
fn silence_degrades_at_thirty_minutes_and_heals_at_sixty() {
    let mut world = day();
    world.pass(30 * MINUTE - 1);
    assert_eq!(world.agent().state(), AgentState::Running);
    world.pass(1);
    assert_eq!(world.agent().state(), AgentState::Degraded);
    world.pass(30 * MINUTE - 1);
    assert_eq!(world.agent().state(), AgentState::Degraded);
    world.pass(1);
    assert_eq!(world.agent().state(), AgentState::Autohealing);
    let minute = MINUTE;
    let log = [
        (0, Rule::Started, AgentState::Running),
        (30 * minute, Rule::PulseLost, AgentState::Degraded),
        (60 * minute, Rule::HealDue, AgentState::Autohealing),
    ];
    assert_eq!(world.transitions, log);
    assert_eq!(world.agent().epoch(), 3, "healing opens an epoch");
}

#[test]
fn healing_ends_in_quarantine_when_nobody_comes_back() {
    let mut world = day();
    world.pass(91 * MINUTE);
    use Rule::{HealDue, HealExhausted, HealRetry, PulseLost, Started};
    assert_eq!(
        world.rules(),
        [
            Started,
            PulseLost,
            HealDue,
            HealRetry,
            HealRetry,
            HealExhausted
        ]
    );
    assert_eq!(world.agent().state(), AgentState::Quarantined);
    world.order(AgentState::Autohealing).unwrap();
    assert_eq!(
        world.order(AgentState::Autohealing),
        Err(Code::StateForbids)
    );
    world.begin(instance(2), 1).unwrap();
    world.pass(30 * SECOND);
    world.beat(2).unwrap();
    assert_eq!(world.rules().last(), Some(&Rule::Healed));
    assert_eq!(world.agent().state(), AgentState::Running);
}

#[test]
fn healing_takes_beats_apart_that_make_progress_by_a_new_instance() {
    let mut world = day();
    world.pass(61 * MINUTE);
    assert_eq!(world.agent().state(), AgentState::Autohealing);
    assert_eq!(
        world.begin(instance(1), 1),
        Err(Code::EpochFenced),
        "the stuck one is fenced"
    );
    world.begin(instance(2), 1).unwrap();
    world.pass(30 * SECOND - 1);
    world.beat(2).unwrap();
    assert_eq!(
        world.agent().state(),
        AgentState::Autohealing,
        "too soon after the first"
    );
    world.pass(SECOND);
    world.beat(2).unwrap();
    assert_eq!(
        world.agent().state(),
        AgentState::Autohealing,
        "no progress"
    );
    world.beat(3).unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
    assert_eq!(world.rules().last(), Some(&Rule::Healed));
}

#[test]
fn a_degraded_agent_recovers_by_a_beat_and_by_progress_if_it_has_a_goal() {
    let mut world = day();
    world.pass(31 * MINUTE);
    world.beat(1).unwrap();
    assert_eq!(
        world.agent().state(),
        AgentState::Running,
        "nothing was to be done"
    );

    let mut world = day();
    world.goal().unwrap();
    world.live(30, false);
    assert_eq!(
        world.rules().last(),
        Some(&Rule::ProgressLost),
        "beats without progress"
    );
    world.beat(1).unwrap();
    assert_eq!(world.agent().state(), AgentState::Degraded);
    world.beat(2).unwrap();
    assert_eq!(world.rules().last(), Some(&Rule::Recovered));
}

#[test]
fn a_long_call_is_no_standstill_until_its_time_is_over() {
    let mut world = day();
    let goal = world.goal().unwrap();
    world.intent(goal, "read:x").unwrap();
    world.live(44, false);
    assert_eq!(
        world.agent().state(),
        AgentState::Running,
        "15 in flight and 29 still"
    );
    world.live(1, false);
    assert_eq!(world.rules().last(), Some(&Rule::ProgressLost));
}

#[test]
fn a_lease_that_ends_degrades_and_then_stops_a_silent_agent() {
    let mut world = World::running();
    world.live(59, false);
    world.pass(MINUTE - 1);
    assert_eq!(world.agent().state(), AgentState::Running);
    world.pass(1);
    assert_eq!(
        world.transitions.last(),
        Some(&(HOUR, Rule::LeaseEnded, AgentState::Degraded))
    );
    world.pass(59 * MINUTE - 1);
    assert_eq!(world.agent().state(), AgentState::Degraded);
    world.pass(1);
    assert_eq!(
        world.transitions.last(),
        Some(&(HOUR + 59 * MINUTE, Rule::LeaseEnded, AgentState::Stopped))
    );
}

#[test]
fn a_lease_that_ends_while_the_agent_is_silent_hides_no_later_deadline() {
    let mut world = World::leased();
    world.grant(&world.lease("a", 45 * MINUTE)).unwrap();
    world.pass(10 * SECOND);
    world.beat(1).unwrap();
    world.pass(50 * MINUTE);
    let stops = world.now + 10 * MINUTE;
    assert_eq!(
        world.state.next_deadline_after(0),
        Some(stops),
        "nothing stays due that has no cause"
    );
    world.pass(10 * MINUTE);
    assert_eq!(
        world.transitions.last(),
        Some(&(HOUR + 10 * SECOND, Rule::LeaseEnded, AgentState::Stopped)),
        "between two pulses, to the millisecond"
    );
}

#[test]
fn an_agent_that_starts_as_another_version_is_quarantined_at_once() {
    let mut world = World::leased();
    let beat = Heartbeat {
        manifest_hash: digest(),
        ..world.heartbeat(world.chain(), 0)
    };
    world.offer_beat(beat).unwrap();
    assert_eq!(world.rules(), [Rule::Started, Rule::ManifestDrift]);
    assert_eq!(world.agent().state(), AgentState::Quarantined);
}

#[test]
fn a_job_of_one_beat_starts_and_finishes() {
    let mut world = World::leased();
    world.say_goodbye().unwrap();
    assert_eq!(world.rules(), [Rule::Started, Rule::Finished]);
    let chain = Chain {
        epoch: world.agent().epoch() + 1,
        instance: instance(2),
        seq: 0,
        prev: world.agent().lease().unwrap(),
        ..world.chain()
    };
    let beat = Heartbeat {
        r#final: true,
        ..world.heartbeat(chain, 0)
    };
    world.offer_beat(beat).unwrap();
    assert_eq!(world.rules()[2..], [Rule::Restarted, Rule::Finished]);
    assert_eq!(world.agent().state(), AgentState::Stopped);
}

#[test]
fn a_degraded_agent_that_restarts_recovers_and_has_restarted() {
    let mut world = day();
    world.pass(31 * MINUTE);
    world.restart(instance(2)).unwrap();
    assert_eq!(
        world.rules()[1..],
        [Rule::PulseLost, Rule::Recovered, Rule::Restarted]
    );
    let mut world = day();
    world.goal().unwrap();
    world.pass(31 * MINUTE);
    world.restart(instance(2)).unwrap();
    assert_eq!(world.rules()[1..], [Rule::PulseLost, Rule::Restarted]);
}

#[test]
fn a_new_lease_and_a_beat_bring_a_degraded_agent_back() {
    let mut world = World::running();
    world.live(59, false);
    world.pass(2 * MINUTE);
    assert_eq!(world.agent().state(), AgentState::Degraded);
    world.grant(&world.lease("a", HOUR)).unwrap();
    assert_eq!(world.agent().state(), AgentState::Degraded);
    world.begin(instance(2), 1).unwrap();
    assert_eq!(world.rules().last(), Some(&Rule::Recovered));
}

#[test]
fn drift_is_logged_and_quarantines() {
    let mut world = day();
    let beat = Heartbeat {
        manifest_hash: digest(),
        ..world.heartbeat(world.chain(), 2)
    };
    world.offer_beat(beat).unwrap();
    assert_eq!(world.rules().last(), Some(&Rule::ManifestDrift));
    assert_eq!(world.agent().state(), AgentState::Quarantined);
    let epoch = world.agent().epoch();
    world.grant(&world.lease("a", HOUR)).unwrap();
    assert_eq!(world.agent().epoch(), epoch, "it waits for the release");
}

#[test]
fn nobody_is_blamed_for_a_gap() {
    let mut world = day();
    world.pulse();
    world.now += 3 * HOUR;
    assert_eq!(
        world.state.next_duty(world.now),
        None,
        "nothing is due out of a gap"
    );
    world.pulse();
    assert_eq!(world.agent().state(), AgentState::Running);
    world.pass(30 * MINUTE - 1);
    assert_eq!(
        world.agent().state(),
        AgentState::Running,
        "ages restart when the gap ends"
    );
    world.pass(1);
    assert_eq!(world.rules().last(), Some(&Rule::PulseLost));
}

#[test]
fn an_attempt_at_healing_has_its_time_after_a_gap() {
    let mut world = day();
    world.pass(61 * MINUTE);
    assert_eq!(world.agent().state(), AgentState::Autohealing);
    world.now += 3 * HOUR;
    assert_eq!(world.state.next_duty(world.now), None);
    world.pulse();
    world.pass(10 * MINUTE - 1);
    assert_eq!(world.rules().last(), Some(&Rule::HealDue));
    world.pass(1);
    assert_eq!(world.rules().last(), Some(&Rule::HealRetry));
}

#[test]
fn control_may_not_log_a_transition_that_is_not_due() {
    let mut world = day();
    let transition = |from, to, rule, n, epoch| {
        Body::Transition(Transition {
            agent: "a".parse().unwrap(),
            n,
            from,
            to,
            rule,
            epoch,
        })
    };
    use AgentState::{Degraded, Quarantined, Running};
    let cases = [
        (
            transition(Degraded, Running, Rule::Recovered, 2, 2),
            Code::TransitionIllegal,
        ),
        (
            transition(Running, Degraded, Rule::PulseLost, 3, 2),
            Code::TransitionNumber,
        ),
        (
            transition(Running, Degraded, Rule::PulseLost, 2, 3),
            Code::TransitionNumber,
        ),
        (
            transition(Running, Degraded, Rule::PulseLost, 2, 2),
            Code::TransitionUnfounded,
        ),
        (
            transition(Running, Quarantined, Rule::Denials, 2, 2),
            Code::TransitionUnfounded,
        ),
    ];
    for (body, want) in cases {
        let record = world.record(body);
        assert_eq!(world.offer(&record, &[&key(3)]), Err(want));
    }
    world.pass(40 * MINUTE);
    let record = world.record(transition(Degraded, Running, Rule::Recovered, 3, 2));
    assert_eq!(
        world.offer(&record, &[&key(3)]),
        Err(Code::TransitionUnfounded)
    );
}

#[test]
fn in_observe_mode_transitions_restrict_nothing() {
    let mut charter = charter();
    charter.mode = ledger::record::Mode::Observe;
    let mut world = World::leased_under(charter);
    world.grant(&world.lease("a", 24 * HOUR)).unwrap();
    world.beat(1).unwrap();
    world.pass(61 * MINUTE);
    assert_eq!(
        world.rules(),
        [Rule::Started, Rule::PulseLost, Rule::HealDue]
    );
    assert_eq!(world.agent().epoch(), 2, "no epoch is opened");
    let record = world.record(Body::Heartbeat(world.heartbeat(world.chain(), 2).into()));
    assert!(
        world.offer(&record, &[&agent_key()]).is_ok(),
        "the same process goes on"
    );
    assert!(world.goal().is_ok());
    world.order(AgentState::Quarantined).unwrap();
    let record = world.record(Body::Heartbeat(world.heartbeat(world.chain(), 3).into()));
    let signed = record.sign(&[&agent_key()]).unwrap();
    let checked = signed.check(&|id| world.state.key(id));
    let admission = world.state.admit(&checked, world.now).unwrap();
    assert_eq!(admission.breach, None, "a state restricts no heartbeat");
}
