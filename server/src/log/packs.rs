//! Evidence packs, cut from a published head a piece at a time.
//!
//! A window up to a size whose head was kept comes under that head: then nothing behind it is left out, and its receiver
//! can judge the whole. Any other comes under the newest head.
//!
//! A window that begins with a pulse brings the state in front of it, which that pulse names: so it can be judged from there
//! on, by whoever trusts that state.
//!
//! The head is pinned when a pack begins, so the log grows on beside it, and no lock is held. What is sent is verified
//! while it is sent, by the code that its receiver uses: the last piece is given away only when the leaves and the proof
//! have led to the signed root. Whoever gets a whole pack has one that holds; a damaged store breaks it off.

use std::fmt;
use std::sync::Arc;

use ledger::govern::State;
use ledger::pack::{Entry, Header, Line, MAX_HASHES, Range, Selection};
use tlog::checkpoint::SignedCheckpoint;
use tlog::{Hash, LeafIndex, ProofError, TreeSize, leaf_hash, subset};

use super::published::{Published, ReadError, false_proof};

/// How many leaves are read at once: at most 3 MiB, and some 100 KiB usually.
const LEAVES_AT_ONCE: usize = 64;

/// A pack on its way out.
pub struct PackReader {
    published: Arc<Published>,
    head: Head,
    leaves: Leaves,
    verifier: subset::Verifier,
    /// What was made and is not yet given away.
    held: Vec<u8>,
    /// Where in it the proof begins.
    behind_head: usize,
}

/// The signed head that a pack is proven against.
struct Head {
    size: TreeSize,
    root: Hash,
    checkpoint: SignedCheckpoint,
}

/// The leaves that are still to come.
enum Leaves {
    Window(std::ops::Range<u64>),
    /// Ascending.
    Scattered(std::vec::IntoIter<LeafIndex>),
}

impl PackReader {
    /// Begins the pack of a window. The state in front of it is found by `finder`, the same head within bounds: a fold of
    /// leaves may take long.
    ///
    /// # Errors
    /// [`ReadError::Store`] or [`ReadError::FalseProof`] if the store is damaged; [`ReadError::OutOfBounds`].
    pub fn window(
        published: Arc<Published>,
        finder: &Published,
        range: Range,
    ) -> Result<Self, ReadError> {
        let head = Head::at_end_of(range, &published)?;
        let leaves = Leaves::Window(range.from().get()..range.to().get());
        let proof = subset::prove(range.indices(), head.size, published.as_ref())?;
        let (selection, count) = (Selection::Range(range), range.count());
        let state = match range.from().get() {
            0 => None,
            _ => finder.state_before(range.from())?,
        };
        let mut pack = Self::begin(published, head, selection, leaves, count, proof);
        if let Some(state) = state {
            pack.bring(&state);
        }
        Ok(pack)
    }

    /// Brings the state in front of the first leaf, so that the pack can be judged from there on.
    fn bring(&mut self, state: &State) {
        let mut lines = Line::State(state.at()).to_string();
        for entry in state.tree().entries() {
            lines += &Line::StateEntry(entry).to_string();
        }
        self.held
            .splice(self.behind_head..self.behind_head, lines.into_bytes());
    }

    /// Begins the pack of an agent or a goal, whose leaves these are, ascending.
    ///
    /// # Errors
    /// [`ReadError::PackTooLarge`] if the proof would be longer than a pack can hold; [`ReadError::Store`] or
    /// [`ReadError::FalseProof`] if the store is damaged.
    pub fn scattered(
        published: Arc<Published>,
        selection: Selection,
        indices: Vec<LeafIndex>,
    ) -> Result<Self, ReadError> {
        let size = published.size;
        let hashes = subset::proof_length(&indices, size).unwrap_or(u64::MAX);
        if hashes > MAX_HASHES as u64 {
            let what = "hashes of its proof";
            let (got, most) = (hashes, MAX_HASHES as u64);
            return Err(ReadError::PackTooLarge { what, got, most });
        }
        let proof = subset::prove(&indices, size, published.as_ref())?;
        let count = indices.len() as u64;
        let head = Head::newest(&published)?;
        let leaves = Leaves::Scattered(indices.into_iter());
        Ok(Self::begin(
            published, head, selection, leaves, count, proof,
        ))
    }

    fn begin(
        published: Arc<Published>,
        head: Head,
        selection: Selection,
        leaves: Leaves,
        count: u64,
        proof: Vec<Hash>,
    ) -> Self {
        let header = Header {
            origin: published.origin().to_string(),
            size: head.size,
            selection,
            count,
        };
        let checkpoint = Box::new(head.checkpoint.clone());
        let mut held = Line::Header(header).to_string();
        held += &Line::Checkpoint(checkpoint).to_string();
        let behind_head = held.len();
        held += &Line::Proof(proof.clone()).to_string();
        Self {
            behind_head,
            verifier: subset::Verifier::new(head.size, proof),
            held: held.into_bytes(),
            published,
            head,
            leaves,
        }
    }

    /// The next piece of the pack; `None` behind the last.
    ///
    /// # Errors
    /// [`ReadError::Store`], [`ReadError::FalseProof`] or [`ReadError::LeafNotText`] if the store is damaged. There is nothing
    /// to go on with then.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.held.is_empty() {
            return Ok(None);
        }
        let next = self.read_leaves()?;
        if next.is_empty() {
            self.check_root()?;
        }
        Ok(Some(std::mem::replace(&mut self.held, next)))
    }

    fn read_leaves(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut lines = String::new();
        for run in self.leaves.next_runs() {
            for (index, leaf) in (run.start..).zip(self.published.leaves(run)?) {
                let index = LeafIndex::new(index);
                let pushed = self.verifier.push(index, leaf_hash(&leaf));
                pushed.map_err(false_proof)?;
                let leaf = String::from_utf8(leaf).map_err(|_| ReadError::LeafNotText { index })?;
                lines += &Line::Leaf(Entry { index, leaf }).to_string();
            }
        }
        Ok(lines.into_bytes())
    }

    fn check_root(&self) -> Result<(), ReadError> {
        let (size, expected) = (self.head.size, self.head.root);
        let computed = self.verifier.clone().finish().map_err(false_proof)?;
        match computed == expected {
            true => Ok(()),
            false => Err(false_proof(ProofError::RootMismatch {
                size,
                computed,
                expected,
            })),
        }
    }
}

impl Head {
    fn newest(published: &Published) -> Result<Self, ReadError> {
        Ok(Self {
            size: published.size,
            root: published.root,
            checkpoint: SignedCheckpoint::parse(&published.checkpoint)?,
        })
    }

    /// The kept head that ends with the range, else the newest.
    fn at_end_of(range: Range, published: &Published) -> Result<Self, ReadError> {
        let size = TreeSize::new(range.to().get());
        let Some(checkpoint) = published.kept_checkpoint(size)? else {
            return Self::newest(published);
        };
        Ok(Self {
            size,
            root: published.root_at(size)?,
            checkpoint: SignedCheckpoint::parse(&checkpoint)?,
        })
    }
}

impl Leaves {
    /// The next leaves as runs of neighbours, [`LEAVES_AT_ONCE`] together at most; none when all have come.
    fn next_runs(&mut self) -> Vec<std::ops::Range<u64>> {
        match self {
            Self::Window(rest) => {
                let end = rest
                    .end
                    .min(rest.start.saturating_add(LEAVES_AT_ONCE as u64));
                let run = std::mem::replace(rest, end..rest.end);
                let run = run.start..end;
                (!run.is_empty()).then_some(run).into_iter().collect()
            }
            Self::Scattered(rest) => runs(rest.take(LEAVES_AT_ONCE).map(LeafIndex::get)),
        }
    }
}

fn runs(indices: impl Iterator<Item = u64>) -> Vec<std::ops::Range<u64>> {
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    for index in indices {
        match runs.last_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

impl fmt::Debug for PackReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackReader({:?})", self.published)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together() {
        assert_eq!(runs([1, 2, 4, 7, 8, 9].into_iter()), [1..3, 4..5, 7..10]);
        let mut window = Leaves::Window(0..130);
        let next = |leaves: &mut Leaves| leaves.next_runs().pop();
        assert_eq!(next(&mut window), Some(0..64));
        assert_eq!(next(&mut window), Some(64..128));
        assert_eq!(next(&mut window), Some(128..130));
        assert_eq!(next(&mut window), None);
        let mut scattered = Leaves::Scattered(vec![LeafIndex::new(3)].into_iter());
        assert_eq!(next(&mut scattered), Some(3..4));
        assert_eq!(next(&mut scattered), None);
    }
}
