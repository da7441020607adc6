//! What holds of this store beside what holds of all.

use std::sync::Arc;

use ledger::digest::RecordHash;
use ledger::record::Kind;
use store::{Journal as _, Order, Store, Topic, conformance};
use tlog::LeafIndex;

use super::*;

#[test]
fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let create = || {
        count.set(count.get() + 1);
        let path = folder.path().join(count.get().to_string());
        Arc::new(RocksStore::create(&path).unwrap())
    };
    conformance::store(&|| create());
    conformance::journal(&|| create());
}

#[test]
fn what_was_committed_is_there_after_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let group = conformance::group(0, 300);
    let store = RocksStore::create(folder.path()).unwrap();
    let term = store.lead().unwrap();
    store.append(&group, term).unwrap();
    drop(store);
    let store = RocksStore::open(folder.path()).unwrap();
    assert_eq!(Store::head(&store).unwrap(), Some(group.checkpoint));
    assert_eq!(store.leaves(0..300).unwrap().len(), 300);
    assert!(store.free_bytes().unwrap().is_some());
}

#[test]
fn a_store_has_no_more_files_open_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    drop(RocksStore::create(folder.path()).unwrap());
    let _store = RocksStore::open_within(folder.path(), Some(96)).unwrap();
    // The engine writes down what it goes by.
    let files = std::fs::read_dir(folder.path()).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let options = files.filter(|path| path.to_string_lossy().contains("OPTIONS-"));
    let newest = options.max().unwrap();
    let options = std::fs::read_to_string(newest).unwrap();
    assert!(options.contains("\n  max_open_files=96\n"), "{options}");
}

#[test]
fn a_store_that_is_open_is_not_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::create(folder.path()).unwrap();
    let second = RocksStore::open(folder.path()).err();
    assert!(
        matches!(second, Some(OpenStoreError::InUse { .. })),
        "{second:?}"
    );
    drop(store);
    RocksStore::open(folder.path()).unwrap();
}

/// The leaves by which an agent called `a` comes into a log.
fn registration_and_lease() -> Vec<(RecordHash, Vec<u8>)> {
    const NOW_MS: u64 = 1_700_000_000_000;
    let keys = proving::Keys::of("upgrade");
    let charter = proving::record::charter(&keys);
    let mut log = proving::Log::found(keys, charter, NOW_MS);
    let agent = proving::Identity::registered(&mut log, "a", NOW_MS);
    agent.leased(&mut log, 3_600_000, NOW_MS);
    let leaves = [Kind::Manifest, Kind::Lease].map(|kind| log.leaves_of(kind).next().unwrap());
    let leaf = |held: &proving::log::Held| (held.record().hash(), held.bytes.clone().into_bytes());
    leaves.map(leaf).to_vec()
}

#[test]
fn a_store_of_version_1_finds_its_leaves_once_it_is_opened() {
    let mut group = conformance::group(0, 2);
    group.mentions.clear();
    group.leaves = registration_and_lease();
    let folder = tempfile::tempdir().unwrap();
    let mut store = RocksStore::create(folder.path()).unwrap();
    let term = store.lead().unwrap();
    store.append(&group, term).unwrap();
    store.db.drop_cf(MENTIONS).unwrap();
    store.db.put(FORMAT_KEY, "1").unwrap();
    drop(store);
    let store = RocksStore::open(folder.path()).unwrap();
    let agent = Topic::Agent("a".parse().unwrap());
    let found = store.mentions(&agent, 0..9, Order::OldestFirst, 9).unwrap();
    let (first, second) = (LeafIndex::new(0), LeafIndex::new(1));
    assert_eq!(found, [(first, Kind::Manifest), (second, Kind::Lease)]);
    let leases = Topic::Kind(Kind::Lease);
    let found = store.mentions(&leases, 0..9, Order::OldestFirst, 9);
    assert_eq!(found.unwrap(), [(second, Kind::Lease)]);
    let authority = Topic::Authority("a".parse().unwrap());
    let newest = store.mentions(&authority, 0..9, Order::NewestFirst, 1);
    assert_eq!(newest.unwrap(), [(second, Kind::Lease)]);
    assert_eq!(
        store.db.get(FORMAT_KEY).unwrap().as_deref(),
        Some(FORMAT_VERSION.to_string().as_bytes())
    );
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::create(folder.path()).unwrap();
    let newer = FORMAT_VERSION + 1;
    store.db.put(FORMAT_KEY, newer.to_string()).unwrap();
    drop(store);
    let refused = RocksStore::open(folder.path()).err();
    assert!(
        matches!(refused, Some(OpenStoreError::Newer { got, .. }) if got == newer),
        "{refused:?}"
    );
}

#[test]
fn a_newer_format_is_refused_although_it_has_more_tables() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RocksStore::create(folder.path()).unwrap();
    store
        .db
        .create_cf("novelties", &Options::default())
        .unwrap();
    store.db.put(FORMAT_KEY, "17").unwrap();
    drop(store);
    let refused = RocksStore::open(folder.path()).err();
    assert!(
        matches!(refused, Some(OpenStoreError::Newer { got: 17, .. })),
        "{refused:?}"
    );
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = RocksStore::open(&folder.path().join("none")).err();
    assert!(
        matches!(missing, Some(OpenStoreError::Database { .. })),
        "{missing:?}"
    );
    let mut options = Options::default();
    options.create_if_missing(true);
    drop(DB::open(&options, folder.path()).unwrap());
    let other = RocksStore::open(folder.path()).err();
    assert!(other.is_some());
    let again = RocksStore::create(folder.path()).err();
    assert!(
        matches!(again, Some(OpenStoreError::Database { .. })),
        "{again:?}"
    );
}
