//! Packs that hold less than they might: what is left out at the end, in between or beside, and heads by keys that charters
//! brought or took away. What is missing is nobody's fault in the log, and what is there is judged only as far as it reaches.

use ledger::codes::{Code, Party};
use ledger::pack::Selection;
use ledger::record::Verdict as Judged;
use ledger::verify::{CheckId, Trust, Verdict};
use proving::record;
use tlog::TreeSize;
use tlog::checkpoint::{self, Checkpoint, SignedCheckpoint};
use tlog::note::SigningKey;

use super::forger::{Forger, name, text};
use super::scene::{SECOND, START, Scene};
use super::{Group, Layer, Sample, Shelf};

const RECORDS: Layer = Layer::Records;
const CHECKPOINT: Group = Group::of(Layer::Records, CheckId::Checkpoint);
const STRAY: Group = Group::by(Layer::Records, CheckId::Checkpoint, Party::Log);
const STRAY_IN_A_PART: Group = Group::by(Layer::Records, CheckId::Checkpoint, Party::Producer);
const SIGNATURES: Group = Group::by(Layer::Records, CheckId::Signatures, Party::Producer);
const CLOCK: Group = Group::by(Layer::Records, CheckId::Leaves, Party::Log);

pub(super) fn fill(shelf: &mut Shelf) {
    ends(shelf);
    left_out(shelf);
    clocks(shelf);
    log_keys(shelf);
}

/// The end of a log is left out under its own newest head, and with it what was decided last.
fn ends(shelf: &mut Shelf) {
    let golden = Forger::golden();
    shelf.sound_part("sound-beginning", golden.pack(0, 10));
    shelf.sound_part("sound-but-for-the-last", golden.pack(0, 15));
    shelf.sound_part("sound-end", golden.pack(1, 16));
    let mut scene = Scene::begin();
    let goal = scene.goal();
    scene.step(record::outcome(goal, Judged::Accepted));
    let before = scene.log.size().get();
    scene.operators_say(record::revocation(scene.lease));
    scene.pulse();
    let head = scene.log.checkpoint(scene.log.size());
    let pack = scene.log.pack_of(0, before, &head);
    let trust = scene.log.trust().to_json();
    shelf.fits_at(
        RECORDS,
        &trust,
        "revocation-not-shown",
        Verdict::Incomplete,
        pack,
    );
}

/// An agent's pack without what its records rest on.
fn left_out(shelf: &mut Shelf) {
    let of_agent = |indices: &[u64]| {
        let agent = Selection::Agent("reconciler".parse().expect("a name"));
        text(&Forger::golden().selected(agent, indices))
    };
    let without_manifest: Vec<u64> = (0..15).filter(|index| *index != 1).collect();
    shelf.lie(
        SIGNATURES,
        "agent-without-manifest",
        Code::KeyUnknown,
        of_agent(&without_manifest),
    );
    let (scene, new) = amended();
    let head = signed_by(&new, &scene, scene.log.size());
    let agent = record::name("a");
    let whole = scene.log.pack_of_agent(&agent, &head);
    let trust = scene.log.trust().to_json();
    shelf.fits_at(
        RECORDS,
        &trust,
        "sound-agent-under-a-new-key",
        Verdict::Incomplete,
        whole,
    );
}

/// A head that witnesses saw before the log says that it received what is under it.
fn clocks(shelf: &mut Shelf) {
    let mut scene = Scene::begin();
    scene.pass(60, true);
    let size = scene.log.size();
    let trust = scene.log.trust_witnessed().to_json();
    let seen_at = |time_s| {
        let head = scene.log.cosigned(size, time_s);
        scene.log.pack_of(0, size.get(), &head)
    };
    let (an_hour_ago, now) = (START / SECOND, START / SECOND + 3600);
    shelf.lie_to(
        &trust,
        CLOCK,
        "head-witnessed-before-its-last-entry",
        Code::ClockImplausible,
        seen_at(an_hour_ago),
    );
    shelf.fits_at(
        RECORDS,
        &trust,
        "sound-witnessed-at-once",
        Verdict::Verified,
        seen_at(now),
    );
}

/// A log whose charter replaced its key, and the new key.
fn amended() -> (Scene, SigningKey) {
    let mut scene = Scene::begin();
    let root = scene.keys().root;
    scene.amend(
        |charter| charter.log_keys = vec![second_key().verifier_key()],
        &root,
    );
    scene.pulse();
    (scene, second_key())
}

fn second_key() -> SigningKey {
    SigningKey::new(name(proving::keys::ORIGIN), &[77; 32])
}

/// The head of a size by a key.
fn signed_by(key: &SigningKey, scene: &Scene, size: TreeSize) -> SignedCheckpoint {
    let head: Checkpoint = scene.log.checkpoint(size).unverified().clone();
    SignedCheckpoint::parse(&checkpoint::sign(key, &head)).expect("what was signed reads back")
}

fn log_keys(shelf: &mut Shelf) {
    let (scene, new) = amended();
    let (size, old) = (scene.log.size(), scene.keys().log);
    // The amendment is in front of a last pulse.
    let changed_at = size.get() - 2;
    let trust: Trust = scene.log.trust();
    let trust = trust.to_json();
    let whole = |key: &SigningKey, size: TreeSize| {
        let head = signed_by(key, &scene, size);
        scene.log.pack_of(0, size.get(), &head)
    };
    let agent = |key: &SigningKey| {
        let head = signed_by(key, &scene, size);
        scene.log.pack_of_agent(&record::name("a"), &head)
    };
    let amendment = TreeSize::new(changed_at + 1);
    for (name, verdict, pack) in [
        (
            "sound-under-a-new-key",
            Verdict::Verified,
            whole(&new, size),
        ),
        (
            "sound-amendment-under-the-old-key",
            Verdict::Verified,
            whole(&old, amendment),
        ),
        (
            "sound-amendment-under-the-new-key",
            Verdict::Verified,
            whole(&new, amendment),
        ),
    ] {
        shelf.fits_at(RECORDS, &trust, name, verdict, pack);
    }
    // The witnesses that the trust asks for count under a key that only the charters name, and are asked for there too.
    let head = signed_by(&new, &scene, size);
    let seen = scene
        .keys()
        .witness
        .cosign(head.unverified(), START / SECOND + 60);
    let cosigned = head.clone().with_signature(seen.expect("a time"));
    let cosigned = cosigned.expect("two signatures");
    let witnessed = scene.log.trust_witnessed().to_json();
    shelf.fits_at(
        RECORDS,
        &witnessed,
        "sound-witnessed-under-a-new-key",
        Verdict::Verified,
        scene.log.pack_of(0, size.get(), &cosigned),
    );
    shelf.lie_to(
        &witnessed,
        Group::of(RECORDS, CheckId::Witnesses),
        "new-key-that-no-witness-saw",
        Code::QuorumNotMet,
        whole(&new, size),
    );
    let code = Code::CheckpointNotInCharter;
    shelf.lie_to(
        &trust,
        STRAY,
        "head-by-a-key-taken-away",
        code,
        whole(&old, size),
    );
    shelf.lie_to(
        &trust,
        STRAY_IN_A_PART,
        "agent-under-a-key-taken-away",
        code,
        agent(&old),
    );
    let stranger = SigningKey::new(name(proving::keys::ORIGIN), &[78; 32]);
    let early = TreeSize::new(changed_at);
    let unseen = scene
        .log
        .pack_of(0, early.get(), &signed_by(&new, &scene, size));
    for (name, pack) in [
        ("head-by-a-key-of-nobody", whole(&stranger, size)),
        ("agent-under-a-key-of-nobody", agent(&stranger)),
        ("head-by-the-next-key-too-soon", whole(&new, early)),
        ("beginning-under-a-key-not-shown", unseen),
    ] {
        shelf.lie_to(
            &trust,
            CHECKPOINT,
            name,
            Code::CheckpointSignatureInvalid,
            pack,
        );
    }
    forged_chain(shelf, &trust, &stranger);
    moved_amendment(shelf, &scene, changed_at);
}

/// The amendment that took a key away, put in front of a head that this key had signed before. Only whoever made the pack
/// can have done that.
fn moved_amendment(shelf: &mut Shelf, scene: &Scene, changed_at: u64) {
    let trust = scene.log.trust().to_json();
    let (size, early) = (scene.log.size(), TreeSize::new(changed_at));
    let old = scene.keys().log;
    let lines = |size: TreeSize, from: u64| -> Vec<String> {
        let pack = scene
            .log
            .pack_of(from, size.get(), &signed_by(&old, scene, size));
        pack.split_inclusive('\n').map(str::to_owned).collect()
    };
    let at = |index: u64| format!("{{\"index\":{index},");
    let amendment = lines(size, 0)
        .into_iter()
        .find(|line| line.starts_with(&at(changed_at)))
        .expect("the amendment");
    let mut moved = lines(early, 0);
    let place = changed_at - 2;
    for line in moved.iter_mut().filter(|line| line.starts_with(&at(place))) {
        *line = amendment.replacen(&at(changed_at), &at(place), 1);
    }
    assert_ne!(moved, lines(early, 0));
    shelf.lie_to(
        &trust,
        Group::of(RECORDS, CheckId::Inclusion),
        "amendment-moved-before-a-head",
        Code::RootMismatch,
        moved.concat(),
    );
}

/// Whoever has no root's key brings a charter of his own, and signs the head with the key that it names.
fn forged_chain(shelf: &mut Shelf, trust: &str, stranger: &SigningKey) {
    let mut scene = Scene::begin();
    let operator = scene.keys().operator;
    scene.amend(
        |charter| {
            let key = SigningKey::new(name(proving::keys::ORIGIN), &[78; 32]);
            charter.log_keys = vec![key.verifier_key()];
        },
        &operator,
    );
    let size = scene.log.size();
    let head = signed_by(stranger, &scene, size);
    let whole = scene.log.pack_of(0, size.get(), &head);
    let agent = scene.log.pack_of_agent(&record::name("a"), &head);
    for (name, pack) in [
        ("head-by-the-key-of-a-forged-charter", whole),
        ("agent-under-the-key-of-a-forged-charter", agent),
    ] {
        shelf.lie_to(
            trust,
            CHECKPOINT,
            name,
            Code::CheckpointSignatureInvalid,
            pack,
        );
    }
}

/// How packs are damaged and cut on the way, to whom it must not be laid: see the test of it.
pub fn of_the_log() -> Vec<Sample> {
    let mut shelf = Shelf::default();
    let golden = Forger::golden();
    let agent = Selection::Agent("reconciler".parse().expect("a name"));
    let indices: Vec<u64> = (0..15).collect();
    let earlier = golden.pack_with(0, 16, Some(golden.earlier(5)));
    shelf.sound_part("agent", text(&golden.selected(agent, &indices)));
    shelf.sound_part("window", golden.pack(3, 9));
    shelf.sound_to(super::TRUST, "whole", golden.whole());
    shelf.sound_to(super::TRUST, "earlier", earlier);
    shelf.sound_to(super::TRUST, "proof", golden.proof(6).to_string());
    shelf.sound_to(super::TRUST, "charter", golden.proof(0).to_string());
    shelf.samples
}

/// Sound packs of one log whose key was replaced: somebody may put lines of one into another.
pub fn of_one_log() -> Vec<Sample> {
    let mut shelf = Shelf::default();
    let (scene, new) = amended();
    let (size, old) = (scene.log.size(), scene.keys().log);
    let trust = scene.log.trust().to_json();
    let amendment = TreeSize::new(size.get() - 1);
    let early = TreeSize::new(size.get() - 2);
    for (name, key, of) in [
        ("new", &new, size),
        ("amendment", &old, amendment),
        ("early", &old, early),
    ] {
        let head = signed_by(key, &scene, of);
        shelf.sound_to(&trust, name, scene.log.pack_of(0, of.get(), &head));
    }
    let agent = scene
        .log
        .pack_of_agent(&record::name("a"), &signed_by(&new, &scene, size));
    shelf.fits_at(RECORDS, &trust, "agent", Verdict::Incomplete, agent);
    shelf.samples
}
