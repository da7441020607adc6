//! Whether a job still works.
//!
//! While a job runs, the intent of its run is open, and the log takes what is open for work: a long call of a tool is not a
//! standstill. The job itself is to show that it works: by lines, by `progress` or anything else on the socket, by
//! `WATCHDOG=1`, by a probe. A run speaks for no job that shows none of this, so the log hears nothing, and does with it
//! what it does with whoever is silent.

use std::time::{Duration, Instant};

use ledger::record::Liveness;

use super::{Clerk, News};
use crate::transport::Transport;

/// For how many heartbeats a job may show no work at least: where none is heard for two, another process may begin.
const LEAST_HEARTBEATS: u64 = 10;

/// How long a job has shown no work, as far as this process was there to see it.
pub(crate) struct Stall {
    progress: u64,
    silence: Duration,
    looked: Instant,
    most: Duration,
    was_told: bool,
}

impl Stall {
    /// It stands still when an agent of this charter does.
    pub(crate) fn by(clocks: &Liveness) -> Self {
        let least_ms = clocks.heartbeat_ms.saturating_mul(LEAST_HEARTBEATS);
        Self::after(Duration::from_millis(
            clocks.degraded_after_ms.max(least_ms),
        ))
    }

    /// It stands still once it has shown nothing for so long.
    pub(crate) fn after(most: Duration) -> Self {
        Self {
            progress: 0,
            silence: Duration::ZERO,
            looked: Instant::now(),
            most,
            was_told: false,
        }
    }

    /// It has shown that it works.
    pub(super) const fn moved(&mut self) {
        self.silence = Duration::ZERO;
        self.was_told = false;
    }

    /// How long it has stood still, if that is too long. A process that was stopped itself has seen nothing meanwhile: a
    /// look speaks for so much time at most.
    fn look(&mut self, progress: u64, span: Duration) -> Option<Duration> {
        let now = Instant::now();
        let since = now.saturating_duration_since(std::mem::replace(&mut self.looked, now));
        self.silence = self.silence.saturating_add(since.min(span));
        if progress > self.progress {
            self.progress = progress;
            self.moved();
        }
        (self.silence >= self.most).then_some(self.silence)
    }
}

impl<T: Transport> Clerk<'_, T> {
    /// Whether no heartbeat is to speak for what runs. A service has no open intent to hide behind, and the log sees
    /// itself that it stands still; a job that has told of its work and does so no more is ended.
    pub(super) fn stands_still(&mut self) -> bool {
        if self.service.is_some() || self.life.program.is_none() {
            return false;
        }
        if self.life.open.len() > 0 {
            self.stall.moved();
        }
        let span = self.heartbeat.saturating_mul(2);
        let Some(silence) = self.stall.look(self.life.progress(), span) else {
            return false;
        };
        let why = format!("the program shows no progress for {} s", silence.as_secs());
        if self.life.tells_of_its_work() {
            (self.news)(News::Stalled(why));
            return false;
        }
        if !std::mem::replace(&mut self.stall.was_told, true) {
            (self.caller.notice)(&format!(
                "{why}: no heartbeat speaks for it until it does (a line, `progress` on the socket, WATCHDOG=1, --probe)"
            ));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_speaks_for_its_span_at_most_and_progress_begins_anew() {
        let (hour, minute) = (Duration::from_secs(3_600), Duration::from_secs(60));
        let mut stall = Stall::after(2 * minute);
        let ago =
            |stall: &mut Stall, span| stall.looked = Instant::now().checked_sub(span).unwrap();
        ago(&mut stall, hour);
        assert_eq!(stall.look(0, minute), None, "it was away for an hour");
        ago(&mut stall, hour);
        assert_eq!(stall.look(0, minute), Some(2 * minute));
        assert_eq!(stall.look(1, minute), None, "a step");
        ago(&mut stall, hour);
        assert_eq!(stall.look(1, minute), None);
        ago(&mut stall, hour);
        assert!(stall.look(1, minute).is_some());
        stall.moved();
        assert_eq!(stall.look(1, minute), None);
    }
}
