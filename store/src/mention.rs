//! What a leaf is about: the rows by which the leaves of an agent, a goal, an intent or a lease are found without a
//! search of the log.
//!
//! Rows follow from the leaf alone, so that a check of the store can compute them again.

use ledger::digest::RecordHash;
use ledger::record::{Kind, SignedRecord};
use ledger::text::Name;
use tlog::LeafIndex;

/// What leaves can be about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// An agent.
    Agent(Name),
    /// What an agent may: of the leaves about it those that say so ([`Kind::is_authority`]). They are few among its many
    /// heartbeats, and the newest of them are asked for.
    Authority(Name),
    /// A record that others answer to: a lease, a goal, an intent.
    Record(RecordHash),
    /// What kind of record it is: some are rare, and asked for in a log of any length.
    Kind(Kind),
}

/// That a leaf is about something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// What it is about.
    pub topic: Topic,
    /// Which leaf.
    pub index: LeafIndex,
    /// The kind of its record, so that most leaves need not be read.
    pub kind: Kind,
}

/// From which end to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ascending.
    OldestFirst,
    /// Descending.
    NewestFirst,
}

impl Mention {
    /// Everything that a leaf is about.
    pub fn all_of(index: LeafIndex, record: &SignedRecord) -> impl Iterator<Item = Self> + use<> {
        let kind = record.kind();
        let agent = record.record().agent();
        let authority = agent.filter(|_| kind.is_authority());
        let authority = authority.cloned().map(Topic::Authority);
        let agent = agent.cloned().map(Topic::Agent);
        let refers_to = record.record().refers_to().map(Topic::Record);
        let topics = agent.into_iter().chain(authority).chain(refers_to);
        let topics = topics.chain([Topic::Kind(kind)]);
        topics.map(move |topic| Self { topic, index, kind })
    }
}
