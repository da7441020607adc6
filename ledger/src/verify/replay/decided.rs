//! When what a record is judged by was decided: whether its signer can have known of it.
//!
//! The log says when it received a record, and can hold it back. So who is out of bounds only by when that was is not shown
//! to be at fault: the lease may have been taken back, or the limit lowered, while the record was on its way. What shows
//! it is the signer's own `at_ms`: if it is no earlier than what was decided, and the rule is broken at that time as well.

use crate::codes::Code;
use crate::govern::State;
use crate::record::{Body, CheckedRecord};
use crate::table::Table;
use crate::text::Name;
use crate::verify::replay::Leaf;

/// When others last decided something.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// The charter in force.
    charter_ms: u64,
    /// Whose a key is: the last charter or registration.
    keys_ms: u64,
    /// What an agent may do, by records about it that are not its own, and by its own that open an epoch.
    about: Table<Name, u64>,
}

impl Decided {
    /// What came before is unknown, and was decided before this time.
    pub(super) fn upon(received_ms: u64) -> Self {
        Self {
            charter_ms: received_ms,
            keys_ms: received_ms,
            about: Table::default(),
        }
    }

    /// Takes a leaf, whether its record holds or not: the service that let it in went by it.
    pub(super) fn take(&mut self, leaf: Leaf, state: &State, record: &CheckedRecord) {
        let now_ms = leaf.received_ms;
        match &record.record().body {
            Body::Charter(_) => (self.charter_ms, self.keys_ms) = (now_ms, now_ms),
            Body::Manifest(_) => self.keys_ms = now_ms,
            Body::Receipt(_) | Body::Refusal(_) | Body::Observation(_) | Body::Pulse(_) => return,
            Body::Heartbeat(beat) if beat.chain.seq > 0 => return,
            _ => {}
        }
        if let Some(agent) = state.touched(record) {
            self.about.change(&agent, |ms| *ms = now_ms);
        }
    }

    /// Whether the signer's own time shows that a rule is broken, where when the log received the record matters.
    pub(super) fn is_shown(&self, state: &State, record: &CheckedRecord, code: Code) -> bool {
        let at_ms = record.record().at_ms;
        let agent = state.touched(record);
        let of_agent = agent.as_ref().and_then(|agent| self.about.get(agent));
        let above = agent.as_ref().and_then(|agent| state.agent(agent));
        let above = above.map_or(0, |agent| state.authority_ended_ms(agent));
        let known_ms = match code {
            Code::KeyNotAgents | Code::CharterInvalid => self.keys_ms,
            _ => self.charter_ms,
        };
        let decided_ms = of_agent.copied().unwrap_or(0).max(above).max(known_ms);
        let then = state.admit(record, at_ms);
        let broken = match then {
            Ok(admission) => admission.breach.map(|breach| breach.code),
            Err(refusal) => Some(refusal.code),
        };
        at_ms >= decided_ms && broken == Some(code)
    }
}

/// Whether a record may break this rule only by when the log received it.
pub(super) const fn depends_on_when(code: Code) -> bool {
    matches!(
        code,
        Code::LeaseNotYetValid
            | Code::LeaseExpired
            | Code::LeaseRevoked
            | Code::LeaseSuperseded
            | Code::LeaseWidened
            | Code::RenewalTooLong
            | Code::EpochFenced
            | Code::EpochSuperseded
            | Code::StateForbids
            | Code::KeyNotAgents
            | Code::CharterInvalid
    )
}
