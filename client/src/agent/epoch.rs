//! Beginning an epoch: as a new process, or as the same one under a new lease.
//!
//! A chain's first `prev` is the record that opened the epoch, and that is the one record of its chain that an agent
//! has not signed itself. It is fetched, shown to be in the log, and read: it must be the agent's lease, or the
//! transition or order that began the healing.

use ledger::digest::RecordHash;
use ledger::envelope::Validity;
use ledger::record::{AgentState, Body, Chain, Charter, Heartbeat, Instance, Mode};

use super::proofs::Kept;
use super::{Agent, AgentError};
use crate::identity::LogIdentity;
use crate::journal::{Line, Tip};
use crate::submission::{Logged, find};
use crate::transport::Transport;
use wire::{AgentAsOf, Standing};

/// Where an agent stands, seen from a process of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The agent's state.
    pub state: AgentState,
    /// Who speaks in the epoch in force.
    pub speaker: Speaker,
    /// Milliseconds since its last heartbeat.
    pub pulse_age_ms: u64,
}

/// Who speaks in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Nobody has begun it.
    Nobody,
    /// Whoever signs into this journal.
    This,
    /// A process with another journal.
    Another,
}

impl<T: Transport> Agent<T> {
    /// Begins as a new process. What a process before this one left is settled first: what it signed is logged, what it
    /// was about to do is closed, and if it did not say goodbye that is said for it.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; [`Refused`](AgentError::Refused) tells by its code why the log does not let it begin.
    pub fn start(&mut self, now_ms: u64) -> Result<(), AgentError> {
        self.patiently(|agent| agent.begin(now_ms))
    }

    fn begin(&mut self, now_ms: u64) -> Result<(), AgentError> {
        self.settle_pending(now_ms)?;
        self.adopt()?;
        let mut claims = self.claims()?;
        let lease = self.lease_of(&claims)?;
        if self.speaks_in(&claims) {
            self.close_what_was_left(now_ms)?;
            claims = self.claims()?;
        }
        let instance = draw_instance()?;
        self.open_epoch(&claims, lease, instance, now_ms)?;
        self.close_orphans(now_ms)?;
        self.say_unsaid(now_ms)
    }

    /// Goes on where the journal stands, as the same process, or begins if there is nothing to go on with.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn resume(&mut self, now_ms: u64) -> Result<(), AgentError> {
        self.patiently(|agent| agent.go_on(now_ms))
    }

    fn go_on(&mut self, now_ms: u64) -> Result<(), AgentError> {
        self.settle_pending(now_ms)?;
        self.adopt()?;
        let claims = self.claims()?;
        let lease = self.lease_of(&claims)?;
        self.keep_time(&claims, now_ms)?;
        if !self.speaks_in(&claims) {
            let instance = self.instance_for(&claims, lease)?;
            self.open_epoch(&claims, lease, instance, now_ms)?;
        }
        self.say_unsaid(now_ms)
    }

    /// The charter in force: how often to beat, how long silence may last, whether the rules bind.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn charter(&mut self) -> Result<Charter, AgentError> {
        self.patiently(Self::read_charter)
    }

    fn read_charter(&mut self) -> Result<Charter, AgentError> {
        let record = self.waiting.call(|| self.transport.charter())?.record;
        let entry = self.find_kept(record, Kept::Charter)?;
        let Body::Charter(charter) = &entry.record().record().body else {
            return Err(not_an_opening(record, "it is not a charter"));
        };
        let mode = charter.mode;
        if let Some((known, _)) = self.book().charter().filter(|known| known.0 != record)
            && self.find(known)?.index() > entry.index()
        {
            // What a log once showed, anybody can show again.
            return Err(not_an_opening(record, "a later charter is known here"));
        }
        if self.book().charter() != Some((record, mode)) {
            self.journal.append(&Line::Charter { record, mode })?;
        }
        Ok((**charter).clone())
    }

    /// What the service says about the agent, for a process that no longer knows whether it speaks for it.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn outlook(&self) -> Result<Outlook, AgentError> {
        let claims = self.claims()?;
        // What was signed and not yet answered is in the journal, and not yet in the service's count.
        let is_own =
            |tip: &Tip| tip.epoch == claims.agent.epoch && tip.next_seq >= claims.agent.next_seq;
        let speaker = match self.book().tip() {
            _ if claims.agent.next_seq == 0 => Speaker::Nobody,
            Some(tip) if is_own(&tip) => Speaker::This,
            _ => Speaker::Another,
        };
        Ok(Outlook {
            state: claims.agent.state.parse()?,
            speaker,
            pulse_age_ms: claims.agent.pulse_age_ms,
        })
    }

    /// Asks where the agent stands, as an answer to a record would have told it. It is not taken for one: what is signed
    /// next is signed where the journal stands, and the log says what becomes of it.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn ask_standing(&mut self) -> Result<Standing, AgentError> {
        let claims = self.claims()?;
        let standing = Standing {
            state: claims.agent.state.parse()?,
            epoch: claims.agent.epoch,
            next_seq: claims.agent.next_seq,
            lease_ends_ms: claims.agent.lease_ends_ms,
            ask: claims.agent.ask,
        };
        // Newer than what the last record's answer said; an epoch is followed by records alone.
        if let Some(known) = &mut self.standing
            && known.epoch == standing.epoch
        {
            *known = standing;
        }
        Ok(standing)
    }

    /// Follows a lease that was granted while this process runs.
    pub(super) fn follow_lease(&mut self, now_ms: u64) -> Result<(), AgentError> {
        let epoch = self.standing.map_or(0, |standing| standing.epoch);
        if epoch > self.tip()?.epoch {
            self.enter_next_epoch(now_ms)?;
        }
        Ok(())
    }

    /// The same process goes on under a new lease. An epoch that anything else opened is not for it.
    pub(super) fn enter_next_epoch(&mut self, now_ms: u64) -> Result<(), AgentError> {
        self.adopt()?;
        let claims = self.claims()?;
        let tip = self.tip()?;
        if claims.agent.next_seq != 0 {
            let reason = format!("another one speaks in epoch {}", claims.agent.epoch);
            return Err(AgentError::Fenced { reason });
        }
        let lease = self.lease_of(&claims)?;
        if claims.agent.head != Some(lease) {
            let reason = format!("epoch {} was not opened by a lease", claims.agent.epoch);
            return Err(AgentError::Fenced { reason });
        }
        self.open_epoch(&claims, lease, tip.instance, now_ms)
            .map(drop)
    }

    pub(super) fn claims(&self) -> Result<AgentAsOf, AgentError> {
        let claims = self.waiting.call(|| self.transport.agent(self.name()));
        claims.map_err(|error| {
            if error.is_not_found() {
                let agent = self.name().clone();
                return AgentError::UnknownAgent { agent };
            }
            error.into()
        })
    }

    /// The lease that the service names, if it is one for this agent and this version.
    fn lease_of(&mut self, claims: &AgentAsOf) -> Result<RecordHash, AgentError> {
        let record = claims.agent.lease.ok_or(AgentError::NoLease)?;
        let entry = self.find_kept(record, Kept::Lease)?;
        match &entry.record().record().body {
            Body::Lease(lease) if lease.agent == *self.name() => {
                let (got, want) = (self.manifest_hash, lease.manifest_hash);
                // Beside a log that observes another version is a breach, which it tells of.
                if got != want && self.is_bound() {
                    let changes = self.changes_since(want);
                    return Err(AgentError::OtherVersion { got, want, changes });
                }
                if let Some((version, kept)) = &self.files {
                    // Without it a refusal later names no files, and nothing else is lost.
                    let _ = kept.keep(version);
                }
                Ok(record)
            }
            _ => Err(not_an_opening(record, "it is not a lease of the agent")),
        }
    }

    /// Whether the chain in the journal is the one in force, and unfinished.
    fn speaks_in(&self, claims: &AgentAsOf) -> bool {
        let is_in_force = |tip: &Tip| tip.epoch == claims.agent.epoch && claims.agent.next_seq != 0;
        let is_down = claims.agent.state == AgentState::Stopped.as_str();
        self.book()
            .tip()
            .is_some_and(|tip| is_in_force(&tip) && !(tip.said_goodbye || is_down))
    }

    /// The process before this one is gone: the journal is not locked. Its last words are said for it.
    fn close_what_was_left(&mut self, now_ms: u64) -> Result<(), AgentError> {
        self.close_orphans(now_ms)?;
        self.say_unsaid(now_ms)?;
        self.goodbye(now_ms).map(drop)
    }

    /// A lease is for whoever goes on; what control opened is for a new process.
    fn instance_for(&self, claims: &AgentAsOf, lease: RecordHash) -> Result<Instance, AgentError> {
        let goes_on = claims.agent.next_seq == 0 && claims.agent.head == Some(lease);
        match self.book().tip() {
            Some(tip) if goes_on => Ok(tip.instance),
            _ => draw_instance(),
        }
    }

    fn open_epoch(
        &mut self,
        claims: &AgentAsOf,
        lease: RecordHash,
        instance: Instance,
        now_ms: u64,
    ) -> Result<Logged, AgentError> {
        let (epoch, prev) = match claims.agent.head {
            Some(head) if claims.agent.next_seq == 0 => (claims.agent.epoch, head),
            // The agent opens its next epoch itself.
            _ => (claims.agent.epoch.saturating_add(1), lease),
        };
        if prev != lease {
            self.check_opening(prev, epoch)?;
        }
        let before = self.last_of(claims)?;
        self.catch_up()?;
        let last_epoch = self.book().tip().map_or(0, |tip| tip.epoch);
        if epoch <= last_epoch {
            let reason = format!("the log is at epoch {epoch}, the journal at {last_epoch}");
            return Err(AgentError::ChainParted { reason });
        }
        let chain = Chain {
            agent: self.name().clone(),
            epoch,
            instance,
            seq: 0,
            prev,
        };
        let body = Body::Heartbeat(Box::new(Heartbeat {
            chain,
            progress: 0,
            r#final: false,
            manifest_hash: self.manifest_hash,
            before,
            seen: self.seen(),
        }));
        self.keep_time(claims, now_ms)?;
        // The record before is the last one, or the log does not take this one: so nothing is opened in between.
        self.has_left_open = !(claims.open_intents.is_empty() && claims.open_goals.is_empty());
        let stamp = self.stamp(now_ms);
        let signed = self.seal(body, stamp, Vec::new())?;
        self.keep(&signed, &[], false)?;
        self.send(&signed)
    }

    /// Another process of the agent may have told of a larger checkpoint, and what an agent has seen never shrinks: so
    /// the newest is looked at before the epoch begins.
    fn catch_up(&mut self) -> Result<(), AgentError> {
        match self.look() {
            // The next heartbeat finds the fork again and tells of it: there has to be an epoch for that.
            Ok(()) | Err(AgentError::SplitView { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// That a record which is not a lease opened the epoch.
    fn check_opening(&mut self, record: RecordHash, epoch: u64) -> Result<(), AgentError> {
        let entry = self.find(record)?;
        match &entry.record().record().body {
            Body::Transition(transition)
                if transition.agent == *self.name() && transition.epoch == epoch =>
            {
                Ok(())
            }
            Body::Order(order)
                if order.agent == *self.name() && order.to == AgentState::Autohealing =>
            {
                Ok(())
            }
            _ => Err(not_an_opening(record, "it opens no epoch of the agent")),
        }
    }

    /// The agent's last record of any epoch. One that the journal does not know, because it was lost or is another
    /// machine's, must be in the log and signed by this very key.
    fn last_of(&mut self, claims: &AgentAsOf) -> Result<Option<RecordHash>, AgentError> {
        let known = self.book().last_logged();
        let Some(last) = claims.agent.last.filter(|last| Some(*last) != known) else {
            return match (claims.agent.last, known) {
                (None, Some(known)) => Err(AgentError::ChainParted {
                    reason: format!("the log no longer has {known}"),
                }),
                (last, _) => Ok(last),
            };
        };
        let entry = self.find(last)?;
        let key = self.key.public();
        let checked = entry
            .record()
            .envelope()
            .check_signatures(&|id| (*id == key.id()).then_some(key));
        let is_own =
            crate::journal::chain(entry.record()).is_some_and(|chain| chain.agent == *self.name());
        if !is_own || !checked.iter().all(|by| by.validity == Validity::Valid) {
            let reason = format!("{last} is the agent's last record, and not by its key");
            return Err(AgentError::ChainParted { reason });
        }
        Ok(Some(last))
    }
}

fn draw_instance() -> Result<Instance, AgentError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| AgentError::NoSuchRecord(ledger::codes::Code::Internal.because(error)))?;
    Ok(Instance::from_bytes(bytes))
}

pub(super) fn not_an_opening(record: RecordHash, reason: &str) -> AgentError {
    let reason = reason.to_owned();
    AgentError::NotAnOpening { record, reason }
}

/// Whether the rules of a log bind, by the charter that is in force there.
///
/// # Errors
///
/// [`AgentError`].
pub fn mode_of(transport: &impl Transport, log: &LogIdentity) -> Result<Mode, AgentError> {
    let record = transport.charter()?.record;
    match &find(transport, log, record)?.record().record().body {
        Body::Charter(charter) => Ok(charter.mode),
        _ => Err(not_an_opening(record, "it is not a charter")),
    }
}
