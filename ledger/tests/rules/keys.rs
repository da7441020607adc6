//! A key has one meaning forever: by its bytes, over all roles, whoever brings it first.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::record::{Body, Charter, CharterKey, LeaseRenewal, Role};
use tlog::note::{KeyName, SigningKey, VerifierKey};

use crate::world::{HOUR, World, agent_key, charter, key};

/// The seed of the first log key.
const LOG: u8 = 6;

fn log_key(seed: u8) -> VerifierKey {
    let name = KeyName::parse("example.com/log").unwrap();
    SigningKey::new(name, &[seed; 32]).verifier_key()
}

fn held(seed: u8, role: Role) -> CharterKey {
    CharterKey {
        key: key(seed).public(),
        name: "somebody".parse().unwrap(),
        roles: vec![role],
    }
}

fn amend(world: &mut World, change: impl FnOnce(&mut Charter)) -> Result<RecordHash, Code> {
    let mut charter = world.state.charter().unwrap().clone();
    charter.version += 1;
    charter.previous = world.state.charter_hash();
    change(&mut charter);
    let record = world.record(Body::Charter(charter.into()));
    world.offer(&record, &[&key(1)])
}

#[test]
fn within_a_charter_all_keys_differ() {
    let cases: [fn(&mut Charter); 3] = [
        |charter| charter.keys.push(held(LOG, Role::Observer)),
        |charter| charter.log_keys.push(log_key(2)),
        |charter| charter.log_keys.push(log_key(LOG)),
    ];
    for (n, change) in cases.into_iter().enumerate() {
        let mut first = charter();
        change(&mut first);
        assert_eq!(first.check().unwrap_err().code, Code::CharterInvalid, "{n}");
        let got = amend(&mut World::new(), change);
        assert_eq!(got, Err(Code::CharterInvalid), "{n}");
    }
}

#[test]
fn what_was_a_key_of_one_kind_never_becomes_another() {
    let mut world = World::new();
    world.register("a", &agent_key()).unwrap();
    world.register("b", &key(8)).unwrap();
    world.now += 1;
    // Old keys of each kind, that are in force no more.
    amend(&mut world, |charter| {
        charter.keys[3] = held(14, Role::Observer);
        charter.log_keys = vec![log_key(40)];
    })
    .unwrap();
    type Change = fn(&mut Charter);
    let cases: [(&str, Change); 6] = [
        ("an agent's as a person's", |charter| {
            charter.keys[3] = held(5, Role::Observer);
        }),
        ("an agent's as the log's", |charter| {
            charter.log_keys = vec![log_key(5)];
        }),
        ("a log's as a person's", |charter| {
            charter.keys[3] = held(40, Role::Observer);
        }),
        ("an old log's as a person's", |charter| {
            charter.keys[3] = held(LOG, Role::Observer);
        }),
        ("a person's as the log's", |charter| {
            charter.log_keys = vec![log_key(14)];
        }),
        ("an old person's as the log's", |charter| {
            charter.log_keys = vec![log_key(4)];
        }),
    ];
    for (what, change) in cases {
        assert_eq!(
            amend(&mut world, change),
            Err(Code::CharterInvalid),
            "{what}"
        );
    }
    for seed in [14, 4, 40, LOG, 8] {
        let got = world.register("c", &key(seed));
        assert_eq!(got, Err(Code::KeyNotAgents), "{seed}");
    }
    assert!(world.register("c", &key(11)).is_ok());
    amend(&mut world, |charter| {
        charter.keys[3] = held(4, Role::Control);
        charter.log_keys = vec![log_key(LOG)];
    })
    .expect("a charter key may get another role, and an old log key come back");
}

#[test]
fn an_amendment_leaves_somebody_in_every_office() {
    let distrust = |world: &mut World, seeds: &[u8]| {
        let ids: Vec<_> = seeds.iter().map(|seed| key(*seed).public().id()).collect();
        amend(world, |charter| charter.distrusted = ids)
    };
    for seed in [1, 2, 3] {
        let mut world = World::new();
        assert_eq!(
            distrust(&mut world, &[seed]),
            Err(Code::CharterInvalid),
            "{seed}"
        );
    }
    assert!(
        distrust(&mut World::new(), &[4]).is_ok(),
        "no observer is needed"
    );
    let mut two = charter();
    two.keys
        .extend([held(12, Role::Operator), held(13, Role::Control)]);
    two.thresholds.operator = 2;
    let mut world = World::under(two.clone());
    assert_eq!(
        distrust(&mut world, &[2]),
        Err(Code::CharterInvalid),
        "two are needed"
    );
    two.thresholds.operator = 1;
    let mut world = World::under(two);
    distrust(&mut world, &[2, 3]).expect("one of each is left");
    assert_eq!(
        distrust(&mut world, &[12]).map(drop),
        Ok(()),
        "the other one stands then"
    );
}

/// A renewal by operators needs as many of them as a lease; one beside control's signature is not enough either.
#[test]
fn a_renewal_by_operators_needs_all_whom_a_lease_needs() {
    let mut world = World::new();
    world.register("a", &agent_key()).unwrap();
    let lease = world.grant(&world.lease("a", HOUR)).unwrap();
    amend(&mut world, |charter| {
        charter.keys.push(held(12, Role::Operator));
        charter.thresholds.operator = 2;
    })
    .unwrap();
    let renewal = LeaseRenewal {
        lease,
        from_ms: 0,
        expires_ms: world.now + 2 * HOUR,
    };
    let record = world.record(Body::LeaseRenewal(renewal));
    for by in [&[2][..], &[2, 3]] {
        let keys: Vec<_> = by.iter().map(|seed| key(*seed)).collect();
        let keys: Vec<_> = keys.iter().collect();
        let got = world.offer(&record, &keys);
        assert_eq!(got, Err(Code::ThresholdNotMet), "{by:?}");
    }
    world.offer(&record, &[&key(2), &key(12)]).expect("by both");
}
