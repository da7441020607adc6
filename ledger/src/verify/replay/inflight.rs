//! Intents that have no result yet, by the time at which they should have one.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::RecordHash;
use crate::text::Name;

/// Intents in flight.
#[derive(Debug, Default)]
pub(super) struct Inflight {
    by_end: BTreeSet<(u64, RecordHash)>,
    intents: BTreeMap<RecordHash, (u64, Name)>,
}

impl Inflight {
    /// An intent was logged. Its result is due by `lapses_ms`.
    pub(super) fn begin(&mut self, intent: RecordHash, lapses_ms: u64, agent: Name) {
        self.by_end.insert((lapses_ms, intent));
        self.intents.insert(intent, (lapses_ms, agent));
    }

    /// Its result was logged.
    pub(super) fn end(&mut self, intent: &RecordHash) {
        if let Some((lapses_ms, _)) = self.intents.remove(intent) {
            self.by_end.remove(&(lapses_ms, *intent));
        }
    }

    /// Gives, and forgets, what should have had a result before `now_ms`.
    pub(super) fn take_unfinished(&mut self, now_ms: u64) -> Vec<(RecordHash, Name)> {
        let mut unfinished = Vec::new();
        while let Some((_, intent)) = self
            .by_end
            .first()
            .copied()
            .filter(|(end, _)| *end < now_ms)
        {
            self.by_end.pop_first();
            let agent = self.intents.remove(&intent);
            unfinished.extend(agent.map(|(_, agent)| (intent, agent)));
        }
        unfinished
    }

    /// In a gap nothing could be logged, so it does not count: everything has that much longer.
    pub(super) fn stand_still(&mut self, gap_ms: u64) {
        self.by_end.clear();
        for (intent, (lapses_ms, _)) in &mut self.intents {
            *lapses_ms = lapses_ms.saturating_add(gap_ms);
            self.by_end.insert((*lapses_ms, *intent));
        }
    }
}
