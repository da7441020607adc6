//! An agent at work: it begins an epoch, says what it is about to do, waits for leave, and says what came of it.
//!
//! Every record is signed into the [`journal`](crate::journal) first and sent then. What the log answers is held to
//! its proof. A record whose fate is not known stays *pending*: [`settle`](Agent::settle) asks for it by its name and
//! sends the same bytes again, so nothing is logged twice. Results and outcomes may wait like that while the service
//! is away; goals and intents may not, for they are what leave is needed for.
//!
//! ```
//! use client::agent::{Action, Agent, ActionResult};
//! use client::disclosure::{Place, Secret, Side};
//! use client::journal::Journal;
//! use client::memory::MemoryLog;
//! use ledger::key::PrivateKey;
//! use ledger::record::{Status, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A log in memory, with a version of an agent and a lease in it.
//! let now_ms = 1_700_000_000_000;
//! let log = MemoryLog::new(now_ms);
//! let key = PrivateKey::from_seed(&[7; 32]);
//! let manifest = client::memory::manifest("greeter", &["run:*"], 60_000);
//! log.register_and_lease(&manifest, &key, &["run:*"]);
//!
//! // The agent: its key, its version, and a journal of its own.
//! let state = tempfile::tempdir()?;
//! let journal = Journal::open(state.path(), log.identity().log, &manifest.agent)?;
//! let mut agent = Agent::new(&log, log.identity(), key, manifest, journal)?;
//! agent.start(now_ms)?;
//! let goal = agent.goal("say hello".parse()?, "a reader".parse()?, now_ms)?.record();
//!
//! // Leave first, then the deed, then the result. The log is told commitments to the values, and not the values.
//! let whom = Secret::new("whom".parse()?, b"a reader".to_vec())?;
//! let action = Action { inputs: vec![whom], ..Action::new(goal, "run:greet".parse()?) };
//! let permit = agent.intent(action, now_ms)?;
//! assert!(permit.is_valid_at(now_ms));
//! let greeting = Secret::new("greeting".parse()?, b"hello".to_vec())?;
//! let deed = ActionResult { outputs: vec![greeting], ..ActionResult::of(permit.intent(), Status::Ok) };
//! let result = agent.result(deed, now_ms)?;
//! assert!(result.is_logged());
//!
//! // What no lease allows is refused, with its code.
//! let refused = agent.intent(Action::new(goal, "write:disk".parse()?), now_ms).unwrap_err();
//! assert_eq!(refused.code().unwrap().as_str(), "capability-missing");
//! agent.outcome(goal, Verdict::Partial, vec![], now_ms)?;
//! agent.goodbye(now_ms)?;
//!
//! // The evidence, with one of the values: whoever has the trust needs nobody else.
//! let place = Place { record: permit.intent(), side: Side::Inputs, name: "whom".parse()? };
//! let opened = agent.journal().disclosure(&place)?.ok_or("it was kept")?;
//! let evidence = log.pack(vec![opened]);
//! let report = ledger::verify::verify(evidence.as_bytes(), &log.trust(), None);
//! assert_eq!(report.verdict.as_str(), "verified");
//!
//! // One word that was changed, and it does not hold.
//! let forged = evidence.replacen("\"whom\"", "\"who\"", 1);
//! # assert_ne!(forged, evidence);
//! let report = ledger::verify::verify(forged.as_bytes(), &log.trust(), None);
//! assert_eq!(report.verdict.as_str(), "failed");
//! # Ok(())
//! # }
//! ```

mod epoch;
mod error;
mod seen;
mod settle;
mod time;
mod unfinished;
mod work;

use ledger::codes::Refusal;
use ledger::digest::{Digest, RecordHash};
use ledger::key::PrivateKey;
use ledger::record::{Body, Chain, Manifest, Record, SignedRecord};
use ledger::text::Name;
use tlog::checkpoint::VerifiedCheckpoint;

use crate::disclosure::Disclosure;
use crate::entry::Entry;
use crate::http::{Problem, ServiceError, Standing};
use crate::identity::LogIdentity;
use crate::journal::{Book, Journal, Line, Tip};
use crate::submission::{Logged, SubmitError, hand_in};
use crate::transport::Transport;

pub use epoch::{Outlook, Speaker};
pub use error::AgentError;
pub use work::{Action, ActionResult, Filed};

/// An agent's process, as the log sees it.
pub struct Agent<T> {
    transport: T,
    log: LogIdentity,
    key: PrivateKey,
    manifest: Manifest,
    manifest_hash: Digest,
    journal: Journal,
    standing: Option<Standing>,
    /// The newest checkpoint that an answer was proven by; it counts as *seen* once it is consistent with the last.
    newest: Option<VerifiedCheckpoint>,
    /// Intents of this process: it will say itself what came of them.
    own_intents: Vec<RecordHash>,
    /// Intents that turned out to be in the log when nobody waited for leave any more: they are to be closed.
    late_intents: Vec<RecordHash>,
    /// When the log received the newest entry that it has shown.
    log_ms: u64,
}

impl<T: Transport> Agent<T> {
    /// An agent of this version, with its key and its journal. Nothing is asked or sent yet.
    ///
    /// # Errors
    ///
    /// [`Refusal`], should the manifest have no hash; it has no reason to.
    pub fn new(
        transport: T,
        log: LogIdentity,
        key: PrivateKey,
        manifest: Manifest,
        journal: Journal,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            transport,
            log,
            key,
            manifest_hash: manifest.hash(),
            manifest,
            journal,
            standing: None,
            newest: None,
            own_intents: Vec::new(),
            late_intents: Vec::new(),
            log_ms: 0,
        })
    }

    /// Its name.
    pub const fn name(&self) -> &Name {
        &self.manifest.agent
    }

    /// How far it has got in this epoch, by its last heartbeat.
    pub fn progress(&self) -> u64 {
        self.book().tip().map_or(0, |tip| tip.progress)
    }

    /// Its version.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it has signed, and what came of that.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Where it stands by the service's last word; `None` before the first answer.
    pub const fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    fn book(&self) -> &Book {
        self.journal.book()
    }

    fn tip(&self) -> Result<Tip, AgentError> {
        self.book().tip().ok_or(AgentError::NotStarted)
    }

    /// Signs what comes next in the chain, hands it in, and waits for its proof. A lease that was granted meanwhile
    /// has opened an epoch: the agent follows it there, and says it there.
    fn say(&mut self, saying: &Saying<'_>, now_ms: u64) -> Result<Logged, AgentError> {
        self.follow_lease(now_ms)?;
        let signed = self.sign(saying, now_ms)?;
        match self.send(&signed) {
            Err(AgentError::Refused(problem)) if problem.says("epoch-superseded") => {
                self.enter_next_epoch(now_ms)?;
                let signed = self.sign(saying, now_ms)?;
                self.send(&signed)
            }
            Err(error) if error.is_about_the_chain() && self.adopt()? => {
                let signed = self.sign(saying, now_ms)?;
                self.send(&signed)
            }
            Err(AgentError::Refused(problem))
                if problem.says("stale") && self.learns_time(now_ms)? =>
            {
                let signed = self.sign(saying, now_ms)?;
                self.send(&signed)
            }
            said => said,
        }
    }

    fn sign(&mut self, saying: &Saying<'_>, now_ms: u64) -> Result<SignedRecord, AgentError> {
        let tip = self.tip()?;
        let chain = Chain {
            agent: self.name().clone(),
            epoch: tip.epoch,
            instance: tip.instance,
            seq: tip.next_seq,
            prev: tip.head,
        };
        // A clock that was set back stands still until it has caught up.
        let at_ms = self.at_ms(now_ms).max(tip.at_ms);
        self.sign_body((saying.body)(chain), saying.disclosures, at_ms)
    }

    /// Signs, and returns once the journal has it on the disk, and the values that it commits to.
    fn sign_body(
        &mut self,
        body: Body,
        disclosures: &dyn Fn(RecordHash) -> Vec<Disclosure>,
        at_ms: u64,
    ) -> Result<SignedRecord, AgentError> {
        let record = Record {
            log: Some(self.log.log),
            at_ms,
            body,
            ext: None,
        };
        let signed = record
            .sign(&[&self.key])
            .map_err(AgentError::NoSuchRecord)?;
        self.journal.keep(&disclosures(signed.hash()))?;
        self.journal
            .append(&Line::Signed(Box::new(signed.clone())))?;
        Ok(signed)
    }

    /// Hands in a pending record, and notes what becomes of it.
    fn send(&mut self, signed: &SignedRecord) -> Result<Logged, AgentError> {
        match hand_in(&self.transport, &self.log, signed) {
            Ok(logged) => {
                self.note_logged(&logged.entry)?;
                self.standing = logged.standing.or(self.standing);
                Ok(logged)
            }
            Err(SubmitError::Service(ServiceError::Refused(problem))) if problem.is_judgement() => {
                self.hear_refusal(signed, problem)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A refusal is not signed: whoever sits on the line can make one up. So the log is asked for the record; and as
    /// long as nothing else has its place there, it is remembered as one that may turn up ([`adopt`](Self::adopt)).
    fn hear_refusal(
        &mut self,
        signed: &SignedRecord,
        problem: Box<Problem>,
    ) -> Result<Logged, AgentError> {
        match self.look_for(signed)? {
            Some(entry) => {
                self.note_logged(&entry)?;
                Ok(Logged {
                    entry,
                    is_duplicate: true,
                    breach: None,
                    standing: None,
                })
            }
            None => {
                self.note_refused(signed.hash(), problem.refusal())?;
                Err(ServiceError::Refused(problem).into())
            }
        }
    }

    fn note_logged(&mut self, entry: &Entry) -> Result<(), AgentError> {
        self.journal.append(&Line::Logged {
            record: entry.record().hash(),
            index: entry.index().get(),
            received_ms: entry.received_ms(),
        })?;
        self.note_checkpoint(entry.checkpoint());
        self.note_time(entry);
        Ok(())
    }

    fn note_refused(&mut self, record: RecordHash, refusal: Refusal) -> Result<(), AgentError> {
        Ok(self.journal.append(&Line::Refused { record, refusal })?)
    }
}

/// Something to be said, wherever the chain stands when it is.
struct Saying<'a> {
    body: &'a dyn Fn(Chain) -> Body,
    /// What opens its commitments, once it has a name.
    disclosures: &'a dyn Fn(RecordHash) -> Vec<Disclosure>,
}

impl<'a> Saying<'a> {
    /// Something without commitments.
    fn plain(body: &'a dyn Fn(Chain) -> Body) -> Self {
        Self {
            body,
            disclosures: &|_| Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
