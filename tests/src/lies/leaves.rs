//! Leaves that no log should hold. The tree is sound and the head is truly signed: only looking at the leaves shows it.

use ledger::codes::{Code, Party};
use ledger::digest::Digest;
use ledger::envelope::{Envelope, Signature};
use ledger::key::{PrivateKey, SignatureBytes};
use ledger::pack::Selection;
use ledger::record::Kind;
use ledger::verify::CheckId;

use super::forger::{Forger, envelope, key, leaf, of_envelope, payload, signatures, text};
use super::heads::add_order;
use super::{Group, Layer, Shelf};

const LEAVES: Group = Group::by(Layer::Log, CheckId::Leaves, Party::Log);
const RECORDS: Group = Group::by(Layer::Records, CheckId::Leaves, Party::Log);
const SIGNATURES: Group = Group::by(Layer::Records, CheckId::Signatures, Party::Log);

/// What an observer saw: no other record rests on it.
const SEEN: usize = 10;
/// When the log received it.
const SEEN_MS: u64 = 1_764_000_010_005;

pub(super) fn fill(shelf: &mut Shelf) {
    encoding(shelf);
    payloads(shelf);
    texts(shelf);
    history(shelf);
    signed(shelf);
}

/// The golden log with the leaf of what was seen changed.
fn changed(from: &str, to: &str) -> String {
    let change = |leaf: &str| {
        assert!(leaf.contains(from), "{from} in {leaf}");
        leaf.replacen(from, to, 1)
    };
    Forger::with_leaf(SEEN, change).whole()
}

/// The golden log with another payload in that place, truly signed by the observer.
fn saying(payload: &str) -> String {
    Forger::with_leaf(SEEN, |_| {
        leaf(SEEN_MS, Kind::Observation, payload, &["observer"])
    })
    .whole()
}

fn encoding(shelf: &mut Shelf) {
    let sound = Forger::golden().leaves[SEEN].clone();
    let signature = format!(
        "{{\"keyid\"{}",
        sound.split("{\"keyid\"").nth(1).expect("a signature")
    );
    let signature = signature.trim_end_matches("]}}");
    let unsorted = Forger::with_leaf(1, |leaf| {
        let (head, rest) = leaf.split_once("\"signatures\":[").expect("signatures");
        let (one, two) = rest.trim_end_matches("]}}").split_once("},").expect("two");
        format!("{head}\"signatures\":[{two},{one}}}]}}}}")
    });
    for (name, pack) in [
        ("leaf-with-a-space", changed("\":{\"", "\": {\"")),
        (
            "leaf-with-an-escape",
            changed("application/", "application\\/"),
        ),
        ("leaf-with-signatures-unsorted", unsorted.whole()),
        ("leaf-with-members-in-another-order", reordered(&sound)),
    ] {
        shelf.lie(LEAVES, name, Code::LeafNotCanonical, pack);
    }
    let huge = "A".repeat(50_000);
    for (name, code, pack) in [
        (
            "leaf-of-no-json",
            Code::NotStrictJson,
            changed(&sound, "hello"),
        ),
        (
            "leaf-with-a-member-twice",
            Code::NotStrictJson,
            changed("{\"payloadType\"", "{\"payload\":\"\",\"payloadType\""),
        ),
        (
            "leaf-with-an-unknown-member",
            Code::UnknownMember,
            changed("{\"payloadType\"", "{\"key\":\"\",\"payloadType\""),
        ),
        (
            "leaf-without-signatures",
            Code::Malformed,
            changed(signature, ""),
        ),
        (
            "leaf-with-a-short-signature",
            Code::Malformed,
            changed("\"sig\":\"", "\"sig\":\"AAAA"),
        ),
        (
            "leaf-with-17-signatures",
            Code::Malformed,
            changed(signature, &seventeen(signature)),
        ),
        (
            "leaf-with-a-signature-twice",
            Code::KeyRepeated,
            changed(signature, &format!("{signature},{signature}")),
        ),
        (
            "leaf-with-a-loud-keyid",
            Code::Malformed,
            changed("\"keyid\":\"c5b9", "\"keyid\":\"C5B9"),
        ),
        (
            "leaf-with-payload-misspelt",
            Code::Malformed,
            changed("\"payload\":\"", "\"payload\":\" "),
        ),
        (
            "leaf-too-large",
            Code::TooLarge,
            changed("\"payload\":\"", &format!("\"payload\":\"{huge}")),
        ),
    ] {
        shelf.lie(LEAVES, name, code, pack);
    }
    let unknown = changed("dragons.observation.v1", "dragons.omen.v1");
    shelf.lie(
        RECORDS,
        "leaf-of-an-unknown-kind",
        Code::UnknownKind,
        unknown,
    );
}

fn reordered(leaf: &str) -> String {
    let (received, envelope) = leaf[1..leaf.len() - 1]
        .split_once(",\"envelope\"")
        .expect("both");
    changed(leaf, &format!("{{\"envelope\"{envelope},{received}}}"))
}

/// As many signatures by keyids that differ.
fn seventeen(signature: &str) -> String {
    let (_, rest) = signature.split_once("\"keyid\":\"").expect("a keyid");
    let numbered = (0..17).map(|n| format!("{{\"keyid\":\"{n:02}{}", &rest[2..]));
    numbered.collect::<Vec<_>>().join(",")
}

fn payloads(shelf: &mut Shelf) {
    let sound = payload(SEEN);
    let (log, rest) = sound
        .split_once(",\"source\"")
        .expect("the member behind log");
    let with = |more: &str| saying(&format!("{log},{more}\"source\"{rest}"));
    let other_log = sound.replacen("sha256:e2", "sha256:e3", 1);
    for (name, code, pack) in [
        (
            "record-with-a-member-twice",
            Code::NotStrictJson,
            with("\"agent\":\"a\","),
        ),
        (
            "record-with-a-member-twice-escaped",
            Code::NotStrictJson,
            with("\"\\u0061gent\":\"a\","),
        ),
        (
            "record-with-a-fraction",
            Code::NotStrictJson,
            with("\"ext\":{\"n\":1.0},"),
        ),
        (
            "record-with-an-exponent",
            Code::NotStrictJson,
            with("\"ext\":{\"n\":1e3},"),
        ),
        (
            "record-with-a-minus-zero",
            Code::NotStrictJson,
            with("\"ext\":{\"n\":-0},"),
        ),
        (
            "record-with-a-huge-number",
            Code::NotStrictJson,
            with("\"ext\":{\"n\":9007199254740992},"),
        ),
        (
            "record-with-a-lone-surrogate",
            Code::NotStrictJson,
            with("\"ext\":{\"n\":\"\\ud800\"},"),
        ),
        (
            "record-with-space-around",
            Code::NotStrictJson,
            saying(&format!("{sound}\n")),
        ),
        (
            "record-behind-a-byte-order-mark",
            Code::NotStrictJson,
            saying(&format!("\u{feff}{sound}")),
        ),
        ("record-of-nothing", Code::NotStrictJson, saying("")),
        (
            "record-of-another-log",
            Code::OriginMismatch,
            saying(&other_log),
        ),
    ] {
        shelf.lie(LEAVES, name, code, pack);
    }
    let deep = format!("\"ext\":{{\"n\":{}{}}},", "[".repeat(20), "]".repeat(20));
    for (name, code, pack) in [
        ("record-nested-deep", Code::NotStrictJson, with(&deep)),
        (
            "record-with-an-unknown-member",
            Code::UnknownMember,
            with("\"role\":\"operator\","),
        ),
        (
            "record-with-a-member-missing",
            Code::Malformed,
            saying(&sound.replacen("\"event\"", "\"ext\"", 1)),
        ),
        (
            "record-of-no-log",
            Code::OriginMismatch,
            saying(&sound.replacen(&sound[7..80], "null", 1)),
        ),
    ] {
        shelf.lie(RECORDS, name, code, pack);
    }
}

/// Free text that a page must not show as it is.
fn texts(shelf: &mut Shelf) {
    let sound = payload(SEEN);
    let (before, after) = sound.split_once("\"detail\":\"").expect("free text");
    let (_, after) = after.split_once('"').expect("its end");
    let with = |text: &str| saying(&format!("{before}\"detail\":\"{text}\"{after}"));
    for (name, text) in [
        ("text-that-runs-backwards", "paid \u{202e}000,1\u{202c} out"),
        ("text-that-is-isolated", "\u{2066}safe\u{2069}"),
        ("text-with-a-bell", "\\u0007"),
        ("text-with-a-line-break", "one\\ntwo"),
        ("text-with-a-c1-control", "\u{9b}31m"),
    ] {
        shelf.lie(RECORDS, name, Code::Malformed, with(text));
    }
    shelf.lie(
        RECORDS,
        "text-too-long",
        Code::Malformed,
        with(&"x".repeat(1025)),
    );
    // The text is sound, and the signature is not over it: a page shows both.
    let html = with("<script>alert(1)</script><img src=x onerror=alert(1)>");
    shelf.sound_to(super::TRUST, "sound-with-html-in-a-text", html);
    let mut forger = Forger::golden();
    let html = forger.leaves[SEEN].clone();
    let honest = envelope(&html).signatures()[0];
    let spoken = payload(SEEN).replacen("\"detail\":\"", "\"detail\":\"<svg onload=alert(1)>", 1);
    let unsigned = leaf(SEEN_MS, Kind::Observation, &spoken, &["observer"]);
    forger.leaves[SEEN] = resigned(&unsigned, honest);
    shelf.lie(
        SIGNATURES,
        "html-nobody-signed",
        Code::SignatureInvalid,
        forger.whole(),
    );
}

fn history(shelf: &mut Shelf) {
    let back = changed("_ms\":17", "_ms\":16");
    shelf.lie(LEAVES, "time-goes-back", Code::TimeRegressed, back);
    let mut headless = Forger::golden();
    headless.leaves.remove(0);
    let operator = Group {
        by: Some(Party::Operator),
        ..LEAVES
    };
    shelf.lie(
        operator,
        "log-without-charter",
        Code::CharterMissing,
        headless.whole(),
    );
    let mut usurped = Forger::golden();
    let charter = payload(0).replacen("observer", "overseer", 1);
    usurped.leaves[0] = leaf(1_764_000_000_005, Kind::Charter, &charter, &["root"]);
    // Whether the log or the reader's trust is another one, nobody can tell from here.
    let unknown = Group {
        by: Some(Party::Unknown),
        ..LEAVES
    };
    shelf.lie(
        unknown,
        "log-of-another-charter",
        Code::TrustMismatch,
        usurped.whole(),
    );
}

fn signed(shelf: &mut Shelf) {
    let sound = Forger::golden().leaves[SEEN].clone();
    let own = *signatures(&sound).values().next().expect("a signature");
    let with =
        |signature: Signature| Forger::with_leaf(SEEN, |leaf| resigned(leaf, signature)).whole();
    let altered = |change: &dyn Fn(&mut [u8; 64])| {
        let mut bytes = *own.sig.as_bytes();
        change(&mut bytes);
        with(Signature {
            sig: SignatureBytes::from_bytes(bytes),
            ..own
        })
    };
    let another = envelope(&Forger::golden().leaves[13]).signatures()[0];
    let stranger = PrivateKey::from_seed(&[99; 32]);
    let envelope_of_stranger =
        Envelope::sign(Kind::Observation, payload(SEEN).into_bytes(), &[&stranger]);
    let of_stranger = of_envelope(SEEN_MS, envelope_of_stranger.expect("an envelope"));
    // The neutral point: with it as key, zeros sign everything for who verifies loosely.
    let neutral = Digest::of(&[&{
        let mut point = [0; 32];
        point[0] = 1;
        point
    }])
    .to_string();
    let weak = sound.replacen(&own.keyid.to_string(), &neutral[7..39], 1);
    for (name, code, pack) in [
        (
            "record-signature-flipped",
            Code::SignatureInvalid,
            altered(&|bytes| bytes[0] ^= 1),
        ),
        (
            "record-signature-with-a-large-scalar",
            Code::SignatureInvalid,
            altered(&|bytes| add_order(bytes)),
        ),
        (
            "record-signature-of-zeros",
            Code::SignatureInvalid,
            altered(&|bytes| bytes.fill(0)),
        ),
        (
            "record-signature-of-another-record",
            Code::SignatureInvalid,
            with(Signature {
                sig: another.sig,
                ..own
            }),
        ),
        (
            "record-by-a-stranger",
            Code::KeyUnknown,
            Forger::with_leaf(SEEN, |_| of_stranger).whole(),
        ),
        (
            "record-by-the-neutral-point",
            Code::KeyUnknown,
            Forger::with_leaf(SEEN, |_| weak).whole(),
        ),
    ] {
        shelf.lie(SIGNATURES, name, code, pack);
    }
    part(shelf, own);
    let unapproved = |leaf: &str| {
        let (observer, agent) = (key("observer"), key("agent"));
        let payload = envelope(leaf).payload().to_vec();
        let signed = Envelope::sign(Kind::Manifest, payload, &[&observer, &agent]);
        of_envelope(1_764_000_001_005, signed.expect("an envelope"))
    };
    let unapproved = Forger::with_leaf(1, unapproved).whole();
    shelf.lie(
        SIGNATURES,
        "manifest-that-no-operator-signed",
        Code::RoleMissing,
        unapproved,
    );
}

/// The same in an agent's pack: a signature that its own key did not make is the log's, whatever was left out.
fn part(shelf: &mut Shelf, own: Signature) {
    let mut bytes = *own.sig.as_bytes();
    bytes[0] ^= 1;
    let sig = SignatureBytes::from_bytes(bytes);
    let forger = Forger::with_leaf(SEEN, |leaf| resigned(leaf, Signature { sig, ..own }));
    let agent = Selection::Agent("reconciler".parse().expect("a name"));
    let indices: Vec<u64> = (0..15).collect();
    shelf.lie(
        SIGNATURES,
        "agent-record-signature-flipped",
        Code::SignatureInvalid,
        text(&forger.selected(agent, &indices)),
    );
}

/// A leaf with another signature in place of its own.
fn resigned(leaf: &str, signature: Signature) -> String {
    let own = signatures(leaf);
    let (keyid, old) = own.iter().next().expect("a signature");
    leaf.replacen(keyid, &signature.keyid.to_string(), 1)
        .replacen(&old.sig.to_string(), &signature.sig.to_string(), 1)
}
