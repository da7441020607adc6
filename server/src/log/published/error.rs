//! Why something could not be read or proven, and whose fault that is.

use ledger::codes::{Code, Refusal};
use store::StoreError;
use tlog::checkpoint::ParseCheckpointError;
use tlog::tile::TileError;
use tlog::{LeafIndex, ProofError, ProveError, TreeSize};

use crate::bounds::OutOfBounds;
use crate::metrics;

/// Why something could not be read or proven.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller asked about a size that is not published.
    #[error("the log has {published} leaves, not {size}")]
    BeyondHead {
        /// The size that was asked about.
        size: TreeSize,
        /// The published size.
        published: TreeSize,
    },
    /// The caller asked for a head that the history does not have.
    #[error("no head of {size} leaves is kept; the next one kept has {next}")]
    NotKept {
        /// The size that was asked about.
        size: TreeSize,
        /// The smallest size above it whose head is kept.
        next: TreeSize,
    },
    /// A kept head is not of the tree that it is kept for.
    #[error("the head kept for {size} leaves is not of their tree")]
    FalseHead {
        /// Its size.
        size: TreeSize,
    },
    /// The caller asked for a leaf that the tree does not have.
    #[error("leaf {index} is outside a tree of {size} leaves")]
    IndexOutOfRange {
        /// The leaf.
        index: LeafIndex,
        /// The size of the tree.
        size: TreeSize,
    },
    /// The caller asked for a state where no pulse names one, or the leaves lead to another.
    #[error("no pulse up to entry {index} names the state in front of it")]
    NoState {
        /// The entry.
        index: LeafIndex,
    },
    /// The caller named the larger size as the older one.
    #[error("a tree of {new} leaves cannot extend one of {old}")]
    SizesReversed {
        /// The size named as the older.
        old: TreeSize,
        /// The size named as the newer.
        new: TreeSize,
    },
    /// The read went as far as it may.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// The store failed.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    /// What the store gave does not lead to the signed root.
    #[error("a proof made from the store does not verify")]
    FalseProof(#[source] ProofError),
    /// The prover and its reader disagree: a fault of this program.
    #[error("a proof could not be made: {0}")]
    Prover(String),
    /// A checkpoint of our own cannot be read back: a fault of this program.
    #[error("a checkpoint of this log does not parse")]
    Checkpoint(#[from] ParseCheckpointError),
    /// There is no such thing to select the leaves of.
    #[error("{what} is not in a log of {size} entries")]
    NothingToSelect {
        /// What was asked for.
        what: String,
        /// The size of the log.
        size: TreeSize,
    },
    /// The caller asked for more than a pack can hold.
    #[error("{got} {what}, but a pack holds at most {most}; ask for ranges of entries instead")]
    PackTooLarge {
        /// Of what there are too many.
        what: &'static str,
        /// How many there are.
        got: u64,
        /// How many there can be.
        most: u64,
    },
    /// A leaf cannot be read, which all leaves of this log can.
    #[error("leaf {index} is damaged")]
    Leaf {
        /// Its index.
        index: LeafIndex,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// A leaf is not even text, which all leaves of this log are.
    #[error("leaf {index} is not text")]
    LeafNotText {
        /// Its index.
        index: LeafIndex,
    },
    /// A leaf does not fit into a bundle, which no leaf of this log exceeds.
    #[error("a stored leaf does not fit into a bundle")]
    Bundle(#[from] TileError),
}

impl ReadError {
    /// How a caller is told: what it may ask for and did not get is `not-found`, a reversed range `malformed`,
    /// everything else `internal`.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::BeyondHead { .. }
            | Self::NotKept { .. }
            | Self::IndexOutOfRange { .. }
            | Self::NoState { .. }
            | Self::NothingToSelect { .. } => Code::NotFound.because(self),
            Self::PackTooLarge { .. } => Code::TooLarge.because(self),
            Self::SizesReversed { .. } => Code::Malformed.because(self),
            Self::OutOfBounds(OutOfBounds::Rows) => Code::TooLarge.because(self),
            Self::OutOfBounds(_) => Code::Overloaded.because(self),
            Self::Store(_)
            | Self::FalseHead { .. }
            | Self::FalseProof(_)
            | Self::Prover(_)
            | Self::Leaf { .. }
            | Self::LeafNotText { .. }
            | Self::Checkpoint(_)
            | Self::Bundle(_) => Code::Internal.because(self),
        }
    }
}

impl From<ProveError<StoreError>> for ReadError {
    fn from(error: ProveError<StoreError>) -> Self {
        match error {
            ProveError::Read(error) => Self::Store(error),
            ProveError::IndexOutOfRange { index, size } => Self::IndexOutOfRange { index, size },
            ProveError::SizesReversed { old, new } => Self::SizesReversed { old, new },
            ProveError::NotAscending { .. } | ProveError::WrongHashCount { .. } => {
                Self::Prover(error.to_string())
            }
        }
    }
}

pub(in crate::log) fn false_proof(error: ProofError) -> ReadError {
    metrics::proof_failed();
    ReadError::FalseProof(error)
}
