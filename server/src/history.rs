//! What happened, read from the log for people: entries in a line each, the life of an agent, a goal from start to end,
//! a lease and what became of it.
//!
//! Everything is found by the rows of what leaves are about, and read in pages of bounded length.

use ledger::digest::RecordHash;
use ledger::leaf::Leaf;
use ledger::record::{AgentState, Body, Kind, Phase, SignedRecord};
use ledger::text::Name;
use tlog::LeafIndex;

use crate::log::{Published, ReadError};
use crate::store::{Order, Topic};

/// The most entries that one answer tells of.
pub const MAX_ENTRIES: usize = 1_000;

/// An entry in a line.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where it is.
    pub index: LeafIndex,
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// The record.
    pub record: SignedRecord,
}

/// A page of entries, oldest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Told>,
    /// Whether there are more than a page holds.
    pub has_more: bool,
}

impl Told {
    /// Reads an entry.
    ///
    /// # Errors
    /// [`ReadError::IndexOutOfRange`], [`ReadError::Store`]; [`ReadError::Leaf`] if the store is damaged.
    pub fn read(published: &Published, index: LeafIndex) -> Result<Self, ReadError> {
        let size = published.size;
        let bytes = published.leaf(index)?;
        let bytes = bytes.ok_or(ReadError::IndexOutOfRange { index, size })?;
        let wrong = |refusal| ReadError::Leaf { index, refusal };
        let leaf = Leaf::parse(&bytes).map_err(wrong)?;
        Ok(Self {
            index,
            received_ms: leaf.received_ms(),
            record: SignedRecord::from_envelope(leaf.into_envelope()).map_err(wrong)?,
        })
    }

    /// What it says, in a few words.
    pub fn what(&self) -> String {
        let name = |name: &Name| name.as_str().to_owned();
        match &self.record.record().body {
            Body::Charter(charter) => format!("version {}", charter.version),
            Body::Manifest(registration) => {
                let version = registration.manifest.version.as_str();
                format!("{} becomes {version}", name(&registration.agent))
            }
            Body::Lease(lease) => {
                let allow: Vec<String> = lease.allow.iter().map(ToString::to_string).collect();
                format!("{} may {}", name(&lease.agent), allow.join(", "))
            }
            Body::LeaseRenewal(renewal) => format!("of {}", renewal.lease),
            Body::LeaseRevocation(revocation) => revocation.reason.as_str().to_owned(),
            Body::Order(order) => {
                format!("{} is to be {}: {}", name(&order.agent), order.to, order.reason.as_str())
            }
            Body::Heartbeat(beat) => match beat.r#final {
                true => format!("{} says goodbye", name(&beat.chain.agent)),
                false => format!("{} lives, progress {}", name(&beat.chain.agent), beat.progress),
            },
            Body::Receipt(receipt) => {
                let agent = name(&receipt.chain.agent);
                match &receipt.phase {
                    Phase::Goal(goal) => format!("{agent} sets out: {}", goal.title.as_str()),
                    Phase::Intent(intent) => format!("{agent} is about to {}", intent.scope),
                    Phase::Result(result) => {
                        format!("{agent} did it: {}, {} ms", result.status, result.duration_ms)
                    }
                    Phase::Outcome(outcome) => format!("{agent} ends it: {}", outcome.verdict),
                }
            }
            Body::Transition(transition) => format!(
                "{}: {} to {}, {}",
                name(&transition.agent),
                transition.from,
                transition.to,
                transition.rule
            ),
            Body::Refusal(refused) => format!(
                "{}: {} times {}, of {}",
                name(&refused.agent),
                refused.count,
                refused.code,
                refused.kind
            ),
            Body::Pulse(pulse) => format!("number {}, {} agents", pulse.n, pulse.agents),
            Body::Observation(seen) => {
                format!("{}: {} {}", seen.source, seen.event.as_str(), seen.detail.as_str())
            }
        }
    }

    /// The kind, and of a receipt the phase.
    pub fn kind(&self) -> &'static str {
        match &self.record.record().body {
            Body::Receipt(receipt) => receipt.phase.as_str(),
            _ => self.record.kind().as_str(),
        }
    }

    /// The state that an agent has from here on, if this changes it.
    pub fn state(&self) -> Option<AgentState> {
        match &self.record.record().body {
            Body::Transition(transition) => Some(transition.to),
            Body::Order(order) => Some(order.to),
            _ => None,
        }
    }
}

/// The newest entries about an agent, oldest first.
///
/// # Errors
/// As [`Told::read`].
pub fn newest(published: &Published, agent: &Name, limit: usize) -> Result<Vec<Told>, ReadError> {
    let topic = Topic::Agent(agent.clone());
    let range = 0..published.size.get();
    let mut found = published.mentions(&topic, range, Order::NewestFirst, limit)?;
    found.reverse();
    found.iter().map(|(index, _)| Told::read(published, *index)).collect()
}

/// The entries about an agent that the log received from one time up to another, which is not among them.
///
/// # Errors
/// As [`Told::read`].
pub fn timeline(
    published: &Published,
    agent: &Name,
    from_ms: u64,
    to_ms: u64,
) -> Result<Page, ReadError> {
    let range = first_from(published, from_ms)?..first_from(published, to_ms)?;
    about(published, &Topic::Agent(agent.clone()), range)
}

/// The last change of an agent's state before a time: what it was when a timeline begins.
///
/// # Errors
/// As [`Told::read`].
pub fn state_before(
    published: &Published,
    agent: &Name,
    at_ms: u64,
) -> Result<Option<AgentState>, ReadError> {
    let topic = Topic::Agent(agent.clone());
    let mut end = first_from(published, at_ms)?;
    loop {
        let found = published.mentions(&topic, 0..end, Order::NewestFirst, MAX_ENTRIES)?;
        let Some((oldest, _)) = found.last() else {
            return Ok(None);
        };
        end = oldest.get();
        let changes = |kind: &Kind| matches!(kind, Kind::Transition | Kind::Order);
        if let Some((index, _)) = found.iter().find(|(_, kind)| changes(kind)) {
            return Ok(Told::read(published, *index)?.state());
        }
    }
}

/// A goal and what was done for it, in the order of the log.
///
/// # Errors
/// [`ReadError::NothingToSelect`] if the record is no goal of this log; as [`Told::read`].
pub fn goal(published: &Published, goal: RecordHash) -> Result<Page, ReadError> {
    let first = at(published, goal, "goal")?;
    if first.kind() != "goal" {
        return Err(nothing(published, "goal", goal));
    }
    let steps = about(published, &Topic::Record(goal), 0..published.size.get())?;
    let (mut entries, mut has_more) = (vec![first], steps.has_more);
    for step in steps.entries {
        let topic = Topic::Record(step.record.hash());
        entries.push(step);
        let results = about(published, &topic, 0..published.size.get())?;
        has_more |= results.has_more || entries.len() > MAX_ENTRIES;
        entries.extend(results.entries);
        if has_more {
            break;
        }
    }
    entries.sort_by_key(|entry| entry.index);
    Ok(Page { entries, has_more })
}

/// A lease, and its renewals, revocation and parts.
///
/// # Errors
/// [`ReadError::NothingToSelect`] if the record is no lease of this log; as [`Told::read`].
pub fn lease(published: &Published, lease: RecordHash) -> Result<Page, ReadError> {
    let first = at(published, lease, "lease")?;
    if first.record.kind() != Kind::Lease {
        return Err(nothing(published, "lease", lease));
    }
    let changes = about(published, &Topic::Record(lease), 0..published.size.get())?;
    let has_more = changes.has_more;
    let entries = std::iter::once(first).chain(changes.entries).collect();
    Ok(Page { entries, has_more })
}

fn about(
    published: &Published,
    topic: &Topic,
    range: std::ops::Range<u64>,
) -> Result<Page, ReadError> {
    let order = Order::OldestFirst;
    let found = published.mentions(topic, range, order, MAX_ENTRIES + 1)?;
    let has_more = found.len() > MAX_ENTRIES;
    let entries = found.iter().take(MAX_ENTRIES);
    let entries = entries.map(|(index, _)| Told::read(published, *index));
    Ok(Page {
        entries: entries.collect::<Result<_, _>>()?,
        has_more,
    })
}

/// The first entry that was received at or after a time: times never go back, so it is found by halving.
fn first_from(published: &Published, at_ms: u64) -> Result<u64, ReadError> {
    if at_ms > published.time_ms {
        return Ok(published.size.get());
    }
    let (mut low, mut high) = (0, published.size.get());
    while low < high {
        let middle = low + (high - low) / 2;
        match Told::read(published, LeafIndex::new(middle))?.received_ms < at_ms {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

fn at(published: &Published, record: RecordHash, what: &str) -> Result<Told, ReadError> {
    let index = published.index_of(&record)?;
    let index = index.ok_or_else(|| nothing(published, what, record))?;
    Told::read(published, index)
}

fn nothing(published: &Published, what: &str, record: RecordHash) -> ReadError {
    ReadError::NothingToSelect {
        what: format!("{what} {record}"),
        size: published.size,
    }
}
