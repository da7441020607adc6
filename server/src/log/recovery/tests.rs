use std::sync::Arc;

use store::memory::{MemoryStore, Rows};
use tlog::checkpoint::{self, Checkpoint, Origin};

use super::*;
use crate::log::clock::ManualClock;
use crate::log::testing::{START_MS, Speaker, charter, founded, keys, log_key, options};
use crate::log::{Log, Submitted};

/// The rows of a log with two full tiles and a bit.
pub(super) fn rows() -> Rows {
    let (store, trust) = founded(charter());
    let clock = Arc::new(ManualClock::at(START_MS + 1_000));
    let (log, sequencer) = Log::open(store.clone(), keys(), options(&clock)).unwrap();
    let (mut speaker, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
    let mut records = vec![registration, lease];
    records.extend((1..=520).map(|progress| speaker.beat(progress)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let answers: Vec<Submitted> = runtime.block_on(async {
        let mut answers = Vec::new();
        for pending in log.enqueue_all(records).await {
            answers.push(pending.unwrap().outcome().await.unwrap());
        }
        answers
    });
    assert_eq!(answers.len(), 522);
    log.stop();
    sequencer.join().unwrap();
    store.rows()
}

fn recovered(rows: Rows) -> Result<Recovered, RecoveryError> {
    let store = Arc::new(MemoryStore::from_rows(rows));
    recover(&store.into(), None)
}

fn head(rows: &mut Rows) -> &mut StoredCheckpoint {
    rows.checkpoints.last_entry().unwrap().into_mut()
}

#[test]
fn what_was_written_is_recovered() {
    let rows = rows();
    let size = rows.leaves.len() as u64;
    let recovered = recovered(rows).unwrap();
    assert_eq!(
        (recovered.edge.size().get(), recovered.state.size()),
        (size, size)
    );
    assert_eq!(recovered.head.size.get(), size);
    let agent = recovered.state.agent(&"a".parse().unwrap()).unwrap();
    assert_eq!(agent.next_seq(), 520);
}

#[test]
fn an_empty_store_is_no_log() {
    assert!(matches!(
        recovered(Rows::default()),
        Err(RecoveryError::Empty)
    ));
}

#[test]
fn a_leaf_that_was_changed_is_noticed() {
    let mut rows = rows();
    // A sound leaf at another place: only the tree can tell.
    rows.leaves.swap(300, 301);
    assert!(matches!(
        recovered(rows),
        Err(RecoveryError::Tile { level: 0, index: 1 })
    ));
}

#[test]
fn a_leaf_behind_the_last_full_tile_that_was_changed_is_noticed() {
    let mut rows = rows();
    let last = rows.leaves.len() - 1;
    rows.leaves.swap(last - 1, last);
    assert!(matches!(recovered(rows), Err(RecoveryError::Root { .. })));
}

#[test]
fn bytes_that_are_no_leaf_are_noticed() {
    let mut rows = rows();
    rows.leaves[7].push(b' ');
    let refused = recovered(rows);
    assert!(matches!(
        refused,
        Err(RecoveryError::Leaf {
            index: 7,
            error: LeafError::Form(_)
        })
    ));
}

#[test]
fn a_leaf_from_the_past_is_noticed() {
    let mut rows = rows();
    let text = String::from_utf8(rows.leaves[9].clone()).unwrap();
    let earlier = (START_MS + 999).to_string();
    rows.leaves[9] = text
        .replacen(&(START_MS + 1_000).to_string(), &earlier, 1)
        .into_bytes();
    let refused = recovered(rows);
    let regressed = |error: &LeafError| matches!(error, LeafError::TimeRegressed { .. });
    assert!(matches!(refused, Err(RecoveryError::Leaf { index: 9, error }) if regressed(&error)));
}

#[test]
fn a_leaf_that_is_missing_is_noticed() {
    let mut rows = rows();
    rows.leaves.pop();
    let missing = recovered(rows);
    assert!(matches!(
        missing,
        Err(RecoveryError::Store(StoreError::LeafMissing { .. }))
    ));
}

#[test]
fn a_leaf_beyond_the_head_is_noticed() {
    let mut rows = rows();
    let size = rows.leaves.len() as u64;
    rows.leaves.push(rows.leaves[5].clone());
    assert!(matches!(recovered(rows), Err(RecoveryError::BeyondHead { index }) if index == size));
}

#[test]
fn a_tile_that_is_missing_or_changed_is_noticed() {
    let key = TileKey { level: 0, index: 1 };
    let mut changed = rows();
    let mut missing = changed.clone();
    changed.tiles.get_mut(&key).unwrap()[255] = tlog::EMPTY_ROOT;
    assert!(matches!(
        recovered(changed),
        Err(RecoveryError::Tile { level: 0, index: 1 })
    ));
    missing.tiles.remove(&key);
    let missing = recovered(missing);
    assert!(matches!(
        missing,
        Err(RecoveryError::Store(StoreError::TileMissing { .. }))
    ));
}

#[test]
fn a_head_that_was_taken_away_is_noticed() {
    let mut rows = rows();
    // The one before, of the second before, is sound and signed: a rollback, which the leaves beyond it betray.
    rows.checkpoints.pop_last();
    assert!(matches!(
        recovered(rows),
        Err(RecoveryError::BeyondHead { index: 1 })
    ));
}

#[test]
fn a_head_that_is_none_is_noticed() {
    let mut rows = rows();
    head(&mut rows).checkpoint.push('x');
    assert!(matches!(
        recovered(rows),
        Err(RecoveryError::HeadMalformed { .. })
    ));
}

#[test]
fn a_head_of_another_key_is_noticed() {
    let mut rows = rows();
    let name = log_key().verifier_key().name().clone();
    let stranger = tlog::note::SigningKey::new(name.clone(), &[9; 32]);
    let recovered_root = recovered(rows.clone()).unwrap().edge.root();
    let head = head(&mut rows);
    let forged = Checkpoint::new(Origin::from(name), head.size, recovered_root);
    head.checkpoint = checkpoint::sign(&stranger, &forged);
    assert!(matches!(
        recovered(rows),
        Err(RecoveryError::HeadSignature { .. })
    ));
}

#[test]
fn a_head_under_another_size_is_noticed() {
    let mut rows = rows();
    let (size, mut head) = rows.checkpoints.pop_last().unwrap();
    head.size = TreeSize::new(size.get() - 1);
    rows.checkpoints.insert(head.size, head);
    assert!(matches!(
        recovered(rows),
        Err(RecoveryError::HeadSize { .. })
    ));
}

#[test]
fn a_signed_head_of_other_leaves_is_noticed() {
    let mut rows = rows();
    let name = log_key().verifier_key().name().clone();
    let head = head(&mut rows);
    let other = Checkpoint::new(Origin::from(name), head.size, tlog::EMPTY_ROOT);
    head.checkpoint = checkpoint::sign(&log_key(), &other);
    assert!(matches!(recovered(rows), Err(RecoveryError::Root { .. })));
}
