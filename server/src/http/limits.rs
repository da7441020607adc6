//! Every limit of the HTTP side, with its reason.

use std::time::Duration;

/// The largest single record as submitted: what a leaf holds. A larger one could never be logged.
pub(super) const MAX_RECORD_BYTES: usize = ledger::envelope::MAX_ENVELOPE_BYTES;

/// The largest body of many records.
pub(super) const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// The most records in one body.
pub(super) const MAX_BATCH_LINES: usize = 4_096;

/// How many bodies of many records are worked on at once: each may hold its bytes, its parsed
/// records and its answers, some 64 MiB together.
pub(super) const MAX_BATCHES_AT_ONCE: usize = 8;

/// How many records of one body are under way at once, so that one body cannot fill the queue
/// that all submitters share.
pub(super) const MAX_RECORDS_UNDER_WAY: usize = 256;

/// How much of a body that is too large is read and thrown away before the refusal is sent. A
/// client that is still sending when its connection closes often sees the reset and not the answer.
pub(super) const MAX_DISCARDED_BYTES: usize = MAX_BATCH_BYTES;

/// How long a body may take to arrive: 16 MiB at half a MiB a second, and no slow drip for ever.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(32);

/// How long a request may take altogether. A record takes milliseconds; whoever waited this long
/// is told to try again, and gets the index the record has if it was logged after all.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How many requests are worked on at once; the queue of the log is bounded by its own limit.
pub(super) const MAX_REQUESTS_AT_ONCE: usize = 1_024;

/// How many connections are open at once, idle ones included: well below the usual 65,536 files.
pub(super) const MAX_CONNECTIONS: usize = 4_096;

/// How long a client may take to send the head of a request, and how long a kept connection may idle.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The most headers of a request; browsers send about 20.
pub(super) const MAX_HEADERS: usize = 64;

/// The largest head of a request.
pub(super) const MAX_HEADER_BYTES: usize = 32 * 1024;

/// How long a connection is kept, so that one who never reads his answer does not hold it for ever.
pub(super) const CONNECTION_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long a client may take nothing of what is sent to it. Nobody who still reads is that slow, and what was made for
/// him is held that long.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How many streams of events are open at once: each holds a connection, of which others need most.
pub(super) const MAX_EVENT_STREAMS: usize = 512;

/// How many entries a stream of events reads at once: with the largest leaves, 3 MiB.
pub(super) const EVENTS_AT_ONCE: u64 = 64;

/// How long a stream of events is silent before it says so, which tells proxies and clients that it lives.
pub(super) const EVENTS_SILENCE: Duration = Duration::from_secs(15);

/// How long an ending connection, and the service as a whole when it stops, finishes what it began.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the listener rests after the system refused it a connection (too many open files).
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What `Retry-After` says. The queue drains in milliseconds and a restart takes about a second.
pub(super) const RETRY_AFTER_SECONDS: u64 = 1;

/// How many elements a list has when the request does not say.
pub(super) const DEFAULT_PAGE: usize = 100;

/// The most elements of a list.
pub(super) const MAX_PAGE: usize = 1_000;

/// How long a browser may remember that the read path is open to all: a day.
pub(super) const PREFLIGHT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many packs are sent at once: each holds some leaves and, for an agent or a goal, a proof and a list of indices of
/// together 10 MiB at most.
pub(super) const MAX_PACKS_AT_ONCE: usize = 32;
