//! The state as a tree: one root over all of its entries, and proofs of what is and what is not among them.
//!
//! The root is that of RFC 6962 over three leaves: the entry of the log, `{"agents":{"entries":…,"root":…}}` and
//! `{"leases":{"entries":…,"root":…}}`. Each of the two is a root of RFC 6962 over entries: those of the agents in the
//! byte order of their names, and those of the leases in the order in which they were logged.

use std::fmt;
use std::sync::Arc;

use tlog::tree::MemoryTree;
use tlog::{Hash, LeafIndex, TreeSize, inclusion, leaf_hash};

use super::agent::Agent;
use super::entries::{Put, of_log};
use super::lease::{LeaseState, Over, Slot};
use super::state::State;
use crate::digest::RecordHash;
use crate::json::object;
use crate::record::StateRoot;
use crate::text::Name;

/// The entries of a state at one size, with their tree.
#[derive(Debug)]
pub struct StateTree {
    size: TreeSize,
    log: String,
    agents: Branch,
    leases: Branch,
}

/// The entries of one kind.
#[derive(Debug, Default)]
struct Branch {
    entries: Vec<Arc<dyn Entry>>,
    tree: MemoryTree,
}

/// Something that is an entry, with its place among those of its kind.
trait Entry: Put + fmt::Debug + Send + Sync {
    /// What it is found by: an agent's name, or the index of a lease.
    fn place(&self) -> (u64, &str);
}

/// The two branches of a state, in short: what is proven against its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branches {
    /// The hash of the entry of the log.
    pub log: Hash,
    /// The agents.
    pub agents: StateRoot,
    /// The leases.
    pub leases: StateRoot,
}

/// An entry, where it stands among those of its kind, and its inclusion proof there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedEntry {
    /// Its position, from 0.
    pub position: u64,
    /// Its bytes.
    pub entry: String,
    /// The inclusion proof, RFC 6962 §2.1.1.
    pub path: Vec<Hash>,
}

impl StateTree {
    /// The tree of a state. What is in `before` too is not hashed again.
    pub(super) fn of(state: &State, before: Option<&Self>) -> Self {
        let agents = state.agents.values();
        let agents = agents.map(|agent| Arc::clone(agent) as Arc<dyn Entry>);
        let slots = state.lease_order.values();
        let slots = slots.filter_map(|hash| state.leases.get(hash));
        let leases = slots.map(|slot| match slot {
            Slot::Held(lease) => Arc::clone(lease) as Arc<dyn Entry>,
            Slot::Over(over) => Arc::clone(over) as Arc<dyn Entry>,
        });
        Self {
            size: TreeSize::new(state.size),
            log: of_log(state),
            agents: Branch::of(agents.collect(), before.map(|it| &it.agents)),
            leases: Branch::of(leases.collect(), before.map(|it| &it.leases)),
        }
    }

    /// How many leaves of the log led to the state.
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// How many entries it has, and their root.
    pub fn root(&self) -> StateRoot {
        self.branches().root()
    }

    /// What the root is over.
    pub fn branches(&self) -> Branches {
        Branches {
            log: leaf_hash(self.log.as_bytes()),
            agents: self.agents.root(),
            leases: self.leases.root(),
        }
    }

    /// The entries, in their order, each without an end of line.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        let branches = self.agents.entries.iter().chain(&self.leases.entries);
        std::iter::once(self.log.clone()).chain(branches.map(|entry| text_of(entry.as_ref())))
    }

    /// The entry of an agent; of an agent that is not there, those of its neighbours.
    pub fn prove_agent(&self, name: &Name) -> Vec<PlacedEntry> {
        self.agents.prove((0, name.as_str()))
    }

    /// The entry of the lease that an agent has, if it has one.
    pub fn prove_lease_of(&self, state: &State, name: &Name) -> Option<PlacedEntry> {
        let lease: RecordHash = state.agent(name)?.lease()?;
        let index = state.leases.get(&lease)?.index();
        self.leases.prove((index, "")).pop()
    }
}

impl Branches {
    /// How many entries there are, and the root over them.
    pub fn root(&self) -> StateRoot {
        let leaf = |name, branch: StateRoot| {
            leaf_hash(object([(name, branch.to_value())]).to_json().as_bytes())
        };
        let leaves = [
            self.log,
            leaf("agents", self.agents),
            leaf("leases", self.leases),
        ];
        let entries = [self.agents.entries, self.leases.entries];
        StateRoot {
            entries: entries.into_iter().fold(1, u64::saturating_add),
            root: MemoryTree::from_iter(leaves).root(),
        }
    }
}

impl Branch {
    fn of(entries: Vec<Arc<dyn Entry>>, before: Option<&Self>) -> Self {
        let none = Self::default();
        let before = before.unwrap_or(&none);
        let mut old = before.entries.iter().zip(before.tree.leaves()).peekable();
        let mut leaves = Vec::with_capacity(entries.len());
        for entry in &entries {
            while old
                .next_if(|(old, _)| !is_same(old, entry) && old.place() < entry.place())
                .is_some()
            {}
            let kept = old.next_if(|(old, _)| is_same(old, entry));
            let fresh = || leaf_hash(text_of(entry.as_ref()).as_bytes());
            leaves.push(kept.map_or_else(fresh, |(_, hash)| *hash));
        }
        let tree = MemoryTree::of_leaves(leaves, &before.tree);
        Self { entries, tree }
    }

    fn root(&self) -> StateRoot {
        StateRoot {
            entries: self.entries.len() as u64,
            root: self.tree.root(),
        }
    }

    /// The entry at a place, or those on both sides of it.
    fn prove(&self, place: (u64, &str)) -> Vec<PlacedEntry> {
        let found = self
            .entries
            .binary_search_by(|entry| entry.place().cmp(&place));
        let positions = match found {
            Ok(position) => position..position + 1,
            Err(behind) => behind.saturating_sub(1)..self.entries.len().min(behind + 1),
        };
        positions
            .filter_map(|position| self.placed(position))
            .collect()
    }

    fn placed(&self, position: usize) -> Option<PlacedEntry> {
        let index = LeafIndex::new(position as u64);
        Some(PlacedEntry {
            position: index.get(),
            entry: text_of(self.entries.get(position)?.as_ref()),
            path: inclusion::prove(index, self.tree.size(), &self.tree).ok()?,
        })
    }
}

/// Whether two are one and the same, which nothing has changed since.
fn is_same(one: &Arc<dyn Entry>, other: &Arc<dyn Entry>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

fn text_of(entry: &dyn Entry) -> String {
    let mut text = String::with_capacity(1024);
    entry.put(&mut text);
    text
}

impl Entry for Agent {
    fn place(&self) -> (u64, &str) {
        (0, self.name().as_str())
    }
}

impl Entry for LeaseState {
    fn place(&self) -> (u64, &str) {
        (self.index, "")
    }
}

impl Entry for Over {
    fn place(&self) -> (u64, &str) {
        (self.index, "")
    }
}
