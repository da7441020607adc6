//! What a replay remembers of every leaf: its record's name, its time, and the root with it.
//!
//! A record may refer to any record before it, and an agent or a witness may have seen the tree at any
//! size. So all of them are kept, in 54 to 60 bytes a leaf, in blocks and small tables: when there are more,
//! little is copied, and little is held twice.

use hashbrown::HashTable;
use tlog::tree::Frontier;
use tlog::{Hash, LeafIndex};

use crate::digest::{Digest, RecordHash};

/// How many leaves share a block: small enough to waste little, large enough that the blocks
/// themselves cost nothing.
const BLOCK: usize = 4096;

/// How many tables share the leaves: each is copied when it grows, and one at a time.
const TABLES: usize = 64;

/// How much of a salted name is kept. Two records have it in common by chance alone, and that of a given one once in
/// 2^96: so whoever wants it has to make as many logs, since each has another salt.
const TAG_BYTES: usize = 12;

type Tag = [u8; TAG_BYTES];

/// The leaves so far.
#[derive(Debug)]
pub(super) struct Entries {
    /// The tree in front of the first of them.
    base: Frontier,
    tags: Blocks<Tag>,
    by_tag: Vec<HashTable<u32>>,
    roots: Blocks<Hash>,
    times: Times,
    frontier: Frontier,
    salt: Hash,
}

impl Entries {
    /// Begins. The salt is a hash that nobody knew when the records were made: so nobody could choose records that
    /// look the same here, or that all fall into one place of a table and make looking them up slow.
    pub(super) fn salted(salt: &Hash, base: Frontier) -> Self {
        Self {
            tags: Blocks::default(),
            by_tag: vec![HashTable::new(); TABLES],
            roots: Blocks::default(),
            times: Times::default(),
            frontier: base.clone(),
            base,
            salt: *salt,
        }
    }

    /// How many leaves stand in front of the first that is known.
    pub(super) fn before(&self) -> u64 {
        self.base.size().get()
    }

    /// Takes the next leaf; `record` is `None` if it holds none that can be read.
    pub(super) fn push(&mut self, leaf: Hash, received_ms: u64, record: Option<RecordHash>) {
        let index = self.tags.len();
        let tag = record.map(|record| self.tag(&record));
        self.tags.push(tag.unwrap_or_default());
        self.times.push(received_ms);
        self.frontier.push(leaf);
        self.roots.push(self.frontier.root());
        // More than 2^32 leaves do not fit into the memory of whoever replays them.
        if let (Some(tag), Ok(index)) = (tag, u32::try_from(index))
            && let Some(table) = self.by_tag.get_mut(table_of(&tag))
        {
            let tags = &self.tags;
            let rehash = |index: &u32| tags.at(*index as usize).map_or(0, place_of);
            table.insert_unique(place_of(&tag), index, rehash);
        }
    }

    /// Whether a record of this name was logged.
    pub(super) fn knows(&self, record: &RecordHash) -> bool {
        let tag = self.tag(record);
        let same = |index: &u32| self.tags.at(*index as usize) == Some(&tag);
        let table = self.by_tag.get(table_of(&tag));
        table.is_some_and(|table| table.find(place_of(&tag), same).is_some())
    }

    fn tag(&self, record: &RecordHash) -> Tag {
        let salted = Digest::of(&[self.salt.as_bytes(), record.as_ref()]);
        salted.as_bytes().first_chunk().copied().unwrap_or_default()
    }

    /// The root of the tree at a size, if the log is that large.
    pub(super) fn root(&self, size: u64) -> Option<Hash> {
        match size.checked_sub(self.before())?.checked_sub(1) {
            None => Some(self.base.root()),
            Some(last) => self.roots.at(usize::try_from(last).ok()?).copied(),
        }
    }

    /// When a leaf was received.
    pub(super) fn received_ms(&self, index: LeafIndex) -> Option<u64> {
        let index = index.get().checked_sub(self.before())?;
        self.times.at(usize::try_from(index).ok()?)
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

/// In which table a tag is looked for: the one that its last byte says.
fn table_of(tag: &Tag) -> usize {
    tag.last().map_or(0, |last| usize::from(*last) % TABLES)
}

/// Where it is looked for there: its first bytes are a hash already.
fn place_of(tag: &Tag) -> u64 {
    tag.first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> RecordHash {
        RecordHash::new(Digest::of(&[&n.to_be_bytes()]))
    }

    #[test]
    fn every_leaf_is_remembered_over_the_ends_of_blocks() {
        let mut entries = Entries::salted(&tlog::leaf_hash(b"salt"), Frontier::new());
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
