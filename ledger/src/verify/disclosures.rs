//! The check of disclosures: the values disclosed with a pack open the commitments in its receipts.

use litemap::LiteMap;
use tlog::LeafIndex;

use crate::codes::Code;
use crate::digest::RecordHash;
use crate::pack::Disclosure;
use crate::record::SignedRecord;
use crate::verify::draft::Draft;
use crate::verify::report::CheckId;

/// The disclosures of a pack, until their records have come.
#[derive(Debug, Default)]
pub(super) struct Disclosures {
    open: LiteMap<RecordHash, Vec<Disclosure>>,
    good: u64,
    bad: u64,
}

impl Disclosures {
    /// Takes what the pack discloses, before its leaves.
    pub(super) fn take(&mut self, disclosures: Vec<Disclosure>) {
        for disclosure in disclosures {
            self.open
                .entry(disclosure.record)
                .or_default()
                .push(disclosure);
        }
    }

    /// Checks what is disclosed about a record.
    pub(super) fn check(&mut self, draft: &mut Draft, index: LeafIndex, record: &SignedRecord) {
        for disclosure in self.open.remove(&record.hash()).unwrap_or_default() {
            match disclosure.check(record.record()) {
                Ok(()) => self.good += 1,
                Err(refusal) => {
                    self.bad += 1;
                    draft.find(refusal, Some(index), record.record().agent());
                }
            }
        }
    }

    /// Says what it comes to; in a pack that was not read to its end, records may still have been to come.
    pub(super) fn conclude(self, draft: &mut Draft, why_not: Option<&str>) {
        let id = CheckId::Disclosures;
        let Self { open, good, bad } = self;
        if let (Some(why), 0) = (why_not, bad) {
            return draft.skip(id, why);
        }
        let missing = open.values().map(Vec::len).sum::<usize>() as u64;
        for record in open.keys() {
            let detail = format!("record {record}, of which values are told, is not in the pack");
            draft.find(Code::DisclosureMismatch.because(detail), None, None);
        }
        match (good, bad + missing) {
            (0, 0) => draft.skip(id, "the pack discloses nothing"),
            (good, 0) => draft.pass(id, format!("{good} values open their commitments")),
            (_, bad) => draft.fail_for(id, format!("{bad} values open no commitment")),
        }
    }
}
