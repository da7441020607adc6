//! Amendments that take a key out of office with which the service signs.

use ledger::key::PrivateKey;
use ledger::record::{Charter, CharterKey, Record, Role};
use tlog::note::SigningKey;

use super::*;

/// The next charter, in which another key has the control role, signed by the root.
fn deposed(bench: &Bench) -> SignedRecord {
    let before = charter();
    let mut keys = before.keys.clone();
    keys.retain(|held| !held.roles.contains(&Role::Control));
    let held = |seed, role| CharterKey {
        key: key(seed).public(),
        name: "successor".parse().unwrap(),
        roles: vec![role],
    };
    keys.extend([held(33, Role::Control), held(34, Role::Operator)]);
    let next = Charter {
        distrusted: vec![key(2).public().id()],
        keys,
        ..before
    };
    amendment(bench, next)
}

/// The next charter, by which another key signs the log's heads.
fn resealed(bench: &Bench) -> SignedRecord {
    let log_keys = vec![another_log_key().verifier_key()];
    let before = charter();
    amendment(bench, Charter { log_keys, ..before })
}

fn another_log_key() -> SigningKey {
    let name = log_key().verifier_key().name().clone();
    SigningKey::new(name, &[40; 32])
}

fn amendment(bench: &Bench, next: Charter) -> SignedRecord {
    let next = Charter {
        version: 2,
        previous: Some(bench.trust.charter),
        ..next
    };
    let record = Record {
        log: Some(bench.trust.charter),
        at_ms: bench.clock.wall_ms(),
        body: Body::Charter(Box::new(next)),
        ext: None,
    };
    record.sign(&[&key(1)]).unwrap()
}

#[test]
fn who_is_out_of_office_logs_the_amendment_and_signs_nothing_more() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    bench.clock.advance(1);
    let (amendment, late) = (deposed(&bench), speaker.beat(2));
    let (before, next) = (bench.kinds().len(), amendment.hash());
    // The lease falls with the operator who granted it, so that transitions are due behind the amendment at once.
    let (outcome, mut answers) = bench.turn(vec![amendment, late]);
    let keyid = key(3).public().id();
    assert!(
        matches!(outcome, Err(Fatal::OutOfOffice { keyid: id }) if id == keyid),
        "{outcome:?}"
    );
    answers[0].try_recv().unwrap().unwrap();
    assert_eq!(bench.published().state.charter_hash(), Some(next));
    let logged = bench.kinds().split_off(before);
    assert_eq!(
        logged,
        [Kind::Charter, Kind::Heartbeat],
        "nothing by control"
    );
    check_log(bench.store.as_ref(), &bench.trust);
    let clock = Arc::clone(&bench.clock);
    assert!(
        opened_by(&bench, log_key(), key(3), &clock).is_err(),
        "nor does it start again"
    );
    let mut writer = opened_by(&bench, log_key(), key(33), &clock).unwrap();
    writer.turn(vec![]).unwrap();
    let logged = bench.kinds().split_off(before + 2);
    assert_eq!(
        logged,
        [Kind::Pulse, Kind::Transition],
        "the successor does what is due"
    );
    check_log(bench.store.as_ref(), &bench.trust);
}

/// Whoever holds the old log key may sign the tree that ends with the amendment, and none behind it.
#[test]
fn the_amendment_that_replaces_the_log_key_is_the_last_leaf_of_its_group() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    bench.clock.advance(1);
    let (amendment, late) = (resealed(&bench), speaker.beat(2));
    let (before, next) = (bench.kinds().len(), amendment.hash());
    let (outcome, mut answers) = bench.turn(vec![amendment, late.clone()]);
    let replaced = log_key().verifier_key().to_string();
    assert!(
        matches!(&outcome, Err(Fatal::LogKeyReplaced { vkey }) if *vkey == replaced),
        "{outcome:?}"
    );
    answers[0].try_recv().unwrap().unwrap();
    let refused = answers[1].try_recv().unwrap().unwrap_err();
    assert_eq!(refused.code, Code::Stopping);
    assert_eq!(bench.published().state.charter_hash(), Some(next));
    assert_eq!(bench.kinds().split_off(before), [Kind::Charter]);
    check_log(bench.store.as_ref(), &bench.trust);

    let clock = Arc::clone(&bench.clock);
    assert!(
        opened_by(&bench, log_key(), key(3), &clock).is_err(),
        "the old key signs no more"
    );
    let mut writer = opened_by(&bench, another_log_key(), key(3), &clock).unwrap();
    let (answer, mut late_answer) = oneshot::channel();
    let record = late.check(&|id| bench.published().state.key(id));
    writer.turn(vec![Submission { record, answer }]).unwrap();
    late_answer.try_recv().unwrap().unwrap();
    let logged = bench.kinds().split_off(before + 1);
    assert_eq!(logged, [Kind::Pulse, Kind::Heartbeat]);
    let head = bench.store.head().unwrap().unwrap().checkpoint;
    let head = tlog::checkpoint::SignedCheckpoint::parse(&head).unwrap();
    assert!(head.verify(&another_log_key().verifier_key()).is_ok());
    assert!(head.verify(&log_key().verifier_key()).is_err());
    assert!(
        opened_by(&bench, another_log_key(), key(3), &clock).is_ok(),
        "and again"
    );
}

fn opened_by(
    bench: &Bench,
    log: SigningKey,
    control: PrivateKey,
    clock: &Arc<ManualClock>,
) -> Result<Writer, OpenError> {
    let keys = LogKeys { log, control };
    opened(&bench.storage, keys, &options(clock)).map(|(_, writer)| writer)
}
