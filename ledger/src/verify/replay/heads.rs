//! The heads that agents and witnesses were shown, held against the log that was replayed.
//!
//! Each is a signature of the log on a root at a size. If the leaves here lead to another root at that
//! size, the log has shown two histories. A witness also tells the time at which it saw the head, which
//! bounds the times that the log gives its leaves.

use tlog::LeafIndex;
use tlog::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use tlog::policy::Policy;

use crate::codes::{Code, Refusal};
use crate::record::{Pulse, Seen};
use crate::verify::freshness::CLOCKS_APART_MS;
use crate::verify::log_keys::LogKeys;
use crate::verify::replay::entries::Entries;

const SECOND_MS: u64 = 1000;

/// Whether a head could be held against the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// It is of this log.
    Here,
    /// It is from before the first leaf that is there.
    Earlier,
}

/// Whether an agent saw this log: it cannot have seen more than there was.
pub(super) fn check_seen(seen: &Seen, entries: &Entries) -> Result<Head, Refusal> {
    check_root(seen.size, &seen.root, entries)
}

fn check_root(size: u64, root: &tlog::Hash, entries: &Entries) -> Result<Head, Refusal> {
    match entries.root(size) {
        Some(here) if here == *root => Ok(Head::Here),
        None if size < entries.before() => Ok(Head::Earlier),
        Some(here) => {
            Err(Code::SplitView.because(format!("root {root} at size {size}, here it is {here}")))
        }
        None => {
            Err(Code::SplitView.because(format!("root {root} at size {size}, not reached here")))
        }
    }
}

/// What a pulse's witnesses say about the log's tree and clock.
#[derive(Debug)]
pub(super) struct Witnessed {
    head: VerifiedCheckpoint,
    earliest_ms: u64,
    latest_ms: u64,
}

impl Witnessed {
    /// The head in a pulse, if a key of the log signed it that was in force at its size and enough of the witnesses that
    /// the policy names have cosigned it. Others' word bounds nothing.
    pub(super) fn by(policy: &Policy, keys: &LogKeys, pulse: &Pulse) -> Option<Self> {
        let signed = SignedCheckpoint::parse(pulse.witnessed.as_deref()?).ok()?;
        let keys = keys.of_head(signed.unverified().size);
        let head = policy.verify_by(&signed, &keys).ok()?;
        let times = head.cosignatures().iter().map(|by| by.time_s);
        let (earliest, latest) = (times.clone().min()?, times.max()?);
        Some(Self {
            earliest_ms: earliest.saturating_mul(SECOND_MS),
            latest_ms: latest.saturating_mul(SECOND_MS),
            head,
        })
    }

    /// The witnesses saw this log.
    pub(super) fn check_head(&self, entries: &Entries) -> Result<Head, Refusal> {
        check_root(self.head.size().get(), self.head.root(), entries)
    }

    /// What they had seen was not received later than they saw it, and what comes with the pulse and
    /// after it not earlier.
    pub(super) fn check_clock(&self, entries: &Entries, pulse_ms: u64) -> Result<(), Refusal> {
        let last = self.head.size().get().checked_sub(1).map(LeafIndex::new);
        let received_ms = last.and_then(|last| entries.received_ms(last));
        let (earliest, latest) = (self.earliest_ms, self.latest_ms);
        if let Some(ms) = received_ms.filter(|ms| *ms > latest.saturating_add(CLOCKS_APART_MS)) {
            let why = format!("a leaf received at {ms} was witnessed at {latest}");
            return Err(Code::ClockImplausible.because(why));
        }
        if pulse_ms < earliest.saturating_sub(CLOCKS_APART_MS) {
            let why = format!("received at {pulse_ms}, with what was witnessed at {earliest}");
            return Err(Code::ClockImplausible.because(why));
        }
        Ok(())
    }
}
