//! The anchor: the newest head, kept at a second place.
//!
//! A data folder that was copied back, or a snapshot of a machine that was restored, is a sound log that ends too early.
//! Nothing in it shows that it went on, and whoever signs its next leaf signs a second history. So after each
//! publication, at most a second late, the signed head is written to a place that does not go back with the folder: a
//! file on another disk, or an address that takes a PUT. A start behind it, or beside it, is refused.

mod place;

use std::time::Duration;

use tlog::TreeSize;
use tlog::checkpoint::{ParseCheckpointError, SignedCheckpoint};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::log::{Log, Published, ReadError};
use crate::metrics;
pub use place::{Place, PlaceError, lies_in};

/// How long a head that was just kept stands before the next is: under load heads come by the hundred a second.
const PAUSE: Duration = Duration::from_millis(250);

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// An anchor that keeps up with a log.
#[derive(Debug)]
pub struct Anchor {
    stop: watch::Sender<bool>,
    keeping: JoinHandle<()>,
}

/// Reads what is at a place; `None` if nothing is yet.
///
/// # Errors
/// [`PlaceError`]: nobody knows then whether the log may go on.
pub async fn read(place: &Place) -> Result<Option<String>, PlaceError> {
    let place = place.clone();
    let read = tokio::task::spawn_blocking(move || place.read()).await;
    read.unwrap_or(Err(PlaceError::Unfinished))
}

/// Compares a log with what its anchor knows of it, before anything is signed.
///
/// # Errors
/// [`AnchorError`] if the log must not go on from here.
pub fn compare(anchored: &str, log: &Published) -> Result<(), AnchorError> {
    let anchored = SignedCheckpoint::parse(anchored)?;
    let head = anchored.unverified();
    if head.origin != log.origin() {
        let origin = head.origin.to_string();
        return Err(AnchorError::OtherLog { origin });
    }
    if head.size > log.size {
        return Err(AnchorError::WentBack {
            anchored: head.size,
            size: log.size,
        });
    }
    match log.root_at(head.size)? == head.root {
        true => Ok(()),
        false => Err(AnchorError::Contradicted { size: head.size }),
    }
}

impl Anchor {
    /// Keeps the heads of a log at a place. The present one is there when this comes back, if it could be kept.
    pub async fn keep(place: Place, log: &Log) -> Self {
        let mut keeper = Keeper {
            place,
            log: log.clone(),
            kept: None,
            failed: false,
        };
        keeper.keep_newest().await;
        let (stop, stopped) = watch::channel(false);
        let keeping = tokio::spawn(keeper.keep_up(stopped));
        Self { stop, keeping }
    }

    /// Keeps the last head, once no more are published.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        // It does not panic; if it did, there is nothing to keep any more.
        let _ = self.keeping.await;
    }
}

/// Brings heads to a place.
struct Keeper {
    place: Place,
    log: Log,
    kept: Option<TreeSize>,
    failed: bool,
}

impl Keeper {
    async fn keep_newest(&mut self) {
        let published = self.log.published();
        if self.kept == Some(published.size) {
            return;
        }
        let outcome = write(&self.place, published.checkpoint.clone()).await;
        metrics::anchored(outcome.is_ok().then_some(published.size));
        tell(&self.place, &outcome, &mut self.failed);
        if outcome.is_ok() {
            self.kept = Some(published.size);
        }
    }

    async fn keep_up(mut self, mut stopped: watch::Receiver<bool>) {
        let mut heads = self.log.heads();
        loop {
            // What is decided first is whether to stop: all that was published before is then kept in this very round.
            let is_last = *stopped.borrow_and_update();
            self.keep_newest().await;
            if is_last {
                return;
            }
            let pause = if self.failed { RETRY } else { PAUSE };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.changed() => continue,
            }
            if !self.failed && self.kept == Some(self.log.published().size) {
                tokio::select! {
                    // Its sender is gone when the sequencer has ended: then only the stop is waited for.
                    changed = heads.changed() => if changed.is_err() { let _ = stopped.changed().await; },
                    _ = stopped.changed() => {}
                }
            }
        }
    }
}

async fn write(place: &Place, checkpoint: String) -> Result<(), PlaceError> {
    let place = place.clone();
    let written = tokio::task::spawn_blocking(move || place.write(&checkpoint)).await;
    written.unwrap_or(Err(PlaceError::Unfinished))
}

/// Says that the anchor fails, and that it does so no more, once each.
fn tell(place: &Place, outcome: &Result<(), PlaceError>, failed: &mut bool) {
    match outcome {
        Err(error) if !*failed => {
            tracing::error!(anchor = %place, %error, "the head is not kept there");
        }
        Ok(()) if *failed => tracing::info!(anchor = %place, "the head is kept there again"),
        _ => {}
    }
    *failed = outcome.is_err();
}

/// Why a log does not go on from where it ends.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// What is there is not a checkpoint.
    #[error("what the anchor has is not a signed checkpoint")]
    Malformed(#[from] ParseCheckpointError),
    /// It is of another log.
    #[error("the anchor is of the log {origin}")]
    OtherLog {
        /// The name of that log.
        origin: String,
    },
    /// The log once was longer.
    #[error(
        "this log ends at {size}, but its anchor has seen it at {anchored}: the data folder is an older copy, and signing more would fork the log. Put back the newest data folder, or restore a backup that reaches that far"
    )]
    WentBack {
        /// The size that the anchor knows.
        anchored: TreeSize,
        /// The size of the log.
        size: TreeSize,
    },
    /// The log has another history.
    #[error(
        "this log has another history than the one that its anchor has seen at {size}: one of the two is a fork"
    )]
    Contradicted {
        /// The size that the anchor knows.
        size: TreeSize,
    },
    /// The log cannot be read.
    #[error("the log cannot be compared with its anchor")]
    Read(#[from] ReadError),
}

#[cfg(test)]
mod tests;
