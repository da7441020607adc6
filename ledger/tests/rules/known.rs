//! What a signer knew: a record that was overtaken on its way does nothing.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::record::{AgentState, Body, Lease, LeaseRenewal, LeaseRevocation, Order, Record};

use crate::world::{HOUR, MINUTE, SECOND, World, agent_key, digest, instance, key};

fn lease_record(world: &World) -> Record {
    world.record(Body::Lease(world.lease("a", HOUR).into()))
}

fn order_record(world: &World, to: AgentState) -> Record {
    world.record(Body::Order(Order {
        agent: "a".parse().unwrap(),
        to,
        after: None,
        reason: "x".parse().unwrap(),
    }))
}

fn revoke(world: &mut World, lease: RecordHash) -> RecordHash {
    let reason = "x".parse().unwrap();
    let record = world.record(Body::LeaseRevocation(LeaseRevocation { lease, reason }));
    world.offer(&record, &[&key(2)]).unwrap()
}

fn by_operator(world: &mut World, record: &Record) -> Result<RecordHash, Code> {
    world.offer(record, &[&key(2)])
}

/// The lease that an operator saw fail, granted again and revoked: it comes back too late.
#[test]
fn a_lease_that_was_lost_on_the_way_stays_lost() {
    let mut world = World::new();
    world.register("a", &agent_key()).unwrap();
    let lost = lease_record(&world);
    world.now += SECOND;
    let again = world.grant(&world.lease("a", HOUR)).unwrap();
    assert_eq!(by_operator(&mut world, &lost), Err(Code::AfterMismatch));
    revoke(&mut world, again);
    assert_eq!(by_operator(&mut world, &lost), Err(Code::AfterMismatch));
}

#[test]
fn every_decision_about_an_agent_is_the_newest_and_nothing_else_is() {
    let mut world = World::new();
    world.register("a", &agent_key()).unwrap();
    world.register("b", &key(8)).unwrap();
    assert_eq!(world.agent().after(), None);
    let lease = world.grant(&world.lease("a", HOUR)).unwrap();
    assert_eq!(world.agent().after(), Some(lease));
    world.beat(1).unwrap();
    world.now += SECOND;
    let renewal = Body::LeaseRenewal(LeaseRenewal {
        lease,
        from_ms: 0,
        expires_ms: world.now + 2 * HOUR,
    });
    let renewal = world.record(renewal);
    by_operator(&mut world, &renewal).unwrap();
    world.grant(&world.lease("b", HOUR)).unwrap();
    world.register("a", &agent_key()).unwrap();
    assert_eq!(
        world.agent().after(),
        Some(lease),
        "a renewal does not count"
    );
    let next = world.grant(&world.lease("a", HOUR)).unwrap();
    assert_eq!(world.agent().after(), Some(next));
    let revoked = revoke(&mut world, next);
    assert_eq!(world.agent().after(), Some(revoked));
    let stopped = world.order(AgentState::Stopped).unwrap();
    assert_eq!(world.agent().after(), Some(stopped));
}

#[test]
fn the_kill_switch_needs_no_look_and_a_kept_one_does_not_come_back() {
    let mut world = World::running();
    let kept = [AgentState::Quarantined, AgentState::Stopped].map(|to| order_record(&world, to));
    world.now += SECOND;
    world.grant(&world.lease("a", HOUR)).unwrap();
    for mut order in kept {
        assert_eq!(by_operator(&mut world, &order), Err(Code::AfterMismatch));
        let Body::Order(said) = &mut order.body else {
            unreachable!("an order")
        };
        said.after = None;
        assert!(by_operator(&mut world, &order).is_ok());
    }
}

#[test]
fn a_release_knows_what_it_releases() {
    let mut world = World::running();
    world.order(AgentState::Quarantined).unwrap();
    let mut release = order_record(&world, AgentState::Autohealing);
    let right = release.clone();
    for wrong in [None, Some(RecordHash::new(digest()))] {
        let Body::Order(order) = &mut release.body else {
            unreachable!("an order")
        };
        order.after = wrong;
        assert_eq!(by_operator(&mut world, &release), Err(Code::AfterMismatch));
    }
    assert!(by_operator(&mut world, &right).is_ok());
}

#[test]
fn a_renewal_extends_the_end_that_its_signer_knew() {
    let mut world = World::running();
    let lease = world.agent().lease().unwrap();
    let ends = world.state.lease(&lease).unwrap().expires_ms();
    let renewal = |world: &World, from_ms: u64, expires_ms: u64| {
        let mut record = world.record(Body::LeaseRenewal(LeaseRenewal {
            lease,
            from_ms,
            expires_ms,
        }));
        let Body::LeaseRenewal(renewal) = &mut record.body else {
            unreachable!("a renewal")
        };
        renewal.from_ms = from_ms;
        record
    };
    for from_ms in [0, ends - 1, ends + 1] {
        let wrong = renewal(&world, from_ms, ends + HOUR);
        assert_eq!(by_operator(&mut world, &wrong), Err(Code::AfterMismatch));
    }
    let (first, second) = (
        renewal(&world, ends, ends + MINUTE),
        renewal(&world, ends, ends + HOUR),
    );
    by_operator(&mut world, &first).unwrap();
    assert_eq!(by_operator(&mut world, &second), Err(Code::AfterMismatch));
    let forward = renewal(&world, ends, ends + MINUTE);
    let again = Record {
        at_ms: forward.at_ms + 1,
        ..forward
    };
    assert_eq!(
        by_operator(&mut world, &again),
        Err(Code::RenewalTooLong),
        "not forward comes first"
    );
}

/// It is the lease's own end that counts, whatever the lease above it allows.
#[test]
fn a_part_is_renewed_from_its_own_end() {
    let mut world = World::running();
    world.register("b", &key(8)).unwrap();
    let part = Lease {
        parent: world.agent().lease(),
        ..world.lease("b", 2 * HOUR)
    };
    let lease = world.grant(&part).unwrap();
    assert!(world.state.lease_ends_ms(lease).unwrap() < part.expires_ms);
    let renewal = world.record(Body::LeaseRenewal(LeaseRenewal {
        lease,
        from_ms: 0,
        expires_ms: part.expires_ms + 1,
    }));
    let Body::LeaseRenewal(said) = &renewal.body else {
        unreachable!("a renewal")
    };
    assert_eq!(said.from_ms, part.expires_ms);
    assert!(by_operator(&mut world, &renewal).is_ok());
}

#[test]
fn what_a_signer_knew_comes_last_of_what_is_asked_of_a_lease() {
    let mut world = World::running();
    let wrong = Some(RecordHash::new(digest()));
    let refused = |world: &mut World, change: fn(&mut Lease, u64)| {
        let mut record = lease_record(world);
        let now = world.now;
        let Body::Lease(lease) = &mut record.body else {
            unreachable!("a lease")
        };
        lease.after = wrong;
        change(lease, now);
        by_operator(world, &record)
    };
    assert_eq!(
        refused(&mut world, |lease, _| lease.parent =
            Some(RecordHash::new(digest()))),
        Err(Code::LeaseUnknown)
    );
    assert_eq!(
        refused(&mut world, |lease, _| lease
            .allow
            .push("run:x".parse().unwrap())),
        Err(Code::AfterMismatch)
    );
    world.now += 2 * HOUR;
    world.settle();
    assert_eq!(
        refused(&mut world, |lease, now| {
            (lease.not_before_ms, lease.expires_ms) = (now - HOUR, now);
        }),
        Err(Code::LeaseExpired)
    );
}

/// Nothing is replaced by what is over when it arrives, or was signed by a clock that is far off.
#[test]
fn a_lease_begins_and_ends_around_its_arrival() {
    let mut world = World::running();
    let day = 24 * HOUR;
    let year = 365 * day;
    let now = world.now;
    type Change = fn(&mut Lease, u64);
    let cases: [(Change, Result<(), Code>); 8] = [
        (|lease, now| lease.expires_ms = now, Err(Code::LeaseExpired)),
        (|lease, now| lease.expires_ms = now + 1, Ok(())),
        (
            |lease, now| lease.not_before_ms = now - 24 * HOUR - 1,
            Err(Code::LeaseWidened),
        ),
        (|lease, now| lease.not_before_ms = now - 24 * HOUR, Ok(())),
        (|lease, _| lease.not_before_ms = 1, Err(Code::LeaseWidened)),
        (
            |lease, now| lease.renew_until_ms = Some(now + 365 * 24 * HOUR + 1),
            Err(Code::LeaseWidened),
        ),
        (
            |lease, now| lease.renew_until_ms = Some(now + 365 * 24 * HOUR),
            Ok(()),
        ),
        (|lease, _| lease.renew_until_ms = None, Ok(())),
    ];
    for (n, (change, want)) in cases.into_iter().enumerate() {
        let before = world.agent().lease();
        let mut lease = world.lease("a", HOUR);
        lease.not_before_ms = now - HOUR;
        change(&mut lease, now);
        let got = world.grant(&lease).map(drop);
        assert_eq!(got, want, "{n}");
        assert_eq!(got.is_err(), world.agent().lease() == before, "{n}");
    }
    assert_eq!(year, world.state.charter().unwrap().limits.lease_max_ms);
}

/// However long ago a lease says that it began, control renews by the time that it was usable for, and never further
/// than operators may grant.
#[test]
fn control_renews_by_the_length_that_a_lease_really_had() {
    let mut charter = crate::world::charter();
    charter.limits.lease_max_ms = 2 * HOUR;
    let mut world = World::under(charter);
    world.register("a", &agent_key()).unwrap();
    world.now += 20 * HOUR;
    world.pulse();
    let lease = Lease {
        not_before_ms: world.now - 20 * HOUR,
        expires_ms: world.now + HOUR,
        renew_until_ms: Some(world.now + 2 * HOUR),
        ..world.lease("a", HOUR)
    };
    let lease = world.grant(&lease).unwrap();
    world.begin(instance(1), 1).unwrap();
    world.pass(10 * MINUTE);
    world.beat(2).unwrap();
    assert_eq!(
        world.state.renewable_until_ms(lease, world.now),
        Ok(world.now + HOUR)
    );
    let renew = |world: &mut World, expires_ms: u64| {
        let record = world.record(Body::LeaseRenewal(LeaseRenewal {
            lease,
            from_ms: 0,
            expires_ms,
        }));
        world.offer(&record, &[&key(3)]).map(drop)
    };
    let most = world.now + HOUR;
    assert_eq!(renew(&mut world, most + 1), Err(Code::RenewalTooLong));
    assert_eq!(renew(&mut world, most), Ok(()));
}

#[test]
fn control_renews_no_further_than_the_charter_lets_operators_grant() {
    let mut world = World::running();
    let lease = world.agent().lease().unwrap();
    world.beat(2).unwrap();
    let mut shorter = world.state.charter().unwrap().clone();
    shorter.version += 1;
    shorter.previous = world.state.charter_hash();
    shorter.limits.lease_max_ms = 10 * MINUTE;
    let record = world.record(Body::Charter(shorter.into()));
    world.offer(&record, &[&key(1)]).unwrap();
    let most = world.now + 10 * MINUTE;
    assert_eq!(world.state.renewable_until_ms(lease, world.now), Ok(most));
}
