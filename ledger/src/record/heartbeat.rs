//! Heartbeats: an agent's sign of life, and its gossip about the log.

use crate::codes::{Code, Refusal};
use crate::digest::{Digest, RecordHash};
use crate::json::{Members, Value, boolean, integer, object, parsed, string};
use crate::record::{Chain, Fields};

/// An agent's sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where it is in the agent's chain.
    pub chain: Chain,
    /// Semantic steps made within the epoch; it never goes back.
    pub progress: u64,
    /// Whether the agent says goodbye.
    pub r#final: bool,
    /// The version that is running.
    pub manifest_hash: Digest,
    /// At `seq` 0, the agent's last record of any earlier epoch, if there is one.
    pub before: Option<RecordHash>,
    /// The newest checkpoint that the agent has verified.
    pub seen: Option<Seen>,
}

/// A checkpoint in short: with the origin of the charter it is the whole signed note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The size of the tree.
    pub size: u64,
    /// Its root.
    pub root: tlog::Hash,
    /// The last field of the log's signature line: key id and signature, in base64.
    pub sig: String,
}

/// Four bytes of key id and an Ed25519 signature.
const NOTE_SIGNATURE_BYTES: usize = 4 + 64;

impl Heartbeat {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            chain: Chain::read(members)?,
            progress: members.required("progress", integer)?,
            r#final: members.required("final", boolean)?,
            manifest_hash: members.required("manifest_hash", parsed)?,
            before: members.nullable("before", parsed)?,
            seen: members.nullable("seen", Seen::read)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        self.chain.write(out);
        out.put("progress", self.progress);
        out.put("final", self.r#final);
        out.put("manifest_hash", self.manifest_hash);
        out.put("before", self.before);
        out.put("seen", self.seen.as_ref().map(Seen::to_value));
    }
}

impl Seen {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let seen = Self {
            size: members.required("size", integer)?,
            root: members.required("root", parsed)?,
            sig: members.required("sig", string)?,
        };
        let bytes = tlog::base64::decode(&seen.sig).ok();
        if bytes.is_none_or(|bytes| bytes.len() != NOTE_SIGNATURE_BYTES) {
            return Err(Code::Malformed.because(format!("{path}.sig is not a note signature")));
        }
        members.finish().map(|()| seen)
    }

    fn to_value(&self) -> Value {
        object([
            ("size", self.size.into()),
            ("root", self.root.to_string().into()),
            ("sig", self.sig.as_str().into()),
        ])
    }
}
