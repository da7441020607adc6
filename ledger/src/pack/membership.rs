//! What belongs to an agent or a goal: the one definition, for whoever makes a pack and whoever checks it.
//!
//! | selection | its own records | the agents whose authority it rests on |
//! | --- | --- | --- |
//! | agent | everything about the agent, renewals and revocations of its leases | the agent |
//! | goal | the goal, its intents, their results, its outcomes | those that signed these |
//!
//! Beside its own records a selection holds every charter, and every [authority record](crate::record::Kind::is_authority) of these
//! agents and of each agent that granted one of them a part of its lease, and so on upwards.

use std::collections::{BTreeMap, BTreeSet};

use tlog::LeafIndex;

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::pack::Selection;
use crate::record::{Body, Phase, Receipt, SignedRecord};
use crate::text::Name;

/// Checks record by record, ascending, that a pack holds what it says and what that rests on.
///
/// It keeps the leases and intents that it has met, and the agents; nothing of any other record.
#[derive(Debug)]
pub struct Membership {
    selection: Selection,
    first: Option<LeafIndex>,
    has_goal: bool,
    intents: BTreeSet<RecordHash>,
    /// Whose records the selection's own are.
    owners: BTreeSet<Name>,
    leases: BTreeMap<RecordHash, Granted>,
    /// Where the first authority record of each agent is.
    authority: BTreeMap<Name, LeafIndex>,
    stranger: Option<Refusal>,
}

/// What is needed of a lease.
#[derive(Debug)]
struct Granted {
    agent: Name,
    parent: Option<RecordHash>,
}

impl Membership {
    /// Before the first leaf. A window holds whatever is in it, so there is nothing to check.
    pub fn of(selection: &Selection) -> Self {
        let owners = match selection {
            Selection::Agent(agent) => BTreeSet::from([agent.clone()]),
            Selection::Range(_) | Selection::Goal(_) => BTreeSet::new(),
        };
        Self {
            selection: selection.clone(),
            first: None,
            has_goal: false,
            intents: BTreeSet::new(),
            owners,
            leases: BTreeMap::new(),
            authority: BTreeMap::new(),
            stranger: None,
        }
    }

    /// Takes the next record.
    pub fn see(&mut self, index: LeafIndex, record: &SignedRecord) {
        self.first.get_or_insert(index);
        let belongs = match self.selection.clone() {
            Selection::Range(_) => return,
            Selection::Agent(agent) => self.is_of_agent(index, record, &agent),
            Selection::Goal(goal) => self.is_of_goal(index, record, goal),
        };
        if !belongs && self.stranger.is_none() {
            let (kind, selection) = (record.kind(), &self.selection);
            let refusal = format!("leaf {index}, a {kind}, is none of {selection}");
            self.stranger = Some(Code::PackSelection.because(refusal));
        }
    }

    /// Ends the records.
    ///
    /// # Errors
    /// `pack-selection` for the first record that does not belong, `pack-incomplete` if there is something missing that
    /// the others rest on.
    pub fn finish(self) -> Result<(), Refusal> {
        if let Selection::Range(_) = self.selection {
            return Ok(());
        }
        if let Some(refusal) = self.stranger {
            return Err(refusal);
        }
        if self.first != Some(LeafIndex::new(0)) {
            return Err(Code::PackIncomplete.because("the charter is missing, which is leaf 0"));
        }
        if let Selection::Goal(goal) = self.selection
            && !self.has_goal
        {
            return Err(Code::PackIncomplete.because(format!("goal {goal} is missing")));
        }
        let agents = self.relied_on()?;
        match self
            .authority
            .iter()
            .find(|(name, _)| !agents.contains(name))
        {
            None => Ok(()),
            Some((name, index)) => {
                let (name, selection) = (name.as_str(), &self.selection);
                Err(Code::PackSelection.because(format!(
                    "leaf {index} is about agent {name}, whose authority is none of {selection}"
                )))
            }
        }
    }

    /// The agents whose authority the selection rests on.
    ///
    /// # Errors
    /// `pack-incomplete` if a lease is missing that another is a part of.
    pub fn relied_on(&self) -> Result<BTreeSet<&Name>, Refusal> {
        let mut parents: BTreeMap<&Name, Vec<RecordHash>> = BTreeMap::new();
        for lease in self.leases.values() {
            parents
                .entry(&lease.agent)
                .or_default()
                .extend(lease.parent);
        }
        let mut agents = BTreeSet::new();
        let mut open: Vec<&Name> = self.owners.iter().collect();
        while let Some(agent) = open.pop() {
            if !agents.insert(agent) {
                continue;
            }
            for parent in parents.get(agent).into_iter().flatten() {
                let missing = || format!("lease {parent} is missing, which others are a part of");
                let parent = self.leases.get(parent);
                let parent = parent.ok_or_else(|| Code::PackIncomplete.because(missing()))?;
                open.push(&parent.agent);
            }
        }
        Ok(agents)
    }

    fn is_of_agent(&mut self, index: LeafIndex, record: &SignedRecord, agent: &Name) -> bool {
        let authority = self.is_authority(index, record);
        authority || record.record().agent() == Some(agent)
    }

    fn is_of_goal(&mut self, index: LeafIndex, record: &SignedRecord, goal: RecordHash) -> bool {
        if let Body::Receipt(receipt) = &record.record().body {
            return self.is_step(record.hash(), receipt, goal);
        }
        self.is_authority(index, record)
    }

    fn is_step(&mut self, hash: RecordHash, receipt: &Receipt, goal: RecordHash) -> bool {
        let belongs = match &receipt.phase {
            Phase::Goal(_) => hash == goal,
            Phase::Intent(intent) => intent.goal == goal,
            Phase::Result(result) => self.intents.contains(&result.intent),
            Phase::Outcome(outcome) => outcome.goal == goal,
        };
        if belongs {
            self.owners.insert(receipt.chain.agent.clone());
            match &receipt.phase {
                Phase::Goal(_) => self.has_goal = true,
                Phase::Intent(_) => drop(self.intents.insert(hash)),
                Phase::Result(_) | Phase::Outcome(_) => {}
            }
        }
        belongs
    }

    /// Whether it is a record of authority: of whose, is asked at the end, when all leases are known.
    fn is_authority(&mut self, index: LeafIndex, record: &SignedRecord) -> bool {
        let agent = match &record.record().body {
            Body::Charter(_) => return true,
            Body::LeaseRenewal(renewal) => self.holder(&renewal.lease),
            Body::LeaseRevocation(revocation) => self.holder(&revocation.lease),
            Body::Lease(lease) => {
                let (agent, parent) = (lease.agent.clone(), lease.parent);
                let granted = Granted { agent, parent };
                self.leases.insert(record.hash(), granted);
                Some(lease.agent.clone())
            }
            _ if record.kind().is_authority() => record.record().agent().cloned(),
            _ => return false,
        };
        let Some(agent) = agent else { return false };
        self.authority.entry(agent).or_insert(index);
        true
    }

    fn holder(&self, lease: &RecordHash) -> Option<Name> {
        self.leases.get(lease).map(|lease| lease.agent.clone())
    }
}
