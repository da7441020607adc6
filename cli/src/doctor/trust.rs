//! The log: whether it is the one that the trust file names, and whether its control plane is alive.

use std::path::Path;

use anyhow::{Context as _, Result};
use client::entry::{Entry, EntryError};
use client::identity::{LogIdentity, Source};
use client::transport::ServiceError;
use ledger::fingerprint::Fingerprint;
use ledger::record::{Charter, Liveness};
use ledger::verify::Trust;
use timeline::words::span;
use tlog::LeafIndex;
use tlog::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};

use super::permissions;
use super::report::{Check, Known, Missing, Report, Step, causes};
use super::service::Reached;
use crate::commands::charter;
use crate::session::read_trust;

const CHECKPOINT: &str = "checkpoint";
const WITNESSES: &str = "witnesses";
const CHARTER: &str = "charter";
const PULSE: &str = "pulse";

/// A log that was proved to be the expected one, if one is expected.
#[derive(Debug)]
pub(super) struct Log<'a> {
    pub(super) reached: &'a Reached,
    pub(super) identity: LogIdentity,
    pub(super) checkpoint: VerifiedCheckpoint,
    /// The charter in force.
    pub(super) charter: Charter,
}

/// Reads the trust file.
pub(super) fn file(report: &mut Report, path: Option<&Path>) -> Known<Trust> {
    report.step(read(path))
}

fn read(path: Option<&Path>) -> Step<Trust> {
    const NAME: &str = "trust-file";
    let missing = Missing::new(
        "no trust file given: only the service says which log this is",
        "Name the file that `dragonsd init` wrote, trust.json, with --trust.",
    );
    let path = path.ok_or_else(|| Check::not_checked(NAME, &missing))?;
    let regular = permissions::regular(path).map_err(anyhow::Error::from);
    let trust = regular.and_then(|_| read_trust(path)).map_err(|error| {
        Check::problem(
            NAME,
            format!("{error:#}"),
            "Nothing can be verified with it, so every command that gets it fails.",
            "Get it again from whoever runs the log, but not from the service.",
        )
    })?;
    let fingerprint = Fingerprint::of_charter(&trust.charter);
    let detail = format!("{path:?}, of the log {fingerprint}");
    Ok((Check::ok(NAME, detail), trust))
}

/// Looks at the log that the service shows.
pub(super) fn examine<'a>(
    report: &mut Report,
    reached: &'a Known<Reached>,
    trust: &Known<Trust>,
) -> Known<Log<'a>> {
    let reached = reached.as_ref().map_err(|missing| {
        report.not_checked(&[CHECKPOINT, WITNESSES, CHARTER, PULSE], missing);
        missing.clone()
    })?;
    let further = [WITNESSES, CHARTER, PULSE];
    let shown = report.step(checkpoint(reached, trust.as_ref().ok()));
    let (identity, checkpoint) =
        shown.inspect_err(|missing| report.not_checked(&further, missing))?;
    report.add(witnesses(trust, checkpoint.signed()));
    let charter = report.step(charter_in_force(reached, &identity));
    let charter = charter.inspect_err(|missing| report.not_checked(&[PULSE], missing))?;
    report.add(pulse(reached, &identity, &checkpoint, &charter.liveness));
    Ok(Log {
        reached,
        identity,
        checkpoint,
        charter,
    })
}

fn checkpoint(reached: &Reached, trust: Option<&Trust>) -> Step<(LogIdentity, VerifiedCheckpoint)> {
    let asked = ask_checkpoint(reached, trust);
    let (identity, checkpoint) = asked.map_err(|error| judge_checkpoint(&error))?;
    let by = match identity.source {
        Source::Pinned => "a key of the trust file",
        Source::Told => "the key that the service names",
    };
    let (origin, size) = (checkpoint.origin(), checkpoint.size());
    let detail = format!("{origin} at {size} entries, signed by {by}");
    Ok((Check::ok(CHECKPOINT, detail), (identity, checkpoint)))
}

fn ask_checkpoint(
    reached: &Reached,
    trust: Option<&Trust>,
) -> Result<(LogIdentity, VerifiedCheckpoint)> {
    let identity = match trust {
        Some(trust) => LogIdentity::pinned(trust)?,
        None => LogIdentity::told_by(&reached.service)?,
    };
    let text = reached.service.checkpoint()?;
    let signed = SignedCheckpoint::parse(&text).context("/checkpoint has none")?;
    let verified = identity.policy.verify(&signed)?;
    Ok((identity, verified))
}

fn judge_checkpoint(error: &anyhow::Error) -> Check {
    let detail = format!("{error:#}");
    if error.chain().any(|cause| cause.is::<ServiceError>()) {
        return unanswered(CHECKPOINT, detail);
    }
    let of = error.chain().find_map(|cause| cause.downcast_ref());
    match of {
        Some(CheckpointError::UnknownOrigin { .. } | CheckpointError::NotSignedByLog { .. }) => {
            Check::problem(
                CHECKPOINT,
                detail,
                "The service does not show the log that you trust, so nothing that it says counts.",
                "Check that --server and --trust belong together; if they do, ask whoever runs the log why its key changed.",
            )
        }
        _ => Check::problem(
            CHECKPOINT,
            detail,
            "The log did not sign what the service gives as its head: it is damaged or forged.",
            "Keep it as evidence (GET /checkpoint), and tell whoever runs the log by another channel.",
        ),
    }
}

fn unanswered(name: &'static str, detail: String) -> Check {
    Check::problem(
        name,
        detail,
        "The service is alive, but does not serve what anybody may read.",
        "Behind a proxy, let all paths through to dragonsd; otherwise read what dragonsd writes.",
    )
}

fn witnesses(trust: &Known<Trust>, signed: &SignedCheckpoint) -> Check {
    let trust = match trust {
        Ok(trust) => trust,
        Err(missing) => return Check::not_checked(WITNESSES, missing),
    };
    if !trust.policy.needs_witnesses() {
        return Check::ok(WITNESSES, "the trust file asks for none");
    }
    match trust.policy.verify(signed) {
        Ok(verified) => {
            let cosigned = verified.cosignatures().len();
            Check::ok(WITNESSES, format!("{cosigned} have cosigned, a quorum"))
        }
        Err(error @ CheckpointError::QuorumNotMet { .. }) => Check::problem(
            WITNESSES,
            error.to_string(),
            "So far only the log vouches for its newest head; nothing shows that others get the same one.",
            "Ask again in a few seconds; if nothing changes, check that the service reaches its witnesses.",
        ),
        Err(error) => Check::problem(
            WITNESSES,
            causes(&error),
            "Somebody has put a false cosignature under the head of the log.",
            "Keep it as evidence (GET /checkpoint), and tell whoever runs the log by another channel.",
        ),
    }
}

fn charter_in_force(reached: &Reached, identity: &LogIdentity) -> Step<Charter> {
    let asked = ask_charter(reached, identity);
    let charter = asked.map_err(|error| judge_charter(&error))?;
    let began = Fingerprint::of_charter(&identity.log);
    let (version, mode) = (charter.version, charter.mode.as_str());
    let detail = format!("version {version} in force, mode {mode}; the log began with {began}");
    Ok((Check::ok(CHARTER, detail), charter))
}

/// The charter in force, once the one that the log began with was seen to be the one that names it.
fn ask_charter(reached: &Reached, identity: &LogIdentity) -> Result<Charter> {
    let first = LeafIndex::new(0);
    Entry::open(&reached.service.proof(first, None)?, first, identity)?;
    let entry = charter::in_force(&reached.service, identity)?;
    Ok(charter::charter_of(&entry)?.clone())
}

fn judge_charter(error: &anyhow::Error) -> Check {
    let detail = format!("{error:#}");
    let of = error.chain().find_map(|cause| cause.downcast_ref());
    match of {
        Some(EntryError::OtherLog { .. }) => Check::problem(
            CHARTER,
            detail,
            "The right key signs the log, but it began with another charter: it was made again, or is a fork.",
            "Ask whoever runs the log; compare over the phone what `dragons fingerprint` prints of both trust files.",
        ),
        Some(_) => Check::problem(
            CHARTER,
            detail,
            "The service does not show the charter that all records rest on.",
            "Ask whoever runs the log to stop the service and check its store with `dragonsd fsck`.",
        ),
        None => unanswered(CHARTER, detail),
    }
}

fn pulse(
    reached: &Reached,
    identity: &LogIdentity,
    checkpoint: &VerifiedCheckpoint,
    clocks: &Liveness,
) -> Check {
    match newest_ms(reached, identity, checkpoint) {
        Ok(newest_ms) => judge_pulse(reached.now_ms().saturating_sub(newest_ms), clocks),
        Err(error) => unanswered(PULSE, format!("{error:#}")),
    }
}

/// When the newest entry was received, from the entry itself.
fn newest_ms(
    reached: &Reached,
    identity: &LogIdentity,
    checkpoint: &VerifiedCheckpoint,
) -> Result<u64> {
    let last = checkpoint.size().get().checked_sub(1);
    let last = LeafIndex::new(last.context("the log is empty")?);
    let entry = Entry::open(&reached.service.proof(last, None)?, last, identity)?;
    Ok(entry.received_ms())
}

/// A second for the date of the service, which is cut to it.
const CLOCK_DOUBT_MS: u64 = 1_000;

fn judge_pulse(age_ms: u64, clocks: &Liveness) -> Check {
    let most_ms = clocks.pulse_ms.saturating_add(clocks.tolerance_ms);
    let (age, most) = (span(age_ms), span(most_ms));
    if age_ms <= most_ms.saturating_add(CLOCK_DOUBT_MS) {
        return Check::ok(
            PULSE,
            format!("the newest entry is {age} old; {most} are allowed"),
        );
    }
    Check::problem(
        PULSE,
        format!("the newest entry is {age} old; the charter allows {most}"),
        "The control plane is silent, so it does not notice an agent's silence; or this is an old copy of the log.",
        "Look at /readyz and at dragonsd's messages; compare the size with somebody who reads the log elsewhere.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charter_says_how_long_control_may_be_silent() {
        let clocks = Liveness::default();
        for (age_ms, result) in [(0, "ok"), (120_000, "ok"), (121_001, "problem")] {
            assert_eq!(judge_pulse(age_ms, &clocks).result(), result, "{age_ms}");
        }
    }

    #[test]
    fn an_error_is_judged_by_whose_it_is() {
        let origin = tlog::checkpoint::Origin::parse("example.com/other").unwrap();
        let unknown = anyhow::Error::from(CheckpointError::UnknownOrigin { origin });
        assert!(
            matches!(&judge_checkpoint(&unknown).outcome, super::super::Outcome::Problem(remedy)
            if remedy.meaning.contains("does not show the log that you trust"))
        );
        let log = ledger::digest::RecordHash::new(ledger::digest::Digest::of(&[]));
        let other = anyhow::Error::from(EntryError::OtherLog {
            got: log,
            want: log,
        });
        assert!(
            matches!(&judge_charter(&other).outcome, super::super::Outcome::Problem(remedy)
            if remedy.meaning.contains("another charter"))
        );
    }
}
