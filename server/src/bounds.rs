//! How far a read may go, and whether anybody still waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The bounds of one read. They are looked at with each row that it takes from the store.
#[derive(Debug)]
pub struct Bounds {
    rows_left: AtomicU64,
    most: Duration,
    until: OnceLock<Instant>,
    is_abandoned: AtomicBool,
}

/// Why a read goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    /// It would read too much.
    #[error("it would have to read more than one request may; ask for less at once")]
    Rows,
    /// It took too long.
    #[error("it took longer than {most:?}; ask for less at once, or later")]
    Time {
        /// How long it may take.
        most: Duration,
    },
    /// Whoever asked has gone away.
    #[error("nobody waits for it any more")]
    Abandoned,
}

impl Bounds {
    /// So many rows, within so long from its beginning.
    #[must_use]
    pub fn new(rows: u64, most: Duration) -> Arc<Self> {
        Arc::new(Self {
            rows_left: AtomicU64::new(rows),
            most,
            until: OnceLock::new(),
            is_abandoned: AtomicBool::new(false),
        })
    }

    /// The read begins. Says whether anybody still waits for it.
    pub fn begin(&self) -> bool {
        self.until.get_or_init(|| Instant::now() + self.most);
        !self.is_abandoned()
    }

    /// Nobody waits any more.
    pub fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether whoever asked has gone away.
    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }

    /// Takes so many rows.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    pub fn take(&self, rows: u64) -> Result<(), OutOfBounds> {
        if self.is_abandoned() {
            return Err(OutOfBounds::Abandoned);
        }
        if self
            .until
            .get()
            .is_some_and(|until| Instant::now() > *until)
        {
            return Err(OutOfBounds::Time { most: self.most });
        }
        let less = |left: u64| left.checked_sub(rows);
        let taken = self
            .rows_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map(drop).map_err(|_| OutOfBounds::Rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_ends_at_its_bounds_and_with_its_client() {
        let bounds = Bounds::new(10, Duration::from_secs(60));
        assert!(bounds.begin());
        bounds.take(10).unwrap();
        assert_eq!(bounds.take(1), Err(OutOfBounds::Rows));
        bounds.abandon();
        assert_eq!(bounds.take(0), Err(OutOfBounds::Abandoned));
        assert!(!bounds.begin());
        let bounds = Bounds::new(10, Duration::ZERO);
        assert!(bounds.begin());
        let most = Duration::ZERO;
        while bounds.take(0).is_ok() {}
        assert_eq!(bounds.take(1), Err(OutOfBounds::Time { most }));
    }
}
