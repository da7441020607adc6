//! The health of the log, for load balancers and monitors.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ledger::govern::State;

use super::published::Published;
use super::time::{Doubt, LogTime, Now};

/// How the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What the sequencer is doing.
    pub sequencing: Sequencing,
    /// How long ago the last leaf was received by the log's time, in milliseconds. Pulses keep it low in a quiet log.
    pub head_age_ms: u64,
    /// How far the wall clock is behind the last leaf, in milliseconds.
    pub clock_behind_ms: u64,
    /// Why nothing is signed, if that is because of the clock.
    pub doubt: Option<Doubt>,
    /// Whether that is within what the charter allows a pulse to be late.
    pub head_is_fresh: bool,
    /// Whether there is room for more.
    pub disk: Disk,
    /// Why the sequencer ended, if it did so by itself.
    pub last_error: Option<String>,
}

impl Health {
    /// Whether records are taken: the sequencer runs, its clock is believed, its head is fresh, the disk has room.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let has_head = self.doubt.is_none() && self.head_is_fresh;
        self.sequencing == Sequencing::Running && has_head && self.disk == Disk::HasRoom
    }
}

/// What the sequencer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequencing {
    /// It takes records.
    Running,
    /// It finishes what was accepted.
    Stopping,
    /// It has ended.
    Ended,
}

/// Whether there is room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// There is.
    HasRoom,
    /// Only for authority and what control logs by itself: whoever fills a disk does not keep operators from stopping it.
    NearlyFull,
    /// Nothing more is logged until there is again.
    Full,
}

/// What the sequencer tells of itself, for others to read without waiting for it.
pub(crate) struct Status {
    time: Arc<LogTime>,
    phase: AtomicU8,
    nearly_full: AtomicBool,
    stale_after_ms: AtomicU64,
    last_error: Mutex<Option<String>>,
}

const RUNNING: u8 = 0;
const STOPPING: u8 = 1;
const ENDED: u8 = 2;

impl Status {
    pub(crate) fn new(state: &State, time: Arc<LogTime>) -> Self {
        let status = Self {
            time,
            phase: AtomicU8::new(RUNNING),
            nearly_full: AtomicBool::new(false),
            stale_after_ms: AtomicU64::new(u64::MAX),
            last_error: Mutex::new(None),
        };
        status.follow(state);
        status
    }

    /// The log's time.
    pub(crate) fn time(&self) -> Arc<LogTime> {
        Arc::clone(&self.time)
    }

    /// Takes the clocks of the charter in force.
    pub(crate) fn follow(&self, state: &State) {
        let late = state.charter().map(|charter| &charter.liveness);
        let late = late.map_or(u64::MAX, |clocks| {
            clocks.pulse_ms.saturating_add(clocks.tolerance_ms)
        });
        self.stale_after_ms.store(late, Ordering::Relaxed);
    }

    pub(crate) fn disk(&self, disk: Disk) {
        self.nearly_full
            .store(disk != Disk::HasRoom, Ordering::Relaxed);
    }

    pub(crate) fn stopping(&self) {
        self.phase.fetch_max(STOPPING, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, error: Option<String>) {
        self.phase.store(ENDED, Ordering::Relaxed);
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = error;
    }

    pub(crate) fn health(&self, published: &Published) -> Health {
        let wall_ms = self.time.wall_ms();
        let (now_ms, doubt) = match self.time.now(published.time_ms) {
            Now::At(now_ms) => (now_ms, None),
            Now::Withheld(doubt) => (wall_ms, Some(doubt)),
        };
        let head_age_ms = now_ms.saturating_sub(published.time_ms);
        Health {
            sequencing: self.sequencing(),
            head_age_ms,
            clock_behind_ms: published.time_ms.saturating_sub(wall_ms),
            doubt,
            head_is_fresh: head_age_ms <= self.stale_after_ms.load(Ordering::Relaxed),
            disk: if self.nearly_full.load(Ordering::Relaxed) {
                Disk::NearlyFull
            } else {
                Disk::HasRoom
            },
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    fn sequencing(&self) -> Sequencing {
        match self.phase.load(Ordering::Relaxed) {
            RUNNING => Sequencing::Running,
            STOPPING => Sequencing::Stopping,
            _ => Sequencing::Ended,
        }
    }
}
