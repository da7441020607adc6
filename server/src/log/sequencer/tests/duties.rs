//! What the control plane logs by itself, and when.

use ledger::digest::RecordHash;
use ledger::record::{Charter, LeaseRenewal};

use super::*;
use crate::log::testing::LEASE_MS;

const MINUTE_MS: u64 = 60_000;

#[test]
fn transitions_stand_directly_behind_their_cause() {
    let mut bench = Bench::new();
    let (mut speaker, registration, lease) = Speaker::introduced(&bench.trust, "a", 5, START_MS);
    let records = vec![registration, lease, speaker.beat(1), speaker.beat(2)];
    for answer in bench.offer(records) {
        answer.unwrap();
    }
    use Kind::{Charter, Heartbeat, Lease, Manifest, Pulse, Transition};
    assert_eq!(
        bench.kinds(),
        [
            Charter, Pulse, Manifest, Lease, Heartbeat, Transition, Heartbeat
        ]
    );
    assert_eq!(bench.rules(), [Rule::Started]);
}

/// How a log comes to where the next record of agent `a` causes a transition, and that record.
type Cause = fn(&mut Bench) -> SignedRecord;

const CAUSES: [(Rule, Cause); 7] = [
    (Rule::Started, |bench| leased(bench).beat(1)),
    (Rule::Finished, |bench| begun(bench).goodbye(2)),
    (Rule::ManifestDrift, |bench| begun(bench).drifted(2)),
    (Rule::Denials, tenth_denial),
    (Rule::Recovered, |bench| {
        let mut speaker = begun(bench);
        bench.pass(30 * MINUTE_MS);
        speaker.at_ms = bench.clock.wall_ms();
        speaker.beat(2)
    }),
    (Rule::Healed, second_beat_of_a_healing),
    (Rule::Restarted, |bench| {
        let mut speaker = begun(bench);
        bench.offer_one(speaker.goodbye(2)).unwrap();
        speaker.reborn(2, bench.agent("a").lease().unwrap());
        speaker.beat(1)
    }),
];

/// Agent `a` under a lease of a day.
fn leased(bench: &mut Bench) -> Speaker {
    let (mut speaker, registration, _) = Speaker::introduced(&bench.trust, "a", 5, START_MS);
    let lease = speaker.lease(|lease| lease.expires_ms = START_MS + 24 * LEASE_MS);
    for answer in bench.offer(vec![registration, lease]) {
        answer.unwrap();
    }
    speaker
}

/// Agent `a` under a lease of a day, running.
fn begun(bench: &mut Bench) -> Speaker {
    let mut speaker = leased(bench);
    bench.offer_one(speaker.beat(1)).unwrap();
    speaker
}

fn tenth_denial(bench: &mut Bench) -> SignedRecord {
    let mut speaker = begun(bench);
    let goal = speaker.goal();
    bench.offer_one(goal.clone()).unwrap();
    let mut denial = |n| {
        speaker.at_ms = START_MS + n;
        speaker.intent(goal.hash(), "read:secrets/key")
    };
    for n in 1..10 {
        bench.offer_one(denial(n)).unwrap_err();
    }
    denial(10)
}

fn second_beat_of_a_healing(bench: &mut Bench) -> SignedRecord {
    let mut speaker = begun(bench);
    bench.pass(60 * MINUTE_MS);
    assert_eq!(bench.agent("a").state(), AgentState::Autohealing);
    speaker.reborn(2, bench.agent("a").opening().unwrap());
    speaker.at_ms = bench.clock.wall_ms();
    bench.offer_one(speaker.beat(1)).unwrap();
    bench.clock.advance(MINUTE_MS / 2);
    speaker.beat(2)
}

/// Where a record, or its refusal, is in the log.
fn place(records: &[SignedRecord], cause: RecordHash) -> Option<usize> {
    records
        .iter()
        .position(|record| match &record.record().body {
            Body::Refusal(refused) => refused.refused == cause,
            _ => record.hash() == cause,
        })
}

fn rule(record: &SignedRecord) -> Option<Rule> {
    match &record.record().body {
        Body::Transition(transition) => Some(transition.rule),
        _ => None,
    }
}

#[test]
fn no_crash_comes_between_a_cause_and_its_transition() {
    for fault in [Fault::Failed, Fault::FailedButPersisted] {
        for (caused, cause) in CAUSES {
            crash_at(fault, caused, cause);
        }
    }
}

/// The commit that brings the cause fails, and the process is gone.
fn crash_at(fault: Fault, caused: Rule, cause: Cause) {
    let (inner, trust) = founded(charter());
    let mut bench = Bench::on(inner.clone(), trust);
    let cause = cause(&mut bench);
    bench.storage = Arc::new(FaultyStore::new(inner.clone(), fault, 0)).into();
    let mut bench = bench.restarted();
    let (outcome, _) = bench.turn(vec![cause.clone()]);
    assert!(matches!(outcome, Err(Fatal::Commit(_))), "{outcome:?}");
    let stored = records(inner.as_ref());
    let place_in = |records: &[SignedRecord]| place(records, cause.hash());
    assert_eq!(
        place_in(&stored).is_some(),
        fault == Fault::FailedButPersisted
    );
    assert_eq!(
        stored.iter().filter_map(rule).any(|rule| rule == caused),
        place_in(&stored).is_some()
    );

    bench.storage = inner.clone().into();
    let mut bench = bench.restarted();
    // A duplicate now or not, and a denied intent is refused again.
    bench.offer(vec![cause.clone()]);
    let stored = records(inner.as_ref());
    let behind = place_in(&stored).map(|place| rule(&stored[place + 1]));
    assert_eq!(behind, Some(Some(caused)), "after {fault:?}");
    let count = stored
        .iter()
        .filter(|record| rule(record) == Some(caused))
        .count();
    assert_eq!(count, 1, "{caused} after {fault:?}");
}

#[test]
fn timed_transitions_come_when_they_are_due() {
    let mut bench = Bench::new();
    bench.running("a", 5);
    bench.pass(30 * MINUTE_MS - 1);
    assert_eq!(bench.rules(), [Rule::Started]);
    assert_eq!(
        bench.writer.idle_time(),
        std::time::Duration::from_millis(1)
    );
    bench.pass(1);
    assert_eq!(bench.rules(), [Rule::Started, Rule::PulseLost]);
    assert_eq!(bench.kinds().last(), Some(&Kind::Transition));
}

#[test]
fn what_fell_due_while_the_service_was_down_follows_its_first_pulse() {
    let mut bench = Bench::new();
    bench.running("a", 5);
    bench.pass(29 * MINUTE_MS);
    let before = bench.kinds().len();
    let mut bench = bench.restarted();
    bench.clock.advance(2 * MINUTE_MS);
    bench.offer(vec![]);
    assert_eq!(bench.kinds()[before..], [Kind::Pulse, Kind::Transition]);
    assert_eq!(bench.rules(), [Rule::Started, Rule::PulseLost]);
}

#[test]
fn a_gap_is_laid_to_no_agent() {
    let mut bench = Bench::new();
    begun(&mut bench);
    bench.pass(29 * MINUTE_MS);
    let before = bench.kinds().len();
    let mut bench = bench.restarted();
    bench.clock.advance(2 * MINUTE_MS + 1);
    bench.offer(vec![]);
    assert_eq!(bench.kinds()[before..], [Kind::Pulse]);
    bench.pass(30 * MINUTE_MS - 1);
    assert_eq!(bench.rules(), [Rule::Started], "the ages began anew");
    bench.pass(1);
    assert_eq!(bench.rules(), [Rule::Started, Rule::PulseLost]);
}

#[test]
fn duties_are_counted_with_their_lateness() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let mut bench = Bench::new();
    bench.running("a", 5);
    bench.pass(29 * MINUTE_MS);
    metrics::with_local_recorder(&recorder, || {
        bench.clock.advance(MINUTE_MS + 10_000);
        bench.offer(vec![]);
    });
    let scraped = recorder.handle().render();
    for line in [
        "dragonsd_transitions_total{rule=\"pulse-lost\"} 1",
        "dragonsd_duty_lateness_seconds_sum{duty=\"transition\"} 10",
        "dragonsd_duty_lateness_seconds_sum{duty=\"pulse\"} 10",
    ] {
        assert!(scraped.contains(line), "{line} in\n{scraped}");
    }
}

/// The ends that control has given leases.
fn renewals(bench: &Bench) -> Vec<u64> {
    let expires = |record: &SignedRecord| match &record.record().body {
        Body::LeaseRenewal(LeaseRenewal { expires_ms, .. }) => Some(*expires_ms),
        _ => None,
    };
    let records = records(bench.store.as_ref());
    records.iter().filter_map(expires).collect()
}

/// Agent `a`, running under a lease of an hour that control may renew until then.
fn renewable(bench: &mut Bench, until_ms: u64) -> Speaker {
    let (mut speaker, registration, _) = Speaker::introduced(&bench.trust, "a", 5, START_MS);
    let lease = speaker.lease(|lease| lease.renew_until_ms = Some(until_ms));
    for answer in bench.offer(vec![registration, lease, speaker.beat(1)]) {
        answer.unwrap();
    }
    speaker
}

#[test]
fn a_lease_is_renewed_behind_an_agent_that_moves_past_half_of_it() {
    let mut bench = Bench::new();
    let until_ms = START_MS + 2 * LEASE_MS;
    let mut speaker = renewable(&mut bench, until_ms);
    let mut beat = |bench: &mut Bench, progress| {
        speaker.at_ms = bench.clock.wall_ms();
        bench.offer_one(speaker.beat(progress)).unwrap()
    };
    bench.pass(30 * MINUTE_MS - 1);
    beat(&mut bench, 2);
    bench.clock.advance(1);
    beat(&mut bench, 3);
    assert_eq!(renewals(&bench), [0; 0], "half of it is left");
    bench.clock.advance(1);
    let answer = beat(&mut bench, 4);
    let renewed_ms = answer.received_ms + LEASE_MS;
    assert_eq!(renewals(&bench), [renewed_ms]);
    assert_eq!(bench.kinds().last(), Some(&Kind::LeaseRenewal));
    let lease = bench.agent("a").lease().unwrap();
    assert_eq!(
        answer.published.state.lease_ends_ms(lease),
        Some(renewed_ms)
    );

    for _ in 0..2 {
        bench.pass(16 * MINUTE_MS);
        beat(&mut bench, 4);
    }
    assert_eq!(renewals(&bench), [renewed_ms], "it has not moved since");
    beat(&mut bench, 5);
    assert_eq!(renewals(&bench), [renewed_ms, until_ms], "and no further");
    for progress in 6..8 {
        bench.pass(25 * MINUTE_MS);
        beat(&mut bench, progress);
    }
    bench.pass(until_ms - bench.clock.wall_ms());
    assert_eq!(renewals(&bench).len(), 2);
    assert_eq!(bench.rules(), [Rule::Started, Rule::LeaseEnded]);
}

#[test]
fn a_silent_agent_and_a_lease_that_says_nothing_of_it_get_no_renewal() {
    let mut bench = Bench::new();
    renewable(&mut bench, START_MS + 2 * LEASE_MS);
    let mut moving = bench.running("b", 7);
    bench.pass(40 * MINUTE_MS);
    moving.at_ms = bench.clock.wall_ms();
    bench.offer_one(moving.beat(2)).unwrap();
    bench.pass(20 * MINUTE_MS);
    assert_eq!(renewals(&bench), [0; 0]);
}

fn observing() -> Bench {
    let (store, trust) = founded(Charter {
        mode: Mode::Observe,
        ..charter()
    });
    Bench::on(store, trust)
}

#[test]
fn in_observe_mode_transitions_are_logged_and_restrict_nothing() {
    let mut bench = observing();
    let mut speaker = begun(&mut bench);
    bench.pass(60 * MINUTE_MS);
    use Rule::{HealDue, PulseLost, Started};
    assert_eq!(bench.rules(), [Started, PulseLost, HealDue]);
    let agent = bench.agent("a");
    assert_eq!((agent.state(), agent.epoch()), (AgentState::Autohealing, 1));
    speaker.at_ms = bench.clock.wall_ms();
    let goal = bench.offer_one(speaker.goal()).unwrap();
    assert_eq!((goal.result, goal.breach), (Outcome::Logged, None));
    assert_eq!(bench.refusals(), []);
}

#[test]
fn in_observe_mode_work_without_a_lease_is_logged_and_told() {
    let mut bench = observing();
    let mut speaker = bench.running("a", 5);
    bench.pass(LEASE_MS - 1);
    speaker.at_ms = bench.clock.wall_ms();
    assert_eq!(bench.offer_one(speaker.goal()).unwrap().breach, None);
    bench.clock.advance(1);
    let late = bench.offer_one(speaker.goal()).unwrap();
    assert_eq!(late.breach, None, "made in time");
    speaker.at_ms += 1;
    let breach = bench.offer_one(speaker.goal()).unwrap().breach;
    assert_eq!(breach.unwrap().code, Code::LeaseExpired);
}

#[test]
fn in_observe_mode_a_breach_is_logged_and_told() {
    let mut bench = observing();
    let mut speaker = bench.running("a", 5);
    let goal = speaker.goal();
    bench.offer_one(goal.clone()).unwrap();
    let submitted = bench
        .offer_one(speaker.intent(goal.hash(), "read:secrets/key"))
        .unwrap();
    assert_eq!(submitted.breach.unwrap().code, Code::ScopeDenied);
    assert_eq!(submitted.result, Outcome::Logged);
    assert_eq!(bench.refusals(), []);
}

/// However fast a log grows: there is never more to read behind the newest state that it vouches for.
#[test]
fn a_pulse_is_due_after_ten_thousand_leaves_as_well() {
    const LEAVES: u64 = 10_000;
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    let pulses = |bench: &Bench| -> Vec<u64> {
        let kinds = (0..).zip(bench.kinds());
        let pulses = kinds.filter(|(_, kind)| *kind == Kind::Pulse);
        pulses.map(|(index, _)| index).collect()
    };
    let [first] = pulses(&bench)[..] else {
        panic!("no time has passed, and few leaves")
    };
    let size = bench.published().size.get();
    let missing = first + LEAVES - 1 - size;
    let beats: Vec<SignedRecord> = (0..missing).map(|n| speaker.beat(2 + n)).collect();
    for group in beats.chunks(1_000) {
        bench.turn(group.to_vec()).0.unwrap();
    }
    bench.turn(vec![]).0.unwrap();
    assert_eq!(pulses(&bench), [first], "one leaf is missing");
    bench.offer_one(speaker.beat(2 + missing)).unwrap();
    bench.turn(vec![]).0.unwrap();
    assert_eq!(pulses(&bench), [first, first + LEAVES]);
    bench.turn(vec![]).0.unwrap();
    assert_eq!(pulses(&bench).len(), 2, "it is logged once");
    check_log(bench.store.as_ref(), &bench.trust);
}
