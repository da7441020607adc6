//! The two numbers that a log counts with, as types that cannot be mixed up.

use std::fmt;

/// The position of a leaf in the log, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(u64);

impl LeafIndex {
    /// The leaf at this position.
    #[must_use]
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The position as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many leaves a tree has. The last leaf's index is one less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(u64);

impl TreeSize {
    /// The size of a tree without leaves.
    pub const EMPTY: Self = Self(0);

    /// A tree of so many leaves.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self(size)
    }

    /// The size as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether a tree of this size has the leaf.
    #[must_use]
    pub const fn contains(self, index: LeafIndex) -> bool {
        index.0 < self.0
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
