//! Freshness: whether the evidence is as new as a living log lets it be.
//!
//! A log whose control plane is alive has a new leaf at least each `pulse_ms`. Evidence that is older than that is no
//! worse for it; only, what was logged since cannot be told from it. What counts is the age of the last leaf that was
//! judged: a head is signed and cosigned at any time, whatever was left out before it. Its witnesses' time only bounds the
//! log's clock.

use tlog::LeafIndex;

use crate::codes::{Class, Code, Party, Refusal};
use crate::govern::State;
use crate::verify::draft::Draft;
use crate::verify::report::{CheckId, Finding};

/// How far the verifier's clock may be behind that of the log.
const MAX_AHEAD_MS: u64 = 2 * 60 * 1000;

/// How far the clocks of the log and of its witnesses may be apart.
pub(super) const CLOCKS_APART_MS: u64 = 60_000;

/// The last leaf of evidence that is shown to be in the log, and when that received it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastLeaf {
    pub(super) index: LeafIndex,
    pub(super) received_ms: u64,
}

/// What witnesses saw, the log had received: it cannot have done so after they saw it.
pub(super) fn check_clock(last: LastLeaf, witnessed_ms: Option<u64>) -> Result<(), Finding> {
    let LastLeaf { index, received_ms } = last;
    match witnessed_ms {
        Some(at) if received_ms > at.saturating_add(CLOCKS_APART_MS) => {
            let why = format!("a leaf received at {received_ms} was witnessed at {at}");
            Err(implausible(
                Code::ClockImplausible.because(why),
                Party::Log,
                index,
            ))
        }
        _ => Ok(()),
    }
}

/// Judges the age of the last leaf by the time that the verifier was given.
pub(super) fn conclude(draft: &mut Draft, now_ms: Option<u64>, last: LastLeaf, state: &State) {
    let id = CheckId::Freshness;
    let LastLeaf { index, received_ms } = last;
    let Some(now_ms) = now_ms else {
        return draft.skip(id, "no time was given to judge it by");
    };
    if received_ms > now_ms.saturating_add(MAX_AHEAD_MS) {
        let why = format!("{received_ms} is ahead of the time of the verification, {now_ms}");
        let refusal = Code::ClockImplausible.because(why);
        draft.fail_for(id, refusal.to_string());
        // Whose clock is wrong, the log's or that of whoever verifies, nobody can tell from here.
        return draft.push_finding(implausible(refusal, Party::Unknown, index));
    }
    let age_ms = now_ms.saturating_sub(received_ms);
    let clocks = state.charter().map(|charter| &charter.liveness);
    let age = span(age_ms);
    match clocks.map(|clocks| clocks.pulse_ms + clocks.tolerance_ms) {
        Some(most) if age_ms <= most => {
            let most = span(most);
            let detail =
                format!("the last entry is {age} old, and this log has a new one within {most}");
            draft.pass(id, detail);
        }
        _ => {
            draft.aside.is_old = true;
            let why = format!("the last entry is {age} old: what was logged since is not in it");
            draft.skip(id, why);
        }
    }
}

/// A span of time as people say it, in its largest unit.
fn span(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (86_400_000, "day"),
        (3_600_000, "hour"),
        (60_000, "minute"),
        (1000, "second"),
    ];
    let unit = UNITS.iter().find(|(unit, _)| ms >= *unit);
    match unit.map(|(unit, name)| (ms / unit, name)) {
        Some((1, name)) => format!("1 {name}"),
        Some((number, name)) => format!("{number} {name}s"),
        None => "less than a second".to_owned(),
    }
}

const fn implausible(refusal: Refusal, by: Party, index: LeafIndex) -> Finding {
    Finding {
        class: Class::Problem,
        refusal,
        by,
        index: Some(index),
        agent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn a_span_is_told_in_its_largest_unit() {
        let cases = [
            (0, "less than a second"),
            (1999, "1 second"),
            (59_999, "59 seconds"),
            (602_596, "10 minutes"),
            (3_600_000, "1 hour"),
            (172_800_000, "2 days"),
        ];
        for (ms, told) in cases {
            assert_eq!(span(ms), told);
        }
    }
}
