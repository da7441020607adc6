//! Freshness: whether the evidence is as new as a living log lets it be.
//!
//! A log whose control plane is alive has a new leaf at least each `pulse_ms`. Evidence that is older than that is no
//! worse for it; only, what was logged since cannot be told from it.

use crate::codes::Code;
use crate::govern::State;
use crate::verify::draft::Draft;
use crate::verify::report::CheckId;

/// How far the clock of whoever verifies may be behind those of the log and its witnesses.
const MAX_AHEAD_MS: u64 = 2 * 60 * 1000;

/// Judges the newest time in the evidence by the time that the verifier was given.
pub(super) fn conclude(draft: &mut Draft, now_ms: Option<u64>, state: Option<&State>) {
    let id = CheckId::Freshness;
    let newest_ms = draft.as_of.received_ms.max(draft.as_of.witnessed_ms);
    let (Some(now_ms), Some(newest_ms)) = (now_ms, newest_ms) else {
        return draft.skip(id, "there are no two times to compare");
    };
    if newest_ms > now_ms.saturating_add(MAX_AHEAD_MS) {
        let why = format!("{newest_ms} is ahead of the time of the verification, {now_ms}");
        return draft.fail(id, Code::ClockImplausible.because(why), None, None);
    }
    let age_ms = now_ms.saturating_sub(newest_ms);
    let clocks = state
        .and_then(State::charter)
        .map(|charter| &charter.liveness);
    match clocks.map(|clocks| clocks.pulse_ms + clocks.tolerance_ms) {
        Some(most) if age_ms <= most => {
            draft.pass(
                id,
                format!("{age_ms} ms old; the log speaks at least each {most} ms"),
            );
        }
        _ => draft.skip(
            id,
            format!("{age_ms} ms old: what was logged since is not in it"),
        ),
    }
}
