//! Amendments of the charter, and the keys that they take the trust from.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{AgentState, Body, Charter, CharterKey, Mode, Role, Rule, Thresholds};

use tlog::note::{KeyName, SigningKey};

use crate::world::{HOUR, MINUTE, World, agent_key, charter, key};

fn held(seed: u8, role: Role) -> CharterKey {
    CharterKey {
        key: key(seed).public(),
        name: "somebody".parse().unwrap(),
        roles: vec![role],
    }
}

/// The charter that may come next, with a change.
fn next(world: &World, change: impl FnOnce(&mut Charter)) -> Charter {
    let mut charter = world.state.charter().unwrap().clone();
    charter.version += 1;
    charter.previous = world.state.charter_hash();
    change(&mut charter);
    charter
}

fn amend(world: &mut World, next: Charter, by: &[&PrivateKey]) -> Result<RecordHash, Code> {
    let record = world.record(Body::Charter(next.into()));
    world.offer(&record, by)
}

#[test]
fn an_amendment_takes_the_roots_before_it_and_its_own() {
    let mut world = World::new();
    let with_second_root = next(&world, |charter| {
        charter.keys.push(held(11, Role::Root));
        charter.thresholds.root = 2;
    });
    let (old, new) = (key(1), key(11));
    let refused = [(&[&old][..], "its own two"), (&[&new][..], "the old one")];
    for (by, missing) in refused {
        let got = amend(&mut world, with_second_root.clone(), by);
        assert_eq!(got, Err(Code::CharterNotAuthorized), "{missing}");
    }
    let operator = amend(&mut world, with_second_root.clone(), &[&old, &key(2)]);
    assert_eq!(operator, Err(Code::CharterNotAuthorized), "no root");
    let hash = amend(&mut world, with_second_root, &[&old, &new]).unwrap();
    assert_eq!(world.state.charter_hash(), Some(hash));
    assert_eq!(world.state.charter().unwrap().version, 2);

    let without_old = next(&world, |charter| {
        charter.keys.remove(0);
        charter.thresholds.root = 1;
    });
    let alone = amend(&mut world, without_old.clone(), &[&new]);
    assert_eq!(
        alone,
        Err(Code::CharterNotAuthorized),
        "two roots until then"
    );
    amend(&mut world, without_old, &[&old, &new]).unwrap();
    let by_old = next(&world, |_| {});
    assert_eq!(
        amend(&mut world, by_old, &[&old]),
        Err(Code::CharterNotAuthorized)
    );
}

#[test]
fn an_amendment_follows_the_one_before_it() {
    let mut world = World::leased();
    let agent = agent_key().public();
    let earlier = world.log;
    let same = next(&world, |_| {});
    amend(&mut world, same, &[&key(1)]).unwrap();
    type Change = Box<dyn Fn(&mut Charter)>;
    let cases: [(Change, Code); 6] = [
        (Box::new(|next| next.version = 4), Code::CharterVersion),
        (Box::new(|next| next.previous = None), Code::CharterVersion),
        (
            Box::new(move |next| next.previous = Some(earlier)),
            Code::CharterVersion,
        ),
        (
            Box::new(|next| {
                next.origin = "example.com/other".into();
                next.log_keys.clear();
            }),
            Code::CharterInvalid,
        ),
        (Box::new(|next| next.rules = 2), Code::CharterInvalid),
        (
            Box::new(move |next| next.keys[1].key = agent),
            Code::CharterInvalid,
        ),
    ];
    for (n, (change, code)) in cases.into_iter().enumerate() {
        let wrong = next(&world, change);
        assert_eq!(amend(&mut world, wrong, &[&key(1)]), Err(code), "{n}");
    }
}

#[test]
fn the_charter_in_force_judges_from_its_index_on() {
    let mut world = World::running();
    let replaced = next(&world, |charter| charter.keys[1] = held(12, Role::Operator));
    amend(&mut world, replaced, &[&key(1)]).unwrap();
    let order = world.order(AgentState::Stopped);
    assert_eq!(order, Err(Code::RoleMissing), "no operator any more");
    assert!(
        world.goal().is_ok(),
        "what the old operator granted goes on: nobody distrusts them"
    );
    world.operator = key(12);
    world.order(AgentState::Stopped).unwrap();
}

#[test]
fn an_amendment_changes_the_clocks_of_who_runs() {
    let mut world = World::running();
    world.pass(20 * MINUTE);
    assert_eq!(world.agent().state(), AgentState::Running);
    let shorter = next(&world, |charter| {
        charter.liveness.degraded_after_ms = 10 * MINUTE;
    });
    amend(&mut world, shorter, &[&key(1)]).unwrap();
    assert_eq!(world.rules().last(), Some(&Rule::PulseLost));
}

#[test]
fn an_amendment_may_turn_observing_into_enforcing() {
    let mut world = World::under(Charter {
        mode: Mode::Observe,
        ..charter()
    });
    let enforcing = next(&world, |charter| charter.mode = Mode::Enforce);
    amend(&mut world, enforcing, &[&key(1)]).unwrap();
    assert_eq!(world.state.charter().unwrap().mode, Mode::Enforce);
}

/// A log with two operators of whom one is enough.
fn two_operators() -> Charter {
    let mut charter = charter();
    charter.keys.push(held(12, Role::Operator));
    charter
}

#[test]
fn what_a_distrusted_key_signed_ends() {
    let mut world = World::leased_under(two_operators());
    world.beat(1).unwrap();
    let lease = world.agent().lease().unwrap();
    let thief = key(2).public().id();
    let distrusting = next(&world, |charter| charter.distrusted = vec![thief]);
    amend(&mut world, distrusting, &[&key(1)]).unwrap();

    let refusal = world.state.in_force(lease, world.now).unwrap_err();
    assert_eq!(refusal.code, Code::LeaseRevoked);
    assert_eq!(world.agent().state(), AgentState::Degraded);
    let again = world.lease("a", HOUR);
    assert_eq!(
        world.grant(&again),
        Err(Code::RoleMissing),
        "its key has no role left, though the charter lists it"
    );
    world.operator = key(12);
    assert_eq!(
        world.grant(&again),
        Err(Code::ManifestNotActive),
        "the registration was its work too"
    );
    world.register("a", &agent_key()).unwrap();
    world.grant(&world.lease("a", HOUR)).unwrap();
}

#[test]
fn what_others_signed_as_well_stands() {
    let mut world = World::under(Charter {
        thresholds: Thresholds {
            root: 1,
            operator: 1,
        },
        ..two_operators()
    });
    let both = [&key(2), &key(12)];
    let registration = world.registration("a", &agent_key());
    let record = world.record(Body::Manifest(registration.into()));
    world
        .offer(&record, &[both[0], both[1], &agent_key()])
        .unwrap();
    let record = world.record(Body::Lease(world.lease("a", HOUR).into()));
    let lease = world.offer(&record, &both).unwrap();
    let thief = key(2).public().id();
    let distrusting = next(&world, |charter| charter.distrusted = vec![thief]);
    amend(&mut world, distrusting, &[&key(1)]).unwrap();
    assert!(world.state.in_force(lease, world.now).is_ok());
}

/// A thief's signature on one of the two is enough, whichever it is.
#[test]
fn a_lease_ends_with_the_manifest_that_it_names() {
    let both = [key(2), key(12)];
    for is_of_the_manifest in [true, false] {
        let mut world = World::under(two_operators());
        let (alone, together) = ([&key(2)], [&both[0], &both[1]]);
        let registration = world.registration("a", &agent_key());
        let record = world.record(Body::Manifest(registration.into()));
        let agent = agent_key();
        let mut by = match is_of_the_manifest {
            true => alone.to_vec(),
            false => together.to_vec(),
        };
        by.push(&agent);
        world.offer(&record, &by).unwrap();
        let record = world.record(Body::Lease(world.lease("a", HOUR).into()));
        let by = match is_of_the_manifest {
            true => together.to_vec(),
            false => alone.to_vec(),
        };
        let lease = world.offer(&record, &by).unwrap();
        let thief = key(2).public().id();
        let distrusting = next(&world, |charter| charter.distrusted = vec![thief]);
        amend(&mut world, distrusting, &[&key(1)]).unwrap();
        let refused = world.state.in_force(lease, world.now).map(drop);
        assert_eq!(refused.unwrap_err().code, Code::LeaseRevoked);
    }
}

/// Whoever goes by a lease that too few had signed loses nothing by an amendment about somebody else.
#[test]
fn what_never_had_enough_keeps_what_it_has() {
    let mut world = World::under(two_operators());
    world.register("a", &agent_key()).unwrap();
    let stricter = next(&world, |charter| charter.thresholds.operator = 2);
    amend(&mut world, stricter, &[&key(1)]).unwrap();
    let lease = Body::Lease(world.lease("a", HOUR).into());
    let lease = world.apply_all_the_same(lease, &key(2));
    let distrusting = next(&world, |charter| {
        charter.keys.push(held(13, Role::Operator));
        charter.distrusted = vec![key(12).public().id()];
    });
    amend(&mut world, distrusting, &[&key(1)]).unwrap();
    assert!(world.state.in_force(lease, world.now).is_ok());
}

#[test]
fn a_log_keeps_its_name() {
    let mut world = World::new();
    let renamed = next(&world, |charter| {
        let name = KeyName::parse("example.com/another").unwrap();
        charter.origin = "example.com/another".to_owned();
        charter.log_keys = vec![SigningKey::new(name, &[6; 32]).verifier_key()];
    });
    let got = amend(&mut world, renamed, &[&key(1)]);
    assert_eq!(got, Err(Code::CharterInvalid));
}
