//! The verification of a pack: its window of the log is whole, and holds records of that log.

use tlog::checkpoint::VerifiedCheckpoint;
use tlog::{Hash, LeafIndex, ProofError, consistency, leaf_hash, subset};

use crate::codes::{Code, Group, Party, Refusal};
use crate::pack::{Earlier, Entry, Header, Line, Membership, Reader, Selection};
use crate::record::SignedRecord;
use crate::text::Name;
use crate::verify::causes::with_causes;
use crate::verify::disclosures::Disclosures;
use crate::verify::draft::Draft;
use crate::verify::freshness;
use crate::verify::head::{check_checkpoint, checkpoint_refusal, inclusion_refusal, signed_by_log};
use crate::verify::paths::{Keeper, Paths};
use crate::verify::records::{Keyring, check_first, check_log, read_leaf};
use crate::verify::replay::{self, Replay};
use crate::verify::report::{CheckId, Finding, Report};
use crate::verify::tally::Tallies;
use crate::verify::trust::Trust;

/// Why what needs all of a pack is not checked.
const NOT_WHOLE: &str = "the pack is not what it says it holds";

/// Why what the leaves say is not held against anybody.
const NOT_PROVEN: &str = "the leaves are not shown to be in the log";

/// Why nothing is replayed.
const NOT_FROM_START: &str = "the pack does not begin with the first entry of the log";
const NO_CHARTER: &str = "the charter that the trust names is not there";

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
            let read = self.reader.push(bytes, |line| pack.take(line, trust));
            self.unreadable = read.err();
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
        let end = match self.pack.mismatch.take().or(self.unreadable).or(refused) {
            Some(refusal) => Err(refusal),
            None => self.reader.finish(),
        };
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
    /// What the comparison with an earlier checkpoint came to, if there is one.
    earlier: Option<Result<String, Refusal>>,
    /// The first thing wrong with the proof is enough.
    inclusion: Option<Result<subset::Verifier, ProofError>>,
    keeps_paths: bool,
    keeper: Option<Keeper>,
    paths: Option<Paths>,
    tallies: Tallies,
    keyring: Keyring,
    /// Only a pack of all leaves from the first on can be replayed.
    replay: Option<Box<Replay>>,
    leaves: u64,
    last_received_ms: Option<u64>,
}

/// The checkpoint of a pack.
#[derive(Debug, Default)]
enum Head {
    #[default]
    Absent,
    Refused,
    Verified(Box<VerifiedCheckpoint>),
}

impl Pack {
    fn take(&mut self, line: Line, trust: &Trust) {
        if self.mismatch.is_some() {
            return;
        }
        match line {
            Line::Header(header) => {
                self.membership = Some(Membership::of(&header.selection));
                self.header = Some(header);
            }
            Line::Checkpoint(signed) => {
                self.checkpoint = match check_checkpoint(&mut self.draft, &signed, trust) {
                    Some(verified) => Head::Verified(Box::new(verified)),
                    None => Head::Refused,
                };
                self.mismatch = self.check_header().err();
            }
            Line::Earlier(earlier) => self.check_earlier(&earlier, trust),
            Line::Disclosures(disclosures) => self.disclosures.take(disclosures),
            Line::Proof(proof) => self.begin_inclusion(proof, trust),
            Line::Leaf(entry) => self.check_leaf(&entry, trust),
        }
    }

    fn check_earlier(&mut self, earlier: &Earlier, trust: &Trust) {
        if let Head::Verified(newer) = &self.checkpoint {
            self.earlier = Some(check_consistency(earlier, newer, trust));
        }
    }

    fn begin_inclusion(&mut self, proof: Vec<Hash>, trust: &Trust) {
        if let Head::Verified(checkpoint) = &self.checkpoint {
            let size = checkpoint.size();
            self.keeper = self.keeps_paths.then(|| Keeper::new(size, proof.clone()));
            self.inclusion = Some(Ok(subset::Verifier::new(size, proof)));
            let replay = || Box::new(Replay::new(trust.policy.clone(), checkpoint.root()));
            self.replay = self.is_from_start().then(replay);
        }
    }

    fn check_leaf(&mut self, entry: &Entry, trust: &Trust) {
        let (index, bytes) = (entry.index, entry.leaf.as_bytes());
        let hash = leaf_hash(bytes);
        self.check_place(index, hash);
        if index.get() != self.leaves {
            self.replay = None;
        }
        self.leaves += 1;
        let mut leaf = replay::Leaf {
            index,
            received_ms: self.last_received_ms.unwrap_or(0),
            hash,
        };
        let record = read_leaf(bytes).and_then(|(received_ms, record)| {
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
        let received_ms = leaf.received_ms;
        self.draft.as_of.received_ms = Some(received_ms);
        let last_ms = self.last_received_ms.unwrap_or(0);
        if received_ms < last_ms {
            let why = format!("received at {received_ms}, after {last_ms}");
            let refusal = Code::TimeRegressed.because(why);
            self.find(CheckId::Leaves, refusal, leaf.index, None);
        }
        *self.last_received_ms.insert(received_ms.max(last_ms))
    }

    fn check_record(&mut self, leaf: replay::Leaf, record: SignedRecord, trust: &Trust) {
        let is_pinned = record.hash() == trust.charter;
        if let Err(refusal) = check_first(leaf.index, &record, trust) {
            self.find(CheckId::Leaves, refusal, leaf.index, None);
            self.replay = None;
        }
        if self.replay.is_some() {
            let found = self.replay.as_mut().map(|replay| replay.take(leaf, record));
            return self.take_found(found);
        }
        // Where the selection brings the keys with it, they are known without a replay.
        if self.brings_authority() && (is_pinned || self.keyring.has_charter()) {
            let about = record.record().agent().cloned();
            if let Err(refusal) = self.keyring.check(record, trust) {
                self.find(CheckId::Signatures, refusal, leaf.index, about);
            }
        }
    }

    fn take_found(&mut self, found: Option<Vec<replay::Found>>) {
        for (check, finding) in found.into_iter().flatten() {
            self.tallies.push(check, finding);
        }
    }

    /// Something in a leaf that is nobody's but the log's, which took it in.
    fn find(&mut self, check: CheckId, refusal: Refusal, index: LeafIndex, agent: Option<Name>) {
        let by = match refusal.code.group() {
            Group::Form | Group::Signature => Party::Log,
            _ => refusal.code.party(),
        };
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

    fn is_from_start(&self) -> bool {
        let selection = self.header.as_ref().map(|header| &header.selection);
        matches!(selection, Some(Selection::Range(range)) if range.from() == LeafIndex::new(0))
    }

    fn finish(
        mut self,
        end: Result<(), Refusal>,
        trust: &Trust,
        now_ms: Option<u64>,
    ) -> (Report, Option<Paths>) {
        let is_whole = end.is_ok();
        let membership = self.membership.take();
        let end = end.and_then(|()| membership.map_or(Ok(()), Membership::finish));
        self.conclude_form(end);
        self.conclude_head();
        let is_proven = self.conclude_inclusion(is_whole);
        let rest = self.replay.as_mut().map(|replay| replay.finish());
        self.take_found(rest);
        if !is_proven {
            self.tallies.lay_to_the_producer();
        }
        let why_not = match (is_whole, is_proven) {
            (false, _) => Some(NOT_WHOLE),
            (true, false) => Some(NOT_PROVEN),
            (true, true) => None,
        };
        self.conclude_consistency();
        self.conclude_records(why_not.filter(|_| !is_whole));
        self.conclude_replay(why_not);
        let why_not = (!is_whole).then_some(NOT_WHOLE);
        std::mem::take(&mut self.disclosures).conclude(&mut self.draft, why_not);
        let replayed = self.replay.as_ref().filter(|_| is_proven);
        freshness::conclude(&mut self.draft, now_ms, replayed.map(|it| it.state()));
        let report = self.draft.finish(|check| match check {
            CheckId::Witnesses => trust.policy.needs_witnesses(),
            CheckId::Consistency | CheckId::Disclosures | CheckId::Freshness => false,
            _ => true,
        });
        (report, self.paths)
    }

    /// What the header says of the checkpoint is so, as far as the checkpoint is the log's at all.
    fn check_header(&self) -> Result<(), Refusal> {
        let (Some(header), Head::Verified(checkpoint)) = (&self.header, &self.checkpoint) else {
            return Ok(());
        };
        let (origin, size) = (checkpoint.origin(), checkpoint.size());
        if header.origin == origin.as_str() && header.size == size {
            return Ok(());
        }
        let (other, others) = (&header.origin, header.size);
        Err(Code::PackMalformed.because(format!(
            "the header speaks of {other} with {others} entries, the checkpoint of {origin} with {size}"
        )))
    }

    fn conclude_form(&mut self, end: Result<(), Refusal>) {
        match (end, &self.header) {
            (Err(refusal), _) => self.draft.fail(CheckId::Form, refusal, None, None),
            (Ok(()), Some(header)) => {
                let detail = format!("a pack of {}", header.selection);
                self.draft.pass(CheckId::Form, detail);
            }
            (Ok(()), None) => self.draft.skip(CheckId::Form, "there is no header"),
        }
    }

    fn conclude_head(&mut self) {
        if matches!(self.checkpoint, Head::Absent) {
            for check in [CheckId::Checkpoint, CheckId::Witnesses] {
                self.draft.skip(check, "the evidence cannot be read");
            }
        }
    }

    /// Whether all leaves are in the tree of the checkpoint.
    fn conclude_inclusion(&mut self, is_whole: bool) -> bool {
        let (Some(inclusion), Head::Verified(checkpoint)) =
            (self.inclusion.take(), &self.checkpoint)
        else {
            let why = "there is no checkpoint that the log signed";
            self.draft.skip(CheckId::Inclusion, why);
            return false;
        };
        if !is_whole {
            self.draft.skip(CheckId::Inclusion, NOT_WHOLE);
            return false;
        }
        let (size, root) = (checkpoint.size(), *checkpoint.root());
        let shown = inclusion.and_then(subset::Verifier::finish);
        let shown = shown.and_then(|computed| match computed == root {
            true => Ok(()),
            false => Err(ProofError::RootMismatch {
                size,
                computed,
                expected: root,
            }),
        });
        match shown {
            Ok(()) => {
                let detail = match &self.header {
                    Some(Header {
                        selection: Selection::Range(_),
                        ..
                    }) => format!("all of them are in the tree of {size}, and none is left out"),
                    _ => format!("all of them are in the tree of {size}; others may be left out"),
                };
                self.draft.pass(CheckId::Inclusion, detail);
                self.paths = self.keeper.take().map(|keeper| keeper.shown_to(root));
                true
            }
            Err(error) => {
                let refusal = inclusion_refusal(&error);
                self.draft.fail(CheckId::Inclusion, refusal, None, None);
                false
            }
        }
    }

    /// The checkpoint against an earlier one, and against those that agents and witnesses saw.
    fn conclude_consistency(&mut self) {
        let id = CheckId::Consistency;
        let heads = self.replay.as_ref().map_or(0, |replay| replay.heads());
        match self.earlier.take() {
            Some(Err(refusal)) => self.draft.fail(id, refusal, None, None),
            _ if self.tallies.fail(&mut self.draft, id) => {}
            Some(Ok(detail)) => self.draft.pass(id, detail),
            None if heads > 0 => {
                let detail = format!("{heads} heads that agents or witnesses saw are of this log");
                self.draft.pass(id, detail);
            }
            None => self
                .draft
                .skip(id, "there is no other head to compare it with"),
        }
    }

    /// Leaves and signatures. What was found to be wrong is wrong, also in a pack that was not read to its end; all
    /// else needs all of it.
    fn conclude_records(&mut self, why_not: Option<&str>) {
        let count = self.leaves;
        let detail = format!("{count} entries, records of this log");
        self.conclude(CheckId::Leaves, why_not, detail);
        let replay = self.replay.as_ref();
        let has_keys = replay.is_some_and(|replay| replay.has_charter())
            || self.brings_authority() && self.keyring.has_charter();
        let why_not = match (has_keys, self.is_from_start() || self.brings_authority()) {
            (true, _) => why_not,
            (false, true) => Some(NO_CHARTER),
            (false, false) => Some("the keys that count stand in records before these"),
        };
        let detail = format!("{count} entries, signed by keys that the charter leads to");
        self.conclude(CheckId::Signatures, why_not, detail);
    }

    /// What the rules say of everybody.
    fn conclude_replay(&mut self, why_not: Option<&str>) {
        let beyond = self.replay.as_ref().and_then(|replay| replay.beyond());
        let beyond = beyond.map(ToOwned::to_owned);
        let why_not = match (&self.replay, self.is_from_start()) {
            (Some(replay), _) if replay.has_charter() => why_not.or(beyond.as_deref()),
            (_, false) => Some(NOT_FROM_START),
            (_, true) => why_not.or(Some(NO_CHARTER)),
        };
        for (id, detail) in [
            (CheckId::Chains, "the records of each agent hang together"),
            (
                CheckId::Authority,
                "everybody was allowed to do what they did",
            ),
            (
                CheckId::Liveness,
                "what was due was logged in time, and every change of state has its cause",
            ),
            (CheckId::Outcomes, "what was begun was finished in its time"),
        ] {
            self.conclude(id, why_not, detail.to_owned());
        }
    }

    fn conclude(&mut self, id: CheckId, why_not: Option<&str>, detail: String) {
        if self.tallies.fail(&mut self.draft, id) {
            return;
        }
        match why_not {
            Some(why) => self.draft.skip(id, why),
            None => self.draft.pass(id, detail),
        }
    }
}

fn check_consistency(
    earlier: &Earlier,
    newer: &VerifiedCheckpoint,
    trust: &Trust,
) -> Result<String, Refusal> {
    let older = verify_earlier(earlier, newer, trust)?;
    let (old, new) = (older.size(), newer.size());
    let shown = consistency::verify(&earlier.consistency, old, older.root(), new, newer.root());
    shown.map_err(|error| match error {
        ProofError::RootMismatch { .. } => Code::Inconsistent.because(with_causes(&error)),
        _ => inclusion_refusal(&error),
    })?;
    Ok(format!("the tree of {new} extends that of {old}"))
}

/// The log itself must have signed it. Its witnesses do not matter: the newer checkpoint has those that count.
fn verify_earlier(
    earlier: &Earlier,
    newer: &VerifiedCheckpoint,
    trust: &Trust,
) -> Result<VerifiedCheckpoint, Refusal> {
    let signed = &earlier.checkpoint;
    let origin = &signed.unverified().origin;
    if origin != newer.origin() {
        let newer = newer.origin();
        return Err(
            Code::OriginUnknown.because(format!("the earlier one is of {origin}, not {newer}"))
        );
    }
    signed_by_log(signed, trust).map_err(|error| checkpoint_refusal(&error))
}

#[cfg(test)]
mod tests;
