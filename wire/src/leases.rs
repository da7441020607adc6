//! Leases, and the requests for them.

use ledger::digest::Digest;
use ledger::json::Value;
use ledger::text::Name;
use serde::{Deserialize, Serialize};

use crate::{json, text};

/// A lease as it stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lease {
    /// The size of the log that this speaks of.
    pub as_of: u64,
    /// The time of that head: milliseconds since the epoch.
    pub as_of_ms: u64,
    /// Whether it is valid at that time, and all leases above it are.
    pub in_force: bool,
    /// The first millisecond after it, renewals counted in.
    pub expires_ms: u64,
    /// What ended it before its time: `revoked`, `superseded`, `stopped` or `distrusted`; `over` if that was more than a day
    /// ago, then the log has the record that ended it.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub ended_by: Option<String>,
    /// What of its budget was used or is reserved; `null` once it has ended and nothing is under it.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub spent: Option<Spent>,
}

/// What was used or is reserved. Sums that JSON has no exact numbers for are decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spent {
    /// Intents.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Sum))]
    pub actions: String,
    /// Tokens.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Sum))]
    pub tokens: String,
    /// Millionths of the unit of money.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Sum))]
    pub cost_micros: String,
}

/// A request for a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeaseRequest {
    /// The request's name, `sha256:` and 64 hex digits.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::Hash))]
    pub request: Digest,
    /// The agent that asks.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::AgentName))]
    pub agent: Name,
    /// When the service received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// What was signed, decoded.
    #[serde(with = "json")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub payload: Value,
    /// The envelope.
    #[serde(with = "json")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::schema::LeaseRequestEnvelope))]
    pub envelope: Value,
}

/// The requests that an operator could grant, in the order of the agents' names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeaseRequests {
    /// The size of the log that this speaks of.
    pub as_of: u64,
    /// The requests.
    pub requests: Vec<LeaseRequest>,
}
