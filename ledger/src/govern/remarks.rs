//! What a correctly admitted record shows.
//!
//! Most breaches are refused. A few are logged because the log is where they belong: a heartbeat of
//! another version, a result that used more than there was, and, in observe mode, what was done in
//! time and logged too late.

use super::agent::Agent;
use super::state::State;
use crate::codes::{Class, Code, Refusal};
use crate::digest::RecordHash;
use crate::record::{AgentState, Body, CheckedRecord, Heartbeat, Mode, Phase, Receipt};

/// A breach in a record that was rightly logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What the record shows.
    pub refusal: Refusal,
    /// A breach, or late.
    pub class: Class,
}

impl State {
    /// What a record shows that is logged next, at `received_ms`, beside what [`State::admit`] says
    /// of it.
    pub fn remark(&self, record: &CheckedRecord, received_ms: u64) -> Option<Remark> {
        let agent = self.agent_of(record)?;
        let breach = |refusal| Remark {
            refusal,
            class: Class::Breach,
        };
        match &record.record().body {
            Body::Heartbeat(beat) => self.drift(agent, beat).map(breach),
            Body::Receipt(receipt) => self.overrun(agent, receipt).map(breach),
            _ => None,
        }
        .or_else(|| self.lateness(agent, record, received_ms))
    }

    fn drift(&self, agent: &Agent, beat: &Heartbeat) -> Option<Refusal> {
        let restarts = agent.is_restarted_by(&beat.chain);
        let spoken = if restarts {
            agent.lease
        } else {
            agent.epoch_lease
        };
        let lease = self.lease(&spoken?)?;
        let (got, want) = (beat.manifest_hash, lease.version.manifest_hash);
        (got != want)
            .then(|| Code::ManifestDrift.because(format!("it runs {got}, its lease names {want}")))
    }

    /// A result that used more than it had reserved, and with that more than a lease has.
    fn overrun(&self, agent: &Agent, receipt: &Receipt) -> Option<Refusal> {
        let Phase::Result(result) = &receipt.phase else {
            return None;
        };
        let open = agent.intents.get(&result.intent)?;
        self.bears(open.lease, &open.reserve, &result.usage).err()
    }

    /// In observe mode: a goal, an intent or a start that came when its lease was not in force, but
    /// was made when it was.
    fn lateness(&self, agent: &Agent, record: &CheckedRecord, received_ms: u64) -> Option<Remark> {
        if self.mode() != Mode::Observe || !needs_lease(agent, &record.record().body) {
            return None;
        }
        let lease: RecordHash = agent.lease?;
        let refusal = self.in_force(lease, received_ms).err()?;
        let in_time = self.in_force(lease, record.record().at_ms).is_ok();
        in_time.then_some(Remark {
            refusal,
            class: Class::Late,
        })
    }
}

fn needs_lease(agent: &Agent, body: &Body) -> bool {
    match body {
        Body::Receipt(receipt) => matches!(receipt.phase, Phase::Goal(_) | Phase::Intent(_)),
        Body::Heartbeat(beat) => {
            let starts = beat.chain.seq == 0 && agent.state == AgentState::Stopped;
            starts || agent.is_restarted_by(&beat.chain)
        }
        _ => false,
    }
}
