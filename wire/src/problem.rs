//! Problem documents (RFC 9457).

use serde::{Deserialize, Serialize};

/// The document that a problem is sent as. It is read even if members are missing: whatever answers may be another
/// program than the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The phrase of the status (RFC 9457 §4.2.1: the type is `about:blank`, and so left out).
    #[cfg_attr(feature = "openapi", schema(required))]
    pub title: String,
    /// The HTTP status.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub status: u16,
    /// The stable code of what was wrong.
    #[cfg_attr(feature = "openapi", schema(required, example = "sequence-gap"))]
    pub code: String,
    /// What was wrong, for people.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub detail: String,
    /// The sequence number that the agent's next record has, if the chain refused this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_seq: Option<u64>,
    /// The `prev` that the agent's next record has, if the chain refused this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}
