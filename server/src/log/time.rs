//! The log's time: what `received_ms` is taken from.
//!
//! It is the log's own word and never goes back, so it is not simply the wall clock, which can be set. While the wall
//! clock is behind the last leaf, the last leaf's time is repeated for a minute, and after that nothing is signed until
//! it has caught up. A step forward while the service runs is taken. At a start, a clock far past the last leaf is
//! believed only with a second voice. Where a wrong clock was believed, an operator lets the log go on in its own time,
//! at half speed, until the two meet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::OpenError;
use super::clock::Clock;

/// For how long the last leaf's time is repeated, and how far behind it the wall clock may be at a start, in
/// milliseconds.
const TOLERATED_MS: u64 = 60_000;

/// How far the wall clock may be past the last leaf at a start without a second voice, in milliseconds: an hour.
const MAX_STANDSTILL_MS: u64 = 60 * 60 * 1_000;

/// How far a second voice may be ahead of the wall clock that it vouches for, and how far behind, in milliseconds: what
/// the rules allow a heartbeat.
const MAX_VOICE_AHEAD_MS: u64 = 2 * 60 * 1_000;
const MAX_VOICE_BEHIND_MS: u64 = 5 * 60 * 1_000;

/// How much slower than the wall clock the log's own time runs until the two meet.
const SLOWNESS: u64 = 2;

/// Tells the log's time. All times are in milliseconds since the epoch.
pub(crate) struct LogTime {
    clock: Arc<dyn Clock>,
    accept_jump: bool,
    course: Mutex<TimeSource>,
}

/// What the log's time is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    /// This.
    At(u64),
    /// Nobody knows, so nothing is signed.
    Withheld(Doubt),
}

/// Why nothing is signed: the wall clock is not believed, or nobody knows whether the log ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It went back and has not caught up yet.
    #[error("the clock is {behind_ms} ms behind the last leaf")]
    Behind {
        /// How far, in milliseconds.
        behind_ms: u64,
    },
    /// It is far past the last leaf, and nobody has vouched for it since the service started.
    #[error("the clock is {ahead_ms} ms past the last leaf, and nobody has vouched for it")]
    Ahead {
        /// How far, in milliseconds.
        ahead_ms: u64,
    },
    /// The log was restored from a backup, and may have gone on behind it.
    #[error(
        "this log was restored from a backup, and nobody has shown its newest published checkpoint"
    )]
    Restored,
}

/// Where the log's time comes from. Moments are the monotonic clock's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeSource {
    /// The wall clock.
    Wall,
    /// Nowhere: the wall clock is far ahead, and nobody has vouched for it.
    Doubted,
    /// Nowhere: the log was restored.
    Restored,
    /// The last leaf, since a moment.
    Repeated { since_ms: u64 },
    /// The log's own time, from a time and a moment on.
    Own { from_ms: u64, since_ms: u64 },
}

impl LogTime {
    /// Begins, behind a last leaf of this time.
    ///
    /// # Errors
    /// [`OpenError::ClockBehind`], unless the jump is accepted.
    pub(super) fn start(
        clock: Arc<dyn Clock>,
        last_ms: u64,
        accept_jump: bool,
    ) -> Result<Self, OpenError> {
        let wall_ms = clock.wall_ms();
        let behind_ms = last_ms.saturating_sub(wall_ms);
        if behind_ms > TOLERATED_MS && !accept_jump {
            return Err(OpenError::ClockBehind { behind_ms });
        }
        let is_far = wall_ms.saturating_sub(last_ms) > MAX_STANDSTILL_MS;
        let course = match is_far && !accept_jump {
            true => TimeSource::Doubted,
            false => TimeSource::Wall,
        };
        Ok(Self {
            clock,
            accept_jump,
            course: Mutex::new(course),
        })
    }

    /// Never begins: the log was restored from a backup, and may end too early.
    pub(super) fn restored(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            accept_jump: false,
            course: Mutex::new(TimeSource::Restored),
        }
    }

    /// What time it is behind a last leaf of this time.
    pub(crate) fn now(&self, last_ms: u64) -> Now {
        let (wall_ms, moment_ms) = (self.clock.wall_ms(), self.clock.monotonic_ms());
        let mut course = self.course();
        *course = match *course {
            TimeSource::Restored => return Now::Withheld(Doubt::Restored),
            TimeSource::Doubted if wall_ms.saturating_sub(last_ms) > MAX_STANDSTILL_MS => {
                let ahead_ms = wall_ms - last_ms;
                return Now::Withheld(Doubt::Ahead { ahead_ms });
            }
            TimeSource::Own { from_ms, since_ms }
                if wall_ms < own_ms(from_ms, since_ms, moment_ms) =>
            {
                return Now::At(own_ms(from_ms, since_ms, moment_ms).max(last_ms));
            }
            _ if wall_ms >= last_ms => TimeSource::Wall,
            _ if self.accept_jump => TimeSource::Own {
                from_ms: last_ms,
                since_ms: moment_ms,
            },
            repeated @ TimeSource::Repeated { .. } => repeated,
            _ => TimeSource::Repeated {
                since_ms: moment_ms,
            },
        };
        match *course {
            TimeSource::Repeated { since_ms }
                if moment_ms.saturating_sub(since_ms) > TOLERATED_MS =>
            {
                let behind_ms = last_ms - wall_ms;
                Now::Withheld(Doubt::Behind { behind_ms })
            }
            _ => Now::At(wall_ms.max(last_ms)),
        }
    }

    /// How long it is until a time; `None` if nobody knows.
    pub(super) fn until(&self, due_ms: u64, last_ms: u64) -> Option<Duration> {
        let Now::At(now_ms) = self.now(last_ms) else {
            return None;
        };
        let slowness = match *self.course() {
            TimeSource::Own { .. } => SLOWNESS,
            _ => 1,
        };
        let wait_ms = due_ms.saturating_sub(now_ms).saturating_mul(slowness);
        Some(Duration::from_millis(wait_ms))
    }

    /// Whether somebody who says that it is `at_ms` can vouch for the wall clock.
    pub(super) fn is_voice(&self, at_ms: u64) -> bool {
        let wall_ms = self.clock.wall_ms();
        let earliest = wall_ms.saturating_sub(MAX_VOICE_BEHIND_MS);
        let latest = wall_ms.saturating_add(MAX_VOICE_AHEAD_MS);
        *self.course() == TimeSource::Doubted && (earliest..=latest).contains(&at_ms)
    }

    /// What the wall clock says, believed or not.
    pub(super) fn wall_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// What the monotonic clock says.
    pub(super) fn monotonic_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }

    /// Believes the wall clock, because somebody vouches for it.
    pub(super) fn believe(&self) {
        *self.course() = TimeSource::Wall;
    }

    fn course(&self) -> MutexGuard<'_, TimeSource> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn own_ms(from_ms: u64, since_ms: u64, moment_ms: u64) -> u64 {
    from_ms.saturating_add(moment_ms.saturating_sub(since_ms) / SLOWNESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::clock::ManualClock;

    const LAST: u64 = 1_700_000_000_000;
    const DAY: u64 = 24 * MAX_STANDSTILL_MS;

    fn time(clock: &Arc<ManualClock>, accept_jump: bool) -> Result<LogTime, OpenError> {
        let clock: Arc<ManualClock> = Arc::clone(clock);
        LogTime::start(clock, LAST, accept_jump)
    }

    #[test]
    fn a_step_forward_is_taken() {
        let clock = Arc::new(ManualClock::at(LAST));
        let time = time(&clock, false).unwrap();
        for step in [300_000, 10 * DAY] {
            clock.step(i64::try_from(step).unwrap());
            assert_eq!(time.now(LAST), Now::At(clock.wall_ms()));
        }
    }

    #[test]
    fn a_step_back_repeats_the_last_time_for_a_minute_and_then_nothing_is_signed() {
        let clock = Arc::new(ManualClock::at(LAST));
        let time = time(&clock, false).unwrap();
        clock.step(-100_000);
        assert_eq!(time.now(LAST), Now::At(LAST));
        clock.advance(60_000);
        assert_eq!(time.now(LAST), Now::At(LAST));
        clock.advance(1);
        let behind = Doubt::Behind { behind_ms: 39_999 };
        assert_eq!(time.now(LAST), Now::Withheld(behind));
        assert_eq!(time.until(LAST + 1, LAST), None);
        clock.advance(39_999);
        assert_eq!(time.now(LAST), Now::At(LAST), "it has caught up");
        // Steps do not add up: each is judged against the last leaf.
        clock.step(-50_000);
        clock.advance(49_999);
        assert_eq!(time.now(LAST), Now::At(LAST));
        clock.advance(2);
        assert_eq!(time.now(LAST), Now::At(LAST + 1));
        clock.step(-50_000);
        clock.advance(59_999);
        assert_eq!(time.now(LAST), Now::At(LAST + 10_000));
    }

    #[test]
    fn a_clock_far_behind_at_a_start_is_refused_unless_the_jump_is_accepted() {
        let near = Arc::new(ManualClock::at(LAST - 60_000));
        assert_eq!(time(&near, false).unwrap().now(LAST), Now::At(LAST));
        let far = Arc::new(ManualClock::at(LAST - 60_001));
        let refused = time(&far, false).err();
        let behind_ms = 60_001;
        assert!(
            matches!(refused, Some(OpenError::ClockBehind { behind_ms: got }) if got == behind_ms)
        );
        time(&far, true).unwrap();
    }

    #[test]
    fn the_logs_own_time_runs_at_half_speed_until_the_clocks_meet() {
        let clock = Arc::new(ManualClock::at(LAST - DAY));
        let time = time(&clock, true).unwrap();
        assert_eq!(time.now(LAST), Now::At(LAST));
        clock.advance(10_000);
        assert_eq!(time.now(LAST + 3), Now::At(LAST + 5_000));
        let wait = time.until(LAST + 6_000, LAST + 5_000);
        assert_eq!(wait, Some(Duration::from_secs(2)));
        assert_eq!(time.now(LAST + 7_000), Now::At(LAST + 7_000), "never back");
        clock.advance(2 * DAY - 10_001);
        assert_eq!(time.now(LAST), Now::At(LAST + DAY - 1));
        clock.advance(1);
        assert_eq!(time.now(LAST), Now::At(LAST + DAY));
        clock.advance(1_000);
        assert_eq!(time.now(LAST), Now::At(LAST + DAY + 1_000), "together");
    }

    #[test]
    fn a_clock_far_ahead_at_a_start_needs_a_second_voice() {
        let clock = Arc::new(ManualClock::at(LAST + MAX_STANDSTILL_MS));
        assert_eq!(
            time(&clock, false).unwrap().now(LAST),
            Now::At(clock.wall_ms())
        );
        clock.step(1);
        let wall_ms = clock.wall_ms();
        assert_eq!(time(&clock, true).unwrap().now(LAST), Now::At(wall_ms));
        let time = time(&clock, false).unwrap();
        let ahead_ms = MAX_STANDSTILL_MS + 1;
        assert_eq!(time.now(LAST), Now::Withheld(Doubt::Ahead { ahead_ms }));
        for (at_ms, is_voice) in [
            (LAST, false),
            (wall_ms - 300_001, false),
            (wall_ms - 300_000, true),
            (wall_ms + 120_000, true),
            (wall_ms + 120_001, false),
        ] {
            assert_eq!(time.is_voice(at_ms), is_voice, "{at_ms}");
        }
        time.believe();
        assert_eq!(time.now(LAST), Now::At(wall_ms));
        assert!(!time.is_voice(wall_ms), "nobody is asked any more");
    }

    #[test]
    fn a_restored_log_has_no_time_whatever_the_clock_and_whoever_vouches() {
        let clock = Arc::new(ManualClock::at(LAST + DAY));
        let time = LogTime::restored(Arc::clone(&clock) as Arc<dyn Clock>);
        for step in [0, 1, -5 * i64::try_from(DAY).unwrap()] {
            clock.step(step);
            assert_eq!(time.now(LAST), Now::Withheld(Doubt::Restored));
            assert!(!time.is_voice(clock.wall_ms()));
        }
        assert_eq!(time.until(LAST, LAST), None);
    }

    #[test]
    fn a_doubted_clock_that_is_set_right_is_believed() {
        let clock = Arc::new(ManualClock::at(LAST + DAY));
        let time = time(&clock, false).unwrap();
        clock.step(-i64::try_from(DAY - 5).unwrap());
        assert_eq!(time.now(LAST), Now::At(LAST + 5));
    }
}
