//! Keys and values, as bytes.

use ledger::record::Kind;
use store::{StoreError, StoredCheckpoint, TileKey, Topic};
use tlog::TreeSize;

use super::{CHECKPOINTS, MENTIONS};

/// A number in a key or a value: eight bytes, the highest first.
const NUMBER_BYTES: usize = size_of::<u64>();

pub(super) fn tile_row(key: TileKey) -> [u8; 1 + NUMBER_BYTES] {
    let mut row = [key.level; 1 + NUMBER_BYTES];
    row[1..].copy_from_slice(&key.index.to_be_bytes());
    row
}

/// No name has a zero byte, so none is the beginning of another with it.
pub(super) fn mention_prefix(topic: &Topic) -> Vec<u8> {
    match topic {
        Topic::Agent(name) => [b"a", name.as_str().as_bytes(), b"\0"].concat(),
        Topic::Authority(name) => [b"s", name.as_str().as_bytes(), b"\0"].concat(),
        Topic::Record(record) => [b"r".as_slice(), record.digest().as_bytes()].concat(),
        Topic::Kind(kind) => [b"k", kind.as_str().as_bytes(), b"\0"].concat(),
    }
}

pub(super) fn mention_row(topic: &Topic, index: u64) -> Vec<u8> {
    [mention_prefix(topic).as_slice(), &index.to_be_bytes()].concat()
}

pub(super) fn read_kind(value: &[u8]) -> Result<Kind, StoreError> {
    let kind = std::str::from_utf8(value).ok();
    let kind = kind.and_then(|kind| kind.parse().ok());
    kind.ok_or(StoreError::RowMalformed {
        table: MENTIONS,
        got: value.len(),
    })
}

pub(super) fn number(table: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    let exact = bytes.try_into().map(u64::from_be_bytes);
    exact.map_err(|_| StoreError::RowMalformed {
        table,
        got: bytes.len(),
    })
}

pub(super) fn read_checkpoint(key: &[u8], value: &[u8]) -> Result<StoredCheckpoint, StoreError> {
    let malformed = || StoreError::RowMalformed {
        table: CHECKPOINTS,
        got: value.len(),
    };
    let (time_ms, note) = value.split_at_checked(NUMBER_BYTES).ok_or_else(malformed)?;
    Ok(StoredCheckpoint {
        size: TreeSize::new(number(CHECKPOINTS, key)?),
        time_ms: number(CHECKPOINTS, time_ms)?,
        checkpoint: String::from_utf8(note.to_vec()).map_err(|_| malformed())?,
    })
}
