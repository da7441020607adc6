//! The tree itself: its nodes, its root, its right edge.

use crate::span::{self, Span};
use crate::{EMPTY_ROOT, Hash, ProveError, TreeSize, node_hash};

/// The largest tree that is ever grown here. A million leaves a second would reach it in 292,000 years; below
/// it, no index, size or tile position can overflow.
pub const MAX_GROWN_SIZE: TreeSize = TreeSize::new(1 << 63);

/// A complete subtree: the leaves `index * 2^level` up to, and without, `(index + 1) * 2^level`.
///
/// Once its last leaf is in the log, its hash never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The height above the leaves, 0 to 63.
    pub level: u8,
    /// The position among the nodes of its level, counted from 0.
    pub index: u64,
}

impl Node {
    /// Whether a tree of this size has all leaves of the node.
    #[must_use]
    pub fn is_complete_in(self, size: TreeSize) -> bool {
        let complete = size.get().checked_shr(u32::from(self.level)).unwrap_or(0);
        self.index < complete
    }
}

/// Where provers get stored hashes from.
pub trait HashReader {
    /// Why hashes could not be read.
    type Error;

    /// The hashes of the nodes, in the same order. A proof asks once for all that it needs, so that storage
    /// far away costs one round trip.
    ///
    /// # Errors
    ///
    /// Whatever keeps the reader from giving exactly one hash for each node.
    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, Self::Error>;
}

/// The root of the tree of the first `size` leaves, MTH of RFC 6962 §2.1.
///
/// # Errors
///
/// [`ProveError::Read`] if the reader failed, [`ProveError::WrongHashCount`] if it broke its contract.
pub fn root<R: HashReader + ?Sized>(
    size: TreeSize,
    reader: &R,
) -> Result<Hash, ProveError<R::Error>> {
    let roots = span::read(&[Span::whole(size)], reader)?;
    Ok(roots.first().copied().unwrap_or(EMPTY_ROOT))
}

/// All that is needed to go on appending: the roots of the complete subtrees, left to right, the largest first.
///
/// One for each set bit of the size, so at most 63 hashes for any log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: TreeSize,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of an empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: TreeSize::EMPTY,
            hashes: Vec::new(),
        }
    }

    /// The frontier that [`size`](Self::size) and [`hashes`](Self::hashes) returned.
    ///
    /// # Errors
    ///
    /// [`FrontierError`] if there is not one hash for each set bit of the size, or the size is above
    /// [`MAX_GROWN_SIZE`]. Whether the hashes are the right ones only a comparison of the root can tell.
    pub fn from_hashes(size: TreeSize, hashes: Vec<Hash>) -> Result<Self, FrontierError> {
        if size > MAX_GROWN_SIZE {
            return Err(FrontierError::TooLarge { size });
        }
        let (got, want) = (hashes.len(), Span::whole(size).nodes().count());
        if got != want {
            return Err(FrontierError::WrongLength { size, got, want });
        }
        Ok(Self { size, hashes })
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        // Each trailing one bit of the size is a complete subtree as large as what the leaf has completed.
        let mut hash = leaf;
        for _ in 0..self.size.get().trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size = TreeSize::new(self.size.get() + 1);
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        span::join(&self.hashes)
    }

    /// The roots of the complete subtrees, left to right.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

/// Why stored hashes are not a frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// There is not one hash for each set bit of the size.
    #[error("the frontier of {size} leaves has {want} hashes, not {got}")]
    WrongLength {
        /// The tree's size.
        size: TreeSize,
        /// Hashes that were given.
        got: usize,
        /// Hashes that the size asks for.
        want: usize,
    },
    /// No tree is grown to this size.
    #[error("a tree of {size} leaves is larger than any that is grown, {MAX_GROWN_SIZE}")]
    TooLarge {
        /// The size that was given.
        size: TreeSize,
    },
}

/// A whole tree in memory, two hashes per leaf: for tests, clients, and callers that have all leaves anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTree {
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// The tree of these leaves. A subtree that `before` has in the same place over the same hashes is not hashed again,
    /// so a tree of which little changed costs little.
    #[must_use]
    pub fn of_leaves(leaves: Vec<Hash>, before: &Self) -> Self {
        let mut tree = Self::new();
        let mut below = leaves;
        while !below.is_empty() {
            let old = |level: usize| before.levels.get(level).map_or(&[][..], Vec::as_slice);
            let (level, pairs) = (tree.levels.len(), below.chunks_exact(2));
            let (old, old_above) = (old(level), old(level + 1));
            let join = |(i, pair): (usize, &[Hash])| match pair {
                [left, right] => {
                    let kept = old_above
                        .get(i)
                        .filter(|_| old.get(2 * i..2 * i + 2) == Some(pair));
                    Some(kept.copied().unwrap_or_else(|| node_hash(left, right)))
                }
                _ => None,
            };
            let above = pairs.enumerate().filter_map(join).collect();
            tree.levels.push(std::mem::replace(&mut below, above));
        }
        tree
    }

    /// The hashes of the leaves.
    #[must_use]
    pub fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in &mut self.levels {
            level.push(hash);
            // Even again: the last two are a complete subtree of the level above.
            let Some([.., left, right]) = level.len().is_multiple_of(2).then_some(level.as_slice())
            else {
                return;
            };
            hash = node_hash(left, right);
        }
        self.levels.push(vec![hash]);
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        let leaves = self.levels.first().map_or(0, Vec::len);
        TreeSize::new(leaves as u64)
    }

    /// The root of the whole tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let nodes = Span::whole(self.size()).nodes();
        let subtrees: Vec<Hash> = nodes.filter_map(|node| self.node(node)).collect();
        span::join(&subtrees)
    }

    /// The hash of a complete subtree, or `None` if not all of its leaves are here.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<Hash> {
        let level = self.levels.get(usize::from(node.level))?;
        level.get(usize::try_from(node.index).ok()?).copied()
    }
}

impl FromIterator<Hash> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}

impl HashReader for MemoryTree {
    type Error = NodeMissing;

    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, NodeMissing> {
        let size = self.size();
        let hash = |node: &Node| self.node(*node).ok_or(NodeMissing { node: *node, size });
        nodes.iter().map(hash).collect()
    }
}

/// A node was asked for that is not complete in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {} of level {} is not complete in a tree of {size} leaves", node.index, node.level)]
pub struct NodeMissing {
    /// The node that was asked for.
    pub node: Node,
    /// The size of the tree that lacks it.
    pub size: TreeSize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf_hash;

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_be_bytes())
    }

    /// RFC 6962 §2.1, word for word.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => EMPTY_ROOT,
            [leaf] => *leaf,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
            }
        }
    }

    #[test]
    fn frontier_and_tree_have_the_root_of_the_rfc() {
        let leaves: Vec<Hash> = (0..300).map(leaf).collect();
        let (mut frontier, mut tree) = (Frontier::new(), MemoryTree::new());
        for n in 0..leaves.len() {
            let want = mth(&leaves[..n]);
            let size = TreeSize::new(n as u64);
            assert_eq!((frontier.size(), frontier.root()), (size, want));
            assert_eq!((tree.size(), tree.root()), (size, want));
            let stored = frontier.hashes().to_vec();
            assert_eq!(Frontier::from_hashes(size, stored), Ok(frontier.clone()));
            frontier.push(leaves[n]);
            tree.push(leaves[n]);
        }
        for n in 0..=leaves.len() {
            assert_eq!(root(TreeSize::new(n as u64), &tree), Ok(mth(&leaves[..n])));
        }
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        let size = TreeSize::new(5);
        let wrong = FrontierError::WrongLength {
            size,
            got: 1,
            want: 2,
        };
        assert_eq!(Frontier::from_hashes(size, vec![EMPTY_ROOT]), Err(wrong));
        let size = TreeSize::new(u64::MAX);
        let large = FrontierError::TooLarge { size };
        assert_eq!(
            Frontier::from_hashes(size, vec![EMPTY_ROOT; 64]),
            Err(large)
        );
    }

    #[test]
    fn a_tree_has_no_root_beyond_its_leaves() {
        let tree: MemoryTree = (0..3).map(leaf).collect();
        let node = Node { level: 2, index: 0 };
        let missing = NodeMissing {
            node,
            size: tree.size(),
        };
        assert_eq!(
            root(TreeSize::new(4), &tree),
            Err(ProveError::Read(missing))
        );
        assert!(!node.is_complete_in(tree.size()) && node.is_complete_in(TreeSize::new(4)));
    }

    #[test]
    fn a_reader_that_breaks_its_contract_is_caught() {
        struct Short;
        impl HashReader for Short {
            type Error = NodeMissing;
            fn read_hashes(&self, _: &[Node]) -> Result<Vec<Hash>, NodeMissing> {
                Ok(vec![])
            }
        }
        let want = ProveError::WrongHashCount { got: 0, want: 2 };
        assert_eq!(root(TreeSize::new(3), &Short), Err(want));
    }

    #[test]
    fn a_tree_made_of_leaves_is_the_one_that_grew_whatever_was_before() {
        for size in 0..40_u64 {
            let leaves: Vec<Hash> = (0..size).map(leaf).collect();
            let grown: MemoryTree = leaves.iter().copied().collect();
            for other in 0..40 {
                let mut before: Vec<Hash> = (0..other).map(leaf).collect();
                if let Some(changed) = before.get_mut(usize::try_from(size / 2).unwrap()) {
                    *changed = leaf(1000);
                }
                let before = before.into_iter().collect();
                assert_eq!(MemoryTree::of_leaves(leaves.clone(), &before), grown);
            }
        }
    }
}
