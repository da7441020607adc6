//! By how much the clock of a source differs from that of the log.
//!
//! An action that both saw bounds it from two sides, as in NTP (RFC 5905): the intent is logged before the action begins,
//! and the result after it has ended. The middle of the two is the estimate, and the median over all such actions is what
//! is told. What a source delivered bounds it from one side alone: nothing arrives before it happened.

/// When the log received an intent and its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamps {
    pub(crate) began_ms: u64,
    pub(crate) ended_ms: u64,
}

/// What is known of the clock of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clocks {
    pairs: Vec<i64>,
    at_least: Option<i64>,
}

/// How far a clock is ahead of the log's; below zero if it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skew {
    /// The estimate in milliseconds; `None` where no action was seen by both.
    pub(crate) ms: Option<i64>,
    /// The least that it can be, in milliseconds, by what was delivered.
    pub(crate) at_least_ms: Option<i64>,
    /// How many actions the estimate rests on.
    pub(crate) actions: u64,
}

impl Clocks {
    /// Something with a time of the source's was logged.
    pub(crate) fn delivered(&mut self, stamped_ms: Option<u64>, received_ms: u64) {
        if let Some(stamped_ms) = stamped_ms {
            let ahead = difference(stamped_ms, received_ms);
            self.at_least = self.at_least.max(Some(ahead));
        }
    }

    /// An action was seen by both.
    pub(crate) fn joined(&mut self, began_ms: Option<u64>, ended_ms: Option<u64>, log: Stamps) {
        if let Some((began_ms, ended_ms)) = began_ms.zip(ended_ms) {
            let at_most = difference(began_ms, log.began_ms);
            let at_least = difference(ended_ms, log.ended_ms);
            self.pairs.push(at_least.midpoint(at_most));
        }
    }

    /// What is known.
    pub(crate) fn skew(&self) -> Skew {
        let mut pairs = self.pairs.clone();
        pairs.sort_unstable();
        Skew {
            ms: pairs.get(pairs.len() / 2).copied(),
            at_least_ms: self.at_least,
            actions: pairs.len() as u64,
        }
    }
}

fn difference(left_ms: u64, right_ms: u64) -> i64 {
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    ms(left_ms) - ms(right_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_MS: u64 = 1_764_000_000_000;

    #[test]
    fn a_clock_is_found_by_what_both_saw() {
        let mut clocks = Clocks::default();
        // Ahead by 5 s: logged 100 ms before it began and 300 ms after it had ended.
        for n in 0..5 {
            let began_ms = AT_MS + n * 60_000;
            let log = Stamps {
                began_ms: began_ms - 100,
                ended_ms: began_ms + 2_300,
            };
            clocks.joined(Some(began_ms + 5_000), Some(began_ms + 7_000), log);
        }
        let skew = clocks.skew();
        assert_eq!((skew.ms, skew.actions), (Some(4_900), 5));
    }

    #[test]
    fn what_came_before_it_happened_shows_a_clock_ahead() {
        let mut clocks = Clocks::default();
        clocks.delivered(Some(AT_MS + 700), AT_MS);
        clocks.delivered(Some(AT_MS - 9_000), AT_MS);
        clocks.delivered(None, AT_MS);
        let skew = clocks.skew();
        assert_eq!((skew.ms, skew.at_least_ms), (None, Some(700)));
    }
}
