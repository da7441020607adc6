//! The work of operators: register versions of agents, grant leases, give orders.
//!
//! Each builds a record bound to the log, about records that are shown to be in the log; signs it into the operator's
//! [journal](crate::journal::OperatorJournal); hands it in; and checks the proof that comes back. Where the same was
//! signed before and nobody has answered, the same bytes are sent again.

mod again;

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Body, Budget, Kind, Lease, LeaseRenewal, LeaseRevocation, Manifest, Order, Record,
    Registration, SignedRecord,
};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};

use crate::identity::LogIdentity;
use crate::journal::{JournalError, Line, OperatorJournal, Unsettled};
use crate::shown::{self, ShownError};
use crate::submission::{Logged, SubmitError, find, find_signed, hand_in};
use crate::transport::Transport;
use crate::transport::{Problem, ServiceError};

/// How many records that were never answered are looked for after each command: each costs a request.
const MAX_LOOKED_FOR: usize = 16;

/// An operator at work: where, for which log, with which keys.
#[derive(Clone, Copy)]
pub struct Operator<'a> {
    /// The service.
    pub service: &'a dyn Transport,
    /// The log that the records are made for.
    pub log: &'a LogIdentity,
    /// What was signed here before.
    pub journal: &'a OperatorJournal,
    /// The keys that sign, as many as the charter's threshold asks for.
    pub keys: &'a [PrivateKey],
    /// What time it is: milliseconds since the epoch.
    pub now_ms: u64,
}

/// A lease to be granted, for the version of the agent that is active when it is.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The agent.
    pub agent: Name,
    /// What is allowed.
    pub allow: Vec<Pattern>,
    /// What is denied all the same.
    pub deny: Vec<Pattern>,
    /// How much of it.
    pub budget: Budget,
    /// How long, from now on, in milliseconds.
    pub for_ms: u64,
    /// How long control may renew it, from now on, in milliseconds; `None` for not at all.
    pub renewable_ms: Option<u64>,
    /// The lease of another agent that this one is a part of.
    pub parent: Option<RecordHash>,
    /// The purpose.
    pub purpose: Text,
}

/// Why a record is not in the log, as far as can be told.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The caller's: no such record can be made.
    #[error("the record is not valid: {0}")]
    NoSuchRecord(Refusal),
    /// The service's: what the record would be about is not shown to be in the log, so nothing was signed.
    #[error("nothing was signed")]
    NotShown(#[from] ShownError),
    /// The caller's: the lease is not a lease.
    #[error("{record} is a {kind}, and not a lease: nothing was signed")]
    NotALease {
        /// What was named.
        record: RecordHash,
        /// What it is.
        kind: Kind,
    },
    /// This machine's: what was signed cannot be kept, so nothing was sent.
    #[error("the operator's journal cannot be kept")]
    Journal(#[from] JournalError),
    /// It was not logged, or not shown to be.
    #[error(transparent)]
    NotLogged(#[from] SubmitError),
    /// Nobody has said what became of it.
    #[error(
        "{record} was signed, but nobody has answered whether it is logged: the same command sends the same bytes again, \
         and `dragons lease list` shows leases that were never answered"
    )]
    Unanswered {
        /// The record.
        record: RecordHash,
        /// Why there is no answer.
        source: ServiceError,
    },
}

impl Operator<'_> {
    /// Registers a version of an agent, in place of the one that is active. The agent's key signs too.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn register(
        &self,
        manifest: Manifest,
        agent_key: &PrivateKey,
        reason: Text,
    ) -> Result<Logged, OperatorError> {
        let registration = Registration {
            agent: manifest.agent.clone(),
            key: agent_key.public(),
            manifest_hash: manifest.hash(),
            replaces: self.active_registration(&manifest.agent)?,
            manifest,
            reason,
        };
        self.submit(Body::Manifest(Box::new(registration)), &[agent_key])
    }

    /// Grants a lease to the active version of an agent. It opens the agent's next epoch.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn grant(&self, grant: Grant) -> Result<Logged, OperatorError> {
        let (known, registration) = shown::registration(self.service, self.log, &grant.agent)?;
        if let Some(record) = known.agent.after {
            shown::decision(self.service, self.log, &grant.agent, record)?;
        }
        let lease = Lease {
            manifest_hash: registration.manifest_hash,
            agent: grant.agent,
            allow: grant.allow,
            deny: grant.deny,
            budget: grant.budget,
            not_before_ms: self.now_ms,
            expires_ms: self.now_ms.saturating_add(grant.for_ms),
            renew_until_ms: grant
                .renewable_ms
                .map(|span| self.now_ms.saturating_add(span)),
            parent: grant.parent,
            after: known.agent.after,
            purpose: grant.purpose,
        };
        self.submit(Body::Lease(Box::new(lease)), &[])
    }

    /// Gives a lease that is valid more time: from the moment at which it ends now, up to another.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn renew(
        &self,
        lease: RecordHash,
        from_ms: u64,
        expires_ms: u64,
    ) -> Result<Logged, OperatorError> {
        self.is_a_lease(lease)?;
        let renewal = LeaseRenewal {
            lease,
            from_ms,
            expires_ms,
        };
        self.submit(Body::LeaseRenewal(renewal), &[])
    }

    /// Ends a lease.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn revoke(&self, lease: RecordHash, reason: Text) -> Result<Logged, OperatorError> {
        self.is_a_lease(lease)?;
        let revocation = LeaseRevocation { lease, reason };
        self.submit(Body::LeaseRevocation(revocation), &[])
    }

    /// Orders an agent into quarantine, out of it into healing, or to a stop, which ends its lease. A release names what
    /// was decided last. The others do if that can be shown, and go out all the same if not, or if something was decided
    /// meanwhile: a kill switch waits for nobody.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn order(
        &self,
        agent: Name,
        to: AgentState,
        reason: Text,
    ) -> Result<Logged, OperatorError> {
        let is_kill_switch = to != AgentState::Autohealing;
        let after = match self.newest_decision(&agent) {
            Err(error) if !is_kill_switch => return Err(error.into()),
            after => after.unwrap_or_default(),
        };
        let order = |after| {
            Body::Order(Order {
                agent: agent.clone(),
                to,
                after,
                reason: reason.clone(),
            })
        };
        match self.submit(order(after), &[]) {
            Err(error) if is_kill_switch && after.is_some() && error.says(Code::AfterMismatch) => {
                self.submit(order(None), &[])
            }
            ordered => ordered,
        }
    }

    /// Looks whether records are in the log of which that was not known, and notes it. Gives those that are.
    ///
    /// # Errors
    ///
    /// [`OperatorError::Journal`]. What cannot be asked now stays open.
    pub fn settle(&self) -> Result<Vec<SignedRecord>, OperatorError> {
        let unsettled = self.journal.unsettled()?;
        let newest = unsettled.into_iter().rev().take(MAX_LOOKED_FOR);
        let mut found = Vec::new();
        for Unsettled { record, .. } in newest {
            if let Ok(entry) = find_signed(self.service, self.log, &record) {
                self.note_logged(record.hash(), entry.index().get(), entry.received_ms())?;
                found.push(record);
            }
        }
        Ok(found)
    }

    fn active_registration(&self, agent: &Name) -> Result<Option<RecordHash>, OperatorError> {
        match shown::registration(self.service, self.log, agent) {
            Ok((known, _)) => Ok(Some(known.agent.registration)),
            Err(ShownError::Service(error)) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn newest_decision(&self, agent: &Name) -> Result<Option<RecordHash>, ShownError> {
        let known = self.service.agent(agent)?;
        if let Some(record) = known.agent.after {
            shown::decision(self.service, self.log, agent, record)?;
        }
        Ok(known.agent.after)
    }

    fn is_a_lease(&self, record: RecordHash) -> Result<(), OperatorError> {
        let entry = find(self.service, self.log, record).map_err(ShownError::from)?;
        match entry.record().kind() {
            Kind::Lease => Ok(()),
            kind => Err(OperatorError::NotALease { record, kind }),
        }
    }

    fn submit(&self, body: Body, more_keys: &[&PrivateKey]) -> Result<Logged, OperatorError> {
        let record = Record {
            log: Some(self.log.log),
            at_ms: self.now_ms,
            body,
            ext: None,
        };
        let keys: Vec<&PrivateKey> = self.keys.iter().chain(more_keys.iter().copied()).collect();
        let signed = record.sign(&keys).map_err(OperatorError::NoSuchRecord)?;
        if let Some(earlier) = self.signed_before(&signed)? {
            match self.send(&earlier) {
                // It counts for nothing any more, and what is wanted is wanted still.
                Err(error) if error.is_judged() => {}
                answered => return answered,
            }
        }
        self.journal
            .append(&Line::Signed(Box::new(signed.clone())))?;
        self.send(&signed)
    }

    /// A record with the same content that got no answer.
    fn signed_before(&self, signed: &SignedRecord) -> Result<Option<SignedRecord>, OperatorError> {
        let unsettled = self.journal.unsettled()?;
        let unanswered = unsettled
            .into_iter()
            .rev()
            .filter(|it| it.refused.is_none());
        let mut records = unanswered.map(|it| it.record);
        Ok(records.find(|earlier| again::says_the_same(earlier, signed)))
    }

    fn send(&self, signed: &SignedRecord) -> Result<Logged, OperatorError> {
        let record = signed.hash();
        match hand_in(self.service, self.log, signed) {
            Ok(logged) => {
                self.note_logged(record, logged.index().get(), logged.entry.received_ms())?;
                Ok(logged)
            }
            Err(SubmitError::Service(ServiceError::Refused(problem))) if problem.is_judgement() => {
                self.hear_refusal(signed, problem)
            }
            Err(SubmitError::Service(source)) => Err(OperatorError::Unanswered { record, source }),
            Err(error) => Err(error.into()),
        }
    }

    /// A refusal is not signed, so the log is asked for the record.
    fn hear_refusal(
        &self,
        signed: &SignedRecord,
        problem: Box<Problem>,
    ) -> Result<Logged, OperatorError> {
        let record = signed.hash();
        if let Ok(entry) = find_signed(self.service, self.log, signed) {
            self.note_logged(record, entry.index().get(), entry.received_ms())?;
            return Ok(Logged {
                entry,
                is_duplicate: true,
                breach: None,
                standing: None,
            });
        }
        let refusal = problem.refusal();
        self.journal.append(&Line::Refused { record, refusal })?;
        Err(SubmitError::from(ServiceError::Refused(problem)).into())
    }

    fn note_logged(
        &self,
        record: RecordHash,
        index: u64,
        received_ms: u64,
    ) -> Result<(), OperatorError> {
        Ok(self.journal.append(&Line::Logged {
            record,
            index,
            received_ms,
        })?)
    }
}

impl OperatorError {
    /// The judgement, if the record was judged.
    fn problem(&self) -> Option<&Problem> {
        match self {
            Self::NotLogged(SubmitError::Service(ServiceError::Refused(problem))) => Some(problem),
            _ => None,
        }
    }

    fn is_judged(&self) -> bool {
        self.problem().is_some()
    }

    fn says(&self, code: Code) -> bool {
        self.problem()
            .is_some_and(|problem| problem.code == Some(code))
    }
}

#[cfg(test)]
mod tests;
