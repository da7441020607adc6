//! Stores of an older format, brought up to this one.
//!
//! Rows are added and none is changed, and the format is written last: a machine that stops in the middle begins anew at
//! the next start.

use ledger::codes::Refusal;
use ledger::leaf::Leaf;
use ledger::record::SignedRecord;
use rocksdb::WriteBatch;
use store::{Mention, Store as _, StoreError};
use tlog::LeafIndex;

use super::rows::mention_row;
use super::{FORMAT_KEY, FORMAT_VERSION, MENTIONS, RocksStore, engine, synced};

/// Leaves that are read at once: some megabytes.
const CHUNK: usize = 1_024;

/// Adds the rows by which leaves are found, those of which an older version had some as well.
pub(super) fn add_mentions(store: &RocksStore) -> Result<(), UpgradeError> {
    let size = store.head()?.map_or(0, |head| head.size.get());
    for from in (0..size).step_by(CHUNK) {
        let to = size.min(from + CHUNK as u64);
        let mut batch = WriteBatch::default();
        for (index, leaf) in (from..).zip(store.leaves(from..to)?) {
            let wrong = |error| UpgradeError::Leaf { index, error };
            let record = Leaf::parse(&leaf)
                .and_then(|leaf| SignedRecord::from_envelope(leaf.into_envelope()))
                .map_err(wrong)?;
            for Mention { topic, index, kind } in Mention::all_of(LeafIndex::new(index), &record) {
                let row = mention_row(&topic, index.get());
                store.put(&mut batch, MENTIONS, row, kind.as_str())?;
            }
        }
        store.db.write(batch).map_err(engine)?;
    }
    let format = FORMAT_VERSION.to_string();
    Ok(store
        .db
        .put_opt(FORMAT_KEY, format, &synced())
        .map_err(engine)?)
}

/// Why a store could not be brought up.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpgradeError {
    /// It cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A leaf is not one that this program writes.
    #[error("leaf {index} is damaged")]
    Leaf {
        /// Its index.
        index: u64,
        /// Why.
        #[source]
        error: Refusal,
    },
}
