//! The verifier: what a piece of evidence shows to somebody who trusts only one log.
//!
//! Evidence is hostile bytes; the [`Trust`] says which log, by its keys and its charter; the answer is a
//! [`Report`]. Verifying touches neither network nor clock, so the same evidence, trust and time give the same
//! report, byte for byte, on a command line and in a browser.
//!
//! A *proof file* shows that one record was logged. It never shows that the record was allowed: who may do what
//! follows from the records before it, and those are not in the file. So its report has no checks of authority
//! and after.
//!
//! A *state proof* shows what one pulse of the log says of one agent: neither that control signed it, nor that it was right.
//!
//! *Two checkpoints*, with a consistency proof, show whether the log only grew from the one to the other.
//!
//! A *pack* holds a window of the log, or what belongs to an agent or a goal: records of that log, in its tree, whose
//! disclosures open their commitments. A window that begins with the first leaf is replayed: it shows who signed what,
//! whether everybody was allowed to do what they did, and whether the control plane did what was due. Only one that also
//! reaches the size of its checkpoint is judged as a whole, or one that begins with a state which the trust names: from any other something may have been left out that speaks
//! against somebody, so what it comes to is at best *incomplete*.
//!
//! Each finding names whose fault it is, and never blames somebody whom the evidence does not show to be at fault.

mod ahead;
mod answers;
mod causes;
mod disclosures;
mod draft;
mod explanation;
mod fault;
mod found;
mod freshness;
mod head;
mod heads;
mod log_keys;
mod meaning;
mod pack;
mod paths;
mod pinned;
mod proof;
mod reading;
mod records;
mod replay;
mod report;
mod shown;
mod state;
mod tally;
mod trust;

use crate::codes::Refusal;
use proof::ProofBytes;

pub use ahead::{LikelyKeys, LinesAhead};
pub use answers::{Answer, Question, Reply};
pub use explanation::{Explanation, Headline};
pub use heads::Growth;
pub use paths::Paths;
pub use proof::ProofVerifier;
pub use reading::{Alteration, Reading};
pub use report::{
    AsOf, Aside, Check, CheckId, Finding, Report, Status, Summary, TraceStep, Verdict,
};
pub use shown::{entry_of_line, entry_of_proof, path_from};
pub use tally::MAX_LISTED_FINDINGS;
pub use trust::{MAX_TRUST_BYTES, Trust};

/// What a pack begins with: its header's first member.
const PACK_START: &[u8] = b"{\"pack\":";

/// Verifies a piece of evidence, a proof file or a pack: its first bytes say which.
///
/// `now_ms`, milliseconds since the epoch, is what freshness is judged by, and nothing else.
///
/// There is no error: evidence that cannot be read is a finding like any other.
pub fn verify(evidence: &[u8], trust: &Trust, now_ms: Option<u64>) -> Report {
    let mut verifier = Verifier::new(trust.clone()).at(now_ms);
    verifier.push(evidence);
    verifier.finish()
}

/// Verifies a piece of evidence that comes in chunks.
///
/// A proof file is held whole, it is short. Of a pack a line is held at a time, the state of everybody in it, and, where
/// it is replayed, some 62 bytes for each leaf.
#[derive(Debug)]
pub struct Verifier {
    trust: Trust,
    now_ms: Option<u64>,
    keeps_paths: bool,
    evidence: Evidence,
    refused: Option<Refusal>,
}

#[derive(Debug)]
enum Evidence {
    /// A proof file or a state proof, or too little to tell.
    Proof(ProofBytes),
    Pack(Box<pack::PackVerifier>),
}

impl Verifier {
    /// Starts to verify.
    pub const fn new(trust: Trust) -> Self {
        Self {
            trust,
            now_ms: None,
            keeps_paths: false,
            evidence: Evidence::Proof(ProofBytes::new()),
            refused: None,
        }
    }

    /// Starts to verify, and keeps what it takes to show the way of each leaf of a pack: 40 bytes a leaf.
    pub fn keeping_paths(trust: Trust) -> Self {
        Self {
            keeps_paths: true,
            ..Self::new(trust)
        }
    }

    /// Judges freshness by this time, in milliseconds since the epoch. Without one it is skipped.
    #[must_use]
    pub const fn at(mut self, now_ms: Option<u64>) -> Self {
        self.now_ms = now_ms;
        self
    }

    /// Ends the evidence where whoever reads it cannot go on: compressed bytes that are none, or that grow without end.
    /// What came before counts; what is wrong becomes a finding, and nothing that follows is read.
    pub fn refuse(&mut self, refusal: Refusal) {
        if !self.is_settled() {
            self.refused = Some(refusal);
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.refused.is_some() {
            return;
        }
        match &mut self.evidence {
            Evidence::Pack(pack) => pack.push(bytes, &self.trust),
            Evidence::Proof(held) => {
                if held.make_a_pack_with(bytes) {
                    let mut pack = Box::new(match self.keeps_paths {
                        true => pack::PackVerifier::keeping_paths(),
                        false => pack::PackVerifier::default(),
                    });
                    pack.push(held.as_bytes(), &self.trust);
                    pack.push(bytes, &self.trust);
                    self.evidence = Evidence::Pack(pack);
                } else {
                    held.push(bytes);
                }
            }
        }
    }

    /// Whether whole lines that come next are a pack's leaves, which [may be read ahead](Self::push_ahead).
    pub const fn awaits_leaves(&self) -> bool {
        match &self.evidence {
            Evidence::Pack(pack) => !self.is_settled() && pack.awaits_leaves(),
            Evidence::Proof(_) => false,
        }
    }

    /// The keys that are known in front of the leaves; none if nobody asks who signed these.
    pub fn likely_keys(&self) -> Option<LikelyKeys> {
        match &self.evidence {
            Evidence::Pack(pack) => pack.likely_keys(),
            Evidence::Proof(_) => None,
        }
    }

    /// Takes lines that were read ahead, as [`push`](Self::push) takes their bytes.
    pub fn push_ahead(&mut self, lines: LinesAhead) {
        if self.refused.is_some() {
            return;
        }
        if !self.awaits_leaves() {
            return self.push(&lines.into_parts().0);
        }
        if let Evidence::Pack(pack) = &mut self.evidence {
            pack.push_ahead(lines, &self.trust);
        }
    }

    /// Whether the report is the same whatever bytes follow.
    pub const fn is_settled(&self) -> bool {
        if self.refused.is_some() {
            return true;
        }
        match &self.evidence {
            Evidence::Proof(held) => held.is_settled(),
            Evidence::Pack(pack) => pack.is_settled(),
        }
    }

    /// Ends the evidence.
    pub fn finish(self) -> Report {
        self.finish_with_paths().0
    }

    /// Ends the evidence, and gives the paths of a pack if they were kept and its leaves are in the tree. The one path
    /// of a proof file is the report's trace.
    pub fn finish_with_paths(self) -> (Report, Option<Paths>) {
        match (self.evidence, self.refused) {
            (Evidence::Pack(pack), refused) => pack.finish(refused, &self.trust, self.now_ms),
            (Evidence::Proof(_), Some(refusal)) => (proof::refused(refusal, &self.trust), None),
            (Evidence::Proof(held), None) => (held.verify(&self.trust), None),
        }
    }
}
