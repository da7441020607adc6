use std::sync::Arc;

use ledger::codes::{Code, Refusal};
use ledger::digest::{Digest, RecordHash};
use ledger::govern::Agent;
use ledger::record::{AgentState, Body, Kind, Liveness, Mode, Refused, Rule, SignedRecord};
use store::faulty::{Fault, FaultyStore};
use store::{Storage, Store};
use tlog::{LeafIndex, TreeSize};
use tokio::sync::oneshot;

use super::*;
use crate::log::clock::{Clock as _, ManualClock};
use crate::log::health::Disk;
use crate::log::published::Published;
use crate::log::recovery::recover;
use crate::log::testing::{
    START_MS, Speaker, charter, check_log, founded, key, keys, kinds, log_key, options, records,
};
use crate::log::time::LogTime;
use crate::log::{LogKeys, Options, Outcome};
use crate::trust::Trust;

mod duties;
mod faults;
mod jumps;
mod office;
mod refused;
mod thread;

/// The sequencer without its thread: a test takes the turns.
struct Bench {
    storage: Storage,
    store: Arc<dyn Store>,
    trust: Trust,
    clock: Arc<ManualClock>,
    status: Arc<Status>,
    writer: Writer,
}

fn opened(
    storage: &Storage,
    keys: LogKeys,
    options: &Options,
) -> Result<(Arc<Status>, Writer), OpenError> {
    let recovered = recover(storage, None).unwrap();
    let last_ms = recovered.state.last_received_ms();
    let time = LogTime::start(options.clock.clone(), last_ms, options.accept_clock_jump)?;
    let status = Arc::new(Status::new(&recovered.state, Arc::new(time)));
    let writer = Writer::start(
        storage.clone(),
        keys,
        recovered,
        options,
        Arc::clone(&status),
    )?;
    Ok((status, writer))
}

type Answer = oneshot::Receiver<Result<Submitted, Refusal>>;

impl Bench {
    fn new() -> Self {
        let (store, trust) = founded(charter());
        Self::on(store, trust)
    }

    fn on(storage: impl Into<Storage>, trust: Trust) -> Self {
        Self::at(storage, trust, &Arc::new(ManualClock::at(START_MS)), 0)
    }

    fn at(
        storage: impl Into<Storage>,
        trust: Trust,
        clock: &Arc<ManualClock>,
        min_free_bytes: u64,
    ) -> Self {
        let storage = storage.into();
        let options = Options {
            min_free_bytes,
            ..options(clock)
        };
        let (status, writer) = opened(&storage, keys(), &options).unwrap();
        Self {
            store: Arc::clone(&storage.store),
            storage,
            trust,
            clock: Arc::clone(clock),
            status,
            writer,
        }
    }

    fn published(&self) -> Arc<Published> {
        self.writer.published().load_full()
    }

    /// One turn with these records, checked as the pool does: with the keys of the published state.
    fn turn(&mut self, records: Vec<SignedRecord>) -> (Result<(), Fatal>, Vec<Answer>) {
        let published = self.published();
        let (mut submissions, mut answers) = (Vec::new(), Vec::new());
        for record in records {
            let (answer, pending) = oneshot::channel();
            let record = record.check(&|id| published.state.key(id));
            submissions.push(Submission { record, answer });
            answers.push(pending);
        }
        (self.writer.turn(submissions), answers)
    }

    /// A turn that must succeed; every record is answered when it returns, and the whole log is sound.
    fn offer(&mut self, records: Vec<SignedRecord>) -> Vec<Result<Submitted, Refusal>> {
        let (outcome, answers) = self.turn(records);
        outcome.unwrap();
        check_log(self.store.as_ref(), &self.trust);
        answers
            .into_iter()
            .map(|mut answer| answer.try_recv().unwrap())
            .collect()
    }

    fn offer_one(&mut self, record: SignedRecord) -> Result<Submitted, Refusal> {
        self.offer(vec![record]).remove(0)
    }

    fn introduce(&mut self, name: &str, seed: u8) -> Speaker {
        let (speaker, registration, lease) =
            Speaker::introduced(&self.trust, name, seed, self.clock.wall_ms());
        for answer in self.offer(vec![registration, lease]) {
            answer.unwrap();
        }
        speaker
    }

    /// An agent that runs.
    fn running(&mut self, name: &str, seed: u8) -> Speaker {
        let mut speaker = self.introduce(name, seed);
        self.offer_one(speaker.beat(1)).unwrap();
        speaker
    }

    /// Lets time pass, in a service that pulses and in which nobody speaks.
    fn pass(&mut self, ms: u64) {
        let step_ms = Liveness::default().pulse_ms;
        for passed in (0..ms).step_by(usize::try_from(step_ms).unwrap()) {
            self.clock.advance(step_ms.min(ms - passed));
            self.turn(vec![]).0.unwrap();
        }
        check_log(self.store.as_ref(), &self.trust);
    }

    /// Another process on the same store, as after a crash.
    fn restarted(self) -> Self {
        Self::at(self.storage, self.trust, &self.clock, 0)
    }

    fn agent(&self, name: &str) -> Agent {
        let name = name.parse().unwrap();
        self.published().state.agent(&name).unwrap().clone()
    }

    fn kinds(&self) -> Vec<Kind> {
        kinds(self.store.as_ref())
    }

    fn refusals(&self) -> Vec<(Code, u64, bool)> {
        let refused = |record: &SignedRecord| match &record.record().body {
            Body::Refusal(refused) => {
                let Refused {
                    code,
                    count,
                    envelope,
                    ..
                } = refused.as_ref();
                Some((*code, *count, envelope.is_some()))
            }
            _ => None,
        };
        records(self.store.as_ref())
            .iter()
            .filter_map(refused)
            .collect()
    }

    fn rules(&self) -> Vec<Rule> {
        let rule = |record: &SignedRecord| match &record.record().body {
            Body::Transition(transition) => Some(transition.rule),
            _ => None,
        };
        records(self.store.as_ref())
            .iter()
            .filter_map(rule)
            .collect()
    }
}

#[test]
fn a_pulse_comes_first_and_then_whenever_it_is_due() {
    let mut bench = Bench::new();
    assert_eq!(bench.writer.idle_time(), std::time::Duration::ZERO);
    bench.introduce("a", 5);
    assert_eq!(
        bench.kinds(),
        [Kind::Charter, Kind::Pulse, Kind::Manifest, Kind::Lease]
    );
    bench.offer(vec![]);
    assert_eq!(
        bench.kinds().len(),
        4,
        "nothing is due, so nothing is logged"
    );
    bench.clock.advance(Liveness::default().pulse_ms - 1);
    bench.offer(vec![]);
    assert_eq!(bench.kinds().len(), 4);
    bench.clock.advance(1);
    bench.offer(vec![]);
    assert_eq!(bench.kinds().last(), Some(&Kind::Pulse));
    let mut again = Bench::at(bench.storage, bench.trust, &bench.clock, 0);
    again.offer(vec![]);
    assert_eq!(again.kinds().len(), 6, "every start logs a pulse first");
}

#[test]
fn a_group_keeps_its_order_and_is_one_checkpoint() {
    let mut bench = Bench::new();
    bench.offer(vec![]);
    bench.clock.advance(1_000);
    let (mut speaker, registration, lease) =
        Speaker::introduced(&bench.trust, "a", 5, bench.clock.wall_ms());
    let mut records = vec![registration, lease];
    records.extend((1..=300).map(|progress| speaker.beat(progress)));
    let hashes: Vec<_> = records.iter().map(SignedRecord::hash).collect();
    let answers = bench.offer(records);
    let published = bench.published();
    let mut last = LeafIndex::new(1);
    for (answer, hash) in answers.into_iter().zip(hashes) {
        let submitted = answer.unwrap();
        assert_eq!(
            (submitted.record, submitted.result),
            (hash, Outcome::Logged)
        );
        assert_eq!(submitted.received_ms, START_MS + 1_000);
        assert!(submitted.index > last);
        assert_eq!(submitted.published.size, published.size);
        assert_eq!(published.index_of(&hash).unwrap(), Some(submitted.index));
        last = submitted.index;
    }
    let kept = published.checkpoints_after(0, 10).unwrap();
    assert_eq!(kept.len(), 2, "one a second: {kept:?}");
    assert_eq!(kept[1].checkpoint, published.checkpoint);
}

#[test]
fn a_duplicate_is_answered_with_what_is_there() {
    let mut bench = Bench::new();
    let mut speaker = bench.introduce("a", 5);
    bench.clock.advance(10);
    let beat = speaker.beat(1);
    let answers = bench.offer(vec![beat.clone(), beat.clone()]);
    let [first, second] = answers.try_into().unwrap();
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(
        (first.result, second.result),
        (Outcome::Logged, Outcome::Duplicate)
    );
    bench.clock.advance(10);
    let later = bench.offer_one(beat).unwrap();
    for duplicate in [second, later] {
        assert_eq!(duplicate.result, Outcome::Duplicate);
        assert_eq!(
            (duplicate.index, duplicate.received_ms),
            (first.index, START_MS + 10)
        );
    }
    let beats = bench
        .kinds()
        .iter()
        .filter(|kind| **kind == Kind::Heartbeat)
        .count();
    assert_eq!(beats, 1);
}

#[test]
fn what_a_record_builds_on_is_in_the_log_before_it() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    let goal = speaker.goal();
    let elsewhere = RecordHash::new(Digest::of(&[b"elsewhere"]));
    let lost = speaker.intent_upon(goal.hash(), "read:docs", vec![goal.hash(), elsewhere]);
    let found = speaker.intent_upon(goal.hash(), "read:docs", vec![goal.hash()]);
    let answers = bench.offer(vec![goal, lost, found]);
    let [goal, lost, found] = answers.try_into().unwrap();
    assert!(goal.is_ok());
    assert_eq!(lost.unwrap_err().code, Code::ReferenceUnknown);
    assert_eq!(found.unwrap().result, Outcome::Logged, "of the same group");
}

#[test]
fn time_never_goes_back_within_the_log() {
    let mut bench = Bench::new();
    let mut speaker = bench.introduce("a", 5);
    bench.clock.advance(5_000);
    bench.offer_one(speaker.beat(1)).unwrap();
    bench.clock.step(-3_000);
    let submitted = bench.offer_one(speaker.beat(2)).unwrap();
    assert_eq!(submitted.received_ms, START_MS + 5_000);
}

#[test]
fn a_full_disk_takes_nothing_and_recovers() {
    let (store, trust) = founded(charter());
    let store = Arc::new(FaultyStore::with_room(store, 99));
    let clock = Arc::new(ManualClock::at(START_MS));
    let mut bench = Bench::at(store.clone(), trust, &clock, 100);
    let (_, registration, _) = Speaker::introduced(&bench.trust, "a", 5, START_MS);
    let refusal = bench.offer_one(registration.clone()).unwrap_err();
    assert_eq!(refusal.code, Code::DiskFull);
    assert_eq!(bench.kinds(), [Kind::Charter]);
    assert_eq!(
        bench.status.health(&bench.published()).disk,
        Disk::NearlyFull
    );
    assert!(
        bench.published().leaf(LeafIndex::new(0)).unwrap().is_some(),
        "reads go on"
    );
    assert!(!bench.writer.idle_time().is_zero());
    store.set_free_bytes(100);
    bench.offer_one(registration).unwrap();
    assert_eq!(bench.kinds(), [Kind::Charter, Kind::Pulse, Kind::Manifest]);
    assert!(bench.status.health(&bench.published()).is_ready());
}

/// A short life of an agent, one group after another.
fn history(trust: &Trust) -> Vec<Vec<SignedRecord>> {
    let (mut speaker, registration, lease) = Speaker::introduced(trust, "a", 5, START_MS);
    let first = vec![registration, lease, speaker.beat(1)];
    let goal = speaker.goal();
    let more = (2..280).map(|progress| speaker.beat(progress)).collect();
    vec![first, vec![goal], more, vec![speaker.beat(280)]]
}

#[test]
fn every_commit_may_fail_with_either_outcome_and_nothing_is_lost_or_forked() {
    for fault in [Fault::Failed, Fault::FailedButPersisted] {
        for commit in 0..4 {
            one_commit_fails(fault, commit);
        }
    }
}

fn one_commit_fails(fault: Fault, commit: u64) {
    let (inner, trust) = founded(charter());
    let mut bench = Bench::on(
        Arc::new(FaultyStore::new(inner.clone(), fault, commit)),
        trust,
    );
    let (mut acknowledged, mut heads) = (Vec::new(), Vec::new());
    let groups = history(&bench.trust);
    let mut failed = false;
    for group in groups.clone() {
        let (outcome, answers) = bench.turn(group);
        failed = outcome.is_err();
        if failed {
            assert!(
                matches!(outcome, Err(Fatal::Commit(CommitError::Unknown(_)))),
                "{outcome:?}"
            );
            for mut answer in answers {
                assert!(
                    answer.try_recv().is_err(),
                    "nothing is answered after a failed commit"
                );
            }
            break;
        }
        acknowledged.extend(
            answers
                .into_iter()
                .map(|mut a| a.try_recv().unwrap().unwrap()),
        );
        heads.push(bench.published());
    }
    assert!(failed, "commit {commit} was to fail");
    // The process is gone; the next one recovers from what is stored.
    let mut bench = Bench::on(inner, bench.trust);
    check_log(bench.store.as_ref(), &bench.trust);
    for submitted in &acknowledged {
        let index = bench.published().index_of(&submitted.record).unwrap();
        assert_eq!(index, Some(submitted.index));
    }
    for group in groups {
        for answer in bench.offer(group) {
            answer.unwrap();
        }
    }
    let published = bench.published();
    for head in heads {
        assert_eq!(published.root_at(head.size).unwrap(), head.root);
    }
}
