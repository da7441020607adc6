//! What is said of entries.

use ledger::digest::RecordHash;
use ledger::json::Value;
use ledger::record::{AgentState, Kind};
use ledger::text::Name;
use serde::{Deserialize, Serialize};

use crate::{json, text};

/// An entry of the log, decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its index.
    pub index: u64,
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// The record's name, `sha256:` and 64 hex digits.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Hash))]
    pub record: RecordHash,
    /// The kind of record.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Kind))]
    pub kind: Kind,
    /// What was signed, decoded.
    #[serde(with = "json")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub payload: Value,
    /// The envelope, in the leaf's member order.
    #[serde(with = "json")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Envelope))]
    pub envelope: Value,
}

/// The data of an event: an entry without its signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventBody {
    /// The entry's index, which is the event's id too.
    pub index: u64,
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// The record's name, `sha256:` and 64 hex digits.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Hash))]
    pub record: RecordHash,
    /// The kind of record.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Kind))]
    pub kind: Kind,
    /// The agent that it is about.
    #[serde(default, with = "text::nullable")]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Option<crate::schema::AgentName>))]
    pub agent: Option<Name>,
    /// What was signed, decoded.
    #[serde(with = "json")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub payload: Value,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Place {
    /// Its index.
    pub index: u64,
}

/// A record that is durable, in the tree, and under a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Answer))]
pub struct Submitted {
    /// The entry's index.
    pub index: u64,
    /// The record's name, `sha256:` and 64 hex digits.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Hash))]
    pub record: RecordHash,
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// Whether it is new, or was in the log before.
    pub result: Logged,
    /// The proof that it is in the log (c2sp.org/tlog-proof), with the leaf in `extra`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// The rule that it breaks, in observe mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "scope-denied"))]
    pub breach: Option<String>,
    /// Where the agent that signed it stands now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Standing>,
}

/// How a record came to be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Logged {
    /// It is new.
    Logged,
    /// It was there before; this is the index that it has.
    Duplicate,
}

/// Where an agent stands, told to the process that signed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Standing {
    /// The agent's state.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::State))]
    pub state: AgentState,
    /// The epoch in force.
    pub epoch: u64,
    /// The `seq` of the next record in it.
    pub next_seq: u64,
    /// When the agent's valid lease ends, in milliseconds since the epoch; `null` without one.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub lease_ends_ms: Option<u64>,
    /// What the process is asked to do.
    pub ask: Ask,
}

/// What a process is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Ask {
    /// Carry on; or begin, where a lease waits for it.
    GoOn,
    /// End: no authority is left to it, or another process has taken over.
    Stop,
    /// End, and be started again as a new instance: the control plane has fenced this one.
    Restart,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted() -> Submitted {
        Submitted {
            index: 7,
            record: format!("sha256:{}", "0a".repeat(32)).parse().unwrap(),
            received_ms: 1_700_000_000_000,
            result: Logged::Duplicate,
            proof: None,
            breach: Some("scope-denied".to_owned()),
            agent: Some(Standing {
                state: AgentState::Running,
                epoch: 2,
                next_seq: 3,
                lease_ends_ms: None,
                ask: Ask::GoOn,
            }),
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let written = serde_json::to_string(&submitted()).unwrap();
        let record = format!("sha256:{}", "0a".repeat(32));
        let expected = format!(
            r#"{{"index":7,"record":"{record}","received_ms":1700000000000,"result":"duplicate","breach":"scope-denied","agent":{{"state":"running","epoch":2,"next_seq":3,"lease_ends_ms":null,"ask":"go-on"}}}}"#
        );
        assert_eq!(written, expected);
        let read: Submitted = serde_json::from_str(&written).unwrap();
        assert_eq!(read, submitted());
    }

    #[test]
    fn what_a_newer_service_adds_is_passed_over() {
        let mut value = serde_json::to_value(submitted()).unwrap();
        value["novelty"] = 1.into();
        let read: Submitted = serde_json::from_value(value).unwrap();
        assert_eq!(read, submitted());
    }

    #[test]
    fn a_record_without_a_name_is_not_read() {
        let mut value = serde_json::to_value(submitted()).unwrap();
        value["record"] = "sha256:0".into();
        assert!(serde_json::from_value::<Submitted>(value).is_err());
    }
}
