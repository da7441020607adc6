//! What happens at every start, after a crash or not: the log is read again, hashed again, and compared with what was
//! signed.
//!
//! Nothing is repaired. A store that does not lead to its own signed head is refused with what does not fit, and a
//! person decides.

use std::path::Path;

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::leaf::Leaf;
use ledger::record::{Body, SignedRecord};
use store::{Group, Journaled, Mention, Storage, Store, StoreError, StoredCheckpoint, TileKey};
use tlog::checkpoint::{ParseCheckpointError, SignedCheckpoint};
use tlog::tile::Edge;
use tlog::{Hash, LeafIndex, TreeSize, leaf_hash};

use super::snapshot;

/// Leaves that are read at once: some megabytes.
const CHUNK: usize = 1_024;

/// Stretches of a journal that are read at once. Each may have thousands of leaves.
const STRETCHES: usize = 16;

/// A log that fits together: where the sequencer goes on.
pub(super) struct Recovered {
    pub(super) edge: Edge,
    pub(super) state: State,
    pub(super) head: StoredCheckpoint,
    /// Records whose refusal is in the log, oldest first.
    pub(super) refused: Vec<RecordHash>,
    /// The size of the snapshot that the reading began with; 0 for none.
    pub(super) from: TreeSize,
}

/// Reads the log from its newest snapshot on, or the whole of it, compares it with its signed head, and brings the store to
/// where the journal ends.
pub(super) fn recover(
    storage: &Storage,
    snapshots: Option<&Path>,
) -> Result<Recovered, RecoveryError> {
    let store = storage.store.as_ref();
    let mut head = store.head()?;
    let mut replay = match &head {
        Some(head) => {
            let replay = read_tail(store, head, snapshots)?;
            nothing_beyond(store, head.size)?;
            replay
        }
        None => Replay::new(),
    };
    catch_up(storage, &mut replay, &mut head)?;
    let head = head.ok_or(RecoveryError::Empty)?;
    same_end(storage, &head)?;
    let Replay {
        edge,
        state,
        refused,
        from,
    } = replay;
    Ok(Recovered {
        edge,
        state,
        head,
        refused,
        from: TreeSize::new(from),
    })
}

/// A snapshot that leads to another head than was signed is one more that is ignored.
fn read_tail(
    store: &dyn Store,
    head: &StoredCheckpoint,
    snapshots: Option<&Path>,
) -> Result<Replay, RecoveryError> {
    let newest = snapshots.and_then(|folder| snapshot::newest(folder, store, head.size));
    if let Some(mut replay) = newest {
        let size = replay.edge.size();
        match read_again(store, head, &mut replay) {
            Ok(()) => return Ok(replay),
            Err(error) => {
                tracing::warn!(%error, %size, "a snapshot is ignored: it does not lead to the signed head");
            }
        }
    }
    let mut replay = Replay::new();
    read_again(store, head, &mut replay).map(|()| replay)
}

fn read_again(
    store: &dyn Store,
    head: &StoredCheckpoint,
    replay: &mut Replay,
) -> Result<(), RecoveryError> {
    let signed = signed_head(head)?;
    for from in (replay.edge.size().get()..head.size.get()).step_by(CHUNK) {
        let to = head.size.get().min(from + CHUNK as u64);
        for (index, leaf) in (from..).zip(store.leaves(from..to)?) {
            let wrong = |error| RecoveryError::Leaf { index, error };
            let tiles = replay.push(&leaf).map_err(wrong)?;
            compare_tiles(store, &tiles)?;
        }
    }
    replay.must_lead_to(&signed)
}

/// Applies what the journal has and the store has not: a process can end between the two.
fn catch_up(
    storage: &Storage,
    replay: &mut Replay,
    head: &mut Option<StoredCheckpoint>,
) -> Result<(), RecoveryError> {
    loop {
        let size = replay.edge.size();
        let missing = storage.journal.after(size, STRETCHES)?;
        if missing.is_empty() {
            return Ok(());
        }
        for stretch in missing {
            let signed = signed_head(&stretch.checkpoint)?;
            let group = replay.group(stretch, head.as_ref())?;
            replay.must_lead_to(&signed)?;
            storage.store.apply(&group)?;
            *head = Some(group.checkpoint);
        }
    }
}

/// The log as its leaves imply it, one after another.
#[derive(Debug, Default)]
pub struct Replay {
    edge: Edge,
    state: State,
    refused: Vec<RecordHash>,
    /// The size at which it began.
    from: u64,
}

impl Replay {
    /// Before the first leaf.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Behind the leaves that led to this edge and this state, and in which these records were refused.
    pub(super) const fn behind(edge: Edge, state: State, refused: Vec<RecordHash>) -> Self {
        Self {
            from: edge.size().get(),
            edge,
            state,
            refused,
        }
    }

    /// The state alone.
    pub(super) fn into_state(self) -> State {
        self.state
    }

    /// The right edge of the tree so far.
    #[must_use]
    pub const fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The state so far.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Takes the next leaf, and gives back the tiles that became full with it. The signatures of a leaf under a
    /// checkpoint of our own were checked when it was admitted; here they are not.
    ///
    /// # Errors
    /// [`LeafError`] if the log would not have written such a leaf.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<(TileKey, Vec<Hash>)>, LeafError> {
        let leaf = Leaf::parse(bytes)?;
        let received_ms = leaf.received_ms();
        let before_ms = self.state.last_received_ms();
        if received_ms < before_ms {
            return Err(LeafError::TimeRegressed {
                received_ms,
                before_ms,
            });
        }
        let record = SignedRecord::from_envelope(leaf.into_envelope())?;
        if let Body::Refusal(refusal) = &record.record().body {
            self.refused.push(refusal.refused);
        }
        let index = LeafIndex::new(self.edge.size().get());
        self.state
            .apply(index, received_ms, &record.admitted_before());
        Ok(self.hash_only(bytes))
    }

    /// Takes the next leaves of a journal, and gives back the group that they are.
    fn group(
        &mut self,
        stretch: Journaled,
        before: Option<&StoredCheckpoint>,
    ) -> Result<Group, RecoveryError> {
        let first = LeafIndex::new(self.edge.size().get());
        let (mut leaves, mut mentions, mut tiles) = (Vec::new(), Vec::new(), Vec::new());
        for (index, leaf) in (first.get()..).zip(stretch.leaves) {
            let wrong = |error| RecoveryError::Leaf { index, error };
            tiles.extend(self.push(&leaf).map_err(wrong)?);
            let record = read_record(&leaf).map_err(|refusal| wrong(refusal.into()))?;
            mentions.extend(Mention::all_of(LeafIndex::new(index), &record));
            leaves.push((record.hash(), leaf));
        }
        Ok(Group {
            first,
            leaves,
            mentions,
            tiles,
            supersedes: stretch.checkpoint.superseded(before),
            checkpoint: stretch.checkpoint,
        })
    }

    /// Only the leaves say which keys may sign their head: an amendment may have replaced the one that did.
    fn must_lead_to(&self, signed: &SignedCheckpoint) -> Result<(), RecoveryError> {
        let (size, computed, head) = (self.edge.size(), self.edge.root(), signed.unverified());
        if computed != head.root {
            return Err(RecoveryError::Root {
                size,
                computed,
                signed: head.root,
            });
        }
        let unsigned = |refusal| RecoveryError::HeadSignature { size, refusal };
        self.state.signed_in_force(signed).map_err(unsigned)?;
        Ok(())
    }

    /// Takes the hash of a leaf whose record cannot be read, so that a check of the tree can go on behind it.
    pub fn hash_only(&mut self, bytes: &[u8]) -> Vec<(TileKey, Vec<Hash>)> {
        let full = self.edge.push(leaf_hash(bytes)).into_iter();
        full.map(|(tile, hashes)| {
            (
                TileKey {
                    level: tile.level,
                    index: tile.index,
                },
                hashes,
            )
        })
        .collect()
    }
}

/// Why bytes are not a leaf of this log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Its form is wrong.
    #[error(transparent)]
    Form(#[from] Refusal),
    /// It was received before the leaf in front of it.
    #[error("it was received at {received_ms}, before the leaf in front of it at {before_ms}")]
    TimeRegressed {
        /// When it was received: milliseconds since the epoch.
        received_ms: u64,
        /// When the leaf in front of it was.
        before_ms: u64,
    },
}

/// What does not fit together.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The store cannot be read, or lacks something under its head.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no log in the store.
    #[error("there is no log in the store")]
    Empty,
    /// The journal and the store do not end at one head.
    #[error("the journal ends at {journal}, the store at {store}, and not at one head")]
    JournalApart {
        /// The size of the journal's head.
        journal: TreeSize,
        /// The size of the store's head.
        store: TreeSize,
    },
    /// The head is not a checkpoint.
    #[error("the head at size {size} is not a signed checkpoint")]
    HeadMalformed {
        /// The size that it is kept under.
        size: TreeSize,
        /// Why.
        #[source]
        error: ParseCheckpointError,
    },
    /// The head is not signed by a log key that the charter names there.
    #[error("the head at size {size} is not signed by the log key")]
    HeadSignature {
        /// The size that it is kept under.
        size: TreeSize,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// The head speaks of another size than it is kept under.
    #[error("the head kept for size {size} is of size {signed}")]
    HeadSize {
        /// The size that it is kept under.
        size: TreeSize,
        /// The size that was signed.
        signed: TreeSize,
    },
    /// A leaf is not one that this log writes.
    #[error("leaf {index} is damaged")]
    Leaf {
        /// Its index.
        index: u64,
        /// Why.
        #[source]
        error: LeafError,
    },
    /// A full tile has other hashes than the leaves lead to.
    #[error("tile {index} of level {level} does not match the leaves")]
    Tile {
        /// The tile level.
        level: u8,
        /// The position on the level.
        index: u64,
    },
    /// The leaves lead to another root than was signed.
    #[error("the {size} leaves lead to the root {computed}, but the signed root is {signed}")]
    Root {
        /// The size of the head.
        size: TreeSize,
        /// The root that the leaves lead to.
        computed: Hash,
        /// The root that was signed.
        signed: Hash,
    },
    /// There are leaves that no checkpoint covers.
    #[error("there is a leaf at {index}, where the signed log ends")]
    BeyondHead {
        /// The index of the first of them.
        index: u64,
    },
}

/// The checkpoint in a stored head, of the size that it is kept under. Who signed it is to be checked.
fn signed_head(head: &StoredCheckpoint) -> Result<SignedCheckpoint, RecoveryError> {
    let size = head.size;
    let malformed = |error| RecoveryError::HeadMalformed { size, error };
    let signed = SignedCheckpoint::parse(&head.checkpoint).map_err(malformed)?;
    match signed.unverified().size {
        told if told == size => Ok(signed),
        told => Err(RecoveryError::HeadSize { size, signed: told }),
    }
}

fn read_record(leaf: &[u8]) -> Result<SignedRecord, Refusal> {
    Leaf::parse(leaf).and_then(|leaf| SignedRecord::from_envelope(leaf.into_envelope()))
}

fn compare_tiles(
    store: &dyn Store,
    computed: &[(TileKey, Vec<Hash>)],
) -> Result<(), RecoveryError> {
    for (key, hashes) in computed {
        if store.tiles(&[*key])?.first() != Some(hashes) {
            let TileKey { level, index } = *key;
            return Err(RecoveryError::Tile { level, index });
        }
    }
    Ok(())
}

/// A store that is ahead of its journal, or ends at another head, shows that the journal went back.
fn same_end(storage: &Storage, stored: &StoredCheckpoint) -> Result<(), RecoveryError> {
    let journal = storage.journal.head()?;
    match journal.as_ref() == Some(stored) {
        true => Ok(()),
        false => Err(RecoveryError::JournalApart {
            journal: journal.map_or(TreeSize::new(0), |head| head.size),
            store: stored.size,
        }),
    }
}

/// A group is committed whole, so a leaf beyond the head was not put there by this program.
fn nothing_beyond(store: &dyn Store, size: TreeSize) -> Result<(), RecoveryError> {
    let index = size.get();
    match store.leaves(index..index.saturating_add(1)) {
        Err(StoreError::LeafMissing { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(RecoveryError::BeyondHead { index }),
    }
}

#[cfg(test)]
mod tests;
