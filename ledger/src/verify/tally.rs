//! What the checks of every leaf have come to.

use litemap::LiteMap;

use crate::codes::{Class, Party};
use crate::verify::draft::Draft;
use crate::verify::report::{CheckId, Finding};

/// The most findings of one check and one class that a report lists. A pack of a million leaves can have a million bad ones;
/// the first thousand show it as well, and the summary counts them all. The classes are listed apart: no number of breaches
/// hides a problem.
pub const MAX_LISTED_FINDINGS: usize = 1000;

/// The findings of a pack, until it is known whether its leaves are in the log at all.
#[derive(Debug, Default)]
pub(super) struct Tallies(LiteMap<(CheckId, Class), Tally>);

#[derive(Debug, Default)]
struct Tally {
    count: u64,
    listed: Vec<Finding>,
}

impl Tallies {
    pub(super) fn push(&mut self, check: CheckId, finding: Finding) {
        let tally = self.0.entry((check, finding.class)).or_default();
        tally.count += 1;
        if tally.listed.len() < MAX_LISTED_FINDINGS {
            tally.listed.push(finding);
        }
    }

    /// What belongs to a check fails it. Says whether there was anything.
    pub(super) fn fail(&mut self, draft: &mut Draft, check: CheckId) -> bool {
        let classes = [Class::Problem, Class::Breach, Class::Late];
        let found = classes.map(|class| (class, self.0.remove(&(check, class))));
        let found = found
            .into_iter()
            .filter_map(|(class, tally)| Some((class, tally?)));
        let found: Vec<(Class, Tally)> = found.collect();
        let Some((_, worst)) = found.first() else {
            return false;
        };
        let count = found.iter().map(|(_, tally)| tally.count).sum();
        draft.fail_for(check, worst.told(count));
        for (class, tally) in found {
            let unlisted = tally.count - tally.listed.len() as u64;
            draft.count_found(class, unlisted);
            tally
                .listed
                .into_iter()
                .for_each(|it| draft.push_finding(it));
        }
        true
    }

    /// What is wrong with leaves that are not shown to be in the log says nothing of anybody in it: what was read of them is
    /// laid to whoever made the pack or passed it on, and what they would show of others is dropped.
    pub(super) fn lay_to_nobody_here(&mut self) {
        self.0
            .retain(|(check, _), _| matches!(check, CheckId::Leaves | CheckId::Signatures));
        for (_, tally) in self.0.iter_mut() {
            let findings = tally.listed.iter_mut();
            findings.for_each(|finding| finding.by = Party::Unknown);
        }
    }
}

impl Tallies {
    /// The keys come from a state that nobody here has verified: only the log answers for what was found by them.
    pub(super) fn lay_to_the_log_alone(&mut self) {
        let findings = self.0.iter_mut().flat_map(|(_, tally)| &mut tally.listed);
        let of_others = findings.filter(|finding| finding.by != Party::Log);
        of_others.for_each(|finding| finding.by = Party::Unknown);
    }
}

impl Tally {
    /// The first of so many, or all of it if it is the only one.
    fn told(&self, count: u64) -> String {
        match self.listed.first() {
            Some(first) if count == 1 => first.to_string(),
            Some(first) => format!("{count} findings, the first of them: {first}"),
            None => format!("{count} findings"),
        }
    }
}
