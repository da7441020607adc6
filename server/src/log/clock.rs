//! Time as the sequencer sees it: an argument, so that tests hold it in their hands.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The two clocks of a machine.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: milliseconds since the epoch. It can be set, forwards and backwards.
    fn wall_ms(&self) -> u64;

    /// The monotonic clock: milliseconds since some moment. It never goes back.
    fn monotonic_ms(&self) -> u64;
}

/// The clocks of the machine that this runs on.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The clocks, the monotonic one beginning now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> u64 {
        // A wall clock before 1970 reads as 0, which is behind every log, so the service refuses to start.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, whole_ms)
    }

    fn monotonic_ms(&self) -> u64 {
        whole_ms(self.started.elapsed())
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Clocks that stand still until a test moves them.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualClock {
    wall_ms: std::sync::atomic::AtomicU64,
    monotonic_ms: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl ManualClock {
    pub(crate) fn at(wall_ms: u64) -> Self {
        Self {
            wall_ms: wall_ms.into(),
            monotonic_ms: 0.into(),
        }
    }

    /// Lets both clocks run.
    pub(crate) fn advance(&self, ms: u64) {
        self.step(i64::try_from(ms).expect("tests move the clock by little"));
        self.monotonic_ms
            .fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
    }

    /// Sets the wall clock alone.
    pub(crate) fn step(&self, ms: i64) {
        let now = self.wall_ms();
        let then = now.checked_add_signed(ms).expect("tests stay after 1970");
        self.wall_ms
            .store(then, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(std::sync::atomic::Ordering::SeqCst)
    }
}
