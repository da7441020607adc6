//! Handing a record in: it is in the log when it is shown to be.

use ledger::digest::RecordHash;
use ledger::key::KeyId;
use ledger::record::SignedRecord;
use tlog::LeafIndex;

use crate::charters;
use crate::entry::{Entry, EntryError};
use crate::identity::LogIdentity;
use crate::transport::ServiceError;
use crate::transport::Transport;
use wire::{Logged as LoggedAs, Standing, Submitted};

/// A record that is in the log, shown by its proof.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The entry that it is.
    pub entry: Entry,
    /// Whether it was there before.
    pub is_duplicate: bool,
    /// The rule that it breaks, where the log only observes.
    pub breach: Option<String>,
    /// Where the agent that signed it stands, by the service's word.
    pub standing: Option<Standing>,
}

/// Why a record is not in the log, as far as can be told.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The service did not answer, or refused.
    #[error("the record was not logged")]
    Service(#[from] ServiceError),
    /// The service says that it is in the log, and does not show it.
    #[error("the service says that the record is in the log, but does not show it")]
    NotShown(#[from] EntryError),
    /// The record is in the log without a signature that it was sent with: somebody took it off on the way, or handed
    /// the record in before without it.
    #[error(
        "the record is in the log as entry {index}, but without the signature of {}: it counts as if they had not signed",
        list(.missing)
    )]
    SignatureLost {
        /// Where it is.
        index: LeafIndex,
        /// The keys whose signatures were sent and are not there.
        missing: Vec<KeyId>,
    },
    /// The service shows another record instead.
    #[error("the service says that {want} is in the log, but shows {got} instead")]
    OtherRecord {
        /// The record that it shows.
        got: RecordHash,
        /// The record that was asked for.
        want: RecordHash,
    },
}

impl Logged {
    /// The record's name.
    pub const fn record(&self) -> RecordHash {
        self.entry.record().hash()
    }

    /// Its index.
    pub const fn index(&self) -> LeafIndex {
        self.entry.index()
    }
}

/// Hands a record to the log, and believes that it is there when it is shown.
///
/// # Errors
///
/// [`SubmitError`].
pub fn hand_in(
    transport: &(impl Transport + ?Sized),
    log: &LogIdentity,
    signed: &SignedRecord,
) -> Result<Logged, SubmitError> {
    shown(transport, log, signed, transport.submit(signed.envelope())?)
}

/// Hands records in that rest on each other, in their order. Gives what became of them up to the first that is not shown
/// to be in the log.
pub fn hand_in_a_row(
    transport: &(impl Transport + ?Sized),
    log: &LogIdentity,
    signed: &[SignedRecord],
) -> Vec<Result<Logged, SubmitError>> {
    let envelopes: Vec<_> = signed.iter().map(SignedRecord::envelope).collect();
    let answers = transport.submit_in_a_row(&envelopes);
    let shown = |(signed, answer)| shown(transport, log, signed, answer?);
    signed.iter().zip(answers).map(shown).collect()
}

/// What the service answers, once it is shown.
fn shown(
    transport: &(impl Transport + ?Sized),
    log: &LogIdentity,
    signed: &SignedRecord,
    answer: Submitted,
) -> Result<Logged, SubmitError> {
    let proof = answer.proof.ok_or_else(|| ServiceError::Malformed {
        request: "POST /v1/entries".to_owned(),
        reason: "the answer has no proof".to_owned(),
    })?;
    let entry = charters::open(transport, log, &proof, LeafIndex::new(answer.index))?;
    check_record(&entry, signed.hash())?;
    check_signatures(&entry, signed)?;
    Ok(Logged {
        entry,
        is_duplicate: answer.result == LoggedAs::Duplicate,
        breach: answer.breach,
        standing: answer.agent,
    })
}

/// Finds a record by its name, and believes that it is there when it is shown.
///
/// # Errors
///
/// [`SubmitError`].
pub fn find(
    transport: &(impl Transport + ?Sized),
    log: &LogIdentity,
    record: RecordHash,
) -> Result<Entry, SubmitError> {
    Ok(find_proof(transport, log, record)?.0)
}

/// As [`find`], and gives the proof file as well that shows it.
pub(crate) fn find_proof(
    transport: &(impl Transport + ?Sized),
    log: &LogIdentity,
    record: RecordHash,
) -> Result<(Entry, String), SubmitError> {
    let index = LeafIndex::new(transport.place(&record)?.index);
    let proof = transport.proof(index, None)?;
    let entry = charters::open(transport, log, &proof, index)?;
    check_record(&entry, record)?;
    Ok((entry, proof))
}

/// Finds a record that was signed here, with all of its signatures.
///
/// # Errors
///
/// [`SubmitError`].
pub fn find_signed(
    transport: &(impl Transport + ?Sized),
    log: &LogIdentity,
    signed: &SignedRecord,
) -> Result<Entry, SubmitError> {
    let entry = find(transport, log, signed.hash())?;
    check_signatures(&entry, signed)?;
    Ok(entry)
}

/// That the log has each signature that was sent. A record has the same name with fewer of them.
fn check_signatures(entry: &Entry, sent: &SignedRecord) -> Result<(), SubmitError> {
    let there = entry.record().envelope().signatures();
    let sent = sent.envelope().signatures().iter();
    let missing: Vec<KeyId> = sent
        .filter(|signature| !there.contains(signature))
        .map(|signature| signature.keyid)
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(SubmitError::SignatureLost {
            index: entry.index(),
            missing,
        }),
    }
}

fn list(keys: &[KeyId]) -> String {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    keys.join(", ")
}

fn check_record(entry: &Entry, want: RecordHash) -> Result<(), SubmitError> {
    match entry.record().hash() {
        got if got == want => Ok(()),
        got => Err(SubmitError::OtherRecord { got, want }),
    }
}
