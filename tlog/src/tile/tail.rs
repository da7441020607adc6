//! The subtrees that the last leaves of a log completed, for proofs of those leaves.

use super::Edge;
use crate::tree::Node;
use crate::{Hash, TreeSize, node_hash};

/// All complete subtrees that end within the last leaves of a log, and the largest ones in front of them.
///
/// An inclusion proof of one of these leaves in the tree that ends with them needs no other hash: what stands left of its
/// way is complete in front of the last leaves, and as large as it can be, or ends among them; what stands right of it
/// begins among them. So a log that has just grown proves what it grew by without reading or hashing anything again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    size: TreeSize,
    /// Of each level the index of the first node, and the nodes that follow without a gap.
    levels: Vec<(u64, Vec<Hash>)>,
}

impl Tail {
    /// The tail of a log that ends with this edge: no leaf, and the largest complete subtrees.
    #[must_use]
    pub fn of(edge: &Edge) -> Self {
        let size = edge.size();
        let mut levels = Vec::new();
        for level in (0..u8::MAX).take_while(|level| complete(*level, size) > 0) {
            let last = complete(level, size) - 1;
            let is_largest = last.is_multiple_of(2);
            let hash = is_largest.then(|| edge.node(Node { level, index: last }));
            levels.push((last, hash.flatten().into_iter().collect()));
        }
        Self { size, levels }
    }

    /// The tail of the log that grew by these leaves.
    #[must_use]
    pub fn grown(&self, leaves: &[Hash]) -> Self {
        let from = self.size;
        let size = TreeSize::new(from.get() + leaves.len() as u64);
        let mut levels: Vec<(u64, Vec<Hash>)> = Vec::new();
        for level in (0..u8::MAX).take_while(|level| complete(*level, size) > 0) {
            let first = complete(level, from);
            // An odd number of nodes: the last of them has no right neighbour yet, and may get one now.
            let before = first.checked_sub(1).filter(|last| last.is_multiple_of(2));
            let before = before.and_then(|index| self.node(Node { level, index }));
            let added = match levels.last() {
                None => leaves.to_vec(),
                Some((start, below)) => joined(*start, below, first..complete(level, size)),
            };
            let start = first - u64::from(before.is_some());
            levels.push((start, before.into_iter().chain(added).collect()));
        }
        Self { size, levels }
    }

    /// How many leaves the log has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// The hash of a node, if it is one of them.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<Hash> {
        let (first, hashes) = self.levels.get(usize::from(node.level))?;
        let at = node.index.checked_sub(*first)?;
        hashes.get(usize::try_from(at).ok()?).copied()
    }
}

/// How many complete subtrees of a height a tree has.
fn complete(level: u8, size: TreeSize) -> u64 {
    size.get().checked_shr(u32::from(level)).unwrap_or(0)
}

/// The nodes of these indices, from those of the level below.
fn joined(start: u64, below: &[Hash], indices: std::ops::Range<u64>) -> Vec<Hash> {
    let hash = |index: u64| {
        let at = usize::try_from(index.checked_sub(start)?).ok()?;
        below.get(at)
    };
    let join = |index: u64| Some(node_hash(hash(2 * index)?, hash(2 * index + 1)?));
    indices.map_while(join).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::span::Span;
    use crate::tree::{HashReader, MemoryTree};
    use crate::{LeafIndex, inclusion, leaf_hash};

    /// Reads from a tail, and fails where it has not what is asked for.
    struct Alone<'a>(&'a Tail);

    impl HashReader for Alone<'_> {
        type Error = Node;

        fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, Node> {
            nodes
                .iter()
                .map(|node| self.0.node(*node).ok_or(*node))
                .collect()
        }
    }

    fn hashes(from: u64, count: u64) -> Vec<Hash> {
        (from..from + count)
            .map(|n| leaf_hash(&n.to_be_bytes()))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_proves_what_the_log_grew_by(groups in proptest::collection::vec(1_u64..400, 1..8), start in 0_u64..1_000) {
            let (mut edge, mut tree) = (Edge::new(), MemoryTree::new());
            for leaf in hashes(0, start) {
                edge.push(leaf);
                tree.push(leaf);
            }
            let mut tail = Tail::of(&edge);
            for count in groups {
                let from = tree.size().get();
                let leaves = hashes(from, count);
                tail = tail.grown(&leaves);
                for leaf in leaves {
                    edge.push(leaf);
                    tree.push(leaf);
                }
                prop_assert_eq!(tail.size(), tree.size());
                for index in (from..from + count).map(LeafIndex::new) {
                    let alone = inclusion::prove(index, tree.size(), &Alone(&tail));
                    let whole = inclusion::prove(index, tree.size(), &tree);
                    prop_assert_eq!(alone.unwrap(), whole.unwrap());
                }
                for level in 0..12 {
                    for index in 0..complete(level, tail.size()) {
                        let node = Node { level, index };
                        if let Some(hash) = tail.node(node) {
                            prop_assert_eq!(Some(hash), tree.node(node));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_tail_of_an_edge_is_its_largest_subtrees() {
        let (mut edge, mut tree) = (Edge::new(), MemoryTree::new());
        for leaf in hashes(0, 1_000) {
            edge.push(leaf);
            tree.push(leaf);
        }
        let tail = Tail::of(&edge);
        for node in Span::whole(edge.size()).nodes() {
            assert_eq!(tail.node(node), tree.node(node));
        }
        assert_eq!(
            tail.node(Node {
                level: 0,
                index: 999
            }),
            None
        );
    }
}
