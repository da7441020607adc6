//! The one thread that writes the spool. What queued up while the last group was being synced is the next group, so a
//! flood costs no more syncs than a drop.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ledger::text::Name;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{List, Place, Spool, SpoolError};
use crate::desk::{self, Desk, Line, Plan, Tally};
use crate::intake::Found;

/// How many requests wait for the disk at most; what they carry is counted where bodies are read.
const MAX_WAITING: usize = 256;

/// How many requests are synced at once.
const MAX_GROUP: usize = 64;

/// How often the clock is looked at where nothing comes.
const TICK: Duration = Duration::from_millis(500);

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the spool is full")]
pub(crate) struct Full;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// How many could not be read.
    pub(crate) rejected: u64,
}

/// What the log has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Posted {
    /// Up to where.
    pub(crate) place: Place,
    /// How many records it logged since the start.
    pub(crate) logged: u64,
    /// How many it did not take.
    pub(crate) refused: u64,
}

/// The current counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// What was counted since the spool was made.
    #[serde(flatten)]
    pub(crate) tally: Tally,
    /// Bytes of the spool.
    pub(crate) spool_bytes: u64,
    /// Whether the log has all that was received.
    pub(crate) drained: bool,
    /// Records that were logged since the start.
    pub(crate) logged: u64,
    /// Records that the log did not take since the start.
    pub(crate) refused: u64,
    #[serde(skip)]
    pub(crate) end: Place,
}

enum Job {
    Found(Box<Found>, oneshot::Sender<Result<Taken, Full>>),
    Lost(Box<Found>),
    Unread(Name),
    Posted(Posted),
}

/// The way to the thread. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    jobs: SyncSender<Job>,
    status: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    status: Mutex<Status>,
    grown: Condvar,
}

struct Thread {
    spool: Spool,
    desk: Desk,
    unmapped: List,
    status: Arc<Shared>,
    posted: Posted,
    losses: BTreeMap<(Name, Option<Name>), Loss>,
    now_ms: fn() -> u64,
}

/// What was lost since it was last said.
#[derive(Clone, Copy)]
struct Loss {
    count: u64,
    first_ms: u64,
    last_ms: u64,
}

impl Writer {
    /// Starts the thread. It ends when the last way to it is gone, and keeps what is known.
    pub(crate) fn start(
        spool: Spool,
        desk: Desk,
        posted: Posted,
        now_ms: fn() -> u64,
    ) -> (Self, JoinHandle<Result<(), SpoolError>>) {
        let (jobs, queue) = sync_channel(MAX_WAITING);
        let status = Arc::<Shared>::default();
        let thread = Thread {
            unmapped: List::of(&spool.folder, "unmapped"),
            spool,
            desk,
            status: Arc::clone(&status),
            posted,
            losses: BTreeMap::new(),
            now_ms,
        };
        let handle = thread::spawn(move || thread.run(&queue));
        (Self { jobs, status }, handle)
    }

    /// Puts what a request said into the spool; returns once it is synced.
    ///
    /// # Errors
    ///
    /// [`Full`], also while too much waits for the disk, and after the thread has ended.
    pub(crate) async fn take(&self, found: Found) -> Result<Taken, Full> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Found(Box::new(found), reply);
        self.jobs.try_send(job).map_err(|_| Full)?;
        answer.await.unwrap_or(Err(Full))
    }

    /// Counts what there was no room for and what nobody was told of.
    pub(crate) fn lose(&self, found: Found, source: &Name) {
        if self.jobs.try_send(Job::Lost(Box::new(found))).is_err() {
            self.lose_unread(source.clone());
        }
    }

    /// Counts a request that nobody here has read.
    pub(crate) fn lose_unread(&self, source: Name) {
        // A thread of its own waits for a queue that is full: the sender has its answer already.
        let jobs = self.jobs.clone();
        if let Err(std::sync::mpsc::TrySendError::Full(job)) = jobs.try_send(Job::Unread(source)) {
            thread::spawn(move || jobs.send(job));
        }
    }

    /// Says what the log has.
    pub(crate) fn posted(&self, posted: Posted) {
        // After the thread has ended nobody needs to know.
        let _ = self.jobs.send(Job::Posted(posted));
    }

    /// How things stand.
    pub(crate) fn status(&self) -> Status {
        self.lock().clone()
    }

    /// Waits until lines end behind a place, or for a while. Gives where they end.
    pub(crate) fn wait_behind(&self, place: Place, at_most: Duration) -> Place {
        let status = self.lock();
        let waited = self
            .status
            .grown
            .wait_timeout_while(status, at_most, |status| status.end <= place);
        waited.unwrap_or_else(PoisonError::into_inner).0.end
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Thread {
    fn run(mut self, queue: &Receiver<Job>) -> Result<(), SpoolError> {
        self.publish();
        loop {
            match queue.recv_timeout(TICK) {
                Ok(job) => {
                    let more = std::iter::from_fn(|| queue.try_recv().ok());
                    let group: Vec<Job> =
                        std::iter::once(job).chain(more.take(MAX_GROUP)).collect();
                    self.group(group)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.say_losses()?;
                    self.spool.sync()?;
                    return self.spool.keep(&self.desk);
                }
            }
            self.tick()?;
        }
    }

    fn group(&mut self, group: Vec<Job>) -> Result<(), SpoolError> {
        let mut answers = Vec::new();
        for job in group {
            match job {
                Job::Found(found, reply) => answers.push((reply, self.take(*found)?)),
                Job::Lost(found) => self.lose(&found),
                Job::Unread(source) => self.lose_unread(&source),
                Job::Posted(posted) => {
                    self.posted = posted;
                    self.spool.release(posted.place, &self.desk)?;
                }
            }
        }
        self.spool.sync()?;
        self.publish();
        for (reply, answer) in answers {
            // Who has gone away sends again.
            let _ = reply.send(answer);
        }
        Ok(())
    }

    fn take(&mut self, found: Found) -> Result<Result<Taken, Full>, SpoolError> {
        let (items, rejected) = (found.items, found.rejected);
        let plan = self.desk.plan(found, (self.now_ms)());
        let duplicates = plan.duplicates;
        if !self.write(&plan, false)? {
            return Ok(Err(Full));
        }
        let tally = self.desk.tally_mut();
        tally.items += items;
        tally.rejected += rejected;
        tally.duplicates += duplicates;
        Ok(Ok(Taken { rejected }))
    }

    /// Writes what was planned, if there is room, and takes it into account.
    fn write(&mut self, plan: &Plan, may_use_reserve: bool) -> Result<bool, SpoolError> {
        let mut bytes = Vec::new();
        for line in &plan.lines {
            // A line is made of texts and numbers: there is nothing in it that JSON lacks.
            if serde_json::to_writer(&mut bytes, line).is_ok() {
                bytes.push(b'\n');
            }
        }
        if bytes.is_empty() {
            return Ok(true);
        }
        if !self.spool.has_room(bytes.len() as u64, may_use_reserve) {
            return Ok(false);
        }
        self.spool.write(&bytes)?;
        plan.lines.iter().for_each(|line| self.desk.apply(line));
        let unmapped = plan.lines.iter().filter_map(|line| match line {
            Line::Unmapped(unmapped) => Some(unmapped),
            _ => None,
        });
        self.unmapped.add(unmapped)?;
        Ok(true)
    }

    fn lose(&mut self, found: &Found) {
        let now_ms = (self.now_ms)();
        for (key, count) in self.desk.losses(found) {
            self.add_loss(key, count, now_ms);
        }
    }

    fn lose_unread(&mut self, source: &Name) {
        let now_ms = (self.now_ms)();
        let agents = self.desk.agents_of(source);
        if agents.is_empty() {
            self.add_loss((source.clone(), None), 1, now_ms);
        }
        for agent in agents {
            self.add_loss((source.clone(), Some(agent)), 1, now_ms);
        }
    }

    fn add_loss(&mut self, key: (Name, Option<Name>), count: u64, now_ms: u64) {
        let loss = self.losses.entry(key).or_insert(Loss {
            count: 0,
            first_ms: now_ms,
            last_ms: now_ms,
        });
        loss.count += count;
        loss.last_ms = now_ms.max(loss.first_ms);
    }

    fn tick(&mut self) -> Result<(), SpoolError> {
        self.say_losses()?;
        let (gaps, plan) = self.desk.due((self.now_ms)());
        if !gaps.is_empty() && self.write(&plan, true)? {
            self.desk.settle(&gaps);
            self.spool.sync()?;
            self.publish();
        }
        Ok(())
    }

    /// Writes down what was lost. Of what is about nobody known there is a count.
    fn say_losses(&mut self) -> Result<(), SpoolError> {
        if self.losses.is_empty() {
            return Ok(());
        }
        let mut found = Found::default();
        for ((source, agent), loss) in &self.losses {
            if let Some(agent) = agent {
                let span_ms = (loss.first_ms, loss.last_ms);
                let name = format!("spool/{agent}/{}-{}", loss.first_ms, loss.last_ms);
                let sighting = desk::loss(source, agent, loss.count, &name, span_ms);
                found.sightings.push(sighting);
            }
        }
        let plan = self.desk.plan(found, (self.now_ms)());
        if !self.write(&plan, true)? {
            // Not even the reserve has room: it goes on being counted.
            return Ok(());
        }
        for ((source, _), loss) in std::mem::take(&mut self.losses) {
            let lost = &mut self.desk.tally_mut().lost;
            *lost.entry(source.to_string()).or_default() += loss.count;
        }
        self.spool.sync()?;
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let mut status = self
            .status
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *status = Status {
            tally: self.desk.tally().clone(),
            spool_bytes: self.spool.used(),
            drained: self.posted.place >= self.spool.end(),
            logged: self.posted.logged,
            refused: self.posted.refused,
            end: self.spool.end(),
        };
        self.status.grown.notify_all();
    }
}
