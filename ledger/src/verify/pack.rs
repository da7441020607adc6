//! The verification of a pack: its window of the log is whole, and holds records of that log.

use tlog::checkpoint::VerifiedCheckpoint;
use tlog::{Hash, LeafIndex, ProofError, consistency, leaf_hash, subset};

use crate::codes::{Code, Refusal};
use crate::pack::{Earlier, Entry, Header, Line, Membership, Reader, Selection};
use crate::record::{Kind, SignedRecord};
use crate::text::Name;
use crate::verify::disclosures::Disclosures;
use crate::verify::draft::Draft;
use crate::verify::head::{check_checkpoint, checkpoint_refusal, inclusion_refusal, with_sources};
use crate::verify::paths::{Keeper, Paths};
use crate::verify::records::{Keyring, check_log, read_leaf};
use crate::verify::report::{CheckId, Report};
use crate::verify::trust::Trust;

/// The most findings of one check that a report lists. A pack of a million leaves can have a million bad ones; the
/// first thousand show it as well, and the check's detail counts them all.
pub const MAX_LISTED_FINDINGS: u64 = 1000;

/// Why what needs all of a pack is not checked.
const NOT_WHOLE: &str = "the pack is not what it says it holds";

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
        if self.unreadable.is_none() {
            let pack = &mut self.pack;
            let read = self.reader.push(bytes, |line| pack.take(line, trust));
            self.unreadable = read.err();
        }
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.unreadable.is_some()
    }

    /// The report and, if they were kept and the leaves are in the tree, their paths.
    pub(super) fn finish(self, trust: &Trust) -> (Report, Option<Paths>) {
        let end = match self.unreadable {
            Some(refusal) => Err(refusal),
            None => self.reader.finish(),
        };
        self.pack.finish(end, trust)
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
    has_earlier: bool,
    /// The first thing wrong with the proof is enough.
    inclusion: Option<Result<subset::Verifier, ProofError>>,
    keeps_paths: bool,
    keeper: Option<Keeper>,
    paths: Option<Paths>,
    leaves: Tally,
    signatures: Tally,
    keyring: Keyring,
    /// How many leaves came from the log's first on, without a gap.
    unbroken: u64,
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
        match line {
            Line::Header(header) => {
                self.membership = Some(Membership::of(&header.selection));
                self.header = Some(header);
            }
            Line::Checkpoint(signed) => {
                self.checkpoint = match check_checkpoint(&mut self.draft, &signed, trust) {
                    Some(verified) => Head::Verified(Box::new(verified)),
                    None => Head::Refused,
                }
            }
            Line::Earlier(earlier) => self.check_earlier(&earlier, trust),
            Line::Disclosures(disclosures) => self.disclosures.take(disclosures),
            Line::Proof(proof) => self.begin_inclusion(proof),
            Line::Leaf(entry) => self.check_leaf(&entry, trust),
        }
    }

    fn check_earlier(&mut self, earlier: &Earlier, trust: &Trust) {
        self.has_earlier = true;
        let Head::Verified(newer) = &self.checkpoint else {
            let why = "there is no checkpoint that the log signed";
            return self.draft.skip(CheckId::Consistency, why);
        };
        match check_consistency(earlier, newer, trust) {
            Ok(detail) => self.draft.pass(CheckId::Consistency, detail),
            Err(refusal) => self.draft.fail(CheckId::Consistency, refusal, None, None),
        }
    }

    fn begin_inclusion(&mut self, proof: Vec<Hash>) {
        if let Head::Verified(checkpoint) = &self.checkpoint {
            let size = checkpoint.size();
            self.keeper = self.keeps_paths.then(|| Keeper::new(size, proof.clone()));
            self.inclusion = Some(Ok(subset::Verifier::new(size, proof)));
        }
    }

    fn check_leaf(&mut self, entry: &Entry, trust: &Trust) {
        let (index, bytes) = (entry.index, entry.leaf.as_bytes());
        self.unbroken += u64::from(index.get() == self.unbroken);
        self.check_place(index, leaf_hash(bytes));
        let (received_ms, record) = match read_leaf(bytes) {
            Ok(leaf) => leaf,
            Err(refusal) => return self.leaves.find(&mut self.draft, refusal, index, None),
        };
        self.count(&record);
        self.disclosures.check(&mut self.draft, index, &record);
        if let Some(membership) = &mut self.membership {
            membership.see(index, &record);
        }
        let about = record.record().agent().cloned();
        let sound = check_log(&record, trust)
            .and_then(|()| check_first(index, &record, trust))
            .and_then(|()| self.check_time(received_ms));
        if let Err(refusal) = sound {
            self.leaves
                .find(&mut self.draft, refusal, index, about.as_ref());
        } else {
            self.leaves.good += 1;
            self.check_signatures(index, record, about.as_ref(), trust);
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

    fn count(&mut self, record: &SignedRecord) {
        let summary = &mut self.draft.summary;
        *summary.records.entry(record.kind()).or_default() += 1;
        summary.agents.extend(record.record().agent().cloned());
    }

    /// A log's time never goes back from one leaf to the next.
    fn check_time(&mut self, received_ms: u64) -> Result<(), Refusal> {
        self.draft.as_of.received_ms = Some(received_ms);
        match self.last_received_ms.replace(received_ms) {
            Some(last) if received_ms < last => {
                Err(Code::TimeRegressed.because(format!("received at {received_ms}, after {last}")))
            }
            _ => Ok(()),
        }
    }

    /// Keys stand in the records of charters and manifests: they are known as long as no leaf was left out, and where
    /// the selection brings them with it.
    fn check_signatures(
        &mut self,
        index: LeafIndex,
        record: SignedRecord,
        about: Option<&Name>,
        trust: &Trust,
    ) {
        let is_pinned = record.kind() == Kind::Charter && record.hash() == trust.charter;
        let has_keys = index.get() < self.unbroken || self.brings_authority();
        if !has_keys || !(is_pinned || self.keyring.has_charter()) {
            return;
        }
        match self.keyring.check(record, trust) {
            Ok(()) => self.signatures.good += 1,
            Err(refusal) => self.signatures.find(&mut self.draft, refusal, index, about),
        }
    }

    fn brings_authority(&self) -> bool {
        let selection = self.header.as_ref().map(|header| &header.selection);
        matches!(selection, Some(Selection::Agent(_) | Selection::Goal(_)))
    }

    fn is_from_start(&self) -> bool {
        let selection = self.header.as_ref().map(|header| &header.selection);
        matches!(selection, Some(Selection::Range(range)) if range.from() == LeafIndex::new(0))
    }

    fn finish(mut self, end: Result<(), Refusal>, trust: &Trust) -> (Report, Option<Paths>) {
        let end = end.and_then(|()| self.check_header());
        let is_whole = end.is_ok();
        let membership = self.membership.take();
        let end = end.and_then(|()| membership.map_or(Ok(()), Membership::finish));
        self.conclude_form(end);
        self.conclude_head();
        self.conclude_inclusion(is_whole);
        self.conclude_records(is_whole);
        self.skip_the_rest(is_whole);
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
        if !self.has_earlier {
            let why = "there is one checkpoint, and none to compare it with";
            self.draft.skip(CheckId::Consistency, why);
        }
    }

    fn conclude_inclusion(&mut self, is_whole: bool) {
        let (Some(inclusion), Head::Verified(checkpoint)) =
            (self.inclusion.take(), &self.checkpoint)
        else {
            let why = "there is no checkpoint that the log signed";
            return self.draft.skip(CheckId::Inclusion, why);
        };
        if !is_whole {
            return self.draft.skip(CheckId::Inclusion, NOT_WHOLE);
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
                self.paths = self.keeper.take().map(|keeper| keeper.shown_to(root));
                let detail = match &self.header {
                    Some(Header {
                        selection: Selection::Range(_),
                        ..
                    }) => format!("all of them are in the tree of {size}, and none is left out"),
                    _ => format!("all of them are in the tree of {size}; others may be left out"),
                };
                self.draft.pass(CheckId::Inclusion, detail);
            }
            Err(error) => {
                let refusal = inclusion_refusal(&error);
                self.draft.fail(CheckId::Inclusion, refusal, None, None);
            }
        }
    }

    fn conclude_records(&mut self, is_whole: bool) {
        let has_keys = self.is_from_start() || self.brings_authority();
        let draft = &mut self.draft;
        let why = (!is_whole).then_some(NOT_WHOLE);
        self.leaves
            .conclude(draft, CheckId::Leaves, why, "records of this log");
        let why = match (has_keys, self.keyring.has_charter()) {
            (false, _) => Some("the keys that count stand in records before these"),
            (true, false) => Some("the charter that the trust names is not there"),
            (true, true) => why,
        };
        let what = "signed by keys that the charter leads to; what those may do is not judged";
        self.signatures
            .conclude(draft, CheckId::Signatures, why, what);
    }

    fn skip_the_rest(&mut self, is_whole: bool) {
        for check in [
            CheckId::Chains,
            CheckId::Authority,
            CheckId::Liveness,
            CheckId::Outcomes,
        ] {
            self.draft
                .skip(check, "this version does not replay the rules");
        }
        let why = (!is_whole).then_some(NOT_WHOLE);
        std::mem::take(&mut self.disclosures).conclude(&mut self.draft, why);
        let why = "this version does not judge the age of a checkpoint";
        self.draft.skip(CheckId::Freshness, why);
    }
}

/// What a check of every leaf has come to.
#[derive(Debug, Default)]
struct Tally {
    good: u64,
    bad: u64,
    first: Option<String>,
}

impl Tally {
    fn find(
        &mut self,
        draft: &mut Draft,
        refusal: Refusal,
        index: LeafIndex,
        agent: Option<&Name>,
    ) {
        self.bad += 1;
        self.first
            .get_or_insert_with(|| format!("entry {index}: {refusal}"));
        if self.bad <= MAX_LISTED_FINDINGS {
            draft.find(refusal, Some(index), agent);
        }
    }

    /// What was found to be wrong is wrong, also in a pack that was not read to its end; all else needs all of it.
    fn conclude(&self, draft: &mut Draft, id: CheckId, why_not: Option<&str>, what: &str) {
        match (&self.first, why_not) {
            (Some(first), _) => {
                let bad = self.bad;
                draft.fail_for(id, format!("{bad} entries do not hold; {first}"));
            }
            (None, Some(why)) => draft.skip(id, why),
            (None, None) => draft.pass(id, format!("{} entries, {what}", self.good)),
        }
    }
}

/// A log begins with its charter.
fn check_first(index: LeafIndex, record: &SignedRecord, trust: &Trust) -> Result<(), Refusal> {
    if index == LeafIndex::new(0) && record.hash() != trust.charter {
        return Err(Code::CharterMissing.because(format!("the log begins with {}", record.kind())));
    }
    Ok(())
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
        ProofError::RootMismatch { .. } => Code::Inconsistent.because(with_sources(&error)),
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
    let mut refusal = Code::OriginUnknown.because(origin);
    for log in trust.policy.logs() {
        match signed.verify(&log.key) {
            Ok(verified) => return Ok(verified),
            Err(error) if log.key.name().as_str() == origin.as_str() => {
                refusal = checkpoint_refusal(&error);
            }
            Err(_) => {}
        }
    }
    Err(refusal)
}

#[cfg(test)]
mod tests;
