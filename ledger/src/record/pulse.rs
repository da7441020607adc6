//! Pulses: the control plane's own sign of life.

use crate::codes::Refusal;
use crate::json::{Members, Value, integer};
use crate::record::Fields;
use tlog::checkpoint::SignedCheckpoint;

/// The control plane's own sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Its number, from 1.
    pub n: u64,
    /// How many agents are registered.
    pub agents: u64,
    /// The text of the newest cosigned checkpoint, which bounds the log's clock.
    pub witnessed: Option<String>,
}

impl Pulse {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            n: members.required("n", integer)?,
            agents: members.required("agents", integer)?,
            witnessed: members.nullable("witnessed", read_checkpoint)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("n", self.n);
        out.put("agents", self.agents);
        out.put("witnessed", self.witnessed.as_deref());
    }
}

/// The text of a signed checkpoint: it must at least parse as one.
fn read_checkpoint(path: &str, value: Value) -> Result<String, Refusal> {
    let text = crate::json::string(path, value)?;
    SignedCheckpoint::parse(&text)
        .map(|_| text)
        .map_err(|error| crate::codes::Code::Malformed.because(format!("{path}: {error}")))
}
