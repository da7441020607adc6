//! Which leaves belong to an agent or a goal, by [`ledger::pack::Membership`]'s definition.
//!
//! They are found by the store's rows of what leaves are about: what is read is the leases and intents among them and no
//! other leaf, so an agent's pack costs what the agent has done, and not what the log is long.

use std::collections::BTreeSet;

use ledger::digest::RecordHash;
use ledger::leaf::Leaf;
use ledger::pack::Selection;
use ledger::record::{Body, Kind, Phase, Receipt, Record, SignedRecord};
use ledger::text::Name;
use store::{Order, Topic};
use tlog::LeafIndex;

use super::published::{Published, ReadError};

/// The most leaves that are selected: an agent that beats every minute for half a year. The list of them is held while
/// the pack is made.
pub const MAX_SELECTED: usize = 1 << 18;

/// Rows that are read at once.
const CHUNK: usize = 4_096;

/// The leaves that belong to an agent or a goal, ascending; a range's are its own business.
///
/// # Errors
/// [`ReadError::NothingToSelect`] if the log has no such agent or goal, [`ReadError::PackTooLarge`] above
/// [`MAX_SELECTED`]; [`ReadError::Store`] or [`ReadError::Leaf`] if the store is damaged.
pub fn select(published: &Published, selection: &Selection) -> Result<Vec<LeafIndex>, ReadError> {
    let mut selecting = Selecting {
        published,
        selected: BTreeSet::new(),
        relied_on: BTreeSet::new(),
    };
    match selection {
        Selection::Range(range) => return Ok(range.indices().collect()),
        Selection::Agent(agent) => selecting.agent(agent)?,
        Selection::Goal(goal) => selecting.goal(*goal)?,
    }
    selecting.charters()?;
    Ok(selecting.selected.into_iter().collect())
}

struct Selecting<'a> {
    published: &'a Published,
    selected: BTreeSet<LeafIndex>,
    /// The agents whose authority has been selected.
    relied_on: BTreeSet<Name>,
}

impl Selecting<'_> {
    fn agent(&mut self, agent: &Name) -> Result<(), ReadError> {
        if self.published.state.agent(agent).is_none() {
            return Err(self.nothing(format!("agent {agent}")));
        }
        self.each(&Topic::Agent(agent.clone()), |_, _| Ok(true))?;
        self.authority(agent)
    }

    fn goal(&mut self, goal: RecordHash) -> Result<(), ReadError> {
        let missing = || self.nothing(format!("goal {goal}"));
        let index = self.published.index_of(&goal)?.ok_or_else(missing)?;
        let record = self.record(index)?;
        let owner = match receipt(record.record()) {
            Some(Receipt {
                phase: Phase::Goal(_),
                chain,
            }) => chain.agent.clone(),
            _ => return Err(missing()),
        };
        self.add(index)?;
        let mut owners = BTreeSet::from([owner]);
        let mut intents = Vec::new();
        self.each(&Topic::Record(goal), |selecting, index| {
            let record = selecting.record(index)?;
            let Some(receipt) = receipt(record.record()) else {
                return Ok(false);
            };
            owners.insert(receipt.chain.agent.clone());
            if let Phase::Intent(_) = receipt.phase {
                intents.push(record.hash());
            }
            Ok(true)
        })?;
        for intent in intents {
            self.each(&Topic::Record(intent), |_, _| Ok(true))?;
        }
        owners.iter().try_for_each(|owner| self.authority(owner))
    }

    /// Selects the authority records of an agent, and of those above it.
    fn authority(&mut self, agent: &Name) -> Result<(), ReadError> {
        let mut open = vec![agent.clone()];
        while let Some(agent) = open.pop() {
            if !self.relied_on.insert(agent.clone()) {
                continue;
            }
            let mut leases = Vec::new();
            let every = |_| true;
            self.each_of(&Topic::Authority(agent), every, |_, index, kind| {
                if kind == Kind::Lease {
                    leases.push(index);
                }
                Ok(true)
            })?;
            for index in leases {
                open.extend(self.lease(index)?);
            }
        }
        Ok(())
    }

    /// Selects what became of a lease, and gives the agent that it is a part of the lease of.
    fn lease(&mut self, index: LeafIndex) -> Result<Option<Name>, ReadError> {
        let record = self.record(index)?;
        let changes = |kind| matches!(kind, Kind::LeaseRenewal | Kind::LeaseRevocation);
        let topic = Topic::Record(record.hash());
        self.each_of(&topic, changes, |_, _, _| Ok(true))?;
        let Body::Lease(lease) = &record.record().body else {
            return Ok(None);
        };
        // The state forgets what is over, the log does not.
        let Some(parent) = lease.parent else {
            return Ok(None);
        };
        let Some(index) = self.published.index_of(&parent)? else {
            return Ok(None);
        };
        Ok(self.record(index)?.record().agent().cloned())
    }

    /// Selects every charter, from the one in force backwards.
    fn charters(&mut self) -> Result<(), ReadError> {
        let mut next = self.published.state.charter_hash();
        while let Some(hash) = next {
            let missing = || self.nothing(format!("charter {hash}"));
            let index = self.published.index_of(&hash)?.ok_or_else(missing)?;
            self.add(index)?;
            next = match &self.record(index)?.record().body {
                Body::Charter(charter) => charter.previous,
                _ => None,
            };
        }
        Ok(())
    }

    /// Selects the leaves about a topic that `take` takes.
    fn each(
        &mut self,
        topic: &Topic,
        mut take: impl FnMut(&Self, LeafIndex) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        self.each_of(
            topic,
            |_| true,
            |selecting, index, _| take(selecting, index),
        )
    }

    /// Selects the leaves about a topic that are of certain kinds and that `take` takes.
    fn each_of(
        &mut self,
        topic: &Topic,
        is_wanted: impl Fn(Kind) -> bool,
        mut take: impl FnMut(&Self, LeafIndex, Kind) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        let mut from = 0;
        loop {
            let range = from..self.published.size.get();
            let rows = self
                .published
                .mentions(topic, range, Order::OldestFirst, CHUNK)?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            from = last.get() + 1;
            for (index, kind) in rows.into_iter().filter(|(_, kind)| is_wanted(*kind)) {
                if take(self, index, kind)? {
                    self.add(index)?;
                }
            }
        }
    }

    fn add(&mut self, index: LeafIndex) -> Result<(), ReadError> {
        self.selected.insert(index);
        let (got, most) = (self.selected.len() as u64, MAX_SELECTED as u64);
        if got <= most {
            return Ok(());
        }
        let what = "entries or more";
        Err(ReadError::PackTooLarge { what, got, most })
    }

    fn record(&self, index: LeafIndex) -> Result<SignedRecord, ReadError> {
        let size = self.published.size;
        let leaf = self.published.leaf(index)?;
        let leaf = leaf.ok_or(ReadError::IndexOutOfRange { index, size })?;
        let wrong = |refusal| ReadError::Leaf { index, refusal };
        Leaf::parse(&leaf)
            .and_then(|leaf| SignedRecord::from_envelope(leaf.into_envelope()))
            .map_err(wrong)
    }

    fn nothing(&self, what: String) -> ReadError {
        let size = self.published.size;
        ReadError::NothingToSelect { what, size }
    }
}

fn receipt(record: &Record) -> Option<&Receipt> {
    match &record.body {
        Body::Receipt(receipt) => Some(receipt),
        _ => None,
    }
}
