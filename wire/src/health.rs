//! Whether the service works.

use serde::{Deserialize, Serialize};

/// The process answers and its sequencer has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alive {
    /// Always `alive`.
    pub status: String,
}

/// Records are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ready {
    /// Always `ready`.
    pub status: String,
    /// The size of the newest signed tree.
    pub size: u64,
    /// Milliseconds since its last leaf was received, by the log's time.
    pub head_age_ms: u64,
    /// How far the service's clock is behind that leaf, in milliseconds.
    pub clock_behind_ms: u64,
}
