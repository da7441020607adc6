//! An agent at work: it begins an epoch, says what it is about to do, waits for permission, and logs the result.
//!
//! Every record is signed into the [`journal`](crate::journal) first and sent then. What the log answers is held to
//! its proof. A record whose fate is not known stays *pending*: [`settle`](Agent::settle) asks for it by its name and
//! sends the same bytes again, so nothing is logged twice. Results and outcomes may wait like that while the service
//! is away; goals and intents may not, because they need permission.
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
//! // The agent: its key, its version, and its own journal.
//! let state = tempfile::tempdir()?;
//! let journal = Journal::open(state.path(), log.identity().log, &manifest.agent)?;
//! let mut agent = Agent::new(&log, log.identity(), key, manifest, journal)?;
//! agent.start(now_ms)?;
//! let goal = agent.goal("say hello".parse()?, "a reader".parse()?, now_ms)?.record();
//!
//! // Permission first, then the action, then the result. The log gets commitments to the values, not the values.
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
//! // The evidence, with one of the values: with the trust it can be checked without anybody's help.
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

mod closing;
mod epoch;
mod error;
mod opening;
mod patience;
mod proofs;
mod seen;
mod settle;
mod time;
mod unfinished;
mod work;

use ledger::codes::Refusal;
use ledger::digest::{Digest, RecordHash};
use ledger::json::Value;
use ledger::key::PrivateKey;
use ledger::record::{Body, Chain, Manifest, Mode, Record, SignedRecord};
use ledger::text::Name;
use tlog::checkpoint::VerifiedCheckpoint;

use crate::clock::{Heard, LogClock, Moment, Stamp};
use crate::disclosure::Disclosure;
use crate::entry::Entry;
use crate::identity::LogIdentity;
use crate::journal::{Book, Journal, Line, Tip};
use crate::manifest::kept::Kept;
use crate::manifest::{Version, diff};
use crate::submission::{Logged, SubmitError, hand_in};
use crate::transport::Transport;
use crate::transport::{Problem, ServiceError};
use wire::Standing;

pub use closing::{LastWords, Said};
pub use epoch::{Outlook, Speaker, mode_of};
pub use error::AgentError;
pub use opening::{FirstWords, SetOut};
pub use patience::Patience;
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
    /// Intents that turned out to be in the log when nobody waited for them any more: they must be closed.
    late_intents: Vec<RecordHash>,
    /// Whether the log may have something open that an earlier process began.
    has_left_open: bool,
    /// When the log received the newest entry that it has shown.
    log_ms: u64,
    waiting: patience::Waiting,
    /// The log's clock, by which records are dated where this machine's own is off.
    clock: Option<LogClock>,
    /// The files of this version, and those of versions before it.
    files: Option<(Version, Kept)>,
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
            has_left_open: true,
            log_ms: 0,
            waiting: patience::Waiting::default(),
            clock: None,
            files: None,
        })
    }

    /// Waits for a service that is away, when it begins and when it asks for permission.
    #[must_use]
    pub fn patient(self, patience: Patience) -> Self {
        let waiting = patience::Waiting::by(patience);
        Self { waiting, ..self }
    }

    /// Dates its records by this clock where the machine's own is further off than the rules bear, and sets it by
    /// what the log answers.
    #[must_use]
    pub fn by_clock(self, clock: LogClock) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// Names the files by which another version differs from this one, which it keeps once a lease is for it.
    #[must_use]
    pub fn knowing_files(mut self, version: Version) -> Self {
        let kept = Kept::beside(self.journal.directory());
        self.files = Some((version, kept));
        self
    }

    /// Its name.
    pub const fn name(&self) -> &Name {
        &self.manifest.agent
    }

    /// How far it has got in this epoch, by its last heartbeat.
    pub fn progress(&self) -> u64 {
        self.book().tip().map_or(0, |tip| tip.progress)
    }

    /// The epoch in which it speaks; 0 before its first.
    pub fn epoch(&self) -> u64 {
        self.book().tip().map_or(0, |tip| tip.epoch)
    }

    /// Becomes another version of itself, which its next epoch begins as.
    pub fn become_version(&mut self, version: Version) {
        self.manifest = version.manifest.clone();
        self.manifest_hash = self.manifest.hash();
        let kept = Kept::beside(self.journal.directory());
        self.files = Some((version, kept));
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

    /// Whether the rules bind, by the newest charter that was verified. They do as long as nobody knows.
    pub fn is_bound(&self) -> bool {
        let charter = self.book().charter();
        charter.is_none_or(|(_, mode)| mode == Mode::Enforce)
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
            Err(error) if self.is_worth_saying_again(&error, now_ms)? => {
                let signed = self.sign(saying, now_ms)?;
                self.send(&signed)
            }
            said => said,
        }
    }

    /// Does what there is to be done about a refusal: afterwards the same may be signed anew.
    fn is_worth_saying_again(
        &mut self,
        error: &AgentError,
        now_ms: u64,
    ) -> Result<bool, AgentError> {
        let problem = match error {
            AgentError::Refused(problem) => problem,
            error => return Ok(error.is_about_the_chain() && self.adopt()?),
        };
        if problem.says("epoch-superseded") {
            self.enter_next_epoch(now_ms)?;
            return Ok(true);
        }
        // Where nobody tells the time, the refusal stands.
        let is_late = problem.says("stale") && self.learns_time(now_ms).unwrap_or(false);
        Ok(is_late || (time::is_for_its_time(problem) && self.set_clock()))
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
        let mut stamp = self.stamp(now_ms);
        // A clock that was set back stands still until it has caught up.
        stamp.at_ms = stamp.at_ms.max(tip.at_ms);
        let more = saying.more.clone();
        let mut body = (saying.body)(chain);
        // What a beat has seen belongs to the moment of signing: a beat that began an epoch meanwhile has told of more.
        if let Body::Heartbeat(beat) = &mut body {
            beat.seen = self.seen();
        }
        let signed = self.seal(body, stamp, more)?;
        self.keep(
            &signed,
            &(saying.disclosures)(signed.hash()),
            saying.is_followed,
        )?;
        Ok(signed)
    }

    fn seal(
        &self,
        body: Body,
        stamp: Stamp,
        mut more: Vec<(&'static str, Value)>,
    ) -> Result<SignedRecord, AgentError> {
        // A text, for a number of a record has no sign.
        let off = stamp.clock_off_ms.map(|off_ms| format!("{off_ms:+}"));
        more.extend(off.map(|off| ("clock_off_ms", off.as_str().into())));
        let record = Record {
            log: Some(self.log.log),
            at_ms: stamp.at_ms,
            body,
            ext: (!more.is_empty()).then(|| members(more)),
        };
        let signed = record.sign(&[&self.key]);
        signed.map_err(AgentError::NoSuchRecord)
    }

    /// Returns once the journal has a record on the disk, and the values that it commits to; if another follows before
    /// anything is sent, the record goes there with that.
    fn keep(
        &mut self,
        signed: &SignedRecord,
        disclosures: &[Disclosure],
        is_followed: bool,
    ) -> Result<(), AgentError> {
        self.journal.keep(disclosures)?;
        let line = Line::Signed(Box::new(signed.clone()));
        match is_followed {
            true => self.journal.append_with_next(&line)?,
            false => self.journal.append(&line)?,
        }
        Ok(())
    }

    /// Hands in a pending record, and notes what becomes of it.
    fn send(&mut self, signed: &SignedRecord) -> Result<Logged, AgentError> {
        let (asked, handed_in) = self.hand_in(signed);
        self.hear(signed, asked, handed_in)
    }

    /// Notes what became of a record, asked for at this time.
    fn hear(
        &mut self,
        signed: &SignedRecord,
        asked: Option<Moment>,
        handed_in: Result<Logged, SubmitError>,
    ) -> Result<Logged, AgentError> {
        match handed_in {
            Ok(logged) => {
                self.note_logged(&logged.entry)?;
                if let (Some(clock), Some(sent)) = (&self.clock, asked) {
                    let log_ms = logged.entry.received_ms();
                    clock.hear(Heard { log_ms, sent });
                }
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

    /// Hands it in, again if need be, and says when it was asked first for what came back. What was in the log before
    /// that tells nothing of the time.
    fn hand_in(&self, signed: &SignedRecord) -> (Option<Moment>, Result<Logged, SubmitError>) {
        let first = Moment::now();
        let mut sent = first;
        loop {
            match hand_in(&self.transport, &self.log, signed) {
                Err(SubmitError::Service(error)) if self.waiting.wait(&error) => {
                    sent = Moment::now();
                }
                Ok(logged) if logged.is_duplicate => {
                    return ((sent != first).then_some(first), Ok(logged));
                }
                handed_in => return (Some(sent), handed_in),
            }
        }
    }

    /// Does something for which a service that is away is waited for.
    fn patiently<R>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<R, AgentError>,
    ) -> Result<R, AgentError> {
        self.waiting.begin();
        let done = act(self);
        self.waiting.end();
        done
    }

    /// How the files of this version differ from those of another, in words; empty where nobody knows.
    fn changes_since(&self, other: Digest) -> String {
        let Some((version, kept)) = &self.files else {
            return String::new();
        };
        let other = kept.get(other);
        other.map_or_else(String::new, |other| {
            diff::told(&diff::between(&other, version))
        })
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
    /// What else the record says, in its `ext`.
    more: Vec<(&'static str, Value)>,
    /// Whether another is signed before this one is sent.
    is_followed: bool,
}

fn members(more: Vec<(&'static str, Value)>) -> Value {
    let named = more
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Value::Object(named.collect())
}

impl<'a> Saying<'a> {
    /// Something without commitments.
    fn plain(body: &'a dyn Fn(Chain) -> Body) -> Self {
        Self {
            body,
            disclosures: &|_| Vec::new(),
            more: Vec::new(),
            is_followed: false,
        }
    }

    /// The same, before another is signed that goes to the disk and to the log with it.
    fn followed(self) -> Self {
        Self {
            is_followed: true,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
