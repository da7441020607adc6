//! Proof files that prove something else than they say.

use ledger::codes::{Code, Party};
use ledger::verify::CheckId;
use tlog::LeafIndex;
use tlog::note::SigningKey;
use tlog::proof::ProofFile;

use super::forger::{Forger, ORIGIN, name, signed};
use super::{Group, Layer, Shelf, TRUST};

const FORM: Group = Group::of(Layer::Log, CheckId::Form);
const PROOF: Group = Group::of(Layer::Log, CheckId::Form);
const CHECKPOINT: Group = Group::of(Layer::Log, CheckId::Checkpoint);
const INCLUSION: Group = Group::of(Layer::Log, CheckId::Inclusion);
const LEAVES: Group = Group::of(Layer::Log, CheckId::Leaves);

pub(super) fn fill(shelf: &mut Shelf) {
    spelling(shelf);
    untrue(shelf);
}

/// The proof of entry 6, with something changed.
fn altered(change: impl FnOnce(&mut ProofFile)) -> String {
    let mut proof = Forger::golden().proof(6);
    change(&mut proof);
    proof.to_string()
}

fn spelling(shelf: &mut Shelf) {
    let sound = Forger::golden().proof(6).to_string();
    let replaced = |from: &str, to: &str| {
        assert!(sound.contains(from), "{from}");
        sound.replacen(from, to, 1)
    };
    for (name, file) in [
        ("proof-of-another-version", replaced("proof@v1", "proof@v2")),
        ("proof-behind-a-byte-order-mark", format!("\u{feff}{sound}")),
        ("proof-behind-a-blank-line", format!("\n{sound}")),
        (
            "proof-of-two-megabytes",
            replaced(
                "\nindex 6\n",
                &format!("\nindex 6\n{}", "A".repeat(2_000_000)),
            ),
        ),
    ] {
        shelf.lie(FORM, name, Code::PackMalformed, file);
    }
    for (name, file) in [
        (
            "proof-without-checkpoint",
            sound.split("\n\n").next().expect("a part").to_owned() + "\n",
        ),
        ("proof-with-windows-line-ends", sound.replace('\n', "\r\n")),
        ("proof-without-index", replaced("index 6\n", "")),
        (
            "proof-index-with-a-zero",
            replaced("index 6\n", "index 06\n"),
        ),
        (
            "proof-index-with-a-plus",
            replaced("index 6\n", "index +6\n"),
        ),
        (
            "proof-index-with-a-space",
            replaced("index 6\n", "index 6 \n"),
        ),
        (
            "proof-index-too-large",
            replaced("index 6\n", "index 18446744073709551616\n"),
        ),
        (
            "proof-index-twice",
            replaced("index 6\n", "index 6\nindex 6\n"),
        ),
        ("proof-entry-misspelt", replaced("ifV19fQ==", "ifV19fR==")),
        (
            "proof-entry-without-padding",
            replaced("ifV19fQ==", "ifV19fQ"),
        ),
        ("proof-hash-misspelt", replaced("uknh4U=", "uknh4V=")),
        ("proof-hash-cut", replaced("7uknh4U=", "7ukn")),
        (
            "proof-with-an-unknown-line",
            replaced("index 6\n", "key x\nindex 6\n"),
        ),
    ] {
        shelf.lie(PROOF, name, Code::ProofMalformed, file);
    }
    for (name, file) in [
        ("proof-without-last-line-end", sound.trim_end().to_owned()),
        ("proof-with-a-surplus-line", format!("{sound}and so on\n")),
        ("proof-with-two-blank-lines", replaced("\n\n", "\n\n\n")),
    ] {
        shelf.lie(PROOF, name, Code::CheckpointMalformed, file);
    }
}

fn untrue(shelf: &mut Shelf) {
    let golden = Forger::golden();
    let other = golden.leaves[7].clone().into_bytes();
    let thief = SigningKey::new(name(ORIGIN), &[66; 32]);
    let by_thief = signed(&thief, &golden.head(16));
    for (name, code, file) in [
        (
            "proof-of-another-index",
            Code::RootMismatch,
            altered(|p| p.index = LeafIndex::new(4)),
        ),
        (
            "proof-of-another-entry",
            Code::RootMismatch,
            altered(|p| p.extra = Some(other)),
        ),
        (
            "proof-beyond-the-log",
            Code::IndexOutOfRange,
            altered(|p| p.index = LeafIndex::new(16)),
        ),
        (
            "proof-far-beyond-the-log",
            Code::IndexOutOfRange,
            altered(|p| p.index = LeafIndex::new(u64::MAX)),
        ),
        (
            "proof-hash-too-many",
            Code::ProofSurplus,
            altered(|p| p.hashes.push(p.hashes[0])),
        ),
        (
            "proof-hash-too-few",
            Code::ProofMalformed,
            altered(|p| p.hashes.truncate(3)),
        ),
        (
            "proof-without-hashes",
            Code::ProofMalformed,
            altered(|p| p.hashes.clear()),
        ),
        (
            "proof-hashes-swapped",
            Code::RootMismatch,
            altered(|p| p.hashes.swap(0, 1)),
        ),
        (
            "proof-under-an-older-head",
            Code::ProofSurplus,
            altered(|p| p.checkpoint = golden.checkpoint(8)),
        ),
    ] {
        shelf.lie(INCLUSION, name, code, file);
    }
    let forged = altered(|proof| proof.checkpoint = by_thief);
    shelf.lie(
        CHECKPOINT,
        "proof-under-a-forged-head",
        Code::CheckpointSignatureInvalid,
        forged,
    );
    let root = tlog::leaf_hash(golden.leaves[6].as_bytes());
    let node = altered(|proof| {
        // A node of the tree passed off as a leaf: its two hashes are its bytes.
        proof.extra = Some([root.as_bytes().as_slice(), proof.hashes[0].as_bytes()].concat());
        proof.hashes.remove(0);
    });
    shelf.lie(INCLUSION, "proof-of-a-node", Code::ProofMalformed, node);

    let mut headless = Forger::golden();
    headless.leaves.remove(0);
    let by_operator = Group {
        by: Some(Party::Operator),
        ..LEAVES
    };
    let first = headless.proof(0).to_string();
    shelf.lie(
        by_operator,
        "proof-of-a-log-without-charter",
        Code::CharterMissing,
        first,
    );
    let by_log = Group {
        by: Some(Party::Log),
        ..LEAVES
    };
    let garbled = Forger::with_leaf(6, |_| "hello".to_owned());
    shelf.lie(
        by_log,
        "proof-of-no-record",
        Code::NotStrictJson,
        garbled.proof(6).to_string(),
    );

    let other_log = TRUST.replace("sha256:e2", "sha256:e3");
    let sound = golden.proof(6).to_string();
    shelf.lie_to(
        &other_log,
        LEAVES,
        "proof-to-another-trust",
        Code::OriginMismatch,
        sound,
    );
    let charter = golden.proof(0).to_string();
    shelf.lie_to(
        &other_log,
        LEAVES,
        "charter-to-another-trust",
        Code::TrustMismatch,
        charter,
    );
    shelf.lie_to(
        &other_log,
        LEAVES,
        "pack-to-another-trust",
        Code::TrustMismatch,
        golden.whole(),
    );
}
