//! The clocks of a machine. Three of them, because each answers another question: what time it is for the world, how
//! long something took, and how long it took if the machine slept meanwhile.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The clock of this machine is of no use for signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine's clock is set before 1970")]
pub struct BeforeEpoch;

/// The wall clock, in milliseconds since the epoch. It can be set, forwards and backwards.
///
/// # Errors
///
/// [`BeforeEpoch`].
pub fn wall_ms() -> Result<u64, BeforeEpoch> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(whole_ms).map_err(|_| BeforeEpoch)
}

/// Milliseconds since some moment. It never goes back, and stands still while the machine sleeps.
#[must_use]
pub fn monotonic_ms() -> u64 {
    read(ClockId::Monotonic)
}

/// Milliseconds since the machine was started. It never goes back, and runs on while the machine sleeps: what ends at
/// a time of the world is counted by it.
#[must_use]
pub fn boot_ms() -> u64 {
    read(ClockId::Boottime)
}

/// Neither clock is ever negative: both begin with the machine.
fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    whole_ms(Duration::try_from(time).unwrap_or_default())
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run_forwards_and_sleep_counts_for_the_boot_clock_alone() {
        let (monotonic, boot) = (monotonic_ms(), boot_ms());
        assert!(monotonic_ms() >= monotonic && boot_ms() >= boot);
        assert!(boot_ms() >= monotonic, "it counts sleep too");
        assert!(wall_ms().unwrap() > 1_600_000_000_000);
    }
}
