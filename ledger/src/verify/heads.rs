//! The verification of two checkpoints: whether the tree of the newer one grew out of that of the older.
//!
//! ```text
//! <checkpoint>                          as the log signed it, c2sp.org/tlog-checkpoint
//! <checkpoint>                          another one, older or newer
//! {"old":20,"new":40,"hashes":[…]}      the consistency proof, as the service or `dragons consistency --json` gives it
//! ```
//!
//! Two checkpoints of one size need no proof: they have the same root, or the log has signed two histories. Which of them is
//! the newer one, their sizes say.

use tlog::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use tlog::consistency::{self, ConsistencySteps};
use tlog::{Hash, ProofError, TreeSize};

use crate::codes::{Code, Party, Refusal};
use crate::json::{Members, Value, integer, object, parsed};
use crate::verify::causes::with_causes;
use crate::verify::draft::Draft;
use crate::verify::fault;
use crate::verify::head::{Signers, check_checkpoint, inclusion_refusal};
use crate::verify::log_keys::LogKeys;
use crate::verify::reading::{Reading, has_bom};
use crate::verify::report::{CheckId, Report, TraceStep};
use crate::verify::trust::Trust;

/// What stands in front of the first signature line of a note.
const SIGNATURES: &str = "\n\n\u{2014} ";

/// How a signature line begins.
const SIGNATURE: &str = "\u{2014} ";

/// Why what needs an entry is not checked.
const NO_ENTRY: &str = "a checkpoint says how large the log is, and not what is in it";

/// How one tree grew out of another, step by step, whatever roots the steps come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    old: (TreeSize, Hash),
    new: (TreeSize, Hash),
    /// The hash that both ways begin with. It is the root of the older tree if that is a whole subtree of the newer one, and
    /// comes with the proof otherwise.
    seed: Hash,
    steps: ConsistencySteps,
}

impl Growth {
    /// The way to the older root, then the way to the newer one. Both begin with the same hash.
    pub fn ways(&self) -> [Vec<TraceStep>; 2] {
        let way = |steps: &[tlog::Step]| steps.iter().copied().map(TraceStep::Join).collect();
        [way(&self.steps.old), way(&self.steps.new)]
    }

    /// The hash that both ways begin with, and whether it is the older root itself.
    pub fn seed(&self) -> (Hash, bool) {
        (self.seed, self.old.0.get().is_power_of_two())
    }

    /// As a page draws it.
    pub(super) fn to_value(&self) -> Value {
        let head = |(size, root): (TreeSize, Hash)| {
            object([
                ("size", size.get().into()),
                ("root", root.to_string().into()),
            ])
        };
        let [to_old, to_new] = self
            .ways()
            .map(|way| way.into_iter().map(TraceStep::to_value).collect::<Value>());
        let (seed, is_root) = self.seed();
        object([
            ("old", head(self.old)),
            ("new", head(self.new)),
            ("seed", seed.to_string().into()),
            ("seed_is_root", is_root.into()),
            ("to_old", to_old),
            ("to_new", to_new),
        ])
    }
}

/// Whether bytes hold more than one checkpoint, and nothing that is verified otherwise.
pub(super) fn holds_heads(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.replace("\r\n", "\n")
        .matches(SIGNATURES)
        .nth(1)
        .is_some()
}

/// Two checkpoints, the older one first, and the proof if it is there.
#[derive(Debug)]
pub(super) struct Heads {
    older: SignedCheckpoint,
    newer: SignedCheckpoint,
    proof: Option<Vec<Hash>>,
}

impl Heads {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| Code::PackMalformed.because(error))?;
        if has_bom(text) {
            return Err(Code::CheckpointMalformed.because("its origin begins with U+FEFF"));
        }
        let (notes, rest) = split(text);
        let [one, other] = notes.as_slice() else {
            let count = notes.len();
            return Err(Code::PackMalformed.because(format!("{count} checkpoints, and not two")));
        };
        let read = |note: &str| {
            SignedCheckpoint::parse(note)
                .map_err(|error| Code::CheckpointMalformed.because(with_causes(&error)))
        };
        let (one, other) = (read(one)?, read(other)?);
        let (older, newer) = match one.unverified().size <= other.unverified().size {
            true => (one, other),
            false => (other, one),
        };
        let sizes = (older.unverified().size, newer.unverified().size);
        let proof = match rest.trim_ascii() {
            "" => None,
            proof => Some(read_proof(proof, sizes)?),
        };
        Ok(Self {
            older,
            newer,
            proof,
        })
    }
}

/// The notes of a text, and what follows them: a proof is an object of JSON.
fn split(text: &str) -> (Vec<&str>, &str) {
    let (mut notes, mut rest, mut start, mut is_signed) = (Vec::new(), "", 0, false);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let is_signature = line.starts_with(SIGNATURE);
        if is_signed && !is_signature {
            notes.push(text.get(start..at).unwrap_or_default());
            start = at;
        }
        if line.starts_with('{') && start == at {
            rest = text.get(at..).unwrap_or_default();
            return (notes, rest);
        }
        (is_signed, at) = (is_signature, at.saturating_add(line.len()));
    }
    let last = text.get(start..).unwrap_or_default();
    match last.contains(SIGNATURES) {
        true => notes.push(last),
        false => rest = last,
    }
    (notes, rest)
}

/// The hashes of a proof between these sizes. `old` and `new` are sizes, or objects that have one.
fn read_proof(text: &str, sizes: (TreeSize, TreeSize)) -> Result<Vec<Hash>, Refusal> {
    let malformed = |refusal: Refusal| Code::ProofMalformed.because(refusal.detail);
    let read = || {
        let mut fields = Members::open("proof", Value::parse(text.as_bytes())?)?;
        let old = fields.required("old", size)?;
        let new = fields.required("new", size)?;
        let hashes = fields.list("hashes", parsed::<Hash>)?;
        Ok((TreeSize::new(old), TreeSize::new(new), hashes))
    };
    let (old, new, hashes) = read().map_err(malformed)?;
    if (old, new) == sizes {
        return Ok(hashes);
    }
    let why = format!(
        "the proof is of the sizes {old} and {new}, and the checkpoints are of {} and {}",
        sizes.0, sizes.1
    );
    Err(Code::ProofMalformed.because(why))
}

fn size(path: &str, value: Value) -> Result<u64, Refusal> {
    match value {
        Value::Object(_) => Members::open(path, value)?.required("size", integer),
        value => integer(path, value),
    }
}

pub(super) fn verify(evidence: &[u8], trust: &Trust) -> Report {
    let mut draft = Draft::default();
    draft.aside.is_of_heads = true;
    match Heads::parse(evidence) {
        Ok(heads) => check(&mut draft, &heads, trust),
        Err(refusal) => {
            draft.aside.reading = Reading::of(evidence);
            let refusal = draft.aside.reading.told(refusal);
            super::proof::give_up(&mut draft, refusal);
        }
    }
    draft.finish(|check| match check {
        CheckId::Form | CheckId::Checkpoint | CheckId::Consistency => true,
        CheckId::Witnesses => trust.policy.needs_witnesses(),
        _ => false,
    })
}

fn check(draft: &mut Draft, heads: &Heads, trust: &Trust) {
    let (old, new) = (heads.older.unverified().size, heads.newer.unverified().size);
    let with = match heads.proof {
        Some(_) => "with a consistency proof",
        None => "without a consistency proof",
    };
    draft.pass(
        CheckId::Form,
        format!("two checkpoints, of {old} and of {new} entries, {with}"),
    );
    let none = LogKeys::default();
    let signers = Signers::of(trust, &none);
    let older = signers.verify(&heads.older);
    let newer = match older {
        Ok(_) => check_checkpoint(draft, &heads.newer, signers),
        Err(_) => None,
    };
    match (older, newer) {
        (Ok(older), Some(newer)) => check_growth(draft, &older, &newer, heads.proof.as_deref()),
        (older, _) => {
            if let Err((refusal, by)) = older {
                let detail = format!("of the checkpoint of {old} entries: {}", refusal.detail);
                draft.fail_by(CheckId::Checkpoint, refusal.code.because(detail), by, None);
                draft.skip(CheckId::Witnesses, "the log did not sign both checkpoints");
            }
            draft.skip(
                CheckId::Consistency,
                "the log did not sign both checkpoints",
            );
        }
    }
    for check in [
        CheckId::Inclusion,
        CheckId::Leaves,
        CheckId::Signatures,
        CheckId::Chains,
    ] {
        draft.skip(check, NO_ENTRY);
    }
}

fn check_growth(
    draft: &mut Draft,
    older: &VerifiedCheckpoint,
    newer: &VerifiedCheckpoint,
    proof: Option<&[Hash]>,
) {
    let id = CheckId::Consistency;
    let (old, new) = (older.size(), newer.size());
    if let Err((refusal, by)) = of_one_tree(older, newer) {
        return draft.fail_by(id, refusal, by, None);
    }
    let is_trivial = old == new || old == TreeSize::EMPTY;
    let Some(proof) = proof.or(is_trivial.then_some(&[])) else {
        let why = format!(
            "the proof that the tree of {new} entries grew out of that of {old} is not here. \
             `dragons consistency {old} {new} --json` prints it, and the log serves it at /v1/consistency?old={old}&new={new}"
        );
        return draft.skip(id, why);
    };
    draft.growth = growth(proof, older, newer);
    match consistency::verify(proof, old, older.root(), new, newer.root()) {
        Ok(_) if old == new => {
            draft.pass(id, format!("both are of the same tree of {new} entries"));
        }
        Ok(_) => {
            let count = proof.len();
            let detail =
                format!("the tree of {new} entries grew out of that of {old}, by {count} hashes");
            draft.pass(id, detail);
        }
        Err(error) => {
            let (refusal, by) = not_grown(&error, older, newer);
            draft.fail_by(id, refusal, by, None);
        }
    }
}

/// Two checkpoints of different logs say nothing of each other. Two of one log and one size have one root.
fn of_one_tree(
    older: &VerifiedCheckpoint,
    newer: &VerifiedCheckpoint,
) -> Result<(), (Refusal, Party)> {
    let (origin, new) = (newer.origin(), newer.size());
    let (one, other) = (older.root(), newer.root());
    if older.origin() != origin {
        let why = format!("one is of {}, the other of {origin}", older.origin());
        return Err((Code::OriginUnknown.because(why), Party::Unknown));
    }
    if older.size() == new && one != other {
        let why = format!(
            "{origin} signed two trees of {new} entries, one with the root {one} and one with the root {other}"
        );
        return Err((Code::Inconsistent.because(why), Party::Log));
    }
    Ok(())
}

/// Where the hashes lead to the newer root, what they say of the older tree is the log's own word. Where they do not, anybody
/// can have changed them.
fn not_grown(
    error: &ProofError,
    older: &VerifiedCheckpoint,
    newer: &VerifiedCheckpoint,
) -> (Refusal, Party) {
    let (old, new) = (older.size(), newer.size());
    match error {
        ProofError::RootMismatch { size, computed, .. } if *size == old => {
            let (origin, root) = (newer.origin(), older.root());
            let why = format!(
                "{origin} signed the root {root} for its first {old} entries, and a tree of {new} entries in which they have \
                 the root {computed}"
            );
            (Code::Inconsistent.because(why), Party::Log)
        }
        error => {
            let refusal = inclusion_refusal(error);
            let by = fault::of_evidence(refusal.code);
            (refusal, by)
        }
    }
}

/// The steps that the hashes lead to, whatever roots they come to. None where there are none to take.
fn growth(
    proof: &[Hash],
    older: &VerifiedCheckpoint,
    newer: &VerifiedCheckpoint,
) -> Option<Growth> {
    let (old, new) = (older.size(), newer.size());
    let seed = match old.get().is_power_of_two() {
        true => *older.root(),
        false => *proof.first()?,
    };
    let (mut old_root, mut new_root) = (*older.root(), *newer.root());
    // Each time one of the two roots becomes what the hashes lead to.
    for _ in 0..=2 {
        match consistency::verify(proof, old, &old_root, new, &new_root) {
            Err(ProofError::RootMismatch { size, computed, .. }) if size == new => {
                new_root = computed;
            }
            Err(ProofError::RootMismatch { computed, .. }) => old_root = computed,
            Err(_) => return None,
            Ok(steps) if steps.new.is_empty() => return None,
            Ok(steps) => {
                let (old, new) = ((old, *older.root()), (new, *newer.root()));
                return Some(Growth {
                    old,
                    new,
                    seed,
                    steps,
                });
            }
        }
    }
    None
}
