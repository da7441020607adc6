//! What operators do: register versions of agents, grant leases, stop agents.
//!
//! Each builds a record bound to the log, signs it, hands it in, and checks the proof that comes back.

use ledger::codes::Refusal;
use ledger::digest::{Digest, RecordHash};
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Body, Budget, Lease, Manifest, Order, Record, Registration, SignedRecord,
};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};
use tlog::LeafIndex;

use crate::entry::{Entry, EntryError};
use crate::http::{LoggedAs, Service, ServiceError};
use crate::identity::LogIdentity;

/// An operator at work: where, for which log, with which keys.
#[derive(Debug)]
pub struct Operator<'a> {
    /// The service.
    pub service: &'a Service,
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

/// A record that is in the log, shown by its proof.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The entry that it is.
    pub entry: Entry,
    /// Whether it was there before.
    pub is_duplicate: bool,
    /// The rule that it breaks, where the log only observes.
    pub breach: Option<String>,
}

/// Why a record is not in the log, as far as can be told.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The caller's: no such record can be made.
    #[error("there is no such record: {0}")]
    NoSuchRecord(Refusal),
    /// The service did not answer, or refused.
    #[error("the record was not logged")]
    Service(#[from] ServiceError),
    /// The service says that it is in the log, and does not show it.
    #[error("the service says that the record is in the log, but does not show it")]
    NotShown(#[from] EntryError),
    /// The service shows another record instead.
    #[error("the service says that {want} is in the log, but shows {got} instead")]
    OtherRecord {
        /// The record that it shows.
        got: RecordHash,
        /// The record that was handed in.
        want: RecordHash,
    },
}

impl Logged {
    /// The record's name.
    pub const fn record(&self) -> RecordHash {
        self.entry.record().hash()
    }

    /// Its index.
    pub const fn index(&self) -> LeafIndex {
        self.entry.index()
    }
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
            manifest_hash: manifest.hash().map_err(OperatorError::NoSuchRecord)?,
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
        let lease = Lease {
            manifest_hash: self.active_manifest(&grant.agent)?,
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
            purpose: grant.purpose,
        };
        self.submit(Body::Lease(Box::new(lease)), &[])
    }

    /// Stops an agent, which ends its lease.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn stop(&self, agent: Name, reason: Text) -> Result<Logged, OperatorError> {
        self.submit(
            Body::Order(Order {
                agent,
                to: AgentState::Stopped,
                reason,
            }),
            &[],
        )
    }

    fn active_registration(&self, agent: &Name) -> Result<Option<RecordHash>, OperatorError> {
        match self.service.agent(agent) {
            Ok((known, _)) => known
                .registration
                .map(Some)
                .ok_or_else(|| no_registration(agent)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn active_manifest(&self, agent: &Name) -> Result<Digest, OperatorError> {
        Ok(self.service.agent(agent)?.0.manifest_hash)
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
        hand_in(self.service, self.log, &signed)
    }
}

fn no_registration(agent: &Name) -> OperatorError {
    let request = format!("GET /v1/agents/{agent}");
    let reason = "it does not say which registration is active".to_owned();
    ServiceError::Malformed { request, reason }.into()
}

/// Hands a record to the log, and believes that it is there when it is shown.
///
/// # Errors
///
/// [`OperatorError`].
pub fn hand_in(
    service: &Service,
    log: &LogIdentity,
    signed: &SignedRecord,
) -> Result<Logged, OperatorError> {
    let answer = service.submit(signed.envelope())?;
    let entry = Entry::open(&answer.proof, LeafIndex::new(answer.index), log)?;
    let (got, want) = (entry.record().hash(), signed.hash());
    if got != want {
        return Err(OperatorError::OtherRecord { got, want });
    }
    Ok(Logged {
        entry,
        is_duplicate: answer.result == LoggedAs::Duplicate,
        breach: answer.breach,
    })
}
