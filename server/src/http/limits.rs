//! Every limit of the HTTP side, with its reason.

use std::time::Duration;

use crate::rates::Rate;

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

/// How long a body may take before it has to come at [`SLOWEST_BYTES_PER_S`].
pub(super) const BODY_GRACE: Duration = Duration::from_secs(5);

/// How fast a body has to come in, and an answer to be taken: below that a client is not slow but idle.
pub(super) const SLOWEST_BYTES_PER_S: u64 = 16 * 1024;

/// How many bytes of single records and requests are at hand at once: those of some 700 agents that send the largest at
/// the same moment, and of far more that send usual ones.
pub(super) const MAX_SMALL_BYTES_AT_HAND: u64 = 32 * 1024 * 1024;

/// How many bytes of bodies of many records are at hand at once: eight of the largest.
pub(super) const MAX_LARGE_BYTES_AT_HAND: u64 = 8 * MAX_BATCH_BYTES as u64;

/// How long a request may take once it is there. A record takes milliseconds; whoever waited this long
/// is told to try again, and gets the index the record has if it was logged after all.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How many requests are worked on at once; the queue of the log is bounded by its own limit.
pub(super) const MAX_REQUESTS_AT_ONCE: usize = 1_024;

/// How many requests that failed or were turned away are told of in the messages: enough to see what is wrong, and at
/// most some 20 MB a day, whoever asks.
pub(super) const REQUEST_LINES: Rate = Rate {
    at_once: 100,
    per_s: 1,
};

/// How long a client may take to send the head of a request, and how long a kept connection may idle.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The most headers of a request; browsers send about 20.
pub(super) const MAX_HEADERS: usize = 64;

/// The largest head of a request.
pub(super) const MAX_HEADER_BYTES: usize = 32 * 1024;

/// How long a connection is kept, so that one who never reads his answer does not hold it for ever.
pub(super) const CONNECTION_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long there may be something to send that a client does not take, before it has to have taken so much as
/// [`SLOWEST_BYTES_PER_S`] says. What was made for it is held that long.
pub(super) const SLOW_READER: Duration = Duration::from_secs(10);

/// How long a new stream or pack waits for the place of one that was sent away.
pub(super) const TURN_TIMEOUT: Duration = Duration::from_secs(1);

/// The most threads that read for whoever asks.
pub(super) const MOST_READERS: usize = 16;

/// How much lower than the usual the priority of these threads is: whoever logs goes first.
pub(super) const READER_NICENESS: i32 = 5;

/// How many reads wait for a thread at once: a few seconds of work for the readers.
pub(super) const MAX_READS_WAITING: usize = 256;

/// How many rows and leaves one read takes from the store: an agent's beats of six weeks, and a pack's of half a year.
pub(super) const READ_ROWS: u64 = 1 << 20;

/// How long one read takes once it has begun.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);

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

/// How many records of keys that the log does not know are in its queue at once: more than one body of many lines has
/// under way, and few of the queue's places.
pub(super) const MAX_STRANGERS: usize = MAX_RECORDS_UNDER_WAY + 64;

/// Of how many agents, and of how many addresses, it is kept how much they sent of late: some MiB.
pub(super) const MAX_RATED: usize = 65_536;

/// What `Retry-After` says. The queue drains in milliseconds and a restart takes about a second.
pub(super) const RETRY_AFTER_SECONDS: u64 = 1;

/// How long a browser may remember which routes are open to its page: a day.
pub(super) const PREFLIGHT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many packs are sent at once: each holds some leaves and, for an agent or a goal, a proof and a list of indices of
/// together 10 MiB at most.
pub(super) const MAX_PACKS_AT_ONCE: usize = 32;
