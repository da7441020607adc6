//! An entry that was checked: its record is in the log, and is of the log.

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::json::{Value, object};
use ledger::leaf::Leaf;
use ledger::record::SignedRecord;
use tlog::checkpoint::VerifiedCheckpoint;
use tlog::proof::{ParseProofFileError, ProofFile, VerifiedProof, VerifyProofFileError};
use tlog::{Hash, LeafIndex};

use crate::identity::LogIdentity;

/// An entry of the log, shown to be one.
#[derive(Clone, Debug)]
pub struct Entry {
    received_ms: u64,
    record: SignedRecord,
    proof: VerifiedProof,
}

/// Why what came as an entry shows none. Each is a lie, or a fault, of whoever it came from.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// It is not a proof file.
    #[error("what came as a proof is not a proof")]
    Malformed(#[from] ParseProofFileError),
    /// It is of another entry.
    #[error("the proof is of entry {got}, not of {want}")]
    OtherEntry {
        /// The entry that it is of.
        got: LeafIndex,
        /// The entry that was asked for.
        want: LeafIndex,
    },
    /// It does not bring the leaf.
    #[error("the proof does not contain its leaf")]
    NoLeaf,
    /// It proves nothing.
    #[error("the proof does not hold")]
    NotProven(#[from] VerifyProofFileError),
    /// The leaf is in the log, and is not a record.
    #[error("the entry is not a record: {0}")]
    NotARecord(Refusal),
    /// The record is of another log.
    #[error("the record is of the log {got}, not of {want}")]
    OtherLog {
        /// The log that it was made for.
        got: RecordHash,
        /// The log that it came from.
        want: RecordHash,
    },
}

impl Entry {
    /// Opens the proof file of the entry at `index` of a log.
    ///
    /// # Errors
    ///
    /// [`EntryError`].
    pub fn open(proof_file: &str, index: LeafIndex, log: &LogIdentity) -> Result<Self, EntryError> {
        let file = ProofFile::parse(proof_file)?;
        if file.index != index {
            return Err(EntryError::OtherEntry {
                got: file.index,
                want: index,
            });
        }
        let bytes = file.extra.as_deref().ok_or(EntryError::NoLeaf)?;
        let proof = file.verify(bytes, &log.policy)?;
        let leaf = Leaf::parse(bytes).map_err(EntryError::NotARecord)?;
        let received_ms = leaf.received_ms();
        let record =
            SignedRecord::from_envelope(leaf.into_envelope()).map_err(EntryError::NotARecord)?;
        // Charter 1 names no log: its own hash is the log's name.
        let (got, want) = (record.record().log.unwrap_or(record.hash()), log.log);
        if got != want {
            return Err(EntryError::OtherLog { got, want });
        }
        Ok(Self {
            received_ms,
            record,
            proof,
        })
    }

    /// Its index.
    pub const fn index(&self) -> LeafIndex {
        self.proof.index()
    }

    /// When the log received it, by its own word: milliseconds since the epoch.
    pub const fn received_ms(&self) -> u64 {
        self.received_ms
    }

    /// The record. Its signatures were for the log to check, by keys that other records name.
    pub const fn record(&self) -> &SignedRecord {
        &self.record
    }

    /// The checkpoint that it is under.
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        self.proof.checkpoint()
    }

    /// The root of the tree that ends with this entry, which its proof vouches for.
    pub fn root_behind(&self) -> Hash {
        self.proof.root_behind_leaf()
    }

    /// The entry as the service spells it: index, time, name, kind, payload and envelope.
    pub fn to_value(&self) -> Value {
        let envelope = self.record.envelope();
        // It was read as JSON before, so it reads again.
        let payload = Value::parse(envelope.payload()).unwrap_or(Value::Null);
        object([
            ("index", self.index().get().into()),
            ("received_ms", self.received_ms.into()),
            ("record", self.record.hash().into()),
            ("kind", self.record.kind().as_str().into()),
            ("payload", payload),
            ("envelope", envelope.to_value()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use ledger::verify::Trust;

    use super::*;

    const TRUST: &str = include_str!("../../ledger/src/verify/golden/trust.json");
    const ENTRY_0: &str = include_str!("../../ledger/src/verify/golden/entry-0.tlog-proof");
    const ENTRY_6: &str = include_str!("../../ledger/src/verify/golden/entry-6.tlog-proof");

    fn log() -> LogIdentity {
        LogIdentity::pinned(&TRUST.parse::<Trust>().unwrap()).unwrap()
    }

    #[test]
    fn what_is_shown_is_opened() {
        for (file, index, kind) in [(ENTRY_0, 0, "charter"), (ENTRY_6, 6, "receipt")] {
            let entry = Entry::open(file, LeafIndex::new(index), &log()).unwrap();
            assert_eq!(entry.index().get(), index);
            assert_eq!(entry.record().kind().as_str(), kind);
            assert_eq!(entry.checkpoint().size().get(), 16);
            assert!(
                entry
                    .to_value()
                    .to_json()
                    .starts_with(&format!("{{\"index\":{index},"))
            );
        }
    }

    #[test]
    fn what_is_not_shown_is_refused() {
        let open =
            |file: &str, log: &LogIdentity| Entry::open(file, LeafIndex::new(6), log).unwrap_err();
        let (extra, line) = (ENTRY_6.lines().nth(1).unwrap(), |n: usize| {
            ENTRY_0.lines().nth(n).unwrap()
        });
        let other_leaf = ENTRY_6.replace(extra, line(1));
        let no_leaf = ENTRY_6.replace(&format!("{extra}\n"), "");
        assert!(matches!(open("", &log()), EntryError::Malformed(_)));
        assert!(matches!(
            open(ENTRY_0, &log()),
            EntryError::OtherEntry { .. }
        ));
        assert!(matches!(open(&no_leaf, &log()), EntryError::NoLeaf));
        assert!(matches!(
            open(&other_leaf, &log()),
            EntryError::NotProven(_)
        ));
        let other_name = LogIdentity {
            log: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            ..log()
        };
        assert!(matches!(
            open(ENTRY_6, &other_name),
            EntryError::OtherLog { .. }
        ));
    }
}
