//! What the log's own problems make unknowable.
//!
//! Where the log does not hold what somebody signed, what is missing may be what others build on: they are
//! not to blame that it is not there. But what was only added, and is in nobody's place, must not excuse
//! them forever: whoever keeps the log could forge one record, and then do anything. So a blind spot over
//! an agent lifts when the agent's own next record fits what is there.

use crate::codes::Code;
use crate::table::Table;
use crate::text::Name;

/// What is unknowable.
#[derive(Debug, Default)]
pub(super) struct BlindSpots {
    over: Table<Name, BlindSpot>,
    /// Until when there was one over nobody knows whom.
    until_ms: Option<u64>,
}

/// What is unknowable about an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum BlindSpot {
    #[default]
    Nothing,
    /// The agent has logged nothing since that tells whether something is missing.
    Doubtful,
    /// Something is missing.
    Certain,
}

impl BlindSpots {
    /// The log holds something in place of a record about this agent, or about nobody knows whom.
    pub(super) fn gather(&mut self, agent: Option<Name>, received_ms: u64) {
        match agent {
            None => self.until_ms = Some(received_ms),
            Some(name) => self.over.change(&name, |blind_spot| {
                if *blind_spot == BlindSpot::Nothing {
                    *blind_spot = BlindSpot::Doubtful;
                }
            }),
        }
    }

    /// The agent's own next record fits what is there: nothing of it is missing.
    pub(super) fn lift(&mut self, agent: &Name) {
        self.settle(agent, BlindSpot::Nothing);
    }

    /// The agent's own next record rests on something that is not there.
    pub(super) fn stay(&mut self, agent: &Name) {
        self.settle(agent, BlindSpot::Certain);
    }

    fn settle(&mut self, agent: &Name, settled: BlindSpot) {
        if let Some(blind_spot) = self.over.get_mut(agent)
            && *blind_spot == BlindSpot::Doubtful
        {
            *blind_spot = settled;
        }
    }

    /// Whether a duty that was due then may have been done by what cannot be read.
    pub(super) fn hide(&self, since_ms: u64) -> bool {
        self.until_ms.is_some_and(|until_ms| since_ms <= until_ms)
    }

    /// Whether a record may be wrong only because another is missing.
    pub(super) fn explain(&self, agent: Option<&Name>, code: Code) -> bool {
        let blind_spot = agent.and_then(|agent| self.over.get(agent));
        let is_over = blind_spot.is_some_and(|blind_spot| *blind_spot != BlindSpot::Nothing);
        (self.until_ms.is_some() || is_over) && lacks_something(code)
    }
}

/// Codes of a record that does not find what it builds on.
const fn lacks_something(code: Code) -> bool {
    matches!(
        code,
        Code::AgentUnknown
            | Code::ManifestNotActive
            | Code::LeaseUnknown
            | Code::LeaseSuperseded
            | Code::RenewalUnearned
            | Code::EpochFenced
            | Code::EpochFuture
            | Code::SequenceGap
            | Code::PreviousMismatch
            | Code::BeforeMismatch
            | Code::StateForbids
            | Code::GoalUnknown
            | Code::IntentUnknown
            | Code::ReferenceUnknown
            | Code::CharterVersion
            | Code::TransitionIllegal
            | Code::TransitionNumber
            | Code::TransitionUnfounded
            | Code::RefusalUnfounded
            | Code::AfterMismatch
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        "a".parse().unwrap()
    }

    fn explains(blind_spots: &BlindSpots) -> bool {
        blind_spots.explain(Some(&name()), Code::TransitionUnfounded)
    }

    #[test]
    fn what_fits_next_lifts_a_blind_spot_and_what_does_not_keeps_it() {
        let mut blind_spots = BlindSpots::default();
        assert!(!explains(&blind_spots));
        blind_spots.gather(Some(name()), 1);
        assert!(explains(&blind_spots));
        assert!(!blind_spots.explain(Some(&name()), Code::ScopeDenied));
        blind_spots.lift(&name());
        assert!(!explains(&blind_spots));
        blind_spots.gather(Some(name()), 2);
        blind_spots.stay(&name());
        blind_spots.lift(&name());
        blind_spots.gather(Some(name()), 3);
        blind_spots.lift(&name());
        assert!(explains(&blind_spots), "something is missing for good");
    }

    #[test]
    fn what_cannot_be_read_may_be_about_anybody() {
        let mut blind_spots = BlindSpots::default();
        blind_spots.gather(None, 5);
        blind_spots.lift(&name());
        assert!(explains(&blind_spots));
        assert!(blind_spots.hide(5) && !blind_spots.hide(6));
    }
}
