//! A pack that begins with a state: the entries of the state in front of its first leaf, which is a pulse that names it.
//!
//! If the trust names the same state, everything behind it is judged as if all leaves before it were there. If not, it is
//! judged by what the pulse tells, the verdict is at best *incomplete*, and nothing is laid to anybody but the log: whoever has
//! its key can make up the state, the keys in it, and what they signed.

use tlog::tree::Frontier;
use tlog::{Hash, LeafIndex, TreeSize};

use super::Pack;
use crate::codes::{Code, Party, Refusal};
use crate::govern::{Restoring, State};
use crate::record::{Body, SignedRecord, StateAt};
use crate::verify::replay::Replay;
use crate::verify::report::CheckId;
use crate::verify::trust::Trust;

/// The state that a pack begins with.
#[derive(Debug)]
pub(super) struct Base {
    at: StateAt,
    restoring: Restoring,
    wrong: Option<Refusal>,
    /// Whether the entries are those of the state that is named.
    pub(super) is_sound: bool,
    /// Whether the trust names it.
    pub(super) is_trusted: bool,
}

impl Base {
    pub(super) fn new(at: StateAt) -> Self {
        Self {
            at,
            restoring: Restoring::default(),
            wrong: None,
            is_sound: false,
            is_trusted: false,
        }
    }

    /// Takes the next entry. The first that is wrong is enough.
    pub(super) fn take(&mut self, entry: &str) {
        if self.wrong.is_none() {
            self.wrong = self.restoring.push(entry).err();
        }
    }

    /// The state, if the entries lead to what is named, and that is of the log that the trust names.
    fn restored(&mut self, trust: &Trust) -> Result<State, Refusal> {
        if let Some(wrong) = self.wrong.take() {
            return Err(Code::PackMalformed.because(format!("an entry of the state: {wrong}")));
        }
        let state = std::mem::take(&mut self.restoring).finish();
        let state = state.map_err(|wrong| Code::PackMalformed.because(wrong))?;
        let (told, here) = (self.at.state, state.root());
        if told != here || state.size() != self.at.size {
            let why = format!("the pack tells the state {told}, its entries lead to {here}");
            return Err(Code::RootMismatch.because(why));
        }
        if state.log() != Some(trust.charter) {
            return Err(Code::TrustMismatch.because("the state is of another log"));
        }
        match trust.from.filter(|from| from.size == self.at.size) {
            Some(from) if from != self.at => Err(other_state(from, self.at)),
            from => {
                self.is_trusted = from.is_some();
                Ok(state)
            }
        }
    }
}

impl Pack {
    /// The index at which a replay begins.
    pub(super) fn first(&self) -> u64 {
        match &self.base {
            Some(base) if base.is_sound => base.at.size,
            _ => 0,
        }
    }

    /// A pack is replayed from the first leaf of the log on, or from the state that it brings.
    pub(super) fn begin_replay(&mut self, root: &Hash, proof: &[Hash], trust: &Trust) {
        let policy = trust.policy.clone();
        if self.coverage().is_from_start() {
            self.replay = Some(Box::new(Replay::new(policy.clone(), root)));
        }
        let Some(base) = &mut self.base else {
            return;
        };
        let index = LeafIndex::new(base.at.size);
        let state = base.restored(trust);
        let begins = self.header.as_ref().map(|header| header.selection.first());
        let state = state.and_then(|state| match begins == Some(index) {
            true => Ok(state),
            false => Err(Code::PackMalformed.because("its leaves do not begin at its state")),
        });
        match state {
            Ok(state) => {
                // The hashes of what is on the left stand first in a proof, the largest subtree before the smaller.
                let size = TreeSize::new(base.at.size);
                let left = size.get().count_ones() as usize;
                let left = proof.iter().take(left).copied().collect();
                if let Ok(edge) = Frontier::from_hashes(size, left) {
                    base.is_sound = true;
                    self.is_pinned |= base.is_trusted;
                    self.replay = Some(Box::new(Replay::upon(policy, root, state, edge)));
                }
            }
            Err(refusal) => {
                self.replay = None;
                let by = crate::verify::fault::of_evidence(refusal.code);
                self.find_by(CheckId::Leaves, refusal, by, index, None);
            }
        }
    }

    /// The leaf at which a state stands is a pulse that names it. Where the trust names the state, another pulse is the
    /// fault of control, which the replay finds; where it does not, nobody knows whose.
    pub(super) fn check_base(&mut self, index: LeafIndex, record: &SignedRecord) {
        let Some(base) = self
            .base
            .as_ref()
            .filter(|base| base.at.size == index.get())
        else {
            return;
        };
        let told = match &record.record().body {
            Body::Pulse(pulse) => pulse.state,
            _ => None,
        };
        if base.is_trusted || told == Some(base.at.state) {
            return;
        }
        let why = "the first leaf is not a pulse that names the state of the pack";
        self.replay = None;
        let refusal = Code::RootMismatch.because(why);
        self.find_by(CheckId::Leaves, refusal, Party::Unknown, index, None);
    }

    /// What whoever verifies found before is what the leaves lead to.
    pub(super) fn check_trusted_state(&mut self, size: u64, trust: &Trust) {
        let Some(from) = trust.from.filter(|from| from.size == size) else {
            return;
        };
        let here = self.replay.as_ref().map(|replay| replay.state().at());
        if let Some(here) = here.filter(|here| here.size == size && *here != from) {
            let index = LeafIndex::new(size);
            let by = crate::verify::fault::of_evidence(Code::TrustMismatch);
            self.find_by(CheckId::Leaves, other_state(from, here), by, index, None);
        }
    }
}

fn other_state(from: StateAt, here: StateAt) -> Refusal {
    let (size, from, here) = (from.size, from.state, here.state);
    Code::TrustMismatch.because(format!(
        "the trust names the state {from} at size {size}, here it is {here}"
    ))
}
