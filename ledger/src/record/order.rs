//! Orders: an operator's command to change an agent's state.

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
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
    /// The newest lease, revocation or order about the agent that its signer knew of, or `None` for none. An order to
    /// `quarantined` or `stopped` may have `None` always: the kill switch needs no look first.
    pub after: Option<RecordHash>,
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
            after: members.nullable("after", parsed)?,
            reason: members.required("reason", Text::read)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("agent", &self.agent);
        out.put("to", self.to);
        out.put("after", self.after);
        out.put("reason", &self.reason);
    }
}
