//! What the log grew by last, as far as its proofs need it: who has just logged a record is answered without a read.

use ledger::digest::RecordHash;
use tlog::tile::{Edge, Tail};
use tlog::tree::Node;
use tlog::{Hash, LeafIndex};

/// The leaves of the newest group, and the nodes of their proofs.
pub(in crate::log) struct Recent {
    tail: Tail,
    first: u64,
    leaves: Vec<(RecordHash, Vec<u8>)>,
}

impl Recent {
    /// That of a log which has not grown since it was opened.
    pub(in crate::log) fn at(edge: &Edge) -> Self {
        Self {
            tail: Tail::of(edge),
            first: edge.size().get(),
            leaves: Vec::new(),
        }
    }

    /// That of the log which grew by these leaves, with these hashes.
    pub(in crate::log) fn grown(
        &self,
        leaves: Vec<(RecordHash, Vec<u8>)>,
        hashes: &[Hash],
    ) -> Self {
        Self {
            tail: self.tail.grown(hashes),
            first: self.tail.size().get(),
            leaves,
        }
    }

    /// The bytes of a leaf, if it is one of them.
    pub(super) fn leaf(&self, index: LeafIndex) -> Option<&[u8]> {
        let at = index.get().checked_sub(self.first)?;
        let (_, leaf) = self.leaves.get(usize::try_from(at).ok()?)?;
        Some(leaf)
    }

    /// The hash of a node, if it is one of theirs.
    pub(super) fn node(&self, node: Node) -> Option<Hash> {
        self.tail.node(node)
    }
}
