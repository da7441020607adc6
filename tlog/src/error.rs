//! What can be wrong with a proof, and with making one.

use crate::{Hash, LeafIndex, TreeSize};

/// Why a proof does not show what it claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("leaf {index} is outside a tree of {size} leaves")]
    IndexOutOfRange {
        /// The leaf that was asked about.
        index: LeafIndex,
        /// The tree's size.
        size: TreeSize,
    },
    /// The tree that should be the newer one is smaller.
    #[error("a tree of {new} leaves cannot extend one of {old}")]
    SizesReversed {
        /// The size that should be the older.
        old: TreeSize,
        /// The size that should be the newer.
        new: TreeSize,
    },
    /// The leaves of a subset were not given in strictly rising order.
    #[error("leaf {index} came after leaf {previous}: a subset's leaves ascend")]
    NotAscending {
        /// The leaf before.
        previous: LeafIndex,
        /// The leaf that is not above it.
        index: LeafIndex,
    },
    /// The proof has fewer hashes than these sizes and leaves need.
    #[error("the proof has {got} hashes where at least {want} are needed")]
    MissingHashes {
        /// Hashes in the proof.
        got: usize,
        /// Hashes that it needs, as far as is known.
        want: usize,
    },
    /// The proof has more hashes than these sizes and leaves need.
    #[error("the proof has {got} hashes where {want} are needed")]
    SurplusHashes {
        /// Hashes in the proof.
        got: usize,
        /// Hashes that it needs.
        want: usize,
    },
    /// The hashes give another root.
    #[error("the proof leads to the root {computed} at size {size}, not to {expected}")]
    RootMismatch {
        /// The size of the tree whose root this is about.
        size: TreeSize,
        /// The root that the hashes give.
        computed: Hash,
        /// The root that they should give.
        expected: Hash,
    },
    /// The path of a leaf was asked for that the proof does not speak of.
    #[error("leaf {index} is not among those that the proof is for")]
    IndexNotProven {
        /// The leaf that was asked about.
        index: LeafIndex,
    },
}

impl ProofError {
    /// Compares the number of hashes that a proof has with the number that it needs.
    pub(crate) fn check_length(got: usize, want: usize) -> Result<(), Self> {
        match got.cmp(&want) {
            std::cmp::Ordering::Less => Err(Self::MissingHashes { got, want }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(Self::SurplusHashes { got, want }),
        }
    }

    /// Compares the root that was computed with the one that was expected.
    pub(crate) fn check_root(size: TreeSize, computed: Hash, expected: Hash) -> Result<(), Self> {
        if computed == expected {
            return Ok(());
        }
        Err(Self::RootMismatch {
            size,
            computed,
            expected,
        })
    }
}

/// Why a proof could not be made. `E` is the reader's own error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// The caller asked for a leaf that the tree does not have.
    #[error("leaf {index} is outside a tree of {size} leaves")]
    IndexOutOfRange {
        /// The leaf that was asked for.
        index: LeafIndex,
        /// The tree's size.
        size: TreeSize,
    },
    /// The caller named the larger tree as the older one.
    #[error("a tree of {new} leaves cannot extend one of {old}")]
    SizesReversed {
        /// The size that should be the older.
        old: TreeSize,
        /// The size that should be the newer.
        new: TreeSize,
    },
    /// The caller's leaves do not strictly ascend.
    #[error("leaf {index} came after leaf {previous}: a subset's leaves ascend")]
    NotAscending {
        /// The leaf before.
        previous: LeafIndex,
        /// The leaf that is not above it.
        index: LeafIndex,
    },
    /// The reader broke its contract: one hash for each node.
    #[error("the reader gave {got} hashes for {want} nodes")]
    WrongHashCount {
        /// Hashes that the reader gave.
        got: usize,
        /// Nodes that it was asked for.
        want: usize,
    },
    /// The reader failed.
    #[error("the stored hashes could not be read")]
    Read(#[source] E),
}
