//! What every store and every journal does, as tests that each implementation runs, here or in another crate.

use std::sync::Arc;

use ledger::digest::{Digest, RecordHash};
use ledger::record::Kind;
use tlog::{Hash, LeafIndex, TreeSize};

use crate::{
    AppendError, Appended, Counts, Group, Journal, Mention, Order, Store, StoreError,
    StoredCheckpoint, TileKey, Topic,
};

/// Runs every test of stores on one that `open` makes empty.
///
/// # Panics
/// If the store does something else.
pub fn store(open: &dyn Fn() -> Arc<dyn Store>) {
    for test in [
        empty,
        what_is_applied_is_read_back,
        groups_follow_one_another,
        a_group_that_leaves_a_hole_changes_nothing,
        a_group_that_is_there_is_compared,
        a_checkpoint_of_the_same_second_takes_the_place_of_the_last,
        checkpoints_are_listed_ascending,
        what_is_not_there_is_named,
        leaves_are_found_by_what_they_are_about,
    ] {
        test(open().as_ref());
    }
}

/// Runs every test of journals on one that `open` makes empty.
///
/// # Panics
/// If the journal does something else.
pub fn journal(open: &dyn Fn() -> Arc<dyn Journal>) {
    for test in [
        what_is_appended_comes_after,
        a_group_that_is_not_next_is_not_appended,
        an_earlier_term_is_fenced,
    ] {
        test(open().as_ref());
    }
}

/// A group of leaves `first..first + count`, with a tile and the checkpoint.
#[must_use]
pub fn group(first: u64, count: u64) -> Group {
    let leaf = |index: u64| (record(index), format!("leaf {index}").into_bytes());
    Group {
        first: LeafIndex::new(first),
        leaves: (first..first + count).map(leaf).collect(),
        mentions: (first..first + count).map(mention).collect(),
        tiles: vec![(tile_key(first), tile(first))],
        checkpoint: checkpoint(first + count),
        supersedes: None,
    }
}

fn record(index: u64) -> RecordHash {
    RecordHash::new(Digest::of(&[&index.to_be_bytes()]))
}

/// Every third leaf is about agent `a`, every third about `ab`, every third about record 0.
fn mention(index: u64) -> Mention {
    let (topic, kind) = match index % 3 {
        0 => (agent("a"), Kind::Heartbeat),
        1 => (agent("ab"), Kind::Receipt),
        _ => (Topic::Record(record(0)), Kind::LeaseRenewal),
    };
    let index = LeafIndex::new(index);
    Mention { topic, index, kind }
}

fn agent(name: &str) -> Topic {
    Topic::Agent(name.parse().unwrap())
}

fn tile_key(index: u64) -> TileKey {
    TileKey { level: 0, index }
}

fn tile(index: u64) -> Vec<Hash> {
    (0..256)
        .map(|n| tlog::leaf_hash(format!("{index} {n}").as_bytes()))
        .collect()
}

fn checkpoint(size: u64) -> StoredCheckpoint {
    let checkpoint = format!("origin\n{size}\n");
    StoredCheckpoint {
        size: TreeSize::new(size),
        time_ms: 1_000 * size,
        checkpoint,
    }
}

fn sizes(store: &dyn Store, after: u64, limit: usize) -> Vec<u64> {
    let kept = store.checkpoints(TreeSize::new(after), limit).unwrap();
    kept.iter()
        .map(|checkpoint| checkpoint.size.get())
        .collect()
}

fn empty(store: &dyn Store) {
    assert_eq!(store.head().unwrap(), None);
    assert_eq!(store.leaves(0..0).unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(store.tiles(&[]).unwrap(), Vec::<Vec<Hash>>::new());
    assert_eq!(store.find(&[record(0)]).unwrap(), [None]);
    assert!(sizes(store, 0, 10).is_empty());
    assert_eq!(store.counts().unwrap(), Counts::default());
}

fn what_is_applied_is_read_back(store: &dyn Store) {
    let group = group(0, 300);
    store.apply(&group).unwrap();
    assert_eq!(store.head().unwrap(), Some(group.checkpoint));
    let leaves: Vec<Vec<u8>> = group.leaves.iter().map(|(_, leaf)| leaf.clone()).collect();
    assert_eq!(store.leaves(0..300).unwrap(), leaves);
    assert_eq!(store.leaves(255..257).unwrap(), leaves[255..257]);
    assert_eq!(store.tiles(&[tile_key(0)]).unwrap(), [tile(0)]);
    let found = store.find(&[record(299), record(300), record(0)]).unwrap();
    assert_eq!(
        found,
        [Some(LeafIndex::new(299)), None, Some(LeafIndex::new(0))]
    );
    let counts = Counts {
        leaves: 300,
        tiles: 1,
        records: 300,
        mentions: 300,
        checkpoints: 1,
    };
    assert_eq!(store.counts().unwrap(), counts);
}

fn groups_follow_one_another(store: &dyn Store) {
    let mut first = 0;
    for count in [1, 255, 1, 256, 512] {
        store.apply(&group(first, count)).unwrap();
        first += count;
        assert_eq!(store.head().unwrap(), Some(checkpoint(first)));
    }
    let leaves = store.leaves(0..first).unwrap();
    assert_eq!(leaves.len() as u64, first);
    for (index, leaf) in leaves.iter().enumerate() {
        assert_eq!(leaf, format!("leaf {index}").as_bytes());
    }
    assert_eq!(
        store.tiles(&[tile_key(257), tile_key(1)]).unwrap(),
        [tile(257), tile(1)]
    );
}

fn a_group_that_leaves_a_hole_changes_nothing(store: &dyn Store) {
    store.apply(&group(0, 2)).unwrap();
    let before = store.counts().unwrap();
    for (first, count) in [(3, 1), (1, 2)] {
        let refused = store.apply(&group(first, count));
        assert!(
            matches!(refused, Err(StoreError::NotNext { got, want: 2 }) if got == first),
            "{refused:?}"
        );
    }
    assert_eq!(store.counts().unwrap(), before);
    assert_eq!(store.head().unwrap(), Some(checkpoint(2)));
}

fn a_group_that_is_there_is_compared(store: &dyn Store) {
    store.apply(&group(0, 2)).unwrap();
    store.apply(&group(2, 2)).unwrap();
    let supersedes = Some(TreeSize::new(4));
    let newest = Group {
        supersedes,
        ..group(4, 1)
    };
    store.apply(&newest).unwrap();
    let before = store.counts().unwrap();
    // The head of the second is kept no more, so its leaves are compared.
    for same in [group(0, 2), group(2, 2), newest] {
        store.apply(&same).unwrap();
    }
    let mut other = group(2, 2);
    other.leaves[1].1 = b"another".to_vec();
    other.checkpoint.checkpoint = "origin\nanother\n".to_owned();
    let refused = store.apply(&other);
    assert!(
        matches!(refused, Err(StoreError::Contradicted { size: 4 })),
        "{refused:?}"
    );
    assert_eq!(store.counts().unwrap(), before);
    assert_eq!(store.head().unwrap(), Some(checkpoint(5)));
}

fn what_is_appended_comes_after(journal: &dyn Journal) {
    let term = journal.lead().unwrap();
    assert_eq!(journal.head().unwrap(), None);
    assert!(journal.after(TreeSize::new(0), 9).unwrap().is_empty());
    for (first, count) in [(0, 1), (1, 300), (301, 2)] {
        let appended = journal.append(&group(first, count), term).unwrap();
        assert_eq!(appended, Appended::Durable);
        assert_eq!(journal.head().unwrap(), Some(checkpoint(first + count)));
    }
    for (size, ends) in [
        (0, &[1, 301, 303][..]),
        (1, &[301, 303]),
        (7, &[301, 303]),
        (303, &[]),
    ] {
        let mut next = size;
        let after = journal.after(TreeSize::new(size), 9).unwrap();
        assert_eq!(after.len(), ends.len());
        for (stretch, end) in after.iter().zip(ends) {
            let leaf = |index: u64| format!("leaf {index}").into_bytes();
            assert_eq!(stretch.first.get(), next);
            assert_eq!(stretch.leaves, (next..*end).map(leaf).collect::<Vec<_>>());
            assert_eq!(stretch.checkpoint, checkpoint(*end));
            next = *end;
        }
    }
    assert_eq!(journal.after(TreeSize::new(0), 2).unwrap().len(), 2);
}

fn a_group_that_is_not_next_is_not_appended(journal: &dyn Journal) {
    let term = journal.lead().unwrap();
    journal.append(&group(0, 2), term).unwrap();
    let before = journal.after(TreeSize::new(0), 9).unwrap();
    for first in [0, 1, 3] {
        let refused = journal.append(&group(first, 1), term);
        assert!(
            matches!(
                refused,
                Err(AppendError::NotDone(StoreError::NotNext { got, want: 2 })) if got == first
            ),
            "{refused:?}"
        );
    }
    assert_eq!(journal.after(TreeSize::new(0), 9).unwrap(), before);
    assert_eq!(journal.head().unwrap(), Some(checkpoint(2)));
}

fn an_earlier_term_is_fenced(journal: &dyn Journal) {
    let earlier = journal.lead().unwrap();
    journal.append(&group(0, 2), earlier).unwrap();
    let newest = journal.lead().unwrap();
    assert!(newest > earlier);
    let fenced = journal.append(&group(2, 1), earlier).unwrap();
    assert_eq!(fenced, Appended::Fenced);
    assert_eq!(journal.head().unwrap(), Some(checkpoint(2)));
    let appended = journal.append(&group(2, 1), newest).unwrap();
    assert_eq!(appended, Appended::Durable);
}

fn a_checkpoint_of_the_same_second_takes_the_place_of_the_last(store: &dyn Store) {
    store.apply(&group(0, 1)).unwrap();
    store.apply(&group(1, 1)).unwrap();
    let supersedes = Some(TreeSize::new(2));
    store
        .apply(&Group {
            supersedes,
            ..group(2, 1)
        })
        .unwrap();
    assert_eq!(sizes(store, 0, 10), [1, 3]);
    assert_eq!(store.head().unwrap(), Some(checkpoint(3)));
}

fn checkpoints_are_listed_ascending(store: &dyn Store) {
    // Far enough that the order of bytes and that of decimal digits differ from that of numbers.
    for first in 0..300 {
        store.apply(&group(first, 1)).unwrap();
    }
    assert_eq!(sizes(store, 0, 1_000), (1..=300).collect::<Vec<u64>>());
    assert_eq!(sizes(store, 9, 3), [10, 11, 12]);
    assert_eq!(sizes(store, 254, 3), [255, 256, 257]);
    assert!(sizes(store, 300, 3).is_empty());
    assert!(sizes(store, u64::MAX, 3).is_empty());
    assert!(sizes(store, 0, 0).is_empty());
    assert_eq!(
        store.checkpoints(TreeSize::new(8), 1).unwrap(),
        [checkpoint(9)]
    );
}

fn what_is_not_there_is_named(store: &dyn Store) {
    store.apply(&group(0, 2)).unwrap();
    let missing = store.leaves(1..4);
    assert!(
        matches!(missing, Err(StoreError::LeafMissing { index: 2 })),
        "{missing:?}"
    );
    let missing = store.tiles(&[tile_key(0), tile_key(1)]);
    assert!(matches!(
        missing,
        Err(StoreError::TileMissing { level: 0, index: 1 })
    ));
    let missing = store.tiles(&[TileKey { level: 1, index: 0 }]);
    assert!(matches!(
        missing,
        Err(StoreError::TileMissing { level: 1, index: 0 })
    ));
}

fn leaves_are_found_by_what_they_are_about(store: &dyn Store) {
    store.apply(&group(0, 700)).unwrap();
    store.apply(&group(700, 20)).unwrap();
    let list = |topic: Topic, range, order, limit| {
        let found = store.mentions(&topic, range, order, limit).unwrap();
        let index = |(index, _): &(LeafIndex, Kind)| index.get();
        found.iter().map(index).collect::<Vec<u64>>()
    };
    let every_third = |from: u64| (from..720).step_by(3).collect::<Vec<u64>>();
    let (oldest, newest) = (Order::OldestFirst, Order::NewestFirst);
    assert_eq!(list(agent("a"), 0..720, oldest, 1_000), every_third(0));
    assert_eq!(list(agent("ab"), 0..720, oldest, 1_000), every_third(1));
    let about = Topic::Record(record(0));
    assert_eq!(list(about.clone(), 0..720, oldest, 1_000), every_third(2));
    assert_eq!(list(agent("a"), 254..262, oldest, 9), [255, 258, 261]);
    assert_eq!(list(agent("a"), 255..261, newest, 9), [258, 255]);
    assert_eq!(list(about.clone(), 0..720, newest, 2), [719, 716]);
    assert_eq!(list(agent("a"), 0..u64::MAX, newest, 1), [717]);
    for (topic, range) in [
        (agent("a"), 5..5),
        (agent("a"), 0..0),
        (agent("a"), 720..800),
        (agent("b"), 0..720),
        (agent("A"), 0..720),
        (Topic::Record(record(1)), 0..720),
    ] {
        assert!(list(topic.clone(), range.clone(), oldest, 9).is_empty());
        assert!(list(topic, range, newest, 9).is_empty());
    }
    let found = store.mentions(&about, 0..9, oldest, 1).unwrap();
    assert_eq!(found, [(LeafIndex::new(2), Kind::LeaseRenewal)]);
}
