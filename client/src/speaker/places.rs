//! How many may be served at once: who comes when all places are taken waits until one is free.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Places, of which there is a limited number.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<(Mutex<usize>, Condvar)>,
}

/// A place that is taken, and free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<(Mutex<usize>, Condvar)>);

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new((Mutex::new(count), Condvar::new())),
        }
    }

    /// Takes a place; `None` if none gets free in this time.
    pub(super) fn take(&self, most: Duration) -> Option<Place> {
        let (free, freed) = &*self.free;
        let free = free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = freed.wait_timeout_while(free, most, |free| *free == 0);
        let (mut free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Place(Arc::clone(&self.free)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (free, freed) = &*self.0;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_it_is_given_back() {
        let places = Places::new(1);
        let place = places.take(Duration::ZERO).unwrap();
        assert!(places.take(Duration::ZERO).is_none());
        let waiting = places.clone();
        let waiting = std::thread::spawn(move || waiting.take(Duration::from_secs(60)).is_some());
        drop(place);
        assert!(waiting.join().unwrap());
    }
}
