//! A service is a goal that stays open, not a long action: each start is an action that is over once the program is up,
//! so no open intent hides that it hangs. What it runs under then is the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ledger::digest::RecordHash;
use ledger::record::{Check, Status, Verdict};
use ledger::text::{Name, Text};

use super::Life;
use crate::agent::{Action, ActionResult, Agent, AgentError};
use crate::transport::Transport;

/// How long a program has to be alive to be up, if it does not say so itself: half of its permit, if that is shorter.
const UP_AFTER: Duration = Duration::from_secs(2);

/// The start of a service, and what is asked again when another lease opens an epoch.
#[derive(Debug)]
pub(crate) struct StandingGoal {
    /// What its start asked permission for.
    pub(crate) action: Action,
    /// The intent of its start.
    pub(crate) intent: RecordHash,
    /// Whether the goal gets its outcome once the program is up; then this is what to set out for again.
    pub(crate) quiet: Option<(Text, Text)>,
    /// The epoch of the permit.
    pub(crate) epoch: u64,
    pub(crate) begun: Instant,
    /// How long its permit lasts.
    pub(crate) permitted: Duration,
    /// Whether it is up, for whoever watches the permit of the start.
    pub(crate) is_up: Arc<AtomicBool>,
}

impl StandingGoal {
    /// When it is up by being alive; `None` if it is up already.
    pub(crate) fn up_due(&self) -> Option<Instant> {
        (!self.is_up.load(Ordering::Relaxed)).then(|| self.begun + UP_AFTER.min(self.permitted / 2))
    }

    /// The program is up: its start is closed, and what it does from now on it does under the lease.
    pub(crate) fn is_up<T: Transport>(
        &self,
        agent: &mut Agent<T>,
        life: &mut Life,
        how: &str,
        now_ms: u64,
    ) -> Result<(), AgentError> {
        if self.is_up.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let took = self.begun.elapsed();
        let mut started = started(self.intent, how);
        started.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let result = agent.result(started, now_ms)?.record();
        life.started = Some(result);
        if self.quiet.is_some() {
            agent.outcome(self.action.goal, Verdict::Accepted, checks(result), now_ms)?;
            life.has_outcome = true;
        }
        Ok(())
    }

    /// Another lease has opened an epoch: what runs under it asks for permission again. What comes back is whether it got it.
    pub(crate) fn renew<T: Transport>(
        &mut self,
        agent: &mut Agent<T>,
        now_ms: u64,
    ) -> Result<(), AgentError> {
        let epoch = agent.epoch();
        if epoch == self.epoch || self.up_due().is_some() {
            return Ok(());
        }
        let mut action = self.action.clone();
        action.parents = vec![self.intent];
        if let Some((title, requester)) = self.quiet.clone() {
            action.goal = agent.goal(title, requester, now_ms)?.record();
        }
        let goal = action.goal;
        let permit = agent.intent(action, now_ms)?;
        self.epoch = epoch;
        let result = agent.result(started(permit.intent(), "goes on"), now_ms)?;
        if self.quiet.is_some() {
            agent.outcome(goal, Verdict::Accepted, checks(result.record()), now_ms)?;
        }
        Ok(())
    }
}

fn checks(result: RecordHash) -> Vec<Check> {
    let named = "started".parse().ok();
    let check = |name| Check {
        name,
        digest: *result.digest(),
        record: Some(result),
    };
    named.map(check).into_iter().collect()
}

fn started(intent: RecordHash, how: &str) -> ActionResult {
    let mut result = ActionResult::of(intent, Status::Ok);
    let named = |name: &str, text: &str| -> Option<(Name, Text)> {
        Some((name.parse().ok()?, text.parse().ok()?))
    };
    result.refs = named("started", how).into_iter().collect();
    result
}
