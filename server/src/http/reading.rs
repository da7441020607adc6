//! Reads for whoever asks: on threads of their own, so many at a time, each of them bounded, and ended with its client.
//!
//! ```text
//! request ──▶ waits, one of so many ──▶ a reader's thread ──▶ answer
//!                  └── client gone: nothing is read for it
//! ```
//!
//! What a record's answer needs is worked out elsewhere ([`apart`]): a permit waits behind nobody who reads, and readers
//! run at a lower priority than whatever else there is to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use ledger::codes::Code;
use tokio::sync::{Semaphore, oneshot};

use super::limits::{MAX_READS_WAITING, MOST_READERS, READ_ROWS, READ_TIMEOUT, READER_NICENESS};
use super::problem::Problem;
use crate::bounds::Bounds;
use crate::log::{Published, ReadError};
use crate::metrics;

/// The readers. Clones are the same threads, which end with the last of them.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Readers {
    /// A thread for each processor, and no fewer than two: one may wait for the disk.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub(super) fn start() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (jobs, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..processors.clamp(2, MOST_READERS) {
            let receiver = Arc::clone(&receiver);
            // One of the runtime's own, which waits for it at its end: no process ends in the middle of a read.
            tokio::task::spawn_blocking(move || work(&receiver));
        }
        Self {
            jobs,
            places: Arc::new(Semaphore::new(MAX_READS_WAITING)),
        }
    }

    /// Reads from a head, for a request.
    ///
    /// # Errors
    /// Those of the read; `overloaded` if too many wait, or it reads too much or for too long; `internal` if it panicked.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        published: Arc<Published>,
        read: impl FnOnce(Arc<Published>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = |_| Code::Overloaded.because(format!("{MAX_READS_WAITING} reads wait"));
        let _place = self.places.try_acquire().map_err(busy)?;
        self.read_on(published, read).await
    }

    /// Reads on for an answer that has begun and is one of so many.
    ///
    /// # Errors
    /// Those of the read, as [`Readers::read`].
    pub(super) async fn read_on<T: Send + 'static>(
        &self,
        published: Arc<Published>,
        read: impl FnOnce(Arc<Published>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let bounds = Bounds::new(READ_ROWS, READ_TIMEOUT);
        let published = Arc::new(published.within(&bounds));
        self.run(bounds, move || read(published)).await
    }

    /// Reads something else than a head, such as a file, or a piece of which the size is known.
    ///
    /// # Errors
    /// `internal` if it panicked; those of the read.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(Bounds::new(READ_ROWS, READ_TIMEOUT), read).await
    }

    async fn run<T: Send + 'static>(
        &self,
        bounds: Arc<Bounds>,
        read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let _client = Client(Arc::clone(&bounds));
        let (answer, answered) = oneshot::channel();
        let job = move || {
            let read = bounds.begin().then(read);
            if bounds.is_abandoned() {
                metrics::read_left();
            }
            if let Some(read) = read {
                // Whoever has gone away does not need it.
                let _ = answer.send(read);
            }
        };
        let lost = || Problem::internal("a read did not end");
        self.jobs.send(Box::new(job)).map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }
}

/// A client that waits. When it goes, what is read for it ends.
struct Client(Arc<Bounds>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    if let Err(error) = rustix::process::setpriority_process(None, READER_NICENESS) {
        tracing::debug!(%error, "a reader keeps its priority");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic ends its own read, whose client is told; the hook has said what it was.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// Works something out where it holds up no connection, and waits behind no reader.
///
/// # Errors
/// Those of the work; `internal` if it panicked.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Problem::internal)?
}

/// What a caller may ask for and did not get is its own fault; a store that does not give back what was put
/// into it is ours, and every cause of it goes into our log.
impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let mut refusal = error.refusal();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            refusal.detail = format!("{}: {error}", refusal.detail);
            cause = error.source();
        }
        refusal.into()
    }
}
