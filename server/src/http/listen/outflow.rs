//! How fast a client takes what is sent to it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Watches the time in which there was something to send and the client did not take it.
#[derive(Debug)]
pub(super) struct Outflow {
    /// How long that may go on before the client has to have taken enough.
    window: Duration,
    /// What is enough, in bytes a second.
    least: u64,
    blocked_for: Duration,
    sent: u64,
    blocked: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Outflow {
    pub(super) fn new(window: Duration, least: u64) -> Self {
        Self {
            window,
            least,
            blocked_for: Duration::ZERO,
            sent: 0,
            blocked: None,
            timer: None,
        }
    }

    /// The client took so much.
    pub(super) fn took(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        if let Some(since) = self.blocked.take() {
            self.blocked_for += since.elapsed();
        }
    }

    /// The client takes nothing just now. Ready once it has been too slow for too long.
    pub(super) fn blocked(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let since = *self.blocked.get_or_insert(now);
        let until = since + self.window.saturating_sub(self.blocked_for);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep(Duration::ZERO)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let enough = self.window.as_millis() * u128::from(self.least) / 1_000;
        if u128::from(self.sent) < enough {
            return Poll::Ready(());
        }
        (self.blocked_for, self.sent, self.blocked) = (Duration::ZERO, 0, Some(now));
        timer.as_mut().reset(now + self.window);
        // It was ready a moment ago, and has to know whom to wake again.
        match timer.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// Since when the client takes nothing, if it is so.
    pub(super) const fn since(&self) -> Option<Instant> {
        self.blocked
    }
}
