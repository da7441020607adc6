//! What is said without waiting for the answer, and the wait at the end until all of it is answered.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Reports {
    on_the_way: Mutex<usize>,
    arrived: Condvar,
}

impl Reports {
    /// Has something said by a thread of its own.
    pub(super) fn send(self: &Arc<Self>, say: impl FnOnce() + Send + 'static) {
        *self.count() += 1;
        let reports = Arc::clone(self);
        let saying = std::thread::Builder::new().name("report".to_owned());
        let said = saying.spawn(move || {
            say();
            reports.arrive();
        });
        if said.is_err() {
            self.arrive();
        }
    }

    /// Waits until all has arrived, and says how much has not.
    pub(super) fn wait(&self, most: Duration) -> usize {
        let waited = self
            .arrived
            .wait_timeout_while(self.count(), most, |count| *count > 0);
        let (count, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *count
    }

    fn arrive(&self) {
        *self.count() -= 1;
        self.arrived.notify_all();
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.on_the_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn all_that_was_said_is_waited_for() {
        let reports = Arc::new(Reports::default());
        let (open, gate) = channel::<()>();
        reports.send(move || {
            let _ = gate.recv();
        });
        assert_eq!(reports.wait(Duration::ZERO), 1);
        drop(open);
        assert_eq!(reports.wait(Duration::from_secs(60)), 0);
    }
}
