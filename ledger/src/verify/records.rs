//! One record of a piece of evidence: which log it is of, and which keys signed it.

use tlog::LeafIndex;

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::envelope::{Checked, Validity};
use crate::key::{KeyId, PublicKey};
use crate::leaf::Leaf;
use crate::record::{Body, Charter, CheckedRecord, Kind, Role, SignedRecord};
use crate::table::Table;
use crate::verify::log_keys::LogKeys;
use crate::verify::trust::Trust;

/// When the log received a leaf, and the record in it.
pub(super) fn read_leaf(bytes: &[u8]) -> Result<(u64, SignedRecord), Refusal> {
    let leaf = Leaf::parse(bytes)?;
    let received_ms = leaf.received_ms();
    SignedRecord::from_envelope(leaf.into_envelope()).map(|record| (received_ms, record))
}

/// Charter 1 is the log's name; every other record bears that name.
pub(super) fn check_log(record: &SignedRecord, trust: &Trust) -> Result<(), Refusal> {
    let (pinned, hash) = (trust.charter, record.hash());
    match record.record().log {
        None if hash == pinned => Ok(()),
        None if record.kind() != Kind::Charter => {
            Err(Code::OriginMismatch.because("it names no log, and is not a charter"))
        }
        None => {
            Err(Code::TrustMismatch
                .because(format!("the charter is {hash}, the trust names {pinned}")))
        }
        Some(log) if log == pinned => Ok(()),
        Some(log) => {
            Err(Code::OriginMismatch.because(format!("made for {log}, the trust names {pinned}")))
        }
    }
}

/// A log begins with its charter.
pub(super) fn check_first(
    index: LeafIndex,
    record: &SignedRecord,
    trust: &Trust,
) -> Result<(), Refusal> {
    if index == LeafIndex::new(0) && record.hash() != trust.charter {
        return Err(Code::CharterMissing.because(format!("the log begins with {}", record.kind())));
    }
    Ok(())
}

/// Checks that all signatures are good and enough of them by roots of the charter; gives the number of those.
pub(super) fn check_roots(record: &CheckedRecord, charter: &Charter) -> Result<u64, Refusal> {
    check_valid(record.signatures())?;
    let (roots, want) = (
        signers(record, charter, Role::Root),
        charter.thresholds.root,
    );
    if roots < want {
        return Err(
            Code::CharterNotAuthorized.because(format!("signed by {roots} roots, needs {want}"))
        );
    }
    Ok(roots)
}

/// The keys of a log that is read from its first record on: only those that the pinned charter leads to.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    keys: Table<KeyId, Option<PublicKey>>,
    charter: Option<(RecordHash, Box<Charter>)>,
    log_keys: LogKeys,
}

impl Keyring {
    /// Whether the charter that the trust names has come, without which there is nothing to go by.
    pub(super) const fn has_charter(&self) -> bool {
        self.charter.is_some()
    }

    /// The keys of the log, by the charters that have come.
    pub(super) const fn log_keys(&self) -> &LogKeys {
        &self.log_keys
    }

    /// Checks a record's signatures with the keys of the records before it, and takes up those that it brings.
    ///
    /// A key counts if a charter or a manifest brought it that was signed by as many roots or operators as it needs.
    /// What the holder of a key may do is not looked at.
    pub(super) fn check(
        &mut self,
        index: LeafIndex,
        record: SignedRecord,
        trust: &Trust,
    ) -> Result<(), Refusal> {
        let record = record.check(&|id| self.keys.get(id).copied().flatten());
        check_valid(record.signatures())?;
        match &record.record().body {
            Body::Charter(charter) => {
                self.check_charter(&record, charter, trust)?;
                self.log_keys.take(index, charter);
                self.charter = Some((record.hash(), charter.clone()));
            }
            Body::Manifest(_) => self.check_operators(&record)?,
            _ => return Ok(()),
        }
        for key in record.signed().brings_keys() {
            self.keys.change(&key.id(), |it| *it = Some(key));
        }
        Ok(())
    }

    /// The first is pinned; each one after it is signed by the roots of the one before, and by its own.
    fn check_charter(
        &self,
        record: &CheckedRecord,
        charter: &Charter,
        trust: &Trust,
    ) -> Result<(), Refusal> {
        if record.hash() != trust.charter {
            let (before, roots) = self.charter()?;
            if charter.previous != Some(before) {
                return Err(Code::PackIncomplete.because("the charter before this one is missing"));
            }
            check_roots(record, roots)?;
        }
        check_roots(record, charter).map(drop)
    }

    fn charter(&self) -> Result<(RecordHash, &Charter), Refusal> {
        let missing = || Code::CharterMissing.because("no charter came before it");
        let (hash, charter) = self.charter.as_ref().ok_or_else(missing)?;
        Ok((*hash, charter))
    }

    fn check_operators(&self, record: &CheckedRecord) -> Result<(), Refusal> {
        let (_, charter) = self.charter()?;
        let operators = signers(record, charter, Role::Operator);
        let want = charter.thresholds.operator;
        if operators < want {
            return Err(Code::ThresholdNotMet
                .because(format!("signed by {operators} operators, needs {want}")));
        }
        Ok(())
    }
}

fn check_valid(signatures: &[Checked]) -> Result<(), Refusal> {
    signatures
        .iter()
        .try_for_each(|signature| match signature.validity {
            Validity::Valid => Ok(()),
            Validity::Invalid => Err(Code::SignatureInvalid.because(signature.keyid)),
            Validity::Unknown => Err(Code::KeyUnknown.because(signature.keyid)),
        })
}

/// How many of the signatures are by keys to which the charter gives the role.
fn signers(record: &CheckedRecord, charter: &Charter, role: Role) -> u64 {
    let has_role = |signature: &&Checked| charter.grants(role, &signature.keyid);
    record.signatures().iter().filter(has_role).count() as u64
}
