//! Permits: what an agent holds between an intent that is logged and its result.

use ledger::digest::RecordHash;
use ledger::json::{Value, object};
use tlog::LeafIndex;

use crate::submission::Logged;

/// Leave to act once, as the log granted it: the intent is in the log, which was verified before this was made.
///
/// It cannot be copied, and there is no other way to it than [`Agent::intent`](crate::agent::Agent::intent).
#[derive(Debug)]
#[must_use = "whoever holds a permit and does not act says so, by a result"]
pub struct Permit {
    intent: RecordHash,
    index: LeafIndex,
    received_ms: u64,
    inflight_ends_ms: u64,
    lapses_ms: u64,
    breach: Option<String>,
}

impl Permit {
    /// The permit of an intent: it lapses when the action may no longer take longer, or with the lease.
    pub(crate) fn new(logged: &Logged, max_inflight_ms: u64) -> Self {
        let received_ms = logged.entry.received_ms();
        let inflight_ends_ms = received_ms.saturating_add(max_inflight_ms);
        let lease_ends_ms = logged.standing.and_then(|standing| standing.lease_ends_ms);
        Self {
            intent: logged.record(),
            index: logged.index(),
            received_ms,
            inflight_ends_ms,
            lapses_ms: lease_ends_ms
                .map_or(inflight_ends_ms, |ends_ms| ends_ms.min(inflight_ends_ms)),
            breach: logged.breach.clone(),
        }
    }

    /// The intent, which the result will name.
    pub const fn intent(&self) -> RecordHash {
        self.intent
    }

    /// When the log received the intent, by its own clock: milliseconds since the epoch.
    pub const fn received_ms(&self) -> u64 {
        self.received_ms
    }

    /// When it lapses: milliseconds since the epoch, by the log's clock.
    pub const fn lapses_ms(&self) -> u64 {
        self.lapses_ms
    }

    /// When the action may no longer take longer, whatever becomes of the lease.
    pub const fn inflight_ends_ms(&self) -> u64 {
        self.inflight_ends_ms
    }

    /// Whether it may still be acted upon.
    pub const fn is_valid_at(&self, now_ms: u64) -> bool {
        now_ms < self.lapses_ms
    }

    /// The rule that acting breaks, where the log only observes.
    pub fn breach(&self) -> Option<&str> {
        self.breach.as_deref()
    }

    /// The permit as an object: `intent`, `index`, `received_ms`, `lapses_ms`, and `breach` if there is one.
    pub fn to_value(&self) -> Value {
        let mut value = object([
            ("intent", self.intent.into()),
            ("index", self.index.get().into()),
            ("received_ms", self.received_ms.into()),
            ("lapses_ms", self.lapses_ms.into()),
        ]);
        if let (Value::Object(members), Some(breach)) = (&mut value, self.breach()) {
            members.push(("breach".to_owned(), breach.into()));
        }
        value
    }
}
