//! The part of a log in a pack: a window, or what belongs to an agent or a goal.

use tlog::{LeafIndex, TreeSize};

use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::json::{Members, Value, integer, object, parsed};
use crate::text::Name;

/// Which leaves a pack holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Neighbouring ones.
    Range(Range),
    /// The records about an agent, and the authority that they rest on.
    Agent(Name),
    /// The receipts of a goal, by the hash of the record that set it, and the authority that they rest on.
    Goal(RecordHash),
}

/// Some neighbouring leaves: at least one, all of them in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    from: u64,
    to: u64,
}

impl Selection {
    pub(super) fn read(path: &str, value: Value, size: TreeSize) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let selection = if let Some(agent) = members.take_if_present("agent") {
            Self::Agent(parsed("selection.agent", agent)?)
        } else if let Some(goal) = members.take_if_present("goal") {
            Self::Goal(parsed("selection.goal", goal)?)
        } else {
            Self::Range(members.required("range", |path, value| Range::read(path, value, size))?)
        };
        members.finish().map(|()| selection)
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Range(Range { from, to }) => {
                let range = object([("from", (*from).into()), ("to", (*to).into())]);
                object([("range", range)])
            }
            Self::Agent(agent) => object([("agent", agent.into())]),
            Self::Goal(goal) => object([("goal", (*goal).into())]),
        }
    }

    /// The first index that a leaf can have.
    pub(crate) const fn first(&self) -> LeafIndex {
        match self {
            Self::Range(range) => range.from(),
            Self::Agent(_) | Self::Goal(_) => LeafIndex::new(0),
        }
    }

    /// The first index behind all that a leaf can have, in a tree of this size.
    pub(super) const fn end(&self, size: TreeSize) -> LeafIndex {
        match self {
            Self::Range(range) => range.to(),
            Self::Agent(_) | Self::Goal(_) => LeafIndex::new(size.get()),
        }
    }

    /// Checks that so many leaves can be selected so from a tree of this size.
    pub(super) fn check_count(&self, count: u64, size: TreeSize) -> Result<(), Refusal> {
        let (least, most) = match self {
            Self::Range(range) => (range.count(), range.count()),
            Self::Agent(_) | Self::Goal(_) => (1, size.get()),
        };
        if (least..=most).contains(&count) {
            return Ok(());
        }
        Err(Code::PackCount.because(format!("{count} leaves, where {least} to {most} can be")))
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Range(Range { from, to }) => write!(f, "the entries from {from} up to {to}"),
            Self::Agent(agent) => write!(f, "the entries of agent {}", agent.as_str()),
            Self::Goal(goal) => write!(f, "the entries of goal {goal}"),
        }
    }
}

impl Range {
    /// The leaves from one index up to another, which is not among them, of a tree of this size.
    ///
    /// # Errors
    /// `pack-selection` if there is no leaf in it, or one that the tree does not have.
    pub fn new(from: LeafIndex, to: LeafIndex, size: TreeSize) -> Result<Self, Refusal> {
        let (from, to) = (from.get(), to.get());
        if from < to && to <= size.get() {
            return Ok(Self { from, to });
        }
        Err(Code::PackSelection
            .because(format!("{from} up to {to} is not a range of {size} leaves")))
    }

    fn read(path: &str, value: Value, size: TreeSize) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let from = members.required("from", integer).map(LeafIndex::new)?;
        let to = members.required("to", integer).map(LeafIndex::new)?;
        members.finish()?;
        Self::new(from, to, size)
    }

    /// The first of them.
    pub const fn from(self) -> LeafIndex {
        LeafIndex::new(self.from)
    }

    /// The first behind them.
    pub const fn to(self) -> LeafIndex {
        LeafIndex::new(self.to)
    }

    /// How many they are.
    pub const fn count(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// All of them, ascending.
    pub fn indices(self) -> impl Iterator<Item = LeafIndex> {
        (self.from..self.to).map(LeafIndex::new)
    }
}
