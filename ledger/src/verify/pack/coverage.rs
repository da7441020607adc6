//! How much of the log a pack shows, and what that leaves open.
//!
//! Only a pack of all entries up to the size of its checkpoint can be judged as a whole: from any other something may have
//! been left out that speaks against somebody, a revocation at the end as well as an order at the beginning.

use crate::pack::{Header, Selection};

/// Which entries of the log a pack says it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// All of them.
    Whole,
    /// Those from the first on, and so many after them not.
    Beginning { later: u64 },
    /// All behind a state that a pulse tells and the trust does not name.
    Continued { earlier: u64, later: u64 },
    /// Neighbouring ones.
    Window { earlier: u64, later: u64 },
    /// Some, wherever they are.
    Part,
}

impl Coverage {
    pub(super) fn of(header: &Header) -> Self {
        let Selection::Range(range) = header.selection else {
            return Self::Part;
        };
        let (earlier, later) = (
            range.from().get(),
            header.size.get().saturating_sub(range.to().get()),
        );
        match (earlier, later) {
            (0, 0) => Self::Whole,
            (0, later) => Self::Beginning { later },
            (earlier, later) => Self::Window { earlier, later },
        }
    }

    /// As much, where the state in front of the first entry is there. If the trust names it, nothing is missing before it.
    pub(super) const fn behind_a_state(self, is_trusted: bool) -> Self {
        match self {
            Self::Window { later: 0, .. } if is_trusted => Self::Whole,
            Self::Window { later, .. } if is_trusted => Self::Beginning { later },
            Self::Window { earlier, later } => Self::Continued { earlier, later },
            other => other,
        }
    }

    /// Whether every entry has all those before it beside it, or the state that they led to, so that it can be judged.
    pub(super) const fn is_from_start(self) -> bool {
        !matches!(self, Self::Window { .. } | Self::Part)
    }

    /// Whether there are entries that it says itself it does not hold.
    pub(super) const fn lacks_entries(self) -> bool {
        matches!(
            self,
            Self::Beginning { .. } | Self::Continued { .. } | Self::Window { .. }
        )
    }

    /// What is not shown, if anything is not.
    pub(super) fn missing(self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Beginning { later } => Some(format!(
                "{later} later entries of the log are not in this file"
            )),
            Self::Continued { earlier, later } => Some(format!(
                "judged from the state that the pulse at entry {earlier} tells, which the trust does not name; {later} later entries are not shown"
            )),
            Self::Window { earlier, later: 0 } => Some(format!(
                "{earlier} earlier entries of the log are not in this file"
            )),
            Self::Window { earlier, later } => Some(format!(
                "{earlier} earlier and {later} later entries of the log are not in this file"
            )),
            Self::Part => Some("other entries may have been left out".to_owned()),
        }
    }
}
