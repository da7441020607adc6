//! Intents that have no result yet, by the time at which they should have one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rpds::RedBlackTreeSetSync;

use crate::digest::RecordHash;
use crate::text::Name;

/// How many intents may wait for their time though they have ended, however few have not.
const MAX_ENDED: usize = 64;

/// Intents in flight.
#[derive(Debug, Default)]
pub(super) struct Inflight {
    open: RedBlackTreeSetSync<RecordHash>,
    /// The open ones, the one whose result is due next on top. Some have ended and are to be passed over.
    by_end: BinaryHeap<Reverse<Due>>,
}

/// When the result of an intent is due, and whose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at_ms: u64,
    intent: RecordHash,
    agent: Name,
}

impl Inflight {
    /// An intent was logged. Its result is due by `at_ms`.
    pub(super) fn begin(&mut self, intent: RecordHash, at_ms: u64, agent: Name) {
        self.open.insert_mut(intent);
        self.by_end.push(Reverse(Due {
            at_ms,
            intent,
            agent,
        }));
    }

    /// Its result was logged.
    pub(super) fn end(&mut self, intent: &RecordHash) {
        self.open.remove_mut(intent);
        // Half of them at least: so often that it costs as little as taking each out by itself.
        if self.by_end.len() > 2 * self.open.size() + MAX_ENDED {
            let open = &self.open;
            self.by_end
                .retain(|Reverse(due)| open.contains(&due.intent));
        }
    }

    /// Gives, and forgets, what should have had a result before `now_ms`.
    pub(super) fn take_unfinished(&mut self, now_ms: u64) -> Vec<(RecordHash, Name)> {
        let mut unfinished = Vec::new();
        while let Some(top) = self.by_end.peek() {
            if top.0.at_ms >= now_ms {
                break;
            }
            if let Some(Reverse(Due { intent, agent, .. })) = self.by_end.pop()
                && self.open.remove_mut(&intent)
            {
                unfinished.push((intent, agent));
            }
        }
        unfinished
    }

    /// In a gap nothing could be logged, so it does not count: everything has that much longer.
    pub(super) fn stand_still(&mut self, gap_ms: u64) {
        let mut later = std::mem::take(&mut self.by_end).into_vec();
        for Reverse(due) in &mut later {
            due.at_ms = due.at_ms.saturating_add(gap_ms);
        }
        self.by_end = later.into();
    }
}
