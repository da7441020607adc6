//! How groups come into the database, which is a journal of one machine: no other process can have it open, so terms
//! count only the leaders of this one.

use std::sync::{MutexGuard, PoisonError};

use rocksdb::{ErrorKind, WriteBatch};
use store::{
    AppendError, Appended, Group, Journal, Journaled, Mention, Store, StoreError, StoredCheckpoint,
    Term, stretches,
};
use tlog::TreeSize;
use tlog::tile::encode_hashes;

use super::rows::{mention_row, tile_row};
use super::{CHECKPOINTS, LEAVES, MENTIONS, RECORDS, RocksStore, TILES, engine, synced};

impl Journal for RocksStore {
    fn lead(&self) -> Result<Term, StoreError> {
        let mut term = self.leading();
        *term = term.next();
        Ok(*term)
    }

    fn append(&self, group: &Group, term: Term) -> Result<Appended, AppendError> {
        let newest = self.leading();
        if *newest != term {
            return Ok(Appended::Fenced);
        }
        let batch = self.next_batch(group).map_err(AppendError::NotDone)?;
        // Until it is known what became of this one, the head is what the database says.
        *self.written() = None;
        // One batch and one sync: all of the group or none of it, and on the disk when this returns.
        match self.db.write_opt(batch, &synced()) {
            Ok(()) => {
                *self.written() = Some(group.checkpoint.clone());
                Ok(Appended::Durable)
            }
            Err(error) if is_unopened(&error) => Err(AppendError::NotDone(engine(error))),
            Err(error) => Err(AppendError::Unknown(engine(error))),
        }
    }

    fn after(&self, size: TreeSize, limit: usize) -> Result<Vec<Journaled>, StoreError> {
        stretches(self, size, limit)
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        Store::head(self)
    }
}

/// Whether a write failed because a file could not be opened. RocksDB opens the files of its log before it writes a
/// batch, never behind it, so nothing of the batch was written. It has no code of its own for this; its messages begin so.
fn is_unopened(error: &rocksdb::Error) -> bool {
    error.kind() == ErrorKind::IOError && error.as_ref().contains("While open")
}

impl RocksStore {
    pub(super) fn leading(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head that this process has written last, unless it is writing.
    pub(super) fn written(&self) -> MutexGuard<'_, Option<StoredCheckpoint>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of a group that stands where the log ends.
    pub(super) fn next_batch(&self, group: &Group) -> Result<WriteBatch, StoreError> {
        let want = Store::head(self)?.map_or(0, |head| head.size.get());
        let got = group.first.get();
        match got == want {
            true => self.batch(group),
            false => Err(StoreError::NotNext { got, want }),
        }
    }

    pub(super) fn put(
        &self,
        batch: &mut WriteBatch,
        table: &'static str,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), StoreError> {
        batch.put_cf(self.family(table)?, key, value);
        Ok(())
    }

    fn batch(&self, group: &Group) -> Result<WriteBatch, StoreError> {
        let mut batch = WriteBatch::default();
        for (index, (record, leaf)) in (group.first.get()..).zip(&group.leaves) {
            let index = index.to_be_bytes();
            self.put(&mut batch, LEAVES, index, leaf)?;
            self.put(&mut batch, RECORDS, record.digest().as_bytes(), index)?;
        }
        for (key, hashes) in &group.tiles {
            self.put(&mut batch, TILES, tile_row(*key), encode_hashes(hashes))?;
        }
        for Mention { topic, index, kind } in &group.mentions {
            let row = mention_row(topic, index.get());
            self.put(&mut batch, MENTIONS, row, kind.as_str())?;
        }
        if let Some(size) = group.supersedes {
            batch.delete_cf(self.family(CHECKPOINTS)?, size.get().to_be_bytes());
        }
        let StoredCheckpoint {
            size,
            time_ms,
            checkpoint,
        } = &group.checkpoint;
        let value = [&time_ms.to_be_bytes(), checkpoint.as_bytes()].concat();
        self.put(&mut batch, CHECKPOINTS, size.get().to_be_bytes(), value)?;
        Ok(batch)
    }
}
