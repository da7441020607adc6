//! How much of something may come in how short a time: token buckets.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A rate: so much at once, and then so much a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What a full bucket holds.
    pub at_once: u64,
    /// What flows into it each second.
    pub per_s: u64,
}

/// What may still come. A bucket starts full.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: Rate,
    /// What it holds, in billionths; less than nothing after one thing that was larger than a full bucket.
    held: i128,
    at: Instant,
}

/// A bucket for each of many, of which no more are kept than there can be reasons to.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    most: usize,
    held: HashMap<K, Bucket>,
}

const BILLIONTHS: i128 = 1_000_000_000;

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            held: i128::from(rate.at_once) * BILLIONTHS,
            at: now,
        }
    }

    /// Takes so much out. What is larger than a full bucket waits for a full one.
    ///
    /// # Errors
    /// How long to wait until there is enough; nothing was taken then.
    pub fn take(&mut self, count: u64, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        let (full, per_s) = (
            i128::from(self.rate.at_once) * BILLIONTHS,
            i128::from(self.rate.per_s.max(1)),
        );
        let wanted = i128::from(count) * BILLIONTHS;
        let missing = wanted.min(full) - self.held;
        if missing > 0 {
            let nanos = u64::try_from(missing / per_s + 1).unwrap_or(u64::MAX);
            return Err(Duration::from_nanos(nanos));
        }
        self.held -= wanted;
        Ok(())
    }

    /// Whether making it again would go unnoticed.
    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.held == i128::from(self.rate.at_once) * BILLIONTHS
    }

    fn fill(&mut self, now: Instant) {
        let nanos = now.saturating_duration_since(self.at).as_nanos();
        let flown = i128::try_from(nanos).unwrap_or(i128::MAX);
        let flown = flown.saturating_mul(i128::from(self.rate.per_s));
        let full = i128::from(self.rate.at_once) * BILLIONTHS;
        self.held = self.held.saturating_add(flown).min(full);
        self.at = now.max(self.at);
    }
}

impl<K: Hash + Eq> Buckets<K> {
    /// No bucket yet; never more than `most`.
    pub fn new(rate: Rate, most: usize) -> Self {
        Self {
            rate,
            most,
            held: HashMap::new(),
        }
    }

    /// Takes so much out of one's bucket.
    ///
    /// # Errors
    /// How long to wait, as [`Bucket::take`].
    pub fn take(&mut self, whose: K, count: u64, now: Instant) -> Result<(), Duration> {
        if self.held.len() >= self.most && !self.held.contains_key(&whose) {
            self.held.retain(|_, bucket| !bucket.is_full(now));
            // More than that are at work at once: all start again, so that each has its share once more.
            if self.held.len() >= self.most {
                self.held.clear();
            }
        }
        let new = || Bucket::new(self.rate, now);
        self.held.entry(whose).or_insert_with(new).take(count, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        at_once: 10,
        per_s: 2,
    };

    #[test]
    fn so_much_at_once_and_then_so_much_a_second() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        assert!((0..10).all(|_| bucket.take(1, start).is_ok()));
        let wait = bucket.take(1, start).unwrap_err();
        assert!(wait >= Duration::from_millis(500) && wait < Duration::from_millis(501));
        let later = start + wait;
        bucket.take(1, later).unwrap();
        bucket.take(1, later).unwrap_err();
        let much_later = later + Duration::from_secs(3_600);
        assert!((0..10).all(|_| bucket.take(1, much_later).is_ok()));
        bucket.take(1, much_later).unwrap_err();
    }

    #[test]
    fn what_is_larger_than_a_bucket_has_its_turn() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        bucket.take(30, start).unwrap();
        let wait = bucket.take(1, start).unwrap_err();
        assert!(wait > Duration::from_secs(10), "{wait:?}");
        bucket.take(1, start + wait).unwrap();
    }

    #[test]
    fn buckets_that_are_full_are_forgotten() {
        let start = Instant::now();
        let mut buckets = Buckets::new(RATE, 2);
        for whose in 0..100 {
            let now = start + Duration::from_secs(whose * 60);
            buckets.take(whose, 10, now).unwrap();
            buckets.take(whose, 1, now).unwrap_err();
            assert!(buckets.held.len() <= 2);
        }
    }
}
