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

mod admission;
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
pub mod hostile;
mod hosts;
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
mod state_proof;
mod submit;
mod tiles;
mod turns;
mod web;

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Semaphore;

pub use admission::Rates;
pub use boundary::describe_metrics;
pub use hosts::{HostName, NotAName, WebAddress, WebOrigin};
pub use listen::{Places, serve};
pub use router::{for_operators, router};
pub use web::Web;

use crate::inbox::Inbox;
use crate::log::{DEFAULT_QUEUE, Log, SystemClock};
use crate::trust::Trust;
use crate::webhooks::Undelivered;

/// What the handlers share. Clones are the same service.
#[derive(Clone)]
pub struct Service(Arc<Shared>);

/// What a [`Service`] is. It is behind one count of references, because each request makes a few clones.
#[derive(Clone)]
pub struct Shared {
    log: Log,
    web: Web,
    trust: Option<Arc<str>>,
    batches: Arc<Semaphore>,
    streams: events::Streams,
    packs: Arc<Semaphore>,
    inbox: Arc<Inbox>,
    readers: reading::Readers,
    admission: admission::Admission,
    /// Whether a proxy says from where a request comes.
    is_behind_proxy: bool,
    hosts: hosts::Hosts,
    origins: Arc<[WebOrigin]>,
    runbook: Option<WebAddress>,
    undelivered: Arc<dyn Fn() -> Vec<Undelivered> + Send + Sync>,
}

impl Service {
    /// Serves this log, and the verifier page from there.
    pub fn new(log: Log, web: Web) -> Self {
        Self(Arc::new(Shared {
            log,
            web,
            trust: None,
            batches: Arc::new(Semaphore::new(limits::MAX_BATCHES_AT_ONCE)),
            streams: events::Streams::of(limits::MAX_EVENT_STREAMS),
            packs: Arc::new(Semaphore::new(limits::MAX_PACKS_AT_ONCE)),
            inbox: Arc::new(Inbox::in_memory(Arc::new(SystemClock::new()))),
            readers: reading::Readers::start(),
            admission: admission::Admission::new(&Rates::default(), DEFAULT_QUEUE),
            is_behind_proxy: false,
            hosts: hosts::Hosts::default(),
            origins: Arc::default(),
            runbook: None,
            undelivered: Arc::new(Vec::new),
        }))
    }

    /// Leaves most of so many connections to requests that are answered at once.
    #[must_use]
    pub fn within(mut self, connections: usize) -> Self {
        let share = |most: usize, part: usize| most.min(connections / part).max(1);
        self.shared().streams = events::Streams::of(share(limits::MAX_EVENT_STREAMS, 4));
        self.shared().packs = Arc::new(Semaphore::new(share(limits::MAX_PACKS_AT_ONCE, 8)));
        self
    }

    /// Takes records no faster than this, for a queue of so many.
    #[must_use]
    pub fn limited(mut self, rates: &Rates, queue: usize) -> Self {
        self.shared().admission = admission::Admission::new(rates, queue);
        self
    }

    /// Takes a proxy's word for where requests come from.
    #[must_use]
    pub fn behind_proxy(mut self, is_behind_proxy: bool) -> Self {
        self.shared().is_behind_proxy = is_behind_proxy;
        self
    }

    /// Answers to these names beside those of loopback.
    #[must_use]
    pub fn named(mut self, names: &[HostName]) -> Self {
        self.shared().hosts = hosts::Hosts::new(names);
        self
    }

    /// Lets pages of these origins read entry bundles, proofs and packs.
    #[must_use]
    pub fn open_to(mut self, origins: &[WebOrigin]) -> Self {
        self.shared().origins = origins.into();
        self
    }

    /// Links this runbook on the board.
    #[must_use]
    pub fn with_runbook(mut self, runbook: Option<WebAddress>) -> Self {
        self.shared().runbook = runbook;
        self
    }

    /// Tells on the board what does not arrive.
    #[must_use]
    pub fn telling(
        mut self,
        undelivered: impl Fn() -> Vec<Undelivered> + Send + Sync + 'static,
    ) -> Self {
        self.shared().undelivered = Arc::new(undelivered);
        self
    }

    /// Offers the verifier page the trust file of this log. Whoever reads it there has it from the log itself, which
    /// the page says.
    #[must_use]
    pub fn offering(mut self, trust: &Trust) -> Self {
        self.shared().trust = Some(trust.to_json().into());
        self
    }

    /// Keeps requests for leases in this inbox, in the place of one that is gone when the service is.
    #[must_use]
    pub fn keeping(mut self, inbox: Inbox) -> Self {
        self.shared().inbox = Arc::new(inbox);
        self
    }

    /// Ends the answers that have no end of their own. Whoever stops the service does this first.
    pub fn end_streams(&self) {
        self.streams.end();
    }

    /// Its own, before there are clones.
    fn shared(&mut self) -> &mut Shared {
        Arc::make_mut(&mut self.0)
    }
}

impl Deref for Service {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
