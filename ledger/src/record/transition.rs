//! Transitions: an agent's change of state, and the rule that caused it.

use crate::codes::Refusal;
use crate::json::{Members, integer, parsed};
use crate::record::{Fields, words};
use crate::text::Name;

words! {
    /// The five states of an agent.
    AgentState, "state" {
        /// It lives, moves, and has authority.
        Running = "running",
        /// It is silent, makes no progress, or has no authority.
        Degraded = "degraded",
        /// It is fenced, and being restarted.
        Autohealing = "autohealing",
        /// It stays down until an operator releases it.
        Quarantined = "quarantined",
        /// It does not run.
        Stopped = "stopped",
    }
}

words! {
    /// What causes a transition. The order is that in which several that are due at once are
    /// logged.
    Rule, "rule" {
        /// A heartbeat showed another version than the lease names.
        ManifestDrift = "manifest-drift",
        /// Too many denials in one epoch.
        Denials = "denials",
        /// The agent said goodbye.
        Finished = "finished",
        /// There is no valid lease.
        LeaseEnded = "lease-ended",
        /// No heartbeat for too long.
        PulseLost = "pulse-lost",
        /// No progress for too long.
        ProgressLost = "progress-lost",
        /// Silent or without progress for so long that healing begins.
        HealDue = "heal-due",
        /// The attempts at healing are used up.
        HealExhausted = "heal-exhausted",
        /// An attempt at healing took too long; the next begins.
        HealRetry = "heal-retry",
        /// The healing worked.
        Healed = "healed",
        /// A degraded agent is well again.
        Recovered = "recovered",
        /// The agent opened its next epoch itself.
        Restarted = "restarted",
        /// The first heartbeat under a new lease.
        Started = "started",
    }
}

/// A change of an agent's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The agent.
    pub agent: Name,
    /// Its number among the agent's transitions and orders, from 1.
    pub n: u64,
    /// The state before.
    pub from: AgentState,
    /// The state after.
    pub to: AgentState,
    /// Why.
    pub rule: Rule,
    /// The epoch in force after it.
    pub epoch: u64,
}

impl Transition {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            agent: members.required("agent", Name::read)?,
            n: members.required("n", integer)?,
            from: members.required("from", parsed)?,
            to: members.required("to", parsed)?,
            rule: members.required("rule", parsed)?,
            epoch: members.required("epoch", integer)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("agent", &self.agent);
        out.put("n", self.n);
        out.put("from", self.from);
        out.put("to", self.to);
        out.put("rule", self.rule);
        out.put("epoch", self.epoch);
    }
}
