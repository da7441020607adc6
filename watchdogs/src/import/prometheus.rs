//! Prometheus: `GET /api/v1/query_range?query=ALERTS`. A series is an alert that was pending or firing; a span of its samples
//! without a hole is one firing. When it began and ended is known as exactly as the step of the query.

use std::collections::BTreeMap;

use ledger::digest::Digest;
use ledger::text::Name;
use serde_json::Value;

use super::document::{at, list, put_members, text};
use super::{ImportError, malformed};
use crate::alert::{Alert, Kind, Labels, Notice, id};

pub(super) fn is_range(document: &Value) -> bool {
    at(document, &["data", "resultType"]).is_some_and(|it| it == "matrix")
}

/// A series that fired: its labels, and when there were samples of it.
struct Series {
    labels: Labels,
    samples_ms: Vec<u64>,
}

/// All firings of all pages. Pages of one query are continued where they meet.
pub(super) fn range(source: &Name, documents: &[Value]) -> Result<Vec<Notice>, ImportError> {
    let mut all = BTreeMap::<Labels, Vec<u64>>::new();
    let mut last_ms = 0;
    for document in documents {
        if text(document, &["status"]) == Some("error") {
            let why = text(document, &["error"]).unwrap_or_default();
            return Err(malformed("the answer", format!("the query failed: {why}")));
        }
        for result in list(document, &["data", "result"]) {
            let series = Series::read(result)?;
            last_ms = last_ms.max(series.samples_ms.iter().copied().max().unwrap_or_default());
            if series.is_firing() {
                all.entry(series.labels)
                    .or_default()
                    .extend(series.samples_ms);
            }
        }
    }
    for samples in all.values_mut() {
        samples.sort_unstable();
        samples.dedup();
    }
    let step_ms = step(all.values());
    let firings = all.iter().flat_map(|(labels, samples)| {
        spans(samples, step_ms)
            .into_iter()
            .map(move |(first, last)| (labels, first, last))
    });
    let notices = firings.map(|(labels, first_ms, last_sample_ms)| {
        // What still fired at the end of the query has no end that anybody knows.
        let is_over = last_sample_ms + step_ms <= last_ms;
        notice(
            source,
            labels,
            first_ms,
            is_over.then_some(last_sample_ms + step_ms),
        )
    });
    Ok(notices.collect())
}

impl Series {
    fn read(result: &Value) -> Result<Self, ImportError> {
        let mut labels = Labels::new();
        put_members(&mut labels, "", result.get("metric"));
        let sample = |value: &Value| {
            let seconds = value.get(0).and_then(Value::as_f64);
            let ms = seconds
                .filter(|it| (0.0..1e12).contains(it))
                .map(|it| it * 1_000.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "bounded above"
            )]
            let ms = ms.map(|ms| ms.round() as u64);
            ms.ok_or_else(|| malformed("a sample", "its time is not a number of seconds"))
        };
        let samples = list(result, &["values"]).iter().map(sample);
        Ok(Self {
            samples_ms: samples.collect::<Result<_, _>>()?,
            labels,
        })
    }

    /// A rule with `for:` is pending before it fires, and then nobody was told.
    fn is_firing(&self) -> bool {
        let is = |label: &str, value: &str| self.labels.get(label).is_some_and(|it| it == value);
        is("alertstate", "firing") && self.labels.get("__name__").is_none_or(|it| it == "ALERTS")
    }
}

/// The step of the query: the smallest distance of two samples of a series; a minute where no series has two.
fn step<'a>(series: impl Iterator<Item = &'a Vec<u64>>) -> u64 {
    const ALONE_MS: u64 = 60_000;
    let distances = series.flat_map(|samples| {
        samples
            .iter()
            .zip(samples.iter().skip(1))
            .map(|(one, next)| next - one)
    });
    distances.min().unwrap_or(ALONE_MS)
}

/// The first and last sample of each span without a hole.
fn spans(samples: &[u64], step_ms: u64) -> Vec<(u64, u64)> {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for sample in samples {
        match spans.last_mut() {
            // Samples may be off by their rounding.
            Some((_, last)) if sample - *last <= step_ms + step_ms / 2 => *last = *sample,
            _ => spans.push((*sample, *sample)),
        }
    }
    spans
}

fn notice(source: &Name, labels: &Labels, opened_ms: u64, closed_ms: Option<u64>) -> Notice {
    let written = serde_json::to_string(labels).unwrap_or_default();
    let digest = Digest::of(&[written.as_bytes()]).to_string();
    let series = digest.get("sha256:".len()..).and_then(|hex| hex.get(..16));
    let series = series.unwrap_or_default();
    Notice {
        alert: Alert {
            source: source.clone(),
            source_id: id(&format!("{series}/{opened_ms}")),
            monitor: labels.get("alertname").cloned().unwrap_or_default(),
            agent: None,
            kind: Kind::Alert,
            opened_ms,
            closed_ms,
            severity: labels.get("severity").cloned(),
        },
        labels: labels.clone(),
        class: None,
        muted: None,
        by_name: false,
    }
}
