//! Whether the machine's clock can be believed: `received_ms` is the log's own word, so it is
//! not taken from a clock that jumps.

use std::time::Duration;

use super::Fatal;
use crate::log::OpenError;
use crate::log::clock::Clock;

/// How far the wall clock may be behind the last leaf, or part from the monotonic clock, in milliseconds.
const TOLERATED_MS: u64 = 60_000;

/// How far the wall clock may be past the last leaf at start, in milliseconds: seven days. A service that stood still
/// for longer is started with a word from its operator.
const MAX_STANDSTILL_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// Compares the clock with the last leaf before anything is logged: waits while it is a little behind.
pub(super) fn check_start(
    clock: &dyn Clock,
    last_ms: u64,
    accept_jump: bool,
) -> Result<(), OpenError> {
    if accept_jump {
        return Ok(());
    }
    let behind_ms = last_ms.saturating_sub(clock.wall_ms());
    if behind_ms >= TOLERATED_MS {
        return Err(OpenError::ClockBehind { behind_ms });
    }
    if behind_ms > 0 {
        clock.sleep(Duration::from_millis(behind_ms));
    }
    let ahead_ms = clock.wall_ms().saturating_sub(last_ms);
    if ahead_ms > MAX_STANDSTILL_MS {
        return Err(OpenError::ClockAhead { ahead_ms });
    }
    Ok(())
}

/// Both clocks at the start, to see whether they part.
#[derive(Debug)]
pub(super) struct ClockPair {
    wall_ms: u64,
    monotonic_ms: u64,
}

impl ClockPair {
    pub(super) fn start(clock: &dyn Clock) -> Self {
        Self {
            wall_ms: clock.wall_ms(),
            monotonic_ms: clock.monotonic_ms(),
        }
    }

    /// The wall clock's time, if it has kept step with the monotonic clock.
    pub(super) fn now_ms(&self, clock: &dyn Clock) -> Result<u64, Fatal> {
        let now_ms = clock.wall_ms();
        let ran_ms = clock.monotonic_ms().saturating_sub(self.monotonic_ms);
        let apart_ms = now_ms.abs_diff(self.wall_ms.saturating_add(ran_ms));
        if apart_ms > TOLERATED_MS {
            return Err(Fatal::ClocksParted { apart_ms });
        }
        Ok(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::clock::ManualClock;

    const LAST: u64 = 1_700_000_000_000;

    #[test]
    fn a_clock_a_little_behind_is_waited_for() {
        let clock = ManualClock::at(LAST - 59_999);
        check_start(&clock, LAST, false).unwrap();
        assert_eq!(clock.wall_ms(), LAST);
    }

    #[test]
    fn a_clock_far_off_is_refused_unless_the_jump_is_accepted() {
        let behind = ManualClock::at(LAST - 60_000);
        let ahead = ManualClock::at(LAST + MAX_STANDSTILL_MS + 1);
        let refused = check_start(&behind, LAST, false);
        assert!(matches!(
            refused,
            Err(OpenError::ClockBehind { behind_ms: 60_000 })
        ));
        let refused = check_start(&ahead, LAST, false);
        assert!(matches!(refused, Err(OpenError::ClockAhead { .. })));
        for clock in [&behind, &ahead] {
            check_start(clock, LAST, true).unwrap();
        }
        assert_eq!(behind.wall_ms(), LAST - 60_000, "nothing was waited for");
        check_start(&ManualClock::at(LAST + MAX_STANDSTILL_MS), LAST, false).unwrap();
    }

    #[test]
    fn clocks_that_part_are_noticed() {
        let clock = ManualClock::at(LAST);
        let pair = ClockPair::start(&clock);
        clock.advance(1_000_000);
        clock.step(60_000);
        assert_eq!(pair.now_ms(&clock).unwrap(), LAST + 1_060_000);
        clock.step(1);
        let parted = pair.now_ms(&clock);
        assert!(matches!(
            parted,
            Err(Fatal::ClocksParted { apart_ms: 60_001 })
        ));
        clock.step(-120_002);
        let parted = pair.now_ms(&clock);
        assert!(matches!(
            parted,
            Err(Fatal::ClocksParted { apart_ms: 60_001 })
        ));
    }
}
