//! One webhook at work: follows the log, and sends one event after another until each has arrived or was put aside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::key::PrivateKey;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use serde_json::value::RawValue;

use super::event::{self, CloudEvent};
use super::outbox::{DeadLetter, Outbox};
use super::{Failing, Progress, Shown};
use crate::log::{Clock as _, Log, SystemClock};
use crate::metrics::{self, Delivery};

/// The header with the Ed25519 signature over the body, in base64.
const SIGNATURE: &str = "dragons-signature";

/// The header that names the key: the first 16 bytes of the SHA-256 of the public key, in hex.
const KEY_ID: &str = "dragons-key-id";

/// How many entries are read at a time: what is in memory for a receiver.
const PIECE_ENTRIES: u64 = 256;

/// How far the position moves on in a quiet log before it is written.
const UNWRITTEN_ENTRIES: u64 = 4_096;

/// The pause after the first failure. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// How often an event is tried that the receiver does not want: it will not change its mind, but somebody may be just
/// putting it right.
const MAX_REFUSED: u32 = 3;

/// Sends what one receiver is to know.
pub(super) struct Courier {
    log: Log,
    outbox: Outbox,
    shown: Arc<Shown>,
    client: Client,
    url: Url,
    key: PrivateKey,
    give_up_after: Duration,
    /// The position that is on the disk.
    written: u64,
}

/// What became of an attempt.
enum Attempt {
    Delivered,
    /// The receiver does not want it.
    Refused(String),
    /// The receiver is not there, or not able; perhaps it says when it will be.
    Failed(String, Option<Duration>),
}

impl Courier {
    pub(super) fn new(
        (log, outbox, shown): (Log, Outbox, Arc<Shown>),
        (client, url, key): (Client, Url, PrivateKey),
        give_up_after: Duration,
    ) -> Self {
        Self {
            written: outbox.next(),
            log,
            outbox,
            shown,
            client,
            url,
            key,
            give_up_after,
        }
    }

    pub(super) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// Works until the log ends, or cannot be read.
    pub(super) async fn run(mut self) {
        metrics::webhook_begins(&self.shown.name);
        let mut heads = self.log.heads();
        let mut next = self.outbox.next();
        loop {
            self.show(next, None);
            if heads.wait_for(|size| size.get() > next).await.is_err() {
                return;
            }
            let Some((events, to)) = self.read(next).await else {
                return;
            };
            for event in events {
                self.deliver(&event).await;
                next = event.index + 1;
                self.write(next);
            }
            next = to;
            if next - self.written >= UNWRITTEN_ENTRIES {
                self.write(next);
            }
        }
    }

    async fn read(&self, next: u64) -> Option<(Vec<CloudEvent>, u64)> {
        let published = self.log.published();
        let to = published.size.get().min(next + PIECE_ENTRIES);
        let read = tokio::task::spawn_blocking(move || {
            let origin = published.origin().to_string();
            let leaves = published
                .leaves(next..to)
                .map_err(|error| error.to_string())?;
            let events = (next..to).zip(leaves);
            let events = events.map(|(index, leaf)| event::of(&origin, index, &leaf));
            let events: Result<Vec<_>, _> = events.filter_map(Result::transpose).collect();
            events.map_err(|refusal| refusal.to_string())
        });
        match read.await {
            Ok(Ok(events)) => Some((events, to)),
            Ok(Err(error)) => {
                tracing::error!(
                    webhook = self.shown.name,
                    next,
                    error,
                    "a webhook cannot read the log"
                );
                None
            }
            Err(_) => None,
        }
    }

    /// Sends an event until it has arrived or is put aside.
    async fn deliver(&mut self, event: &CloudEvent) {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        for attempts in 1.. {
            let (error, is_over, wait) = match self.attempt(event).await {
                Attempt::Delivered => {
                    metrics::webhook(&self.shown.name, Delivery::Delivered);
                    return;
                }
                Attempt::Refused(error) => (error, attempts >= MAX_REFUSED, None),
                Attempt::Failed(error, wait) => (error, false, wait),
            };
            metrics::webhook(&self.shown.name, Delivery::Failed);
            if is_over || begun.elapsed() >= self.give_up_after {
                self.bury(event, attempts, &error);
                return;
            }
            let index = event.index;
            let failing = Failing {
                index,
                attempts,
                error,
            };
            self.show(index, Some(failing));
            tokio::time::sleep(jittered(wait.unwrap_or(pause).min(MAX_PAUSE))).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn attempt(&self, event: &CloudEvent) -> Attempt {
        let signature = self.key.sign(event.body.as_bytes());
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, event::CONTENT_TYPE)
            .header(KEY_ID, &self.shown.keyid)
            .header(SIGNATURE, tlog::base64::encode(signature.as_bytes()))
            .body(event.body.clone());
        match request.send().await {
            Ok(answer) => judge(answer.status(), answer.headers()),
            // The address may hold a secret, and is known anyway.
            Err(error) => Attempt::Failed(with_sources(&error.without_url()), None),
        }
    }

    fn bury(&self, event: &CloudEvent, attempts: u32, error: &str) {
        metrics::webhook(&self.shown.name, Delivery::Dead);
        tracing::warn!(
            webhook = self.shown.name,
            id = event.id,
            attempts,
            error,
            "an event was put aside"
        );
        let body = RawValue::from_string(event.body.clone()).expect("an event is JSON");
        let letter = DeadLetter {
            at_ms: SystemClock::new().wall_ms(),
            index: event.index,
            attempts,
            error,
            event: &body,
        };
        if let Err(error) = self.outbox.bury(&letter) {
            tracing::error!(webhook = self.shown.name, %error, "a dead letter could not be kept");
        }
    }

    fn write(&mut self, next: u64) {
        self.written = next;
        if let Err(error) = self.outbox.advance(next) {
            tracing::error!(webhook = self.shown.name, %error, "the position could not be kept");
        }
    }

    fn show(&self, next: u64, failing: Option<Failing>) {
        let size = self.log.published().size.get();
        metrics::webhook_behind(&self.shown.name, size.saturating_sub(next));
        self.shown.set_progress(Progress { next, failing });
    }
}

fn judge(status: StatusCode, headers: &reqwest::header::HeaderMap) -> Attempt {
    let said = format!("HTTP {}", status.as_u16());
    match status {
        status if status.is_success() => Attempt::Delivered,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Attempt::Failed(said, retry_after(headers))
        }
        status if status.is_server_error() => Attempt::Failed(said, retry_after(headers)),
        _ => Attempt::Refused(said),
    }
}

/// In seconds; a date is passed over, for clocks differ.
fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Between half and all of a pause, so that many services do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without random numbers the pause is whole, which is as good for one service.
    let _ = getrandom::fill(&mut byte);
    pause - pause / 2 * u32::from(byte[0]) / 255
}

fn with_sources(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", with_sources(source)),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn answers_are_taken_refused_or_waited_out() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        let check = |status: u16, want: &str| {
            let said = match judge(StatusCode::from_u16(status).unwrap(), &headers) {
                Attempt::Delivered => "delivered",
                Attempt::Refused(_) => "refused",
                Attempt::Failed(_, Some(wait)) if wait == Duration::from_secs(7) => "later",
                Attempt::Failed(..) => "at once",
            };
            assert_eq!(said, want, "{status}");
        };
        for status in [200, 202, 204] {
            check(status, "delivered");
        }
        for status in [301, 307, 400, 401, 404, 410, 413] {
            check(status, "refused");
        }
        for status in [408, 425, 429, 500, 502, 503] {
            check(status, "later");
        }
    }

    #[test]
    fn a_pause_is_shortened_by_half_at_most() {
        for _ in 0..100 {
            let pause = jittered(MAX_PAUSE);
            assert!(pause >= MAX_PAUSE / 2 && pause <= MAX_PAUSE, "{pause:?}");
        }
    }
}
