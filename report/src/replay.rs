//! A pack, heard leaf by leaf beside what its verifier found.
//!
//! The verifier has read the pack before and said what is wrong with it; here the same leaves go through the same fold
//! once more, because a report tells when things began and ended, and that is in the state between two leaves. A leaf in
//! which the verifier found a problem changes no state here either. A pack that begins at a pulse brings the state that the
//! pulse names, and the fold begins there.

use std::collections::BTreeMap;
use std::ops::Range;

use ledger::codes::{Class as Severity, Code, Refusal};
use ledger::govern::{Restoring, State};
use ledger::key::{KeyId, PublicKey};
use ledger::pack::{self, Header, Line, Reader, Selection};
use ledger::record::{AgentState, Body, Event, Observation, StateAt};
use ledger::text::Name;
use ledger::verify::{Finding, Report};
use timeline::entry::Entry;
use timeline::life::{Life, LifeView};
use tlog::LeafIndex;
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};

use crate::acts::{Acts, ActsView};
use crate::alerts;
use crate::found::{Finder, Found, Moment, Unclassed};
use crate::inputs::Watch;
use crate::ocsf;
use crate::register::Books;
use crate::watch::{Alert, Gap};

/// A pack that is being heard.
#[derive(Debug)]
pub struct Replay {
    report: Report,
    span: Range<u64>,
    reader: Reader,
    header: Option<Header>,
    checkpoint: Option<Box<SignedCheckpoint>>,
    rules: State,
    /// The state that it brings, until all its entries were heard.
    base: Option<(StateAt, Restoring)>,
    is_based: bool,
    /// The state of each agent in it, which later entries need not say.
    states: BTreeMap<Name, AgentState>,
    finder: Finder,
    lives: BTreeMap<Name, Life>,
    acts: Acts,
    books: Books,
    alerts: alerts::Heard,
    log_gaps: Vec<LogGap>,
    seen: Seen,
}

/// A time in which nothing at all was logged, so that nothing can be said of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogGap {
    /// The last leaf before it.
    pub from_ms: u64,
    /// The first after it.
    pub to_ms: u64,
    /// That leaf.
    pub entry: u64,
}

/// Which leaves were heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When the first was received; `None` for none.
    pub first_ms: Option<u64>,
    /// When the last was.
    pub last_ms: Option<u64>,
    /// How many were received within the report's time.
    pub within: u64,
    /// The first and the last of those.
    pub indices: Option<(u64, u64)>,
    /// Leaves that hold no record.
    pub unreadable: u64,
}

/// A pack that was heard.
#[derive(Debug)]
pub struct Played {
    /// What the verifier says about it.
    pub report: Report,
    /// What it says it holds.
    pub header: Header,
    /// The checkpoint that it is proven against. Whether that is the log's, the verifier says.
    pub checkpoint: Checkpoint,
    /// Its text, with its signatures.
    pub checkpoint_text: String,
    /// The incidents.
    pub found: Vec<Found>,
    /// What was found and belongs to no class, with its entries.
    pub unclassed: BTreeMap<Unclassed, Vec<u64>>,
    /// The agents.
    pub lives: BTreeMap<Name, LifeView>,
    /// The alerts that the log itself tells of.
    pub alerts: Vec<Alert>,
    /// When the log was silent.
    pub log_gaps: Vec<LogGap>,
    /// Which leaves it was heard from.
    pub seen: Seen,
    pub(crate) acts: ActsView,
    pub(crate) books: Books,
    rules: State,
    is_based: bool,
}

impl Played {
    /// Adds a time in which a source has lost something, which neither the log nor a file tells of.
    pub fn add_gap(&mut self, gap: Gap) {
        self.acts.gaps.push(gap);
    }

    /// A key that the log knows at its end.
    pub fn key(&self, id: &KeyId) -> Option<PublicKey> {
        self.rules.key(id)
    }

    /// Whether it was heard from the first leaf to the last, so that everything could be judged.
    pub fn is_whole(&self) -> bool {
        let Selection::Range(range) = &self.header.selection else {
            return false;
        };
        range.from() == LeafIndex::new(0) && range.count() == self.header.size.get()
    }

    /// Whether what happened at a time was judged from everything before it: by the log from its first leaf on, or by a
    /// part of it that goes on from the state that it brings, and up to its end.
    pub(crate) fn has_judged(&self, at_ms: u64) -> bool {
        let Selection::Range(range) = &self.header.selection else {
            return false;
        };
        let is_to_the_end = range.from().get() + range.count() == self.header.size.get();
        let from_ms = self.seen.first_ms.unwrap_or(u64::MAX);
        self.is_whole() || (self.is_based && is_to_the_end && at_ms >= from_ms)
    }
}

impl Replay {
    /// Begins, with what the verifier says of the same bytes, for a report from one time up to another, beside what the
    /// watchdogs said.
    pub fn new(report: Report, span: Range<u64>, watch: &Watch) -> Self {
        let mut acts = Acts::new(span.clone());
        watch
            .events
            .iter()
            .for_each(|event| acts.told_by_file(event));
        acts.gaps.extend(watch.gaps.iter().cloned());
        Self {
            report,
            acts,
            span,
            reader: Reader::default(),
            header: None,
            checkpoint: None,
            rules: State::new(),
            base: None,
            is_based: false,
            states: BTreeMap::new(),
            finder: Finder::default(),
            lives: BTreeMap::new(),
            books: Books::new(),
            alerts: alerts::Heard::default(),
            log_gaps: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Hears more of its bytes. The events for a SIEM that follow from them are given to `event`, a line each.
    ///
    /// # Errors
    /// What is wrong with the bytes as a pack.
    pub fn push(&mut self, bytes: &[u8], event: &mut dyn FnMut(String)) -> Result<(), Refusal> {
        // The reader is lent out while the leaves that it gives go into the rest.
        let mut reader = std::mem::take(&mut self.reader);
        let read = reader.push(bytes, |line| match line {
            Line::Header(header) => self.header = Some(header),
            Line::Checkpoint(signed) => self.checkpoint = Some(signed),
            Line::State(at) => self.base = Some((at, Restoring::default())),
            Line::StateEntry(entry) => self.restore(&entry),
            Line::Leaf(leaf) => {
                self.begin();
                self.leaf(&leaf, event);
            }
            _ => {}
        });
        self.reader = reader;
        read
    }

    /// Ends.
    ///
    /// # Errors
    /// What is wrong with it as a pack.
    pub fn finish(self) -> Result<Played, Refusal> {
        self.reader.finish()?;
        let head = self.header.zip(self.checkpoint);
        let (header, checkpoint) = head.ok_or_else(|| {
            let why = "it has no header and no checkpoint";
            Code::PackMalformed.because(why)
        })?;
        let (found, unclassed) = self.finder.told();
        let ends = (self.seen.first_ms, self.seen.last_ms);
        let told = |(name, life): (Name, Life)| {
            let begun_as = self.states.get(&name).copied();
            (name, within(life.told(), begun_as, ends))
        };
        Ok(Played {
            report: self.report,
            header,
            checkpoint: checkpoint.unverified().clone(),
            checkpoint_text: checkpoint.to_string(),
            found,
            unclassed,
            lives: self.lives.into_iter().map(told).collect(),
            alerts: self.alerts.told(),
            log_gaps: self.log_gaps,
            seen: self.seen,
            acts: self.acts.told(),
            books: self.books,
            rules: self.rules,
            is_based: self.is_based,
        })
    }

    /// Takes an entry of the state that the pack brings. What is wrong with it, the verifier says.
    fn restore(&mut self, entry: &str) {
        if let Some((_, restoring)) = &mut self.base
            && restoring.push(entry).is_err()
        {
            self.base = None;
        }
    }

    /// The state that the pack brings is heard: if it is the one that is named, everything begins there.
    fn begin(&mut self) {
        let Some((at, restoring)) = self.base.take() else {
            return;
        };
        let Ok(state) = restoring.finish() else {
            return;
        };
        if state.root() != at.state || state.size() != at.size {
            return;
        }
        for agent in state.agents() {
            let (name, span) = (agent.name(), self.span.clone());
            self.lives
                .insert(name.clone(), Life::of(name.clone(), span));
            self.states.insert(name.clone(), agent.state());
        }
        self.rules = state;
        self.is_based = true;
    }

    fn leaf(&mut self, leaf: &pack::Entry, event: &mut dyn FnMut(String)) {
        match Entry::parse(leaf.index, leaf.leaf.as_bytes()) {
            Ok(entry) => self.entry(&entry, event),
            Err(_) => {
                self.seen.unreadable += 1;
                let at_ms = self.rules.last_received_ms();
                self.rules.skip(leaf.index, at_ms);
            }
        }
    }

    fn entry(&mut self, entry: &Entry, event: &mut dyn FnMut(String)) {
        let is_within = self.span.contains(&entry.received_ms);
        self.count(entry, is_within);
        let findings = found_at(&self.report.findings, entry.index);
        self.finder.hear(Moment {
            entry,
            findings,
            before: &self.rules,
        });
        let is_void = findings.iter().any(|it| it.class == Severity::Problem);
        if findings
            .iter()
            .any(|it| it.refusal.code == Code::ControlGap)
        {
            self.log_gaps.push(LogGap {
                from_ms: self.rules.last_received_ms(),
                to_ms: entry.received_ms,
                entry: entry.index.get(),
            });
        }
        self.acts.hear(entry);
        self.books.hear(entry, &self.rules, is_within);
        if let Body::Observation(seen) = entry.body() {
            self.observed(entry, seen);
        }
        if is_within && let Some(line) = ocsf::line(entry, self.header.as_ref()) {
            event(line);
        }
        self.live(entry);
        match is_void {
            true => self.rules.skip(entry.index, entry.received_ms),
            false => {
                let record = entry.record.clone().admitted_before();
                self.rules.apply(entry.index, entry.received_ms, &record);
            }
        }
    }

    fn count(&mut self, entry: &Entry, is_within: bool) {
        let (seen, index) = (&mut self.seen, entry.index.get());
        seen.first_ms.get_or_insert(entry.received_ms);
        seen.last_ms = seen.last_ms.max(Some(entry.received_ms));
        if is_within {
            seen.within += 1;
            let (first, _) = seen.indices.unwrap_or((index, index));
            seen.indices = Some((first, index));
        }
    }

    fn observed(&mut self, entry: &Entry, seen: &Observation) {
        if matches!(seen.event, Event::AlertOpened | Event::AlertClosed) {
            self.alerts.hear(entry.index.get(), entry.received_ms, seen);
        }
    }

    /// What names no agent may concern each of them.
    fn live(&mut self, entry: &Entry) {
        match entry.record.record().agent() {
            Some(agent) => {
                let span = self.span.clone();
                let life = self.lives.entry(agent.clone());
                let life = life.or_insert_with(|| Life::of(agent.clone(), span));
                life.hear(entry);
            }
            None => self.lives.values_mut().for_each(|life| life.hear(entry)),
        }
    }
}

/// A life as far as the evidence goes: before its first leaf and after its last nobody knows in what state an agent was.
/// The state that it begins with may be known from elsewhere.
fn within(
    mut life: LifeView,
    begun_as: Option<AgentState>,
    (first_ms, last_ms): (Option<u64>, Option<u64>),
) -> LifeView {
    let (first_ms, last_ms) = (first_ms.unwrap_or(u64::MAX), last_ms.unwrap_or(0));
    for span in &mut life.states {
        span.state = span.state.or(begun_as);
        span.from_ms = span.from_ms.max(first_ms);
        span.to_ms = span.to_ms.min(last_ms);
    }
    life.states.retain(|span| span.from_ms < span.to_ms);
    life
}

/// What was found at an entry. Reports are sorted by index.
fn found_at(findings: &[Finding], index: LeafIndex) -> &[Finding] {
    let index = Some(index);
    let from = findings.partition_point(|it| it.index < index);
    let to = findings.partition_point(|it| it.index <= index);
    &findings[from..to]
}
