//! Orders: an operator's command to change an agent's state.

use crate::codes::{Code, Refusal};
use crate::json::{Members, parsed};
use crate::record::{AgentState, Fields};
use crate::text::{Name, Text};

/// An operator's command to change an agent's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The agent.
    pub agent: Name,
    /// The state ordered: quarantined, stopped or autohealing.
    pub to: AgentState,
    /// Why.
    pub reason: Text,
}

impl Order {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        let agent = members.required("agent", Name::read)?;
        let to = members.required("to", parsed)?;
        if matches!(to, AgentState::Running | AgentState::Degraded) {
            return Err(Code::Malformed.because(format!("no order leads to {to}")));
        }
        Ok(Self {
            agent,
            to,
            reason: members.required("reason", Text::read)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("agent", &self.agent);
        out.put("to", self.to);
        out.put("reason", &self.reason);
    }
}
