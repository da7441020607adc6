//! The records: what can be said in the log, one file a kind.
//!
//! Each kind is a type with `read` and `write`. Reading refuses whatever the kind does not have;
//! writing gives the members in the one documented order. A record that was read keeps the bytes
//! it came in: those are signed and hashed, never a re-serialisation.

mod chain;
mod charter;
mod heartbeat;
mod lease;
mod manifest;
mod observation;
mod order;
mod pulse;
mod receipt;
mod refused;
mod signed;
mod transition;

use std::str::FromStr;

pub use chain::{Chain, Instance};
pub use charter::{
    Charter, CharterKey, Limits, Liveness, MAX_CHARTER_KEYS, Mode, RULES, Role, Thresholds,
};
pub use heartbeat::{Heartbeat, Seen};
pub(crate) use lease::patterns;
pub use lease::{Budget, Lease, LeaseRenewal, LeaseRevocation};
pub use manifest::{FileSet, Manifest, Model, Prompt, Registration, Tool};
pub use observation::{Event, MAX_CALL_BYTES, Observation, SeenStatus};
pub use order::Order;
pub use pulse::{Pulse, StateAt, StateRoot};
pub use receipt::{
    Amounts, Check, Goal, Intent, Outcome, Phase, Receipt, ResultOf, Status, ToolUse, Verdict,
};
pub use refused::Refused;
pub(crate) use signed::Ahead;
pub use signed::{CheckedRecord, SignedRecord};
pub use transition::{AgentState, Rule, Transition};

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::envelope::{Envelope, MAX_INTENT_BYTES, within};
use crate::json::{Members, Value, integer, parsed};
use crate::key::PrivateKey;
use crate::text::{Name, quoted};

/// Declares an enum whose variants are words in a record.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of its definition.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word as it is in a record.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::codes::Refusal;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let known = Self::ALL.iter().find(|word| word.as_str() == text);
                known.copied().ok_or_else(|| {
                    $crate::codes::Code::Malformed.because(format!("{} is not a valid {}", $crate::text::quoted(text), $what))
                })
            }
        }

        impl From<$name> for $crate::json::Value {
            fn from(word: $name) -> Self {
                word.as_str().into()
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What a record is about.
    Kind, "kind of record" {
        /// The constitution of the log.
        Charter = "charter",
        /// A version of an agent.
        Manifest = "manifest",
        /// Authority for an agent.
        Lease = "lease",
        /// More time for a lease.
        LeaseRenewal = "lease-renewal",
        /// The end of a lease.
        LeaseRevocation = "lease-revocation",
        /// An operator's command to change an agent's state.
        Order = "order",
        /// A sign of life.
        Heartbeat = "heartbeat",
        /// What an agent set out to do, did, or reached.
        Receipt = "receipt",
        /// A change of an agent's state.
        Transition = "transition",
        /// Something that was not let into the log.
        Refusal = "refusal",
        /// The control plane's own sign of life.
        Pulse = "pulse",
        /// What another tool saw.
        Observation = "observation",
    }
}

/// The largest `ext` of what an agent or an observer signs, in bytes as it is written: there are many of these, and
/// nobody has looked at them before they are logged.
pub const MAX_EXT_BYTES: usize = 1024;

const TYPE_PREFIX: &str = "application/vnd.dragons.";
const TYPE_SUFFIX: &str = ".v1+json";

impl Kind {
    /// Whether records of this kind say who may act: what everything else rests on.
    pub const fn is_authority(self) -> bool {
        match self {
            Self::Charter
            | Self::Manifest
            | Self::Lease
            | Self::LeaseRenewal
            | Self::LeaseRevocation
            | Self::Order
            | Self::Transition => true,
            Self::Heartbeat | Self::Receipt | Self::Refusal | Self::Pulse | Self::Observation => {
                false
            }
        }
    }

    /// Whether agents or observers sign it.
    const fn has_short_ext(self) -> bool {
        matches!(self, Self::Heartbeat | Self::Receipt | Self::Observation)
    }

    /// The media type of the payload, which the signature covers.
    pub fn payload_type(self) -> String {
        format!("{TYPE_PREFIX}{self}{TYPE_SUFFIX}")
    }

    /// Reads a payload type.
    ///
    /// # Errors
    /// `unknown-kind`.
    pub fn from_payload_type(payload_type: &str) -> Result<Self, Refusal> {
        let kind = payload_type
            .strip_prefix(TYPE_PREFIX)
            .and_then(|rest| rest.strip_suffix(TYPE_SUFFIX))
            .and_then(|kind| kind.parse().ok());
        kind.ok_or_else(|| {
            Code::UnknownKind.because(format!("payload type {}", quoted(payload_type)))
        })
    }
}

/// What a payload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The record hash of charter 1 of the log that this was made for; `None` in charter 1 itself.
    pub log: Option<RecordHash>,
    /// When the signer says it was made: milliseconds since the epoch.
    pub at_ms: u64,
    /// The members of its kind.
    pub body: Body,
    /// Free members for others' use; they mean nothing to the rules.
    pub ext: Option<Value>,
}

/// The members that a kind has beside `log` and `at_ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The constitution of the log.
    Charter(Box<Charter>),
    /// A version of an agent.
    Manifest(Box<Registration>),
    /// Authority for an agent.
    Lease(Box<Lease>),
    /// More time for a lease.
    LeaseRenewal(LeaseRenewal),
    /// The end of a lease.
    LeaseRevocation(LeaseRevocation),
    /// An operator's command.
    Order(Order),
    /// A sign of life.
    Heartbeat(Box<Heartbeat>),
    /// A step of an agent's work.
    Receipt(Box<Receipt>),
    /// A change of state.
    Transition(Transition),
    /// Something that was not let in.
    Refusal(Box<Refused>),
    /// The control plane's own sign of life.
    Pulse(Pulse),
    /// What another tool saw.
    Observation(Box<Observation>),
}

impl Body {
    /// The kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Charter(_) => Kind::Charter,
            Self::Manifest(_) => Kind::Manifest,
            Self::Lease(_) => Kind::Lease,
            Self::LeaseRenewal(_) => Kind::LeaseRenewal,
            Self::LeaseRevocation(_) => Kind::LeaseRevocation,
            Self::Order(_) => Kind::Order,
            Self::Heartbeat(_) => Kind::Heartbeat,
            Self::Receipt(_) => Kind::Receipt,
            Self::Transition(_) => Kind::Transition,
            Self::Refusal(_) => Kind::Refusal,
            Self::Pulse(_) => Kind::Pulse,
            Self::Observation(_) => Kind::Observation,
        }
    }

    fn read(kind: Kind, members: &mut Members) -> Result<Self, Refusal> {
        Ok(match kind {
            Kind::Charter => Self::Charter(Box::new(Charter::read(members)?)),
            Kind::Manifest => Self::Manifest(Box::new(Registration::read(members)?)),
            Kind::Lease => Self::Lease(Box::new(Lease::read(members)?)),
            Kind::LeaseRenewal => Self::LeaseRenewal(LeaseRenewal::read(members)?),
            Kind::LeaseRevocation => Self::LeaseRevocation(LeaseRevocation::read(members)?),
            Kind::Order => Self::Order(Order::read(members)?),
            Kind::Heartbeat => Self::Heartbeat(Box::new(Heartbeat::read(members)?)),
            Kind::Receipt => Self::Receipt(Box::new(Receipt::read(members)?)),
            Kind::Transition => Self::Transition(Transition::read(members)?),
            Kind::Refusal => Self::Refusal(Box::new(Refused::read(members)?)),
            Kind::Pulse => Self::Pulse(Pulse::read(members)?),
            Kind::Observation => Self::Observation(Box::new(Observation::read(members)?)),
        })
    }

    fn write(&self, out: &mut Fields) {
        match self {
            Self::Charter(body) => body.write(out),
            Self::Manifest(body) => body.write(out),
            Self::Lease(body) => body.write(out),
            Self::LeaseRenewal(body) => body.write(out),
            Self::LeaseRevocation(body) => body.write(out),
            Self::Order(body) => body.write(out),
            Self::Heartbeat(body) => body.write(out),
            Self::Receipt(body) => body.write(out),
            Self::Transition(body) => body.write(out),
            Self::Refusal(body) => body.write(out),
            Self::Pulse(body) => body.write(out),
            Self::Observation(body) => body.write(out),
        }
    }
}

/// The members of a payload, in the order in which they are written.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, Value)>);

impl Fields {
    pub(crate) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.push((name.to_owned(), value.into()));
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

impl Record {
    /// The agent that it is about. Renewals and revocations name a lease, and through it an agent.
    pub const fn agent(&self) -> Option<&Name> {
        match &self.body {
            Body::Manifest(registration) => Some(&registration.agent),
            Body::Lease(lease) => Some(&lease.agent),
            Body::Order(order) => Some(&order.agent),
            Body::Heartbeat(heartbeat) => Some(&heartbeat.chain.agent),
            Body::Receipt(receipt) => Some(&receipt.chain.agent),
            Body::Transition(transition) => Some(&transition.agent),
            Body::Refusal(refused) => Some(&refused.agent),
            Body::Observation(observation) => Some(&observation.agent),
            Body::Charter(_)
            | Body::LeaseRenewal(_)
            | Body::LeaseRevocation(_)
            | Body::Pulse(_) => None,
        }
    }

    /// The records that a receipt builds on or was checked by: of any kind and of anybody, as long as they are in the log
    /// before it.
    pub fn references(&self) -> Vec<RecordHash> {
        let Body::Receipt(receipt) = &self.body else {
            return Vec::new();
        };
        match &receipt.phase {
            Phase::Intent(intent) => intent.parents.clone(),
            Phase::Outcome(outcome) => outcome.checks.iter().filter_map(|it| it.record).collect(),
            Phase::Goal(_) | Phase::Result(_) => Vec::new(),
        }
    }

    /// The record that it answers to: the lease that it renews, revokes or takes its part of, the goal that it serves or
    /// ends, the intent that it is the result of.
    pub fn refers_to(&self) -> Option<RecordHash> {
        match &self.body {
            Body::Lease(lease) => lease.parent,
            Body::LeaseRenewal(renewal) => Some(renewal.lease),
            Body::LeaseRevocation(revocation) => Some(revocation.lease),
            Body::Receipt(receipt) => match &receipt.phase {
                Phase::Goal(_) => None,
                Phase::Intent(intent) => Some(intent.goal),
                Phase::Result(result) => Some(result.intent),
                Phase::Outcome(outcome) => Some(outcome.goal),
            },
            _ => None,
        }
    }

    /// Reads the exact bytes of a payload.
    ///
    /// # Errors
    /// `too-large`, `not-strict-json`, `malformed`, `unknown-member`.
    pub fn parse(kind: Kind, payload: &[u8]) -> Result<Self, Refusal> {
        let value = Value::parse(payload)?;
        if is_intent(kind, &value) {
            within("intent", payload.len(), MAX_INTENT_BYTES)?;
        }
        let mut members = Members::open("", value)?;
        let log = members.nullable("log", parsed)?;
        let body = Body::read(kind, &mut members)?;
        let at_ms = members.required("at_ms", integer)?;
        let ext = members.take_if_present("ext").map(read_ext).transpose()?;
        if let Some(ext) = ext.as_ref().filter(|_| kind.has_short_ext()) {
            within("ext", ext.to_json().len(), MAX_EXT_BYTES)?;
        }
        members.finish()?;
        Ok(Self {
            log,
            at_ms,
            body,
            ext,
        })
    }

    /// The payload, in the documented order of members and without spaces.
    pub fn to_payload(&self) -> String {
        let mut fields = Fields::default();
        fields.put("log", self.log);
        self.body.write(&mut fields);
        fields.put("at_ms", self.at_ms);
        if let Some(ext) = &self.ext {
            fields.put("ext", ext.clone());
        }
        fields.into_value().to_json()
    }

    /// Signs the record with each of the keys.
    ///
    /// # Errors
    /// Those of reading it back: what could not be logged is not signed.
    pub fn sign(&self, keys: &[&PrivateKey]) -> Result<SignedRecord, Refusal> {
        let payload = self.to_payload().into_bytes();
        SignedRecord::from_envelope(Envelope::sign(self.body.kind(), payload, keys)?)
    }
}

/// Whether the payload is an intent's, whatever else may be wrong with it: its size comes first.
fn is_intent(kind: Kind, payload: &Value) -> bool {
    let Value::Object(members) = payload else {
        return false;
    };
    let is_phase = |(name, value): &(String, Value)| {
        name == "phase" && matches!(value, Value::Text(phase) if phase == "intent")
    };
    kind == Kind::Receipt && members.iter().any(is_phase)
}

/// Free members: an object whose strings obey the rules of free text.
fn read_ext(value: Value) -> Result<Value, Refusal> {
    fn texts_are_free(value: &Value) -> Result<(), Refusal> {
        match value {
            Value::Text(text) => crate::text::Text::from_str(text).map(drop),
            Value::Array(values) => values.iter().try_for_each(texts_are_free),
            Value::Object(members) => members.iter().try_for_each(|(name, value)| {
                crate::text::Text::from_str(name)?;
                texts_are_free(value)
            }),
            Value::Null | Value::Bool(_) | Value::Integer(_) => Ok(()),
        }
    }
    if !matches!(value, Value::Object(_)) {
        return Err(crate::json::expected("ext", "an object"));
    }
    texts_are_free(&value).map_err(|refusal| refusal.at("ext"))?;
    Ok(value)
}
