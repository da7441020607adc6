//! The right edge of a growing log, as the partial tiles that are not stored.

use std::sync::Arc;

use super::{TILE_HEIGHT, Tile, TileSlice, Width, hashes_on_level, tile_root};
use crate::span;
use crate::tree::{MAX_GROWN_SIZE, Node};
use crate::{Hash, TreeSize};

/// The last, partial tile of each level: up to 255 hashes a level, at most eight levels.
///
/// With the full tiles that it hands out, it is the whole tree. A clone is a snapshot that costs one pointer a
/// level; a level is copied when it next changes, once a snapshot, whatever number of leaves follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    size: TreeSize,
    levels: Vec<Arc<Vec<Hash>>>,
}

impl Edge {
    /// The edge of an empty log.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: TreeSize::EMPTY,
            levels: Vec::new(),
        }
    }

    /// The edge with these partial tiles, level 0 first: [`hashes`](Self::hashes) of every level up to the highest
    /// that is not empty.
    ///
    /// # Errors
    ///
    /// [`EdgeError`] if the number of levels or of a level's hashes is not what the size demands. Whether the hashes
    /// are the right ones only a comparison of the root can tell.
    pub fn from_levels(size: TreeSize, levels: Vec<Vec<Hash>>) -> Result<Self, EdgeError> {
        if size > MAX_GROWN_SIZE {
            return Err(EdgeError::TooLarge { size });
        }
        let (got, want) = (levels.len(), level_count(size));
        if got != want {
            return Err(EdgeError::WrongLevelCount { size, got, want });
        }
        for (level, hashes) in (0..).zip(&levels) {
            let (got, want) = (hashes.len(), partial_width(level, size));
            if got != want {
                return Err(EdgeError::WrongWidth { level, got, want });
            }
        }
        let levels = levels.into_iter().map(Arc::new).collect();
        Ok(Self { size, levels })
    }

    /// How many leaves the log has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// Appends a leaf, and hands out the tiles that became full with it, the lowest level first: mostly none, at
    /// most one a level.
    pub fn push(&mut self, leaf: Hash) -> Vec<(Tile, Vec<Hash>)> {
        self.size = TreeSize::new(self.size.get() + 1);
        let mut completed = Vec::new();
        let mut rising = Some(leaf);
        let mut level = 0;
        while let Some(hash) = rising {
            rising = self.push_to(level, hash).map(|(tile, hashes, root)| {
                completed.push((tile, hashes));
                root
            });
            level += 1;
        }
        completed
    }

    /// The root of the log's tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let from_the_top = self.levels.iter().rev();
        let subtrees = from_the_top.flat_map(|level| complete_subtrees(level));
        span::join(&subtrees.collect::<Vec<Hash>>())
    }

    /// The hashes of the partial tile of a level, left to right; none if the level's last tile is full or there is no
    /// such level.
    #[must_use]
    pub fn hashes(&self, level: u8) -> &[Hash] {
        let hashes = self.levels.get(usize::from(level));
        hashes.map_or(&[], |hashes| hashes.as_slice())
    }

    /// The hash of a node that is in one of the partial tiles; `None` if it is in a full tile, or is not complete.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<Hash> {
        let slice = TileSlice::of(node);
        let partial = self.partial_index(slice.tile.level);
        (slice.tile.index == partial)
            .then(|| slice.hash(self.hashes(slice.tile.level)))
            .flatten()
    }

    /// The index of the tile that is being filled on this level.
    fn partial_index(&self, level: u8) -> u64 {
        hashes_on_level(level, self.size) >> TILE_HEIGHT
    }

    /// Appends to one level. If that fills its tile, the tile leaves, and its root goes to the level above.
    fn push_to(&mut self, level: u8, hash: Hash) -> Option<(Tile, Vec<Hash>, Hash)> {
        let index = hashes_on_level(level, self.size).checked_sub(1)? >> TILE_HEIGHT;
        let place = usize::from(level);
        if place == self.levels.len() {
            self.levels.push(Arc::default());
        }
        let hashes = Arc::make_mut(self.levels.get_mut(place)?);
        hashes.push(hash);
        let root = tile_root(hashes)?;
        let width = Width::Full;
        let tile = Tile {
            level,
            index,
            width,
        };
        Some((tile, std::mem::take(hashes), root))
    }
}

impl Default for Edge {
    fn default() -> Self {
        Self::new()
    }
}

/// Why stored hashes are not an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// The number of levels is not that of the size.
    #[error("the edge of {size} leaves has {want} levels, not {got}")]
    WrongLevelCount {
        /// The log's size.
        size: TreeSize,
        /// Levels that were given.
        got: usize,
        /// Levels that the size asks for.
        want: usize,
    },
    /// A level has more or fewer hashes than the size asks for.
    #[error("level {level} of the edge has {want} hashes, not {got}")]
    WrongWidth {
        /// The tile level.
        level: u8,
        /// Hashes that were given.
        got: usize,
        /// Hashes that the size asks for.
        want: usize,
    },
    /// No log is grown to this size.
    #[error("a log of {size} leaves is larger than any that is grown, {MAX_GROWN_SIZE}")]
    TooLarge {
        /// The size that was given.
        size: TreeSize,
    },
}

/// How many tile levels have a hash.
fn level_count(size: TreeSize) -> usize {
    let levels = 0..u8::MAX;
    levels
        .take_while(|level| hashes_on_level(*level, size) > 0)
        .count()
}

/// How many hashes the partial tile of a level has (tlog-tiles, "Partial Tiles").
fn partial_width(level: u8, size: TreeSize) -> usize {
    super::low_byte(hashes_on_level(level, size))
}

/// The roots of the complete subtrees over a row of hashes, left to right, the largest first.
fn complete_subtrees(row: &[Hash]) -> Vec<Hash> {
    let mut roots = Vec::new();
    let mut rest = row;
    for height in (0..TILE_HEIGHT).rev() {
        if row.len() & (1 << height) == 0 {
            continue;
        }
        let (subtree, after) = rest.split_at(rest.len().min(1 << height));
        roots.extend(super::complete_root(subtree));
        rest = after;
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf_hash;
    use crate::tree::MemoryTree;

    #[test]
    fn the_edge_grows_as_the_tree_does() {
        let (mut edge, mut tree) = (Edge::new(), MemoryTree::new());
        for n in 0_u32..70_000 {
            if n < 600 || n % 997 == 0 || (65_500..65_600).contains(&n) {
                check_against(&edge, &tree);
            }
            let leaf = leaf_hash(&n.to_be_bytes());
            tree.push(leaf);
            for (tile, hashes) in edge.push(leaf) {
                assert_eq!(
                    Tile::widest(tile.level, tile.index, edge.size()),
                    Some(tile)
                );
                assert_eq!(hashes, row(&tree, tile, 256));
            }
        }
    }

    #[test]
    fn every_full_tile_is_handed_out_once() {
        let mut edge = Edge::new();
        let leaf = leaf_hash(b"");
        let pushed = (0..65_536).flat_map(|_| edge.push(leaf));
        let tiles: Vec<(u8, u64)> = pushed.map(|(tile, _)| (tile.level, tile.index)).collect();
        let want: Vec<(u8, u64)> = (0..256).map(|index| (0, index)).chain([(1, 0)]).collect();
        assert_eq!(tiles, want);
        assert_eq!(
            (
                edge.hashes(0).len(),
                edge.hashes(1).len(),
                edge.hashes(2).len()
            ),
            (0, 0, 1)
        );
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let mut edge = Edge::new();
        edge.push(leaf_hash(b"a"));
        let (snapshot, root) = (edge.clone(), edge.root());
        edge.push(leaf_hash(b"b"));
        assert_eq!((snapshot.size(), snapshot.root()), (TreeSize::new(1), root));
        assert_ne!(edge.root(), root);
    }

    #[test]
    fn an_edge_of_another_size_is_refused() {
        let (size, hash) = (TreeSize::new(257), leaf_hash(b""));
        let levels = |widths: &[usize]| widths.iter().map(|w| vec![hash; *w]).collect();
        assert!(Edge::from_levels(size, levels(&[1, 1])).is_ok());
        for (widths, want) in [
            (
                &[1][..],
                EdgeError::WrongLevelCount {
                    size,
                    got: 1,
                    want: 2,
                },
            ),
            (
                &[1, 1, 0],
                EdgeError::WrongLevelCount {
                    size,
                    got: 3,
                    want: 2,
                },
            ),
            (
                &[2, 1],
                EdgeError::WrongWidth {
                    level: 0,
                    got: 2,
                    want: 1,
                },
            ),
            (
                &[1, 0],
                EdgeError::WrongWidth {
                    level: 1,
                    got: 0,
                    want: 1,
                },
            ),
        ] {
            assert_eq!(Edge::from_levels(size, levels(widths)), Err(want));
        }
    }

    fn check_against(edge: &Edge, tree: &MemoryTree) {
        let size = tree.size();
        assert_eq!((edge.size(), edge.root()), (size, tree.root()));
        let levels: Vec<Vec<Hash>> = (0..u8::MAX)
            .take(level_count(size))
            .map(|l| edge.hashes(l).to_vec())
            .collect();
        assert_eq!(Edge::from_levels(size, levels).as_ref(), Ok(edge));
        for level in 0..20 {
            let complete = size.get() >> level;
            for index in complete.saturating_sub(300)..complete + 2 {
                let node = Node { level, index };
                if let Some(hash) = edge.node(node) {
                    assert_eq!(Some(hash), tree.node(node));
                } else {
                    let tile = TileSlice::of(node).tile;
                    let full = Tile {
                        width: Width::Full,
                        ..tile
                    }
                    .covered_by(size);
                    assert!(full || !node.is_complete_in(size), "{node:?} at {size}");
                }
            }
        }
    }

    fn row(tree: &MemoryTree, tile: Tile, count: usize) -> Vec<Hash> {
        let level = tile.level * TILE_HEIGHT;
        let nodes = (tile.index * 256..).take(count);
        nodes
            .map(|index| tree.node(Node { level, index }).unwrap())
            .collect()
    }
}
