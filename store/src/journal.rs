//! The journal: what takes groups and makes them durable, one after another, from one leader at a time.

use tlog::{LeafIndex, TreeSize};

use crate::{Group, Store, StoreError, StoredCheckpoint};

/// Takes groups. Once one is durable it is the log, whatever becomes of whoever wrote it.
pub trait Journal: Send + Sync + 'static {
    /// Takes the lead. From here on a group of any earlier term is fenced.
    ///
    /// # Errors
    /// [`StoreError`] if the journal cannot be reached.
    fn lead(&self) -> Result<Term, StoreError>;

    /// Adds a group, all of it or nothing, and returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`], which says whether the group may be there nevertheless.
    fn append(&self, group: &Group, term: Term) -> Result<Appended, AppendError>;

    /// What was appended behind `size`, oldest first: up to `limit` stretches that each end at a signed head. Groups may
    /// come together as one stretch, so a stretch is not always what was appended at once.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn after(&self, size: TreeSize, limit: usize) -> Result<Vec<Journaled>, StoreError>;

    /// The newest checkpoint; `None` in a journal without leaves.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError>;
}

/// A leader's time in office: the fencing token of what it appends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What became of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the journal and stays there.
    Durable,
    /// Another took the lead, so it is not there and never will be.
    Fenced,
}

/// Why nobody says that a group is durable.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It is not in the journal. What was known before still holds.
    #[error("the group was not written")]
    NotDone(#[source] StoreError),
    /// It may be there after a restart. Whoever gets this stops writing and recovers from what is stored.
    #[error("nobody knows whether the group was written")]
    Unknown(#[source] StoreError),
}

/// Leaves of the journal and the signed head that covers them. All else in a [`Group`] follows from the leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journaled {
    /// The index of the first leaf.
    pub first: LeafIndex,
    /// The leaves.
    pub leaves: Vec<Vec<u8>>,
    /// The signed head of the log with these leaves.
    pub checkpoint: StoredCheckpoint,
}

/// What a database that is journal and store at once gives as [`Journal::after`]: it keeps no groups, so a stretch ends
/// at each kept checkpoint.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub fn stretches(
    store: &dyn Store,
    size: TreeSize,
    limit: usize,
) -> Result<Vec<Journaled>, StoreError> {
    let mut from = size.get();
    let stretch = |checkpoint: StoredCheckpoint| -> Result<Journaled, StoreError> {
        let to = checkpoint.size.get();
        let leaves = store.leaves(from..to)?;
        let first = LeafIndex::new(std::mem::replace(&mut from, to));
        Ok(Journaled {
            first,
            leaves,
            checkpoint,
        })
    };
    let kept = store.checkpoints(size, limit)?;
    kept.into_iter().map(stretch).collect()
}
