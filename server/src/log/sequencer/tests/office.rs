//! An amendment that takes the control role from the key that the service signs with.

use ledger::key::PrivateKey;
use ledger::record::{Charter, CharterKey, Record, Role};

use super::*;

/// The next charter, in which another key has the control role, signed by the root.
fn deposed(bench: &Bench) -> SignedRecord {
    let before = charter();
    let mut keys = before.keys.clone();
    keys.retain(|held| !held.roles.contains(&Role::Control));
    keys.push(CharterKey {
        key: key(33).public(),
        name: "successor".parse().unwrap(),
        roles: vec![Role::Control],
    });
    let next = Charter {
        version: 2,
        previous: Some(bench.trust.charter),
        distrusted: vec![key(2).public().id()],
        keys,
        ..before
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
        opened(&bench, key(3), &clock).is_err(),
        "nor does it start again"
    );
    let mut writer = opened(&bench, key(33), &clock).unwrap();
    writer.turn(vec![]).unwrap();
    let logged = bench.kinds().split_off(before + 2);
    assert_eq!(
        logged,
        [Kind::Pulse, Kind::Transition],
        "the successor does what is due"
    );
    check_log(bench.store.as_ref(), &bench.trust);
}

fn opened(
    bench: &Bench,
    control: PrivateKey,
    clock: &Arc<ManualClock>,
) -> Result<Writer, OpenError> {
    let source = Arc::new(Source {
        store: Arc::clone(&bench.store),
        key: log_key(),
    });
    let recovered = recover(&source).unwrap();
    let options = options(clock);
    let status = Arc::new(Status::new(&recovered.state, options.clock.clone()));
    Writer::start(source, control, recovered, &options, status)
}
