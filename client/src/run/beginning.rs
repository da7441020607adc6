//! How a run begins: the agent runs, and nothing of what came before is left open.

use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use ledger::codes::Code;
use ledger::record::{AgentState, Charter, Mode};

use super::heal::Healer;
use super::message::Event;
use super::signals::Signals;
use super::{Options, RunError};
use crate::agent::{Agent, AgentError, Speaker};
use crate::manifest::again::Directory;
use crate::speaker::Caller;
use crate::transport::Transport;

/// How often it is looked whether another process still beats.
const LOOK: Duration = Duration::from_millis(500);

type Events = (Sender<Event>, Receiver<Event>);

/// What a run begins with.
pub(super) struct Beginning<'a, T> {
    pub(super) agent: &'a mut Agent<T>,
    pub(super) directory: &'a mut Directory,
    pub(super) options: &'a Options,
    pub(super) caller: Caller,
}

impl<T: Transport> Beginning<'_, T> {
    /// Begins, and gives the charter in force and the queue of all that happens. Until an agent speaks a signal ends this
    /// process as it ends any other.
    pub(super) fn begin(mut self, signals: Signals) -> Result<(Charter, Events), RunError> {
        let charter = self.agent.charter()?;
        match self.agent.start(self.now_ms()) {
            Err(AgentError::Refused(problem)) if problem.code == Some(Code::StateForbids) => {
                self.take_over(&charter, AgentError::Refused(problem))?;
            }
            started => started?,
        }
        let events = signals.listen();
        let standing = self.agent.standing().map(|standing| standing.state);
        if charter.mode == Mode::Enforce && standing == Some(AgentState::Autohealing) {
            let mut healer = Healer {
                agent: &mut *self.agent,
                liveness: charter.liveness,
                directory: &mut *self.directory,
                clock: &self.options.clock,
                events: &events.1,
                caller: self.caller,
            };
            healer.heal(&mut |_| ())?;
        }
        // A run that was killed, here or on a machine that is lost, could not say what came of what it had begun.
        self.agent.give_up_what_is_open(self.now_ms())?;
        Ok((charter, events))
    }

    /// Another process of the agent was heard of a moment ago, and may be gone: its journal is not here. The rules let this
    /// one begin once that was silent for two heartbeats.
    fn take_over(&mut self, charter: &Charter, refused: AgentError) -> Result<(), RunError> {
        use AgentState::{Degraded, Running};
        let silence_ms = charter.liveness.heartbeat_ms.saturating_mul(2);
        let outlook = self.agent.outlook()?;
        let is_anothers = outlook.speaker == Speaker::Another;
        if !is_anothers || !matches!(outlook.state, Running | Degraded) {
            return Err(refused.into());
        }
        let mut age_ms = outlook.pulse_age_ms;
        let left_s = silence_ms.saturating_sub(age_ms).div_ceil(1_000);
        (self.caller.notice)(&format!(
            "another process of the agent, or one whose journal is lost, was heard of {} s ago: if it is gone, this one may begin \
             in {left_s} s, and waits for that",
            age_ms / 1_000
        ));
        while age_ms < silence_ms {
            let left = Duration::from_millis(silence_ms - age_ms);
            std::thread::sleep(left.min(LOOK));
            let now = self.agent.outlook()?;
            if now.pulse_age_ms < age_ms {
                (self.caller.notice)("it is not gone: it was heard of again");
                return Err(refused.into());
            }
            age_ms = now.pulse_age_ms;
        }
        Ok(self.agent.start(self.now_ms())?)
    }

    fn now_ms(&self) -> u64 {
        (self.caller.now_ms)()
    }
}
