//! What a service says about an agent, checked against the log: a record that it names is there and about that agent.
//!
//! Whoever signs about a record has looked at it. That it is the newest of its kind is the service's word still; the
//! log itself refuses what rests on an older one.

use ledger::digest::RecordHash;
use ledger::record::{Body, Lease, Registration};
use ledger::text::Name;

use crate::entry::Entry;
use crate::identity::LogIdentity;
use crate::submission::{SubmitError, find};
use crate::transport::ServiceError;
use crate::transport::Transport;
use wire::AgentAsOf;

/// Why what a service names cannot be gone by.
#[derive(Debug, thiserror::Error)]
pub enum ShownError {
    /// The service could not be asked what it knows of the agent.
    #[error("the service could not be asked about the agent")]
    Service(#[from] ServiceError),
    /// A record that the service names is not shown to be in the log.
    #[error("the service does not prove that what it names is in the log")]
    NotShown(#[from] SubmitError),
    /// The record is in the log, and is not what it is said to be.
    #[error("{record} is not {what} {agent}, though the service says so")]
    NotAbout {
        /// The record.
        record: RecordHash,
        /// What it should be.
        what: &'static str,
        /// The agent.
        agent: Name,
    },
}

/// The registration that the service says is active, and all that it says about the agent.
///
/// # Errors
///
/// [`ShownError`].
pub fn registration(
    service: &(impl Transport + ?Sized),
    log: &LogIdentity,
    agent: &Name,
) -> Result<(AgentAsOf, Registration), ShownError> {
    let claims = service.agent(agent)?;
    let registration = registration_in(service, log, agent, &claims)?;
    Ok((claims, registration))
}

/// Everything that the service names of an agent: its registration, its lease, the newest decision about it, and its
/// own last record.
///
/// # Errors
///
/// [`ShownError`].
pub fn all_of(
    service: &(impl Transport + ?Sized),
    log: &LogIdentity,
    agent: &Name,
    claims: &AgentAsOf,
) -> Result<(), ShownError> {
    registration_in(service, log, agent, claims)?;
    if let Some(record) = claims.agent.lease {
        lease(service, log, agent, record)?;
    }
    if let Some(record) = claims.agent.after {
        decision(service, log, agent, record)?;
    }
    if let Some(record) = claims.agent.last {
        let entry = find(service, log, record)?;
        let is_own = crate::journal::chain(entry.record()).is_some_and(|it| it.agent == *agent);
        expect(is_own, record, "a record of", agent)?;
    }
    Ok(())
}

/// A lease of an agent.
///
/// # Errors
///
/// [`ShownError`].
pub fn lease(
    service: &(impl Transport + ?Sized),
    log: &LogIdentity,
    agent: &Name,
    record: RecordHash,
) -> Result<Lease, ShownError> {
    match &find(service, log, record)?.record().record().body {
        Body::Lease(lease) if lease.agent == *agent => Ok((**lease).clone()),
        _ => Err(not_about(record, "a lease of", agent)),
    }
}

/// The newest lease, revocation or order about an agent.
///
/// # Errors
///
/// [`ShownError`].
pub fn decision(
    service: &(impl Transport + ?Sized),
    log: &LogIdentity,
    agent: &Name,
    record: RecordHash,
) -> Result<(), ShownError> {
    let entry = find(service, log, record)?;
    let is_about = match &entry.record().record().body {
        Body::Lease(lease) => lease.agent == *agent,
        Body::Order(order) => order.agent == *agent,
        Body::LeaseRevocation(revocation) => {
            return lease(service, log, agent, revocation.lease).map(drop);
        }
        _ => false,
    };
    expect(is_about, record, "a decision about", agent)
}

fn registration_in(
    service: &(impl Transport + ?Sized),
    log: &LogIdentity,
    agent: &Name,
    claims: &AgentAsOf,
) -> Result<Registration, ShownError> {
    let record = claims.agent.registration;
    let entry: Entry = find(service, log, record)?;
    match &entry.record().record().body {
        Body::Manifest(shown) if shown.agent == *agent => Ok((**shown).clone()),
        _ => Err(not_about(record, "a registration of", agent)),
    }
}

fn expect(
    holds: bool,
    record: RecordHash,
    what: &'static str,
    agent: &Name,
) -> Result<(), ShownError> {
    match holds {
        true => Ok(()),
        false => Err(not_about(record, what, agent)),
    }
}

fn not_about(record: RecordHash, what: &'static str, agent: &Name) -> ShownError {
    ShownError::NotAbout {
        record,
        what,
        agent: agent.clone(),
    }
}
