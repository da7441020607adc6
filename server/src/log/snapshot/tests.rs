use std::sync::Arc;

use store::memory::MemoryStore;

use super::*;
use crate::log::clock::ManualClock;
use crate::log::recovery::recover;
use crate::log::testing::{START_MS, Speaker, charter, founded, keys, options};
use crate::log::{Log, Options};

/// A log that ran several times, with snapshots: each run begins with a pulse.
fn grown(folder: &Path, runs: u64) -> Arc<MemoryStore> {
    let (store, trust) = founded(charter());
    let clock = Arc::new(ManualClock::at(START_MS + 1_000));
    let (mut speaker, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
    let mut records = vec![registration, lease];
    for run in 0..runs {
        let options = Options {
            snapshots: Some(folder.to_owned()),
            snapshot_every: 10,
            ..options(&clock)
        };
        let (log, sequencer) = Log::open(Arc::clone(&store), keys(), options).unwrap();
        records.extend((1..=40).map(|beat| speaker.beat(40 * run + beat)));
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            for pending in log.enqueue_all(std::mem::take(&mut records)).await {
                pending.unwrap().outcome().await.unwrap();
            }
        });
        log.stop();
        sequencer.join().unwrap();
    }
    store
}

fn size(store: &MemoryStore) -> TreeSize {
    store.head().unwrap().unwrap().size
}

#[test]
fn a_start_from_a_snapshot_is_a_start_from_the_first_leaf() {
    let folder = tempfile::tempdir().unwrap();
    let store = grown(folder.path(), 5);
    assert_eq!(newest_first(folder.path()).len(), KEPT);
    let storage = Arc::clone(&store).into();
    let quick = recover(&storage, Some(folder.path())).unwrap();
    let whole = recover(&storage, None).unwrap();
    assert!(quick.from > TreeSize::new(100) && whole.from == TreeSize::EMPTY);
    assert_eq!(quick.state.at(), whole.state.at());
    assert_eq!((quick.edge, quick.head), (whole.edge, whole.head));
    assert_eq!(quick.refused, whole.refused);
}

#[test]
fn what_is_damaged_older_or_anothers_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let store = grown(folder.path(), 4);
    let files = newest_first(folder.path());
    let good = fs::read_to_string(&files[0]).unwrap();
    let older = fs::read_to_string(&files[1]).unwrap();
    let signed = |text: String| {
        let body = &text[..=text.trim_end().rfind('\n').unwrap()];
        format!("{body}{}\n", Digest::of(&[body.as_bytes()]))
    };
    let size_of = |text: &str| {
        Header::read(text.lines().next().unwrap())
            .unwrap()
            .edge
            .size()
    };
    for (wrong, text) in [
        ("nothing", String::new()),
        ("a byte", good.replacen("\"epoch\":1", "\"epoch\":2", 1)),
        (
            "an entry",
            signed(good.replacen("\"epoch\":1", "\"epoch\":2", 1)),
        ),
        (
            "its form",
            signed(good.replacen("snapshot/v1", "snapshot/v0", 1)),
        ),
        (
            "its end",
            signed(good.trim_end().rsplit_once('\n').unwrap().0.to_owned()),
        ),
        (
            "its edge",
            signed(good.replacen("\"edge\":[[\"", "\"edge\":[[],[\"", 1)),
        ),
    ] {
        fs::write(&files[0], text).unwrap();
        let found = newest(folder.path(), store.as_ref(), size(&store)).unwrap();
        assert_eq!(found.edge().size(), size_of(&older), "{wrong}");
    }
    let other = grown(&folder.path().join("other"), 1);
    fs::write(&files[0], good).unwrap();
    assert!(newest(folder.path(), other.as_ref(), size(&store)).is_none());
    assert!(newest(&folder.path().join("none"), store.as_ref(), size(&store)).is_none());
}

#[test]
fn a_snapshot_that_does_not_lead_to_the_signed_head_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let store = grown(folder.path(), 3);
    for path in newest_first(folder.path()) {
        // Another hash in the edge: nothing but the root of the log tells.
        let text = fs::read_to_string(&path).unwrap();
        let header = Header::read(text.lines().next().unwrap()).unwrap();
        let (first, other) = (header.edge.hashes(0)[0], tlog::EMPTY_ROOT);
        let text = text.replacen(&first.to_string(), &other.to_string(), 1);
        let body = &text[..=text.trim_end().rfind('\n').unwrap()];
        let text = format!("{body}{}\n", Digest::of(&[body.as_bytes()]));
        fs::write(&path, text).unwrap();
    }
    let recovered = recover(&store.into(), Some(folder.path())).unwrap();
    assert_eq!(recovered.from, TreeSize::EMPTY);
}
