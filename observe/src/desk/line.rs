//! The lines of the spool.

use std::collections::BTreeMap;

use ledger::digest::Digest;
use ledger::record::{Body, Kind, Observation, Record};
use serde::{Deserialize, Serialize};
use watchdogs::alert::{Labels, Notice};

use super::seen::Key;
use crate::intake::{SpanKey, Way};

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// What is to be logged: the payload of its record, but for the time at which it is signed.
    Observation {
        payload: String,
        way: Way,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        span: Option<String>,
    },
    /// What no rule says the agent of.
    Unmapped(Unmapped),
    /// What a child said about a parent that has not come yet.
    Verdict { span: String, status: String },
    /// The numbers of a counter, each with when it was counted.
    Count {
        source: String,
        stream: String,
        agent: Option<String>,
        numbers: Vec<(u64, u64)>,
        now_ms: u64,
    },
}

/// Something that no rule says the agent of: what a person needs to write the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unmapped {
    /// The tool.
    pub(crate) source: String,
    /// The tool's own name for it.
    pub(crate) source_id: String,
    /// What spoke.
    pub(crate) monitor: String,
    /// What kind of thing it is.
    pub(crate) kind: String,
    /// When it began: milliseconds since the epoch.
    pub(crate) opened_ms: u64,
    /// The labels that rules ask for, and a few that every rule could.
    pub(crate) labels: Labels,
}

/// What was counted since the spool was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tally {
    /// Spans, log records and alerts that came.
    pub(crate) items: u64,
    /// Observations that were written down.
    pub(crate) observations: u64,
    /// What had been seen before.
    pub(crate) duplicates: u64,
    /// What could not be read.
    pub(crate) rejected: u64,
    /// What no rule said the agent of, by source.
    pub(crate) unmapped: BTreeMap<String, u64>,
    /// What the spool had no room for and nobody was told, by source.
    pub(crate) lost: BTreeMap<String, u64>,
}

/// The most labels of a line, and the longest of their values in bytes: an alert's annotations may be long.
const MAX_LABELS: usize = 40;
const MAX_LABEL_BYTES: usize = 256;

impl Unmapped {
    pub(super) fn of(notice: &Notice) -> Self {
        let short = |(_, value): &(&String, &String)| value.len() <= MAX_LABEL_BYTES;
        let labels = notice.labels.iter().filter(short).take(MAX_LABELS);
        Self {
            source: notice.alert.source.to_string(),
            source_id: notice.alert.source_id.as_str().to_owned(),
            monitor: notice.alert.monitor.chars().take(MAX_LABEL_BYTES).collect(),
            kind: notice.alert.kind.as_str().to_owned(),
            opened_ms: notice.alert.opened_ms,
            labels: labels
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }

    pub(super) fn key(&self) -> Key {
        Key::of_parts(&[&self.source, &self.source_id, "unmapped", &self.kind])
    }
}

/// The observation in a payload; `None` where the line is none, which no line here is.
pub(crate) fn observation(payload: &str) -> Option<Observation> {
    let record = Record::parse(Kind::Observation, payload.as_bytes()).ok()?;
    match record.body {
        Body::Observation(observation) => Some(*observation),
        _ => None,
    }
}

pub(super) fn span_text((trace, span): &SpanKey) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|it| format!("{it:02x}")).collect() };
    format!("{}/{}", hex(trace), hex(span))
}

pub(super) fn span_key(text: &str) -> Option<SpanKey> {
    let bytes = |text: &str| {
        let at = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        (0..text.len())
            .step_by(2)
            .map(at)
            .collect::<Option<Vec<u8>>>()
    };
    let (trace, span) = text.split_once('/')?;
    Some((bytes(trace)?, bytes(span)?))
}

/// The first bytes of a digest of parts that cannot run into each other.
pub(super) fn digest(parts: &[&str]) -> Digest {
    let lengths: Vec<[u8; 8]> = parts
        .iter()
        .map(|it| (it.len() as u64).to_be_bytes())
        .collect();
    let parts = lengths.iter().zip(parts);
    let parts: Vec<&[u8]> = parts
        .flat_map(|(length, part)| [length.as_slice(), part.as_bytes()])
        .collect();
    Digest::of(&parts)
}
