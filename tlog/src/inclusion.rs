//! Inclusion proofs, RFC 6962 §2.1.1: a leaf is at this index of a tree with this root.
//!
//! The proof is the siblings on the way from the leaf to the root, the leaf's own first. Its length follows from
//! the index and the size alone, so the verifier knows it before it looks at a hash.

use crate::span::{self, Span, Turn};
use crate::tree::HashReader;
use crate::{Hash, LeafIndex, ProofError, ProveError, Step, TreeSize};

/// Proves that the tree of the first `size` leaves has its leaf at `index`.
///
/// # Errors
///
/// [`ProveError::IndexOutOfRange`] if the tree has no such leaf, otherwise what the reader failed with.
pub fn prove<R: HashReader + ?Sized>(
    index: LeafIndex,
    size: TreeSize,
    reader: &R,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    if !size.contains(index) {
        return Err(ProveError::IndexOutOfRange { index, size });
    }
    let turns = turns_from_root(index, size);
    let siblings: Vec<Span> = turns.iter().rev().map(|turn| turn.sibling).collect();
    span::read(&siblings, reader)
}

/// Checks that `leaf` is the hash at `index` in the tree of `size` leaves whose root is `root`, and gives the
/// steps from the leaf to the root. The size and the root must come from a verified checkpoint.
///
/// # Errors
///
/// [`ProofError::IndexOutOfRange`], [`ProofError::MissingHashes`] or [`ProofError::SurplusHashes`] if the proof
/// has not the form that index and size demand, and [`ProofError::RootMismatch`] if it leads to another root.
pub fn verify(
    proof: &[Hash],
    index: LeafIndex,
    size: TreeSize,
    leaf: &Hash,
    root: &Hash,
) -> Result<Vec<Step>, ProofError> {
    if !size.contains(index) {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    let turns = turns_from_root(index, size);
    ProofError::check_length(proof.len(), turns.len())?;
    let mut hash = *leaf;
    let mut steps = Vec::with_capacity(turns.len());
    for (turn, sibling) in turns.iter().rev().zip(proof) {
        let step = Step::join(turn.level, hash, *sibling, turn.side);
        hash = step.parent;
        steps.push(step);
    }
    ProofError::check_root(size, hash, *root)?;
    Ok(steps)
}

/// The turns on the way from the root down to a leaf, at most 64.
fn turns_from_root(index: LeafIndex, size: TreeSize) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut span = Span::whole(size);
    while let Some((turn, next)) = span.turn_towards(index) {
        turns.push(turn);
        span = next;
    }
    turns
}
