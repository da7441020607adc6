//! What readers ask of the database.

use std::ops::Range;
use std::path::Path;

use ledger::digest::RecordHash;
use ledger::record::Kind;
use rocksdb::{DBPinnableSlice, Direction, IteratorMode};
use store::{Counts, Group, Order, Store, StoreError, StoredCheckpoint, TileKey, Topic};
use tlog::tile::{Width, decode_hashes};
use tlog::{Hash, LeafIndex, TreeSize};

use super::rows::{mention_prefix, mention_row, number, read_checkpoint, read_kind, tile_row};
use super::{CHECKPOINTS, LEAVES, MENTIONS, RECORDS, RocksStore, TILES, engine};

impl Store for RocksStore {
    fn apply(&self, group: &Group) -> Result<(), StoreError> {
        if group.is_in(self)? {
            return Ok(());
        }
        let _only_one = self.leading();
        let batch = self.next_batch(group)?;
        *self.written() = None;
        self.db.write(batch).map_err(engine)
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        if let Some(written) = self.written().clone() {
            return Ok(Some(written));
        }
        let mut rows = self
            .db
            .iterator_cf(self.family(CHECKPOINTS)?, IteratorMode::End);
        let last = rows.next().transpose().map_err(engine)?;
        last.map(|(key, value)| read_checkpoint(&key, &value))
            .transpose()
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        let start = range.start.to_be_bytes();
        let from = IteratorMode::From(&start, Direction::Forward);
        let mut rows = self.db.iterator_cf(self.family(LEAVES)?, from);
        let mut next = |index: u64| {
            let row = rows.next().transpose().map_err(engine)?;
            let row = row.filter(|(key, _)| **key == index.to_be_bytes());
            row.map(|(_, leaf)| leaf.into_vec())
                .ok_or(StoreError::LeafMissing { index })
        };
        range.map(&mut next).collect()
    }

    fn tiles(&self, tiles: &[TileKey]) -> Result<Vec<Vec<Hash>>, StoreError> {
        let keys: Vec<_> = tiles.iter().map(|key| tile_row(*key)).collect();
        let rows = self
            .db
            .batched_multi_get_cf(self.family(TILES)?, &keys, false);
        let read = |(key, row): (&TileKey, Result<Option<DBPinnableSlice<'_>>, _>)| {
            let TileKey { level, index } = *key;
            let row = row
                .map_err(engine)?
                .ok_or(StoreError::TileMissing { level, index })?;
            let malformed = |_| StoreError::RowMalformed {
                table: TILES,
                got: row.len(),
            };
            decode_hashes(&row, Width::Full).map_err(malformed)
        };
        tiles.iter().zip(rows).map(read).collect()
    }

    fn find(&self, records: &[RecordHash]) -> Result<Vec<Option<LeafIndex>>, StoreError> {
        let keys = records
            .iter()
            .map(|record| record.digest().as_bytes().as_slice());
        let rows = self
            .db
            .batched_multi_get_cf(self.family(RECORDS)?, keys, false);
        let read = |row: Result<Option<DBPinnableSlice<'_>>, _>| {
            let row = row.map_err(engine)?;
            let index = row.map(|row| number(RECORDS, &row)).transpose()?;
            Ok(index.map(LeafIndex::new))
        };
        rows.into_iter().map(read).collect()
    }

    fn mentions(
        &self,
        topic: &Topic,
        range: Range<u64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, Kind)>, StoreError> {
        let Some(last) = range.end.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let (start, direction) = match order {
            Order::OldestFirst => (range.start, Direction::Forward),
            Order::NewestFirst => (last, Direction::Reverse),
        };
        let start = mention_row(topic, start);
        let from = IteratorMode::From(&start, direction);
        let rows = self.db.iterator_cf(self.family(MENTIONS)?, from);
        let prefix = mention_prefix(topic);
        let read = rows.map(|row| {
            let (key, kind) = row.map_err(engine)?;
            let index = key.strip_prefix(prefix.as_slice());
            let index = index.map(|index| number(MENTIONS, index)).transpose()?;
            let Some(index) = index.filter(|index| range.contains(index)) else {
                return Ok(None);
            };
            Ok(Some((LeafIndex::new(index), read_kind(&kind)?)))
        });
        let read = read.map(Result::transpose);
        read.take_while(Option::is_some)
            .flatten()
            .take(limit)
            .collect()
    }

    fn checkpoints(
        &self,
        after: TreeSize,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let Some(from) = after.get().checked_add(1) else {
            return Ok(Vec::new());
        };
        let start = from.to_be_bytes();
        let from = IteratorMode::From(&start, Direction::Forward);
        let rows = self.db.iterator_cf(self.family(CHECKPOINTS)?, from);
        rows.take(limit)
            .map(|row| {
                let (key, value) = row.map_err(engine)?;
                read_checkpoint(&key, &value)
            })
            .collect()
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        Ok(Counts {
            leaves: self.count(LEAVES)?,
            tiles: self.count(TILES)?,
            records: self.count(RECORDS)?,
            mentions: self.count(MENTIONS)?,
            checkpoints: self.count(CHECKPOINTS)?,
        })
    }

    fn snapshot(&self, to: &Path) -> Result<(), StoreError> {
        self.take_snapshot(to)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        let disk = rustix::fs::statvfs(&self.path);
        let disk = disk.map_err(|error| StoreError::FileSystem(error.into()))?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
}

impl RocksStore {
    fn count(&self, table: &'static str) -> Result<u64, StoreError> {
        let rows = self
            .db
            .iterator_cf(self.family(table)?, IteratorMode::Start);
        rows.into_iter()
            .try_fold(0, |count, row| row.map(|_| count + 1).map_err(engine))
    }
}
