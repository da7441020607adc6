//! What the checks of every leaf have come to.

use litemap::LiteMap;

use crate::codes::Party;
use crate::verify::draft::Draft;
use crate::verify::report::{CheckId, Finding};

/// The most findings of one check that a report lists. A pack of a million leaves can have a million bad ones; the
/// first thousand show it as well, and the check's detail counts them all.
pub const MAX_LISTED_FINDINGS: usize = 1000;

/// The findings of a pack, until it is known whether its leaves are in the log at all.
#[derive(Debug, Default)]
pub(super) struct Tallies(LiteMap<CheckId, Tally>);

#[derive(Debug, Default)]
struct Tally {
    count: u64,
    listed: Vec<Finding>,
}

impl Tallies {
    pub(super) fn push(&mut self, check: CheckId, finding: Finding) {
        let tally = self.0.entry(check).or_default();
        tally.count += 1;
        if tally.listed.len() < MAX_LISTED_FINDINGS {
            tally.listed.push(finding);
        }
    }

    /// What belongs to a check fails it. Says whether there was anything.
    pub(super) fn fail(&mut self, draft: &mut Draft, check: CheckId) -> bool {
        let Some(tally) = self.0.remove(&check) else {
            return false;
        };
        draft.fail_for(check, tally.to_string());
        tally
            .listed
            .into_iter()
            .for_each(|it| draft.push_finding(it));
        true
    }

    /// What is wrong with leaves that are not shown to be in the log says nothing of anybody but of whoever made the
    /// pack: what was read of them is laid to the producer, and what they would show of others is dropped.
    pub(super) fn lay_to_the_producer(&mut self) {
        self.0
            .retain(|check, _| matches!(check, CheckId::Leaves | CheckId::Signatures));
        for (_, tally) in self.0.iter_mut() {
            let findings = tally.listed.iter_mut();
            findings.for_each(|finding| finding.by = Party::Producer);
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.count;
        match self.listed.first() {
            Some(first) if count == 1 => write!(f, "{first}"),
            Some(first) => write!(f, "{count} findings, the first of them: {first}"),
            None => write!(f, "{count} findings"),
        }
    }
}
