//! Which refusals are logged, and when.
//!
//! A denial is logged at once, alone. Of all others the first is logged at once; what follows within the minute for
//! the same agent and code is counted, and the count logged at its end. Each refused record counts once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::record::Refused;
use ledger::text::Name;

/// How long refusals are counted together, in milliseconds.
const WINDOW_MS: u64 = 60_000;

/// How many refused records are remembered, so that one sent again and again is logged once: some megabytes.
const MAX_REMEMBERED: usize = 65_536;

/// The refusals that are being counted.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    windows: BTreeMap<(Name, Code), Window>,
    remembered: BTreeSet<RecordHash>,
    oldest_first: VecDeque<RecordHash>,
}

#[derive(Debug)]
struct Window {
    ends_ms: u64,
    /// The last refusal of the window with the count of all, once there is one beside the first.
    counted: Option<Refused>,
}

impl Refusals {
    /// Remembers a record whose refusal is in the log.
    pub(super) fn remember(&mut self, refused: RecordHash) {
        if !self.remembered.insert(refused) {
            return;
        }
        self.oldest_first.push_back(refused);
        if self.oldest_first.len() > MAX_REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.remembered.remove(&oldest);
        }
    }

    /// The records that are remembered, oldest first.
    pub(super) fn remembered(&self) -> Vec<RecordHash> {
        self.oldest_first.iter().copied().collect()
    }

    /// Takes note of a refusal, of count 1, and gives back what is to be logged at once.
    pub(super) fn note(&mut self, refused: Refused, now_ms: u64) -> Vec<Refused> {
        let is_known = self.remembered.contains(&refused.refused);
        self.remember(refused.refused);
        // With the envelope, so a denial: alone, whatever else is being counted. The rules count it once in its epoch;
        // that it was refused for another reason before, such as its place, must not hide it from them.
        if refused.envelope.is_some() {
            let mut at_once = self.close_naming(refused.refused);
            at_once.push(refused);
            return at_once;
        }
        if is_known {
            return Vec::new();
        }
        let key = (refused.agent.clone(), refused.code);
        let Some(window) = self.windows.get_mut(&key) else {
            let ends_ms = now_ms.saturating_add(WINDOW_MS);
            self.windows.insert(
                key,
                Window {
                    ends_ms,
                    counted: None,
                },
            );
            return vec![refused];
        };
        let count = window.counted.as_ref().map_or(0, |counted| counted.count) + 1;
        window.counted = Some(Refused { count, ..refused });
        Vec::new()
    }

    /// Closes the windows whose last record this is, and gives back their counts: once it is denied, no other refusal
    /// names it.
    fn close_naming(&mut self, refused: RecordHash) -> Vec<Refused> {
        let names_it = |window: &Window| {
            let last = window.counted.as_ref().map(|counted| counted.refused);
            last == Some(refused)
        };
        let closed = self.windows.extract_if(.., |_, window| names_it(window));
        closed.filter_map(|(_, window)| window.counted).collect()
    }

    /// Closes the windows that have ended, and gives back their counts.
    pub(super) fn due(&mut self, now_ms: u64) -> Vec<Refused> {
        let ended = self
            .windows
            .extract_if(.., |_, window| window.ends_ms <= now_ms);
        ended.filter_map(|(_, window)| window.counted).collect()
    }

    /// Closes all windows, and gives back their counts: at the end of the service.
    pub(super) fn drain(&mut self) -> Vec<Refused> {
        self.due(u64::MAX)
    }

    /// When the next window ends.
    pub(super) fn next_deadline_ms(&self) -> Option<u64> {
        self.windows.values().map(|window| window.ends_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use ledger::digest::Digest;
    use ledger::envelope::Envelope;
    use ledger::key::PrivateKey;
    use ledger::record::Kind;

    use super::*;

    fn refused(agent: &str, code: Code, n: u8) -> Refused {
        Refused {
            agent: agent.parse().unwrap(),
            epoch: 1,
            kind: Kind::Heartbeat,
            phase: None,
            refused: RecordHash::new(Digest::of(&[&[n]])),
            code,
            count: 1,
            envelope: None,
        }
    }

    #[test]
    fn the_first_is_logged_at_once_and_the_rest_counted() {
        let mut refusals = Refusals::default();
        let first = refused("a", Code::Stale, 0);
        assert_eq!(refusals.note(first.clone(), 1_000), [first]);
        for n in 1..=3 {
            assert_eq!(refusals.note(refused("a", Code::Stale, n), 2_000), []);
        }
        assert_eq!(refusals.next_deadline_ms(), Some(61_000));
        assert_eq!(refusals.due(60_999), []);
        let counted = Refused {
            count: 3,
            ..refused("a", Code::Stale, 3)
        };
        assert_eq!(refusals.due(61_000), [counted]);
        assert_eq!(refusals.next_deadline_ms(), None);
        let next = refused("a", Code::Stale, 4);
        assert_eq!(refusals.note(next.clone(), 61_000), [next]);
    }

    #[test]
    fn agents_and_codes_are_counted_apart() {
        let mut refusals = Refusals::default();
        for (n, (agent, code)) in (0..).zip([
            ("a", Code::Stale),
            ("a", Code::StateForbids),
            ("b", Code::Stale),
        ]) {
            assert_eq!(refusals.note(refused(agent, code, n), 0).len(), 1);
        }
        assert_eq!(refusals.drain(), [], "a first one is not counted again");
    }

    #[test]
    fn each_record_counts_once() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.note(refused("a", Code::Stale, 7), 0).len(), 1);
        assert_eq!(refusals.note(refused("a", Code::Stale, 7), 1), []);
        assert_eq!(refusals.note(refused("a", Code::EpochFenced, 7), 1), []);
        assert_eq!(refusals.drain(), []);
    }

    #[test]
    fn what_was_logged_before_a_restart_is_remembered() {
        let mut refusals = Refusals::default();
        refusals.remember(refused("a", Code::Stale, 7).refused);
        assert_eq!(refusals.note(refused("a", Code::Stale, 7), 0), []);
    }

    #[test]
    fn a_denial_is_alone() {
        let mut refusals = Refusals::default();
        let key = PrivateKey::from_seed(&[1; 32]);
        for n in 0..3 {
            let envelope = Envelope::sign(Kind::Receipt, vec![n], &[&key]).unwrap();
            let denial = Refused {
                kind: Kind::Receipt,
                phase: Some("intent".to_owned()),
                refused: envelope.record_hash(),
                envelope: Some(envelope),
                ..refused("a", Code::ScopeDenied, n)
            };
            assert_eq!(refusals.note(denial.clone(), 0), [denial]);
        }
        assert_eq!(refusals.drain(), []);
    }

    #[test]
    fn what_is_denied_is_named_by_no_count_behind_it() {
        let mut refusals = Refusals::default();
        let key = PrivateKey::from_seed(&[1; 32]);
        let envelope = Envelope::sign(Kind::Receipt, vec![1], &[&key]).unwrap();
        let stale = |n| refused("a", Code::Stale, n);
        let again = Refused {
            refused: envelope.record_hash(),
            ..stale(0)
        };
        assert_eq!(refusals.note(stale(1), 0).len(), 1);
        assert_eq!(refusals.note(stale(2), 0), []);
        assert_eq!(refusals.note(again.clone(), 0), []);
        let denial = Refused {
            code: Code::ScopeDenied,
            envelope: Some(envelope),
            ..again.clone()
        };
        let counted = Refused { count: 2, ..again };
        assert_eq!(refusals.note(denial.clone(), 0), [counted, denial]);
        assert_eq!(refusals.drain(), []);
    }
}
