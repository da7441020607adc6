//! An entry of the log, and what it says in a line.

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::leaf::Leaf;
use ledger::record::{
    AgentState, Body, Heartbeat, Lease, Observation, Phase, Receipt, Refused, SignedRecord,
};
use ledger::text::Name;
use serde::Serialize;
use tlog::LeafIndex;

use crate::goal::claim;
use crate::json;
use crate::words::{counted, span, utc, visible};

/// An entry of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub index: LeafIndex,
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// The record in it.
    pub record: SignedRecord,
}

/// An entry in a line.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Where it stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// The record's name.
    #[serde(serialize_with = "json::text")]
    pub record: RecordHash,
    /// The kind of record; of a receipt its phase.
    pub kind: &'static str,
    /// The agent that it names.
    #[serde(serialize_with = "json::text_or_null")]
    pub agent: Option<Name>,
    /// What it says, in a few words for people.
    pub what: String,
    /// The state that the agent has from here on, if this changes it.
    #[serde(serialize_with = "json::text_or_null")]
    pub state: Option<AgentState>,
}

impl Entry {
    /// Reads the exact bytes of a leaf.
    ///
    /// # Errors
    /// Those of [`Leaf::parse`] and [`SignedRecord::from_envelope`].
    pub fn parse(index: LeafIndex, leaf: &[u8]) -> Result<Self, Refusal> {
        let leaf = Leaf::parse(leaf)?;
        Ok(Self {
            index,
            received_ms: leaf.received_ms(),
            record: SignedRecord::from_envelope(leaf.into_envelope())?,
        })
    }

    /// It in a line.
    pub fn line(&self) -> Line {
        Line {
            index: self.index,
            received_ms: self.received_ms,
            record: self.record.hash(),
            kind: self.kind(),
            agent: self.record.record().agent().cloned(),
            what: self.what(),
            state: self.state(),
        }
    }

    /// What the record says.
    pub fn body(&self) -> &Body {
        &self.record.record().body
    }

    /// The kind of record; of a receipt its phase, which is what people look for.
    pub fn kind(&self) -> &'static str {
        match self.body() {
            Body::Receipt(receipt) => receipt.phase.as_str(),
            body => body.kind().as_str(),
        }
    }

    /// The state that the agent has from here on, if this changes it.
    pub fn state(&self) -> Option<AgentState> {
        match self.body() {
            Body::Transition(transition) => Some(transition.to),
            Body::Order(order) => Some(order.to),
            _ => None,
        }
    }

    /// What it says, in a few words for people. The agent's name and the kind stand beside it. Nothing in it is hidden
    /// ([`visible`]); markup is not escaped.
    pub fn what(&self) -> String {
        let what = match self.body() {
            Body::Charter(charter) => format!("version {}, {} mode", charter.version, charter.mode),
            Body::Manifest(registration) => {
                let version = registration.manifest.version.as_str();
                format!("version {version}: {}", registration.reason.as_str())
            }
            Body::Lease(lease) => of_lease(lease),
            Body::LeaseRenewal(renewal) => {
                format!("until {}, of {}", utc(renewal.expires_ms), renewal.lease)
            }
            Body::LeaseRevocation(revocation) => {
                format!("{}, of {}", revocation.reason.as_str(), revocation.lease)
            }
            Body::Order(order) => format!("to {}: {}", order.to, order.reason.as_str()),
            Body::Heartbeat(beat) => of_beat(beat),
            Body::Receipt(receipt) => of_receipt(receipt),
            Body::Transition(it) => format!("{} to {}: {}", it.from, it.to, it.rule),
            Body::Refusal(refused) => of_refusal(refused),
            Body::Pulse(pulse) => {
                format!("number {}, {}", pulse.n, counted(pulse.agents, "agent"))
            }
            Body::Observation(seen) => of_observation(seen),
        };
        visible(&what).into_owned()
    }
}

fn of_lease(lease: &Lease) -> String {
    let allow: Vec<String> = lease.allow.iter().map(ToString::to_string).collect();
    let (allow, purpose) = (allow.join(", "), lease.purpose.as_str());
    let colon = if purpose.is_empty() { "" } else { ": " };
    format!("{allow} until {}{colon}{purpose}", utc(lease.expires_ms))
}

fn of_beat(beat: &Heartbeat) -> String {
    let (progress, epoch) = (beat.progress, beat.chain.epoch);
    let last = if beat.r#final { ", the last one" } else { "" };
    format!("progress {progress} in epoch {epoch}{last}")
}

fn of_receipt(receipt: &Receipt) -> String {
    match &receipt.phase {
        Phase::Goal(goal) => {
            format!("{}, for {}", goal.title.as_str(), goal.requester.as_str())
        }
        Phase::Intent(intent) => format!("{} with {}", intent.scope, intent.tool.name),
        Phase::Result(result) => format!("{} after {}", result.status, span(result.duration_ms)),
        Phase::Outcome(outcome) => {
            let checks = counted(outcome.checks.len() as u64, "check");
            format!("{}, {checks}", outcome.verdict)
        }
    }
}

fn of_refusal(refused: &Refused) -> String {
    let kind = refused.kind.as_str();
    let kind = refused.phase.as_deref().unwrap_or(kind);
    let claim = claim(refused.envelope.is_none());
    match refused.count {
        1 => format!("{claim}{kind} refused: {}", refused.code),
        count => format!("{claim}{kind} refused {count} times: {}", refused.code),
    }
}

fn of_observation(seen: &Observation) -> String {
    let (event, detail) = (seen.event, seen.detail.as_str());
    let status = seen.status.map_or(String::new(), |it| format!(", {it}"));
    let call = seen.call.as_ref();
    let call = call.map_or(String::new(), |call| format!(" of {}", call.as_str()));
    let colon = if detail.is_empty() { "" } else { ": " };
    format!(
        "{event}{call}{status}{colon}{detail}, seen by {}",
        seen.source
    )
}

#[cfg(test)]
mod tests {
    use ledger::digest::Digest;
    use ledger::record::Order;
    use proving::{Identity, Keys, Log, record};

    use super::*;

    const START_MS: u64 = 1_764_000_000_000;

    #[test]
    fn an_entry_is_told_in_a_line() {
        let keys = Keys::of("entry");
        let mut log = Log::found(keys.clone(), record::charter(&keys), START_MS);
        let agent = Identity::registered(&mut log, "a", START_MS);
        agent.leased(&mut log, 3_600_000, START_MS);
        let order = Body::Order(Order {
            agent: agent.name.clone(),
            to: AgentState::Quarantined,
            after: None,
            reason: "a hidden\u{200b} reason".parse().unwrap(),
        });
        let order = log.sign(order, START_MS, &[&keys.operator]);
        log.submit(order, START_MS).unwrap();
        let lines: Vec<Line> = (0..)
            .zip(log.leaves())
            .map(|(index, leaf)| Entry::parse(LeafIndex::new(index), leaf.bytes.as_bytes()))
            .map(|entry| entry.unwrap().line())
            .collect();
        let told: Vec<(&str, &str)> = lines.iter().map(|it| (it.kind, it.what.as_str())).collect();
        assert_eq!(
            told,
            [
                ("charter", "version 1, enforce mode"),
                ("manifest", "version v1: proving"),
                (
                    "lease",
                    "read:**, write:repo/** until 2025-11-24T17:00:00.000Z: proving"
                ),
                ("order", "to quarantined: a hidden⟨U+200B⟩ reason"),
            ]
        );
        let json = serde_json::to_value(&lines[3]).unwrap();
        assert_eq!(json["state"], "quarantined");
        assert_eq!((&json["index"], &json["agent"]), (&3.into(), &"a".into()));
        assert_eq!(lines[0].agent, None);
    }

    #[test]
    fn a_lease_for_no_stated_purpose_ends_with_its_time() {
        let name = "a".parse().unwrap();
        let mut lease = record::lease(&name, Digest::of(&[b"a"]), START_MS, START_MS + 1_000);
        lease.purpose = "".parse().unwrap();
        assert_eq!(
            of_lease(&lease),
            "read:**, write:repo/** until 2025-11-24T16:00:01.000Z"
        );
    }
}
