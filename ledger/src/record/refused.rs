//! Refusals: the log's own word of what it did not let in.

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::envelope::Envelope;
use crate::json::{Members, Value, integer, parsed};
use crate::record::{Fields, Kind};
use crate::text::Name;

/// Something of an agent's that was not let into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The agent whose key signed it.
    pub agent: Name,
    /// The agent's epoch at the time.
    pub epoch: u64,
    /// The kind of the refused record.
    pub kind: Kind,
    /// Its phase, if it is a receipt.
    pub phase: Option<String>,
    /// The record hash of it; of the last of them, where several are counted together.
    pub refused: RecordHash,
    /// Why.
    pub code: Code,
    /// How many, at least 1.
    pub count: u64,
    /// The refused envelope itself, where a replay is to judge it again.
    pub envelope: Option<Envelope>,
}

const PHASES: [&str; 4] = ["goal", "intent", "result", "outcome"];

impl Refused {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        let refused = Self {
            agent: members.required("agent", Name::read)?,
            epoch: members.required("epoch", integer)?,
            kind: members.required("kind", parsed)?,
            phase: members.nullable("phase", crate::json::string)?,
            refused: members.required("refused", parsed)?,
            code: members.required("code", parsed)?,
            count: members.required("count", integer)?,
            envelope: members.nullable("envelope", read_envelope)?,
        };
        refused.check()?;
        Ok(refused)
    }

    /// Whether an intent was refused.
    pub fn is_of_an_intent(&self) -> bool {
        self.kind == Kind::Receipt && self.phase.as_deref() == Some("intent")
    }

    fn check(&self) -> Result<(), Refusal> {
        let is_receipt = self.kind == Kind::Receipt;
        let known = |phase: &String| PHASES.contains(&phase.as_str());
        if self.phase.is_some() != is_receipt || !self.phase.iter().all(known) {
            return Err(Code::Malformed.because("phase is that of a receipt, else null"));
        }
        if self.count == 0 {
            return Err(Code::Malformed.because("count is 0"));
        }
        let other = |envelope: &Envelope| envelope.record_hash() != self.refused;
        if self.envelope.as_ref().is_some_and(other) {
            return Err(Code::Malformed.because("envelope is not of the record named in refused"));
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("agent", &self.agent);
        out.put("epoch", self.epoch);
        out.put("kind", self.kind);
        out.put("phase", self.phase.as_deref());
        out.put("refused", self.refused);
        out.put("code", self.code.as_str());
        out.put("count", self.count);
        out.put("envelope", self.envelope.as_ref().map(Envelope::to_value));
    }
}

/// An envelope as an object, in the member order of a leaf and in no other.
fn read_envelope(path: &str, value: Value) -> Result<Envelope, Refusal> {
    let envelope = Envelope::from_value(value.clone()).map_err(|refusal| refusal.at(path))?;
    if envelope.to_value() != value {
        return Err(Code::Malformed.because(format!("{path} is not in the order of a leaf")));
    }
    Ok(envelope)
}
