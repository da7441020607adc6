//! Consistency proofs, RFC 6962 §2.1.2: the newer tree begins with all leaves of the older, in the same order.
//!
//! Go down from the newer root towards the last leaf of the older tree, until a subtree ends where the older tree
//! ends. Of that subtree the older tree's root is made with the siblings on the left alone, the newer tree's
//! root with all of them: what is shared and what was added, in one list. The proof is that subtree's hash, then
//! the siblings upwards. Where the subtree *is* the older tree, its hash is the older root, which the
//! verifier has, and is left out.
//!
//! Every tree extends the empty one, and every tree extends itself: both proofs are empty.

use crate::span::{self, Span, Turn};
use crate::tree::HashReader;
use crate::{EMPTY_ROOT, Hash, LeafIndex, ProofError, ProveError, Side, Step, TreeSize};

/// Proves that the tree of the first `new` leaves extends the tree of the first `old`.
///
/// # Errors
///
/// [`ProveError::SizesReversed`] if `old` is above `new`, otherwise what the reader failed with.
pub fn prove<R: HashReader + ?Sized>(
    old: TreeSize,
    new: TreeSize,
    reader: &R,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    if old > new {
        return Err(ProveError::SizesReversed { old, new });
    }
    let Some(descent) = Descent::to_end_of(old, new) else {
        return Ok(Vec::new());
    };
    let siblings = descent.turns.iter().rev().map(|turn| turn.sibling);
    let spans: Vec<Span> = descent.listed().into_iter().chain(siblings).collect();
    span::read(&spans, reader)
}

/// Checks that the tree of `new` leaves with the root `new_root` extends that of `old` leaves with `old_root`, and
/// gives the steps to both. Sizes and roots must come from verified checkpoints.
///
/// # Errors
///
/// [`ProofError::SizesReversed`], [`ProofError::MissingHashes`] or [`ProofError::SurplusHashes`] if the proof has
/// not the form that the sizes demand, and [`ProofError::RootMismatch`] with the size of the root that it misses. If that is
/// the older, the proof itself is sound, and the trees are not of one history.
pub fn verify(
    proof: &[Hash],
    old: TreeSize,
    old_root: &Hash,
    new: TreeSize,
    new_root: &Hash,
) -> Result<ConsistencySteps, ProofError> {
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    check_empty_root(old, old_root)?;
    check_empty_root(new, new_root)?;
    let Some(descent) = Descent::to_end_of(old, new) else {
        return verify_without_hashes(proof, old, old_root, new, new_root);
    };
    let listed = usize::from(descent.listed().is_some());
    ProofError::check_length(proof.len(), descent.turns.len() + listed)?;
    let (seed, siblings) = match proof.split_first() {
        Some((seed, siblings)) if listed == 1 => (*seed, siblings),
        _ => (*old_root, proof),
    };
    let steps = climb(seed, &descent.turns, siblings);
    // First the newer: hashes that lead to its root are of its tree, so what they say about the older one is so.
    ProofError::check_root(new, last_parent(&steps.new, seed), *new_root)?;
    ProofError::check_root(old, last_parent(&steps.old, seed), *old_root)?;
    Ok(steps)
}

/// The steps by which a verifier went from what two trees share to both of their roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsistencySteps {
    /// To the older root. Empty if the shared subtree is the whole of the older tree.
    pub old: Vec<Step>,
    /// To the newer root. Empty if the trees are equal or the older one is empty.
    pub new: Vec<Step>,
}

/// The way from the newer root to the subtree that ends where the older tree ends.
struct Descent {
    turns: Vec<Turn>,
    last: Span,
}

impl Descent {
    /// `None` if there is nothing to prove: the older tree is empty, or both are the same.
    fn to_end_of(old: TreeSize, new: TreeSize) -> Option<Self> {
        let last_leaf = LeafIndex::new(old.get().checked_sub(1)?);
        let (mut turns, mut last) = (Vec::new(), Span::whole(new));
        while last.end() != old {
            let (turn, next) = last.turn_towards(last_leaf)?;
            turns.push(turn);
            last = next;
        }
        (!turns.is_empty()).then_some(Self { turns, last })
    }

    /// The subtree, if its hash is in the proof: not if it is the whole of the older tree (RFC 6962 §2.1.2).
    fn listed(&self) -> Option<Span> {
        (!self.last.is_leftmost()).then_some(self.last)
    }
}

fn climb(seed: Hash, turns: &[Turn], siblings: &[Hash]) -> ConsistencySteps {
    let mut steps = ConsistencySteps::default();
    let (mut old, mut new) = (seed, seed);
    for (turn, sibling) in turns.iter().rev().zip(siblings) {
        if turn.side == Side::Left {
            let step = Step::join(turn.level, old, *sibling, Side::Left);
            old = step.parent;
            steps.old.push(step);
        }
        let step = Step::join(turn.level, new, *sibling, turn.side);
        new = step.parent;
        steps.new.push(step);
    }
    steps
}

fn verify_without_hashes(
    proof: &[Hash],
    old: TreeSize,
    old_root: &Hash,
    new: TreeSize,
    new_root: &Hash,
) -> Result<ConsistencySteps, ProofError> {
    ProofError::check_length(proof.len(), 0)?;
    if old == new {
        ProofError::check_root(new, *old_root, *new_root)?;
    }
    Ok(ConsistencySteps::default())
}

/// An empty tree has only one root, whatever was signed.
fn check_empty_root(size: TreeSize, root: &Hash) -> Result<(), ProofError> {
    match size {
        TreeSize::EMPTY => ProofError::check_root(size, EMPTY_ROOT, *root),
        _ => Ok(()),
    }
}

fn last_parent(steps: &[Step], seed: Hash) -> Hash {
    steps.last().map_or(seed, |step| step.parent)
}
