//! Publishes what is committed: swaps the head that readers see, and answers those who wait.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ledger::codes::{Code, Refusal};
use ledger::govern::State;
use ledger::leaf::Leaf;
use store::StoredCheckpoint;
use tlog::tile::Edge;
use tlog::{LeafIndex, TreeSize};
use tokio::sync::watch;

use super::Fatal;
use super::committer::Committed;
use super::plan::Verdict;
use super::planner::Waiting;
use crate::log::health::Status;
use crate::log::published::{Published, ReadError, Recent, Source};
use crate::log::{Outcome, Submitted};
use crate::metrics;

/// Owns what readers see.
pub(super) struct Publisher {
    source: Arc<Source>,
    status: Arc<Status>,
    published: Arc<ArcSwap<Published>>,
    heads: watch::Sender<TreeSize>,
}

impl Publisher {
    /// Publishes the head of a recovered log.
    pub(super) fn new(
        source: Arc<Source>,
        status: Arc<Status>,
        head: StoredCheckpoint,
        edge: Edge,
        state: State,
    ) -> Self {
        let recent = Arc::new(Recent::at(&edge));
        let published = Published::new(head, edge, state, Arc::clone(&source), recent);
        let published = Arc::new(published);
        Self {
            heads: watch::Sender::new(published.size),
            published: Arc::new(ArcSwap::from(published)),
            source,
            status,
        }
    }

    /// The head that readers see.
    pub(super) fn published(&self) -> Arc<ArcSwap<Published>> {
        Arc::clone(&self.published)
    }

    /// Its size, for tasks that wait until it grows.
    pub(super) fn heads(&self) -> watch::Receiver<TreeSize> {
        self.heads.subscribe()
    }

    /// Makes what is committed visible.
    pub(super) fn publish(&self, committed: Committed) {
        let Committed {
            head,
            edge,
            state,
            leaves,
            hashes,
            duties,
            pulsed,
        } = committed;
        duties.into_iter().for_each(metrics::done);
        self.status.follow(&state);
        let before = self.published.load_full();
        let recent = Arc::new(before.recent.grown(leaves, &hashes));
        let published = Published::new(head, edge, state, Arc::clone(&self.source), recent);
        let pulsed = pulsed.map(|(_, state)| state);
        let pulsed = pulsed.or_else(|| before.pulsed.clone());
        let published = published.pulsed(pulsed);
        let size = published.size;
        self.published.store(Arc::new(published));
        self.heads.send_replace(size);
    }

    /// Answers those who waited for what is published now.
    ///
    /// # Errors
    /// [`Fatal`] if a leaf that is to be answered with cannot be read.
    pub(super) fn answer(&self, waiting: Vec<Waiting>) -> Result<(), Fatal> {
        let published = self.published.load_full();
        for waiting in waiting {
            let outcome = outcome(&waiting, &published)?;
            // Who has gone away since does not need the answer.
            let _ = waiting.answer.send(outcome);
        }
        Ok(())
    }
}

/// Tells those whose group was certainly not written to come again.
pub(super) fn put_off(waiting: Vec<Waiting>) {
    for waiting in waiting {
        let refusal = Code::Overloaded.because("the group was not written");
        // Who has gone away since does not need the answer.
        let _ = waiting.answer.send(Err(refusal));
    }
}

fn outcome(
    waiting: &Waiting,
    published: &Arc<Published>,
) -> Result<Result<Submitted, Refusal>, Fatal> {
    let (index, received_ms, result, breach) = match &waiting.verdict {
        Verdict::Logged { index, breach } => {
            (*index, published.time_ms, Outcome::Logged, breach.clone())
        }
        Verdict::Duplicate { index } => {
            let received_ms = received_ms(published, *index)?;
            (*index, received_ms, Outcome::Duplicate, None)
        }
        Verdict::Refused(refusal) => return Ok(Err(refusal.clone())),
    };
    Ok(Ok(Submitted {
        index,
        record: waiting.record,
        received_ms,
        result,
        breach,
        published: Arc::clone(published),
    }))
}

/// When a leaf of the store was received.
fn received_ms(published: &Published, index: LeafIndex) -> Result<u64, Fatal> {
    let leaf = match published.leaf(index) {
        Err(ReadError::Store(error)) => return Err(error.into()),
        leaf => leaf.ok().flatten(),
    };
    let leaf = leaf.and_then(|leaf| Leaf::parse(&leaf).ok());
    leaf.map(|leaf| leaf.received_ms())
        .ok_or(Fatal::LeafDamaged { index })
}
