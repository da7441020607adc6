//! Lies: evidence that is wrong, each piece in its own way, and what a verifier has to say about it.
//!
//! They are made by whom the verifier must not believe: a producer who edits what a sound log gave out, and a log that signs
//! what it should not. The sound log is the golden history of `ledger`'s tests, whose keys are known; the lying log signs with
//! the same keys, so only what is said is wrong, never who says it.
//!
//! `cargo run -p tests --bin lies -- DIR` writes them all to a folder, with an `index.json`, for verifiers that are not
//! written in Rust.

pub mod forger;
mod heads;
mod histories;
mod leaves;
mod lines;
mod parts;
mod proofs;
mod scene;
mod selections;
pub(crate) mod states;

use ledger::codes::{Code, Party};
use ledger::verify::{CheckId, Verdict};
use serde_json::{Value, json};

pub use forger::Forger;
pub use histories::aftermaths;
pub use parts::{of_one_log, of_the_log};

/// The trust that a lie is told to, unless it is about another.
pub const TRUST: &str = include_str!("../../../ledger/src/verify/golden/trust.json");

/// Evidence, and what it is worth.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is called: letters, digits and hyphens.
    pub name: String,
    /// How far a verifier has to look.
    pub layer: Layer,
    /// The proof file, state proof or pack.
    pub evidence: Vec<u8>,
    /// The text of the trust file.
    pub trust: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// What is found; nothing in what is sound.
    pub fault: Option<Fault>,
}

/// What a verifier has to find.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The check that does not hold.
    pub check: CheckId,
    /// Why not.
    pub code: Code,
    /// At whose fault.
    pub by: Party,
}

/// How far a verifier has to look to see the lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// At the form, the checkpoint, the tree, and the encoding of leaves.
    Log,
    /// At the records: what they say, who signed them, what belongs together.
    Records,
}

impl Layer {
    /// The word for it in `index.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Records => "records",
        }
    }
}

/// Every sound piece of evidence and every lie.
pub fn all() -> Vec<Sample> {
    let mut shelf = Shelf::default();
    shelf.sound();
    lines::fill(&mut shelf);
    heads::fill(&mut shelf);
    proofs::fill(&mut shelf);
    leaves::fill(&mut shelf);
    selections::fill(&mut shelf);
    parts::fill(&mut shelf);
    histories::fill(&mut shelf);
    states::fill(&mut shelf);
    shelf.samples
}

impl Sample {
    /// What the file with the evidence is called.
    pub fn file(&self) -> String {
        let ending = match &self.evidence {
            evidence if evidence.starts_with(b"{\"state_proof\"") => "state-proof.jsonl",
            evidence if evidence.starts_with(b"{") => "pack.jsonl",
            _ => "tlog-proof",
        };
        format!("{}.{ending}", self.name)
    }

    /// Its line of `index.json`.
    pub fn to_json(&self) -> Value {
        let fault = self.fault;
        json!({
            "name": self.name,
            "file": self.file(),
            "trust": self.trust,
            "layer": self.layer.as_str(),
            "verdict": self.verdict.as_str(),
            "check": fault.map(|fault| fault.check.as_str()),
            "code": fault.map(|fault| fault.code.as_str()),
            "by": fault.map(|fault| fault.by.as_str()),
        })
    }
}

/// The samples so far, and what the next ones are about.
#[derive(Debug, Default)]
struct Shelf {
    samples: Vec<Sample>,
}

/// What a group of lies has in common.
#[derive(Clone, Copy, Debug)]
struct Group {
    layer: Layer,
    check: CheckId,
    /// At whose fault; `None` where the code decides.
    by: Option<Party>,
}

/// At whose fault evidence is not what it should be: nobody's by name, but for what a pack says of itself, and for two heads
/// of the log that contradict each other.
const fn by_itself(code: Code) -> Party {
    match code {
        Code::PackCount
        | Code::PackOrder
        | Code::PackSelection
        | Code::PackIncomplete
        | Code::DisclosureMismatch => Party::Producer,
        Code::Inconsistent => Party::Log,
        _ => Party::Unknown,
    }
}

impl Group {
    /// What is wrong with the evidence itself.
    const fn of(layer: Layer, check: CheckId) -> Self {
        let by = None;
        Self { layer, check, by }
    }

    /// What is wrong with what is in the log.
    const fn by(layer: Layer, check: CheckId, by: Party) -> Self {
        let by = Some(by);
        Self { layer, check, by }
    }
}

impl Shelf {
    fn sound(&mut self) {
        let forger = Forger::golden();
        let whole = forger.pack(0, 16);
        let window = forger.pack(3, 9);
        let earlier = forger.pack_with(0, 16, Some(forger.earlier(5)));
        let proof = forger.proof(6).to_string();
        let mut bare = forger.proof(6);
        bare.extra = None;
        for (name, evidence, verdict) in [
            ("sound-whole", whole, Verdict::Verified),
            ("sound-window", window, Verdict::Incomplete),
            ("sound-earlier", earlier, Verdict::Verified),
            ("sound-proof", proof, Verdict::Verified),
            (
                "sound-proof-without-entry",
                bare.to_string(),
                Verdict::Incomplete,
            ),
        ] {
            self.fits(TRUST, name, verdict, evidence);
        }
    }

    /// A sound pack for whoever trusts in another way.
    fn sound_to(&mut self, trust: &str, name: &str, evidence: impl Into<Vec<u8>>) {
        self.fits(trust, name, Verdict::Verified, evidence);
    }

    /// A sound part of a log, which shows what is in it and not what is missing.
    fn sound_part(&mut self, name: &str, evidence: impl Into<Vec<u8>>) {
        self.fits(TRUST, name, Verdict::Incomplete, evidence);
    }

    fn fits(&mut self, trust: &str, name: &str, verdict: Verdict, evidence: impl Into<Vec<u8>>) {
        self.fits_at(Layer::Log, trust, name, verdict, evidence);
    }

    fn fits_at(
        &mut self,
        layer: Layer,
        trust: &str,
        name: &str,
        verdict: Verdict,
        evidence: impl Into<Vec<u8>>,
    ) {
        self.samples.push(Sample {
            name: name.to_owned(),
            layer,
            evidence: evidence.into(),
            trust: trust.to_owned(),
            verdict,
            fault: None,
        });
    }

    /// A lie that is told to whoever trusts the golden log.
    fn lie(&mut self, group: Group, name: &str, code: Code, evidence: impl Into<Vec<u8>>) {
        self.lie_to(TRUST, group, name, code, evidence);
    }

    fn lie_to(
        &mut self,
        trust: &str,
        group: Group,
        name: &str,
        code: Code,
        evidence: impl Into<Vec<u8>>,
    ) {
        let Group { layer, check, by } = group;
        let by = by.unwrap_or(by_itself(code));
        self.samples.push(Sample {
            name: name.to_owned(),
            layer,
            evidence: evidence.into(),
            trust: trust.to_owned(),
            verdict: Verdict::Failed,
            fault: Some(Fault { check, code, by }),
        });
    }
}
