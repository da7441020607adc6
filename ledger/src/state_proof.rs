//! State proofs: what one pulse says of one agent, in a file of a few kilobytes, `.state-proof.jsonl`.
//!
//! ```text
//! {"state_proof":"dragons.state-proof/v1","origin":…,"size":…,"agent":…,"pulse":…}
//! {"checkpoint":"…"}                                      of that size, with its cosignatures
//! {"inclusion":[…]}                                       of the pulse, RFC 6962 §2.1.1
//! {"index":…,"leaf":"…"}                                  the pulse
//! {"branches":{"log":…,"agents":{…},"leases":{…}}}        what the pulse's state root is over
//! {"entry":{…},"position":…,"path":[…]}                   of the agent, and of its lease if it has one
//! ```
//!
//! Of an agent that was not there, the entries are those of its neighbours by name: two with positions that follow each
//! other, or the first or the last alone. Every line has one spelling: members in this order, no spaces, one LF.
//!
//! In scope: the lines and their order. Out of scope: whether any of it is true, which
//! [`verify`](crate::verify) says.

use std::fmt;

use tlog::checkpoint::SignedCheckpoint;
use tlog::{Hash, TreeSize};

use crate::codes::{Code, Refusal};
use crate::govern::{Branches, PlacedEntry};
use crate::json::{Members, Value, integer, object, parsed, string};
use crate::pack::{Entry, Line, MAX_WINDOW_HASHES, hashes, texts};
use crate::record::StateRoot;
use crate::text::{Name, quoted};

/// The name of this form of proof.
pub const FORMAT: &str = "dragons.state-proof/v1";

/// What a state proof begins with: its header's first member.
pub(crate) const START: &[u8] = b"{\"state_proof\":";

/// The most entries: those of two neighbours, or of an agent and its lease.
const MAX_ENTRIES: usize = 2;

/// What one pulse says about one agent. Formatting writes the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    /// The agent.
    pub agent: Name,
    /// The checkpoint that the pulse is proven against.
    pub checkpoint: Box<SignedCheckpoint>,
    /// The inclusion proof of the pulse.
    pub inclusion: Vec<Hash>,
    /// The pulse.
    pub pulse: Entry,
    /// What its state root is over.
    pub branches: Branches,
    /// Entries of the state, with where they stand.
    pub entries: Vec<PlacedEntry>,
}

impl StateProof {
    /// Reads a file.
    ///
    /// # Errors
    /// `checkpoint-malformed` or `proof-malformed` for those parts, `pack-malformed` for all else.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let proof = Self::read(text).map_err(|refusal| match refusal.code {
            Code::Malformed | Code::NotStrictJson | Code::UnknownMember => {
                Code::PackMalformed.because(refusal)
            }
            _ => refusal,
        })?;
        if proof.to_string() != text {
            return Err(Code::PackMalformed.because("it is spelled in another way"));
        }
        Ok(proof)
    }

    fn read(text: &str) -> Result<Self, Refusal> {
        let mut lines = text.split_inclusive('\n');
        let mut next = || {
            let ends = || Code::PackMalformed.because("it ends before its time");
            lines.next().ok_or_else(ends)
        };
        let mut header = open(next()?)?;
        let format = header.required("state_proof", string)?;
        if format != FORMAT {
            let why = format!("a state proof of the form {}", quoted(&format));
            return Err(Code::PackMalformed.because(why));
        }
        let agent = header.required("agent", parsed)?;
        let Line::Checkpoint(checkpoint) = Line::parse(next()?.as_bytes())? else {
            return Err(Code::PackMalformed.because("it has no checkpoint"));
        };
        let inclusion = hashes(&mut open(next()?)?, "inclusion", MAX_WINDOW_HASHES)?;
        let Line::Leaf(pulse) = Line::parse(next()?.as_bytes())? else {
            return Err(Code::PackMalformed.because("it has no pulse"));
        };
        let branches = open(next()?)?.required("branches", Branches::read)?;
        let entries: Vec<&str> = lines.collect();
        if entries.len() > MAX_ENTRIES {
            return Err(Code::PackMalformed.because(format!("more than {MAX_ENTRIES} entries")));
        }
        let entries = entries.into_iter().map(placed).collect::<Result<_, _>>()?;
        Ok(Self {
            agent,
            checkpoint,
            inclusion,
            pulse,
            branches,
            entries,
        })
    }
}

fn open(line: &str) -> Result<Members, Refusal> {
    Members::open("", Value::parse(line.trim_end_matches('\n').as_bytes())?)
}

fn placed(line: &str) -> Result<PlacedEntry, Refusal> {
    let mut members = open(line)?;
    Ok(PlacedEntry {
        entry: members.take("entry")?.to_json(),
        position: members.required("position", integer)?,
        path: hashes(&mut members, "path", MAX_WINDOW_HASHES)?,
    })
}

impl fmt::Display for StateProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            checkpoint, pulse, ..
        } = self;
        let head = checkpoint.unverified();
        let header = object([
            ("state_proof", FORMAT.into()),
            ("origin", head.origin.as_str().into()),
            ("size", head.size.get().into()),
            ("agent", (&self.agent).into()),
            ("pulse", pulse.index.get().into()),
        ]);
        let inclusion = object([("inclusion", texts(&self.inclusion))]);
        let branches = object([("branches", self.branches.to_value())]);
        writeln!(f, "{}", header.to_json())?;
        write!(f, "{}", Line::Checkpoint(checkpoint.clone()))?;
        writeln!(f, "{}", inclusion.to_json())?;
        write!(f, "{}", Line::Leaf(pulse.clone()))?;
        writeln!(f, "{}", branches.to_json())?;
        for placed in &self.entries {
            let (entry, position) = (&placed.entry, placed.position);
            let path = texts(&placed.path).to_json();
            writeln!(
                f,
                "{{\"entry\":{entry},\"position\":{position},\"path\":{path}}}"
            )?;
        }
        Ok(())
    }
}

impl Branches {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let branches = Self {
            log: members.required("log", parsed)?,
            agents: members.required("agents", StateRoot::read)?,
            leases: members.required("leases", StateRoot::read)?,
        };
        members.finish().map(|()| branches)
    }

    fn to_value(&self) -> Value {
        object([
            ("log", self.log.to_string().into()),
            ("agents", self.agents.to_value()),
            ("leases", self.leases.to_value()),
        ])
    }
}

impl StateProof {
    /// The size of the tree that the pulse is proven against; nobody has checked it.
    pub fn size(&self) -> TreeSize {
        self.checkpoint.unverified().size
    }
}
