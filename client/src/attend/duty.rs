//! Whether this process may speak, and how it regains that right.

use std::time::Duration;

use ledger::record::{AgentState, Charter};

use super::post::{Post, binds};
use crate::agent::{Agent, AgentError, Outlook, Speaker};
use crate::speaker::version::{VersionError, check};
use crate::speaker::{Caller, with_sources};
use crate::transport::Transport;

/// What the post is about now.
#[derive(Debug)]
pub(super) enum Duty {
    /// The agent runs, and this process speaks for it.
    Speaks,
    /// The agent is being healed by this process.
    Heals,
    /// The agent may not act, or not by this process. It is looked again, for operators may decide otherwise.
    Down {
        /// The code that an intent is refused with.
        code: &'static str,
        /// Why.
        why: String,
    },
    /// Beside a log that observes: the service was away when the agent was to begin.
    Away,
    /// It said goodbye, until something is asked.
    Idle,
}

impl Duty {
    /// Begins in the log. An agent that is to be healed first, or that is stopped or quarantined, does not end it:
    /// whoever asks is to be refused, and not to find nobody.
    pub(super) fn begin<T: Transport>(
        agent: &mut Agent<T>,
        charter: &Charter,
        caller: Caller,
    ) -> Result<Self, AgentError> {
        let heartbeat = Duration::from_millis(charter.liveness.heartbeat_ms);
        match agent.start((caller.now_ms)()) {
            Ok(()) => {}
            Err(error) if error.is_fenced() && binds(charter) => {
                return Self::of_outlook(agent, heartbeat, &error, caller);
            }
            Err(error) => return Err(error),
        }
        let state = agent.standing().map(|standing| standing.state);
        Ok(match state {
            Some(AgentState::Autohealing) if binds(charter) => Self::Heals,
            _ => Self::Speaks,
        })
    }

    fn of_outlook<T: Transport>(
        agent: &mut Agent<T>,
        heartbeat: Duration,
        error: &AgentError,
        caller: Caller,
    ) -> Result<Self, AgentError> {
        let outlook = agent.outlook()?;
        let why = format!("{}: {}", why_down(outlook), with_sources(error));
        if outlook.speaker == Speaker::Another {
            let seconds = (heartbeat * 2).as_secs();
            (caller.notice)(&format!(
                "another process of the agent, or one whose journal is lost, was heard of a moment ago: this one speaks once \
                 that was silent for {seconds} s"
            ));
        } else {
            (caller.notice)(&why);
        }
        Ok(down(outlook, why))
    }
}

impl<T: Transport> Post<'_, T> {
    /// What a process before this one left open is given up, once the agent speaks.
    pub(super) fn take_up(&mut self) -> Result<(), AgentError> {
        match self.duty {
            Duty::Speaks | Duty::Heals => {
                let now_ms = self.now_ms();
                self.clerk.agent.give_up_what_is_open(now_ms)
            }
            _ => Ok(()),
        }
    }

    /// The agent has idled, and something is asked of it.
    pub(super) fn wake(&mut self) {
        self.begin_again();
        self.beat_due_now();
    }

    /// Beats, or does what leads to where it may.
    pub(super) fn stay_alive(&mut self) {
        match self.duty {
            Duty::Idle => {}
            Duty::Speaks => {
                self.compare_version();
                self.clerk.beat();
                self.read_charter();
            }
            Duty::Heals => self.heal(),
            Duty::Away => self.begin_again(),
            Duty::Down { .. } => self.look(),
        }
    }

    /// Something was logged about the agent.
    pub(super) fn look_again(&mut self) {
        match self.duty {
            Duty::Idle | Duty::Away => {}
            Duty::Speaks => self.clerk.look_now(),
            Duty::Heals | Duty::Down { .. } => self.look(),
        }
    }

    /// This process may not speak, as it seems. What the log says about the agent decides.
    pub(super) fn is_fenced(&mut self, why: &str) {
        if !self.clerk.agent.is_bound() || !matches!(self.duty, Duty::Speaks) {
            return;
        }
        self.notice(&format!("the agent may not act now: {why}"));
        self.duty = Duty::Down {
            code: "state-forbids",
            why: why.to_owned(),
        };
        self.look();
    }

    /// The lease is for another version. If the directory holds that, it is begun as that.
    pub(super) fn is_other_version(&mut self, why: &str) {
        if let Ok(now) = self.directory.look_again() {
            let now = now.clone();
            self.clerk.agent.become_version(now);
            self.directory.begin_anew();
        }
        let now_ms = self.now_ms();
        match self.clerk.agent.start(now_ms) {
            Ok(()) => {
                self.duty = Duty::Speaks;
                self.notice(
                    "the lease is for the version that is here now: the agent goes on as that version",
                );
            }
            Err(error) if error.is_away() => self.clerk.note(&error),
            Err(error) => {
                let was_down = matches!(self.duty, Duty::Down { .. });
                self.duty = Duty::Down {
                    code: "manifest-not-active",
                    why: with_sources(&error),
                };
                if !was_down {
                    self.notice(&format!("the agent may not act now: {why}"));
                }
            }
        }
    }

    /// Asks the log for the agent's state, and acts on it.
    fn look(&mut self) {
        use AgentState::{Autohealing, Degraded, Quarantined, Running, Stopped};
        let outlook = match self.clerk.agent.outlook() {
            Ok(outlook) => outlook,
            Err(error) => return self.clerk.note(&error),
        };
        let is_silent = outlook.pulse_age_ms >= self.liveness.heartbeat_ms.saturating_mul(2);
        match (outlook.state, outlook.speaker) {
            (Autohealing, Speaker::This) => self.duty = Duty::Heals,
            (Running | Degraded, Speaker::This) => self.duty = Duty::Speaks,
            (Autohealing | Running | Degraded, Speaker::Nobody) => self.begin_again(),
            (Running | Degraded, Speaker::Another) if is_silent => self.begin_again(),
            (Stopped, _) => self.begin_again(),
            (Quarantined | Autohealing | Running | Degraded, _) => {
                self.duty = down(outlook, why_down(outlook));
            }
        }
        self.beat_due_now();
    }

    /// Begins as a new instance, in the version that is here.
    fn begin_again(&mut self) {
        let version = check(self.directory, self.clerk.agent);
        if let Err(VersionError::Agent(error)) = version {
            return self.is_other_version(&with_sources(&error));
        }
        let now_ms = self.now_ms();
        let charter = self.clerk.agent.charter();
        let began = charter.and_then(|charter| {
            let caller = Caller {
                notice: |_| (),
                ..self.clerk.caller
            };
            self.liveness = charter.liveness;
            Duty::begin(self.clerk.agent, &charter, caller)
        });
        self.set_mode();
        match began {
            Ok(duty) => {
                if matches!(duty, Duty::Speaks) && !matches!(self.duty, Duty::Idle) {
                    self.notice("the agent runs, and may act again");
                }
                self.duty = duty;
                self.clerk.is_back();
                if let Err(error) = self.clerk.agent.settle(now_ms) {
                    self.clerk.note(&error);
                }
            }
            Err(error) if error.is_away() => {
                self.clerk.note(&error);
                self.duty = match self.clerk.agent.is_bound() {
                    true => Duty::Idle,
                    false => Duty::Away,
                };
            }
            Err(error) => {
                self.duty = Duty::Down {
                    code: code_of(&error),
                    why: with_sources(&error),
                };
            }
        }
    }

    /// Beats in the epoch that the control plane has opened, until the log says that the agent runs. The steps that are
    /// counted are looks at the version.
    fn heal(&mut self) {
        if let Err(error) = check(self.directory, self.clerk.agent) {
            let why = with_sources(&error);
            self.notice(&format!("the agent is not healed: {why}"));
            self.duty = Duty::Down {
                code: "manifest-not-active",
                why,
            };
            return;
        }
        let step = self.clerk.agent.progress().saturating_add(1);
        let now_ms = self.now_ms();
        match self.clerk.agent.beat(step, now_ms) {
            Ok(_) => match self.clerk.agent.standing().map(|standing| standing.state) {
                Some(AgentState::Running) => {
                    self.notice("the agent is healed");
                    self.duty = Duty::Speaks;
                }
                Some(AgentState::Autohealing) => {}
                _ => self.look(),
            },
            Err(error) if error.is_fenced() => self.look(),
            Err(error) => self.clerk.note(&error),
        }
    }

    /// What is in the directory is what the agent is: where that has changed, the next beat says so.
    fn compare_version(&mut self) {
        let error = match check(self.directory, self.clerk.agent) {
            Ok(()) => return,
            Err(VersionError::Agent(error)) => with_sources(&error),
            Err(VersionError::Manifest(error)) => {
                return self.notice(&format!("warning: {}", with_sources(&error)));
            }
        };
        self.notice(&format!("the agent has become another version: {error}"));
        let now = self.directory.version().clone();
        self.clerk.agent.become_version(now);
        self.directory.begin_anew();
    }

    /// An amendment may have changed the mode and the spans.
    fn read_charter(&mut self) {
        if let Ok(charter) = self.clerk.agent.charter() {
            self.liveness = charter.liveness;
            self.set_mode();
        }
    }
}

fn down(outlook: Outlook, why: String) -> Duty {
    let code = match outlook.speaker {
        Speaker::Another => "epoch-fenced",
        _ => "state-forbids",
    };
    Duty::Down { code, why }
}

fn code_of(error: &AgentError) -> &'static str {
    match error {
        AgentError::NoLease => "lease-unknown",
        AgentError::UnknownAgent { .. } => "agent-unknown",
        AgentError::OtherVersion { .. } => "manifest-not-active",
        AgentError::Fenced { .. } => "epoch-fenced",
        _ => "state-forbids",
    }
}

fn why_down(outlook: Outlook) -> String {
    match (outlook.state, outlook.speaker) {
        (state, Speaker::Another) => {
            format!("the agent is {state}, and another process speaks for it")
        }
        (state, _) => format!("the agent is {state}"),
    }
}
