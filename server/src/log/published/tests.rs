use std::sync::Arc;

use store::memory::{MemoryStore, Rows};
use tlog::proof::ProofFile;
use tlog::tile::{TilePath, decode_bundle, decode_hashes};
use tlog::tree::MemoryTree;

use super::*;
use ledger::codes::Code;

use crate::log::clock::ManualClock;
use crate::log::testing::{START_MS, Speaker, charter, founded, keys, log_key, options};
use crate::log::{Log, Options, PackReader};
use crate::trust::Trust;

/// A head over some 530 leaves, and the one before the last group.
fn heads() -> (Arc<Published>, Arc<Published>, Arc<MemoryStore>, Trust) {
    let (store, trust) = founded(charter());
    let clock = Arc::new(ManualClock::at(START_MS));
    let opened = Log::open(store.clone(), keys(), Options { ..options(&clock) }).unwrap();
    let (log, sequencer) = opened;
    let (mut speaker, registration, lease) = Speaker::introduced(&trust, "a", 5, START_MS);
    let mut records = vec![registration, lease];
    records.extend((1..=525).map(|progress| speaker.beat(progress)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let submit = |records| {
        runtime.block_on(async {
            for pending in log.enqueue_all(records).await {
                pending.unwrap().outcome().await.unwrap();
            }
        });
    };
    submit(records);
    let before = log.published();
    clock.advance(1_000);
    submit(vec![speaker.beat(526)]);
    let after = log.published();
    log.stop();
    sequencer.join().unwrap();
    (before, after, store, trust)
}

fn damaged(head: &Published, damage: impl FnOnce(&mut Rows), store: &MemoryStore) -> Published {
    let mut rows = store.rows();
    damage(&mut rows);
    let store = Arc::new(MemoryStore::from_rows(rows));
    Published {
        source: Arc::new(Source {
            snapshots: None,
            store,
            key: log_key().verifier_key(),
        }),
        // As after a start: nothing is at hand but the edge.
        recent: Arc::new(Recent::at(&head.edge)),
        ..head.clone()
    }
}

fn tree(head: &Published) -> MemoryTree {
    let leaves = head.leaves(0..head.size.get()).unwrap();
    leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect()
}

#[test]
fn every_proof_at_every_size_verifies() {
    let (_, head, ..) = heads();
    let leaves = tree(&head);
    assert_eq!(leaves.root(), head.root);
    let size = head.size.get();
    for at in (1..=size).step_by(13).chain([256, 257, 512, 513, size]) {
        let at = TreeSize::new(at);
        for index in (0..at.get()).step_by(41).chain([at.get() - 1]) {
            let index = LeafIndex::new(index);
            let proof = head.inclusion(index, at).unwrap();
            assert_eq!(Ok(proof), inclusion::prove(index, at, &leaves));
        }
        let proof = head.consistency(at, head.size).unwrap();
        assert_eq!(Ok(proof), consistency::prove(at, head.size, &leaves));
        assert_eq!(Ok(head.root_at(at).unwrap()), tlog::tree::root(at, &leaves));
    }
}

#[test]
fn a_proof_file_is_all_that_a_verifier_needs() {
    let (before, head, _, trust) = heads();
    for (index, size) in [(0, before.size), (300, before.size), (511, head.size)] {
        let index = LeafIndex::new(index);
        let text = head.proof_file(index, size).unwrap();
        let file = ProofFile::parse(&text).unwrap();
        let leaf = file.extra.clone().unwrap();
        assert_eq!(Some(leaf.clone()), head.leaf(index).unwrap());
        let verified = file.verify(&leaf, &trust.policy).unwrap();
        assert_eq!(
            (verified.index(), verified.checkpoint().size()),
            (index, size)
        );
    }
}

#[test]
fn an_old_checkpoint_is_found_as_it_was_published() {
    let (before, after, ..) = heads();
    assert!(before.size < after.size);
    assert_eq!(after.checkpoint_at(before.size).unwrap(), before.checkpoint);
    assert_eq!(after.checkpoint_at(after.size).unwrap(), after.checkpoint);
}

#[test]
fn a_head_that_is_not_kept_is_answered_with_the_next_that_is() {
    let (before, after, ..) = heads();
    let (old, new) = (before.size.get(), after.size.get());
    for (size, next) in [(0, old), (2, old), (old - 1, old)] {
        let refused = after.checkpoint_at(TreeSize::new(size)).unwrap_err();
        assert!(
            matches!(refused, ReadError::NotKept { next: found, .. } if found.get() == next),
            "{size}: {refused:?}"
        );
        let text = refused.refusal().to_string();
        assert!(text.contains(&next.to_string()), "{text}");
    }
    assert!(new > old, "there is nothing between two heads");
    let proof = before.proof_file(LeafIndex::new(0), TreeSize::new(2));
    assert_eq!(proof.unwrap_err().refusal().code, Code::NotFound);
}

#[test]
fn a_kept_head_of_another_tree_is_not_served() {
    let (before, after, store, _) = heads();
    let swap = |rows: &mut Rows| {
        let other = after.checkpoint.clone();
        rows.checkpoints.get_mut(&before.size).unwrap().checkpoint = other;
    };
    let head = damaged(&after, swap, &store);
    let refused = head.checkpoint_at(before.size).unwrap_err();
    assert!(
        matches!(refused, ReadError::FalseHead { .. }),
        "{refused:?}"
    );
    assert_eq!(refused.refusal().code, Code::Internal);
}

#[test]
fn a_snapshot_knows_nothing_of_what_came_later() {
    let (before, after, ..) = heads();
    let newest = LeafIndex::new(after.size.get() - 1);
    assert_eq!(before.leaf(newest).unwrap(), None);
    assert!(matches!(
        before.leaves(0..after.size.get()),
        Err(ReadError::BeyondHead { .. })
    ));
    let leaf = after.leaf(newest).unwrap().unwrap();
    let record = ledger::leaf::Leaf::parse(&leaf)
        .unwrap()
        .envelope()
        .record_hash();
    assert_eq!(before.index_of(&record).unwrap(), None);
    assert_eq!(after.index_of(&record).unwrap(), Some(newest));
    assert!(matches!(
        before.checkpoint_at(after.size),
        Err(ReadError::BeyondHead { .. })
    ));
    assert!(
        before
            .checkpoints_after(before.size.get(), 10)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn every_width_up_to_the_head_is_cut_from_tile_and_bundle() {
    let (before, after, ..) = heads();
    let leaves = tree(&after);
    for head in [before, after] {
        let last = head.size.get() % 256;
        for path in [
            "/tile/0/000",
            "/tile/0/001",
            "/tile/0/000.p/1",
            "/tile/0/001.p/255",
            "/tile/1/000.p/2",
        ] {
            let Ok(TilePath::Hashes(tile)) = TilePath::parse(path) else {
                panic!("{path}")
            };
            let bytes = head.tile(&tile).unwrap().unwrap();
            let hashes = decode_hashes(&bytes, tile.width).unwrap();
            for (n, hash) in hashes.into_iter().enumerate() {
                let level = tile.level * 8;
                let index = tile.index * 256 + n as u64;
                assert_eq!(Some(hash), leaves.node(Node { level, index }), "{path} {n}");
            }
        }
        for (path, covered) in [
            (format!("/tile/0/002.p/{last}"), true),
            (format!("/tile/0/002.p/{}", last + 1), false),
            ("/tile/0/002".to_owned(), false),
            ("/tile/1/000.p/3".to_owned(), false),
            ("/tile/2/000.p/1".to_owned(), false),
            (
                "/tile/0/x018/x446/x744/x073/x709/x551/615".to_owned(),
                false,
            ),
        ] {
            let Ok(TilePath::Hashes(tile)) = TilePath::parse(&path) else {
                panic!("{path}")
            };
            assert_eq!(head.tile(&tile).unwrap().is_some(), covered, "{path}");
        }
        for (path, count) in [
            ("/tile/entries/001".to_owned(), Some(256)),
            ("/tile/entries/001.p/7".to_owned(), Some(7)),
            (format!("/tile/entries/002.p/{last}"), Some(last)),
            (format!("/tile/entries/002.p/{}", last + 1), None),
        ] {
            let Ok(TilePath::Entries(bundle)) = TilePath::parse(&path) else {
                panic!("{path}")
            };
            let bytes = head.bundle(&bundle).unwrap();
            let read = bytes.map(|bytes| {
                let from = bundle.index * 256;
                let want = head
                    .leaves(from..from + bundle.width.count() as u64)
                    .unwrap();
                assert_eq!(decode_bundle(&bytes, bundle.width).unwrap(), want);
                want.len() as u64
            });
            assert_eq!(read, count, "{path}");
        }
    }
}

#[test]
fn a_damaged_tile_leads_to_an_error_and_never_to_a_signature() {
    let (_, head, store, _) = heads();
    let damage = |rows: &mut Rows| {
        rows.tiles.get_mut(&TileKey { level: 0, index: 0 }).unwrap()[3] = tlog::EMPTY_ROOT;
    };
    let head = damaged(&head, damage, &store);
    for size in [4, 200] {
        let size = TreeSize::new(size);
        assert!(matches!(
            head.checkpoint_at(size),
            Err(ReadError::FalseProof(_))
        ));
        let proof = head.proof_file(LeafIndex::new(1), size);
        assert!(matches!(proof, Err(ReadError::FalseProof(_))));
        assert!(matches!(
            head.consistency(size, head.size),
            Err(ReadError::FalseProof(_))
        ));
    }
    let proof = head.inclusion(LeafIndex::new(2), head.size);
    assert!(matches!(proof, Err(ReadError::FalseProof(_))));
}

#[test]
fn a_damaged_leaf_is_not_served_with_a_proof() {
    let (_, head, store, _) = heads();
    let head = damaged(&head, |rows| rows.leaves.swap(7, 8), &store);
    let proof = head.proof_file(LeafIndex::new(7), head.size);
    assert!(matches!(proof, Err(ReadError::FalseProof(_))));
}

#[test]
fn what_a_caller_asks_wrongly_is_told_from_what_is_damaged() {
    let (_, head, store, _) = heads();
    let size = head.size;
    let beyond = TreeSize::new(size.get() + 1);
    for (error, code) in [
        (
            head.inclusion(LeafIndex::new(0), beyond).unwrap_err(),
            Code::NotFound,
        ),
        (
            head.inclusion(LeafIndex::new(9), TreeSize::new(9))
                .unwrap_err(),
            Code::NotFound,
        ),
        (head.consistency(beyond, size).unwrap_err(), Code::Malformed),
        (head.consistency(size, beyond).unwrap_err(), Code::NotFound),
        (head.checkpoint_at(beyond).unwrap_err(), Code::NotFound),
    ] {
        assert_eq!(error.refusal().code, code, "{error:?}");
    }
    let head = damaged(&head, |rows| rows.tiles.clear(), &store);
    let error = head.inclusion(LeafIndex::new(0), size).unwrap_err();
    assert_eq!(error.refusal().code, Code::Internal, "{error:?}");
}

/// A pack, read until it ends or breaks off.
fn read(mut pack: PackReader) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    while let Some(piece) = pack.next_piece()? {
        bytes.extend(piece);
    }
    Ok(bytes)
}

fn window(head: Published, from: u64, to: u64) -> Result<Vec<u8>, ReadError> {
    let (from, to) = (LeafIndex::new(from), LeafIndex::new(to));
    let range = ledger::pack::Range::new(from, to, head.size).unwrap();
    read(PackReader::window(Arc::new(head.clone()), &head, range)?)
}

#[test]
fn a_pack_from_a_damaged_store_never_comes_to_its_end() {
    let (_, head, store, _) = heads();
    let whole = window(Published::clone(&head), 3, 500).unwrap();
    assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 3 + 497);
    let leaf = |rows: &mut Rows| rows.leaves[499].push(b' ');
    let text = |rows: &mut Rows| rows.leaves[4][0] = 0xff;
    let tile = |rows: &mut Rows| {
        let key = TileKey { level: 0, index: 0 };
        rows.tiles.get_mut(&key).unwrap()[0] = Hash::from_bytes([7; 32]);
    };
    let missing = |rows: &mut Rows| rows.leaves.truncate(400);
    for damage in [&leaf as &dyn Fn(&mut Rows), &text, &tile, &missing] {
        let broken = window(damaged(&head, damage, &store), 3, 500);
        let refusal = broken.unwrap_err().refusal();
        assert_eq!(refusal.code, Code::Internal);
    }
}
