//! The steps that a verifier took, to show or draw them.

use crate::{Hash, node_hash};

/// One step up the tree: two hashes that were joined, and the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The height of the parent above the leaves: it spans more than `2^(level-1)` and at most `2^level` of them.
    pub level: u8,
    /// The left child.
    pub left: Hash,
    /// The right child.
    pub right: Hash,
    /// The hash of the two, which the next step goes on with.
    pub parent: Hash,
    /// Which child is beside the path; the other is the parent of the step before, or where the path began.
    pub sibling: Side,
}

impl Step {
    /// Joins the hash that the path has reached with the sibling on the given side.
    pub(crate) fn join(level: u8, hash: Hash, sibling: Hash, side: Side) -> Self {
        let (left, right) = match side {
            Side::Left => (sibling, hash),
            Side::Right => (hash, sibling),
        };
        Self::of_children(level, left, right, side)
    }

    /// Joins two children, of which one is the sibling.
    pub(crate) fn of_children(level: u8, left: Hash, right: Hash, sibling: Side) -> Self {
        let parent = node_hash(&left, &right);
        Self {
            level,
            left,
            right,
            parent,
            sibling,
        }
    }
}

/// A side of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side of the lower indices.
    Left,
    /// The side of the higher indices.
    Right,
}
