//! The state that the log implies: the charter in force, and the agents.

use ledger::digest::{Digest, RecordHash};
use ledger::json::Value;
use ledger::text::Name;
use serde::{Deserialize, Serialize};

use crate::{Ask, json, text};

/// The charter in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Charter {
    /// The size of the log that this speaks of.
    pub as_of: u64,
    /// The name of the log: the record hash of charter 1, which every record carries.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Hash))]
    pub log: RecordHash,
    /// The record hash of this charter.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Hash))]
    pub record: RecordHash,
    /// The index of this charter.
    pub index: u64,
    /// What it says.
    #[serde(with = "json")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub charter: Value,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Agent {
    /// Its name.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::AgentName))]
    pub agent: Name,
    /// Its state. A newer service may have states that a client does not know.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::State))]
    pub state: String,
    /// The epoch in force; 0 before the first lease.
    pub epoch: u64,
    /// The `seq` of its next record in this epoch.
    pub next_seq: u64,
    /// The `prev` of its next record in this epoch; `null` before the first lease.
    #[serde(default, with = "text::nullable")]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Option<crate::schema::Hash>))]
    pub head: Option<RecordHash>,
    /// Its last record of any epoch.
    #[serde(default, with = "text::nullable")]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Option<crate::schema::Hash>))]
    pub last: Option<RecordHash>,
    /// Its lease: the one in force, or the last one.
    #[serde(default, with = "text::nullable")]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Option<crate::schema::Hash>))]
    pub lease: Option<RecordHash>,
    /// The newest lease, lease revocation or order about it: what the next lease or order names in `after`.
    #[serde(default, with = "text::nullable")]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Option<crate::schema::Hash>))]
    pub after: Option<RecordHash>,
    /// When that lease ends, in milliseconds since the epoch; `null` if it is not in force.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub lease_ends_ms: Option<u64>,
    /// What is asked of whoever runs the agent.
    pub ask: Ask,
    /// The hash of its active manifest.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Hash))]
    pub manifest_hash: Digest,
    /// The registration of that manifest: what the next one's `replaces` names.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Hash))]
    pub registration: RecordHash,
    /// Milliseconds since its last heartbeat, by the rules' reckoning.
    pub pulse_age_ms: u64,
    /// Milliseconds since its last progress, by the rules' reckoning.
    pub progress_age_ms: u64,
}

/// One agent, and the head that this speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentAsOf {
    /// The size of the log that this speaks of.
    pub as_of: u64,
    /// The time of that head, to which ages count: milliseconds since the epoch.
    pub as_of_ms: u64,
    /// What time it is in the log: milliseconds since the epoch. A client whose own clock is behind signs in it.
    pub log_ms: u64,
    /// The agent.
    #[serde(flatten)]
    pub agent: Agent,
    /// Its goals without an outcome: 64 at most.
    #[serde(with = "text::each")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::schema::Hash>))]
    pub open_goals: Vec<RecordHash>,
    /// Its intents without a result: 64 at most.
    #[serde(with = "text::each")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<crate::schema::Hash>))]
    pub open_intents: Vec<RecordHash>,
}

/// A page of agents, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Agents {
    /// The size of the log that this speaks of.
    pub as_of: u64,
    /// The time of that head, to which ages count: milliseconds since the epoch.
    pub as_of_ms: u64,
    /// The agents.
    pub agents: Vec<Agent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn written() -> String {
        let (head, hash) = (hash('1'), hash('2'));
        format!(
            r#"{{"as_of":9,"as_of_ms":5,"log_ms":6,"agent":"greeter","state":"running","epoch":1,"next_seq":3,"head":"{head}","last":null,"lease":"{hash}","after":null,"lease_ends_ms":null,"ask":"restart","manifest_hash":"{hash}","registration":"{hash}","pulse_age_ms":7,"progress_age_ms":8,"open_goals":["{head}","{hash}"],"open_intents":[]}}"#
        )
    }

    #[test]
    fn an_agent_is_read_and_written_again() {
        let read: AgentAsOf = serde_json::from_str(&written()).unwrap();
        assert_eq!(read.agent.agent.as_str(), "greeter");
        assert_eq!((read.agent.head.is_some(), read.agent.last), (true, None));
        assert_eq!(serde_json::to_string(&read).unwrap(), written());
    }

    #[test]
    fn a_state_that_is_not_known_is_read_as_it_is_called() {
        let dances = written().replace("running", "dancing");
        let read: AgentAsOf = serde_json::from_str(&dances).unwrap();
        assert_eq!(read.agent.state, "dancing");
    }

    #[test]
    fn what_may_be_null_may_be_left_out() {
        let mut value: serde_json::Value = serde_json::from_str(&written()).unwrap();
        for member in ["last", "after", "lease_ends_ms"] {
            value.as_object_mut().unwrap().remove(member);
        }
        let read: AgentAsOf = serde_json::from_value(value).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), written());
    }
}
