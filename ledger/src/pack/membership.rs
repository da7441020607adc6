//! What belongs to an agent or a goal: the one definition, for making and for checking packs.
//!
//! | selection | its own records | the agents whose authority it rests on |
//! | --- | --- | --- |
//! | agent | everything about the agent, renewals and revocations of its leases | the agent |
//! | goal | the goal, its intents, their results, its outcomes | those that signed these |
//!
//! Beside its own records a selection holds every charter, and every [authority record](crate::record::Kind::is_authority) of these
//! agents and of each agent that granted one of them a part of its lease, and so on upwards.

use rpds::RedBlackTreeSetSync;
use tlog::LeafIndex;

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::pack::Selection;
use crate::record::{Body, Phase, Receipt, SignedRecord};
use crate::table::Table;
use crate::text::Name;

/// Checks record by record, ascending, that a pack holds what it says and what that rests on.
///
/// It keeps the leases and intents that it has met, and the agents; nothing of any other record.
#[derive(Debug)]
pub struct Membership {
    selection: Selection,
    first: Option<LeafIndex>,
    has_goal: bool,
    intents: RedBlackTreeSetSync<RecordHash>,
    /// The leases, and whose they are.
    leases: Table<RecordHash, Option<Name>>,
    agents: Table<Name, Relation>,
    stranger: Option<Refusal>,
}

/// What an agent has to do with the selection.
#[derive(Debug, Default)]
struct Relation {
    /// Whether records of the selection's own are the agent's.
    is_owner: bool,
    /// Where the first record of the agent's authority is.
    authority: Option<LeafIndex>,
    /// The leases of which the agent's own are parts.
    parents: Vec<RecordHash>,
    /// Whether the selection rests on the agent's authority.
    is_relied_on: bool,
}

impl Membership {
    /// Before the first leaf. A window holds whatever is in it, so there is nothing to check.
    pub fn of(selection: &Selection) -> Self {
        let mut agents = Table::<Name, Relation>::default();
        if let Selection::Agent(agent) = selection {
            agents.change(agent, |it| it.is_owner = true);
        }
        Self {
            selection: selection.clone(),
            first: None,
            has_goal: false,
            intents: RedBlackTreeSetSync::default(),
            leases: Table::default(),
            agents,
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
    pub fn finish(mut self) -> Result<(), Refusal> {
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
        self.mark_relied_on()?;
        let surplus = |(name, it): &'_ (Name, Relation)| match it.authority {
            Some(index) if !it.is_relied_on => Some((name.clone(), index)),
            _ => None,
        };
        match self.agents.iter().find_map(surplus) {
            None => Ok(()),
            Some((name, index)) => {
                let (name, selection) = (name.as_str(), &self.selection);
                Err(Code::PackSelection.because(format!(
                    "leaf {index} is about agent {name}, whose authority is none of {selection}"
                )))
            }
        }
    }

    /// Marks the agents whose authority the selection rests on.
    fn mark_relied_on(&mut self) -> Result<(), Refusal> {
        let owners = self.agents.iter().filter(|(_, it)| it.is_owner);
        let mut open: Vec<Name> = owners.map(|(name, _)| name.clone()).collect();
        while let Some(agent) = open.pop() {
            let Some(relation) = self.agents.get_mut(&agent) else {
                continue;
            };
            if std::mem::replace(&mut relation.is_relied_on, true) {
                continue;
            }
            for parent in &relation.parents {
                let missing = || format!("lease {parent} is missing, which others are a part of");
                let holder = self.leases.get(parent).cloned().flatten();
                open.push(holder.ok_or_else(|| Code::PackIncomplete.because(missing()))?);
            }
        }
        Ok(())
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
            self.agents
                .change(&receipt.chain.agent, |it| it.is_owner = true);
            match &receipt.phase {
                Phase::Goal(_) => self.has_goal = true,
                Phase::Intent(_) => self.intents.insert_mut(hash),
                Phase::Result(_) | Phase::Outcome(_) => {}
            }
        }
        belongs
    }

    /// Whether it is a record of authority: of whose, is asked at the end, when all leases are known.
    fn is_authority(&mut self, index: LeafIndex, record: &SignedRecord) -> bool {
        let mut parent = None;
        let agent = match &record.record().body {
            Body::Charter(_) => return true,
            Body::LeaseRenewal(renewal) => self.holder(&renewal.lease),
            Body::LeaseRevocation(revocation) => self.holder(&revocation.lease),
            Body::Lease(lease) => {
                let holder = lease.agent.clone();
                self.leases.change(&record.hash(), |it| *it = Some(holder));
                parent = lease.parent;
                Some(lease.agent.clone())
            }
            _ if record.kind().is_authority() => record.record().agent().cloned(),
            _ => return false,
        };
        let Some(agent) = agent else { return false };
        self.agents.change(&agent, |it| {
            it.authority.get_or_insert(index);
            it.parents.extend(parent);
        });
        true
    }

    fn holder(&self, lease: &RecordHash) -> Option<Name> {
        self.leases.get(lease).cloned().flatten()
    }
}
