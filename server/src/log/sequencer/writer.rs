//! One group after another: plan it, commit it, publish it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::record::Role;
use tlog::tile::Edge;
use tlog::{LeafIndex, TreeSize};
use tokio::sync::{oneshot, watch};

use super::plan::{Known, Office, Plan, Verdict};
use super::refusals::Refusals;
use super::timing::{ClockPair, check_start};
use super::{Fatal, Submission};
use crate::log::clock::Clock;
use crate::log::health::{Disk, Status};
use crate::log::published::{Published, Source};
use crate::log::recovery::Recovered;
use crate::log::{OpenError, Options, Outcome, Submitted};
use crate::metrics;
use crate::store::{Group, StoredCheckpoint};

/// The longest that the sequencer sleeps, so that it notices clocks that part, and room on a disk that was nearly
/// full, even if nobody submits anything.
const MAX_IDLE: Duration = Duration::from_secs(1);

/// Owns the tree and the governance state.
pub(in crate::log) struct Writer {
    source: Arc<Source>,
    control: Arc<PrivateKey>,
    clock: Arc<dyn Clock>,
    clocks: ClockPair,
    status: Arc<Status>,
    min_free_bytes: u64,
    reserve_bytes: u64,
    published: Arc<ArcSwap<Published>>,
    heads: watch::Sender<TreeSize>,
    edge: Edge,
    state: State,
    head: StoredCheckpoint,
    refusals: Refusals,
    /// The time of the last group, up to which everything that was due has been logged.
    looked_ms: u64,
    /// Whether this process has logged its first pulse.
    began: bool,
    disk: Disk,
}

impl Writer {
    /// Takes over a recovered log, if the keys are its own and the clock can be believed.
    pub(in crate::log) fn start(
        source: Arc<Source>,
        control: PrivateKey,
        recovered: Recovered,
        options: &Options,
        status: Arc<Status>,
    ) -> Result<Self, OpenError> {
        check_keys(&source, &control, &recovered.state)?;
        let clock = Arc::clone(&options.clock);
        let last_ms = recovered.state.last_received_ms();
        check_start(clock.as_ref(), last_ms, options.accept_clock_jump)?;
        let Recovered {
            edge,
            state,
            head,
            refused,
        } = recovered;
        let mut refusals = Refusals::default();
        refused.into_iter().for_each(|hash| refusals.remember(hash));
        let published = publish(&head, &edge, &state, &source);
        Ok(Self {
            clocks: ClockPair::start(clock.as_ref()),
            heads: watch::Sender::new(published.size),
            published: Arc::new(ArcSwap::from(published)),
            control: Arc::new(control),
            min_free_bytes: options.min_free_bytes,
            reserve_bytes: options.reserve_bytes.min(options.min_free_bytes),
            looked_ms: last_ms,
            began: false,
            disk: Disk::HasRoom,
            source,
            clock,
            status,
            edge,
            state,
            head,
            refusals,
        })
    }

    /// The head that readers see.
    pub(in crate::log) fn published(&self) -> Arc<ArcSwap<Published>> {
        Arc::clone(&self.published)
    }

    /// Its size, for whoever waits until it grows.
    pub(in crate::log) fn heads(&self) -> watch::Receiver<TreeSize> {
        self.heads.subscribe()
    }

    /// How long nothing is due.
    pub(super) fn idle_time(&self) -> Duration {
        if self.disk == Disk::Full {
            return MAX_IDLE;
        }
        let now_ms = self.clock.wall_ms().max(self.state.last_received_ms());
        let pulse = if self.began {
            self.state.next_pulse_ms()
        } else {
            Some(now_ms)
        };
        // What fell due while the last group was being synced is due now, not next time.
        let duty = self.state.next_deadline_after(self.looked_ms);
        let due = [pulse, duty, self.refusals.next_deadline_ms()]
            .into_iter()
            .flatten()
            .min();
        let wait = due.map(|due| Duration::from_millis(due.saturating_sub(now_ms)));
        wait.map_or(MAX_IDLE, |wait| wait.min(MAX_IDLE))
    }

    /// What the store has of the records and of those that they build on, in one look.
    fn look_up(&self, submissions: &[Submission]) -> Result<Vec<Known>, Fatal> {
        let named = |submission: &Submission| {
            let record = submission.record.record();
            [vec![submission.record.hash()], record.references()].concat()
        };
        let named: Vec<Vec<RecordHash>> = submissions.iter().map(named).collect();
        let mut found = self.source.store.find(&named.concat())?.into_iter();
        let known = |named: Vec<RecordHash>| {
            let mut named = named.into_iter().zip(found.by_ref());
            let index = named.next().and_then(|(_, index)| index);
            let absent = named.filter(|(_, index)| index.is_none());
            let absent = absent.map(|(hash, _)| hash).collect();
            Known { index, absent }
        };
        Ok(named.into_iter().map(known).collect())
    }

    /// One group: what is due, then what was submitted.
    ///
    /// # Errors
    /// [`Fatal`]: nothing may be signed or answered after it.
    pub(super) fn turn(&mut self, submissions: Vec<Submission>) -> Result<(), Fatal> {
        let wall_ms = self.clocks.now_ms(self.clock.as_ref())?;
        let disk = self.look_at_disk()?;
        let submissions = with_room(disk, submissions);
        if disk == Disk::Full {
            return Ok(());
        }
        let known = self.look_up(&submissions)?;
        let mut plan = self.plan(wall_ms);
        self.plan_due(&mut plan)?;
        let mut waiting = Vec::with_capacity(submissions.len());
        for (Submission { record, answer }, known) in submissions.into_iter().zip(known) {
            let (hash, kind) = (record.hash(), record.signed().kind());
            let verdict = plan.submitted(record, known, &mut self.refusals)?;
            metrics::judged(kind, verdict.as_str());
            waiting.push(Waiting {
                hash,
                verdict,
                answer,
            });
        }
        let office = plan.office();
        self.commit(plan)?;
        self.answer(waiting)?;
        match office {
            Office::Held => Ok(()),
            Office::ControlLost => Err(Fatal::OutOfOffice {
                keyid: self.control.public().id(),
            }),
            Office::LogKeyReplaced => Err(Fatal::LogKeyReplaced {
                vkey: self.source.key.verifier_key().to_string(),
            }),
        }
    }

    /// The last group: refusals that were still being counted.
    ///
    /// # Errors
    /// [`Fatal`].
    pub(super) fn finish(&mut self) -> Result<(), Fatal> {
        let wall_ms = self.clocks.now_ms(self.clock.as_ref())?;
        if self.look_at_disk()? == Disk::Full {
            return Ok(());
        }
        let mut plan = self.plan(wall_ms);
        plan.refusals(self.refusals.drain())?;
        self.commit(plan)
    }

    fn plan(&self, wall_ms: u64) -> Plan {
        Plan::new(
            self.edge.clone(),
            self.state.clone(),
            wall_ms,
            Arc::clone(&self.control),
            self.source.key.verifier_key(),
        )
    }

    /// A pulse first of all when the process begins, so that no gap is blamed on an agent; then what the clock says.
    fn plan_due(&mut self, plan: &mut Plan) -> Result<(), Fatal> {
        let now_ms = plan.now_ms();
        self.looked_ms = now_ms;
        let due_ms = plan
            .state()
            .next_pulse_ms()
            .filter(|due_ms| *due_ms <= now_ms);
        if !self.began || due_ms.is_some() {
            plan.pulse(due_ms.filter(|_| self.began))?;
            self.began = true;
        }
        plan.transitions()?;
        plan.refusals(self.refusals.due(now_ms))
    }

    /// Makes the group durable and, only then, visible.
    fn commit(&mut self, mut plan: Plan) -> Result<(), Fatal> {
        let source = Arc::clone(&self.source);
        let group = plan.group(Some(&self.head), |size, root| source.sign(size, root));
        let Some(group) = group else { return Ok(()) };
        let started = Instant::now();
        source.store.commit(&group).map_err(Fatal::Commit)?;
        metrics::committed(&group, started.elapsed());
        let Group { checkpoint, .. } = group;
        let duties;
        (self.edge, self.state, duties) = plan.into_parts();
        duties.into_iter().for_each(metrics::done);
        self.head = checkpoint;
        self.status.follow(&self.state);
        self.published
            .store(publish(&self.head, &self.edge, &self.state, &self.source));
        self.heads.send_replace(self.head.size);
        Ok(())
    }

    fn answer(&self, waiting: Vec<Waiting>) -> Result<(), Fatal> {
        let published = self.published.load_full();
        for Waiting {
            hash,
            verdict,
            answer,
        } in waiting
        {
            let outcome = self.outcome(hash, verdict, &published)?;
            // Who has gone away since does not need the answer.
            let _ = answer.send(outcome);
        }
        Ok(())
    }

    fn outcome(
        &self,
        record: RecordHash,
        verdict: Verdict,
        published: &Arc<Published>,
    ) -> Result<Result<Submitted, Refusal>, Fatal> {
        let (index, received_ms, result, breach) = match verdict {
            Verdict::Logged { index, breach } => {
                (index, published.time_ms, Outcome::Logged, breach)
            }
            Verdict::Duplicate { index } => {
                (index, self.received_ms(index)?, Outcome::Duplicate, None)
            }
            Verdict::Refused(refusal) => return Ok(Err(refusal)),
        };
        let published = Arc::clone(published);
        Ok(Ok(Submitted {
            index,
            record,
            received_ms,
            result,
            breach,
            published,
        }))
    }

    /// When a leaf of the store was received.
    fn received_ms(&self, index: LeafIndex) -> Result<u64, Fatal> {
        let leaves = self.source.store.leaves(index.get()..index.get() + 1)?;
        let leaf = leaves.first().and_then(|leaf| Leaf::parse(leaf).ok());
        leaf.map(|leaf| leaf.received_ms())
            .ok_or(Fatal::LeafDamaged { index })
    }

    fn look_at_disk(&mut self) -> Result<Disk, Fatal> {
        let free_bytes = self.source.store.free_bytes()?;
        let disk = match free_bytes {
            Some(free_bytes) if free_bytes < self.reserve_bytes => Disk::Full,
            Some(free_bytes) if free_bytes < self.min_free_bytes => Disk::NearlyFull,
            Some(_) | None => Disk::HasRoom,
        };
        metrics::free_bytes(free_bytes);
        if disk != self.disk {
            tracing::warn!(
                ?disk,
                free_bytes,
                min_free_bytes = self.min_free_bytes,
                "disk"
            );
        }
        self.disk = disk;
        self.status.disk(disk);
        Ok(disk)
    }
}

/// A record that was judged, and who waits for the group to be durable.
struct Waiting {
    hash: RecordHash,
    verdict: Verdict,
    answer: oneshot::Sender<Result<Submitted, Refusal>>,
}

/// Those for which there is room; the others are answered.
fn with_room(disk: Disk, submissions: Vec<Submission>) -> Vec<Submission> {
    let fits = |submission: &Submission| match disk {
        Disk::HasRoom => true,
        Disk::NearlyFull => submission.record.signed().kind().is_authority(),
        Disk::Full => false,
    };
    let (fitting, others) = submissions.into_iter().partition(fits);
    refuse_all(others);
    fitting
}

fn refuse_all(submissions: Vec<Submission>) {
    for submission in submissions {
        let refusal = Code::DiskFull.because("the disk is nearly full");
        // Who has gone away since does not need the answer.
        let _ = submission.answer.send(Err(refusal));
    }
}

fn publish(
    head: &StoredCheckpoint,
    edge: &Edge,
    state: &State,
    source: &Arc<Source>,
) -> Arc<Published> {
    let published = Published::new(
        head.clone(),
        edge.clone(),
        state.clone(),
        Arc::clone(source),
    );
    Arc::new(published)
}

/// Whether the charter in force names both keys that the service signs with.
fn check_keys(source: &Source, control: &PrivateKey, state: &State) -> Result<(), OpenError> {
    let vkey = source.key.verifier_key();
    let charter = state.charter();
    if !charter.is_some_and(|charter| charter.log_keys.contains(&vkey)) {
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
