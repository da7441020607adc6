use ledger::record::{Body, Pulse, Record};
use store::Group;
use store::memory::{MemoryStore, Rows};
use tlog::Hash;

use super::*;
use crate::log::testing::{START_MS, charter, founded, key, log_key};

/// A log of 300 pulses in three groups, and how it is trusted.
fn log() -> (Rows, Trust) {
    let (store, trust) = founded(charter());
    for (from, to) in [(1, 100), (100, 257), (257, 301)] {
        store
            .apply(&group(store.as_ref(), &trust, from, to))
            .unwrap();
    }
    (store.rows(), trust)
}

fn group(store: &MemoryStore, trust: &Trust, from: u64, to: u64) -> Group {
    let mut edge = tlog::tile::Edge::new();
    let head = store.head().unwrap().unwrap();
    for leaf in store.leaves(0..head.size.get()).unwrap() {
        edge.push(tlog::leaf_hash(&leaf));
    }
    let (mut leaves, mut mentions, mut tiles) = (Vec::new(), Vec::new(), Vec::new());
    for n in from..to {
        let body = Body::Pulse(Pulse {
            n,
            agents: 0,
            state: None,
            witnessed: None,
        });
        let record = Record {
            log: Some(trust.charter),
            at_ms: START_MS,
            body,
            ext: None,
        };
        let record = record.sign(&[&key(3)]).unwrap();
        let leaf = Leaf::new(START_MS, record.envelope().clone())
            .unwrap()
            .to_bytes();
        for (tile, hashes) in edge.push(tlog::leaf_hash(&leaf)) {
            tiles.push((
                TileKey {
                    level: tile.level,
                    index: tile.index,
                },
                hashes,
            ));
        }
        mentions.extend(Mention::all_of(LeafIndex::new(n), &record));
        leaves.push((record.hash(), leaf));
    }
    let checkpoint = signed(TreeSize::new(to), edge.root());
    Group {
        first: LeafIndex::new(from),
        leaves,
        mentions,
        tiles,
        checkpoint,
        supersedes: None,
    }
}

fn signed(size: TreeSize, root: Hash) -> StoredCheckpoint {
    use tlog::checkpoint::{Checkpoint, Origin, sign};
    let origin = Origin::from(log_key().verifier_key().name().clone());
    let checkpoint = sign(&log_key(), &Checkpoint::new(origin, size, root));
    StoredCheckpoint {
        size,
        time_ms: START_MS,
        checkpoint,
    }
}

fn findings(damage: impl FnOnce(&mut Rows, &mut Trust)) -> Vec<String> {
    let (mut rows, mut trust) = log();
    damage(&mut rows, &mut trust);
    let store = MemoryStore::from_rows(rows);
    check(&store, &trust, &mut |_, _| {}).unwrap().findings
}

#[track_caller]
fn finds(words: &[&str], damage: impl FnOnce(&mut Rows, &mut Trust)) {
    let findings = findings(damage);
    for word in words {
        assert!(
            findings.iter().any(|finding| finding.contains(word)),
            "{word}: {findings:#?}"
        );
    }
}

#[test]
fn a_sound_log_has_no_findings() {
    let (rows, trust) = log();
    let store = MemoryStore::from_rows(rows);
    let mut seen = Vec::new();
    let report = check(&store, &trust, &mut |done, all| seen.push((done, all))).unwrap();
    let checked = Counts {
        leaves: 301,
        tiles: 1,
        records: 301,
        mentions: 301,
        checkpoints: 4,
    };
    assert_eq!(
        report,
        Report {
            checked,
            findings: vec![]
        }
    );
    assert_eq!(seen, [(301, 301)]);
}

#[test]
fn an_empty_store_is_a_finding() {
    let (_, trust) = log();
    let report = check(&MemoryStore::new(), &trust, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn damaged_leaves_are_found_and_the_check_goes_on() {
    finds(
        &["leaf 7: ", "leaf 9: ", "size 100: its root"],
        |rows, _| {
            rows.leaves[7].push(b' ');
            rows.leaves[9] = b"{}".to_vec();
        },
    );
    finds(&["leaf 200 is missing", "record"], |rows, _| {
        rows.leaves.truncate(200);
    });
    finds(&["302 leaves are stored, 301"], |rows, _| {
        rows.leaves.push(b"{}".to_vec());
    });
}

#[test]
fn false_signatures_are_found() {
    finds(&["leaf 5: signature-invalid"], |rows, _| {
        let leaf = Leaf::parse(&rows.leaves[5]).unwrap();
        let other = Leaf::parse(&rows.leaves[6]).unwrap();
        let (one, two) = (leaf.envelope().to_json(), other.envelope().to_json());
        let sig = |json: &str| json.split("\"sig\":\"").nth(1).unwrap()[..88].to_owned();
        let text = String::from_utf8(rows.leaves[5].clone()).unwrap();
        rows.leaves[5] = text.replace(&sig(&one), &sig(&two)).into_bytes();
    });
}

#[test]
fn records_that_the_rules_do_not_admit_are_found() {
    // Pulses out of order: sound by themselves, and signed.
    finds(&["leaf 20: "], |rows, _| rows.leaves.swap(20, 21));
}

#[test]
fn damaged_tiles_are_found() {
    let tile = TileKey { level: 0, index: 0 };
    finds(&["tile 0 of level 0 has other hashes"], |rows, _| {
        rows.tiles.get_mut(&tile).unwrap().swap(1, 2);
    });
    finds(&["tile 0 of level 0 is not in the store"], |rows, _| {
        rows.tiles.remove(&tile);
    });
    finds(&["2 tiles are stored, 1"], |rows, _| {
        let copy = rows.tiles[&tile].clone();
        rows.tiles.insert(TileKey { level: 3, index: 9 }, copy);
    });
}

#[test]
fn damaged_lookup_rows_are_found() {
    finds(&["has no row"], |rows, _| {
        rows.records.pop_first();
    });
    finds(&["is said to be at 999"], |rows, _| {
        *rows.records.values_mut().next().unwrap() = LeafIndex::new(999);
    });
    finds(&["302 records are stored, 301"], |rows, _| {
        let stranger = ledger::digest::RecordHash::new(ledger::digest::Digest::of(&[b"x"]));
        rows.records.insert(stranger, LeafIndex::new(5));
    });
}

#[test]
fn damaged_checkpoints_are_found() {
    let size = TreeSize::new(100);
    finds(&["size 100: ", "root"], |rows, _| {
        rows.checkpoints
            .insert(size, signed(size, tlog::EMPTY_ROOT));
    });
    finds(&["size 100: it speaks of size 257"], |rows, _| {
        let other = rows.checkpoints[&TreeSize::new(257)].checkpoint.clone();
        rows.checkpoints.get_mut(&size).unwrap().checkpoint = other;
    });
    finds(&["size 100: "], |rows, _| {
        rows.checkpoints
            .get_mut(&size)
            .unwrap()
            .checkpoint
            .push('x');
    });
    finds(&["size 100: its time is 1"], |rows, _| {
        rows.checkpoints.get_mut(&size).unwrap().time_ms = 1;
    });
}

#[test]
fn another_charter_than_the_trust_names_is_found() {
    finds(&["the trust names charter"], |_, trust| {
        trust.charter = ledger::digest::RecordHash::new(ledger::digest::Digest::of(&[b"x"]));
    });
}
