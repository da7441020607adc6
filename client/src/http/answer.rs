//! What the service answers, as far as clients need it. Members that are not known are passed over: a newer service
//! may say more.

use std::fmt::Display;
use std::str::FromStr;

use ledger::digest::{Digest, RecordHash};
use ledger::record::AgentState;
use ledger::request::SignedRequest;
use serde::de::{Deserialize, Deserializer, Error as _};

/// Where a record is.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub struct Place {
    /// Its index.
    pub index: u64,
}

/// What should show one tree to extend another.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Consistency {
    /// The smaller size.
    pub old: u64,
    /// The larger size.
    pub new: u64,
    /// The hashes, in base64.
    pub hashes: Vec<String>,
}

/// The charter in force.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub struct Charter {
    /// The log's name: the record hash of charter 1.
    #[serde(deserialize_with = "parsed")]
    pub log: RecordHash,
    /// The record hash of the charter in force.
    #[serde(deserialize_with = "parsed")]
    pub record: RecordHash,
}

/// An agent as the service sees it.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Agent {
    /// The size of the log that this describes; absent for an agent in a list.
    #[serde(default)]
    pub as_of: u64,
    /// When the last entry of that size was received: milliseconds since the epoch.
    #[serde(default)]
    pub as_of_ms: u64,
    /// Its name.
    pub agent: String,
    /// Its state.
    pub state: String,
    /// The epoch in force.
    pub epoch: u64,
    /// The `seq` of its next record.
    pub next_seq: u64,
    /// The `prev` of its next record, once it has had an epoch.
    #[serde(default, deserialize_with = "parsed_or_null")]
    pub head: Option<RecordHash>,
    /// Its last record of any epoch.
    #[serde(default, deserialize_with = "parsed_or_null")]
    pub last: Option<RecordHash>,
    /// Its lease, if it has had one.
    #[serde(deserialize_with = "parsed_or_null")]
    pub lease: Option<RecordHash>,
    /// The newest lease, lease revocation or order about it: what the next lease or order names.
    #[serde(default, deserialize_with = "parsed_or_null")]
    pub after: Option<RecordHash>,
    /// When that lease ends: milliseconds since the epoch; `None` if it is not in force.
    #[serde(default)]
    pub lease_ends_ms: Option<u64>,
    /// What its process is asked to do; not told of an agent in a list.
    #[serde(default)]
    pub ask: Option<Ask>,
    /// The hash of its active manifest.
    #[serde(deserialize_with = "parsed")]
    pub manifest_hash: Digest,
    /// The record that registered its active manifest.
    #[serde(default, deserialize_with = "parsed_or_null")]
    pub registration: Option<RecordHash>,
    /// Milliseconds since its last heartbeat.
    pub pulse_age_ms: u64,
    /// Milliseconds since its last progress.
    pub progress_age_ms: u64,
    /// Its goals without an outcome; absent for an agent in a list.
    #[serde(default, deserialize_with = "parsed_each")]
    pub open_goals: Vec<RecordHash>,
    /// Its intents without a result; absent for an agent in a list.
    #[serde(default, deserialize_with = "parsed_each")]
    pub open_intents: Vec<RecordHash>,
}

/// A lease as the service sees it.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub struct Lease {
    /// When it ends by itself, renewals counted in: milliseconds since the epoch.
    pub expires_ms: u64,
}

/// A page of agents.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Agents {
    /// The agents, in the order of their names.
    pub agents: Vec<Agent>,
}

/// A request for a lease that waits for an operator.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Waiting {
    /// When the service received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// The request. Nobody has checked its signature yet.
    #[serde(rename = "envelope", deserialize_with = "signed_request")]
    pub request: SignedRequest,
}

/// A page of requests for leases.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Requests {
    /// The requests, in the order of the agents' names.
    pub requests: Vec<Waiting>,
}

/// What the service says about a record that was handed to it.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Submitted {
    /// Its index.
    pub index: u64,
    /// Its record hash.
    #[serde(deserialize_with = "parsed")]
    pub record: RecordHash,
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// Whether it is new.
    pub result: LoggedAs,
    /// The proof that it is in the log.
    pub proof: String,
    /// The rule that it breaks, where the log only observes.
    pub breach: Option<String>,
    /// Where the agent that signed it stands.
    pub agent: Option<Standing>,
}

/// How a record came to be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoggedAs {
    /// It is new.
    Logged,
    /// It was there before.
    Duplicate,
}

/// Where an agent stands.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub struct Standing {
    /// Its state.
    #[serde(deserialize_with = "parsed")]
    pub state: AgentState,
    /// The epoch in force.
    pub epoch: u64,
    /// The `seq` of its next record.
    pub next_seq: u64,
    /// When its valid lease ends; `None` without one.
    pub lease_ends_ms: Option<u64>,
    /// What its process is asked to do.
    pub ask: Ask,
}

/// What a process is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Carry on.
    GoOn,
    /// End: no authority is left to it, or another process has taken over.
    Stop,
    /// End, and be started again as a new instance.
    Restart,
}

/// An envelope is read again from its members: their order means nothing in it.
fn signed_request<'de, D: Deserializer<'de>>(reader: D) -> Result<SignedRequest, D::Error> {
    let envelope = serde_json::Value::deserialize(reader)?.to_string();
    SignedRequest::parse(envelope.as_bytes()).map_err(D::Error::custom)
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(reader: D) -> Result<T, D::Error> {
    String::deserialize(reader)?
        .parse()
        .map_err(D::Error::custom)
}

fn parsed_each<'de, D, T>(reader: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let texts = Vec::<String>::deserialize(reader)?.into_iter();
    texts
        .map(|text| text.parse().map_err(D::Error::custom))
        .collect()
}

fn parsed_or_null<'de, D, T>(reader: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = Option::<String>::deserialize(reader)?;
    text.map(|text| text.parse().map_err(D::Error::custom))
        .transpose()
}
