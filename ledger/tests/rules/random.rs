//! Histories at random: what is due is found, to the millisecond, and only what is due.
//!
//! The deadline queue is an index over the causes. Here every cause of every agent is asked one
//! by one, the way that the index saves us from, and both must agree.

use std::collections::BTreeSet;

use ledger::digest::RecordHash;
use ledger::govern::Agent;
use ledger::record::{
    AgentState, Amounts, Body, Charter, LeaseRenewal, LeaseRevocation, Liveness, Mode, Record,
    Rule, Transition,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::world::{SECOND, World, charter, digest, instance, key};

/// Clocks so short that a few steps run through all of them.
fn short(mode: Mode) -> Charter {
    let liveness = Liveness {
        heartbeat_ms: 10 * SECOND,
        pulse_ms: 13 * SECOND,
        degraded_after_ms: 30 * SECOND,
        autoheal_after_ms: 60 * SECOND,
        heal_attempts: 2,
        heal_timeout_ms: 20 * SECOND,
        heal_beats: 2,
        tolerance_ms: 10 * SECOND,
    };
    Charter {
        mode,
        liveness,
        ..charter()
    }
}

/// What may happen next. Much of it is refused, as it should be.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Silence(u64),
    Beat {
        progress: u64,
        drifts: bool,
        last: bool,
    },
    /// So many beats of an agent that stands still.
    Idle(u8),
    Begin(u8),
    Restart(u8),
    Goal,
    Intent,
    Result,
    Outcome,
    Grant {
        from_s: u64,
        for_s: u64,
        part: bool,
    },
    GrantAbove(u64),
    Renew {
        above: bool,
        for_s: u64,
    },
    Revoke {
        above: bool,
    },
    Order(AgentState),
}

fn any_step() -> impl Strategy<Value = Step> {
    use AgentState::{Autohealing, Quarantined, Stopped};
    let order = prop::sample::select(vec![Autohealing, Quarantined, Stopped]);
    let beat = (
        (0..8u64),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.1),
    );
    prop_oneof![
        6 => (1..40_000u64).prop_map(Step::Pass),
        1 => (1..90_000u64).prop_map(Step::Silence),
        6 => beat.prop_map(|(progress, drifts, last)| Step::Beat { progress, drifts, last }),
        1 => (1..8u8).prop_map(Step::Idle),
        2 => (1..5u8).prop_map(Step::Begin),
        2 => (1..5u8).prop_map(Step::Restart),
        2 => Just(Step::Goal),
        2 => Just(Step::Intent),
        1 => Just(Step::Result),
        1 => Just(Step::Outcome),
        3 => (prop_oneof![3 => Just(0), 1 => 1..80u64], 1..200u64, any::<bool>())
            .prop_map(|(from_s, for_s, part)| Step::Grant { from_s, for_s, part }),
        1 => (1..200u64).prop_map(Step::GrantAbove),
        1 => (any::<bool>(), 1..200u64).prop_map(|(above, for_s)| Step::Renew { above, for_s }),
        1 => any::<bool>().prop_map(|above| Step::Revoke { above }),
        2 => order.prop_map(Step::Order),
    ]
}

/// Tries a step; whether it was let in does not matter here.
fn take(world: &mut World, step: &Step) {
    let above = |world: &World| {
        world
            .state
            .agent(&"b".parse().unwrap())
            .and_then(Agent::lease)
    };
    let own = |world: &World| world.agent().lease();
    let goal = world.agent().open_goals().next().copied();
    let intent = world.agent().open_intents().next().map(|(hash, _)| *hash);
    match *step {
        Step::Pass(ms) => world.pass(ms),
        Step::Silence(ms) => {
            world.now += ms;
            world.pulse();
        }
        Step::Beat {
            progress,
            drifts,
            last,
        } => {
            let mut beat = world.heartbeat(world.chain(), progress);
            beat.r#final = last;
            if drifts {
                beat.manifest_hash = digest();
            }
            let _ = world.offer_beat(beat);
        }
        Step::Idle(beats) => {
            for _ in 0..beats {
                world.pass(10 * SECOND);
                let _ = world.beat(8);
            }
        }
        Step::Begin(n) => drop(world.begin(instance(n), 1)),
        Step::Restart(n) if own(world).is_some() => drop(world.restart(instance(n))),
        Step::Goal => drop(world.goal()),
        Step::Intent => drop(goal.map(|goal| world.intent(goal, "read:x"))),
        Step::Result => drop(intent.map(|intent| world.result(intent, Amounts::default()))),
        Step::Outcome => drop(goal.map(|goal| world.outcome(goal, 1))),
        Step::Grant {
            from_s,
            for_s,
            part,
        } => {
            let mut lease = world.lease("a", (from_s + for_s) * SECOND);
            lease.not_before_ms += from_s * SECOND;
            lease.parent = above(world).filter(|_| part);
            let _ = world.grant(&lease);
        }
        Step::GrantAbove(for_s) => {
            let lease = world.lease("b", for_s * SECOND);
            let _ = world.grant(&lease);
        }
        Step::Renew { above: up, for_s } => {
            if let Some(lease) = if up { above(world) } else { own(world) } {
                let expires_ms = world.now + for_s * SECOND;
                operators_say(
                    world,
                    Body::LeaseRenewal(LeaseRenewal {
                        lease,
                        from_ms: 0,
                        expires_ms,
                    }),
                );
            }
        }
        Step::Revoke { above: up } => {
            if let Some(lease) = if up { above(world) } else { own(world) } {
                let reason = "x".parse().unwrap();
                operators_say(
                    world,
                    Body::LeaseRevocation(LeaseRevocation { lease, reason }),
                );
            }
        }
        Step::Order(to) => drop(world.order(to)),
        Step::Restart(_) => {}
    }
}

fn operators_say(world: &mut World, body: Body) -> Option<RecordHash> {
    let record = world.record(body);
    world.offer(&record, &[&key(2)]).ok()
}

/// Every transition of agent `a` that the rules would let control log at `t`, asked one by one.
fn founded(world: &World, t: u64) -> Vec<Rule> {
    let holds = |(rule, to): &(Rule, AgentState)| is_founded(world, t, *rule, *to);
    let founded = LEADS_TO.iter().filter(|leads| holds(leads));
    founded.map(|(rule, _)| *rule).collect()
}

const LEADS_TO: [(Rule, AgentState); 14] = [
    (Rule::ManifestDrift, AgentState::Quarantined),
    (Rule::Denials, AgentState::Quarantined),
    (Rule::Finished, AgentState::Stopped),
    (Rule::LeaseEnded, AgentState::Degraded),
    (Rule::LeaseEnded, AgentState::Stopped),
    (Rule::PulseLost, AgentState::Degraded),
    (Rule::ProgressLost, AgentState::Degraded),
    (Rule::HealDue, AgentState::Autohealing),
    (Rule::HealExhausted, AgentState::Quarantined),
    (Rule::HealRetry, AgentState::Autohealing),
    (Rule::Healed, AgentState::Running),
    (Rule::Recovered, AgentState::Running),
    (Rule::Restarted, AgentState::Running),
    (Rule::Started, AgentState::Running),
];

fn is_founded(world: &World, t: u64, rule: Rule, to: AgentState) -> bool {
    let agent = world.agent();
    let enforced = world.state.charter().unwrap().mode == Mode::Enforce;
    let opens = enforced && matches!(rule, Rule::HealDue | Rule::HealRetry);
    let transition = Transition {
        agent: agent.name().clone(),
        n: agent.transitions() + 1,
        from: agent.state(),
        to,
        rule,
        epoch: agent.epoch() + u64::from(opens),
    };
    let record = Record {
        at_ms: t,
        ..world.record(Body::Transition(transition))
    };
    let checked = record.sign(&[&key(3)]).unwrap().admitted_before();
    world.state.admit(&checked, t).is_ok()
}

/// A leaf at least this often, or there is a gap: `pulse_ms` and `tolerance_ms` of [`short`].
const LONGEST_SILENCE_MS: u64 = 23 * SECOND;

fn begun(mode: Mode) -> World {
    let mut world = World::leased_under(short(mode));
    world.register("b", &key(8)).unwrap();
    world.pulse();
    world
}

fn what_is_due_is_what_is_found(mode: Mode, steps: &[Step]) {
    let mut world = begun(mode);
    for step in steps {
        take(&mut world, step);
        agrees(&world);
    }
}

/// Nothing is due now; nothing becomes due before the deadline; something is due at it.
fn agrees(world: &World) {
    let now = world.now;
    assert_eq!(founded(world, now), [], "left over, {:?}", world.agent());
    for state in AgentState::ALL {
        let all = world.state.agents().filter(|agent| agent.state() == *state);
        let listed = world.state.agents_in(*state, None);
        assert!(all.map(Agent::name).eq(listed.map(Agent::name)), "{state}");
        let count = world.state.agents_in(*state, None).count() as u64;
        assert_eq!(world.state.count_in(*state), count);
    }
    let Some(next) = world.state.next_deadline_after(0) else {
        return;
    };
    assert!(next > now, "due with no cause, {:?}", world.agent());
    let gap = world.state.last_received_ms() + LONGEST_SILENCE_MS;
    for early in [u64::midpoint(now, next), next - 1] {
        assert_eq!(founded(world, early), [], "too late, {:?}", world.agent());
    }
    if next <= gap {
        let due = world.state.next_duty(next).map(|duty| duty.rule);
        let first = founded(world, next).first().copied();
        assert!(due.is_some() && due == first, "{due:?} for {first:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn in_enforce_mode(steps in prop::collection::vec(any_step(), 1..40)) {
        what_is_due_is_what_is_found(Mode::Enforce, &steps);
    }

    #[test]
    fn in_observe_mode(steps in prop::collection::vec(any_step(), 1..40)) {
        what_is_due_is_what_is_found(Mode::Observe, &steps);
    }
}

#[test]
fn the_steps_reach_every_rule_but_denials() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..200 {
        let steps = prop::collection::vec(any_step(), 40);
        let steps = steps.new_tree(&mut runner).unwrap().current();
        let mut world = begun(Mode::Enforce);
        steps.iter().for_each(|step| take(&mut world, step));
        reached.extend(world.rules());
    }
    let missed: Vec<&Rule> = Rule::ALL
        .iter()
        .filter(|rule| !reached.contains(rule))
        .collect();
    assert_eq!(missed, [&Rule::Denials]);
}
