//! What readers see: a signed head, and everything that can be proven against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::record::Kind;
use store::{Order, Store, StoreError, StoredCheckpoint, TileKey, Topic};
use tlog::checkpoint::{Origin, SignedCheckpoint};
use tlog::note::VerifierKey;
use tlog::tile::{Edge, EntryBundle, Tile, TileSlice};
use tlog::tree::{HashReader, Node};
use tlog::{Hash, LeafIndex, TreeSize, consistency, inclusion};

use crate::bounds::Bounds;

mod error;
mod recent;

pub use error::ReadError;
pub(super) use error::false_proof;
pub(super) use recent::Recent;

/// How many hashes are read at once: each may stand in a tile of its own, of 8 KiB, and proofs of scattered leaves have
/// many thousands.
const NODES_AT_ONCE: usize = 512;

/// Where published heads read from, and the key that their signatures verify by.
pub(crate) struct Source {
    pub(crate) store: Arc<dyn Store>,
    /// Where snapshots of the state lie, if there are any.
    pub(crate) snapshots: Option<PathBuf>,
    pub(crate) key: VerifierKey,
}

impl Source {
    /// The name of the log.
    pub(crate) fn origin(&self) -> Origin {
        Origin::from(self.key.name().clone())
    }
}

/// A signed head, and everything needed to prove against it. It never changes, and a reader keeps one as long as
/// it likes.
///
/// Full tiles and leaves come from the store, the right edge from the snapshot. Every proof is verified with
/// [`tlog`]'s verifier before it is handed out: a damaged row becomes an error here, not a false proof elsewhere.
#[derive(Clone)]
pub struct Published {
    /// How many leaves it covers.
    pub size: TreeSize,
    /// The root of their tree.
    pub root: Hash,
    /// When the last of them was received: milliseconds since the epoch.
    pub time_ms: u64,
    /// The signed note.
    pub checkpoint: String,
    /// What they imply.
    pub state: State,
    /// The state in front of the newest pulse that names it.
    pub(super) pulsed: Option<State>,
    edge: Edge,
    /// What it grew by last.
    pub(super) recent: Arc<Recent>,
    source: Arc<Source>,
    bounds: Option<Arc<Bounds>>,
}

impl Published {
    pub(super) fn new(
        head: StoredCheckpoint,
        edge: Edge,
        state: State,
        source: Arc<Source>,
        recent: Arc<Recent>,
    ) -> Self {
        Self {
            size: head.size,
            root: edge.root(),
            time_ms: head.time_ms,
            checkpoint: head.checkpoint,
            state,
            pulsed: None,
            recent,
            edge,
            source,
            bounds: None,
        }
    }

    /// What was published when the log had this size, root and state, but for its signed head.
    #[must_use]
    pub(super) fn then(&self, size: TreeSize, root: Hash, state: State) -> Self {
        Self {
            size,
            root,
            time_ms: state.last_received_ms(),
            state,
            pulsed: None,
            ..self.clone()
        }
    }

    /// The same head, with the state in front of its newest pulse.
    #[must_use]
    pub(super) fn pulsed(self, pulsed: Option<State>) -> Self {
        Self { pulsed, ..self }
    }

    /// What it reads from.
    pub(super) fn store(&self) -> &dyn Store {
        self.source.store.as_ref()
    }

    /// Where snapshots of the state lie.
    pub(super) fn snapshots(&self) -> Option<&Path> {
        self.source.snapshots.as_deref()
    }

    /// The same head, for a read within bounds.
    #[must_use]
    pub fn within(&self, bounds: &Arc<Bounds>) -> Self {
        Self {
            bounds: Some(Arc::clone(bounds)),
            ..self.clone()
        }
    }

    /// The right edge of its tree.
    pub(super) const fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The name of the log.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.source.origin()
    }

    /// The exact bytes of a leaf; `None` at or beyond this size.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn leaf(&self, index: LeafIndex) -> Result<Option<Vec<u8>>, ReadError> {
        if !self.size.contains(index) {
            return Ok(None);
        }
        if let Some(leaf) = self.recent.leaf(index) {
            return Ok(Some(leaf.to_vec()));
        }
        self.take(1)?;
        let leaves = self.source.store.leaves(index.get()..index.get() + 1)?;
        Ok(leaves.into_iter().next())
    }

    /// The exact bytes of the leaves of these indices.
    ///
    /// # Errors
    /// [`ReadError::BeyondHead`] if the range ends beyond this size, [`ReadError::Store`].
    pub fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, ReadError> {
        self.covers(TreeSize::new(range.end))?;
        self.take(range.end.saturating_sub(range.start))?;
        Ok(self.source.store.leaves(range)?)
    }

    /// The bytes of a tile of any width that this size covers; `None` for any other.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn tile(&self, tile: &Tile) -> Result<Option<Vec<u8>>, ReadError> {
        if !tile.covered_by(self.size) {
            return Ok(None);
        }
        let hashes = self.row(tile)?;
        let cut = hashes.get(..tile.width.count());
        Ok(cut.map(tlog::tile::encode_hashes))
    }

    /// The bytes of a bundle of any width that this size covers; `None` for any other.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn bundle(&self, bundle: &EntryBundle) -> Result<Option<Vec<u8>>, ReadError> {
        let range = bundle.leaves().filter(|_| bundle.covered_by(self.size));
        let Some(range) = range else { return Ok(None) };
        let leaves = self.source.store.leaves(range)?;
        Ok(Some(tlog::tile::encode_bundle(leaves)?))
    }

    /// The inclusion proof of a leaf in the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`ReadError::BeyondHead`], [`ReadError::IndexOutOfRange`]; [`ReadError::Store`] or
    /// [`ReadError::FalseProof`] if the store is damaged.
    pub fn inclusion(&self, index: LeafIndex, size: TreeSize) -> Result<Vec<Hash>, ReadError> {
        let leaf = self.leaf_within(index, size)?;
        self.proven(index, size, &leaf).map(|proven| proven.hashes)
    }

    /// The consistency proof between the trees of two sizes.
    ///
    /// # Errors
    /// [`ReadError::BeyondHead`], [`ReadError::SizesReversed`]; [`ReadError::Store`] or
    /// [`ReadError::FalseProof`] if the store is damaged.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Vec<Hash>, ReadError> {
        if old > new {
            return Err(ReadError::SizesReversed { old, new });
        }
        let (old_root, new_root) = (self.root_at(old)?, self.root_at(new)?);
        let proof = consistency::prove(old, new, self)?;
        let verified = consistency::verify(&proof, old, &old_root, new, &new_root);
        verified.map_err(false_proof)?;
        Ok(proof)
    }

    /// The root of the tree of the first `size` leaves, shown to be a prefix of this one: a damaged tile must not
    /// lead to a proof under another root.
    ///
    /// # Errors
    /// [`ReadError::BeyondHead`]; [`ReadError::Store`] or [`ReadError::FalseProof`] if the store is damaged.
    pub fn root_at(&self, size: TreeSize) -> Result<Hash, ReadError> {
        self.covers(size)?;
        if size == self.size {
            return Ok(self.root);
        }
        let root = tlog::tree::root(size, self)?;
        let proof = consistency::prove(size, self.size, self)?;
        let verified = consistency::verify(&proof, size, &root, self.size, &self.root);
        verified.map_err(false_proof)?;
        Ok(root)
    }

    /// The signed checkpoint of a size up to this one, as it was kept: it is found and not signed again.
    ///
    /// # Errors
    /// As [`Published::root_at`]; [`ReadError::NotKept`] if the history has no head of this size, and
    /// [`ReadError::FalseHead`] if the one that it has is not of this tree.
    pub fn checkpoint_at(&self, size: TreeSize) -> Result<String, ReadError> {
        let root = self.root_at(size)?;
        self.head_of(size, root)
    }

    /// The kept head of a tree whose root is known.
    fn head_of(&self, size: TreeSize, root: Hash) -> Result<String, ReadError> {
        if size == self.size {
            return Ok(self.checkpoint.clone());
        }
        let below = size.get().saturating_sub(1);
        let kept = self.checkpoints_after(below, 1)?.pop();
        let next = kept.as_ref().map_or(self.size, |kept| kept.size);
        let kept = kept.filter(|kept| kept.size == size);
        let kept = kept.ok_or(ReadError::NotKept { size, next })?;
        let signed = SignedCheckpoint::parse(&kept.checkpoint)?;
        let head = signed.unverified();
        match (head.size, head.root) == (size, root) {
            true => Ok(kept.checkpoint),
            false => Err(ReadError::FalseHead { size }),
        }
    }

    /// The tlog-proof text of a leaf in the tree of the first `size` leaves. The leaf itself goes into `extra`, so that
    /// one file is all that a verifier needs.
    ///
    /// # Errors
    /// As [`Published::inclusion`] and [`Published::checkpoint_at`].
    pub fn proof_file(&self, index: LeafIndex, size: TreeSize) -> Result<String, ReadError> {
        let leaf = self.leaf_within(index, size)?;
        let Proven { root, hashes } = self.proven(index, size, &leaf)?;
        let checkpoint = self.head_of(size, root)?;
        Ok(tlog::proof::text(Some(&leaf), index, &hashes, &checkpoint))
    }

    /// Where a record stands; `None` if this head does not cover it.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn index_of(&self, record: &RecordHash) -> Result<Option<LeafIndex>, ReadError> {
        let found = self.source.store.find(&[*record])?;
        let index = found.into_iter().next().flatten();
        Ok(index.filter(|index| self.size.contains(*index)))
    }

    /// Up to `limit` of the leaves of a range that are about a topic, with the kinds of their records, up to this size.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn mentions(
        &self,
        topic: &Topic,
        range: Range<u64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, Kind)>, ReadError> {
        let range = range.start..range.end.min(self.size.get());
        // Before, for whoever has gone away; after, for there may be far fewer than the limit.
        self.take(1)?;
        let rows = self.source.store.mentions(topic, range, order, limit)?;
        self.take(rows.len() as u64)?;
        Ok(rows)
    }

    /// Up to `limit` of the kept checkpoints of sizes above `size`, ascending.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn checkpoints_after(
        &self,
        size: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, ReadError> {
        let mut kept = self.source.store.checkpoints(TreeSize::new(size), limit)?;
        kept.retain(|checkpoint| checkpoint.size <= self.size);
        Ok(kept)
    }

    /// The kept checkpoint of exactly this size, if there is one.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub fn kept_checkpoint(&self, size: TreeSize) -> Result<Option<String>, ReadError> {
        if size == self.size {
            return Ok(Some(self.checkpoint.clone()));
        }
        let Some(below) = size.get().checked_sub(1) else {
            return Ok(None);
        };
        let next = self.checkpoints_after(below, 1)?.pop();
        let kept = next.filter(|next| next.size == size);
        Ok(kept.map(|kept| kept.checkpoint))
    }

    fn take(&self, rows: u64) -> Result<(), ReadError> {
        let bounds = self.bounds.as_ref();
        Ok(bounds.map_or(Ok(()), |bounds| bounds.take(rows))?)
    }

    fn covers(&self, size: TreeSize) -> Result<(), ReadError> {
        let published = self.size;
        if size > published {
            return Err(ReadError::BeyondHead { size, published });
        }
        Ok(())
    }

    fn leaf_within(&self, index: LeafIndex, size: TreeSize) -> Result<Vec<u8>, ReadError> {
        self.covers(size)?;
        let leaf = self.leaf(index)?.filter(|_| size.contains(index));
        leaf.ok_or(ReadError::IndexOutOfRange { index, size })
    }

    fn proven(&self, index: LeafIndex, size: TreeSize, leaf: &[u8]) -> Result<Proven, ReadError> {
        let root = self.root_at(size)?;
        let hashes = inclusion::prove(index, size, self)?;
        let hash = tlog::leaf_hash(leaf);
        inclusion::verify(&hashes, index, size, &hash, &root).map_err(false_proof)?;
        Ok(Proven { root, hashes })
    }

    /// All hashes that this head has at a tile's place.
    fn row(&self, tile: &Tile) -> Result<Vec<Hash>, ReadError> {
        let Tile { level, index, .. } = *tile;
        let full = Tile {
            width: tlog::tile::Width::Full,
            ..*tile
        };
        if !full.covered_by(self.size) {
            return Ok(self.edge.hashes(level).to_vec());
        }
        let tiles = self.source.store.tiles(&[TileKey { level, index }])?;
        Ok(tiles.into_iter().next().unwrap_or_default())
    }

    /// The hash of a node that need not be read.
    fn at_hand(&self, node: Node) -> Option<Hash> {
        self.recent.node(node).or_else(|| self.edge.node(node))
    }

    /// The full tiles that these nodes lie in, but for those that lie in the edge.
    fn full_tiles(&self, nodes: &[Node]) -> Result<BTreeMap<TileKey, Vec<Hash>>, StoreError> {
        let stored = nodes.iter().filter(|node| self.at_hand(**node).is_none());
        let keys: BTreeSet<TileKey> = stored.map(|node| key_of(&TileSlice::of(*node))).collect();
        let keys: Vec<TileKey> = keys.into_iter().collect();
        let tiles = self.source.store.tiles(&keys)?;
        Ok(keys.into_iter().zip(tiles).collect())
    }
}

impl HashReader for Published {
    type Error = StoreError;

    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, StoreError> {
        let mut hashes = Vec::with_capacity(nodes.len());
        for nodes in nodes.chunks(NODES_AT_ONCE) {
            hashes.extend(self.read_some_hashes(nodes)?);
        }
        Ok(hashes)
    }
}

impl Published {
    fn read_some_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, StoreError> {
        // Of what the log grew by last, everything is.
        let at_hand: Option<Vec<Hash>> = nodes.iter().map(|node| self.at_hand(*node)).collect();
        if let Some(hashes) = at_hand {
            return Ok(hashes);
        }
        let tiles = self.full_tiles(nodes)?;
        let hash = |node: &Node| {
            let slice = TileSlice::of(*node);
            let key = key_of(&slice);
            let stored = || tiles.get(&key).and_then(|tile| slice.hash(tile));
            let missing = StoreError::TileMissing {
                level: key.level,
                index: key.index,
            };
            self.at_hand(*node).or_else(stored).ok_or(missing)
        };
        nodes.iter().map(hash).collect()
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Published({} leaves, root {})", self.size, self.root)
    }
}

/// An inclusion proof that was verified, and the root that it leads to.
struct Proven {
    root: Hash,
    hashes: Vec<Hash>,
}

fn key_of(slice: &TileSlice) -> TileKey {
    TileKey {
        level: slice.tile.level,
        index: slice.tile.index,
    }
}

#[cfg(test)]
mod tests;
