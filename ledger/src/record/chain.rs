//! The chain that an agent's records form, epoch by epoch.

use std::fmt;
use std::str::FromStr;

use crate::codes::{Code, Refusal};
use crate::digest::{RecordHash, parse_hex, write_hex};
use crate::json::{Members, integer, parsed};
use crate::record::Fields;
use crate::text::Name;

/// The process that speaks for an agent: 16 hex digits, drawn when it starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance([u8; 8]);

/// Where in its agent's chain a record stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The agent.
    pub agent: Name,
    /// The fencing token: it goes up each time the authority to act changes hands.
    pub epoch: u64,
    /// The process that signs.
    pub instance: Instance,
    /// The number within the epoch, from 0.
    pub seq: u64,
    /// The agent's record before this one; at `seq` 0 the record that opened the epoch.
    pub prev: RecordHash,
}

impl Instance {
    /// Takes eight random bytes, which the caller draws when the process starts.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Instance {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let instance = parse_hex(text).map(Self);
        instance.ok_or_else(|| Code::Malformed.because("an instance is 16 lower-case hex digits"))
    }
}

impl Chain {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            agent: members.required("agent", Name::read)?,
            epoch: members.required("epoch", integer)?,
            instance: members.required("instance", parsed)?,
            seq: members.required("seq", integer)?,
            prev: members.required("prev", parsed)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("agent", &self.agent);
        out.put("epoch", self.epoch);
        out.put("instance", self.instance.to_string());
        out.put("seq", self.seq);
        out.put("prev", self.prev);
    }
}
