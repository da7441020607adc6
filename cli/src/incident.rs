//! All about an agent in a span of time, as the records of a log tell it: what it was, what it might, what it did, what
//! it was refused, and what a verifier found.
//!
//! Entries are heard oldest first, from the first of the agent's life on: those before the span set the scene, those
//! after it are counted and not told. Whether leases were in force and what of them was used is asked of the rules
//! ([`ledger::govern`]) and not worked out here. With the pack of one agent the rules hear nothing of others, so what
//! others used of a lease that was handed on is not in the sums; with the whole log it is.

pub(crate) mod document;
mod lease;
pub(crate) mod page;
pub(crate) mod readme;
pub(crate) mod text;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ledger::codes::{Class, Code, Refusal};
use ledger::digest::RecordHash;
use ledger::govern::{Agent, Spent, State};
use ledger::pack::{Header, Selection};
use ledger::record::Body;
use ledger::text::Name;
use ledger::verify::{Finding, Report, Verdict};
use timeline::entry::{Entry, Line};
use timeline::leases::Leases;
use timeline::life::{Life, LifeView};
use timeline::words::entries;
use tlog::LeafIndex;

use crate::holders::Holders;
use crate::pack_items::PackItem;
use lease::LeaseView;
use version::{VersionView, Versions};

/// What was heard.
#[derive(Debug)]
pub(crate) struct Incident {
    /// The agent.
    pub(crate) agent: Name,
    /// The first millisecond that this tells of.
    pub(crate) from_ms: u64,
    /// The first after it.
    pub(crate) to_ms: u64,
    /// What it was heard from.
    pub(crate) header: Option<Header>,
    /// What the verifier found; `None` if nobody verified.
    pub(crate) report: Option<Report>,
    /// What of that is told, by index: what is about the agent, the authority that it rests on, or nobody, within the
    /// span; and problems wherever they are, since with one nothing can be relied on.
    pub(crate) findings: Vec<Finding>,
    /// The agent's states, heartbeats, actions and refusals.
    pub(crate) life: LifeView,
    /// The leases in force within the span, and those above them, in the order in which they were granted.
    pub(crate) leases: Vec<LeaseView>,
    /// The version in force when the span began, and those that followed in it.
    pub(crate) versions: Vec<VersionView>,
    /// The entries of the span, oldest first: those about the agent, about the authority that it rests on, and charters.
    pub(crate) lines: Vec<Line>,
    /// How many such entries came before the span.
    pub(crate) before: u64,
    /// How many came after it.
    pub(crate) after: u64,
    /// Who holds the keys.
    pub(crate) holders: Holders,
    /// Leaves that are not records.
    pub(crate) unreadable: Vec<(LeafIndex, Refusal)>,
}

/// What is being heard.
#[derive(Debug)]
pub(crate) struct Hearing {
    agent: Name,
    span: Range<u64>,
    header: Option<Header>,
    life: Life,
    leases: Leases,
    versions: Versions,
    holders: Holders,
    /// The agents whose authority is shown: the agent, and those that gave it a part of theirs.
    circle: BTreeSet<Name>,
    /// To whom each lease was granted, also after the span.
    granted: BTreeMap<RecordHash, Name>,
    rules: State,
    /// What was spent of leases that have ended since: the rules forget that.
    spent: BTreeMap<RecordHash, Spent>,
    /// What the rules said when the span began.
    rules_before: Option<State>,
    lines: Vec<Line>,
    before: u64,
    after: u64,
    /// From the first entry of the span to the last, whomever they are about.
    indices: Option<(LeafIndex, LeafIndex)>,
    unreadable: Vec<(LeafIndex, Refusal)>,
    /// Whether any entry is about the agent, whenever it was logged.
    is_known: bool,
}

impl Hearing {
    /// Begins to hear of an agent from one time up to another, which is not in it.
    pub(crate) fn of(agent: Name, span: Range<u64>) -> Self {
        Self {
            life: Life::of(agent.clone(), span.clone()),
            circle: BTreeSet::from([agent.clone()]),
            versions: Versions::of(agent.clone()),
            agent,
            span,
            header: None,
            leases: Leases::default(),
            holders: Holders::default(),
            granted: BTreeMap::new(),
            rules: State::new(),
            spent: BTreeMap::new(),
            rules_before: None,
            lines: Vec::new(),
            before: 0,
            after: 0,
            indices: None,
            unreadable: Vec::new(),
            is_known: false,
        }
    }

    /// Hears the next part of a pack.
    pub(crate) fn hear(&mut self, told: PackItem) {
        match told {
            PackItem::Header(header) => self.header = Some(*header),
            PackItem::Entry(entry) => self.hear_entry(&entry),
            PackItem::Unreadable(index, refusal) => self.unreadable.push((index, refusal)),
        }
    }

    /// Ends.
    ///
    /// # Errors
    ///
    /// `agent-unknown` if nothing was heard of the agent at any time.
    pub(crate) fn told(self, report: Option<Report>) -> Result<Incident, Refusal> {
        if !self.is_known {
            let size = self.header.as_ref().map_or(0, |header| header.size.get());
            let why = format!("{} is not in a log of {}", self.agent, entries(size));
            return Err(Code::AgentUnknown.because(why));
        }
        let findings = report.iter().flat_map(|report| &report.findings);
        let findings = findings.filter(|it| self.is_told(it)).cloned().collect();
        // Where nothing was logged in the span, it began as it ended.
        let before = self.rules_before.as_ref().unwrap_or(&self.rules);
        let leases = lease::told(
            &self.leases,
            &self.agent,
            &self.span,
            (before, &self.rules),
            &self.spent,
        );
        Ok(Incident {
            from_ms: self.span.start,
            to_ms: self.span.end,
            versions: self.versions.told(self.span.start),
            life: self.life.told(),
            agent: self.agent,
            header: self.header,
            report,
            findings,
            leases,
            lines: self.lines,
            before: self.before,
            after: self.after,
            holders: self.holders,
            unreadable: self.unreadable,
        })
    }

    fn hear_entry(&mut self, entry: &Entry) {
        self.is_known |= entry.record.record().agent() == Some(&self.agent);
        if let Body::Lease(lease) = entry.body() {
            let holder = lease.agent.clone();
            self.granted.insert(entry.record.hash(), holder);
        }
        if entry.received_ms >= self.span.end {
            self.after += u64::from(self.concerns(entry));
            return;
        }
        let is_within = entry.received_ms >= self.span.start;
        if is_within && self.rules_before.is_none() {
            self.rules_before = Some(self.rules.clone());
        }
        self.apply(entry);
        self.leases.hear(entry);
        self.holders.hear(entry);
        if is_within {
            let (first, _) = self.indices.unwrap_or((entry.index, entry.index));
            self.indices = Some((first, entry.index));
        }
        if self.concerns(entry) {
            self.life.hear(entry);
            self.versions.hear(entry);
            match is_within {
                true => self.lines.push(entry.line()),
                false => self.before += 1,
            }
        }
    }

    /// Tells the rules of it. Whether signatures are good is the verifier's to say; here it only matters whose they are.
    fn apply(&mut self, entry: &Entry) {
        let record = entry.record.clone().check(&|_| None);
        let spoken = self.rules.agent_of(&record).and_then(Agent::lease);
        self.spent.extend(lease::spent_above(spoken, &self.rules));
        self.rules.apply(entry.index, entry.received_ms, &record);
        if let Body::Lease(lease) = entry.body()
            && self.circle.contains(&lease.agent)
        {
            let above = lease::above(lease.parent, &self.rules);
            self.circle.extend(above.map(|held| held.agent.clone()));
        }
        self.spent.extend(lease::spent_above(spoken, &self.rules));
    }

    fn is_told(&self, finding: &Finding) -> bool {
        let about = finding.agent.as_ref();
        let is_ours = about.is_none_or(|about| self.circle.contains(about));
        let is_within = finding.index.is_none_or(|index| {
            let within = |(first, last)| (first..=last).contains(&index);
            self.indices.is_some_and(within)
        });
        finding.class == Class::Problem || is_ours && is_within
    }

    /// Whether it is about the agent, about the authority that it rests on, or about everybody's, as charters are.
    fn concerns(&self, entry: &Entry) -> bool {
        let holds = |lease: &RecordHash| {
            let holder = self.granted.get(lease);
            holder.is_some_and(|holder| self.circle.contains(holder))
        };
        match entry.body() {
            Body::Charter(_) => true,
            Body::LeaseRenewal(renewal) => holds(&renewal.lease),
            Body::LeaseRevocation(revocation) => holds(&revocation.lease),
            body => {
                let about = entry.record.record().agent();
                let is_authority = body.kind().is_authority();
                about.is_some_and(|about| {
                    *about == self.agent || is_authority && self.circle.contains(about)
                })
            }
        }
    }
}

impl Incident {
    /// Whether it was heard from the whole log, so that everything was judged.
    pub(crate) fn is_whole(&self) -> bool {
        self.header.as_ref().is_some_and(|header| {
            let Selection::Range(range) = &header.selection else {
                return false;
            };
            range.from() == LeafIndex::new(0) && range.count() == header.size.get()
        })
    }

    /// How many findings are not told: before or after the span, or about others.
    pub(crate) fn other_findings(&self) -> usize {
        let all = self.report.as_ref().map_or(0, |it| it.findings.len());
        all - self.findings.len()
    }

    /// What was found at an entry. Reports are sorted by index.
    pub(crate) fn findings_at(&self, index: LeafIndex) -> &[Finding] {
        let (found, index) = (&self.findings, Some(index));
        let from = found.partition_point(|it| it.index < index);
        let to = found.partition_point(|it| it.index <= index);
        &found[from..to]
    }

    /// The entries, with consecutive heartbeats as one run.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &[Line]> {
        let is_plain =
            |line: &Line| line.kind == "heartbeat" && self.findings_at(line.index).is_empty();
        self.lines
            .chunk_by(move |one, next| is_plain(one) && is_plain(next))
    }

    /// What it comes to, in a sentence or two.
    pub(crate) fn verdict(&self) -> String {
        let Some(report) = &self.report else {
            return "Unverified: no trust file was given, so nobody has checked any of this."
                .to_owned();
        };
        let (verdict, found) = (report.verdict.as_str(), self.findings.len());
        let found = match found {
            0 => "nothing was found in this span".to_owned(),
            1 => "1 finding concerns this span".to_owned(),
            more => format!("{more} findings concern this span"),
        };
        let open = match (report.verdict, self.is_whole()) {
            (Verdict::Incomplete, false) => {
                " The records of one agent are never the whole log, so whether everybody was allowed to do what they \
                 did, and whether the control plane did what was due, is left open: --whole-log judges that."
            }
            _ => "",
        };
        format!("{}: {found}.{open}", capital(verdict))
    }

    /// What is shown of it, in a sentence.
    pub(crate) fn extent(&self) -> String {
        let around = format!("{} before the span, {} after it", self.before, self.after);
        match self.lines.len() as u64 {
            0 => format!("Nothing about it was logged in this span ({around})."),
            told => format!("{} in this span ({around}).", entries(told)),
        }
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests;
