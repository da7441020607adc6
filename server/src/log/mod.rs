//! The log as the rest of the service sees it: records go in, provable answers come out.
//!
//! ```text
//! submit ── signatures ──▶ queue ──▶ sequencer: plan ─▶ commit ─▶ publish ──▶ answer
//!           CPU pool       bounded   one thread, group by group        │
//!                                                                      ▼
//! readers ◀──────────────────────────────────────────────────── Published (a snapshot)
//! ```
//!
//! An answer means durable, integrated, signed, provable. Readers hold a [`Published`] snapshot and take no lock
//! that the sequencer waits for.

mod clock;
mod health;
mod packs;
mod pool;
mod published;
mod recovery;
mod selecting;
mod sequencer;
mod signer;
mod snapshot;
mod states;
#[cfg(test)]
pub(crate) mod testing;
mod time;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use arc_swap::{ArcSwap, ArcSwapOption};
use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{CheckedRecord, SignedRecord};
use store::{Storage, StoreError};
use tlog::note::SigningKey;
use tlog::{LeafIndex, TreeSize};
use tokio::sync::{oneshot, watch};

pub use clock::{Clock, SystemClock};
pub use health::{Disk, Health, Sequencing};
pub use packs::PackReader;
pub use published::{Published, ReadError};
pub use recovery::{LeafError, RecoveryError, Replay};
pub use selecting::{MAX_SELECTED, select};
pub(crate) use sequencer::Duty;
pub use sequencer::{CommitError, Fatal, GenesisError, Sequencer, found, judge_charter};
pub use time::Doubt;

use health::Status;
use pool::SignaturePool;
use sequencer::{Submission, Writer};
use time::{LogTime, Now};

/// How many records may wait for the sequencer unless told otherwise: some hundred milliseconds of its work.
pub const DEFAULT_QUEUE: usize = 8_192;

/// The room on disk below which agents log nothing more, unless told otherwise: RocksDB needs some for compaction,
/// and an operator needs time to see the warning.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 256 << 20;

/// The room on disk below which not even authority is logged, unless told otherwise: orders and revocations for many
/// years fit between the two.
pub const DEFAULT_RESERVE_BYTES: u64 = 64 << 20;

/// The two keys that the service signs with.
#[derive(Debug)]
pub struct LogKeys {
    /// Signs checkpoints; its name is the log's origin.
    pub log: SigningKey,
    /// Signs transitions, refusals and pulses.
    pub control: PrivateKey,
}

/// How the log is run.
#[derive(Clone)]
pub struct Options {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How many records may wait for the sequencer.
    pub queue: usize,
    /// The room on disk, in bytes, below which only authority and control's own records are logged.
    pub min_free_bytes: u64,
    /// The room on disk, in bytes, below which nothing more is logged; no more than `min_free_bytes`.
    pub reserve_bytes: u64,
    /// Whether to believe a clock that is far past the last leaf, and to go on in the log's own time behind it.
    pub accept_clock_jump: bool,
    /// Whether anything may be signed: not in a log that was restored, until it is known where it ends.
    pub may_sign: bool,
    /// Where snapshots of the governance state are kept, so that a start reads the newest and the tail behind it. Without a
    /// folder the whole log is read.
    pub snapshots: Option<PathBuf>,
    /// How many leaves the log grows by before the next snapshot is worth its writing.
    pub snapshot_every: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            queue: DEFAULT_QUEUE,
            min_free_bytes: DEFAULT_MIN_FREE_BYTES,
            reserve_bytes: DEFAULT_RESERVE_BYTES,
            accept_clock_jump: false,
            may_sign: true,
            snapshots: None,
            snapshot_every: snapshot::DEFAULT_EVERY,
        }
    }
}

/// A handle on the log; clones are the same log.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

/// A log that was recovered and that nobody writes yet: whoever wants to compare it with something does so now, before
/// anything is signed.
pub struct Recovered {
    writer: Writer,
    status: Arc<Status>,
    queue: usize,
}

impl Recovered {
    /// Recovers a log from what is stored, if the keys are its own.
    ///
    /// # Errors
    /// [`OpenError`], with everything as it was.
    pub fn recover(
        storage: impl Into<Storage>,
        keys: LogKeys,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let storage = storage.into();
        let recovered = recovery::recover(&storage, options.snapshots.as_deref())?;
        let clock = Arc::clone(&options.clock);
        let time = match options.may_sign {
            true => LogTime::start(
                clock,
                recovered.state.last_received_ms(),
                options.accept_clock_jump,
            )?,
            false => LogTime::restored(clock),
        };
        let status = Arc::new(Status::new(&recovered.state, Arc::new(time)));
        let writer = Writer::start(storage, keys, recovered, options, Arc::clone(&status))?;
        Ok(Self {
            writer,
            status,
            queue: options.queue.max(1),
        })
    }

    /// Its head.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.writer.published().load_full()
    }

    /// Starts its sequencer.
    ///
    /// # Errors
    /// [`OpenError::Thread`].
    pub fn start(self) -> Result<(Log, Sequencer), OpenError> {
        let Self {
            writer,
            status,
            queue,
        } = self;
        let (published, heads) = (writer.published(), writer.heads());
        let (queue, receiver) = sync_channel(queue);
        let sequencer = Sequencer::spawn(writer, receiver, Arc::clone(&status))?;
        let shared = Shared {
            queue: ArcSwapOption::from_pointee(queue),
            published,
            heads,
            pool: SignaturePool::new(),
            status,
        };
        Ok((Log(Arc::new(shared)), sequencer))
    }
}

struct Shared {
    /// Empty once the log is stopping: the sequencer ends when it has worked off what is queued.
    queue: ArcSwapOption<SyncSender<Submission>>,
    published: Arc<ArcSwap<Published>>,
    heads: watch::Receiver<TreeSize>,
    pool: SignaturePool,
    status: Arc<Status>,
}

/// What became of a record, now that it is durable, signed for and provable.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Where it is in the log.
    pub index: LeafIndex,
    /// Its name.
    pub record: RecordHash,
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// Whether it was new.
    pub result: Outcome,
    /// The rule that it breaks, in observe mode.
    pub breach: Option<Refusal>,
    /// A head that covers it.
    pub published: Arc<Published>,
}

/// Whether a record was new to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was, and is now in it.
    Logged,
    /// It was in the log before; this is where.
    Duplicate,
}

impl Outcome {
    /// The word in an answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logged => "logged",
            Self::Duplicate => "duplicate",
        }
    }
}

/// A record that waits for the sequencer's answer.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Submitted, Refusal>>);

impl Pending {
    /// Waits until the record is durable, signed for and published.
    ///
    /// # Errors
    /// The rule that refuses it; `disk-full`; `internal` if the sequencer ended without an answer, which says
    /// nothing about whether the record is in the log.
    pub async fn outcome(self) -> Result<Submitted, Refusal> {
        let ended = |_| Code::Internal.because("the sequencer ended before it answered");
        self.0.await.map_err(ended)?
    }
}

impl Log {
    /// Recovers the log from what is stored and starts its sequencer, which logs a pulse first.
    ///
    /// # Errors
    /// [`OpenError`], with everything as it was.
    pub fn open(
        storage: impl Into<Storage>,
        keys: LogKeys,
        options: Options,
    ) -> Result<(Self, Sequencer), OpenError> {
        Recovered::recover(storage, keys, &options)?.start()
    }

    /// Logs a record: checks its signatures, queues it, waits until it is durable, signed for and published.
    ///
    /// # Errors
    /// As [`Log::enqueue`] and [`Pending::outcome`].
    pub async fn submit(&self, record: SignedRecord) -> Result<Submitted, Refusal> {
        self.enqueue(record).await?.outcome().await
    }

    /// Checks a record's signatures on the CPU pool and puts it in the queue.
    ///
    /// # Errors
    /// `overloaded` if the queue is full, `stopping`, `internal` if the sequencer has ended.
    pub async fn enqueue(&self, record: SignedRecord) -> Result<Pending, Refusal> {
        let checked = self.check(vec![record]).await?;
        let mut pending = checked.into_iter().map(|record| self.enter(record));
        pending
            .next()
            .unwrap_or_else(|| Err(Code::Internal.because("the pool lost a record")))
    }

    /// Puts many records in the queue, in their order: signatures are checked side by side, but what an agent signed
    /// one after another arrives one after another. Once one finds the queue full, those behind it do not enter
    /// either, since they may rest on it.
    ///
    /// # Errors
    /// As [`Log::enqueue`], for each record by itself.
    pub async fn enqueue_all(&self, records: Vec<SignedRecord>) -> Vec<Result<Pending, Refusal>> {
        let count = records.len();
        let checked = match self.check(records).await {
            Ok(checked) => checked,
            Err(refusal) => {
                return std::iter::repeat_with(|| Err(refusal.clone()))
                    .take(count)
                    .collect();
            }
        };
        let mut full: Option<Refusal> = None;
        let mut queue = |record| {
            let pending = full.clone().map_or_else(|| self.enter(record), Err);
            full = pending.as_ref().err().cloned();
            pending
        };
        checked.into_iter().map(&mut queue).collect()
    }

    /// The newest head that is signed and durable.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.0.published.load_full()
    }

    /// The size of the newest head, to be waited for. It has no sender any more once the sequencer has ended.
    #[must_use]
    pub fn heads(&self) -> watch::Receiver<TreeSize> {
        self.0.heads.clone()
    }

    /// What time it is in the log: milliseconds since the epoch. It is not the wall clock's while that is behind.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let last_ms = self.published().time_ms;
        match self.0.status.time().now(last_ms) {
            Now::At(now_ms) => now_ms,
            Now::Withheld(_) => last_ms,
        }
    }

    /// A clock that shows the log's time, to compare with what a client signed.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(LogClock(self.clone()))
    }

    /// How the log is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.status.health(&self.published())
    }

    /// Takes no more records. What was accepted is logged and answered, then the sequencer ends.
    pub fn stop(&self) {
        self.0.status.stopping();
        self.0.queue.store(None);
    }

    /// Finds out which keys signed records, on the CPU pool.
    ///
    /// # Errors
    /// `stopping`; `internal` if a check did not end.
    pub async fn check(&self, records: Vec<SignedRecord>) -> Result<Vec<CheckedRecord>, Refusal> {
        self.0.pool.check(records, self.published()).await
    }

    /// Puts a record in the queue whose signatures were checked.
    ///
    /// # Errors
    /// `overloaded` if the queue is full, `stopping`, `internal` if the sequencer has ended.
    pub fn enter(&self, record: CheckedRecord) -> Result<Pending, Refusal> {
        let queue = self.0.queue.load_full();
        let queue = queue.ok_or_else(|| Code::Stopping.because("the service is stopping"))?;
        let (answer, pending) = oneshot::channel();
        match queue.try_send(Submission { record, answer }) {
            Ok(()) => Ok(Pending(pending)),
            Err(TrySendError::Full(_)) => Err(Code::Overloaded.because("the queue is full")),
            Err(TrySendError::Disconnected(_)) => {
                Err(Code::Internal.because("the sequencer has ended"))
            }
        }
    }
}

/// The log's time as a clock.
struct LogClock(Log);

impl Clock for LogClock {
    fn wall_ms(&self) -> u64 {
        self.0.now_ms()
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.0.status.time().monotonic_ms()
    }
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What is stored is not a log that this key signed.
    #[error("the stored log is inconsistent")]
    Recovery(#[from] RecoveryError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The log key is not one of the charter's.
    #[error("the log key is none of those that the charter names: {vkey}")]
    NotLogKey {
        /// The key's verifier key.
        vkey: String,
    },
    /// The control key does not have that role.
    #[error("the charter gives key {keyid} no control role")]
    NotControlKey {
        /// The key's name.
        keyid: ledger::key::KeyId,
    },
    /// The clock is far behind the last leaf.
    #[error(
        "the clock is {behind_ms} ms behind the last leaf. If it is wrong, set it. If it is right, the log was once signed by a clock that was ahead: --accept-clock-jump lets the log go on in its own time, at half speed, until the two meet"
    )]
    ClockBehind {
        /// How far, in milliseconds.
        behind_ms: u64,
    },
    /// The system gave no thread.
    #[error("the sequencer's thread could not be started")]
    Thread(#[source] std::io::Error),
}
