//! What is said of tree heads.

use serde::{Deserialize, Serialize};

/// A consistency proof (RFC 6962 §2.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Consistency {
    /// The smaller size.
    pub old: u64,
    /// The larger size.
    pub new: u64,
    /// The hashes of the proof, in base64.
    pub hashes: Vec<String>,
}

/// A signed tree head and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Head {
    /// The size of the tree.
    pub size: u64,
    /// When it was signed: milliseconds since the epoch.
    pub time_ms: u64,
    /// The signed note (c2sp.org/tlog-checkpoint).
    pub checkpoint: String,
}
