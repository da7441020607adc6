//! One group after another: plan it, commit it, publish it. Each is handed on as a value.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ledger::codes::{Code, Refusal};
use ledger::govern::State;
use ledger::key::PrivateKey;
use ledger::record::Role;
use store::{Storage, StoreError};
use tlog::TreeSize;
use tlog::note::VerifierKey;
use tlog::tile::Edge;
use tokio::sync::watch;

use super::committer::{CommitError, Committer};
use super::disk_space::DiskSpace;
use super::planner::{Planned, Planner};
use super::publisher::{Publisher, put_off};
use super::{Fatal, Submission};
use crate::log::health::{Disk, Status};
use crate::log::published::{Published, Source};
use crate::log::recovery::Recovered;
use crate::log::signer::Signer;
use crate::log::snapshot::{Moment, Snapshots};
use crate::log::time::{Doubt, Now};
use crate::log::{LogKeys, OpenError, Options};

/// The longest that the sequencer sleeps, so that it notices a clock that is set, and room on a disk that was nearly
/// full, even if nobody submits anything.
const MAX_IDLE: Duration = Duration::from_secs(1);

/// How many groups in a row the journal may say that it did not write: a file that cannot be opened may be opened a
/// moment later, an engine that has given up stays so until it is opened again.
const MAX_NOT_DONE: u32 = 3;

/// The write path of a log.
pub(in crate::log) struct Writer {
    planner: Planner,
    committer: Committer,
    publisher: Publisher,
    room: DiskSpace,
    snapshots: Snapshots,
    /// How many groups the journal did not write since the last that it wrote.
    not_done: u32,
    /// Why nothing was signed when it was last asked what time it is.
    doubt: Option<Doubt>,
}

impl Writer {
    /// Takes over a recovered log, if the keys are its own.
    pub(in crate::log) fn start(
        storage: Storage,
        keys: LogKeys,
        recovered: Recovered,
        options: &Options,
        status: Arc<Status>,
    ) -> Result<Self, OpenError> {
        let signer = Signer::new(keys.log);
        check_keys(&signer.verifier_key(), &keys.control, &recovered.state)?;
        let Recovered {
            edge,
            state,
            head,
            refused,
            from,
        } = recovered;
        let store = Arc::clone(&storage.store);
        let source = Arc::new(Source {
            store: Arc::clone(&store),
            snapshots: options.snapshots.clone(),
            key: signer.verifier_key(),
        });
        let folder = options.snapshots.clone();
        let snapshots = Snapshots::start(folder, options.snapshot_every, from.get());
        let log = (edge.clone(), state.clone());
        let office = (keys.control, signer.verifier_key());
        Ok(Self {
            room: DiskSpace::new(Arc::clone(&store), Arc::clone(&status), options),
            planner: Planner::new(store, office, status.time(), log, refused),
            committer: Committer::lead(storage, signer, Some(head.clone()))?,
            publisher: Publisher::new(source, status, head, edge, state),
            snapshots: snapshots.map_err(OpenError::Thread)?,
            not_done: 0,
            doubt: None,
        })
    }

    /// The head that readers see.
    pub(in crate::log) fn published(&self) -> Arc<ArcSwap<Published>> {
        self.publisher.published()
    }

    /// Its size, for tasks that wait until it grows.
    pub(in crate::log) fn heads(&self) -> watch::Receiver<TreeSize> {
        self.publisher.heads()
    }

    /// How long nothing is due.
    pub(super) fn idle_time(&self) -> Duration {
        match (self.room.disk(), self.planner.idle_time()) {
            (Disk::HasRoom | Disk::NearlyFull, Some(time)) if self.not_done == 0 => {
                time.min(MAX_IDLE)
            }
            _ => MAX_IDLE,
        }
    }

    /// One group: what is due, then what was submitted.
    ///
    /// # Errors
    /// [`Fatal`]: nothing may be signed or answered after it.
    pub(super) fn turn(&mut self, submissions: Vec<Submission>) -> Result<(), Fatal> {
        let disk = self.room.look()?;
        let submissions = with_room(disk, submissions);
        if disk == Disk::Full {
            return Ok(());
        }
        let now = self.planner.now(&submissions);
        self.heed(now);
        match now {
            Now::At(now_ms) => {
                let planned = self.planner.plan(submissions, now_ms)?;
                self.carry_out(planned)
            }
            Now::Withheld(doubt) => {
                refuse(submissions, &Code::Overloaded.because(doubt));
                Ok(())
            }
        }
    }

    /// The last group: refusals that were still being counted.
    ///
    /// # Errors
    /// [`Fatal`].
    pub(super) fn finish(&mut self) -> Result<(), Fatal> {
        if self.room.look()? == Disk::Full {
            return Ok(());
        }
        match self.planner.now(&[]) {
            Now::At(now_ms) => {
                let planned = self.planner.plan_last(now_ms)?;
                self.carry_out(planned)
            }
            Now::Withheld(_) => Ok(()),
        }
    }

    /// Tells when signing is withheld, and when it goes on.
    fn heed(&mut self, now: Now) {
        let doubt = match now {
            Now::At(_) => None,
            Now::Withheld(doubt) => Some(doubt),
        };
        match (self.doubt, doubt) {
            (None, Some(doubt)) => tracing::error!("{doubt}: nothing is signed until it can be"),
            (Some(_), None) => tracing::info!("the clock is believed again"),
            _ => {}
        }
        self.doubt = doubt;
    }

    /// Makes the group durable and, only then, visible.
    fn carry_out(&mut self, planned: Planned) -> Result<(), Fatal> {
        let Planned {
            growth,
            waiting,
            last_words,
        } = planned;
        if let Some(growth) = growth {
            match self.committer.commit(growth) {
                Ok(committed) => {
                    self.take_snapshot(committed.pulsed.as_ref());
                    self.publisher.publish(committed);
                }
                Err(CommitError::NotDone(error)) => {
                    put_off(waiting);
                    return self.begin_anew(error);
                }
                Err(error) => return Err(Fatal::Commit(error)),
            }
            self.not_done = 0;
        }
        self.publisher.answer(waiting)?;
        last_words.map_or(Ok(()), Err)
    }

    /// Hands on the log in front of a pulse that is durable, if that is worth keeping.
    fn take_snapshot(&mut self, pulsed: Option<&(Edge, State)>) {
        let Some((edge, state)) = pulsed.filter(|(edge, _)| self.snapshots.wants(edge.size()))
        else {
            return;
        };
        self.snapshots.offer(Moment {
            edge: edge.clone(),
            state: state.clone(),
            refused: self.planner.refused(),
        });
    }

    /// Goes on after a group that was not written, unless it is one too many.
    fn begin_anew(&mut self, error: StoreError) -> Result<(), Fatal> {
        self.not_done += 1;
        if self.not_done >= MAX_NOT_DONE {
            return Err(Fatal::Commit(CommitError::NotDone(error)));
        }
        tracing::error!(%error, "a group was not written; nothing of it is in the log");
        self.planner.go_back_to(&self.publisher.published().load());
        Ok(())
    }
}

/// Those for which there is room; the others are answered.
fn with_room(disk: Disk, submissions: Vec<Submission>) -> Vec<Submission> {
    let fits = |submission: &Submission| match disk {
        Disk::HasRoom => true,
        Disk::NearlyFull => submission.record.signed().kind().is_authority(),
        Disk::Full => false,
    };
    let (fitting, others) = submissions.into_iter().partition(fits);
    refuse(others, &Code::DiskFull.because("the disk is nearly full"));
    fitting
}

/// Tells everybody that nothing is logged now.
fn refuse(submissions: Vec<Submission>, refusal: &Refusal) {
    for submission in submissions {
        // Who has gone away since does not need the answer.
        let _ = submission.answer.send(Err(refusal.clone()));
    }
}

/// Whether the charter in force names both keys that the service signs with.
fn check_keys(vkey: &VerifierKey, control: &PrivateKey, state: &State) -> Result<(), OpenError> {
    let charter = state.charter();
    if !charter.is_some_and(|charter| charter.log_keys.contains(vkey)) {
        return Err(OpenError::NotLogKey {
            vkey: vkey.to_string(),
        });
    }
    let keyid = control.public().id();
    if !charter.is_some_and(|charter| charter.grants(Role::Control, &keyid)) {
        return Err(OpenError::NotControlKey { keyid });
    }
    Ok(())
}
