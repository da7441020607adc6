//! The keys of a log by its charters: from the one that the trust pins on, each signed by the roots before it.

use tlog::note::VerifierKey;
use tlog::{LeafIndex, TreeSize};

use crate::govern::State;
use crate::record::Charter;

/// Which keys signed the heads of a log, from which leaf on. Charters are few.
#[derive(Debug, Default)]
pub(super) struct LogKeys(Vec<(LeafIndex, Vec<VerifierKey>)>);

impl LogKeys {
    /// Those that a state knows.
    pub(super) fn of(state: &State) -> Self {
        let keys = state.log_keys();
        Self(
            keys.map(|(index, keys)| (LeafIndex::new(index), keys.to_vec()))
                .collect(),
        )
    }

    /// A charter came into force.
    pub(super) fn take(&mut self, index: LeafIndex, charter: &Charter) {
        self.0.push((index, charter.log_keys.clone()));
    }

    /// Those that may sign the head of this size: in force before or after its last leaf, as far as the charters are known.
    pub(super) fn of_head(&self, size: TreeSize) -> Vec<&VerifierKey> {
        let last = LeafIndex::new(size.get().saturating_sub(1));
        let newest = |is_there: &dyn Fn(LeafIndex) -> bool| {
            let charters = self.0.iter().rev();
            let mut charters = charters.filter(|(index, _)| is_there(*index));
            charters.next().map(|(_, keys)| keys)
        };
        let after = newest(&|index| index <= last);
        let before = newest(&|index| index < last);
        let mut keys: Vec<&VerifierKey> = Vec::new();
        for key in after.into_iter().chain(before).flatten() {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}
