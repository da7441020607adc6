//! What is found comes back whole, and saves the work.

use super::*;
use crate::key::{KeyId, PrivateKey};

const PACK: &str = include_str!("../../../tests/golden.json");

fn leaves() -> Vec<u8> {
    let golden: serde_json::Value = serde_json::from_str(PACK).unwrap();
    let pack = golden["pack"].as_str().unwrap();
    let lines = pack.split_inclusive('\n');
    let leaves = lines.filter(|line| line.starts_with("{\"index\":"));
    leaves.collect::<String>().into_bytes()
}

fn checked() -> LinesAhead {
    let mut lines = LinesAhead::read(leaves());
    let mut keys = LikelyKeys::default();
    keys.take(&lines);
    let logs = keys.logs().to_vec();
    lines.check(&|id: &KeyId| keys.key(id), &logs);
    lines
}

type Signatures = Vec<Option<([u8; 32], bool)>>;

/// Of each leaf its hash, and what is known of its signatures.
fn known(lines: &LinesAhead) -> Vec<(Hash, Signatures)> {
    let leaves = lines.lines().iter().filter_map(|line| line.leaf.as_ref());
    let known = leaves.map(|leaf| {
        let record = leaf.record.as_ref().ok().map(|(_, record)| record);
        let ahead = record.and_then(SignedRecord::ahead);
        (
            leaf.hash,
            ahead.map_or_else(Vec::new, |it| it.signatures.clone()),
        )
    });
    known.collect()
}

#[test]
fn what_was_found_comes_back() {
    let lines = checked();
    let again = LinesAhead::read_with(leaves(), &lines.found());
    assert_eq!(known(&again), known(&lines));
    let mut signatures = known(&lines).into_iter().flat_map(|(_, them)| them);
    assert!(signatures.all(|it| it.is_some_and(|(_, verifies)| verifies)));
    assert!(known(&lines).len() > 10);
}

#[test]
fn what_is_cut_off_is_worked_out_anew() {
    let (lines, found) = (checked(), checked().found());
    let hashes = |lines: &LinesAhead| known(lines).into_iter().map(|(hash, _)| hash);
    for cut in 0..found.len() {
        let again = LinesAhead::read_with(leaves(), &found[..cut]);
        assert!(hashes(&again).eq(hashes(&lines)), "cut at {cut}");
    }
}

#[test]
fn keys_are_learnt_from_their_bytes() {
    let mut keys = LikelyKeys::default();
    keys.take(&checked());
    let mut learnt = LikelyKeys::default();
    learnt.learn(&keys.to_bytes());
    assert_eq!(learnt.to_bytes(), keys.to_bytes());
    assert!(!learnt.logs().is_empty());
    learnt.learn(&[1, 2, 3]);
    let other = PrivateKey::from_seed(&[99; 32]).public();
    assert!(learnt.key(&other.id()).is_none());
    learnt.learn(&[&[0], &other.as_bytes()[..]].concat());
    assert!(learnt.key(&other.id()).is_some());
}
