//! What a client asks of a log, wherever that is: over HTTP it is a [`Service`](crate::http::Service), in memory a
//! [`MemoryLog`](crate::memory::MemoryLog).
//!
//! Answers are claims. Whoever asks holds them to proofs.

mod error;
mod problem;

use ledger::digest::RecordHash;
use ledger::envelope::Envelope;
use ledger::text::Name;
use tlog::{LeafIndex, TreeSize};
use wire::{AgentAsOf, Charter, Consistency, Place, Submitted};

use crate::clock::Heard;

pub use error::{MAX_ANSWER_BYTES, ServiceError};
pub use problem::Problem;

/// A log that can be talked to.
pub trait Transport {
    /// Hands a record to the log.
    ///
    /// # Errors
    ///
    /// [`ServiceError`]; only [`ServiceError::Refused`] says that the record was judged.
    fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError>;

    /// Hands records to the log that rest on each other, in their order. Gives the answers up to the first that is an
    /// error: what follows that one has no answer.
    fn submit_in_a_row(&self, envelopes: &[&Envelope]) -> Vec<Result<Submitted, ServiceError>> {
        up_to_an_error(envelopes.iter().map(|envelope| self.submit(envelope)))
    }

    /// Where a record is.
    ///
    /// # Errors
    ///
    /// [`ServiceError`], as below.
    fn place(&self, record: &RecordHash) -> Result<Place, ServiceError>;

    /// The proof file of an entry, of the tree of a size or the newest.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError>;

    /// The hashes that should show the tree of `new` entries to extend that of `old`.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError>;

    /// Where an agent stands.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    fn agent(&self, name: &Name) -> Result<AgentAsOf, ServiceError>;

    /// The names of the log and of the charter in force.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    fn charter(&self) -> Result<Charter, ServiceError>;

    /// What time it was there by its last answer, whatever that was about; `None` where nobody says.
    fn heard(&self) -> Option<Heard> {
        None
    }
}

impl<T: Transport + ?Sized> Transport for &T {
    fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError> {
        (**self).submit(envelope)
    }

    fn submit_in_a_row(&self, envelopes: &[&Envelope]) -> Vec<Result<Submitted, ServiceError>> {
        (**self).submit_in_a_row(envelopes)
    }

    fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
        (**self).place(record)
    }

    fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError> {
        (**self).proof(index, size)
    }

    fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError> {
        (**self).consistency(old, new)
    }

    fn agent(&self, name: &Name) -> Result<AgentAsOf, ServiceError> {
        (**self).agent(name)
    }

    fn charter(&self) -> Result<Charter, ServiceError> {
        (**self).charter()
    }

    fn heard(&self) -> Option<Heard> {
        (**self).heard()
    }
}

/// Answers up to the first that is an error, and that one.
pub(crate) fn up_to_an_error<R>(
    answers: impl Iterator<Item = Result<R, ServiceError>>,
) -> Vec<Result<R, ServiceError>> {
    let mut heard = Vec::new();
    for answer in answers {
        let is_last = answer.is_err();
        heard.push(answer);
        if is_last {
            break;
        }
    }
    heard
}
