//! Gaps in the counters of sources: what is missing by the incumbent's own numbers.
//!
//! The first number of a stream begins the count, since a receiver may be put beside a program that runs. A hole is given
//! some time to be filled, since batches may overtake each other.

use std::collections::{BTreeMap, HashMap};

use ledger::text::Name;
use serde::{Deserialize, Serialize};

/// How long a hole may stay open before it is a gap: exporters send within seconds.
pub(crate) const PATIENCE_MS: u64 = 5_000;

/// The most streams that are counted at once; the one that was heard longest ago makes room.
const MAX_STREAMS: usize = 10_000;

/// The most holes of a stream that are waited for at once; more are one hole, from the first to the last.
const MAX_HOLES: usize = 64;

/// A name of a stream: whose it is, and what it counts.
type StreamName = (String, String);

/// The counters of all streams.
#[derive(Debug, Default)]
pub(crate) struct Gaps(HashMap<StreamName, Stream>);

/// A stream as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stream {
    last: u64,
    last_at_ms: u64,
    heard_ms: u64,
    agent: Option<String>,
    holes: BTreeMap<u64, MissingNumbers>,
}

/// Numbers that were skipped, from the one that is its key on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MissingNumbers {
    to: u64,
    noticed_ms: u64,
    before_ms: u64,
    after_ms: u64,
}

/// A hole that nobody filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) source: String,
    pub(crate) stream: String,
    pub(crate) agent: Option<Name>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) before_ms: u64,
    pub(crate) after_ms: u64,
}

/// A number as it was heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) source: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) agent: Option<&'a str>,
    pub(crate) number: u64,
    pub(crate) at_ms: u64,
    pub(crate) now_ms: u64,
}

impl Gaps {
    /// Counts a number.
    pub(crate) fn count(&mut self, heard: Heard<'_>) {
        let name = (heard.source.to_owned(), heard.stream.to_owned());
        let known = self.0.entry(name);
        let stream = known.or_insert_with(|| Stream {
            last: heard.number,
            last_at_ms: heard.at_ms,
            heard_ms: heard.now_ms,
            agent: None,
            holes: BTreeMap::new(),
        });
        stream.count(heard);
        if self.0.len() > MAX_STREAMS {
            let oldest = self.0.iter().min_by_key(|(_, stream)| stream.heard_ms);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.0.remove(&oldest);
            }
        }
    }

    /// The holes that have been open for too long.
    pub(crate) fn due(&self, now_ms: u64) -> Vec<Gap> {
        let streams = self.0.iter();
        let due = streams.flat_map(|((source, name), stream)| {
            let holes = stream.holes.iter();
            let old = holes.filter(|(_, hole)| hole.noticed_ms + PATIENCE_MS <= now_ms);
            old.map(|(from, hole)| Gap {
                source: source.clone(),
                stream: name.clone(),
                agent: stream.agent.as_ref().and_then(|it| it.parse().ok()),
                from: *from,
                to: hole.to,
                before_ms: hole.before_ms,
                after_ms: hole.after_ms,
            })
        });
        due.collect()
    }

    /// Lets a gap be, which is on record now.
    pub(crate) fn settle(&mut self, gap: &Gap) {
        let name = (gap.source.clone(), gap.stream.clone());
        if let Some(stream) = self.0.get_mut(&name) {
            stream.holes.remove(&gap.from);
        }
    }

    /// What is to be kept.
    pub(crate) fn kept(&self) -> Vec<(StreamName, Stream)> {
        let streams = self.0.iter();
        streams
            .map(|(name, stream)| (name.clone(), stream.clone()))
            .collect()
    }

    /// What was kept.
    pub(crate) fn of(kept: Vec<(StreamName, Stream)>) -> Self {
        Self(kept.into_iter().collect())
    }
}

impl Stream {
    fn count(&mut self, heard: Heard<'_>) {
        self.heard_ms = heard.now_ms;
        if let Some(agent) = heard.agent {
            self.agent = Some(agent.to_owned());
        }
        if heard.number <= self.last {
            self.fill(heard.number);
            return;
        }
        if heard.number > self.last + 1 {
            let hole = MissingNumbers {
                to: heard.number - 1,
                noticed_ms: heard.now_ms,
                before_ms: self.last_at_ms,
                after_ms: heard.at_ms.max(self.last_at_ms),
            };
            self.holes.insert(self.last + 1, hole);
            self.bound();
        }
        self.last = heard.number;
        self.last_at_ms = heard.at_ms;
    }

    /// Takes a number that came late out of the hole that it left.
    fn fill(&mut self, number: u64) {
        let Some((&from, _)) = self.holes.range(..=number).next_back() else {
            return;
        };
        let Some(hole) = self.holes.remove(&from) else {
            return;
        };
        if number > hole.to {
            self.holes.insert(from, hole);
            return;
        }
        if from < number {
            let to = number - 1;
            self.holes
                .insert(from, MissingNumbers { to, ..hole.clone() });
        }
        if number < hole.to {
            self.holes.insert(number + 1, hole);
        }
    }

    fn bound(&mut self) {
        while self.holes.len() > MAX_HOLES {
            let (Some((_, last)), Some(mut before)) =
                (self.holes.pop_last(), self.holes.last_entry())
            else {
                return;
            };
            let before = before.get_mut();
            (before.to, before.after_ms) = (last.to, last.after_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(numbers: &[u64]) -> Vec<(u64, u64)> {
        let mut gaps = Gaps::default();
        for number in numbers {
            gaps.count(Heard {
                source: "s",
                stream: "x",
                agent: Some("a"),
                number: *number,
                at_ms: 1_000 + number,
                now_ms: 0,
            });
        }
        assert_eq!(gaps.due(PATIENCE_MS - 1), []);
        let mut due: Vec<_> = gaps
            .due(PATIENCE_MS)
            .iter()
            .map(|it| (it.from, it.to))
            .collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn what_was_passed_over_is_a_gap_and_what_came_late_is_not() {
        for (numbers, expected) in [
            (&[0, 1, 2, 3][..], &[][..]),
            (&[7, 8], &[]),
            (&[0, 1, 5], &[(2, 4)]),
            (&[0, 5, 3], &[(1, 2), (4, 4)]),
            (&[0, 5, 1, 2, 3, 4], &[]),
            (&[0, 5, 4, 1], &[(2, 3)]),
            (&[0, 2, 4, 3], &[(1, 1)]),
            (&[0, 0, 1, 1], &[]),
            (&[5, 3], &[]),
        ] {
            assert_eq!(gaps(numbers), expected, "{numbers:?}");
        }
    }

    #[test]
    fn holes_have_a_bound_and_none_is_forgotten() {
        let numbers: Vec<u64> = (0..1_000).map(|number| number * 2).collect();
        let gaps = gaps(&numbers);
        assert_eq!(gaps.len(), MAX_HOLES);
        assert_eq!((gaps[0], gaps[MAX_HOLES - 1].1), ((1, 1), 1_997));
    }

    #[test]
    fn what_is_on_record_is_let_be_and_what_was_kept_counts_on() {
        let heard = |number| Heard {
            source: "s",
            stream: "x",
            agent: None,
            number,
            at_ms: number,
            now_ms: 0,
        };
        let mut gaps = Gaps::default();
        gaps.count(heard(1));
        gaps.count(heard(3));
        let due = gaps.due(PATIENCE_MS);
        assert_eq!((due[0].before_ms, due[0].after_ms), (1, 3));
        let mut gaps = Gaps::of(gaps.kept());
        assert_eq!(gaps.due(PATIENCE_MS), due);
        gaps.settle(&due[0]);
        assert_eq!(gaps.due(PATIENCE_MS), []);
        gaps.count(heard(5));
        assert_eq!(gaps.due(PATIENCE_MS)[0].from, 4);
    }
}
