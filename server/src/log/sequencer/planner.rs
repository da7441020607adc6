//! Plans groups: submissions in, what is to be committed out. Whatever the log will be when all that was planned is
//! committed, the planner has already; nothing but this is judged by.

use std::sync::Arc;
use std::time::Duration;

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::json::Value;
use ledger::key::PrivateKey;
use ledger::record::{CheckedRecord, Kind};
use store::Store;
use tlog::note::VerifierKey;
use tlog::tile::Edge;
use tokio::sync::oneshot;

use super::plan::{Growth, KeyStanding, Known, Plan, Verdict};
use super::refusals::Refusals;
use super::{Fatal, Submission};
use crate::log::Submitted;
use crate::log::published::Published;
use crate::log::time::{LogTime, Now};
use crate::metrics;

/// How many leaves may follow a pulse, which names the state in front of it: so however fast a log grows, there is little to
/// read behind the newest state that the log itself vouches for.
const PULSE_LEAVES: u64 = 10_000;

/// The member of `ext` in which an agent says that its own clock is off the log's, by which it has dated the record.
const CLOCK_OFF: &str = "clock_off_ms";

/// Owns the tree and the governance state, and the refusals that are being counted.
pub(super) struct Planner {
    store: Arc<dyn Store>,
    control: Arc<PrivateKey>,
    log_key: VerifierKey,
    time: Arc<LogTime>,
    edge: Edge,
    state: State,
    refusals: Refusals,
    /// The time of the last group, up to which everything that was due has been logged.
    looked_ms: u64,
    /// Whether this process has logged its first pulse.
    began: bool,
    /// The size of the log in front of the last pulse.
    pulsed_at: u64,
}

/// A group that is to be committed, and who waits for it.
pub(super) struct Planned {
    /// What the log grows by; `None` if by nothing.
    pub(super) growth: Option<Growth>,
    pub(super) waiting: Vec<Waiting>,
    /// With what the service ends behind the group, if that takes a key of its own out of office.
    pub(super) last_words: Option<Fatal>,
}

/// A record that was judged, and who waits for the group to be durable.
pub(super) struct Waiting {
    pub(super) record: RecordHash,
    pub(super) verdict: Verdict,
    pub(super) answer: oneshot::Sender<Result<Submitted, Refusal>>,
}

impl Planner {
    /// Plans on top of a log in which these records were refused, oldest first, as the holder of the control key beside
    /// this log key.
    pub(super) fn new(
        store: Arc<dyn Store>,
        (control, log_key): (PrivateKey, VerifierKey),
        time: Arc<LogTime>,
        (edge, state): (Edge, State),
        refused: Vec<RecordHash>,
    ) -> Self {
        let mut refusals = Refusals::default();
        refused.into_iter().for_each(|hash| refusals.remember(hash));
        Self {
            looked_ms: state.last_received_ms(),
            began: false,
            pulsed_at: state.size(),
            control: Arc::new(control),
            log_key,
            store,
            time,
            edge,
            state,
            refusals,
        }
    }

    /// Records whose refusal is in the log or about to be, oldest first.
    pub(super) fn refused(&self) -> Vec<RecordHash> {
        self.refusals.remembered()
    }

    /// What time it is, now that these records have come. One of them may be the voice that vouches for the clock.
    pub(super) fn now(&self, submissions: &[Submission]) -> Now {
        if submissions.iter().any(|one| self.is_voice(&one.record)) {
            self.time.believe();
        }
        self.time.now(self.state.last_received_ms())
    }

    /// Whether an agent or an operator says in this record what time it is, and the rules would let it in. What control
    /// signs says no more than the clock itself, nor does an agent that was told the time by this service: its record says
    /// that its own clock is off.
    fn is_voice(&self, record: &CheckedRecord) -> bool {
        use Kind::{Charter, Heartbeat, Lease, LeaseRevocation, Manifest, Order, Receipt};
        let speaks = matches!(
            record.signed().kind(),
            Heartbeat | Receipt | Manifest | Lease | LeaseRevocation | Order | Charter
        );
        let ext = record.record().ext.as_ref();
        let is_told = ext.is_some_and(|ext| has_member(ext, CLOCK_OFF));
        let admitted = || self.state.admit(record, self.time.wall_ms()).is_ok();
        speaks && !is_told && self.time.is_voice(record.record().at_ms) && admitted()
    }

    /// How long nothing is due; `None` if nothing is ever due by itself, or nobody knows what time it is.
    pub(super) fn idle_time(&self) -> Option<Duration> {
        let last_ms = self.state.last_received_ms();
        let pulse = match self.began {
            true => self.state.next_pulse_ms(),
            false => Some(last_ms),
        };
        // What fell due while the last group was being synced is due now, not next time.
        let duty = self.state.next_deadline_after(self.looked_ms);
        let due = [pulse, duty, self.refusals.next_deadline_ms()];
        let due_ms = due.into_iter().flatten().min()?;
        self.time.until(due_ms, last_ms)
    }

    /// One group: what is due, then what was submitted.
    ///
    /// # Errors
    /// [`Fatal`]: nothing may be signed or answered after it.
    pub(super) fn plan(
        &mut self,
        submissions: Vec<Submission>,
        now_ms: u64,
    ) -> Result<Planned, Fatal> {
        let mut plan = self.begin(now_ms);
        let known = self.look_up(&submissions)?;
        self.plan_due(&mut plan)?;
        let mut waiting = Vec::with_capacity(submissions.len());
        for (Submission { record, answer }, known) in submissions.into_iter().zip(known) {
            let (hash, kind) = (record.hash(), record.signed().kind());
            let verdict = plan.submitted(record, known, &mut self.refusals)?;
            metrics::judged(kind, verdict.as_str());
            waiting.push(Waiting {
                record: hash,
                verdict,
                answer,
            });
        }
        Ok(self.finish(plan, waiting))
    }

    /// The last group: refusals that were still being counted.
    ///
    /// # Errors
    /// [`Fatal`].
    pub(super) fn plan_last(&mut self, now_ms: u64) -> Result<Planned, Fatal> {
        let mut plan = self.begin(now_ms);
        plan.refusals(self.refusals.drain())?;
        Ok(self.finish(plan, Vec::new()))
    }

    /// Goes back to what is committed, because what was planned on top of it was not. A pulse is logged next; refusals
    /// that were counted and not logged are lost, as at the end of a process.
    pub(super) fn go_back_to(&mut self, published: &Published) {
        self.edge = published.edge().clone();
        self.state = published.state.clone();
        self.looked_ms = self.state.last_received_ms();
        self.began = false;
    }

    fn begin(&self, now_ms: u64) -> Plan {
        let control = Arc::clone(&self.control);
        Plan::new(
            self.edge.clone(),
            self.state.clone(),
            now_ms,
            control,
            self.log_key.clone(),
        )
    }

    fn finish(&mut self, plan: Plan, waiting: Vec<Waiting>) -> Planned {
        let last_words = self.last_words(plan.office());
        let growth = plan.finish();
        if let Some(growth) = &growth {
            self.edge = growth.edge.clone();
            self.state = growth.state.clone();
        }
        Planned {
            growth,
            waiting,
            last_words,
        }
    }

    fn last_words(&self, office: KeyStanding) -> Option<Fatal> {
        match office {
            KeyStanding::Held => None,
            KeyStanding::ControlLost => Some(Fatal::OutOfOffice {
                keyid: self.control.public().id(),
            }),
            KeyStanding::LogKeyReplaced => Some(Fatal::LogKeyReplaced {
                vkey: self.log_key.to_string(),
            }),
        }
    }

    /// What the store has of the records and of those that they build on, in one look.
    fn look_up(&self, submissions: &[Submission]) -> Result<Vec<Known>, Fatal> {
        let named = |submission: &Submission| {
            let record = submission.record.record();
            [vec![submission.record.hash()], record.references()].concat()
        };
        let named: Vec<Vec<RecordHash>> = submissions.iter().map(named).collect();
        let mut found = self.store.find(&named.concat())?.into_iter();
        let known = |named: Vec<RecordHash>| {
            let mut named = named.into_iter().zip(found.by_ref());
            let index = named.next().and_then(|(_, index)| index);
            let absent = named.filter(|(_, index)| index.is_none());
            let absent = absent.map(|(hash, _)| hash).collect();
            Known { index, absent }
        };
        Ok(named.into_iter().map(known).collect())
    }

    /// A pulse first of all when the process begins, so that no gap is blamed on an agent; then what the clock says.
    fn plan_due(&mut self, plan: &mut Plan) -> Result<(), Fatal> {
        let now_ms = plan.now_ms();
        self.looked_ms = now_ms;
        let due_ms = plan
            .state()
            .next_pulse_ms()
            .filter(|due_ms| *due_ms <= now_ms);
        let is_far = plan.size() >= self.pulsed_at.saturating_add(PULSE_LEAVES);
        if !self.began || due_ms.is_some() || is_far {
            self.pulsed_at = plan.size();
            plan.pulse(due_ms.filter(|_| self.began))?;
            self.began = true;
        }
        plan.transitions()?;
        plan.refusals(self.refusals.due(now_ms))
    }
}

fn has_member(object: &Value, name: &str) -> bool {
    matches!(object, Value::Object(members) if members.iter().any(|(known, _)| known == name))
}
