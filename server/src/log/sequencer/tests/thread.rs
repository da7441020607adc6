//! The sequencer on its thread, behind its queue.

use store::{AppendError, Appended, Group, Journal, Journaled, StoredCheckpoint, Term};

use super::*;
use crate::log::Log;

#[test]
fn keys_that_are_not_the_charters_are_refused() {
    let clock = Arc::new(ManualClock::at(START_MS));
    let (store, _) = founded(charter());
    let wrong = LogKeys {
        control: key(4),
        ..keys()
    };
    let refused = Log::open(store.clone(), wrong, options(&clock)).err();
    assert!(
        matches!(refused, Some(OpenError::NotControlKey { .. })),
        "{refused:?}"
    );
    let name = tlog::note::KeyName::parse("log.example/test").unwrap();
    let log = tlog::note::SigningKey::new(name, &[7; 32]);
    let refused = Log::open(store, LogKeys { log, ..keys() }, options(&clock)).err();
    assert!(
        matches!(refused, Some(OpenError::NotLogKey { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thread_answers_stops_and_says_so() {
    let (store, trust) = founded(charter());
    let clock = Arc::new(ManualClock::at(START_MS));
    let (log, sequencer) = Log::open(store.clone(), keys(), options(&clock)).unwrap();
    let (mut speaker, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
    let mut records = vec![registration, lease];
    records.extend((1..=500).map(|progress| speaker.beat(progress)));
    let mut last = None;
    for pending in log.enqueue_all(records).await {
        last = Some(pending.unwrap().outcome().await.unwrap());
    }
    assert_eq!(last.unwrap().published.size, log.published().size);
    assert!(log.health().is_ready());
    log.stop();
    let refusal = log.submit(speaker.beat(501)).await.unwrap_err();
    assert_eq!(refusal.code, Code::Stopping);
    sequencer.join().unwrap();
    assert!(!log.health().is_ready());
    check_log(store.as_ref(), &trust);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_answered_although_the_log_stops() {
    let (store, trust) = founded(charter());
    let clock = Arc::new(ManualClock::at(START_MS));
    let (log, sequencer) = Log::open(store, keys(), options(&clock)).unwrap();
    let (_, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
    let pending = log.enqueue_all(vec![registration, lease]).await;
    log.stop();
    for pending in pending {
        assert_eq!(
            pending.unwrap().outcome().await.unwrap().result,
            Outcome::Logged
        );
    }
    sequencer.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_ends_the_thread_and_everybody_is_told() {
    let (inner, trust) = founded(charter());
    let store = Arc::new(FaultyStore::new(inner, Fault::FailedButPersisted, 1));
    let clock = Arc::new(ManualClock::at(START_MS));
    let (log, mut sequencer) = Log::open(store, keys(), options(&clock)).unwrap();
    let (_, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
    // The pulse and the first record may be one group or two: the second record meets the fault at the latest.
    let first = log.submit(registration).await;
    let second = log.submit(lease).await;
    assert!(first.is_ok() || first.unwrap_err().code == Code::Internal);
    assert_eq!(second.unwrap_err().code, Code::Internal);
    sequencer.ended().await;
    assert!(log.health().last_error.is_some());
    assert!(matches!(
        sequencer.join(),
        Err(Fatal::Commit(CommitError::Unknown(_)))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_what_follows_too() {
    let (inner, trust) = founded(charter());
    let gate = Arc::new(Gate::closed(inner));
    let clock = Arc::new(ManualClock::at(START_MS));
    let options = Options {
        queue: 2,
        ..options(&clock)
    };
    let (log, sequencer) = Log::open(gate.storage(), keys(), options).unwrap();
    gate.wait_until_reached();
    let (mut speaker, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
    let records = vec![registration, lease, speaker.beat(1), speaker.beat(2)];
    let pending = log.enqueue_all(records).await;
    let codes: Vec<Option<Code>> = pending
        .iter()
        .map(|pending| pending.as_ref().err().map(|refusal| refusal.code))
        .collect();
    assert_eq!(
        codes,
        [None, None, Some(Code::Overloaded), Some(Code::Overloaded)]
    );
    gate.open();
    for pending in pending.into_iter().flatten() {
        pending.outcome().await.unwrap();
    }
    log.stop();
    sequencer.join().unwrap();
    assert_eq!(log.published().size, TreeSize::new(4));
}

/// A journal whose first group waits until the test lets it pass.
struct Gate {
    inner: Storage,
    reached: std::sync::Barrier,
    opened: std::sync::Barrier,
    passed: std::sync::atomic::AtomicBool,
}

impl Gate {
    fn closed(inner: impl Into<Storage>) -> Self {
        let barrier = || std::sync::Barrier::new(2);
        Self {
            inner: inner.into(),
            reached: barrier(),
            opened: barrier(),
            passed: false.into(),
        }
    }

    fn storage(self: &Arc<Self>) -> Storage {
        Storage {
            journal: self.clone(),
            store: Arc::clone(&self.inner.store),
        }
    }

    fn wait_until_reached(&self) {
        self.reached.wait();
    }

    fn open(&self) {
        self.opened.wait();
    }
}

impl Journal for Gate {
    fn lead(&self) -> Result<Term, StoreError> {
        self.inner.journal.lead()
    }

    fn append(&self, group: &Group, term: Term) -> Result<Appended, AppendError> {
        // Only the first one waits: the pulse, before anybody could submit.
        if !self.passed.swap(true, std::sync::atomic::Ordering::SeqCst) {
            self.reached.wait();
            self.opened.wait();
        }
        self.inner.journal.append(group, term)
    }

    fn after(&self, size: TreeSize, limit: usize) -> Result<Vec<Journaled>, StoreError> {
        self.inner.journal.after(size, limit)
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.inner.journal.head()
    }
}
