//! The bounds of renewals and of parts of leases, each from both sides.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{AgentState, Body, Lease, LeaseRenewal};

use crate::world::{HOUR, MINUTE, World, agent_key, instance, key};

fn renew(world: &mut World, expires_ms: u64, by: &[&PrivateKey]) -> Result<RecordHash, Code> {
    let lease = world.agent().lease().unwrap();
    let record = world.record(Body::LeaseRenewal(LeaseRenewal {
        lease,
        from_ms: 0,
        expires_ms,
    }));
    world.offer(&record, by)
}

/// An agent that has earned a renewal under a lease of an hour, which control may renew for so long.
fn earned(renewable_ms: Option<u64>) -> World {
    let mut world = World::running();
    let lease = Lease {
        renew_until_ms: renewable_ms.map(|ms| world.now + ms),
        ..world.lease("a", HOUR)
    };
    world.grant(&lease).unwrap();
    world.beat(1).unwrap();
    world
}

#[test]
fn control_renews_as_far_as_the_lease_says() {
    let mut world = earned(Some(HOUR + MINUTE));
    world.pass(10 * MINUTE);
    world.beat(2).unwrap();
    let until = world.now - 10 * MINUTE + HOUR + MINUTE;
    let too_far = renew(&mut world, until + 1, &[&key(3)]);
    assert_eq!(too_far, Err(Code::RenewalTooLong));
    assert!(renew(&mut world, until, &[&key(3)]).is_ok());
    let mut world = earned(None);
    let ends = world.now + HOUR;
    let never = renew(&mut world, ends + 1, &[&key(3)]);
    assert_eq!(never, Err(Code::RenewalTooLong), "not renewable at all");
}

/// Where operators sign, what binds is what operators may do, whoever signs besides.
#[test]
fn operators_renew_beyond_what_control_may() {
    let mut world = earned(None);
    let year = world.now + 365 * 24 * HOUR;
    let (operator, control) = (key(2), key(3));
    let too_far = renew(&mut world, year + 1, &[&operator, &control]);
    assert_eq!(too_far, Err(Code::RenewalTooLong));
    assert!(renew(&mut world, year, &[&operator, &control]).is_ok());
}

/// The counter of an epoch starts at 0, so a restart that has done something shows it.
#[test]
fn a_restart_with_progress_earns_a_renewal() {
    let mut world = earned(Some(24 * HOUR + 1));
    let ends = world.now + HOUR;
    assert!(renew(&mut world, ends + 1, &[&key(2)]).is_ok());
    world.pass(2 * MINUTE);
    let mut record = world.restarting(instance(2));
    if let Body::Heartbeat(beat) = &mut record.body {
        assert!(world.progress() > 1, "the process before had come further");
        beat.progress = 1;
    }
    world.offer(&record, &[&agent_key()]).unwrap();
    assert!(renew(&mut world, ends + MINUTE, &[&key(3)]).is_ok());
}

#[test]
fn control_renews_no_lease_of_a_version_that_is_not_active() {
    let mut world = earned(Some(25 * HOUR));
    let mut next = world.registration("a", &agent_key());
    next.manifest.version = "v2".parse().unwrap();
    next.manifest_hash = next.manifest.hash();
    world.offer_registration(next, &agent_key()).unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
    let ends = world.now + HOUR + 1;
    assert_eq!(
        renew(&mut world, ends, &[&key(3)]),
        Err(Code::RenewalUnearned)
    );
    assert!(renew(&mut world, ends, &[&key(2)]).is_ok());
}

#[test]
fn parts_of_leases_are_four_deep() {
    let mut world = World::new();
    let mut parent = None;
    for (depth, agent) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let seed = u8::try_from(20 + depth).unwrap();
        world.register(agent, &key(seed)).unwrap();
        let lease = Lease {
            parent,
            ..world.lease(agent, HOUR)
        };
        let granted = world.grant(&lease);
        assert_eq!(granted.as_ref().err().is_some(), depth == 4, "{agent}");
        match granted {
            Ok(hash) => parent = Some(hash),
            Err(code) => assert_eq!(code, Code::LeaseWidened),
        }
    }
}

/// What an agent is capable of is its own manifest's word; what its parent's is not, its parent's lease denies.
#[test]
fn a_part_is_denied_by_the_lease_above_it_and_not_by_what_is_behind_that() {
    let mut world = World::running();
    let mut reader = world.registration("b", &key(8));
    reader.manifest.capabilities = vec!["read:**".parse().unwrap()];
    reader.manifest_hash = reader.manifest.hash();
    world.offer_registration(reader, &key(8)).unwrap();
    let only_read = vec!["read:**".parse().unwrap()];
    let above = Lease {
        allow: only_read.clone(),
        ..world.lease("b", HOUR)
    };
    let parent = world.grant(&above).unwrap();
    let below = Lease {
        allow: only_read,
        parent: Some(parent),
        ..world.lease("a", HOUR)
    };
    world.grant(&below).unwrap();
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    assert_eq!(world.intent(goal, "write:repo/x"), Err(Code::ScopeDenied));
    assert_eq!(world.intent(goal, "run:x"), Err(Code::CapabilityMissing));
}
