//! Leases: authority bounded in time, scope and budget; their renewals and revocations.

use crate::codes::Refusal;
use crate::digest::{Digest, RecordHash};
use crate::json::{Members, Value, integer, object, parsed};
use crate::record::Fields;
use crate::scope::Pattern;
use crate::text::{Name, Text};

/// Authority for one version of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The agent.
    pub agent: Name,
    /// The one version that it is for.
    pub manifest_hash: Digest,
    /// What is allowed.
    pub allow: Vec<Pattern>,
    /// What is denied all the same.
    pub deny: Vec<Pattern>,
    /// How much of it.
    pub budget: Budget,
    /// Its first millisecond.
    pub not_before_ms: u64,
    /// The first millisecond after it.
    pub expires_ms: u64,
    /// How far control may renew it; `None` for not at all.
    pub renew_until_ms: Option<u64>,
    /// The lease of another agent that this one is a part of.
    pub parent: Option<RecordHash>,
    /// The newest lease, revocation or order about the agent that its signer knew of; `None` for none at all. It is
    /// logged only while that is so, so a grant that was lost on the way undoes nothing that was decided since.
    pub after: Option<RecordHash>,
    /// The purpose.
    pub purpose: Text,
}

/// What may be used up; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Intents.
    pub actions: Option<u64>,
    /// Tokens of a model.
    pub tokens: Option<u64>,
    /// Millionths of the unit of money that the operators count in.
    pub cost_micros: Option<u64>,
}

/// More time for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRenewal {
    /// The lease.
    pub lease: RecordHash,
    /// The end that it extends: when the lease ends by itself until now.
    pub from_ms: u64,
    /// The first millisecond after it, from now on.
    pub expires_ms: u64,
}

/// The end of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRevocation {
    /// The lease.
    pub lease: RecordHash,
    /// Why.
    pub reason: Text,
}

impl Lease {
    pub(crate) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            agent: members.required("agent", Name::read)?,
            manifest_hash: members.required("manifest_hash", parsed)?,
            allow: members.list("allow", parsed)?,
            deny: members.list("deny", parsed)?,
            budget: members.required("budget", Budget::read)?,
            not_before_ms: members.required("not_before_ms", integer)?,
            expires_ms: members.required("expires_ms", integer)?,
            renew_until_ms: members.nullable("renew_until_ms", integer)?,
            parent: members.nullable("parent", parsed)?,
            after: members.nullable("after", parsed)?,
            purpose: members.required("purpose", Text::read)?,
        })
    }

    pub(crate) fn write(&self, out: &mut Fields) {
        out.put("agent", &self.agent);
        out.put("manifest_hash", self.manifest_hash);
        out.put("allow", patterns(&self.allow));
        out.put("deny", patterns(&self.deny));
        out.put("budget", self.budget.to_value());
        out.put("not_before_ms", self.not_before_ms);
        out.put("expires_ms", self.expires_ms);
        out.put("renew_until_ms", self.renew_until_ms);
        out.put("parent", self.parent);
        out.put("after", self.after);
        out.put("purpose", &self.purpose);
    }
}

pub(crate) fn patterns(patterns: &[Pattern]) -> Value {
    patterns.iter().map(ToString::to_string).collect()
}

impl Budget {
    pub(crate) fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let budget = Self {
            actions: members.nullable("actions", integer)?,
            tokens: members.nullable("tokens", integer)?,
            cost_micros: members.nullable("cost_micros", integer)?,
        };
        members.finish().map(|()| budget)
    }

    pub(crate) fn to_value(self) -> Value {
        object([
            ("actions", self.actions.into()),
            ("tokens", self.tokens.into()),
            ("cost_micros", self.cost_micros.into()),
        ])
    }
}

impl LeaseRenewal {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            lease: members.required("lease", parsed)?,
            from_ms: members.required("from_ms", integer)?,
            expires_ms: members.required("expires_ms", integer)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("lease", self.lease);
        out.put("from_ms", self.from_ms);
        out.put("expires_ms", self.expires_ms);
    }
}

impl LeaseRevocation {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            lease: members.required("lease", parsed)?,
            reason: members.required("reason", Text::read)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("lease", self.lease);
        out.put("reason", &self.reason);
    }
}
