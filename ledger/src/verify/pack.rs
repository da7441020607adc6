//! The verification of a pack, as its lines come: leaves in their places, records of the log that the trust names, and, from
//! the first leaf on, the replay. What it comes to is said at the end, in [`conclusion`].

mod base;
mod conclusion;
mod coverage;

use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::{Hash, LeafIndex, ProofError, subset};

use self::base::Base;
use self::coverage::Coverage;
use crate::codes::{Code, Party, Refusal};
use crate::pack::{Earlier, Entry, Header, Line, Membership, Reader, Selection};
use crate::record::SignedRecord;
use crate::text::Name;
use crate::verify::ahead::{LeafAhead, LikelyKeys, LineAhead, LinesAhead};
use crate::verify::disclosures::Disclosures;
use crate::verify::draft::Draft;
use crate::verify::fault::{self, Shown};
use crate::verify::freshness::LastLeaf;
use crate::verify::head::{Signers, is_by_a_key_unknown};
use crate::verify::log_keys::LogKeys;
use crate::verify::paths::{Keeper, Paths};
use crate::verify::reading::Reading;
use crate::verify::records::{Keyring, check_first, check_log};
use crate::verify::replay::{self, Replay};
use crate::verify::report::{CheckId, Finding, Report};
use crate::verify::tally::Tallies;
use crate::verify::trust::Trust;

/// Verifies a pack that comes in chunks.
#[derive(Debug, Default)]
pub(super) struct PackVerifier {
    reader: Reader,
    pack: Pack,
    unreadable: Option<Refusal>,
}

impl PackVerifier {
    /// Keeps what it takes to show the way of each leaf.
    pub(super) fn keeping_paths() -> Self {
        let mut verifier = Self::default();
        verifier.pack.keeps_paths = true;
        verifier
    }

    /// After the first line that cannot be read, nothing more is.
    pub(super) fn push(&mut self, bytes: &[u8], trust: &Trust) {
        if !self.is_settled() {
            let pack = &mut self.pack;
            let read = self.reader.push(bytes, |line| pack.take(line, None, trust));
            self.unreadable = read.err();
        }
    }

    /// As [`Self::push`] with the bytes of the lines.
    pub(super) fn push_ahead(&mut self, lines: LinesAhead, trust: &Trust) {
        let (bytes, lines) = lines.into_parts();
        let pieces = bytes.split_inclusive(|byte| *byte == b'\n');
        for (piece, LineAhead { line, leaf }) in pieces.zip(lines) {
            if self.is_settled() {
                break;
            }
            match self.reader.push_ahead(piece, line) {
                Ok(line) => self.pack.take(line, leaf, trust),
                Err(refusal) => self.unreadable = Some(refusal),
            }
        }
    }

    /// Whether the next line is a leaf, and has not begun.
    pub(super) const fn awaits_leaves(&self) -> bool {
        self.reader.awaits_leaves()
    }

    /// The keys that are known so far, if the leaves are asked who signed them.
    pub(super) fn likely_keys(&self) -> Option<LikelyKeys> {
        match &self.pack.replay {
            Some(replay) => Some(LikelyKeys::of(replay.state())),
            None => self.pack.brings_authority().then(LikelyKeys::default),
        }
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.unreadable.is_some() || self.pack.mismatch.is_some()
    }

    /// The report and, if they were kept and the leaves are in the tree, their paths.
    pub(super) fn finish(
        mut self,
        refused: Option<Refusal>,
        trust: &Trust,
        now_ms: Option<u64>,
    ) -> (Report, Option<Paths>) {
        let reading = Reading::of_line(self.reader.held());
        let end = match self.pack.mismatch.take().or(self.unreadable).or(refused) {
            Some(refusal) => Err(refusal),
            None => self.reader.finish(),
        };
        let end = end.map_err(|refusal| {
            self.pack.draft.aside.reading = reading;
            reading.told(refusal)
        });
        self.pack.finish(end, trust, now_ms)
    }
}

/// What is known of a pack so far.
#[derive(Debug, Default)]
struct Pack {
    draft: Draft,
    header: Option<Header>,
    membership: Option<Membership>,
    disclosures: Disclosures,
    checkpoint: Head,
    /// Why the header is not of this checkpoint. Nothing behind it is looked at: a header can claim leaves without end,
    /// a checkpoint that the log signed cannot.
    mismatch: Option<Refusal>,
    earlier: Option<Box<Earlier>>,
    /// The first thing wrong with the proof is enough.
    inclusion: Option<Result<subset::Verifier, ProofError>>,
    keeps_paths: bool,
    keeper: Option<Keeper>,
    paths: Option<Paths>,
    tallies: Tallies,
    keyring: Keyring,
    /// Only a pack of all leaves from the first on can be replayed.
    replay: Option<Box<Replay>>,
    /// Whether the first leaf is the charter that the trust pins.
    is_pinned: bool,
    leaves: u64,
    last: Option<LastLeaf>,
    /// The state that it begins with, if it brings one.
    base: Option<Base>,
}

/// The checkpoint of a pack.
#[derive(Debug, Default)]
enum Head {
    #[default]
    Absent,
    /// By a key of the policy, or of a log of it by a key that only the charters may know: whether it counts is said when
    /// these have been read.
    Held(Box<SignedCheckpoint>),
    Refused(Box<SignedCheckpoint>),
}

impl Head {
    /// What it says, if it can be the log's at all.
    fn claim(&self) -> Option<&Checkpoint> {
        match self {
            Self::Held(signed) => Some(signed.unverified()),
            Self::Absent | Self::Refused(_) => None,
        }
    }
}

impl Pack {
    /// Takes a line; `ahead` is what was read of the leaf in it before its turn.
    fn take(&mut self, line: Line, ahead: Option<LeafAhead>, trust: &Trust) {
        if self.mismatch.is_some() {
            return;
        }
        match line {
            Line::Header(header) => {
                self.membership = Some(Membership::of(&header.selection));
                self.header = Some(header);
            }
            Line::Checkpoint(signed) => {
                let none = LogKeys::default();
                let is_signed = Signers::of(trust, &none).verify(&signed).is_ok();
                self.checkpoint = match is_signed || is_by_a_key_unknown(&signed, trust) {
                    true => Head::Held(signed),
                    false => Head::Refused(signed),
                };
                self.mismatch = self.check_header().err();
            }
            Line::Earlier(earlier) => self.earlier = Some(earlier),
            Line::Disclosures(disclosures) => self.disclosures.take(disclosures),
            Line::State(at) => self.base = Some(Base::new(at)),
            Line::StateEntry(entry) => {
                if let Some(base) = &mut self.base {
                    base.take(&entry);
                }
            }
            Line::Proof(proof) => self.begin_inclusion(proof, trust),
            Line::Leaf(Entry { index, leaf }) => {
                let read = ahead.unwrap_or_else(|| LeafAhead::read(leaf.as_bytes()));
                self.check_leaf(index, read, trust);
            }
        }
    }

    fn begin_inclusion(&mut self, proof: Vec<Hash>, trust: &Trust) {
        if let Some(&Checkpoint { size, root, .. }) = self.checkpoint.claim() {
            self.keeper = self.keeps_paths.then(|| Keeper::new(size, proof.clone()));
            self.begin_replay(&root, &proof, trust);
            self.inclusion = Some(Ok(subset::Verifier::new(size, proof)));
        }
    }

    fn check_leaf(&mut self, index: LeafIndex, read: LeafAhead, trust: &Trust) {
        let hash = read.hash;
        self.check_place(index, hash);
        if index.get() != self.first().saturating_add(self.leaves) {
            self.replay = None;
        }
        self.leaves += 1;
        self.check_trusted_state(index.get(), trust);
        let mut leaf = replay::Leaf {
            index,
            received_ms: self.last.map_or(0, |last| last.received_ms),
            hash,
        };
        let record = read.record.and_then(|(received_ms, record)| {
            leaf.received_ms = received_ms;
            self.draft.count(&record);
            self.disclosures.check(&mut self.draft, index, &record);
            if let Some(membership) = &mut self.membership {
                membership.see(index, &record);
            }
            // A clock that goes back is the log's fault. Everybody else is judged by where it had been.
            leaf.received_ms = self.check_time(leaf);
            check_log(&record, trust)?;
            Ok(record)
        });
        match record {
            Ok(record) => self.check_record(leaf, record, trust),
            Err(refusal) => {
                self.find(CheckId::Leaves, refusal, index, None);
                if index == LeafIndex::new(0) {
                    // Without the charter there is nothing to judge anybody by.
                    self.replay = None;
                }
                let found = self.replay.as_mut().map(|replay| replay.skip(leaf));
                self.take_found(found);
            }
        }
    }

    fn check_place(&mut self, index: LeafIndex, leaf: Hash) {
        if let Some(keeper) = &mut self.keeper {
            keeper.push(index, leaf);
        }
        if let Some(Ok(verifier)) = &mut self.inclusion
            && let Err(error) = verifier.push(index, leaf)
        {
            self.inclusion = Some(Err(error));
        }
    }

    /// A log's time never goes back from one leaf to the next.
    fn check_time(&mut self, leaf: replay::Leaf) -> u64 {
        let (index, received_ms) = (leaf.index, leaf.received_ms);
        let last_ms = self.last.map_or(0, |last| last.received_ms);
        if received_ms < last_ms {
            let why = format!("received at {received_ms}, after {last_ms}");
            let refusal = Code::TimeRegressed.because(why);
            self.find(CheckId::Leaves, refusal, index, None);
        }
        let received_ms = received_ms.max(last_ms);
        self.last = Some(LastLeaf { index, received_ms });
        received_ms
    }

    fn check_record(&mut self, leaf: replay::Leaf, record: SignedRecord, trust: &Trust) {
        let is_pinned = record.hash() == trust.charter;
        self.is_pinned |= is_pinned && leaf.index == LeafIndex::new(0);
        if let Err(refusal) = check_first(leaf.index, &record, trust) {
            self.find(CheckId::Leaves, refusal, leaf.index, None);
            self.replay = None;
        }
        self.check_base(leaf.index, &record);
        if self.replay.is_some() {
            let found = self.replay.as_mut().map(|replay| replay.take(leaf, record));
            return self.take_found(found);
        }
        // Where the selection brings the keys with it, they are known without a replay.
        if self.brings_authority() && (is_pinned || self.keyring.has_charter()) {
            let about = record.record().agent().cloned();
            if let Err(refusal) = self.keyring.check(leaf.index, record, trust) {
                let by = fault::of_signature_in_a_part(refusal.code);
                self.find_by(CheckId::Signatures, refusal, by, leaf.index, about);
            }
        }
    }

    fn take_found(&mut self, found: Option<Vec<replay::Found>>) {
        for (check, finding) in found.into_iter().flatten() {
            self.tallies.push(check, finding);
        }
    }

    /// Something that a leaf shows by itself.
    fn find(&mut self, check: CheckId, refusal: Refusal, index: LeafIndex, agent: Option<Name>) {
        let shown = match self.is_pinned {
            true => Shown::Log,
            false => Shown::Leaf,
        };
        let by = fault::of_leaf(refusal.code, shown);
        self.find_by(check, refusal, by, index, agent);
    }

    fn find_by(
        &mut self,
        check: CheckId,
        refusal: Refusal,
        by: Party,
        index: LeafIndex,
        agent: Option<Name>,
    ) {
        let finding = Finding {
            class: refusal.code.class(),
            refusal,
            by,
            index: Some(index),
            agent,
        };
        self.tallies.push(check, finding);
    }

    fn brings_authority(&self) -> bool {
        let selection = self.header.as_ref().map(|header| &header.selection);
        matches!(selection, Some(Selection::Agent(_) | Selection::Goal(_)))
    }

    fn coverage(&self) -> Coverage {
        let coverage = self.header.as_ref().map_or(Coverage::Part, Coverage::of);
        match &self.base {
            Some(base) if base.is_sound => coverage.behind_a_state(base.is_trusted),
            _ => coverage,
        }
    }

    /// What the header says about the checkpoint is so, as far as the checkpoint can be the log's at all.
    fn check_header(&self) -> Result<(), Refusal> {
        let (Some(header), Some(head)) = (&self.header, self.checkpoint.claim()) else {
            return Ok(());
        };
        let (origin, size) = (&head.origin, head.size);
        if header.origin == origin.as_str() && header.size == size {
            return Ok(());
        }
        let (other, others) = (&header.origin, header.size);
        Err(Code::PackMalformed.because(format!(
            "the header speaks of {other} with {others} entries, the checkpoint of {origin} with {size}"
        )))
    }
}

#[cfg(test)]
mod tests;
