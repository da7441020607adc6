//! What operators do: register versions of agents, grant leases, give orders.
//!
//! Each builds a record bound to the log, signs it, hands it in, and checks the proof that comes back.

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Body, Budget, Lease, LeaseRenewal, LeaseRevocation, Manifest, Order, Record,
    Registration,
};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};

use crate::http::{Agent, ServiceError};
use crate::identity::LogIdentity;
use crate::submission::{Logged, SubmitError, hand_in};
use crate::transport::Transport;

/// An operator at work: where, for which log, with which keys.
#[derive(Clone, Copy)]
pub struct Operator<'a> {
    /// The service.
    pub service: &'a dyn Transport,
    /// The log that the records are made for.
    pub log: &'a LogIdentity,
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
    /// What for.
    pub purpose: Text,
}

/// Why a record is not in the log, as far as can be told.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The caller's: no such record can be made.
    #[error("there is no such record: {0}")]
    NoSuchRecord(Refusal),
    /// It was not logged, or not shown to be.
    #[error(transparent)]
    NotLogged(#[from] SubmitError),
}

impl Operator<'_> {
    /// Registers a version of an agent, in the place of the one that is active. The agent's key signs too.
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
        let known = self.known(&grant.agent)?;
        let lease = Lease {
            manifest_hash: known.manifest_hash,
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
            after: known.after,
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
        let revocation = LeaseRevocation { lease, reason };
        self.submit(Body::LeaseRevocation(revocation), &[])
    }

    /// Orders an agent into quarantine, out of it into healing, or to a stop, which ends its lease. A release names what
    /// was decided last; the others do if that can be read, and go out all the same if not.
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
        let after = match (self.known(&agent), to) {
            (Ok(known), _) => known.after,
            (Err(error), AgentState::Autohealing) => return Err(error),
            (Err(_), _) => None,
        };
        let order = Order {
            agent,
            to,
            after,
            reason,
        };
        self.submit(Body::Order(order), &[])
    }

    fn active_registration(&self, agent: &Name) -> Result<Option<RecordHash>, OperatorError> {
        match self.service.agent(agent) {
            Ok(known) => known
                .registration
                .map(Some)
                .ok_or_else(|| no_registration(agent)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(SubmitError::from(error).into()),
        }
    }

    fn known(&self, agent: &Name) -> Result<Agent, OperatorError> {
        Ok(self.service.agent(agent).map_err(SubmitError::from)?)
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
        Ok(hand_in(self.service, self.log, &signed)?)
    }
}

fn no_registration(agent: &Name) -> OperatorError {
    let request = format!("GET /v1/agents/{agent}");
    let reason = "it does not say which registration is active".to_owned();
    SubmitError::from(ServiceError::Malformed { request, reason }).into()
}
