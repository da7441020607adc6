//! The inbox: requests for leases that wait for an operator.
//!
//! What is here is not part of the log and carries no authority; losing it loses nothing but the trouble of asking
//! again. So it is kept simply: one file an agent in one folder, replaced whole. It is bounded three ways: by who may
//! put something in (keys that registered agents have), by one request an agent, and by the size of a request.
//!
//! A request is *open* as long as an operator could grant it: the agent still has the version and the key that it was
//! made with, no lease was granted since, and it is not older than the charter's `authority_age_ms`. An answered one is
//! kept until it is that old, so that whoever has seen it cannot put it in again.

mod file;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::json::{Members, Value, integer, object, parsed};
use ledger::request::SignedRequest;
use ledger::text::Name;

use crate::log::Clock;
use file::Folder;

/// The most requests that are kept: more than operators read, and 12 MiB of the largest.
pub const MAX_REQUESTS: usize = 1_024;

/// How far an agent's clock may be ahead of the service's, as for what agents log.
const MAX_AHEAD_MS: u64 = 2 * 60 * 1000;

/// A request as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// When: milliseconds since the epoch.
    pub received_ms: u64,
    /// The newest lease that the agent had then. A later one answers the request.
    pub lease: Option<RecordHash>,
    /// The request.
    pub request: SignedRequest,
}

/// The requests that wait, and those that were answered not long ago.
pub struct Inbox {
    clock: Arc<dyn Clock>,
    folder: Option<Folder>,
    held: Mutex<BTreeMap<Name, Received>>,
}

impl Inbox {
    /// An inbox that is gone when the service is.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            folder: None,
            held: Mutex::default(),
        }
    }

    /// The inbox in a folder, which is made if it is not there. Files that hold no request are passed over and said.
    ///
    /// # Errors
    /// If the folder can neither be read nor made.
    pub fn open(folder: PathBuf, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let folder = Folder::open(folder)?;
        let held = folder.read()?;
        Ok(Self {
            clock,
            folder: Some(folder),
            held: Mutex::new(held),
        })
    }

    /// Takes a request, in place of an older one of the agent. The same one again changes nothing.
    ///
    /// # Errors
    /// `origin-mismatch`, `agent-unknown`, `key-not-agents`, `signature-invalid`, `manifest-not-active`, `stale`,
    /// `clock-ahead`, `overloaded` if there are [`MAX_REQUESTS`], `internal` if it cannot be written.
    pub fn put(&self, state: &State, request: SignedRequest) -> Result<Received, Refusal> {
        let now_ms = self.clock.wall_ms();
        check(state, &request, now_ms)?;
        let agent = request.request().agent.clone();
        let received = Received {
            received_ms: now_ms,
            lease: state.agent(&agent).and_then(ledger::govern::Agent::lease),
            request,
        };
        let mut held = self.held();
        if let Some(there) = held.get(&agent) {
            if there.request.id() == received.request.id() {
                return Ok(there.clone());
            }
            check_newer(there, &received)?;
        }
        self.make_room(&mut held, &agent, state, now_ms)?;
        self.write(&agent, &received)?;
        held.insert(agent, received.clone());
        Ok(received)
    }

    /// The requests that are open, by the names of the agents behind `after`.
    pub fn open_requests(&self, state: &State, after: Option<&Name>, most: usize) -> Vec<Received> {
        let now_ms = self.clock.wall_ms();
        let held = self.held();
        let behind = |(name, _): &(&Name, &Received)| after.is_none_or(|after| *name > after);
        let open = held.iter().filter(behind).map(|(_, received)| received);
        let open = open.filter(|received| received.is_open(state, now_ms));
        open.take(most).cloned().collect()
    }

    /// Drops what nobody will answer any more, if that is needed for one more agent.
    fn make_room(
        &self,
        held: &mut BTreeMap<Name, Received>,
        agent: &Name,
        state: &State,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        if held.len() < MAX_REQUESTS || held.contains_key(agent) {
            return Ok(());
        }
        let answered = |(_, received): &(&Name, &Received)| !received.is_open(state, now_ms);
        let answered: Vec<Name> = held
            .iter()
            .filter(answered)
            .map(|(name, _)| name.clone())
            .collect();
        for name in &answered {
            held.remove(name);
            self.folder.iter().for_each(|folder| folder.remove(name));
        }
        if held.len() < MAX_REQUESTS {
            return Ok(());
        }
        Err(Code::Overloaded.because(format!("{MAX_REQUESTS} requests wait for an operator")))
    }

    fn write(&self, agent: &Name, received: &Received) -> Result<(), Refusal> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let wrong = |error| Code::Internal.because(format!("the request was not kept: {error}"));
        folder.write(agent, received).map_err(wrong)
    }

    /// Whoever panicked with it in hand left a whole map behind: it is changed by one insertion or removal at a time.
    fn held(&self) -> MutexGuard<'_, BTreeMap<Name, Received>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inbox of {}", self.held().len())
    }
}

impl Received {
    /// Whether an operator could grant it now.
    fn is_open(&self, state: &State, now_ms: u64) -> bool {
        let agent = state.agent(&self.request.request().agent);
        agent.is_some_and(|agent| agent.lease() == self.lease)
            && check(state, &self.request, now_ms).is_ok()
    }

    fn to_value(&self) -> Value {
        object([
            ("received_ms", self.received_ms.into()),
            ("lease", self.lease.into()),
            ("envelope", self.request.to_value()),
        ])
    }

    fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::open("", Value::parse(json)?)?;
        let received = Self {
            received_ms: members.required("received_ms", integer)?,
            lease: members.nullable("lease", parsed)?,
            request: SignedRequest::from_value(members.take("envelope")?)?,
        };
        members.finish().map(|()| received)
    }
}

fn check(state: &State, signed: &SignedRequest, now_ms: u64) -> Result<(), Refusal> {
    let request = signed.request();
    if state.log() != Some(request.log) {
        return Err(Code::OriginMismatch.because(request.log));
    }
    let agent = state.agent(&request.agent);
    let agent = agent.ok_or_else(|| Code::AgentUnknown.because(&request.agent))?;
    let key = state.key(&agent.key());
    let key = key.ok_or_else(|| Code::KeyUnknown.because(agent.key()))?;
    signed.check(&key)?;
    let (got, active) = (request.manifest_hash, agent.manifest_hash());
    if got != active {
        return Err(Code::ManifestNotActive.because(format!("{got}, active is {active}")));
    }
    check_age(state, request.at_ms, now_ms)
}

fn check_age(state: &State, at_ms: u64, now_ms: u64) -> Result<(), Refusal> {
    let most = state
        .charter()
        .map_or(0, |charter| charter.limits.authority_age_ms);
    if at_ms > now_ms.saturating_add(MAX_AHEAD_MS) {
        return Err(Code::ClockAhead.because(format!("made at {at_ms}, now {now_ms}")));
    }
    if now_ms.saturating_sub(at_ms) > most {
        return Err(Code::Stale.because(format!("made at {at_ms}, now {now_ms}, at most {most}")));
    }
    Ok(())
}

fn check_newer(there: &Received, received: &Received) -> Result<(), Refusal> {
    let (old, new) = (
        there.request.request().at_ms,
        received.request.request().at_ms,
    );
    if new > old {
        return Ok(());
    }
    Err(Code::Stale.because(format!("made at {new}, there is one made at {old}")))
}

#[cfg(test)]
mod tests;
