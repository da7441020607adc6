//! Evidence that does not hold: no two samples for the same reason.

use tlog::leaf_hash;

use super::{Asked, History, Sample};

/// A text that a careless page would run.
const MARKUP: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";

/// All of them.
pub(super) fn all() -> Vec<Sample> {
    [of_proofs(), of_packs(), of_logs()].concat()
}

/// What somebody can do to a proof file.
fn of_proofs() -> Vec<Sample> {
    let golden = History::golden();
    let stranger = || golden.clone().signed_by([7; 32]);
    vec![
        broken(
            "changed-record.tlog-proof",
            "A record that was changed",
            "One digit of its time is another. The hash is then another too, and no longer leads to the root.",
            changed_record(&golden),
            "root-mismatch",
        ),
        broken(
            "surplus-hash.tlog-proof",
            "A proof with a hash too many",
            "Careless verifiers read as many hashes as they need, and take what is left for true as well.",
            surplus_hash(&golden),
            "proof-surplus",
        ),
        broken(
            "out-of-range.tlog-proof",
            "A place that the log does not have",
            "A proof for entry 99 of sixteen.",
            golden.proof(6).replace("\nindex 6\n", "\nindex 99\n"),
            "index-out-of-range",
        ),
        broken(
            "forged-head.tlog-proof",
            "A head that somebody else signed",
            "The right name and the right root, signed with the wrong key.",
            stranger().proof(6),
            "checkpoint-signature-invalid",
        ),
        broken(
            "other-log.tlog-proof",
            "A proof from another log",
            "All of it is sound, but your trust has never heard of that log.",
            golden.clone().of_origin("example.org/elsewhere").proof(6),
            "origin-unknown",
        ),
        Sample {
            trust: Asked::Witness,
            ..broken(
                "unwitnessed.tlog-proof",
                "A tree that nobody witnessed",
                "The log signed it, but the witness that the trust asks for did not.",
                golden.proof(6),
                "quorum-not-met",
            )
        },
    ]
}

/// What somebody can do to a pack.
fn of_packs() -> Vec<Sample> {
    let lines = || History::golden().lines(0, 16);
    let mut dropped = lines();
    dropped.remove(3 + 11);
    let mut swapped = lines();
    swapped.swap(3 + 6, 3 + 7);
    let whole = lines().concat();
    vec![
        broken(
            "left-out.pack.jsonl",
            "An entry that was left out",
            "The revocation is gone. The pack says sixteen, and holds fifteen.",
            dropped.concat(),
            "pack-count",
        ),
        broken(
            "swapped.pack.jsonl",
            "Two entries that changed places",
            "The result stands in front of the intent.",
            swapped.concat(),
            "pack-order",
        ),
        broken(
            "cut-off.pack.jsonl",
            "A file that was cut off",
            "It ends in the middle of a line.",
            whole[..whole.len() * 2 / 3].to_owned(),
            "pack-malformed",
        ),
    ]
}

/// What a log can do that lies: its trees and heads are sound, its records are not.
fn of_logs() -> Vec<Sample> {
    let golden = History::golden();
    let other_reason = || {
        golden
            .clone()
            .with_leaf(5, |leaf| leaf.replace("5,\"env", "9,\"env"))
    };
    let backwards = |leaf: &str| leaf.replace("1764000009005", "1764000001005");
    let markup = |payload: &str| payload.replace("Reconcile the ledger", MARKUP);
    let for_other_log = |payload: &str| payload.replace("sha256:e23b", "sha256:e23c");
    vec![
        broken(
            "rewritten.pack.jsonl",
            "A history that was rewritten",
            "An earlier checkpoint shows what the log once said. What it says now does not go on from there.",
            golden.pack_since(&other_reason(), 9),
            "inconsistent",
        ),
        broken(
            "time-back.pack.jsonl",
            "A clock that goes back",
            "The log says that it received an entry before the one in front of it.",
            golden.clone().with_leaf(9, backwards).pack(),
            "time-regressed",
        ),
        broken(
            "forged-record.pack.jsonl",
            "A record that its agent did not sign",
            "The log itself changed what an agent said, and built and signed the tree anew. The agent's signature tells.",
            golden.clone().with_leaf(8, swap_signature).pack(),
            "signature-invalid",
        ),
        broken(
            "foreign-record.pack.jsonl",
            "Words that would like to be a program, for another log",
            "A title full of markup stays text. The record was made for another log, and that is what fails.",
            golden
                .with_payload(5, |payload| for_other_log(&markup(payload)))
                .pack(),
            "origin-mismatch",
        ),
    ]
}

fn broken(
    file: &'static str,
    title: &'static str,
    shows: &'static str,
    evidence: String,
    code: &'static str,
) -> Sample {
    Sample {
        file,
        title,
        shows,
        evidence,
        trust: Asked::Log,
        code: Some(code),
    }
}

fn changed_record(history: &History) -> String {
    let mut file = history.proof_file(6, history.checkpoint(history.size()));
    let leaf = file.extra.take().expect("a proof file has its leaf");
    let leaf = String::from_utf8(leaf).expect("a leaf is JSON");
    let changed = leaf.replace(
        "\"received_ms\":1764000005005",
        "\"received_ms\":1764000004005",
    );
    assert_ne!(leaf, changed, "the record has that time");
    file.extra = Some(changed.into_bytes());
    file.to_string()
}

fn surplus_hash(history: &History) -> String {
    let mut file = history.proof_file(6, history.checkpoint(history.size()));
    file.hashes.push(leaf_hash(b"one more"));
    file.to_string()
}

/// The first letter of the signature becomes another.
fn swap_signature(leaf: &str) -> String {
    let (before, signature) = leaf
        .split_once("\"sig\":\"")
        .expect("a leaf has a signature");
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{before}\"sig\":\"{other}{}", &signature[1..])
}
