//! Waiting for a service that is away: it is restarted within seconds, and a request for permission can wait that long.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::transport::ServiceError;

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(2);

/// How long to wait, and what to say meanwhile.
#[derive(Clone, Debug)]
pub struct Patience {
    /// How long in all.
    pub span: Duration,
    /// Says something to people.
    pub say: fn(&str),
    /// Whether somebody asks for the end, for which nothing is waited.
    pub is_over: Arc<AtomicBool>,
}

impl Patience {
    /// Lets time pass. Returns whether nothing ended the work meanwhile.
    fn pause(&self, span: Duration) -> bool {
        const LOOK: Duration = Duration::from_millis(50);
        let until = Instant::now() + span;
        loop {
            if self.is_over.load(Ordering::Relaxed) {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

/// The waiting of an agent. Nothing waits but within [`begin`](Self::begin) and [`end`](Self::end).
#[derive(Debug, Default)]
pub(super) struct Waiting {
    patience: Option<Patience>,
    now: Cell<Option<Now>>,
    has_warned: Cell<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Now {
    until: Instant,
    pause: Duration,
    is_told: bool,
}

impl Waiting {
    pub(super) const fn by(patience: Patience) -> Self {
        Self {
            patience: Some(patience),
            now: Cell::new(None),
            has_warned: Cell::new(false),
        }
    }

    /// Says something to people, if it is the first thing of this kind.
    pub(super) fn warn_once(&self, words: &str) {
        if let Some(patience) = &self.patience
            && !self.has_warned.replace(true)
        {
            (patience.say)(words);
        }
    }

    pub(super) fn begin(&self) {
        let begun = |patience: &Patience| Now {
            until: Instant::now() + patience.span,
            pause: FIRST,
            is_told: false,
        };
        self.now.set(self.patience.as_ref().map(begun));
    }

    pub(super) fn end(&self) {
        self.now.set(None);
    }

    /// Waits a while if the failure is one that passes and there is time left. Whether to try again.
    pub(super) fn wait(&self, error: &ServiceError) -> bool {
        let (Some(mut now), Some(patience)) = (self.now.get(), &self.patience) else {
            return false;
        };
        let left = now.until.saturating_duration_since(Instant::now());
        // Who is asked to wait for longer than there is time knows the answer now.
        let asked = error.asks_to_wait().unwrap_or_default();
        if left.is_zero() || !error.may_pass() || asked > left {
            return false;
        }
        if !std::mem::replace(&mut now.is_told, true) {
            let seconds = left.as_secs_f32().round();
            (patience.say)(&format!(
                "waiting for the service, {seconds} s at most: {}",
                with_sources(error)
            ));
        }
        if !patience.pause(now.pause.min(left).max(asked)) {
            return false;
        }
        now.pause = (now.pause * 2).min(LONGEST);
        self.now.set(Some(now));
        true
    }

    /// Calls until an answer comes, or waiting makes no sense.
    pub(super) fn call<R>(
        &self,
        call: impl Fn() -> Result<R, ServiceError>,
    ) -> Result<R, ServiceError> {
        loop {
            match call() {
                Err(error) if self.wait(&error) => {}
                Ok(answer) => {
                    self.is_back();
                    return Ok(answer);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn is_back(&self) {
        if let (Some(now), Some(patience)) = (self.now.get(), &self.patience)
            && now.is_told
        {
            (patience.say)("the service is back");
            self.now.set(Some(Now {
                is_told: false,
                ..now
            }));
        }
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", with_sources(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Problem;

    /// A service that asks to be left alone for a second, and then answers: when it was called, and what came of it.
    fn called(span: Duration) -> (Vec<Instant>, Result<(), ServiceError>) {
        let waiting = Waiting::by(Patience {
            span,
            say: |_| (),
            is_over: Arc::default(),
        });
        let calls = std::cell::RefCell::new(Vec::new());
        waiting.begin();
        let outcome = waiting.call(|| {
            calls.borrow_mut().push(Instant::now());
            match calls.borrow().len() {
                1 => Err(ServiceError::Refused(Box::new(Problem {
                    status: 429,
                    code: Some(ledger::codes::Code::RateLimited),
                    detail: String::new(),
                    next_seq: None,
                    head: None,
                    retry_after_s: Some(1),
                }))),
                _ => Ok(()),
            }
        });
        (calls.into_inner(), outcome)
    }

    #[test]
    fn who_is_asked_to_wait_does_so_and_who_has_not_the_time_gives_up_at_once() {
        let (calls, outcome) = called(Duration::from_secs(60));
        outcome.unwrap();
        assert_eq!(calls.len(), 2);
        assert!(calls[1] - calls[0] >= Duration::from_secs(1));
        let (calls, outcome) = called(Duration::from_millis(500));
        assert!(outcome.is_err());
        assert_eq!(calls.len(), 1);
    }
}
