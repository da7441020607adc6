//! With a log that only observes, nobody may wait for us: each request is answered in time, whatever the log does.
//!
//! A line that the clerk has not come to within [`PROMPTLY`] is answered here. What was let through in this way, or
//! because the service was away, is counted, and the next heartbeat tells it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledger::json::{Value, object};

use super::answer::Answer;
use super::conversation::Waiting;
use super::request::Request;

/// How soon an answer comes with a log that observes: a tenth of a second is noticeable, a fifth is tolerable.
pub(crate) const PROMPTLY: Duration = Duration::from_millis(150);

/// What acted and was not logged, beside a log that observes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unlogged(Arc<Mutex<Count>>);

/// How many actions, and when the first and the last of them was asked for, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    count: u64,
    from_ms: u64,
    to_ms: u64,
}

/// Answers in time what nobody has answered. It is shared by all connections.
#[derive(Clone)]
pub(crate) struct Prompt {
    observes: Arc<AtomicBool>,
    asked: Sender<(Instant, Late, Waiting)>,
    unlogged: Unlogged,
    now_ms: fn() -> u64,
}

/// What is answered when nobody has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    /// The action is let through and counted.
    LetThrough,
    /// It is done as soon as it can be.
    Waits,
}

impl Unlogged {
    /// Counts an action that was let through.
    pub(crate) fn add(&self, now_ms: u64) {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count.count == 0 {
            count.from_ms = now_ms;
        }
        count.count += 1;
        count.to_ms = now_ms;
    }

    /// What was counted since it was last told.
    pub(crate) fn count(&self) -> Count {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That much has been told.
    pub(crate) fn told(&self, told: Count) {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.count = count.count.saturating_sub(told.count);
        count.from_ms = told.to_ms;
    }
}

impl Count {
    /// As a heartbeat tells it; `None` if there is nothing to tell.
    pub(crate) fn to_value(self) -> Option<Value> {
        let members = [
            ("count", self.count.into()),
            ("from_ms", self.from_ms.into()),
            ("to_ms", self.to_ms.into()),
        ];
        (self.count > 0).then(|| object(members))
    }
}

impl Prompt {
    /// Begins; the thread ends with the last connection.
    pub(crate) fn start(unlogged: Unlogged, now_ms: fn() -> u64) -> std::io::Result<Self> {
        let (asked, queue) = mpsc::channel();
        let prompt = Self {
            observes: Arc::default(),
            asked,
            unlogged: unlogged.clone(),
            now_ms,
        };
        let thread = std::thread::Builder::new().name("prompt".to_owned());
        thread.spawn(move || answer_in_time(&queue, &unlogged, now_ms))?;
        Ok(prompt)
    }

    /// Says whether the log only observes.
    pub(crate) fn observes(&self, observes: bool) {
        self.observes.store(observes, Ordering::Relaxed);
    }

    /// Takes note of what was asked.
    pub(super) fn asked(&self, request: &Request, waiting: &Waiting) {
        let late = match request {
            Request::Intent(_) => Late::LetThrough,
            Request::Hello | Request::Disclose(_) => return,
            _ => Late::Waits,
        };
        if self.observes.load(Ordering::Relaxed) {
            // Without the thread whoever asks waits for the clerk.
            let _ = self
                .asked
                .send((Instant::now() + PROMPTLY, late, waiting.clone()));
        }
    }

    /// Allows a request to go ahead: an action, or a goal. A goal is not an action, so it is not counted.
    pub(crate) fn let_through(&self, request: &Request) -> Answer {
        match request {
            Request::Goal(_) => Answer::goal_let_go(),
            _ => self.let_act(),
        }
    }

    /// Lets an action through that is not logged.
    pub(crate) fn let_act(&self) -> Answer {
        self.unlogged.add((self.now_ms)());
        Late::LetThrough.answer()
    }
}

impl Late {
    fn answer(self) -> Answer {
        match self {
            Self::LetThrough => {
                Answer::with(object([("intent", Value::Null), ("unlogged", true.into())]))
            }
            Self::Waits => Answer::with(object([("record", Value::Null), ("waits", true.into())])),
        }
    }
}

/// All wait equally long, so the first that was asked is the first that is due.
fn answer_in_time(
    queue: &Receiver<(Instant, Late, Waiting)>,
    unlogged: &Unlogged,
    now_ms: fn() -> u64,
) {
    for (due, late, waiting) in queue {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if waiting.answer_for_want_of_another(late == Late::Waits, late.answer())
            && late == Late::LetThrough
        {
            unlogged.add(now_ms());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_not_told_again() {
        let unlogged = Unlogged::default();
        assert_eq!(unlogged.count().to_value(), None);
        unlogged.add(5);
        unlogged.add(9);
        let told = unlogged.count();
        assert_eq!(
            told.to_value().unwrap().to_json(),
            r#"{"count":2,"from_ms":5,"to_ms":9}"#
        );
        unlogged.add(12);
        unlogged.told(told);
        assert_eq!(unlogged.count().count, 1);
        unlogged.told(unlogged.count());
        assert_eq!(unlogged.count().to_value(), None);
    }
}
