//! Every step of a commit, failing in every way, and errors while the next process recovers.

#![allow(
    clippy::print_stdout,
    reason = "a test of faults says how many it has tried"
)]

use store::faulty::Step;
use store::memory::MemoryStore;
use store::{AppendError, Appended, Group, Journal, Journaled, StoredCheckpoint, Term};

use super::*;
use crate::log::found;
use crate::log::recovery::RecoveryError;
use crate::log::testing::signed;

/// All steps of a commit and all outcomes that each can have.
const FAULTS: [(Step, Fault); 5] = [
    (Step::Append, Fault::NotDone),
    (Step::Append, Fault::Failed),
    (Step::Append, Fault::FailedButPersisted),
    (Step::Apply, Fault::Failed),
    (Step::Apply, Fault::FailedButPersisted),
];

/// What is offered after the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    TheSame,
    Another,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    step: Step,
    fault: Fault,
    commit: u64,
    next: Next,
    /// Whether the journal is another database than the store.
    apart: bool,
}

#[test]
fn every_step_of_a_commit_fails_in_every_way_and_nothing_is_lost_or_forked() {
    let mut cases = 0;
    for (step, fault) in FAULTS {
        for commit in 0..4 {
            for next in [Next::TheSame, Next::Another] {
                for apart in [false, true] {
                    Case {
                        step,
                        fault,
                        commit,
                        next,
                        apart,
                    }
                    .run();
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} failed commits, after each of which the log was checked and went on");
}

/// What was told to anybody before the failure.
#[derive(Default)]
struct Acknowledged {
    acknowledged: Vec<Submitted>,
    heads: Vec<Arc<Published>>,
}

impl Case {
    fn run(self) {
        let (inner, trust) = storage(self.apart);
        let faulty = FaultyStore::at(inner.clone(), self.step, self.fault, self.commit);
        let mut bench = Bench::on(Arc::new(faulty), trust);
        let groups = short_history(&bench.trust);
        let told = self.until_it_fails(&mut bench, &groups);
        // Of a group that was not written the process knows; after any other fault it is gone, and another recovers.
        if self.fault != Fault::NotDone {
            bench = Bench::on(inner, bench.trust);
        }
        check_log(bench.store.as_ref(), &bench.trust);
        for submitted in &told.acknowledged {
            let index = bench.published().index_of(&submitted.record).unwrap();
            assert_eq!(index, Some(submitted.index), "{self:?}");
        }
        if self.next == Next::Another {
            bench.introduce("another", 9);
        }
        for group in groups {
            for answer in bench.offer(group) {
                answer.unwrap();
            }
        }
        let published = bench.published();
        for head in told.heads {
            assert_eq!(published.root_at(head.size).unwrap(), head.root, "{self:?}");
        }
    }

    fn until_it_fails(self, bench: &mut Bench, groups: &[Vec<SignedRecord>]) -> Acknowledged {
        let mut told = Acknowledged::default();
        for group in groups {
            let (outcome, answers) = bench.turn(group.clone());
            let mut answers = answers.into_iter().map(|mut answer| answer.try_recv());
            match outcome {
                Ok(()) => {}
                Err(Fatal::Commit(_)) if self.fault != Fault::NotDone => {
                    assert!(
                        answers.all(|answer| answer.is_err()),
                        "{self:?}: nothing is answered after a failed commit"
                    );
                    return told;
                }
                Err(error) => panic!("{self:?}: {error}"),
            }
            let answers: Result<Vec<_>, _> = answers.map(Result::unwrap).collect();
            match answers {
                Ok(answers) => told.acknowledged.extend(answers),
                Err(refusal) => {
                    assert_eq!(refusal.code, Code::Overloaded, "{self:?}");
                    assert_eq!(self.fault, Fault::NotDone);
                    return told;
                }
            }
            told.heads.push(bench.published());
        }
        panic!("{self:?} did not fail");
    }
}

/// Four groups, few enough that the whole log is checked after each.
fn short_history(trust: &Trust) -> Vec<Vec<SignedRecord>> {
    let (mut speaker, registration, lease) = Speaker::introduced(trust, "a", 5, START_MS);
    let first = vec![registration, lease, speaker.beat(1)];
    let goal = speaker.goal();
    let more = (2..6).map(|progress| speaker.beat(progress)).collect();
    vec![first, vec![goal], more, vec![speaker.beat(6)]]
}

/// A founded log in one database, or in a journal and a store.
fn storage(apart: bool) -> (Storage, Trust) {
    if !apart {
        let (store, trust) = founded(charter());
        return (store.into(), trust);
    }
    let storage = Storage {
        journal: Arc::new(MemoryStore::new()),
        store: Arc::new(MemoryStore::new()),
    };
    let (_, trust) = founded(charter());
    found(storage.clone(), &keys(), signed(charter()), START_MS).unwrap();
    (storage, trust)
}

#[test]
fn a_journal_that_writes_nothing_three_times_in_a_row_ends_the_sequencer() {
    struct Closed(Storage);
    impl Journal for Closed {
        fn lead(&self) -> Result<Term, StoreError> {
            self.0.journal.lead()
        }
        fn append(&self, _: &Group, _: Term) -> Result<Appended, AppendError> {
            let error = StoreError::Engine("too many open files".into());
            Err(AppendError::NotDone(error))
        }
        fn after(&self, size: TreeSize, limit: usize) -> Result<Vec<Journaled>, StoreError> {
            self.0.journal.after(size, limit)
        }
        fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
            self.0.journal.head()
        }
    }
    let (inner, trust) = storage(false);
    let closed = Storage {
        store: Arc::clone(&inner.store),
        journal: Arc::new(Closed(inner.clone())),
    };
    let mut bench = Bench::on(closed, trust);
    let (_, registration, _) = Speaker::introduced(&bench.trust, "a", 5, START_MS);
    for is_last in [false, false, true] {
        let (outcome, mut answers) = bench.turn(vec![registration.clone()]);
        let refusal = answers[0].try_recv().unwrap().unwrap_err();
        assert_eq!(refusal.code, Code::Overloaded, "it is not in the log");
        let ended = matches!(outcome, Err(Fatal::Commit(CommitError::NotDone(_))));
        assert_eq!(ended, is_last, "{outcome:?}");
    }
    let mut bench = Bench::on(inner, bench.trust);
    bench.offer_one(registration).unwrap();
}

#[test]
fn whoever_is_fenced_ends_and_answers_nothing() {
    let mut bench = Bench::new();
    bench.offer(vec![]);
    bench.storage.journal.lead().unwrap();
    let (_, registration, _) = Speaker::introduced(&bench.trust, "a", 5, START_MS);
    let (outcome, mut answers) = bench.turn(vec![registration]);
    assert!(
        matches!(outcome, Err(Fatal::Commit(CommitError::Fenced))),
        "{outcome:?}"
    );
    assert!(answers[0].try_recv().is_err());
    assert_eq!(bench.kinds(), [Kind::Charter, Kind::Pulse]);
}

#[test]
fn every_read_of_a_recovery_may_fail_and_the_next_one_succeeds() {
    let (inner, trust) = founded(charter());
    let mut bench = Bench::on(inner, trust);
    for group in history(&bench.trust) {
        bench.offer(group);
    }
    let root = bench.published().root;
    let mut failed = 0;
    loop {
        let faulty = FaultyStore::with_failing_read(bench.storage.clone(), failed);
        match recover(&Arc::new(faulty).into(), None) {
            Err(RecoveryError::Store(_)) => failed += 1,
            Err(other) => panic!("read {failed}: {other}"),
            Ok(recovered) => {
                assert_eq!(recovered.edge.root(), root);
                break;
            }
        }
        assert_eq!(recover(&bench.storage, None).unwrap().edge.root(), root);
    }
    assert!(failed >= 4, "head, leaves, tiles and what is beyond");
    println!("{failed} reads of a recovery failed, one after another");
}

#[test]
fn a_store_that_is_behind_is_brought_up_although_that_fails_at_first() {
    let (storage, trust) = storage(true);
    // The first group comes to the journal and not to the store.
    let faulty = FaultyStore::at(storage.clone(), Step::Apply, Fault::Failed, 0);
    let mut bench = Bench::on(Arc::new(faulty), trust);
    let group = history(&bench.trust).remove(0);
    let (outcome, _) = bench.turn(group.clone());
    assert!(matches!(
        outcome,
        Err(Fatal::Commit(CommitError::NotApplied(_)))
    ));
    assert_eq!(kinds(storage.store.as_ref()), [Kind::Charter]);
    for fault in [Fault::Failed, Fault::FailedButPersisted] {
        let faulty = FaultyStore::at(storage.clone(), Step::Apply, fault, 0);
        let failed = recover(&Arc::new(faulty).into(), None);
        assert!(matches!(failed, Err(RecoveryError::Store(_))));
    }
    let mut bench = Bench::on(storage, bench.trust);
    for answer in bench.offer(group) {
        assert_eq!(answer.unwrap().result, Outcome::Duplicate);
    }
}

#[test]
fn a_journal_that_went_back_is_not_led() {
    let (older, trust) = founded(charter());
    let copy = Arc::new(MemoryStore::from_rows(older.rows()));
    let mut bench = Bench::on(older, trust);
    bench.offer(vec![]);
    let storage = Storage {
        journal: copy,
        store: Arc::clone(&bench.store),
    };
    let refused = recover(&storage, None).err();
    let ends = |size: TreeSize, at: u64| size.get() == at;
    assert!(
        matches!(
            refused,
            Some(RecoveryError::JournalApart { journal, store }) if ends(journal, 1) && ends(store, 2)
        ),
        "{refused:?}"
    );
}
