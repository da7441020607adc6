//! The log's clock, as far as a client can tell it: what a permit and a lease end by.
//!
//! A machine's own clock may be wrong by hours, and may be set while a program runs. So time is counted from the log's
//! answers: `received_ms` says what the log's clock showed while a request was under way. Counted from when that request
//! was *sent*, on a clock that nobody sets and that goes on while the machine sleeps, it gives a time that is never behind
//! the log's own: what ends by it ends early rather than late.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far a record's time may be ahead of the log's: two minutes by the rules, less what an answer may take.
const AHEAD_MS: u64 = 110_000;

/// How far it may be behind: the rules' five minutes, minus the time that an answer may take.
const BEHIND_MS: u64 = 290_000;

/// A moment on the clock that counts since the machine was started, also while it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What the log's clock shows, for whoever speaks and whoever watches.
#[derive(Clone, Debug, Default)]
pub struct LogClock(Arc<Mutex<Option<Heard>>>);

/// The log's time at a moment, or a little before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The log's time: milliseconds since the epoch.
    pub log_ms: u64,
    /// When that was asked for.
    pub sent: Moment,
}

/// What time a record says it was signed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// By how much the machine's clock is ahead of the log's, if that is more than the rules bear.
    pub clock_off_ms: Option<i64>,
}

impl Moment {
    /// This one. `/proc/uptime` is CLOCK_BOOTTIME, to a hundredth of a second (proc(5)).
    pub fn now() -> Self {
        let read = || {
            let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
            let (seconds, hundredths) = uptime.split(' ').next()?.split_once('.')?;
            let whole = Duration::from_secs(seconds.parse().ok()?);
            Some(whole + Duration::from_millis(hundredths.parse::<u64>().ok()?.checked_mul(10)?))
        };
        // Where there is no /proc, the clock that stands still while the machine sleeps has to do.
        Self(read().unwrap_or_else(|| BEGUN.elapsed()))
    }

    /// The time that has passed since an earlier one.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl LogClock {
    /// Takes note of what the log's clock has shown; what was asked for later counts.
    pub fn hear(&self, heard: Heard) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.sent <= heard.sent) {
            *last = Some(heard);
        }
    }

    /// Whether anything was heard.
    pub fn is_known(&self) -> bool {
        self.last().is_some()
    }

    /// What it shows now, if anything was heard: milliseconds since the epoch.
    pub fn now_ms(&self) -> Option<u64> {
        let heard = self.last()?;
        let since = milliseconds(Moment::now().since(heard.sent));
        Some(heard.log_ms.saturating_add(since))
    }

    /// What a record is to say, on a machine whose clock shows this: that, as long as the rules bear it, else the nearest
    /// time that they do.
    pub fn stamp(&self, machine_ms: u64) -> Stamp {
        let Some(log_ms) = self.now_ms() else {
            return Stamp {
                at_ms: machine_ms,
                clock_off_ms: None,
            };
        };
        let (first, last) = (
            log_ms.saturating_sub(BEHIND_MS),
            log_ms.saturating_add(AHEAD_MS),
        );
        let at_ms = machine_ms.clamp(first, last);
        let off = || i64::try_from(i128::from(machine_ms) - i128::from(log_ms)).ok();
        Stamp {
            at_ms,
            clock_off_ms: if at_ms == machine_ms { None } else { off() },
        }
    }

    fn last(&self) -> Option<Heard> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG_MS: u64 = 1_700_000_000_000;

    fn heard(log_ms: u64) -> LogClock {
        let clock = LogClock::default();
        let sent = Moment::now();
        clock.hear(Heard { log_ms, sent });
        clock
    }

    #[test]
    fn time_goes_on_from_what_was_heard_last() {
        let clock = LogClock::default();
        assert_eq!(clock.now_ms(), None);
        let sent = Moment(Moment::now().0.saturating_sub(Duration::from_secs(7)));
        clock.hear(Heard {
            log_ms: LOG_MS,
            sent,
        });
        let now_ms = clock.now_ms().unwrap();
        assert!((LOG_MS + 7_000..LOG_MS + 60_000).contains(&now_ms));
        // An answer to an earlier question says nothing new.
        let earlier = Moment(sent.0.saturating_sub(Duration::from_secs(1)));
        clock.hear(Heard {
            log_ms: 0,
            sent: earlier,
        });
        assert!(clock.now_ms().unwrap() >= now_ms);
    }

    #[test]
    fn a_record_says_the_machines_time_within_bounds_and_the_nearest_one_without() {
        let clock = heard(LOG_MS);
        for off_ms in [-289_000_i64, -1_000, 0, 100_000] {
            let machine_ms = LOG_MS.saturating_add_signed(off_ms);
            let stamp = clock.stamp(machine_ms);
            assert_eq!((stamp.at_ms, stamp.clock_off_ms), (machine_ms, None));
        }
        for (off_ms, nearest_ms) in [
            (-3_600_000, LOG_MS - BEHIND_MS),
            (200_000, LOG_MS + AHEAD_MS),
        ] {
            let stamp = clock.stamp(LOG_MS.saturating_add_signed(off_ms));
            assert!(stamp.at_ms.abs_diff(nearest_ms) < 30_000, "{stamp:?}");
            let told = stamp.clock_off_ms.unwrap();
            assert!(told.abs_diff(off_ms) < 30_000, "{stamp:?}");
        }
    }
}
