//! The HTTP side of the service: parse, call the log, answer.
//!
//! ```text
//! listen ──▶ layers ──▶ router ──▶ handlers ──▶ log
//!            id, log line,         parameters, media types, bodies
//!            limits, CORS          in; answers and problems out
//! ```
//!
//! In scope: what HTTP itself can get wrong, and how the log's answers and refusals are spelled. Out of
//! scope: what a record may say and who may say it; that is the ledger's, and a refusal comes here with
//! its code. Every answer that is not what was asked for is a problem.
#![allow(
    unused_qualifications,
    reason = "the attributes that describe handlers expand to full paths"
)]

mod agents;
mod answer;
mod batch;
mod body;
mod boundary;
mod entries;
mod events;
mod heads;
mod health;
mod history;
mod layers;
mod limits;
mod listen;
mod media;
mod openapi;
mod packs;
mod pages;
mod parameters;
mod problem;
mod reading;
mod requests;
mod router;
mod standing;
mod submit;
mod tiles;
mod web;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub use boundary::describe_metrics;
pub use listen::serve;
pub use router::router;
pub use web::Web;

use crate::inbox::Inbox;
use crate::log::{Log, SystemClock};
use crate::trust::Trust;

/// What the handlers share. Clones are the same service.
#[derive(Clone)]
pub struct Service {
    log: Log,
    web: Web,
    trust: Option<Arc<str>>,
    batches: Arc<Semaphore>,
    streams: events::Streams,
    packs: Arc<Semaphore>,
    inbox: Arc<Inbox>,
}

impl Service {
    /// Serves this log, and the verifier page from there.
    pub fn new(log: Log, web: Web) -> Self {
        Self {
            log,
            web,
            trust: None,
            batches: Arc::new(Semaphore::new(limits::MAX_BATCHES_AT_ONCE)),
            streams: events::Streams::default(),
            packs: Arc::new(Semaphore::new(limits::MAX_PACKS_AT_ONCE)),
            inbox: Arc::new(Inbox::in_memory(Arc::new(SystemClock::new()))),
        }
    }

    /// Offers the verifier page the trust file of this log. Whoever reads it there has it from the log itself, which
    /// the page says.
    #[must_use]
    pub fn offering(mut self, trust: &Trust) -> Self {
        self.trust = Some(trust.to_json().into());
        self
    }

    /// Keeps requests for leases in this inbox, in the place of one that is gone when the service is.
    #[must_use]
    pub fn keeping(mut self, inbox: Inbox) -> Self {
        self.inbox = Arc::new(inbox);
        self
    }

    /// Ends the answers that have no end of their own. Whoever stops the service does this first.
    pub fn end_streams(&self) {
        self.streams.end();
    }
}
