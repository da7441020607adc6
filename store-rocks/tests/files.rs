//! A file that cannot be opened is not an unknown outcome. Alone in its process, whose limit of open files it lowers.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::conformance::group;
use store::{AppendError, Appended, Engine as _, Group};
use store_rocks::Rocks;
use tlog::TreeSize;

/// Some megabytes in a group, so that the store soon needs the next file.
fn large(first: u64) -> Group {
    let mut group = group(first, 64);
    for (_, leaf) in &mut group.leaves {
        leaf.resize(48 << 10, b'x');
    }
    group
}

/// As many as fit into the store's memory several times.
const MOST_GROUPS: u64 = 200;

#[test]
fn a_group_is_certainly_not_written_when_the_next_file_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let storage = Rocks.create(&path).unwrap();
    let term = storage.journal.lead().unwrap();
    let before = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(0),
            maximum: before.maximum,
        },
    )
    .unwrap();
    let mut size = 0;
    let refused = loop {
        match storage.journal.append(&large(size), term) {
            Ok(appended) => assert_eq!(appended, Appended::Durable),
            Err(error) => break error,
        }
        size += 64;
        assert!(size < 64 * MOST_GROUPS, "the store opened no file");
    };
    assert!(matches!(refused, AppendError::NotDone(_)), "{refused:?}");
    let again = storage.journal.append(&large(size), term);
    assert!(matches!(again, Err(AppendError::NotDone(_))), "{again:?}");
    setrlimit(Resource::Nofile, before).unwrap();
    drop(storage);
    let storage = Rocks.open(&path).unwrap();
    let head = storage.journal.head().unwrap().unwrap();
    assert_eq!(
        head.size,
        TreeSize::new(size),
        "nothing of the refused group"
    );
    assert_eq!(storage.store.counts().unwrap().leaves, size);
    let term = storage.journal.lead().unwrap();
    storage.journal.append(&large(size), term).unwrap();
    println!("{size} leaves were durable when no file could be opened any more");
}
