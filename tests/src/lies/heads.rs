//! Checkpoints that the log did not sign, that too few have witnessed, or that are of another history.

use ledger::codes::Code;
use ledger::pack::{Earlier, Line};
use ledger::verify::CheckId;
use serde_json::json;
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::note::{Signature, SigningKey};
use tlog::{EMPTY_ROOT, TreeSize};

use super::forger::{Forger, ORIGIN, name, origin, signed, text, witness};
use super::{Group, Layer, Shelf, TRUST};

const FORM: Group = Group::of(Layer::Log, CheckId::Form);
const CHECKPOINT: Group = Group::of(Layer::Log, CheckId::Checkpoint);
const WITNESSES: Group = Group::of(Layer::Log, CheckId::Witnesses);
const CONSISTENCY: Group = Group::of(Layer::Log, CheckId::Consistency);
const INCLUSION: Group = Group::of(Layer::Log, CheckId::Inclusion);

pub(super) fn fill(shelf: &mut Shelf) {
    forged(shelf);
    malformed(shelf);
    witnesses(shelf);
    consistency(shelf);
}

/// The golden pack under another checkpoint.
fn under(checkpoint: SignedCheckpoint) -> String {
    let mut lines = Forger::golden().lines(0, 16);
    lines[1] = Line::Checkpoint(Box::new(checkpoint));
    text(&lines)
}

/// The golden checkpoint with its one signature changed.
fn resigned(change: impl FnOnce(&mut Signature)) -> SignedCheckpoint {
    let sound = Forger::golden().checkpoint(16);
    let mut signature = sound.note().signatures()[0].clone();
    change(&mut signature);
    let head = sound.unverified().to_string();
    SignedCheckpoint::parse(&format!("{head}\n{signature}")).expect("a line that reads")
}

fn forged(shelf: &mut Shelf) {
    let sound = Forger::golden().checkpoint(16);
    let head = sound.unverified().clone();
    let thief = SigningKey::new(name(ORIGIN), &[66; 32]);
    let other = SigningKey::new(name("example.com/other"), &[6; 32]);
    let of_other = Checkpoint::new(origin("example.com/other"), head.size, head.root);
    let markup = "<img_src=x_onerror=alert(1)>";
    let of_markup = Checkpoint::new(origin(markup), head.size, head.root);
    let by_thief = signed(&thief, &head);
    let larger = Checkpoint::new(head.origin.clone(), TreeSize::new(17), head.root);
    let old_signature = sound.note().signatures()[0].clone();
    let renewed = format!("{larger}\n{old_signature}");
    let extended = format!("{head}more\n\n{old_signature}");
    let key_id = old_signature.key_id;
    // The thief's signature under the id of the log's key, beside a good one and alone.
    let mut stolen = by_thief.note().signatures()[0].clone();
    stolen.key_id = key_id;
    let stolen_beside = sound
        .clone()
        .with_signature(stolen.clone())
        .expect("two lines");
    let stolen_alone = resigned(|signature| signature.bytes.clone_from(&stolen.bytes));
    let parse = |text: &str| SignedCheckpoint::parse(text).expect("a checkpoint that reads");
    for (name, code, checkpoint) in [
        (
            "head-of-another-log",
            Code::OriginUnknown,
            signed(&other, &of_other),
        ),
        (
            "head-named-in-html",
            Code::OriginUnknown,
            signed(&SigningKey::new(name(markup), &[6; 32]), &of_markup),
        ),
        (
            "head-by-another-key",
            Code::CheckpointSignatureInvalid,
            by_thief,
        ),
        (
            "head-under-a-stolen-name",
            Code::CheckpointSignatureInvalid,
            stolen_alone,
        ),
        (
            "head-with-a-good-and-a-bad-line",
            Code::CheckpointSignatureInvalid,
            stolen_beside,
        ),
        (
            "head-with-a-flipped-bit",
            Code::CheckpointSignatureInvalid,
            resigned(|s| s.bytes[10] ^= 1),
        ),
        (
            "head-signature-cut",
            Code::CheckpointSignatureInvalid,
            resigned(|s| s.bytes.truncate(63)),
        ),
        (
            "head-signature-with-a-large-scalar",
            Code::CheckpointSignatureInvalid,
            resigned(|s| add_order(&mut s.bytes)),
        ),
        (
            "head-signature-of-zeros",
            Code::CheckpointSignatureInvalid,
            resigned(|s| s.bytes.fill(0)),
        ),
        (
            "head-grown-under-an-old-signature",
            Code::CheckpointSignatureInvalid,
            parse(&renewed),
        ),
        (
            "head-extended-under-an-old-signature",
            Code::CheckpointSignatureInvalid,
            parse(&extended),
        ),
    ] {
        shelf.lie(CHECKPOINT, name, code, under(checkpoint));
    }
    let fork = Forger::with_leaf(7, |leaf| leaf.replacen("_ms\":17", "_ms\":16", 1));
    shelf.lie(
        INCLUSION,
        "head-of-a-fork",
        Code::RootMismatch,
        under(fork.checkpoint(16)),
    );
}

/// Adds the order of the group to the scalar in a signature: the same point, spelled in another way (RFC 8032, 5.1.7).
pub(super) fn add_order(signature: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        let [low, high] = sum.to_le_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}

fn malformed(shelf: &mut Shelf) {
    let sound = Forger::golden().checkpoint(16).to_string();
    let with = |checkpoint: &str| {
        let pack = Forger::golden().whole();
        let mut lines: Vec<String> = pack.split_inclusive('\n').map(str::to_owned).collect();
        lines[1] = format!("{}\n", json!({ "checkpoint": checkpoint }));
        lines.concat()
    };
    let (head, _) = sound.split_once("\n\n").expect("a note");
    for (name, checkpoint) in [
        ("head-without-signature", format!("{head}\n")),
        ("head-with-no-line-behind-it", format!("{head}\n\n")),
        (
            "head-with-a-leading-zero",
            sound.replacen("\n16\n", "\n016\n", 1),
        ),
        ("head-with-a-plus", sound.replacen("\n16\n", "\n+16\n", 1)),
        ("head-of-two-lines", sound.replacen("\n16\n", "\n", 1)),
        ("head-root-misspelt", sound.replacen("3hE=", "3hF=", 1)),
        ("head-root-cut", sound.replacen("3hE=", "", 1)),
        ("head-with-windows-line-ends", sound.replace('\n', "\r\n")),
        ("head-without-last-line-end", sound.trim_end().to_owned()),
        ("head-with-a-surplus-line", format!("{sound}\n")),
        (
            "head-with-101-signatures",
            format!(
                "{head}\n\n{}",
                sound.lines().last().expect("a line").to_owned() + "\n"
            )
            .replacen("\n\n", &format!("\n\n{}", "— x AAAAAAA=\n".repeat(100)), 1),
        ),
    ] {
        shelf.lie(FORM, name, Code::CheckpointMalformed, with(&checkpoint));
    }
}

/// A trust that asks for two of three witnesses.
fn trust_witnessed() -> String {
    let trust: serde_json::Value = serde_json::from_str(TRUST).expect("JSON");
    let policy = trust["policy"].as_str().expect("a policy");
    let witnesses = (1..=3).map(|n| format!("witness w{n} {}\n", witness(n).verifier_key()));
    let witnesses: String = witnesses.collect();
    let quorum = format!("{witnesses}group all 2 w1 w2 w3\nquorum all\n");
    let policy = policy.replace("quorum none\n", &quorum);
    json!({ "policy": policy, "charter": trust["charter"] }).to_string()
}

fn witnesses(shelf: &mut Shelf) {
    const TIME_S: u64 = 1_764_000_100;
    let trust = trust_witnessed();
    let sound = Forger::golden().checkpoint(16);
    let head = sound.unverified();
    let by = |number: u8| witness(number).cosign(head, TIME_S).expect("a time");
    let stale = witness(2).cosign(Forger::golden().checkpoint(15).unverified(), TIME_S);
    let stale = stale.expect("a time");
    let mut redated = by(2);
    redated.bytes[7] ^= 1;
    let mut renamed = by(2);
    renamed.name = name("witness.example.com/w3");
    let with = |lines: &[Signature]| {
        let add = |signed: SignedCheckpoint, line: &Signature| {
            signed.with_signature(line.clone()).expect("a few lines")
        };
        under(lines.iter().fold(sound.clone(), add))
    };
    for (name, code, pack) in [
        ("witness-missing", Code::QuorumNotMet, with(&[])),
        ("one-witness-of-two", Code::QuorumNotMet, with(&[by(1)])),
        (
            "one-witness-twice",
            Code::QuorumNotMet,
            with(&[by(1), by(1)]),
        ),
        ("witness-unknown", Code::QuorumNotMet, with(&[by(1), by(9)])),
        (
            "witness-under-another-name",
            Code::QuorumNotMet,
            with(&[by(1), renamed]),
        ),
        (
            "witness-of-another-head",
            Code::CheckpointSignatureInvalid,
            with(&[by(1), stale.clone()]),
        ),
        (
            "witness-redated",
            Code::CheckpointSignatureInvalid,
            with(&[by(1), redated]),
        ),
        (
            "witness-wrong-beside-a-quorum",
            Code::CheckpointSignatureInvalid,
            with(&[by(1), by(3), stale]),
        ),
    ] {
        shelf.lie_to(&trust, WITNESSES, name, code, pack);
    }
    shelf.sound_to(&trust, "sound-witnessed", with(&[by(1), by(3)]));
}

fn consistency(shelf: &mut Shelf) {
    let golden = Forger::golden();
    let with = |earlier: Earlier| golden.pack_with(0, 16, Some(earlier));
    let altered = |change: &dyn Fn(&mut Earlier)| {
        let mut earlier = golden.earlier(5);
        change(&mut earlier);
        with(earlier)
    };
    let fork = Forger::with_leaf(2, |leaf| leaf.replacen("_ms\":17", "_ms\":16", 1));
    let thief = SigningKey::new(name(ORIGIN), &[66; 32]);
    let other = Checkpoint::new(
        origin("example.com/other"),
        TreeSize::new(5),
        golden.head(5).root,
    );
    let other = signed(
        &SigningKey::new(name("example.com/other"), &[6; 32]),
        &other,
    );
    let larger = Checkpoint::new(origin(ORIGIN), TreeSize::new(17), golden.head(16).root);
    let same_size = fork.checkpoint(16);
    let empty = Checkpoint::new(origin(ORIGIN), TreeSize::EMPTY, golden.head(5).root);
    assert_ne!(golden.head(5).root, EMPTY_ROOT);
    for (name, code, pack) in [
        (
            "earlier-fork",
            Code::Inconsistent,
            altered(&|e| e.checkpoint = fork.checkpoint(5)),
        ),
        (
            "earlier-of-the-same-size",
            Code::Inconsistent,
            with(Earlier {
                checkpoint: same_size,
                consistency: vec![],
            }),
        ),
        (
            "earlier-empty-with-a-root",
            Code::Inconsistent,
            with(Earlier {
                checkpoint: signed(&golden.key, &empty),
                consistency: vec![],
            }),
        ),
        (
            "earlier-of-another-log",
            Code::OriginUnknown,
            altered(&|e| e.checkpoint = other.clone()),
        ),
        (
            "earlier-by-another-key",
            Code::CheckpointSignatureInvalid,
            altered(&|e| e.checkpoint = signed(&thief, &golden.head(5))),
        ),
        (
            "earlier-larger",
            Code::ProofMalformed,
            altered(&|e| e.checkpoint = signed(&golden.key, &larger)),
        ),
        (
            "earlier-hash-too-few",
            Code::ProofMalformed,
            altered(&|e| e.consistency.truncate(4)),
        ),
        (
            "earlier-hash-too-many",
            Code::ProofSurplus,
            altered(&|e| e.consistency.push(e.consistency[0])),
        ),
        (
            "earlier-hashes-swapped",
            Code::RootMismatch,
            altered(&|e| e.consistency.swap(0, 1)),
        ),
    ] {
        shelf.lie(CONSISTENCY, name, code, pack);
    }
    // Its hashes lead to the fork alone: only the leaves of the pack show that the log signed two histories.
    let by_leaves = Group {
        layer: Layer::Records,
        ..CONSISTENCY
    };
    let own = with(fork.earlier(5));
    let code = Code::Inconsistent;
    shelf.lie(by_leaves, "earlier-fork-proven-by-itself", code, own);
    // A log that has two keys, of which one has truly signed.
    let second = thief.verifier_key();
    let trust = TRUST.replace("\\nquorum", &format!("\\nlog {second}\\nquorum"));
    let mut wrong = signed(&thief, &golden.head(6)).note().signatures()[0].clone();
    wrong.bytes[9] ^= 1;
    let earlier = Earlier {
        checkpoint: golden
            .checkpoint(5)
            .with_signature(wrong.clone())
            .expect("two lines"),
        ..golden.earlier(5)
    };
    let code = Code::CheckpointSignatureInvalid;
    shelf.lie_to(
        &trust,
        CONSISTENCY,
        "earlier-forged-by-a-second-key",
        code,
        with(earlier),
    );
    let head = golden
        .checkpoint(16)
        .with_signature(wrong)
        .expect("two lines");
    shelf.lie_to(
        &trust,
        CHECKPOINT,
        "head-forged-by-a-second-key",
        code,
        under(head),
    );
}
