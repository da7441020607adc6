//! Versions of an agent within a span, each with how it differs from the one before it.

use client::manifest::diff::{self, Difference};
use ledger::digest::RecordHash;
use ledger::key::KeyId;
use ledger::record::{Body, Registration};
use ledger::text::Name;
use timeline::entry::Entry;
use tlog::LeafIndex;

/// A version, as it was registered.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    /// Where its registration stands.
    pub(crate) index: LeafIndex,
    /// When the log received it.
    pub(crate) received_ms: u64,
    /// The record.
    pub(crate) record: RecordHash,
    /// The keys that signed it: operators', and the agent's.
    pub(crate) by: Vec<KeyId>,
    /// What it says.
    pub(crate) registration: Registration,
}

/// A version that was in force.
#[derive(Debug)]
pub(crate) struct VersionView {
    /// It.
    pub(crate) now: Registered,
    /// The one before it; `None` of the first.
    pub(crate) before: Option<Registered>,
}

/// The versions of an agent, as they are heard.
#[derive(Debug)]
pub(super) struct Versions {
    agent: Name,
    heard: Vec<Registered>,
}

impl Versions {
    pub(super) const fn of(agent: Name) -> Self {
        Self {
            agent,
            heard: Vec::new(),
        }
    }

    pub(super) fn hear(&mut self, entry: &Entry) {
        let Body::Manifest(registration) = entry.body() else {
            return;
        };
        if registration.agent == self.agent {
            let signatures = entry.record.envelope().signatures().iter();
            self.heard.push(Registered {
                index: entry.index,
                received_ms: entry.received_ms,
                record: entry.record.hash(),
                by: signatures.map(|signature| signature.keyid).collect(),
                registration: (**registration).clone(),
            });
        }
    }

    /// The one in force at a time, and those after it.
    pub(super) fn told(self, from_ms: u64) -> Vec<VersionView> {
        let heard = &self.heard;
        let earlier = heard.partition_point(|it| it.received_ms < from_ms);
        let told = |at: usize| VersionView {
            now: heard[at].clone(),
            before: at.checked_sub(1).map(|before| heard[before].clone()),
        };
        (earlier.saturating_sub(1)..heard.len()).map(told).collect()
    }
}

impl VersionView {
    /// How it differs from the one before it, as far as the log has that.
    pub(crate) fn differences(&self) -> Vec<Difference> {
        let now = &self.now.registration.manifest;
        let before = self.before.as_ref();
        before.map_or_else(Vec::new, |before| {
            diff::of_manifests(&before.registration.manifest, now)
        })
    }
}
