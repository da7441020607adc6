//! Which values a pack tells: those that its own records commit to, and nothing that the caller has beside them.
//!
//! The values stand before the leaves, and which of them belong there only the leaves tell. So what comes behind the values
//! is kept in a file without a name until the last leaf has come.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::leaf::Leaf;
use ledger::pack::{Disclosure, Line};
use ledger::record::SignedRecord;

/// The values that might be told, and the lines that wait for them.
#[derive(Debug)]
pub(super) struct Disclosing {
    disclosures: Vec<Disclosure>,
    in_pack: BTreeSet<RecordHash>,
    behind: Option<BufWriter<File>>,
}

impl Disclosing {
    pub(super) const fn new(disclosures: Vec<Disclosure>) -> Self {
        Self {
            disclosures,
            in_pack: BTreeSet::new(),
            behind: None,
        }
    }

    /// The place of the values has come: what follows waits, if there are any.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if !self.disclosures.is_empty() {
            self.behind = Some(BufWriter::new(tempfile::tempfile()?));
        }
        Ok(())
    }

    /// Where lines wait; `None` where they need not.
    pub(super) fn behind(&mut self) -> Option<&mut dyn Write> {
        let behind = self.behind.as_mut()?;
        Some(behind)
    }

    /// Sees a leaf of the pack. One that is not a record commits to nothing.
    pub(super) fn see(&mut self, leaf: &[u8]) -> Result<(), Refusal> {
        if self.disclosures.is_empty() {
            return Ok(());
        }
        let leaf = Leaf::parse(leaf).map(Leaf::into_envelope);
        let Ok(record) = leaf.and_then(SignedRecord::from_envelope) else {
            return Ok(());
        };
        let own = self.disclosures.iter();
        for disclosure in own.filter(|one| one.record == record.hash()) {
            disclosure.check(record.record())?;
            self.in_pack.insert(record.hash());
        }
        Ok(())
    }

    /// Writes the values and what waited for them, and gives how many values that were.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<u64> {
        let Some(behind) = self.behind.take() else {
            return Ok(0);
        };
        let mut told = std::mem::take(&mut self.disclosures);
        told.retain(|one| self.in_pack.contains(&one.record));
        let count = told.len() as u64;
        if count > 0 {
            write!(out, "{}", Line::Disclosures(told))?;
        }
        let mut lines = behind
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        lines.rewind()?;
        io::copy(&mut lines, out).map(|_| count)
    }
}
