use std::sync::Arc;

use store::memory::MemoryStore;

use super::*;
use crate::log::testing::{ManualClock, START_MS, Speaker, charter, founded, keys, options};
use crate::log::{Log, Sequencer};

/// A log of some leaves, and of one more.
fn two_heads() -> (Arc<Published>, Arc<Published>) {
    let (store, trust) = founded(charter());
    let (log, sequencer) = opened(store);
    let (_, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
    submit(&log, registration);
    let before = log.published();
    submit(&log, lease);
    let after = log.published();
    log.stop();
    sequencer.join().unwrap();
    (before, after)
}

fn opened(store: Arc<MemoryStore>) -> (Log, Sequencer) {
    Log::open(store, keys(), options(&Arc::new(ManualClock::at(START_MS)))).unwrap()
}

fn submit(log: &Log, record: ledger::record::SignedRecord) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(log.submit(record)).unwrap();
}

#[test]
fn a_log_goes_on_from_its_anchor_and_from_nothing_else() {
    let (before, after) = two_heads();
    compare(&before.checkpoint, &after).unwrap();
    compare(&after.checkpoint, &after).unwrap();
    let went_back = compare(&after.checkpoint, &before);
    assert!(
        matches!(went_back, Err(AnchorError::WentBack { .. })),
        "{went_back:?}"
    );
    let other = before
        .checkpoint
        .replace("log.example/test", "log.example/other");
    let refused = compare(&other, &after);
    assert!(matches!(refused, Err(AnchorError::OtherLog { .. })));
    let root = before.root.to_string();
    let forked = before
        .checkpoint
        .replace(&root, &tlog::EMPTY_ROOT.to_string());
    let refused = compare(&forked, &after);
    assert!(matches!(refused, Err(AnchorError::Contradicted { size }) if size == before.size));
    assert!(matches!(
        compare("", &after),
        Err(AnchorError::Malformed(_))
    ));
}

#[test]
fn a_file_is_replaced_as_a_whole_and_is_not_inside_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anchor");
    let data = folder.path().join("data");
    let place = Place::parse(path.to_str().unwrap(), &data).unwrap();
    assert_eq!(place.read().unwrap(), None);
    for text in ["one\n", "another\n"] {
        place.write(text).unwrap();
        assert_eq!(place.read().unwrap().as_deref(), Some(text));
    }
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "nothing unfinished is left");
    std::fs::write(&path, "x".repeat(1_000_001)).unwrap();
    assert!(matches!(place.read(), Err(PlaceError::TooLong)));
    let inside = data.join("anchor");
    std::fs::create_dir(&data).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    let around = folder.path().join("data/../data/anchor");
    let elsewhere = folder.path().join("data/../beside");
    for inside in [
        inside,
        link.join("anchor"),
        link.join("further/anchor"),
        around,
    ] {
        let refused = Place::parse(inside.to_str().unwrap(), &data).unwrap_err();
        assert!(refused.contains("another disk"), "{refused}");
    }
    Place::parse(elsewhere.to_str().unwrap(), &data).unwrap();
    Place::parse(path.to_str().unwrap(), &link).unwrap();
}

#[test]
fn an_address_is_shown_without_what_may_be_secret() {
    let place = Place::parse("https://me:secret@host/secret?secret", "/d".as_ref()).unwrap();
    assert_eq!(place.to_string(), "https://host");
}
