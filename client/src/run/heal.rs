//! The time in which no program runs: the agent keeps sending heartbeats, and heals if the control plane waits for it.
//!
//! Whoever is healed is not yet let act. So the steps that a healing heartbeat counts are the supervisor's own: each is
//! one more look at the version, which has to be the one that the lease names. Only when the log says that the
//! agent runs again is leave asked for, and a program started.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ledger::record::{AgentState, Liveness};

use super::descendants;
use super::message::Event;
use super::signals::is_end;
use super::version;
use crate::agent::{Agent, AgentError, Outlook, Speaker};
use crate::clock::LogClock;
use crate::manifest::again::Directory;
use crate::speaker::{Caller, RETRY, with_sources};
use crate::transport::Transport;
use wire::Ask;

/// Watches over an agent while nothing of it runs.
pub(super) struct Healer<'a, T> {
    pub(super) agent: &'a mut Agent<T>,
    pub(super) liveness: Liveness,
    /// Where the agent's version is made from.
    pub(super) directory: &'a mut Directory,
    pub(super) clock: &'a LogClock,
    pub(super) events: &'a Receiver<Event>,
    pub(super) caller: Caller,
}

/// Why nothing is started again.
pub(super) enum Down {
    /// A signal asks this process to end.
    Signal(i32),
    /// What may run does not lie here.
    OtherVersion(String),
    /// Nothing may be, or can be.
    Because(String),
}

impl<T: Transport> Healer<'_, T> {
    /// Waits before a program that failed is started again, and beats meanwhile. An agent that is fenced in this time is
    /// healed; whether it was is what comes back.
    pub(super) fn back_off(&mut self, pause: Duration) -> Result<bool, Down> {
        let until = Instant::now() + pause;
        let mut asked = Duration::ZERO;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.pause(left.min(self.heartbeat().max(asked)))?;
            asked = Duration::ZERO;
            match self.agent.beat(0, self.now_ms()) {
                Err(error) if error.is_fenced() => return self.heal(&mut |_| ()).map(|()| true),
                Err(error) if error.is_away() => asked = error.asks_to_wait().unwrap_or_default(),
                Err(error) => self.warn(&error),
                Ok(_) if self.is_asked_to_stop() => {
                    return Err(Down::Because("the log asks it to stop".to_owned()));
                }
                Ok(_) => {}
            }
        }
    }

    /// Begins in the epoch that the control plane has opened, as a new instance, and beats there until the agent is
    /// healed; in the next epoch if it is too late for this one, as long as the control plane opens another.
    /// `begun` is called in each of them first.
    pub(super) fn heal(&mut self, begun: &mut dyn FnMut(&mut Agent<T>)) -> Result<(), Down> {
        use AgentState::{Autohealing, Running};
        let mut is_mine = false;
        loop {
            let outlook = self.outlook()?;
            match (outlook.state, outlook.speaker) {
                (Autohealing, Speaker::Nobody) if self.begin()? => begun(self.agent),
                // It came too late, or nobody knows yet: the next look tells.
                (Autohealing, Speaker::Nobody) => continue,
                (Autohealing, Speaker::This) => {}
                (Running, Speaker::This) if is_mine => return Ok(()),
                _ => return Err(Down::Because(why_down(outlook))),
            }
            if !std::mem::replace(&mut is_mine, true) {
                self.tell_how_long();
            }
            if self.recover()? {
                (self.caller.notice)("the agent is healed");
                return Ok(());
            }
        }
    }

    /// The version in the directory, which must still be the agent's.
    pub(super) fn check_version(&mut self) -> Result<(), Down> {
        let checked = version::check(self.directory, self.agent);
        checked.map_err(|error| Down::Because(with_sources(&error)))
    }

    fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.liveness.heartbeat_ms)
    }

    /// The rules count beats that are half a heartbeat apart; a little more, for the way to the log varies.
    fn healing_beat(&self) -> Duration {
        let heartbeat = self.heartbeat();
        (heartbeat / 2 + heartbeat / 20).max(heartbeat.min(Duration::from_millis(20)))
    }

    fn tell_how_long(&self) {
        let beats = u32::try_from(self.liveness.heal_beats).unwrap_or(u32::MAX);
        let span = self.healing_beat().saturating_mul(beats);
        (self.caller.notice)(&format!(
            "the agent must be healed before it may act: by {beats} heartbeats, in about {} s",
            span.as_millis().div_ceil(1_000)
        ));
    }

    fn now_ms(&self) -> u64 {
        (self.caller.now_ms)()
    }

    fn warn(&self, error: &AgentError) {
        (self.caller.notice)(&format!("warning: {}", with_sources(error)));
    }

    fn is_asked_to_stop(&self) -> bool {
        self.agent
            .standing()
            .is_some_and(|standing| standing.ask == Ask::Stop)
    }

    /// What the service says about the agent, once it says anything. Without a lease there is nothing to wait for.
    fn outlook(&mut self) -> Result<Outlook, Down> {
        loop {
            match self.agent.outlook() {
                Ok(outlook) => return Ok(outlook),
                Err(error) if error.is_away() && !self.lease_has_ended() => {
                    let asked = error.asks_to_wait().unwrap_or_default();
                    self.pause(RETRY.max(asked))?;
                }
                Err(error) => return Err(Down::Because(with_sources(&error))),
            }
        }
    }

    fn lease_has_ended(&self) -> bool {
        let standing = self.agent.standing();
        let ends_ms = standing.and_then(|standing| standing.lease_ends_ms);
        let log_ms = self.clock.now_ms().unwrap_or_else(|| self.now_ms());
        ends_ms.is_none_or(|ends_ms| log_ms >= ends_ms)
    }

    /// Begins the epoch as a new instance, and says whether that went well.
    fn begin(&mut self) -> Result<bool, Down> {
        self.check_version()?;
        match self.agent.start(self.now_ms()) {
            Ok(()) => Ok(true),
            Err(error) if error.is_fenced() || error.is_away() => {
                let asked = error.asks_to_wait().unwrap_or_default();
                self.pause(RETRY.max(asked)).map(|()| false)
            }
            Err(error) => Err(Down::Because(with_sources(&error))),
        }
    }

    /// Beats until the log says that the agent runs. Whether it does: the epoch may be over before.
    fn recover(&mut self) -> Result<bool, Down> {
        let mut asked = Duration::ZERO;
        loop {
            self.pause(self.healing_beat().max(asked))?;
            asked = Duration::ZERO;
            self.check_version()?;
            let step = self.agent.progress().saturating_add(1);
            match self.agent.beat(step, self.now_ms()) {
                Ok(_) => match self.agent.standing().map(|standing| standing.state) {
                    Some(AgentState::Running) => return Ok(true),
                    Some(AgentState::Autohealing) => {}
                    _ => return Ok(false),
                },
                Err(error) if error.is_fenced() => return Ok(false),
                Err(error) if error.is_away() && !self.lease_has_ended() => {
                    asked = error.asks_to_wait().unwrap_or_default();
                }
                Err(error @ AgentError::SplitView { .. }) => self.warn(&error),
                Err(error) => return Err(Down::Because(with_sources(&error))),
            }
        }
    }

    /// Lets time pass, but for a signal that asks for the end.
    fn pause(&self, span: Duration) -> Result<(), Down> {
        let until = Instant::now() + span;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Signal(sent)) if is_end(sent.number) => {
                    return Err(Down::Signal(sent.number));
                }
                Ok(Event::Children) => while descendants::reap().is_some() {},
                // A program that has ended has nothing more to say, nor the clerk that served it.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Down::Because("no signal can be heard".to_owned()));
                }
            }
        }
    }
}

fn why_down(outlook: Outlook) -> String {
    match (outlook.state, outlook.speaker) {
        (state @ (AgentState::Stopped | AgentState::Quarantined), _) => {
            format!("the agent is {state}")
        }
        (state, Speaker::Another) => {
            format!("the agent is {state}, and another process speaks for it")
        }
        (state, _) => format!("the agent is {state} and has no authority to go on"),
    }
}
