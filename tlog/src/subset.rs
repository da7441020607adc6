//! Subset proofs: many leaves of a tree, one proof.
//!
//! Walk the tree from the root and split it as RFC 6962 §2.1 does. A subtree without a chosen leaf gives its hash, a
//! chosen leaf gives nothing, anything else is walked left, then right. The hashes in that order are the proof. The
//! verifier walks the same way, takes a hash where the prover gave one, and must end with none left over.
//!
//! ```text
//! leaves 3 and 7 of 10:               root
//!                        ┌──────────────┴───┐
//!                        ○                 (8,9)
//!                ┌───────┴───────┐
//!                ○               ○
//!            ┌───┴───┐       ┌───┴───┐
//!          (0,1)     ○     (4,5)     ○
//!                  ┌─┴─┐           ┌─┴─┐
//!                 (2)  3          (6)  7          the proof: (0,1) (2) (4,5) (6) (8,9)
//! ```
//!
//! One leaf, a window and scattered leaves are one algorithm. In a window there is no room for an omission: every
//! leaf between its ends is either chosen or missed by the walk.

use std::borrow::Borrow;
use std::convert::Infallible;

use crate::span::{self, Span};
use crate::tree::HashReader;
use crate::{EMPTY_ROOT, Hash, LeafIndex, ProofError, ProveError, Step, TreeSize, node_hash};

/// Proves which leaves the tree of the first `size` leaves has at the chosen indices, which must ascend. They are
/// walked once and not kept, so that a window of any length costs no memory.
///
/// # Errors
///
/// [`ProveError::IndexOutOfRange`] or [`ProveError::NotAscending`] for the first index that is wrong, otherwise what
/// the reader failed with.
pub fn prove<R: HashReader + ?Sized>(
    chosen: impl IntoIterator<Item: Borrow<LeafIndex>>,
    size: TreeSize,
    reader: &R,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    let mut spans = Vec::new();
    walk_beside(chosen, size, |span| spans.push(span)).map_err(Disorder::of_caller)?;
    span::read(&spans, reader)
}

/// How many hashes [`prove`] gives for the chosen indices: for whoever has to bound what a proof takes before it is
/// made.
///
/// # Errors
///
/// Those of [`prove`] that are about the indices.
pub fn proof_length(
    chosen: impl IntoIterator<Item: Borrow<LeafIndex>>,
    size: TreeSize,
) -> Result<u64, ProveError<Infallible>> {
    let mut length = 0;
    walk_beside(chosen, size, |_| length += 1).map_err(Disorder::of_caller)?;
    Ok(length)
}

/// Walks past every subtree without a chosen leaf, left to right.
fn walk_beside(
    chosen: impl IntoIterator<Item: Borrow<LeafIndex>>,
    size: TreeSize,
    mut beside: impl FnMut(Span),
) -> Result<(), Disorder> {
    let (mut order, mut walk) = (Order::new(size), Walk::of(size));
    let chosen = chosen.into_iter().map(|index| Some(*index.borrow()));
    for next in chosen.chain([None]) {
        next.map_or(Ok(()), |index| order.check(index))?;
        while let Some(event) = walk.advance(next) {
            match event {
                Event::Beside(span) => beside(span),
                Event::Join(_) => {}
                Event::Chosen => break,
            }
        }
    }
    Ok(())
}

/// Checks that these are the hashes of those leaves in the tree of `size` leaves whose root is `root`. Both must come
/// from a verified checkpoint.
///
/// # Errors
///
/// What [`Verifier`] says, and [`ProofError::RootMismatch`] if the proof leads to another root.
pub fn verify(
    proof: &[Hash],
    size: TreeSize,
    leaves: &[(LeafIndex, Hash)],
    root: &Hash,
) -> Result<(), ProofError> {
    let mut verifier = Verifier::new(size, proof.to_vec());
    for (index, leaf) in leaves {
        verifier.push(*index, *leaf)?;
    }
    ProofError::check_root(size, verifier.finish()?, *root)
}

/// The steps from one of the leaves to the root, as the verifier of all of them took them.
///
/// # Errors
///
/// What [`verify`] says, and [`ProofError::IndexNotProven`] if `index` is not one of the leaves.
pub fn path(
    proof: &[Hash],
    size: TreeSize,
    leaves: &[(LeafIndex, Hash)],
    root: &Hash,
    index: LeafIndex,
) -> Result<Vec<Step>, ProofError> {
    let mut verifier = Verifier::tracing(size, proof.to_vec(), index);
    for (index, leaf) in leaves {
        verifier.push(*index, *leaf)?;
    }
    let (computed, steps) = verifier.finish_traced()?;
    ProofError::check_root(size, computed, *root)?;
    Ok(steps)
}

/// Checks a subset proof while the leaves stream by. Beside the proof it holds a few hashes for each level of the tree.
///
/// The first error is the last word: everything after it gives the same error.
#[derive(Clone, Debug)]
pub struct Verifier {
    walk: Walk,
    proof: Proof,
    order: Order,
    /// The subtrees that are known and not joined yet, left to right.
    subtrees: Vec<Hash>,
    trace: Option<Trace>,
    failed: Option<ProofError>,
}

impl Verifier {
    /// Starts to verify a proof for a tree of this size.
    #[must_use]
    pub fn new(size: TreeSize, proof: Vec<Hash>) -> Self {
        Self {
            walk: Walk::of(size),
            proof: Proof::new(proof),
            order: Order::new(size),
            subtrees: Vec::new(),
            trace: None,
            failed: None,
        }
    }

    /// Starts to verify, and notes the steps from the leaf at `index` for [`finish_traced`](Self::finish_traced).
    #[must_use]
    pub fn tracing(size: TreeSize, proof: Vec<Hash>, index: LeafIndex) -> Self {
        let trace = Some(Trace {
            index,
            proven: false,
            steps: Vec::new(),
        });
        Self {
            trace,
            ..Self::new(size, proof)
        }
    }

    /// Takes the next leaf. Indices ascend.
    ///
    /// # Errors
    ///
    /// [`ProofError::IndexOutOfRange`] or [`ProofError::NotAscending`] if the index is wrong,
    /// [`ProofError::MissingHashes`] if the proof ends before it gets to the leaf.
    pub fn push(&mut self, index: LeafIndex, leaf: Hash) -> Result<(), ProofError> {
        self.once(|verifier| {
            verifier.order.check(index).map_err(Disorder::of_proof)?;
            verifier.advance(Some((index, leaf)))
        })
    }

    /// Ends the list of leaves and gives the root that they and the proof lead to: it is for the caller to compare with
    /// that of a verified checkpoint. Without that nothing is shown.
    ///
    /// # Errors
    ///
    /// [`ProofError::MissingHashes`] or [`ProofError::SurplusHashes`] if the proof is not for exactly these leaves.
    pub fn finish(self) -> Result<Hash, ProofError> {
        self.complete().map(|verifier| verifier.root())
    }

    /// As [`finish`](Self::finish), with the steps from the traced leaf to the root.
    ///
    /// # Errors
    ///
    /// Those of [`finish`](Self::finish), and [`ProofError::IndexNotProven`] if no traced leaf was among the leaves.
    pub fn finish_traced(self) -> Result<(Hash, Vec<Step>), ProofError> {
        let verifier = self.complete()?;
        let root = verifier.root();
        match verifier.trace {
            Some(trace) if trace.proven => Ok((root, trace.steps)),
            Some(Trace { index, .. }) => Err(ProofError::IndexNotProven { index }),
            None => Ok((root, Vec::new())),
        }
    }

    fn complete(mut self) -> Result<Self, ProofError> {
        self.once(|verifier| {
            verifier.advance(None)?;
            verifier.proof.check_used_up()
        })?;
        Ok(self)
    }

    /// An empty tree has no subtree at all.
    fn root(&self) -> Hash {
        self.subtrees.last().copied().unwrap_or(EMPTY_ROOT)
    }

    fn once(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), ProofError>,
    ) -> Result<(), ProofError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = work(self);
        self.failed = result.clone().err();
        result
    }

    /// Walks up to the next leaf, or to the end of the tree.
    fn advance(&mut self, next: Option<(LeafIndex, Hash)>) -> Result<(), ProofError> {
        while let Some(event) = self.walk.advance(next.map(|(index, _)| index)) {
            match event {
                Event::Beside(_) => self.subtrees.push(self.proof.take()?),
                Event::Join(span) => self.join(span),
                Event::Chosen => {
                    self.subtrees.extend(next.map(|(_, leaf)| leaf));
                    self.mark_traced(next.map(|(index, _)| index));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn join(&mut self, span: Span) {
        let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.pop()) else {
            return;
        };
        let parent = match self
            .trace
            .as_mut()
            .filter(|trace| span.contains(trace.index))
        {
            Some(trace) => trace.join(span, left, right),
            None => node_hash(&left, &right),
        };
        self.subtrees.push(parent);
    }

    fn mark_traced(&mut self, index: Option<LeafIndex>) {
        if let Some(trace) = &mut self.trace {
            trace.proven |= index == Some(trace.index);
        }
    }
}

/// The hashes of a proof, taken one by one.
#[derive(Clone, Debug)]
struct Proof {
    hashes: Vec<Hash>,
    used: usize,
}

impl Proof {
    fn new(hashes: Vec<Hash>) -> Self {
        Self { hashes, used: 0 }
    }

    fn take(&mut self) -> Result<Hash, ProofError> {
        let (got, want) = (self.hashes.len(), self.used + 1);
        let hash = self.hashes.get(self.used).copied();
        self.used = want;
        hash.ok_or(ProofError::MissingHashes { got, want })
    }

    fn check_used_up(&self) -> Result<(), ProofError> {
        ProofError::check_length(self.hashes.len(), self.used)
    }
}

/// The path of one leaf, noted as its subtrees are joined: from the leaf upwards.
#[derive(Clone, Debug)]
struct Trace {
    index: LeafIndex,
    proven: bool,
    steps: Vec<Step>,
}

impl Trace {
    fn join(&mut self, span: Span, left: Hash, right: Hash) -> Hash {
        let Some((turn, _)) = span.turn_towards(self.index) else {
            return node_hash(&left, &right);
        };
        let step = Step::of_children(turn.level, left, right, turn.side);
        self.steps.push(step);
        step.parent
    }
}

/// Whether the indices are those of leaves, strictly ascending.
#[derive(Clone, Copy, Debug)]
struct Order {
    size: TreeSize,
    previous: Option<LeafIndex>,
}

impl Order {
    const fn new(size: TreeSize) -> Self {
        let previous = None;
        Self { size, previous }
    }

    fn check(&mut self, index: LeafIndex) -> Result<(), Disorder> {
        let size = self.size;
        if !size.contains(index) {
            return Err(Disorder::OutOfRange { index, size });
        }
        match self.previous.replace(index) {
            Some(previous) if previous >= index => Err(Disorder::NotAscending { previous, index }),
            _ => Ok(()),
        }
    }
}

/// What is wrong with an index: whose fault that is depends on who gave it.
enum Disorder {
    OutOfRange {
        index: LeafIndex,
        size: TreeSize,
    },
    NotAscending {
        previous: LeafIndex,
        index: LeafIndex,
    },
}

impl Disorder {
    fn of_proof(self) -> ProofError {
        match self {
            Self::OutOfRange { index, size } => ProofError::IndexOutOfRange { index, size },
            Self::NotAscending { previous, index } => ProofError::NotAscending { previous, index },
        }
    }

    fn of_caller<E>(self) -> ProveError<E> {
        match self {
            Self::OutOfRange { index, size } => ProveError::IndexOutOfRange { index, size },
            Self::NotAscending { previous, index } => ProveError::NotAscending { previous, index },
        }
    }
}

/// The walk of prover and verifier, as a stack of what is still to do: at most two entries a level.
#[derive(Clone, Debug)]
struct Walk {
    tasks: Vec<Task>,
}

#[derive(Clone, Copy, Debug)]
enum Task {
    Visit(Span),
    Join(Span),
}

/// What a walk comes to.
enum Event {
    /// A subtree without a chosen leaf: its hash is in the proof.
    Beside(Span),
    /// Both halves of this span are done.
    Join(Span),
    /// The chosen leaf.
    Chosen,
}

impl Walk {
    fn of(size: TreeSize) -> Self {
        let root = Task::Visit(Span::whole(size));
        let tasks = (size != TreeSize::EMPTY).then_some(root);
        Self {
            tasks: tasks.into_iter().collect(),
        }
    }

    /// Goes on to the next event, where `next` is the next chosen leaf, or `None` if there is no more.
    fn advance(&mut self, next: Option<LeafIndex>) -> Option<Event> {
        loop {
            let span = match self.tasks.pop()? {
                Task::Visit(span) => span,
                Task::Join(span) => return Some(Event::Join(span)),
            };
            // Leaves ascend and the walk goes left to right, so only the next one can be in here.
            if !next.is_some_and(|next| span.contains(next)) {
                return Some(Event::Beside(span));
            }
            let Some((left, right)) = span.split() else {
                return Some(Event::Chosen);
            };
            let both = [Task::Join(span), Task::Visit(right), Task::Visit(left)];
            self.tasks.extend(both);
        }
    }
}
