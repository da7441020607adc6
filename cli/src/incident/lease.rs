//! Leases within a span: who gave them, whether they were in force, and what of them was used.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::govern::{Spent, State};
use ledger::record::Lease;
use ledger::text::Name;
use timeline::leases::{LeaseSpan, Leases};
use timeline::words::{utc, visible};

use crate::holders::Holders;

/// A lease.
#[derive(Debug)]
pub(crate) struct LeaseView {
    /// Its terms, and what became of it up to the end of the span.
    pub(crate) span: LeaseSpan,
    /// What was used or reserved before the span.
    pub(crate) used_before: Spent,
    /// What was used or reserved by the end of the span.
    pub(crate) used: Spent,
    /// Why it is not in force at the end of the span, if it is not: itself or a lease above it.
    pub(crate) ended: Option<Refusal>,
}

/// The leases of an agent that were in force within a span, and those above them, by what the rules say before the span
/// and at its end.
pub(super) fn told(
    leases: &Leases,
    agent: &Name,
    span: &Range<u64>,
    (before, after): (&State, &State),
    kept: &BTreeMap<RecordHash, Spent>,
) -> Vec<LeaseView> {
    let overlaps = |it: &&LeaseSpan| it.from_ms < span.end && it.to_ms > span.start;
    let own = leases.spans().iter().filter(|it| it.agent == *agent);
    let own: Vec<&LeaseSpan> = own.filter(overlaps).collect();
    let mut wanted: BTreeSet<RecordHash> = own.iter().map(|it| it.lease).collect();
    for lease in own {
        let mut parent = lease.parent;
        while let Some(above) = parent.filter(|above| wanted.insert(*above)) {
            parent = leases.span(&above).and_then(|above| above.parent);
        }
    }
    let told = leases.spans().iter();
    let told = told.filter(|it| wanted.contains(&it.lease));
    told.map(|it| LeaseView {
        used_before: spent(before, &it.lease),
        used: match after.lease(&it.lease) {
            Some(held) => held.spent(),
            None => kept.get(&it.lease).copied().unwrap_or_default(),
        },
        ended: after.in_force(it.lease, span.end).err(),
        span: it.clone(),
    })
    .collect()
}

/// A lease and the leases above it, as far as the rules know them.
pub(super) fn above(lease: Option<RecordHash>, rules: &State) -> impl Iterator<Item = &Lease> {
    let terms = |lease: RecordHash| rules.lease(&lease).map(|held| held.terms());
    let first = lease.and_then(terms);
    std::iter::successors(first, move |lease| lease.parent.and_then(terms))
}

/// What was spent of a lease and of those above it.
pub(super) fn spent_above(
    lease: Option<RecordHash>,
    rules: &State,
) -> impl Iterator<Item = (RecordHash, Spent)> {
    let held = |lease: RecordHash| rules.lease(&lease);
    let first = lease.and_then(held);
    let line = std::iter::successors(first, move |lease| lease.terms().parent.and_then(held));
    line.map(|held| (held.hash(), held.spent()))
}

fn spent(rules: &State, lease: &RecordHash) -> Spent {
    let held = rules.lease(lease);
    held.map_or_else(Spent::default, |held| held.spent())
}

impl LeaseView {
    /// What it allows and denies.
    pub(crate) fn scope(&self) -> String {
        let list = |patterns: &[ledger::scope::Pattern]| {
            let texts: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            texts.join(", ")
        };
        match self.span.deny.as_slice() {
            [] => list(&self.span.allow),
            deny => format!("{}, but not {}", list(&self.span.allow), list(deny)),
        }
    }

    /// Of each part of the budget how much was used, and how much of that before the span.
    pub(crate) fn budget(&self) -> String {
        let (most, used, before) = (&self.span.budget, &self.used, &self.used_before);
        [
            part("actions", most.actions, used.actions, before.actions),
            part("tokens", most.tokens, used.tokens, before.tokens),
            part(
                "cost in millionths",
                most.cost_micros,
                used.cost_micros,
                before.cost_micros,
            ),
        ]
        .join("; ")
    }

    /// Who granted it.
    pub(crate) fn granted(&self, holders: &Holders) -> String {
        holders.names(&self.span.granted_by)
    }

    /// How it was prolonged, a sentence each.
    pub(crate) fn renewals(&self, holders: &Holders) -> Vec<String> {
        let told = |renewal: &timeline::leases::Renewal| {
            let (at, until) = (utc(renewal.received_ms), utc(renewal.expires_ms));
            let by = holders.names(&renewal.by);
            format!("{at} until {until} by {by}, entry {}", renewal.index)
        };
        self.span.renewals.iter().map(told).collect()
    }

    /// How it is at the end of the span.
    pub(crate) fn standing(&self, holders: &Holders) -> String {
        if let Some(end) = &self.span.ended {
            let (why, by) = (end.in_words(), holders.names(&end.by));
            return format!("{why}; by {by}, entry {}", end.index);
        }
        match &self.ended {
            None => "in force".to_owned(),
            Some(refusal) => {
                let (code, detail) = (refusal.code, visible(&refusal.detail));
                format!("{} ({code}: {detail})", code.sentence())
            }
        }
    }
}

fn part(what: &str, most: Option<u64>, used: u128, before: u128) -> String {
    let of = most.map_or_else(|| ", no limit".to_owned(), |most| format!(" of {most}"));
    match before {
        0 => format!("{what} {used}{of}"),
        before => format!("{what} {used}{of}, {before} before the span"),
    }
}
