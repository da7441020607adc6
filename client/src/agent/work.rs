//! Goals, intents, results, outcomes, heartbeats.

use ledger::codes::Refusal;
use ledger::digest::{Digest, RecordHash};
use ledger::json::Value;
use ledger::record::{
    Amounts, Body, Chain, Check, Goal, Heartbeat, Intent, Outcome, Phase, Receipt, ResultOf,
    Status, ToolUse, Verdict,
};
use ledger::scope::Scope;
use ledger::text::{Name, Text};

use super::{Agent, AgentError, Saying};
use crate::disclosure::{Disclosure, Secret, Side};
use crate::permit::Permit;
use crate::submission::Logged;
use crate::transport::Transport;

/// What an agent is about to do.
#[derive(Clone, Debug)]
pub struct Action {
    /// For which goal.
    pub goal: RecordHash,
    /// What it touches.
    pub scope: Scope,
    /// With which tool; the agent's own code if `None`.
    pub tool: Option<ToolUse>,
    /// Values that go in. The log gets commitments to them.
    pub inputs: Vec<Secret>,
    /// Records that it follows from.
    pub parents: Vec<RecordHash>,
    /// What it may use up.
    pub reserve: Amounts,
    /// The digest of the script that runs, where the tool is an interpreter.
    pub script: Option<Digest>,
    /// Whether it has happened already, and is told of after it was given up: its parent is what was given up.
    pub is_late: bool,
}

/// What an agent did.
#[derive(Clone, Debug)]
pub struct ActionResult {
    /// The intent, as the permit names it.
    pub intent: RecordHash,
    /// How it ended.
    pub status: Status,
    /// Values that came out. The log gets commitments to them.
    pub outputs: Vec<Secret>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it used up.
    pub usage: Amounts,
    /// Where else to look.
    pub refs: Vec<(Name, Text)>,
}

/// A record that was said, now or as soon as the service is back.
#[derive(Debug)]
pub enum Filed {
    /// It is in the log.
    Logged(Box<Logged>),
    /// It is in the journal, and will be in the log once it is settled.
    Waiting(RecordHash),
}

impl Action {
    /// An action with the agent's own code, without inputs, parents or reserve.
    pub const fn new(goal: RecordHash, scope: Scope) -> Self {
        Self {
            goal,
            scope,
            tool: None,
            inputs: Vec::new(),
            parents: Vec::new(),
            reserve: Amounts {
                tokens: 0,
                cost_micros: 0,
            },
            script: None,
            is_late: false,
        }
    }
}

impl ActionResult {
    /// A result that took no time worth telling, without outputs, usage or references.
    pub const fn of(intent: RecordHash, status: Status) -> Self {
        Self {
            intent,
            status,
            outputs: Vec::new(),
            duration_ms: 0,
            usage: Amounts {
                tokens: 0,
                cost_micros: 0,
            },
            refs: Vec::new(),
        }
    }
}

impl Filed {
    /// The record's name. One that waits gets another if an epoch ends before it is logged.
    pub fn record(&self) -> RecordHash {
        match self {
            Self::Logged(logged) => logged.record(),
            Self::Waiting(record) => *record,
        }
    }

    /// Whether it is in the log.
    pub const fn is_logged(&self) -> bool {
        matches!(self, Self::Logged(_))
    }
}

impl<T: Transport> Agent<T> {
    /// Sets out to do something.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn goal(
        &mut self,
        title: Text,
        requester: Text,
        now_ms: u64,
    ) -> Result<Logged, AgentError> {
        let body = |chain| goal(chain, &title, &requester);
        self.patiently(|agent| {
            agent.settle(now_ms)?;
            agent.say(&Saying::plain(&body), now_ms)
        })
    }

    /// Asks for permission to act.
    ///
    /// # Errors
    ///
    /// [`AgentError::Refused`] with the code of the rule, [`AgentError::Away`] if nobody knows: then there is no permit,
    /// and if the log has the intent after all it is closed once that is known.
    pub fn intent(&mut self, action: Action, now_ms: u64) -> Result<Permit, AgentError> {
        let logged = self.with_intent(&action, |agent, saying| {
            agent.patiently(|agent| {
                agent.settle(now_ms)?;
                agent.say(saying, now_ms)
            })
        })?;
        Ok(self.permit(&logged))
    }

    pub(super) fn permit(&mut self, logged: &Logged) -> Permit {
        self.own_intents.push(logged.record());
        Permit::new(logged, self.manifest.max_inflight_ms)
    }

    /// Signs an intent into the journal, and does not wait for the log: leave is not asked for where a log only observes.
    /// [`settle`](Self::settle) hands it in.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn announce(&mut self, action: &Action, now_ms: u64) -> Result<RecordHash, AgentError> {
        self.follow_lease(now_ms)?;
        let signed = self.with_intent(action, |agent, saying| agent.sign(saying, now_ms))?;
        self.own_intents.push(signed.hash());
        Ok(signed.hash())
    }

    /// Signs a goal into the journal, and does not wait for the log.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn announce_goal(
        &mut self,
        title: Text,
        requester: Text,
        now_ms: u64,
    ) -> Result<RecordHash, AgentError> {
        self.follow_lease(now_ms)?;
        let body = |chain| goal(chain, &title, &requester);
        Ok(self.sign(&Saying::plain(&body), now_ms)?.hash())
    }

    pub(super) fn with_intent<R>(
        &mut self,
        action: &Action,
        say: impl FnOnce(&mut Self, &Saying<'_>) -> Result<R, AgentError>,
    ) -> Result<R, AgentError> {
        let agent = self.name().clone();
        let own_code = ToolUse {
            name: agent.clone(),
            digest: self.manifest_hash,
        };
        let tool = action.tool.clone().unwrap_or(own_code);
        let inputs = commitments(&action.inputs, &agent);
        let body = |chain| {
            let intent = Intent {
                goal: action.goal,
                scope: action.scope.clone(),
                tool: tool.clone(),
                inputs: inputs.clone(),
                parents: action.parents.clone(),
                reserve: action.reserve,
            };
            receipt(chain, Phase::Intent(Box::new(intent)))
        };
        let script = action.script.map(|digest| ("script", digest.into()));
        let late = action.is_late.then_some(("late", true.into()));
        let saying = Saying {
            body: &body,
            disclosures: &|record| disclose(&action.inputs, record, Side::Inputs),
            more: script.into_iter().chain(late).collect(),
            ..Saying::plain(&body)
        };
        say(self, &saying)
    }

    /// Says what came of an action. While the service is away it waits in the journal.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn result(&mut self, result: ActionResult, now_ms: u64) -> Result<Filed, AgentError> {
        let filed =
            self.with_result(&result, |agent, saying| agent.say_or_wait(&saying, now_ms))?;
        self.own_intents.retain(|intent| *intent != result.intent);
        Ok(filed)
    }

    pub(super) fn with_result<R>(
        &mut self,
        result: &ActionResult,
        say: impl FnOnce(&mut Self, Saying<'_>) -> R,
    ) -> R {
        let outputs = commitments(&result.outputs, self.name());
        let body = |chain| {
            let result = ResultOf {
                intent: result.intent,
                status: result.status,
                outputs: outputs.clone(),
                duration_ms: result.duration_ms,
                usage: result.usage,
                refs: result.refs.clone(),
            };
            receipt(chain, Phase::Result(result))
        };
        let saying = Saying {
            disclosures: &|record| disclose(&result.outputs, record, Side::Outputs),
            ..Saying::plain(&body)
        };
        say(self, saying)
    }

    /// Says what came of a goal. While the service is away it waits in the journal.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn outcome(
        &mut self,
        goal: RecordHash,
        verdict: Verdict,
        checks: Vec<Check>,
        now_ms: u64,
    ) -> Result<Filed, AgentError> {
        let body = |chain| outcome(chain, goal, verdict, &checks);
        self.say_or_wait(&Saying::plain(&body), now_ms)
    }

    /// Shows that it lives, and how far it has got: `progress` counts the steps of this epoch and never goes back.
    ///
    /// # Errors
    ///
    /// [`AgentError`]; [`AgentError::SplitView`] if the log has shown two histories, which the beat then tells.
    pub fn beat(&mut self, progress: u64, now_ms: u64) -> Result<Logged, AgentError> {
        self.say_heartbeat(Some(progress), false, Vec::new(), now_ms)
    }

    /// As [`beat`](Self::beat), and tells more: members of its `ext`. Whether the beat was signed is told apart: one that was
    /// and got no answer waits in the journal.
    pub fn beat_telling(
        &mut self,
        progress: u64,
        more: Vec<(&'static str, Value)>,
        now_ms: u64,
    ) -> (Result<Logged, AgentError>, bool) {
        self.say_heartbeat_telling(progress, false, more, now_ms)
    }

    /// As [`goodbye_at`](Self::goodbye_at), and tells more, as [`beat_telling`](Self::beat_telling).
    pub fn goodbye_telling(
        &mut self,
        progress: u64,
        more: Vec<(&'static str, Value)>,
        now_ms: u64,
    ) -> (Result<Logged, AgentError>, bool) {
        self.say_heartbeat_telling(progress, true, more, now_ms)
    }

    fn say_heartbeat_telling(
        &mut self,
        progress: u64,
        is_final: bool,
        more: Vec<(&'static str, Value)>,
        now_ms: u64,
    ) -> (Result<Logged, AgentError>, bool) {
        let before = self.book().tip().map(|tip| tip.head);
        let beat = self.say_heartbeat(Some(progress), is_final, more, now_ms);
        let was_signed = self.book().tip().map(|tip| tip.head) != before;
        (beat, was_signed)
    }

    /// Says goodbye: with no intent open, the agent is stopped, and keeps its lease.
    ///
    /// # Errors
    ///
    /// As [`beat`](Self::beat).
    pub fn goodbye(&mut self, now_ms: u64) -> Result<Logged, AgentError> {
        self.say_heartbeat(None, true, Vec::new(), now_ms)
    }

    /// As [`goodbye`](Self::goodbye), and says how far it has got at the end.
    ///
    /// # Errors
    ///
    /// As [`beat`](Self::beat).
    pub fn goodbye_at(&mut self, progress: u64, now_ms: u64) -> Result<Logged, AgentError> {
        self.say_heartbeat(Some(progress), true, Vec::new(), now_ms)
    }

    fn say_heartbeat(
        &mut self,
        progress: Option<u64>,
        is_final: bool,
        more: Vec<(&'static str, Value)>,
        now_ms: u64,
    ) -> Result<Logged, AgentError> {
        // A beat speaks of now: one that waits is worth nothing, so none is signed while others wait.
        self.settle_pending(now_ms)?;
        let looked = self.look();
        self.follow_lease(now_ms)?;
        let body = self.heartbeat(progress, is_final)?;
        let saying = Saying {
            more,
            ..Saying::plain(&body)
        };
        let logged = self.say(&saying, now_ms)?;
        looked.map(|()| logged)
    }

    /// The body of a heartbeat, but for its place in the chain and what was seen by then.
    pub(super) fn heartbeat(
        &self,
        progress: Option<u64>,
        is_final: bool,
    ) -> Result<impl Fn(Chain) -> Body + use<T>, AgentError> {
        let last = self.tip()?.progress;
        let manifest_hash = self.manifest_hash;
        Ok(move |chain| {
            Body::Heartbeat(Box::new(Heartbeat {
                chain,
                progress: progress.unwrap_or(last).max(last),
                r#final: is_final,
                manifest_hash,
                before: None,
                // Filled in where it is signed.
                seen: None,
            }))
        })
    }

    fn say_or_wait(&mut self, saying: &Saying<'_>, now_ms: u64) -> Result<Filed, AgentError> {
        if let Err(error) = self.settle(now_ms)
            && error.is_away()
        {
            return Ok(Filed::Waiting(self.sign(saying, now_ms)?.hash()));
        }
        match self.say(saying, now_ms) {
            Ok(logged) => Ok(Filed::Logged(Box::new(logged))),
            Err(error) if error.is_away() => self.waiting(error),
            Err(error) => Err(error),
        }
    }

    /// What was signed last waits, if it was signed at all.
    fn waiting(&self, error: AgentError) -> Result<Filed, AgentError> {
        let last = self.book().pending().back();
        last.map_or(Err(error), |record| Ok(Filed::Waiting(record.hash())))
    }
}

fn receipt(chain: Chain, phase: Phase) -> Body {
    Body::Receipt(Box::new(Receipt { chain, phase }))
}

pub(super) fn goal(chain: Chain, title: &Text, requester: &Text) -> Body {
    let (title, requester) = (title.clone(), requester.clone());
    receipt(chain, Phase::Goal(Goal { title, requester }))
}

pub(super) fn outcome(chain: Chain, goal: RecordHash, verdict: Verdict, checks: &[Check]) -> Body {
    let checks = checks.to_vec();
    let outcome = Outcome {
        goal,
        verdict,
        checks,
    };
    receipt(chain, Phase::Outcome(outcome))
}

fn commitments(secrets: &[Secret], agent: &Name) -> Vec<(Name, Digest)> {
    secrets
        .iter()
        .map(|secret| secret.commitment(agent))
        .collect()
}

fn disclose(secrets: &[Secret], record: RecordHash, side: Side) -> Vec<Disclosure> {
    secrets
        .iter()
        .map(|secret| secret.disclosure(record, side))
        .collect()
}

/// A refusal that never reached the log.
impl From<Refusal> for AgentError {
    fn from(refusal: Refusal) -> Self {
        Self::NoSuchRecord(refusal)
    }
}
