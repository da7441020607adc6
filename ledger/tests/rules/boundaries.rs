//! Every time in the rules, one millisecond before it and at it.

use ledger::codes::Code;
use ledger::record::{AgentState, Body, LeaseRenewal, Order, Rule};

use crate::world::{HOUR, MINUTE, SECOND, World, agent_key, instance, key};

/// An agent with a lease of a day that has just begun to run.
fn day() -> World {
    let mut world = World::leased();
    world.grant(&world.lease("a", 24 * HOUR)).unwrap();
    world.beat(1).unwrap();
    world
}

/// An agent that stands still over a goal, its last beat so many minutes after the start.
fn still(minutes: u64) -> World {
    let mut world = day();
    world.goal().unwrap();
    world.live(minutes, false);
    world
}

fn degraded() -> World {
    let mut world = day();
    world.pass(30 * MINUTE);
    world
}

fn healing(attempts: u64) -> World {
    let mut world = day();
    world.pass(60 * MINUTE + (attempts - 1) * 10 * MINUTE);
    assert_eq!(world.agent().state(), AgentState::Autohealing);
    world
}

/// An agent in the last minute of its lease of an hour.
fn ending() -> World {
    let mut world = World::running();
    world.live(59, false);
    world
}

#[test]
fn transitions_are_due_to_the_millisecond() {
    let in_flight = || {
        let mut world = day();
        let goal = world.goal().unwrap();
        world.intent(goal, "read:x").unwrap();
        world.live(44, false);
        world
    };
    let beats_but_stands_still = || {
        let mut world = still(59);
        assert_eq!(world.agent().state(), AgentState::Degraded);
        world.pass(0);
        world
    };
    let silent_without_a_lease = || {
        let mut world = ending();
        world.pass(MINUTE);
        world
    };
    let ends_while_it_heals = || {
        let mut world = World::leased();
        world.grant(&world.lease("a", 65 * MINUTE)).unwrap();
        world.beat(1).unwrap();
        world.pass(60 * MINUTE);
        world
    };
    use Rule::{HealDue, HealExhausted, HealRetry, LeaseEnded, ProgressLost, PulseLost};
    type Begins<'a> = &'a dyn Fn() -> World;
    let cases: [(&str, Begins, u64, Rule); 11] = [
        ("silence", &day, 30 * MINUTE, PulseLost),
        ("standstill", &|| still(29), MINUTE, ProgressLost),
        ("a call in flight", &in_flight, MINUTE, ProgressLost),
        ("silence goes on", &degraded, 30 * MINUTE, HealDue),
        (
            "standstill goes on",
            &beats_but_stands_still,
            MINUTE,
            HealDue,
        ),
        ("one attempt", &|| healing(1), 10 * MINUTE, HealRetry),
        ("another", &|| healing(2), 10 * MINUTE, HealRetry),
        ("the last", &|| healing(3), 10 * MINUTE, HealExhausted),
        ("a lease ends", &ending, MINUTE, LeaseEnded),
        (
            "and silence",
            &silent_without_a_lease,
            59 * MINUTE,
            LeaseEnded,
        ),
        (
            "a lease ends in healing",
            &ends_while_it_heals,
            5 * MINUTE,
            LeaseEnded,
        ),
    ];
    for (name, begins, after_ms, rule) in cases {
        let mut world = begins();
        let (before, due) = (world.transitions.len(), world.now + after_ms);
        world.pass(after_ms - 1);
        assert_eq!(world.transitions.len(), before, "{name}: too early");
        assert_eq!(
            world.state.next_deadline_after(world.now),
            Some(due),
            "{name}"
        );
        world.pass(1);
        assert_eq!(world.rules()[before..], [rule], "{name}");
    }
}

#[test]
fn a_gap_is_longer_than_a_pulse_and_the_tolerance() {
    let silent_for_half_an_hour = |every_ms: u64| {
        let mut world = day();
        world.pulse();
        let end = world.now + 30 * MINUTE;
        while world.now < end {
            world.now = end.min(world.now + every_ms);
            world.pulse();
        }
        world.agent().state()
    };
    let longest = 2 * MINUTE;
    assert_eq!(silent_for_half_an_hour(longest), AgentState::Degraded);
    assert_eq!(silent_for_half_an_hour(longest + 1), AgentState::Running);
}

#[test]
fn what_is_admitted_changes_at_the_millisecond() {
    type Offers<'a> = &'a dyn Fn(&mut World) -> Result<(), Code>;
    type Begins<'a> = &'a dyn Fn() -> World;
    let goal = |world: &mut World| world.goal().map(drop);
    let begin = |world: &mut World| world.begin(instance(1), 1).map(drop);
    let restart = |world: &mut World| world.restart(instance(2)).map(drop);
    let from_later = || {
        let mut world = World::new();
        world.register("a", &agent_key()).unwrap();
        let mut later = world.lease("a", 2 * HOUR);
        later.not_before_ms += HOUR;
        world.grant(&later).unwrap();
        world
    };
    let renew = |world: &mut World| {
        let renewal = LeaseRenewal {
            lease: world.agent().lease().unwrap(),
            from_ms: 0,
            expires_ms: world.now + 2 * HOUR,
        };
        let record = world.record(Body::LeaseRenewal(renewal));
        world.offer(&record, &[&key(2)]).map(drop)
    };
    let order_of_the_start = |world: &mut World| {
        let order = Order {
            agent: "a".parse().unwrap(),
            to: AgentState::Quarantined,
            after: None,
            reason: "x".parse().unwrap(),
        };
        let mut record = world.record(Body::Order(order));
        record.at_ms = crate::world::START;
        world.offer(&record, &[&key(2)]).map(drop)
    };
    let (forbids, expired) = (Err(Code::StateForbids), Err(Code::LeaseExpired));
    type BeforeAndAt = [Result<(), Code>; 2];
    let cases: [(&str, Begins, u64, Offers, BeforeAndAt); 6] = [
        (
            "a lease begins",
            &from_later,
            HOUR,
            &begin,
            [Err(Code::LeaseNotYetValid), Ok(())],
        ),
        ("a lease ends", &ending, MINUTE, &goal, [Ok(()), expired]),
        (
            "it is renewed in time",
            &ending,
            MINUTE,
            &renew,
            [Ok(()), expired],
        ),
        (
            "a restart is silent",
            &day,
            2 * MINUTE,
            &restart,
            [forbids, Ok(())],
        ),
        (
            "degraded: no goal",
            &day,
            30 * MINUTE,
            &goal,
            [Ok(()), forbids],
        ),
        (
            "authority is fresh",
            &day,
            24 * HOUR + 1,
            &order_of_the_start,
            [Ok(()), Err(Code::Stale)],
        ),
    ];
    for (name, begins, after_ms, offers, [before, at]) in cases {
        let mut world = begins();
        world.pass(after_ms - 1);
        assert_eq!(offers(&mut world), before, "{name}: before");
        let mut world = begins();
        world.pass(after_ms);
        assert_eq!(offers(&mut world), at, "{name}: at");
    }
}

#[test]
fn heals_are_counted_for_a_day() {
    let heal_three_times_and_again = |after_the_first_ms: u64| {
        let mut world = World::leased();
        world.grant(&world.lease("a", 300 * HOUR)).unwrap();
        world.beat(1).unwrap();
        let mut first = 0;
        for heal in 0..4u8 {
            if heal == 3 {
                // The fourth is due an hour after the last beat.
                let last_beat = first + after_the_first_ms - HOUR;
                while world.now + MINUTE < last_beat {
                    world.live(1, true);
                }
                world.pass(last_beat - world.now);
                world.beat(world.progress()).unwrap();
            }
            world.pass(HOUR);
            if heal == 0 {
                first = world.now;
            }
            if world.agent().state() != AgentState::Autohealing {
                break;
            }
            world.begin(instance(10 + heal), 1).unwrap();
            world.pass(30 * SECOND);
            world.beat(2).unwrap();
            assert_eq!(world.agent().state(), AgentState::Running);
        }
        world
    };
    let day = 24 * HOUR;
    let well = heal_three_times_and_again(day);
    assert_eq!(well.agent().state(), AgentState::Running);
    let mut given_up = heal_three_times_and_again(day - 1);
    assert_eq!(given_up.agent().state(), AgentState::Quarantined);
    // An order begins the attempts again, and with them the count.
    given_up.order(AgentState::Autohealing).unwrap();
    assert_eq!(given_up.agent().state(), AgentState::Autohealing);
    given_up.begin(instance(20), 1).unwrap();
    given_up.pass(30 * SECOND);
    given_up.beat(2).unwrap();
    assert_eq!(given_up.agent().state(), AgentState::Running);
}
