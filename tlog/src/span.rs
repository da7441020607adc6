//! Ranges of leaves, split as RFC 6962 splits them.
//!
//! Every algorithm here is one walk down the tree in spans, which says which hashes a proof is made of, and one
//! way up in hashes. Prover and verifier share the walk, so they cannot disagree about the shape.

use crate::tree::{HashReader, Node};
use crate::{EMPTY_ROOT, Hash, LeafIndex, ProveError, Side, TreeSize, node_hash};

/// `D[start : start + len]`, reached from the whole tree by splitting. So `start` is a multiple of the power of
/// two at or above `len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u64,
    len: u64,
}

/// A split that a walk came through: where it did not go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// The height of the node that was split.
    pub(crate) level: u8,
    /// The half that the walk left aside.
    pub(crate) sibling: Span,
    /// On which side of the walk that half is.
    pub(crate) side: Side,
}

impl Span {
    /// All leaves of a tree.
    pub(crate) const fn whole(size: TreeSize) -> Self {
        let (start, len) = (0, size.get());
        Self { start, len }
    }

    /// Whether this is the left edge of the tree.
    pub(crate) const fn is_leftmost(self) -> bool {
        self.start == 0
    }

    /// The size of the tree that ends where this span ends.
    pub(crate) const fn end(self) -> TreeSize {
        // Cannot overflow: a span is in a tree, whose size is a u64.
        TreeSize::new(self.start + self.len)
    }

    /// Whether the leaf is in it.
    pub(crate) fn contains(self, index: LeafIndex) -> bool {
        let offset = index.get().checked_sub(self.start);
        offset.is_some_and(|offset| offset < self.len)
    }

    /// The height of its root above the leaves, 0 for a single leaf.
    pub(crate) fn level(self) -> u8 {
        match self.len {
            0 | 1 => 0,
            len => level_of_highest_bit(len - 1) + 1,
        }
    }

    /// The two halves: `k` leaves on the left, `k` the largest power of two below the length (RFC 6962 §2.1).
    /// A single leaf and an empty tree have none.
    pub(crate) fn split(self) -> Option<(Self, Self)> {
        let k = 1 << self.len.checked_sub(1)?.checked_ilog2()?;
        let left = Self { len: k, ..self };
        let right = Self {
            start: self.start + k,
            len: self.len - k,
        };
        Some((left, right))
    }

    /// One step of a walk towards a leaf: the half that it is in, and the turn taken.
    pub(crate) fn turn_towards(self, index: LeafIndex) -> Option<(Turn, Self)> {
        let (left, right) = self.split()?;
        let (next, sibling, side) = match left.contains(index) {
            true => (left, right, Side::Right),
            false => (right, left, Side::Left),
        };
        let level = self.level();
        Some((
            Turn {
                level,
                sibling,
                side,
            },
            next,
        ))
    }

    /// The complete subtrees that it is made of, left to right, one for each set bit of its length.
    pub(crate) fn nodes(self) -> impl Iterator<Item = Node> {
        let (mut start, mut rest) = (self.start, self.len);
        std::iter::from_fn(move || {
            let bit = rest.checked_ilog2()?;
            let node = Node {
                level: level_of_highest_bit(rest),
                index: start >> bit,
            };
            start += 1 << bit;
            rest -= 1 << bit;
            Some(node)
        })
    }
}

/// The hash of each span, with a single call to the reader.
pub(crate) fn read<R: HashReader + ?Sized>(
    spans: &[Span],
    reader: &R,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    let nodes: Vec<Node> = spans.iter().flat_map(|span| span.nodes()).collect();
    let hashes = reader.read_hashes(&nodes).map_err(ProveError::Read)?;
    let (got, want) = (hashes.len(), nodes.len());
    if got != want {
        return Err(ProveError::WrongHashCount { got, want });
    }
    let mut rest = hashes.into_iter();
    let joined = spans.iter().map(|span| {
        let own: Vec<Hash> = rest.by_ref().take(span.nodes().count()).collect();
        join(&own)
    });
    Ok(joined.collect())
}

/// The hash of neighbouring complete subtrees that shrink from left to right: the smaller are joined first.
pub(crate) fn join(subtrees: &[Hash]) -> Hash {
    let from_the_right = subtrees.iter().copied().rev();
    from_the_right
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or(EMPTY_ROOT)
}

/// The position of the highest set bit; 0 where there is none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a u64 has 64 bits, so the position is below 64"
)]
fn level_of_highest_bit(number: u64) -> u8 {
    number.checked_ilog2().unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_where_the_rfc_splits() {
        for (len, k) in [
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 4),
            (7, 4),
            (8, 4),
            (9, 8),
            (u64::MAX, 1 << 63),
        ] {
            let (left, right) = Span { start: 0, len }.split().unwrap();
            assert_eq!((left.len, right.start, right.len), (k, k, len - k));
        }
        assert_eq!(Span { start: 4, len: 1 }.split(), None);
        assert_eq!(Span { start: 0, len: 0 }.split(), None);
    }

    #[test]
    fn the_largest_tree_does_not_overflow() {
        let whole = Span::whole(TreeSize::new(u64::MAX));
        assert_eq!(whole.nodes().count(), 64);
        assert_eq!(whole.level(), 64);
        let last = LeafIndex::new(u64::MAX - 1);
        let mut span = whole;
        while let Some((_, next)) = span.turn_towards(last) {
            span = next;
        }
        assert_eq!(span.end(), TreeSize::new(u64::MAX));
    }
}
