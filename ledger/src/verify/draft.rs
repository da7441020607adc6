//! A report while it is being written: checks in their order, findings as they come.

use tlog::LeafIndex;

use crate::codes::{Class, Party, Refusal};
use crate::record::{SignedRecord, StateAt};
use crate::table::Table;
use crate::text::Name;
use crate::verify::fault;
use crate::verify::heads::Growth;
use crate::verify::report::{
    AsOf, Aside, Check, CheckId, Finding, Report, Status, Summary, TraceStep, Verdict,
};

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) as_of: AsOf,
    pub(super) state: Option<StateAt>,
    summary: Summary,
    /// The agents that the records name.
    agents: Table<Name, ()>,
    pub(super) trace: Option<Vec<TraceStep>>,
    pub(super) growth: Option<Growth>,
    pub(super) aside: Aside,
    checks: Vec<Check>,
    findings: Vec<Finding>,
}

impl Draft {
    pub(super) fn pass(&mut self, id: CheckId, detail: impl Into<String>) {
        self.push(id, Status::Pass, detail.into());
    }

    pub(super) fn skip(&mut self, id: CheckId, detail: impl Into<String>) {
        self.push(id, Status::Skipped, detail.into());
    }

    /// A check that does not hold, with the finding that says why.
    pub(super) fn fail(
        &mut self,
        id: CheckId,
        refusal: Refusal,
        index: Option<LeafIndex>,
        agent: Option<&Name>,
    ) {
        self.fail_for(id, refusal.to_string());
        self.find(refusal, index, agent);
    }

    /// A check that does not hold, and whose fault that is.
    pub(super) fn fail_by(
        &mut self,
        id: CheckId,
        refusal: Refusal,
        by: Party,
        index: Option<LeafIndex>,
    ) {
        self.fail_for(id, refusal.to_string());
        self.push_finding(Finding {
            class: refusal.code.class(),
            refusal,
            by,
            index,
            agent: None,
        });
    }

    /// A check that does not hold, for reasons that were found before.
    pub(super) fn fail_for(&mut self, id: CheckId, detail: impl Into<String>) {
        self.push(id, Status::Fail, detail.into());
    }

    /// One of the reasons for which a check will not hold.
    pub(super) fn find(
        &mut self,
        refusal: Refusal,
        index: Option<LeafIndex>,
        agent: Option<&Name>,
    ) {
        self.push_finding(Finding {
            class: refusal.code.class(),
            by: fault::of_evidence(refusal.code),
            refusal,
            index,
            agent: agent.cloned(),
        });
    }

    pub(super) fn push_finding(&mut self, finding: Finding) {
        self.count_found(finding.class, 1);
        self.findings.push(finding);
    }

    /// Counts findings, also those that are too many to be listed.
    pub(super) fn count_found(&mut self, class: Class, count: u64) {
        *self.summary.found.entry(class).or_insert(0) += count;
    }

    /// Counts a record that was read.
    pub(super) fn count(&mut self, record: &SignedRecord) {
        *self.summary.records.entry(record.kind()).or_insert(0) += 1;
        if let Some(agent) = record.record().agent() {
            self.agents.change(agent, |()| ());
        }
    }

    /// Ends the report. `demanded` are the checks without which nothing is verified.
    pub(super) fn finish(mut self, demanded: impl Fn(CheckId) -> bool) -> Report {
        self.summary.agents = self.agents.len() as u64;
        self.checks.sort_by_key(|check| check.id);
        // None sorts first: what is about no leaf is about all of them.
        self.findings.sort_by(|one, other| {
            let key = |finding: &Finding| {
                let code = finding.refusal.code.as_str();
                (finding.index, code, finding.by)
            };
            key(one).cmp(&key(other))
        });
        Report {
            verdict: self.verdict(demanded),
            as_of: self.as_of,
            state: self.state,
            checks: self.checks,
            findings: self.findings,
            summary: self.summary,
            trace: self.trace,
            growth: self.growth,
            aside: self.aside,
        }
    }

    fn verdict(&self, demanded: impl Fn(CheckId) -> bool) -> Verdict {
        let is_open = |check: &Check| check.status == Status::Skipped && demanded(check.id);
        if self.summary.found.get(&Class::Problem).is_some() {
            return Verdict::Failed;
        }
        match self.checks.iter().any(is_open) {
            true => Verdict::Incomplete,
            false => Verdict::Verified,
        }
    }

    fn push(&mut self, id: CheckId, status: Status, detail: String) {
        self.checks.push(Check { id, status, detail });
    }
}
