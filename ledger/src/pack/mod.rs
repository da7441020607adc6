//! Evidence packs: a window of the log in one file, `.pack.jsonl`.
//!
//! ```text
//! {"pack":"dragons.pack/v1","origin":…,"size":…,"selection":…,"count":…}
//! {"checkpoint":"…"}                                  of that size, with its cosignatures
//! {"earlier":{"checkpoint":"…","consistency":[…]}}    may be missing
//! {"disclosures":[…]}                                 may be missing, and is not empty
//! {"state":{"size":…,"entries":…,"root":…}}           may be missing; then the pack begins with the pulse of that index
//! {"entry":{…}}                                       one an entry of that state
//! {"proof":[…]}                                       the subset proof, see [`tlog::subset`]
//! {"index":…,"leaf":"…"}                              one a leaf, ascending
//! ```
//!
//! A selection is `{"range":{"from":…,"to":…}}` (half-open), `{"agent":"…"}` or `{"goal":"sha256:…"}`; the last two bring
//! the authority with them that they rest on, see [`Membership`].
//!
//! Every line has one spelling: members in this order, no spaces, one LF. The proof stands before the leaves, so that
//! they are checked against it while they stream by.
//!
//! In scope: the lines, their order and their number, [read](Reader) from chunks of bytes that may be hostile. Out of
//! scope: whether any of it is true, which [`verify`](crate::verify) says.

mod disclosure;
mod membership;
mod reader;
mod selection;

use std::fmt;

use tlog::checkpoint::SignedCheckpoint;
use tlog::{Hash, LeafIndex, TreeSize};

pub use disclosure::{Disclosure, Side};
pub use membership::Membership;
pub use reader::{MAX_HEAD_LINE_BYTES, MAX_LEAF_LINE_BYTES, MAX_LIST_LINE_BYTES, Reader};
pub use selection::{Range, Selection};

use crate::codes::{Code, Refusal};
use crate::json::{Members, Value, integer, object, string};
use crate::record::StateAt;
use crate::text::quoted;

/// The name of this form of pack.
pub const FORMAT: &str = "dragons.pack/v1";

/// The most hashes that a window or a consistency proof can need: at most one subtree on either side of it at each of
/// the 64 levels that a tree can have.
pub const MAX_WINDOW_HASHES: usize = 128;

/// The most hashes in the proof of scattered leaves: a quarter of a million, 8 MiB. They stand in one line, which has to
/// be held, so this bounds the memory of whoever makes or reads a pack; twenty thousand leaves of a million, spread at
/// random, need half of them.
pub const MAX_HASHES: usize = 1 << 18;

/// The most disclosures in a pack: more than one goal's actions have values.
pub const MAX_DISCLOSURES: usize = 4096;

/// One line of a pack. Formatting writes it, with its LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first: what the pack says it holds.
    Header(Header),
    /// The checkpoint that everything is proven against.
    Checkpoint(Box<SignedCheckpoint>),
    /// An older checkpoint of the same log.
    Earlier(Box<Earlier>),
    /// Values that open commitments of the records in it.
    Disclosures(Vec<Disclosure>),
    /// The state in front of the first leaf.
    State(StateAt),
    /// An entry of that state.
    StateEntry(String),
    /// The subset proof of the leaves.
    Proof(Vec<Hash>),
    /// A leaf.
    Leaf(Entry),
}

/// What a pack says it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which log, by the first line of its checkpoints.
    pub origin: String,
    /// The size of the tree.
    pub size: TreeSize,
    /// Which of its leaves.
    pub selection: Selection,
    /// How many those are.
    pub count: u64,
}

/// An older checkpoint, and why the newer one is of the same history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The older checkpoint, which nobody has checked.
    pub checkpoint: SignedCheckpoint,
    /// The consistency proof, RFC 6962 §2.1.2.
    pub consistency: Vec<Hash>,
}

/// A leaf and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is in the log.
    pub index: LeafIndex,
    /// The exact bytes that the log hashes. Leaves are JSON, so they are text.
    pub leaf: String,
}

impl Line {
    /// Reads a line with its LF.
    ///
    /// # Errors
    /// `checkpoint-malformed` or `proof-malformed` for those parts, `pack-count` or `pack-selection` for a header that
    /// contradicts itself, `pack-malformed` for all else, another spelling of a sound line included.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let json = bytes
            .strip_suffix(b"\n")
            .ok_or_else(|| Code::PackMalformed.because("the line has no end"))?;
        let line = Value::parse(json)
            .and_then(Self::from_value)
            .map_err(of_pack)?;
        if line.to_text().as_bytes() != bytes {
            return Err(Code::PackMalformed.because("the line is spelled in another way"));
        }
        Ok(line)
    }

    /// Its first member names a line, since members stand in one order.
    fn from_value(value: Value) -> Result<Self, Refusal> {
        let first = match &value {
            Value::Object(members) => members.first().map(|(name, _)| name.clone()),
            _ => None,
        };
        let mut members = Members::open("", value)?;
        let line = match first.as_deref() {
            Some("pack") => Self::Header(Header::read(&mut members)?),
            Some("checkpoint") => {
                Self::Checkpoint(Box::new(members.required("checkpoint", checkpoint)?))
            }
            Some("earlier") => Self::Earlier(Box::new(members.required("earlier", earlier)?)),
            Some("disclosures") => Self::Disclosures(disclosures(&mut members)?),
            Some("state") => Self::State(members.required("state", StateAt::read)?),
            Some("entry") => Self::StateEntry(members.take("entry")?.to_json()),
            Some("proof") => Self::Proof(hashes(&mut members, "proof", MAX_HASHES)?),
            Some("index") => Self::Leaf(Entry::read(&mut members)?),
            _ => return Err(Code::PackMalformed.because("no pack has such a line")),
        };
        members.finish().map(|()| line)
    }

    /// With its LF.
    fn to_text(&self) -> String {
        let mut text = match self {
            Self::StateEntry(entry) => format!("{{\"entry\":{entry}}}"),
            _ => self.to_value().to_json(),
        };
        text.push('\n');
        text
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Header(header) => header.to_value(),
            Self::Checkpoint(signed) => object([("checkpoint", signed.to_string().into())]),
            Self::Earlier(earlier) => object([(
                "earlier",
                object([
                    ("checkpoint", earlier.checkpoint.to_string().into()),
                    ("consistency", texts(&earlier.consistency)),
                ]),
            )]),
            Self::Disclosures(disclosures) => {
                let values = disclosures.iter().map(Disclosure::to_value);
                object([("disclosures", values.collect())])
            }
            Self::State(at) => object([("state", at.to_value())]),
            // Its text is what is kept of it: see `to_text`.
            Self::StateEntry(_) => Value::Null,
            Self::Proof(proof) => object([("proof", texts(proof))]),
            Self::Leaf(entry) => object([
                ("index", entry.index.get().into()),
                ("leaf", entry.leaf.as_str().into()),
            ]),
        }
    }

    /// What people call it.
    const fn name(&self) -> &'static str {
        match self {
            Self::Header(_) => "a header",
            Self::Checkpoint(_) => "a checkpoint",
            Self::Earlier(_) => "an earlier checkpoint",
            Self::Disclosures(_) => "disclosures",
            Self::State(_) => "a state",
            Self::StateEntry(_) => "an entry of a state",
            Self::Proof(_) => "a proof",
            Self::Leaf(_) => "a leaf",
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl Header {
    fn read(members: &mut Members) -> Result<Self, Refusal> {
        let format = members.required("pack", string)?;
        if format != FORMAT {
            return Err(
                Code::PackMalformed.because(format!("a pack of the form {}", quoted(&format)))
            );
        }
        let origin = members.required("origin", string)?;
        let size = TreeSize::new(members.required("size", integer)?);
        let read = |path: &str, value| Selection::read(path, value, size);
        let selection = members.required("selection", read)?;
        let count = members.required("count", integer)?;
        selection.check_count(count, size)?;
        Ok(Self {
            origin,
            size,
            selection,
            count,
        })
    }

    fn to_value(&self) -> Value {
        object([
            ("pack", FORMAT.into()),
            ("origin", self.origin.as_str().into()),
            ("size", self.size.get().into()),
            ("selection", self.selection.to_value()),
            ("count", self.count.into()),
        ])
    }
}

impl Entry {
    fn read(members: &mut Members) -> Result<Self, Refusal> {
        let index = LeafIndex::new(members.required("index", integer)?);
        let leaf = members.required("leaf", string)?;
        Ok(Self { index, leaf })
    }
}

fn earlier(path: &str, value: Value) -> Result<Earlier, Refusal> {
    let mut members = Members::open(path, value)?;
    let checkpoint = members.required("checkpoint", checkpoint)?;
    let consistency = hashes(&mut members, "consistency", MAX_WINDOW_HASHES)?;
    members.finish()?;
    Ok(Earlier {
        checkpoint,
        consistency,
    })
}

fn checkpoint(path: &str, value: Value) -> Result<SignedCheckpoint, Refusal> {
    SignedCheckpoint::parse(&string(path, value)?)
        .map_err(|error| Code::CheckpointMalformed.because(error))
}

fn disclosures(members: &mut Members) -> Result<Vec<Disclosure>, Refusal> {
    let disclosures = members.list("disclosures", Disclosure::read)?;
    let got = disclosures.len();
    if (1..=MAX_DISCLOSURES).contains(&got) {
        return Ok(disclosures);
    }
    Err(Code::PackMalformed.because(format!("{got} disclosures, not 1 to {MAX_DISCLOSURES}")))
}

pub(crate) fn hashes(members: &mut Members, name: &str, most: usize) -> Result<Vec<Hash>, Refusal> {
    let hashes = members.list(name, |path, value| {
        let text = string(path, value)?;
        text.parse()
            .map_err(|error| Code::ProofMalformed.because(format!("{path}: {error}")))
    })?;
    let got = hashes.len();
    if got > most {
        return Err(
            Code::ProofMalformed.because(format!("{name} has {got} hashes, at most {most}"))
        );
    }
    Ok(hashes)
}

pub(crate) fn texts(hashes: &[Hash]) -> Value {
    hashes.iter().map(Hash::to_string).collect()
}

/// The JSON reader's refusal of a record, as one of a pack.
fn of_pack(refusal: Refusal) -> Refusal {
    match refusal.code {
        Code::Malformed | Code::NotStrictJson | Code::UnknownMember => {
            Code::PackMalformed.because(refusal)
        }
        _ => refusal,
    }
}

#[cfg(test)]
mod tests;
