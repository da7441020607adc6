//! What is remembered for a day: denials, and instances that must not come back.
//!
//! There may be many of either, and an agent changes with each of its records, so its copies share them.

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::digest::RecordHash;
use crate::record::Instance;

/// How long denials, heals and past instances count.
pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How many past instances are remembered at least, however old.
const MIN_PAST_INSTANCES: usize = 64;

/// Things with the time at which each was seen last.
#[derive(Clone, Debug)]
struct Dated<T: Ord> {
    seen_ms: RedBlackTreeMapSync<T, u64>,
    by_time: RedBlackTreeSetSync<(u64, T)>,
}

impl<T: Ord> Default for Dated<T> {
    fn default() -> Self {
        let (seen_ms, by_time) = (
            RedBlackTreeMapSync::new_sync(),
            RedBlackTreeSetSync::new_sync(),
        );
        Self { seen_ms, by_time }
    }
}

impl<T: Ord + Copy> Dated<T> {
    fn contains(&self, thing: &T) -> bool {
        self.seen_ms.contains_key(thing)
    }

    fn len(&self) -> usize {
        self.seen_ms.size()
    }

    fn see(&mut self, thing: T, now_ms: u64) {
        if let Some(before) = self.seen_ms.get(&thing) {
            self.by_time.remove_mut(&(*before, thing));
        }
        self.seen_ms.insert_mut(thing, now_ms);
        self.by_time.insert_mut((now_ms, thing));
    }

    /// Forgets what is older than a day, but for the newest `keep`.
    fn forget(&mut self, now_ms: u64, keep: usize) {
        while let Some((seen_ms, thing)) = self.by_time.first().copied() {
            if counts(seen_ms, now_ms) || self.len() <= keep {
                return;
            }
            self.by_time.remove_mut(&(seen_ms, thing));
            self.seen_ms.remove_mut(&thing);
        }
    }

    fn iter(&self) -> impl Iterator<Item = &(u64, T)> {
        self.by_time.iter()
    }

    fn newest_first(&self) -> impl Iterator<Item = u64> {
        self.by_time.iter().rev().map(|(seen_ms, _)| *seen_ms)
    }
}

/// Whether what happened then counts now.
pub(super) const fn counts(then_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(then_ms) < DAY_MS
}

/// Refused intents that count towards quarantine.
#[derive(Clone, Debug, Default)]
pub(super) struct Denials(Dated<RecordHash>);

impl Denials {
    /// Counts a refused record, each once.
    pub(super) fn count(&mut self, refused: RecordHash, now_ms: u64) {
        if !self.contains(&refused) {
            self.0.see(refused, now_ms);
        }
        self.0.forget(now_ms, 0);
    }

    /// Those that were counted and are not forgotten, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(u64, RecordHash)> {
        self.0.iter()
    }

    /// Takes up what was counted then.
    pub(super) fn restore(&mut self, then_ms: u64, refused: RecordHash) {
        self.0.see(refused, then_ms);
    }

    /// Whether a refused record was counted.
    pub(super) fn contains(&self, refused: &RecordHash) -> bool {
        self.0.contains(refused)
    }

    /// Whether so many of them count now.
    pub(super) fn reach(&self, most: u64, now_ms: u64) -> bool {
        let Ok(most) = usize::try_from(most) else {
            return false;
        };
        let newest = self.0.newest_first();
        most <= self.0.len() && newest.take(most).all(|then_ms| counts(then_ms, now_ms))
    }
}

/// The instances that have spoken for an agent: those of the last day, and at least 64.
#[derive(Clone, Debug, Default)]
pub(super) struct PastInstances(Dated<Instance>);

impl PastInstances {
    pub(super) fn remember(&mut self, instance: Instance, now_ms: u64) {
        self.0.see(instance, now_ms);
        self.0.forget(now_ms, MIN_PAST_INSTANCES);
    }

    /// Those that are remembered, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(u64, Instance)> {
        self.0.iter()
    }

    /// Takes up one that spoke last then.
    pub(super) fn restore(&mut self, then_ms: u64, instance: Instance) {
        self.0.see(instance, then_ms);
    }

    pub(super) fn contains(&self, instance: Instance) -> bool {
        self.0.contains(&instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn hash(n: u64) -> RecordHash {
        RecordHash::new(Digest::of(&[&n.to_be_bytes()]))
    }

    fn instance(n: u64) -> Instance {
        Instance::from_bytes(n.to_be_bytes())
    }

    #[test]
    fn a_denial_counts_once_and_for_a_day() {
        let mut denials = Denials::default();
        for n in [0, 1, 1, 2] {
            denials.count(hash(n), 10 + n);
        }
        assert!(denials.reach(3, 9 + DAY_MS) && !denials.reach(4, 12));
        assert!(!denials.reach(3, 10 + DAY_MS) && denials.reach(2, 10 + DAY_MS));
        denials.count(hash(3), 11 + DAY_MS);
        assert!(!denials.contains(&hash(1)) && denials.contains(&hash(2)));
        assert!(denials.reach(2, 11 + DAY_MS) && !denials.reach(3, 11 + DAY_MS));
    }

    #[test]
    fn instances_are_remembered_for_a_day_and_64_for_ever() {
        let mut past = PastInstances::default();
        for n in 0..100 {
            past.remember(instance(n), n);
        }
        assert!(past.contains(instance(0)), "all of a day");
        past.remember(instance(1), 100);
        past.remember(instance(100), DAY_MS + 10);
        assert!(!past.contains(instance(0)) && past.contains(instance(1)));
        assert!(!past.contains(instance(10)) && past.contains(instance(11)));
        past.remember(instance(101), 9 * DAY_MS);
        assert!(!past.contains(instance(38)) && past.contains(instance(39)));
        assert!(
            past.contains(instance(1)),
            "it was seen later than its like"
        );
    }
}
