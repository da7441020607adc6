//! Tiles, c2sp.org/tlog-tiles: the tree as plain files of up to 256 hashes.
//!
//! The hashes of tile level `L` are the tree's nodes of level `8 L`; tile `N` of the level holds those from `256 N`
//! on. A tile that has all 256 is *full* and never changes; its root is one hash of the level above. The last one
//! of each level may be *partial*, with 1 to 255 hashes, and a partial tile of some width also stays valid forever:
//! it has the first hashes of the full tile. The levels in between are not stored but computed again.
//!
//! ```text
//! tile level 1    [ 0: root of tile 0 | root of tile 1 | …                      ]
//!                          │                │
//! tile level 0    [ 0: 256 leaf hashes ] [ 1: 256 leaf hashes ] [ 2: partial, .p/17 ]
//! ```
//!
//! An *entry bundle* holds the leaves under a tile of level 0, each after its length.

mod edge;
mod path;
mod tail;

use std::num::NonZeroU8;
use std::ops::Range;

pub use edge::{Edge, EdgeError};
pub use path::{TilePath, TilePathError};
pub use tail::Tail;

use crate::hash::HASH_BYTES;
use crate::tree::Node;
use crate::{Hash, LeafIndex, TreeSize, node_hash};

/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u8 = 8;

/// Hashes in a full tile, leaves in a full bundle.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;

/// The highest tile level that a path may name (tlog-tiles, "Merkle Tree").
pub const MAX_TILE_LEVEL: u8 = 63;

/// Bytes before each leaf of a bundle, a big-endian length.
const LENGTH_BYTES: usize = size_of::<u16>();

/// How many hashes or leaves a tile or bundle has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// 1 to 255: at the right edge of some tree.
    Partial(NonZeroU8),
    /// All 256.
    Full,
}

impl Width {
    /// The width of so many, or `None` if no tile has that width.
    #[must_use]
    pub fn from_count(count: usize) -> Option<Self> {
        match count {
            TILE_WIDTH => Some(Self::Full),
            _ => NonZeroU8::new(u8::try_from(count).ok()?).map(Self::Partial),
        }
    }

    /// How many that is, 1 to 256.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Partial(count) => usize::from(count.get()),
            Self::Full => TILE_WIDTH,
        }
    }
}

/// The address of a tile of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// The tile level, 0 to 63. Its hashes are nodes of level `8 * level`.
    pub level: u8,
    /// The position among the tiles of its level, counted from 0.
    pub index: u64,
    /// How many hashes it has.
    pub width: Width,
}

impl Tile {
    /// The widest tile at this place in a tree of this size, or `None` if there is nothing there yet.
    #[must_use]
    pub fn widest(level: u8, index: u64, size: TreeSize) -> Option<Self> {
        let width = widest(hashes_on_level(level, size), index)?;
        Some(Self {
            level,
            index,
            width,
        })
    }

    /// Whether a tree of this size has the tile: every width up to what the tree has at that place.
    #[must_use]
    pub fn covered_by(&self, size: TreeSize) -> bool {
        Self::widest(self.level, self.index, size).is_some_and(|widest| self.width <= widest.width)
    }
}

/// The address of a bundle of leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryBundle {
    /// The position among the bundles, counted from 0.
    pub index: u64,
    /// How many leaves it has.
    pub width: Width,
}

impl EntryBundle {
    /// The widest bundle at this place in a log of this size, or `None` if there is nothing there yet.
    #[must_use]
    pub fn widest(index: u64, size: TreeSize) -> Option<Self> {
        let width = widest(size.get(), index)?;
        Some(Self { index, width })
    }

    /// Whether a log of this size has the bundle: every width up to what the log has at that place.
    #[must_use]
    pub fn covered_by(&self, size: TreeSize) -> bool {
        Self::widest(self.index, size).is_some_and(|widest| self.width <= widest.width)
    }

    /// The narrowest bundle that has the leaf, and the leaf's position in it.
    #[must_use]
    pub fn holding(leaf: LeafIndex) -> (Self, usize) {
        let (index, offset) = (leaf.get() >> TILE_HEIGHT, low_byte(leaf.get()));
        let width = narrowest(offset + 1);
        (Self { index, width }, offset)
    }

    /// The indices of its leaves, or `None` if no log can be that large.
    #[must_use]
    pub fn leaves(&self) -> Option<Range<u64>> {
        let start = self.index.checked_mul(TILE_WIDTH as u64)?;
        let end = start.checked_add(self.width.count() as u64)?;
        Some(start..end)
    }
}

/// Where the hash of a node comes from: a run of hashes in one tile, which are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileSlice {
    /// The narrowest tile that has the run. Any wider one begins with the same hashes.
    pub tile: Tile,
    /// The run of hashes in the tile; their number is a power of two, at most 128.
    pub range: Range<usize>,
}

impl TileSlice {
    /// The slice that a node is made of.
    #[must_use]
    pub fn of(node: Node) -> Self {
        let (level, height) = (node.level / TILE_HEIGHT, node.level % TILE_HEIGHT);
        // A tile has 2^(8 - height) nodes of this height, which are 2^height hashes each.
        let index = node.index >> (TILE_HEIGHT - height);
        let start = low_byte(node.index << height);
        let end = start + (1 << height);
        let width = narrowest(end);
        let tile = Tile {
            level,
            index,
            width,
        };
        Self {
            tile,
            range: start..end,
        }
    }

    /// The node's hash, from the hashes of a tile at this place that is wide enough; `None` if it is not.
    #[must_use]
    pub fn hash(&self, tile: &[Hash]) -> Option<Hash> {
        complete_root(tile.get(self.range.clone())?)
    }
}

/// The root of a full tile, which is its hash in the level above; `None` if it is not full.
#[must_use]
pub fn tile_root(tile: &[Hash]) -> Option<Hash> {
    (tile.len() == TILE_WIDTH)
        .then(|| complete_root(tile))
        .flatten()
}

/// The bytes of a tile: its hashes, one after another.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The hashes in the bytes of a tile.
///
/// # Errors
///
/// [`TileError::WrongTileLength`] if it is not exactly as long as its width says.
pub fn decode_hashes(bytes: &[u8], width: Width) -> Result<Vec<Hash>, TileError> {
    let (got, want) = (bytes.len(), width.count() * HASH_BYTES);
    if got != want {
        return Err(TileError::WrongTileLength { got, want });
    }
    let (hashes, _) = bytes.as_chunks();
    Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
}

/// The bytes of a bundle: each leaf after its length in two bytes, big-endian.
///
/// # Errors
///
/// [`TileError::LeafTooLong`] if a leaf's length does not fit in them.
pub fn encode_bundle<L: AsRef<[u8]>>(
    leaves: impl IntoIterator<Item = L>,
) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::new();
    for leaf in leaves {
        let leaf = leaf.as_ref();
        let too_long = |_| TileError::LeafTooLong { length: leaf.len() };
        let length = u16::try_from(leaf.len()).map_err(too_long)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    Ok(bytes)
}

/// The leaves in the bytes of a bundle.
///
/// # Errors
///
/// [`TileError::LeafCutOff`] if a leaf is missing or shorter than its length says, [`TileError::SurplusBytes`] if
/// anything follows the last leaf.
pub fn decode_bundle(bytes: &[u8], width: Width) -> Result<Vec<&[u8]>, TileError> {
    let mut rest = bytes;
    let mut leaves = Vec::with_capacity(width.count());
    for position in 0..width.count() {
        let (leaf, after) = split_leaf(rest).ok_or(TileError::LeafCutOff { position })?;
        leaves.push(leaf);
        rest = after;
    }
    match rest.len() {
        0 => Ok(leaves),
        surplus => Err(TileError::SurplusBytes { surplus }),
    }
}

/// Why bytes are not a tile or bundle, or leaves cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A tile is not as long as its width says.
    #[error("a tile of this width has {want} bytes, not {got}")]
    WrongTileLength {
        /// Bytes that came.
        got: usize,
        /// Bytes that the width asks for.
        want: usize,
    },
    /// A bundle ends inside a leaf, or before it.
    #[error("the bundle ends before the end of its leaf {position}")]
    LeafCutOff {
        /// The position of the leaf in the bundle.
        position: usize,
    },
    /// A bundle goes on after its last leaf.
    #[error("{surplus} bytes follow the bundle's last leaf")]
    SurplusBytes {
        /// How many bytes are too many.
        surplus: usize,
    },
    /// A leaf is longer than a bundle can say.
    #[error(
        "a leaf of {length} bytes does not fit in a bundle, at most {} do",
        u16::MAX
    )]
    LeafTooLong {
        /// The leaf's length in bytes.
        length: usize,
    },
}

/// How many hashes tile level `level` has in a tree of this size: its complete subtrees of 256^level leaves.
fn hashes_on_level(level: u8, size: TreeSize) -> u64 {
    let shift = u32::from(level) * u32::from(TILE_HEIGHT);
    size.get().checked_shr(shift).unwrap_or(0)
}

/// The width at tile `index` of a level with so many hashes.
fn widest(hashes: u64, index: u64) -> Option<Width> {
    let before = index.checked_mul(TILE_WIDTH as u64)?;
    let from_here = hashes.checked_sub(before)?;
    Width::from_count(usize::try_from(from_here).map_or(TILE_WIDTH, |count| count.min(TILE_WIDTH)))
}

/// The width of so many, at most 256 and not none: which every caller here has by construction.
fn narrowest(count: usize) -> Width {
    Width::from_count(count).unwrap_or(Width::Full)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the position inside a tile is the low eight bits"
)]
fn low_byte(number: u64) -> usize {
    usize::from(number as u8)
}

/// The root of a complete subtree, given a row of it: a power of two of hashes.
fn complete_root(row: &[Hash]) -> Option<Hash> {
    if !row.len().is_power_of_two() {
        return None;
    }
    let mut row = row.to_vec();
    while row.len() > 1 {
        let (pairs, _) = row.as_chunks();
        row = pairs.iter().map(|[l, r]| node_hash(l, r)).collect();
    }
    row.first().copied()
}

fn split_leaf(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::leaf_hash;

    fn tile(level: u8, index: u64, count: usize) -> Tile {
        let width = Width::from_count(count).unwrap();
        Tile {
            level,
            index,
            width,
        }
    }

    #[test]
    fn widths_are_1_to_256() {
        assert_eq!(Width::from_count(0), None);
        assert_eq!(Width::from_count(257), None);
        for count in 1..=256 {
            assert_eq!(Width::from_count(count).map(Width::count), Some(count));
        }
    }

    /// The example of the specification: a tree of 70,000 leaves.
    #[test]
    fn a_tree_has_the_tiles_of_the_specification() {
        let size = TreeSize::new(70_000);
        for (level, last, count) in [(0, 273, 112), (1, 1, 17), (2, 0, 1)] {
            assert_eq!(
                Tile::widest(level, last, size),
                Some(tile(level, last, count))
            );
            assert_eq!(Tile::widest(level, last + 1, size), None);
        }
        assert_eq!(Tile::widest(0, 272, size), Some(tile(0, 272, 256)));
        assert_eq!(Tile::widest(3, 0, size), None);
        let whole = TreeSize::new(256);
        assert_eq!(Tile::widest(1, 0, whole), Some(tile(1, 0, 1)));
        assert_eq!(Tile::widest(0, 1, whole), None);
    }

    #[test]
    fn every_width_that_is_covered_answers_and_no_other() {
        let size = TreeSize::new(256 + 3);
        for count in 1..=256 {
            assert!(tile(0, 0, count).covered_by(size));
            assert_eq!(tile(0, 1, count).covered_by(size), count <= 3);
            assert_eq!(tile(1, 0, count).covered_by(size), count == 1);
            let width = Width::from_count(count).unwrap();
            let bundle = EntryBundle { index: 1, width };
            assert_eq!(bundle.covered_by(size), count <= 3);
        }
        for level in [8, MAX_TILE_LEVEL, u8::MAX] {
            assert!(!tile(level, 0, 1).covered_by(TreeSize::new(u64::MAX)));
        }
        assert!(!tile(0, u64::MAX, 1).covered_by(TreeSize::new(u64::MAX)));
    }

    #[test]
    fn a_node_lies_in_one_tile() {
        let slice = TileSlice::of(Node {
            level: 0,
            index: 257,
        });
        assert_eq!((slice.tile, slice.range), (tile(0, 1, 2), 1..2));
        let slice = TileSlice::of(Node { level: 7, index: 1 });
        assert_eq!((slice.tile, slice.range), (tile(0, 0, 256), 128..256));
        let slice = TileSlice::of(Node {
            level: 8,
            index: 255,
        });
        assert_eq!((slice.tile, slice.range), (tile(1, 0, 256), 255..256));
        let slice = TileSlice::of(Node {
            level: 10,
            index: 64,
        });
        assert_eq!((slice.tile, slice.range), (tile(1, 1, 4), 0..4));
        let leaf = LeafIndex::new(256 * 7 + 9);
        let width = Width::from_count(10).unwrap();
        assert_eq!(
            EntryBundle::holding(leaf),
            (EntryBundle { index: 7, width }, 9)
        );
    }

    #[test]
    fn tiles_of_another_length_are_refused() {
        let bytes = encode_hashes(&[leaf_hash(b"a"), leaf_hash(b"b")]);
        let width = |count| Width::from_count(count).unwrap();
        assert!(decode_hashes(&bytes, width(2)).is_ok());
        let error = TileError::WrongTileLength { got: 64, want: 32 };
        assert_eq!(decode_hashes(&bytes, width(1)), Err(error));
        let error = TileError::WrongTileLength { got: 63, want: 64 };
        assert_eq!(decode_hashes(&bytes[1..], width(2)), Err(error));
    }

    #[test]
    fn bundles_with_too_little_or_too_much_are_refused() {
        let bytes = encode_bundle(["ab", "c"]).unwrap();
        assert_eq!(bytes, b"\0\x02ab\0\x01c");
        let width = |count| Width::from_count(count).unwrap();
        for end in 0..bytes.len() {
            assert!(decode_bundle(&bytes[..end], width(2)).is_err());
        }
        let surplus = TileError::SurplusBytes { surplus: 3 };
        assert_eq!(decode_bundle(&bytes, width(1)), Err(surplus));
        let cut_off = TileError::LeafCutOff { position: 2 };
        assert_eq!(decode_bundle(&bytes, width(3)), Err(cut_off));
        let long = vec![0; 1 << 16];
        let too_long = TileError::LeafTooLong { length: 1 << 16 };
        assert_eq!(encode_bundle([&long]), Err(too_long));
        assert!(encode_bundle([&long[1..]]).is_ok());
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_are_inverse(
            leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=256),
        ) {
            let width = Width::from_count(leaves.len()).unwrap();
            let bytes = encode_bundle(&leaves).unwrap();
            prop_assert_eq!(decode_bundle(&bytes, width).unwrap(), &leaves[..]);
            let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
            prop_assert_eq!(decode_hashes(&encode_hashes(&hashes), width), Ok(hashes));
        }
    }
}
