//! Who gave an agent its authority, for what, and from when to when.
//!
//! A lease ends here by its own terms, by its revocation, by a later lease of the agent, or by an order to stop. What ends
//! it from outside, the end of the lease that it is a part of or a charter that takes back trust, the rules alone can
//! tell ([`ledger::govern`]); whoever has their state shows that beside it.

use std::collections::BTreeMap;
use std::fmt;

use ledger::digest::{Digest, RecordHash};
use ledger::key::KeyId;
use ledger::record::{AgentState, Body, Budget, Lease};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};
use serde::{Serialize, Serializer};
use tlog::LeafIndex;

use crate::entry::Entry;
use crate::json;
use crate::words::visible;

/// A lease and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct LeaseSpan {
    /// The record of the lease.
    #[serde(serialize_with = "json::text")]
    pub lease: RecordHash,
    /// Where that stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// The agent.
    #[serde(serialize_with = "json::text")]
    pub agent: Name,
    /// Its first millisecond: when it was logged, or later if its terms say so.
    pub from_ms: u64,
    /// The first millisecond after it, by all that was heard.
    pub to_ms: u64,
    /// The keys that granted it.
    #[serde(serialize_with = "json::texts")]
    pub granted_by: Vec<KeyId>,
    /// The one version of the agent that it is for.
    #[serde(serialize_with = "json::text")]
    pub manifest_hash: Digest,
    /// What it allows.
    #[serde(serialize_with = "json::texts")]
    pub allow: Vec<Pattern>,
    /// What it denies all the same.
    #[serde(serialize_with = "json::texts")]
    pub deny: Vec<Pattern>,
    /// How much of it; what is null is not limited.
    #[serde(serialize_with = "budget")]
    pub budget: Budget,
    /// The purpose.
    #[serde(serialize_with = "json::text")]
    pub purpose: Text,
    /// The lease of another agent that it is a part of.
    #[serde(serialize_with = "json::text_or_null")]
    pub parent: Option<RecordHash>,
    /// How it was prolonged, oldest first.
    pub renewals: Vec<Renewal>,
    /// What ended it before its time.
    pub ended: Option<End>,
}

/// More time for a lease.
#[derive(Clone, Debug, Serialize)]
pub struct Renewal {
    /// Where it stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// The end of the lease from then on.
    pub expires_ms: u64,
    /// The keys that gave it: operators', or the control plane's.
    #[serde(serialize_with = "json::texts")]
    pub by: Vec<KeyId>,
}

/// What ended a lease before its time.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    /// The record that did.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// What it was.
    pub why: Why,
    /// The reason that was given.
    #[serde(serialize_with = "json::text_or_null")]
    pub reason: Option<Text>,
    /// The keys that signed it.
    #[serde(serialize_with = "json::texts")]
    pub by: Vec<KeyId>,
}

impl End {
    /// What it was, in words in which nothing is hidden, and the reason that was given.
    pub fn in_words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {}", self.why, visible(reason.as_str())),
            None => self.why.to_string(),
        }
    }
}

/// How a lease ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It was revoked.
    Revoked,
    /// A later lease of the agent took its place.
    Superseded,
    /// The agent was ordered to stop.
    Stopped,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "revoked",
            Self::Superseded => "superseded",
            Self::Stopped => "stopped",
        })
    }
}

/// Under whose authority something was done: the agent's lease at that time.
#[derive(Clone, Debug, Serialize)]
pub struct Authority {
    /// The epoch in which it was done.
    pub epoch: u64,
    /// The lease; `None` if the entries heard have none.
    #[serde(serialize_with = "json::text_or_null")]
    pub lease: Option<RecordHash>,
    /// The keys that granted it.
    #[serde(serialize_with = "json::texts")]
    pub authorised_by: Vec<KeyId>,
    /// The version of the agent that it is for, by its hash.
    #[serde(serialize_with = "json::text_or_null")]
    pub manifest_hash: Option<Digest>,
    /// What people call that version, if its registration was heard.
    #[serde(serialize_with = "json::text_or_null")]
    pub version: Option<Text>,
}

/// The leases of all agents, as the entries heard so far tell of them.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    spans: Vec<LeaseSpan>,
    places: BTreeMap<RecordHash, usize>,
    newest: BTreeMap<Name, usize>,
    versions: BTreeMap<Digest, Text>,
}

impl Leases {
    /// Hears the next entry.
    pub fn hear(&mut self, entry: &Entry) {
        match entry.body() {
            Body::Manifest(registration) => {
                let version = registration.manifest.version.clone();
                self.versions.insert(registration.manifest_hash, version);
            }
            Body::Lease(lease) => self.grant(entry, lease),
            Body::LeaseRenewal(renewal) => {
                if let Some(span) = self.span_mut(&renewal.lease) {
                    span.to_ms = renewal.expires_ms;
                    span.renewals.push(Renewal {
                        index: entry.index,
                        received_ms: entry.received_ms,
                        expires_ms: renewal.expires_ms,
                        by: signers(entry),
                    });
                }
            }
            Body::LeaseRevocation(revocation) => {
                let reason = Some(revocation.reason.clone());
                let span = self.span_mut(&revocation.lease);
                span.into_iter()
                    .for_each(|span| span.end(entry, Why::Revoked, reason.clone()));
            }
            Body::Order(order) if order.to == AgentState::Stopped => {
                let reason = Some(order.reason.clone());
                self.end_newest(&order.agent, entry, Why::Stopped, reason);
            }
            _ => {}
        }
    }

    /// All of them, in the order in which they were granted.
    pub fn spans(&self) -> &[LeaseSpan] {
        &self.spans
    }

    /// A lease.
    pub fn span(&self, lease: &RecordHash) -> Option<&LeaseSpan> {
        self.places.get(lease).and_then(|at| self.spans.get(*at))
    }

    /// The newest lease of an agent, which need not be in force.
    pub fn of_agent(&self, agent: &Name) -> Option<&LeaseSpan> {
        self.newest.get(agent).and_then(|at| self.spans.get(*at))
    }

    /// Under whose authority an agent does something in an epoch, now.
    pub fn authority(&self, agent: &Name, epoch: u64) -> Authority {
        let span = self.of_agent(agent);
        let manifest_hash = span.map(|span| span.manifest_hash);
        let version = manifest_hash.and_then(|hash| self.versions.get(&hash));
        Authority {
            epoch,
            lease: span.map(|span| span.lease),
            authorised_by: span.map_or_else(Vec::new, |span| span.granted_by.clone()),
            manifest_hash,
            version: version.cloned(),
        }
    }

    fn grant(&mut self, entry: &Entry, lease: &Lease) {
        self.end_newest(&lease.agent, entry, Why::Superseded, None);
        let hash = entry.record.hash();
        self.places.insert(hash, self.spans.len());
        self.newest.insert(lease.agent.clone(), self.spans.len());
        self.spans.push(LeaseSpan {
            lease: hash,
            index: entry.index,
            agent: lease.agent.clone(),
            from_ms: entry.received_ms.max(lease.not_before_ms),
            to_ms: lease.expires_ms,
            granted_by: signers(entry),
            manifest_hash: lease.manifest_hash,
            allow: lease.allow.clone(),
            deny: lease.deny.clone(),
            budget: lease.budget,
            purpose: lease.purpose.clone(),
            parent: lease.parent,
            renewals: Vec::new(),
            ended: None,
        });
    }

    fn end_newest(&mut self, agent: &Name, entry: &Entry, why: Why, reason: Option<Text>) {
        let span = self.newest.get(agent).copied();
        let span = span.and_then(|at| self.spans.get_mut(at));
        span.into_iter()
            .for_each(|span| span.end(entry, why, reason.clone()));
    }

    fn span_mut(&mut self, lease: &RecordHash) -> Option<&mut LeaseSpan> {
        let at = self.places.get(lease).copied()?;
        self.spans.get_mut(at)
    }
}

impl LeaseSpan {
    /// What ended it first stays the reason; what has run out is not ended any more.
    fn end(&mut self, entry: &Entry, why: Why, reason: Option<Text>) {
        if self.ended.is_some() || self.to_ms <= entry.received_ms {
            return;
        }
        self.to_ms = entry.received_ms;
        self.ended = Some(End {
            index: entry.index,
            received_ms: entry.received_ms,
            why,
            reason,
            by: signers(entry),
        });
    }
}

/// The keys that signed an entry's record, by the record's own account.
fn signers(entry: &Entry) -> Vec<KeyId> {
    let signatures = entry.record.envelope().signatures().iter();
    signatures.map(|signature| signature.keyid).collect()
}

fn budget<S: Serializer>(budget: &Budget, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown {
        actions: Option<u64>,
        tokens: Option<u64>,
        cost_micros: Option<u64>,
    }
    let Budget {
        actions,
        tokens,
        cost_micros,
    } = *budget;
    let shown = Shown {
        actions,
        tokens,
        cost_micros,
    };
    shown.serialize(to)
}
