//! What a replay remembers of every leaf: its record's name, its time, and the root with it.
//!
//! A record may refer to any record before it, and an agent or a witness may have seen the tree at any
//! size. So all of them are kept, in about 62 bytes a leaf at a million leaves, in blocks that are
//! never copied when there are more.

use hashbrown::HashTable;
use tlog::tree::Frontier;
use tlog::{Hash, LeafIndex};

use crate::digest::RecordHash;

/// How many leaves share a block: small enough to waste little, large enough that the blocks
/// themselves cost nothing.
const BLOCK: usize = 4096;

/// How much of a record's name is kept. To make a record that has the first half of its name in common
/// with a given one takes 2^128 attempts.
const NAME_BYTES: usize = 16;

type Name = [u8; NAME_BYTES];

/// The leaves so far.
#[derive(Debug, Default)]
pub(super) struct Entries {
    names: Blocks<Name>,
    by_name: HashTable<u32>,
    roots: Blocks<Hash>,
    times: Times,
    frontier: Frontier,
    salt: [u64; 2],
}

impl Entries {
    /// Begins. The salt is a hash that nobody knew when the records were made: so nobody could choose
    /// records that all fall into one place of the table and make looking them up slow.
    pub(super) fn salted(salt: &Hash) -> Self {
        let (low, high) = halves(salt.as_bytes());
        Self {
            salt: [low, high],
            ..Self::default()
        }
    }

    /// Takes the next leaf; `record` is `None` if it holds none that can be read.
    pub(super) fn push(&mut self, leaf: Hash, received_ms: u64, record: Option<RecordHash>) {
        let index = self.names.len();
        let name = record.map_or([0; NAME_BYTES], |record| name_of(&record));
        self.names.push(name);
        self.times.push(received_ms);
        self.frontier.push(leaf);
        self.roots.push(self.frontier.root());
        // More than 2^32 leaves do not fit into the memory of whoever replays them.
        if let (Some(_), Ok(index)) = (record, u32::try_from(index)) {
            let (names, salt) = (&self.names, self.salt);
            let rehash = |index: &u32| names.at(*index as usize).map_or(0, |name| mix(salt, name));
            self.by_name.insert_unique(mix(salt, &name), index, rehash);
        }
    }

    /// Whether a record of this name was logged.
    pub(super) fn knows(&self, record: &RecordHash) -> bool {
        let name = name_of(record);
        let same = |index: &u32| self.names.at(*index as usize) == Some(&name);
        self.by_name.find(mix(self.salt, &name), same).is_some()
    }

    /// The root of the tree at a size, if the log is that large.
    pub(super) fn root(&self, size: u64) -> Option<Hash> {
        match size.checked_sub(1) {
            None => Some(Frontier::default().root()),
            Some(last) => self.roots.at(usize::try_from(last).ok()?).copied(),
        }
    }

    /// When a leaf was received.
    pub(super) fn received_ms(&self, index: LeafIndex) -> Option<u64> {
        self.times.at(usize::try_from(index.get()).ok()?)
    }
}

/// A list that grows by blocks: nothing is ever moved, and what is reserved is used.
#[derive(Debug)]
struct Blocks<T>(Vec<Vec<T>>);

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Blocks<T> {
    fn len(&self) -> usize {
        let last = self.0.last().map_or(0, Vec::len);
        self.0.len().saturating_sub(1) * BLOCK + last
    }

    fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(value),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(value);
                self.0.push(block);
            }
        }
    }

    fn at(&self, index: usize) -> Option<&T> {
        self.0.get(index / BLOCK)?.get(index % BLOCK)
    }
}

/// The times of the leaves, which never go back: each as what it is above the first of its block.
#[derive(Debug, Default)]
struct Times {
    firsts: Vec<u64>,
    above: Blocks<u32>,
    /// Leaves that came more than 49 days after the first of their block, with their own times.
    far: Vec<(usize, u64)>,
}

impl Times {
    fn push(&mut self, time_ms: u64) {
        let index = self.above.len();
        if index.is_multiple_of(BLOCK) {
            self.firsts.push(time_ms);
        }
        let first = self.firsts.last().copied().unwrap_or(time_ms);
        let above = time_ms.checked_sub(first).map(u32::try_from);
        match above {
            Some(Ok(above)) if above < u32::MAX => self.above.push(above),
            _ => {
                self.above.push(u32::MAX);
                self.far.push((index, time_ms));
            }
        }
    }

    fn at(&self, index: usize) -> Option<u64> {
        let above = *self.above.at(index)?;
        if above < u32::MAX {
            return Some(self.firsts.get(index / BLOCK)? + u64::from(above));
        }
        let place = self.far.binary_search_by_key(&index, |(index, _)| *index);
        self.far.get(place.ok()?).map(|(_, time_ms)| *time_ms)
    }
}

fn name_of(record: &RecordHash) -> Name {
    let mut name = [0; NAME_BYTES];
    name.iter_mut()
        .zip(record.digest().as_bytes())
        .for_each(|(to, from)| *to = *from);
    name
}

/// The first 16 bytes as two numbers.
fn halves(bytes: &[u8]) -> (u64, u64) {
    let number = |bytes: &[u8]| {
        let byte = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        bytes.iter().take(8).fold(0, byte)
    };
    let (low, high) = bytes.split_at_checked(8).unwrap_or((bytes, &[]));
    (number(low), number(high))
}

/// Where a name stands in the table: a product that both the name and the salt decide.
fn mix(salt: [u64; 2], name: &Name) -> u64 {
    let (low, high) = halves(name);
    let [one, other] = salt;
    let product = u128::from(low ^ one) * u128::from(high ^ other);
    let [upper, lower] = [product >> 64, product & u128::from(u64::MAX)];
    u64::try_from(upper ^ lower).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn record(n: u64) -> RecordHash {
        RecordHash::new(Digest::of(&[&n.to_be_bytes()]))
    }

    #[test]
    fn every_leaf_is_remembered_over_the_ends_of_blocks() {
        let mut entries = Entries::salted(&tlog::leaf_hash(b"salt"));
        let mut tree = tlog::tree::MemoryTree::default();
        let far = 100 * 24 * 60 * 60 * 1000;
        let time = |n: u64| n / 3 + if n > 5000 { far } else { 0 };
        let leaves = 2 * BLOCK as u64 + 7;
        let mut roots = vec![tree.root()];
        for n in 0..leaves {
            let leaf = tlog::leaf_hash(&n.to_be_bytes());
            assert!(!entries.knows(&record(n)));
            entries.push(leaf, time(n), (n % 10 != 0).then(|| record(n)));
            tree.push(leaf);
            roots.push(tree.root());
        }
        for n in 0..leaves {
            assert_eq!(entries.knows(&record(n)), n % 10 != 0, "{n}");
            assert_eq!(entries.received_ms(LeafIndex::new(n)), Some(time(n)));
        }
        for (size, root) in (0..).zip(roots) {
            assert_eq!(entries.root(size), Some(root), "{size}");
        }
        assert_eq!(entries.root(leaves + 1), None);
        assert_eq!(entries.received_ms(LeafIndex::new(leaves)), None);
    }
}
