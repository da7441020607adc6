//! A check of everything that is stored, by rules that need no private key.
//!
//! Unlike a start, which stops at the first thing that does not fit, this goes on and tells all of it: every leaf's
//! form, signatures and place under the rules; every tile; the root and signature of every kept checkpoint; every
//! record's row, and that there are no rows beside.

use ledger::leaf::Leaf;
use ledger::record::SignedRecord;
use store::{Counts, Mention, Order, Store, StoreError, StoredCheckpoint, TileKey};
use tlog::checkpoint::SignedCheckpoint;
use tlog::{LeafIndex, TreeSize};

use crate::log::Replay;
use crate::trust::Trust;

/// Rows that are read at once: some megabytes of leaves.
const CHUNK: usize = 1_024;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many rows of each sort were checked.
    pub checked: Counts,
    /// What does not fit, in the order in which it was found.
    pub findings: Vec<String>,
}

/// Checks a store, and tells `progress` after each chunk how many leaves of how many are done.
///
/// # Errors
/// [`StoreError`] if the store cannot be read at all, so that nothing can be decided.
pub fn check(
    store: &dyn Store,
    trust: &Trust,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, StoreError> {
    let mut check = Check::new(store, trust)?;
    let size = check.size;
    for from in (0..size).step_by(CHUNK) {
        let to = size.min(from + CHUNK as u64);
        check.chunk(from, to)?;
        progress(to, size);
    }
    check.finish()
}

struct Check<'a> {
    store: &'a dyn Store,
    trust: &'a Trust,
    replay: Replay,
    size: u64,
    report: Report,
    /// The next kept checkpoints, so that history is read a chunk at a time.
    checkpoints: std::collections::VecDeque<StoredCheckpoint>,
}

impl<'a> Check<'a> {
    fn new(store: &'a dyn Store, trust: &'a Trust) -> Result<Self, StoreError> {
        let head = store.head()?;
        let mut report = Report::default();
        if head.is_none() {
            report
                .findings
                .push("there is no log in the store".to_owned());
        }
        let size = head.map_or(0, |head| head.size.get());
        let checkpoints = Default::default();
        Ok(Self {
            store,
            trust,
            replay: Replay::new(),
            size,
            report,
            checkpoints,
        })
    }

    fn found(&mut self, finding: impl std::fmt::Display) {
        self.report.findings.push(finding.to_string());
    }

    fn chunk(&mut self, from: u64, to: u64) -> Result<(), StoreError> {
        let leaves = match self.store.leaves(from..to) {
            Ok(leaves) => leaves,
            Err(StoreError::LeafMissing { index }) => {
                self.found(format!("leaf {index} is missing"));
                // Nothing behind it can be placed in the tree: say so once, not for each leaf.
                self.size = self.size.min(index);
                self.store.leaves(from..index)?
            }
            Err(error) => return Err(error),
        };
        for (index, leaf) in (from..).zip(leaves) {
            self.leaf(index, &leaf)?;
            self.checkpoint_at(index + 1)?;
        }
        Ok(())
    }

    fn leaf(&mut self, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.report.checked.leaves += 1;
        self.judge(index, bytes)?;
        let tiles = match self.replay.push(bytes) {
            Ok(tiles) => tiles,
            Err(error) => {
                self.found(format!("leaf {index}: {error}"));
                self.replay.hash_only(bytes)
            }
        };
        for (key, hashes) in tiles {
            self.report.checked.tiles += 1;
            let TileKey { level, index } = key;
            match self.store.tiles(&[key]) {
                Ok(stored) if stored.first() == Some(&hashes) => {}
                Ok(_) => self.found(format!("tile {index} of level {level} has other hashes")),
                Err(error @ (StoreError::TileMissing { .. } | StoreError::RowMalformed { .. })) => {
                    self.found(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Judges a record as if it came today: what is found here was let in wrongly, or put in from outside.
    fn judge(&mut self, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
        // A leaf that cannot be read is found when it is replayed.
        let Ok(leaf) = Leaf::parse(bytes) else {
            return Ok(());
        };
        let received_ms = leaf.received_ms();
        let Ok(record) = SignedRecord::from_envelope(leaf.into_envelope()) else {
            return Ok(());
        };
        let hash = record.hash();
        let row = self.store.find(&[hash])?.into_iter().next().flatten();
        match row {
            Some(row) if row == LeafIndex::new(index) => self.report.checked.records += 1,
            Some(row) => self.found(format!(
                "record {hash} of leaf {index} is said to be at {row}"
            )),
            None => self.found(format!("record {hash} of leaf {index} has no row")),
        }
        self.mentions(LeafIndex::new(index), &record)?;
        if index == 0 && hash != self.trust.charter {
            self.found(format!(
                "leaf 0 is {hash}, the trust names charter {}",
                self.trust.charter
            ));
        }
        let state = self.replay.state();
        let judged = state.admit(&record.check(&|id| state.key(id)), received_ms);
        if let Err(refusal) = judged {
            self.found(format!("leaf {index}: {refusal}"));
        }
        Ok(())
    }

    /// Checks that a leaf is found by what it is about.
    fn mentions(&mut self, index: LeafIndex, record: &SignedRecord) -> Result<(), StoreError> {
        let only = index.get()..index.get() + 1;
        for Mention { topic, kind, .. } in Mention::all_of(index, record) {
            let order = Order::OldestFirst;
            let found = self.store.mentions(&topic, only.clone(), order, 1)?;
            match found.first() {
                Some((_, stored)) if *stored == kind => self.report.checked.mentions += 1,
                _ => self.found(format!("leaf {index} is not found by {topic:?}")),
            }
        }
        Ok(())
    }

    /// Checks the kept checkpoint of this size, if there is one.
    fn checkpoint_at(&mut self, size: u64) -> Result<(), StoreError> {
        if self.checkpoints.is_empty() {
            let after = TreeSize::new(size - 1);
            self.checkpoints = self.store.checkpoints(after, CHUNK)?.into();
        }
        let Some(kept) = self
            .checkpoints
            .pop_front_if(|kept| kept.size.get() == size)
        else {
            return Ok(());
        };
        self.report.checked.checkpoints += 1;
        if let Err(why) = self.compare(&kept) {
            self.found(format!("the checkpoint of size {size}: {why}"));
        }
        Ok(())
    }

    fn compare(&self, kept: &StoredCheckpoint) -> Result<(), String> {
        let signed =
            SignedCheckpoint::parse(&kept.checkpoint).map_err(|error| error.to_string())?;
        let state = self.replay.state();
        state
            .signed_in_force(&signed)
            .map_err(|refusal| refusal.to_string())?;
        let told = signed.unverified();
        let (root, time_ms) = (
            self.replay.edge().root(),
            self.replay.state().last_received_ms(),
        );
        if told.size != kept.size {
            return Err(format!("it speaks of size {}", told.size));
        }
        if told.root != root {
            return Err(format!(
                "its root is {}, the leaves lead to {root}",
                told.root
            ));
        }
        if kept.time_ms != time_ms {
            return Err(format!(
                "its time is {}, the last leaf's {time_ms}",
                kept.time_ms
            ));
        }
        Ok(())
    }

    /// Compares what was met on the way with what is there: rows that nothing leads to are damage too.
    fn finish(mut self) -> Result<Report, StoreError> {
        let there = self.store.counts()?;
        let met = self.report.checked;
        for (what, met, there) in [
            ("leaves", met.leaves, there.leaves),
            ("tiles", met.tiles, there.tiles),
            ("records", met.records, there.records),
            ("mentions", met.mentions, there.mentions),
            ("checkpoints", met.checkpoints, there.checkpoints),
        ] {
            if met != there {
                self.found(format!(
                    "{there} {what} are stored, {met} belong to the log"
                ));
            }
        }
        Ok(self.report)
    }
}

#[cfg(test)]
mod tests;
