//! The way out of quarantine: a fixed version is registered, granted, and then released.

use ledger::codes::Code;
use ledger::record::{
    AgentState, Body, Heartbeat, LeaseRevocation, Manifest, Mode, Registration, Rule,
};

use crate::world::{HOUR, MINUTE, World, agent_key, charter, digest, instance, key};

/// Registers another version of the agent, with the same key or another.
fn mend(world: &mut World, seed: u8) {
    world.now += 1;
    let registration = world.registration("a", &key(seed));
    let manifest = Manifest {
        version: "v2".parse().unwrap(),
        ..registration.manifest
    };
    let registration = Registration {
        manifest_hash: manifest.hash(),
        manifest,
        ..registration
    };
    let record = world.record(Body::Manifest(registration.into()));
    let (old, new) = (agent_key(), key(seed));
    let mut keys = vec![&world.operator, &new];
    if seed != 5 {
        keys.push(&old);
    }
    let keys: Vec<_> = keys.into_iter().cloned().collect();
    world
        .offer(&record, &keys.iter().collect::<Vec<_>>())
        .unwrap();
}

#[test]
fn a_lease_in_quarantine_waits_for_the_release() {
    let mut world = World::running();
    let old = world.agent().lease().unwrap();
    world.order(AgentState::Quarantined).unwrap();
    let (epoch, head) = (world.agent().epoch(), world.agent().head());
    mend(&mut world, 8);
    let lease = world.grant(&world.lease("a", HOUR)).unwrap();
    let refused = world.state.in_force(old, world.now).unwrap_err();
    assert_eq!(refused.code, Code::LeaseSuperseded);
    assert!(world.state.in_force(lease, world.now).is_ok());
    assert_eq!((world.agent().epoch(), world.agent().head()), (epoch, head));
    assert_eq!(world.agent().lease(), Some(lease));

    world.order(AgentState::Autohealing).unwrap();
    assert_eq!(world.agent().epoch(), epoch + 1);
    let beat = |by: &Heartbeat, seed: u8, world: &mut World| {
        let mut beat = by.clone();
        beat.chain.instance = instance(7);
        let record = world.record(Body::Heartbeat(beat.into()));
        world.offer(&record, &[&key(seed)])
    };
    let first = world.heartbeat(world.chain(), 1);
    assert_eq!(
        beat(&first, 5, &mut world),
        Err(Code::KeyNotAgents),
        "the new version's key"
    );
    beat(&first, 8, &mut world).unwrap();
    world.pass(MINUTE);
    let second = world.heartbeat(world.chain(), 2);
    beat(&second, 8, &mut world).unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
}

/// Until the release the agent speaks as what it was: with the key, and as the version, of the lease of its epoch.
#[test]
fn who_is_in_quarantine_closes_what_it_opened_with_the_key_that_it_had() {
    let mut world = World::running();
    let goal = world.goal().unwrap();
    let intent = world.intent(goal, "read:x").unwrap();
    world.order(AgentState::Quarantined).unwrap();
    mend(&mut world, 8);
    world.grant(&world.lease("a", HOUR)).unwrap();
    assert!(
        world
            .result(intent, ledger::record::Amounts::default())
            .is_ok()
    );
}

#[test]
fn a_version_that_drifts_is_judged_by_the_lease_of_its_epoch() {
    let mut world = World::running();
    world.order(AgentState::Quarantined).unwrap();
    mend(&mut world, 5);
    world.grant(&world.lease("a", HOUR)).unwrap();
    world.order(AgentState::Autohealing).unwrap();
    let mut beat = world.heartbeat(world.chain(), 1);
    beat.chain.instance = instance(7);
    beat.manifest_hash = digest();
    world.offer_beat(beat).unwrap();
    assert_eq!(world.rules().last(), Some(&Rule::ManifestDrift));
}

#[test]
fn a_stop_in_quarantine_ends_the_lease_that_waits() {
    let mut world = World::running();
    world.order(AgentState::Quarantined).unwrap();
    let waiting = world.grant(&world.lease("a", HOUR)).unwrap();
    world.order(AgentState::Stopped).unwrap();
    assert!(world.state.in_force(waiting, world.now).is_err());
    let epoch = world.agent().epoch();
    world.grant(&world.lease("a", HOUR)).unwrap();
    assert_eq!(world.agent().epoch(), epoch + 1);
    world.begin(instance(7), 1).unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
}

#[test]
fn what_heals_gets_no_lease_and_in_observe_mode_no_state_holds_one_up() {
    let mut world = World::running();
    world.pass(61 * MINUTE);
    let mut world_healing = World::running();
    world_healing.order(AgentState::Quarantined).unwrap();
    world_healing.order(AgentState::Autohealing).unwrap();
    let lease = world_healing.lease("a", HOUR);
    assert_eq!(world_healing.grant(&lease), Err(Code::StateForbids));

    let mut observed = charter();
    observed.mode = Mode::Observe;
    let mut world = World::leased_under(observed);
    world.beat(1).unwrap();
    world.order(AgentState::Quarantined).unwrap();
    let epoch = world.agent().epoch();
    world.grant(&world.lease("a", HOUR)).unwrap();
    assert_eq!(world.agent().epoch(), epoch + 1);
}

#[test]
fn nobody_is_released_under_a_lease_that_is_over() {
    let mut world = World::running();
    world.order(AgentState::Quarantined).unwrap();
    let revocation = LeaseRevocation {
        lease: world.agent().lease().unwrap(),
        reason: "test".parse().unwrap(),
    };
    let record = world.record(Body::LeaseRevocation(revocation));
    world.offer(&record, &[&key(2)]).unwrap();
    let released = world.order(AgentState::Autohealing);
    assert_eq!(released, Err(Code::LeaseRevoked));
}
