//! The journal: whether it can be read, by whom, and whether it and the log tell the same.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use client::journal::{Inspection, Journal, JournalError};
use client::submission::{self, SubmitError};
use ledger::digest::RecordHash;
use ledger::key::PublicKey;
use ledger::text::Name;
use rustix::fs::Access;
use timeline::words::counted;
use tlog::{ProofError, TreeSize};

use super::agent::Found;
use super::report::{Check, Known, Missing, Report, Step, causes};
use super::trust::Log;
use super::{Installation, disk, permissions};

const JOURNAL: &str = "journal";
const ACCESS: &str = "journal-access";
const DISK: &str = "journal-disk";
const HEAD: &str = "journal-head";
const UNSENT: &str = "journal-unsent";
const HISTORY: &str = "history";

/// Looks at the journal of the agent in the log that is named.
pub(super) fn examine(
    report: &mut Report,
    installation: &Installation,
    named: Known<RecordHash>,
    log: &Known<Log<'_>>,
    agent: &Known<Found>,
    key: &Known<PublicKey>,
) {
    let place = place(installation, named);
    let spoke = agent
        .as_ref()
        .is_ok_and(|agent| agent.claims.last.is_some());
    let is_here = key.as_ref().is_ok_and(|key| {
        agent
            .as_ref()
            .is_ok_and(|agent| agent.registration.key == *key)
    });
    let inspected = place
        .clone()
        .map_err(|missing| Check::not_checked(JOURNAL, &missing));
    let found = report.step(inspected.and_then(|place| place.inspect(spoke && is_here)));
    match &place {
        Ok(place) => place.surroundings(report),
        Err(missing) => report.not_checked(&[ACCESS, DISK], missing),
    }
    let found = match found {
        Ok(found) => found,
        Err(missing) => return report.not_checked(&[HEAD, UNSENT, HISTORY], &missing),
    };
    report.add(
        match agent.as_ref().and_then(|agent| Ok((agent, log.as_ref()?))) {
            Ok((agent, log)) => head(&found, agent, log),
            Err(missing) => Check::not_checked(HEAD, missing),
        },
    );
    report.add(judge_unsent(&found));
    report.add(match log {
        Ok(log) => history(&found, log),
        Err(missing) => Check::not_checked(HISTORY, missing),
    });
}

/// Where a journal is, or would be.
#[derive(Clone, Debug)]
struct Place {
    state: PathBuf,
    log: RecordHash,
    agent: Name,
}

fn place(installation: &Installation, named: Known<RecordHash>) -> Known<Place> {
    let nobody = || {
        Missing::new(
            "no agent named",
            "Name one with --agent, DRAGONS_AGENT or --dir.",
        )
    };
    let nowhere = || {
        Missing::new(
            "neither XDG_STATE_HOME nor HOME says where journals are",
            "Set one of them.",
        )
    };
    Ok(Place {
        agent: installation
            .agent
            .as_ref()
            .ok_or_else(nobody)?
            .value
            .clone(),
        state: installation.state.clone().ok_or_else(nowhere)?,
        log: named?,
    })
}

impl Place {
    fn directory(&self) -> PathBuf {
        Journal::place(&self.state, self.log, &self.agent)
    }

    /// Reads the journal. `is_missed` says that the agent has spoken with a key that is here.
    fn inspect(&self, is_missed: bool) -> Step<Inspection> {
        let found = Journal::inspect(&self.state, self.log, &self.agent);
        match found.map_err(|error| judge_error(&error))? {
            Some(found) => Ok((judge(&found), found)),
            None => Err(judge_absence(&self.directory(), is_missed)),
        }
    }

    /// Looks at who gets at the journal, and at the room that it has.
    fn surroundings(&self, report: &mut Report) {
        let directory = self.directory();
        report.add(access(&directory));
        let without = "What cannot be written to the journal is not sent, so the agent stops.";
        report.add(disk::examine(
            DISK,
            &directory,
            disk::JOURNAL_BYTES,
            without,
        ));
    }
}

fn judge_absence(directory: &Path, is_missed: bool) -> Check {
    let detail = format!("none at {}", directory.display());
    match is_missed {
        false => {
            let advice =
                "None is needed before the agent's first run here, nor where it never runs.";
            Check::not_checked(JOURNAL, &Missing::new(detail, advice))
        }
        true => Check::warning(
            JOURNAL,
            format!("{detail}, and the log has records by the key that is here"),
            "The agent ran elsewhere, or its journal is gone, and with it the values behind its commitments.",
            "Restore the journal if there is a copy; otherwise the next run begins its own epoch.",
        ),
    }
}

fn judge_error(error: &JournalError) -> Check {
    match error {
        JournalError::Damaged { .. } => Check::problem(
            JOURNAL,
            causes(error),
            "It does not show what the agent has signed, so the agent signs nothing more here.",
            "Keep the file as evidence and move its directory away: the next run begins its own epoch, and what was not sent is lost.",
        ),
        _ => Check::problem(
            JOURNAL,
            causes(error),
            "The agent cannot keep what it signs, so it signs nothing.",
            "Give the directory to the user that the agent runs as: chown, chmod 700.",
        ),
    }
}

fn judge(found: &Inspection) -> Check {
    let place = found.directory.display();
    let detail = match (found.is_in_use, found.torn_bytes) {
        (true, _) => format!("{place}, open in a process that runs"),
        (false, 0) => format!("{place}, open in no process"),
        (false, torn) => {
            return Check::warning(
                JOURNAL,
                format!("{place}: its last line is torn after {torn} bytes"),
                "A process ended while it was writing; nothing that depends on that line was sent.",
                "Nothing: the next run cuts it off.",
            );
        }
    };
    Check::ok(
        JOURNAL,
        format!("{detail}; {} values kept", found.disclosures),
    )
}

fn access(directory: &Path) -> Check {
    match std::fs::metadata(directory) {
        Ok(metadata) => {
            let anothers = permissions::is_anothers(&metadata);
            judge_access(directory, permissions::mode(&metadata), anothers)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => can_be_made(directory),
        Err(error) => {
            let why = format!("{}: {error}", directory.display());
            Check::not_checked(ACCESS, &Missing::new(why, "Make it readable for you."))
        }
    }
}

/// Whether the directory could be made, by the nearest one above it that is there.
fn can_be_made(directory: &Path) -> Check {
    let above = directory.ancestors().find(|place| place.is_dir());
    let above = above.unwrap_or_else(|| Path::new("/"));
    match rustix::fs::access(above, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::ok(ACCESS, format!("it can be made below {above:?}")),
        Err(error) => Check::problem(
            ACCESS,
            format!("it cannot be made below {above:?}: {error}"),
            "The agent cannot keep what it signs, so it signs nothing.",
            "Set XDG_STATE_HOME to a directory that you may write to, or make this one writable.",
        ),
    }
}

fn judge_access(directory: &Path, mode: u32, is_anothers: bool) -> Check {
    let detail = format!("mode {mode:03o}");
    if permissions::is_open(mode) {
        return Check::problem(
            ACCESS,
            detail,
            "Others on this machine may read the values behind the agent's commitments, which it has shown to nobody.",
            format!("chmod 700 {directory:?}"),
        );
    }
    if is_anothers {
        return Check::warning(
            ACCESS,
            format!("{detail}, of another user"),
            "As you, the agent cannot write to it.",
            "Run the agent as the user that owns it.",
        );
    }
    Check::ok(ACCESS, detail)
}

/// Where the journal stands to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// A process writes to it.
    Moving,
    /// Both end with the same record.
    Same,
    /// The log's last is one of which the journal does not know yet that it is in the log.
    AnswerLost,
    /// The log has records of the agent that the journal does not.
    LogAhead,
    /// The journal's last is not in the log.
    NotInLog,
}

fn head(found: &Inspection, agent: &Found, log: &Log<'_>) -> Check {
    match standing(found, agent, log) {
        Ok(standing) => judge_head(standing),
        Err(error) => Check::problem(
            HEAD,
            causes(&error),
            "The service does not prove what the journal says was logged.",
            "Ask again; if nothing changes, keep the journal as evidence and compare it with another copy of the log.",
        ),
    }
}

fn standing(found: &Inspection, agent: &Found, log: &Log<'_>) -> Result<Standing, SubmitError> {
    let (theirs, own) = (agent.claims.last, found.book.last_logged());
    if found.is_in_use {
        return Ok(Standing::Moving);
    }
    if theirs == own {
        return Ok(Standing::Same);
    }
    if let Some(own) = own {
        match submission::find(&log.reached.service, &log.identity, own) {
            Err(SubmitError::Service(error)) if error.is_not_found() => {
                return Ok(Standing::NotInLog);
            }
            found => found.map(drop)?,
        }
    }
    let mut pending = found.book.pending().iter();
    Ok(match pending.any(|record| Some(record.hash()) == theirs) {
        true => Standing::AnswerLost,
        false => Standing::LogAhead,
    })
}

fn judge_head(standing: Standing) -> Check {
    match standing {
        Standing::Moving => Check::ok(HEAD, "moves: a process writes to the journal"),
        Standing::Same => Check::ok(HEAD, "the journal and the log end with the same record"),
        Standing::AnswerLost => Check::warning(
            HEAD,
            "the log has the last records, but the journal does not know it yet",
            "Their answers were lost on the way.",
            "Nothing: the next run, or `dragons receipt flush`, settles it.",
        ),
        Standing::LogAhead => Check::warning(
            HEAD,
            "the log has records of the agent that this journal does not",
            "The agent also runs elsewhere, or this journal is an older copy; each run fences the other's process.",
            "Run it in one place; if somebody else may have the key, quarantine the agent and replace its key.",
        ),
        Standing::NotInLog => Check::problem(
            HEAD,
            "the journal's last logged record is not in the log",
            "The log has lost a record that it had proved: it was set back to an older copy, or is another log.",
            "Keep the journal: it has the log's own signature. Ask whoever runs the log to explain it, by another channel.",
        ),
    }
}

fn judge_unsent(found: &Inspection) -> Check {
    let book = &found.book;
    let (pending, unsaid) = (book.pending().len(), book.unsaid().len());
    let (goals, intents) = (book.open_goals().len(), book.open_intents().len());
    let told = |count: usize, noun| counted(count as u64, noun);
    let (unanswered, again) = (told(pending, "record"), told(unsaid, "result"));
    let (actions, open) = (told(intents, "action"), told(goals, "goal"));
    let detail =
        format!("{unanswered} without an answer, {again} to send again, {actions} and {open} open");
    if found.is_in_use || pending + unsaid + goals + intents == 0 {
        return Check::ok(UNSENT, detail);
    }
    Check::warning(
        UNSENT,
        detail,
        "No process is running to finish them: once its time is over, an action without a result counts against the agent.",
        "dragons receipt flush --dir DIR, as the agent; the agent's next run does it too.",
    )
}

fn history(found: &Inspection, log: &Log<'_>) -> Check {
    let Some(seen) = found.book.seen() else {
        let missing = Missing::new(
            "this machine has seen no checkpoint yet",
            "The agent's first run keeps one.",
        );
        return Check::not_checked(HISTORY, &missing);
    };
    let (old, new) = (seen.unverified(), log.checkpoint.checkpoint());
    if old.size > new.size {
        return judge_history(old.size, Err(Parted::Shorter { new: new.size }));
    }
    let hashes = log.reached.service.consistency_hashes(old.size, new.size);
    match hashes {
        Ok(hashes) => {
            let held = tlog::consistency::verify(&hashes, old.size, &old.root, new.size, &new.root);
            judge_history(old.size, held.map(drop).map_err(Parted::Proof))
        }
        Err(error) => {
            let missing = Missing::new(causes(&error), "Ask again once the service answers.");
            Check::not_checked(HISTORY, &missing)
        }
    }
}

/// How what was seen and what is served part.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Parted {
    Shorter { new: TreeSize },
    Proof(ProofError),
}

fn judge_history(old: TreeSize, held: Result<(), Parted>) -> Check {
    let detail = match held {
        Ok(()) => {
            let detail = format!("the {old} entries that this machine saw are still its first");
            return Check::ok(HISTORY, detail);
        }
        Err(Parted::Shorter { new }) => {
            format!("this machine saw {old} entries, but the service shows {new}")
        }
        Err(Parted::Proof(error)) => {
            format!("the {old} entries that this machine saw are not its first: {error}")
        }
    };
    Check::problem(
        HISTORY,
        detail,
        "The log was set back or forked, or is not the one that this machine saw before.",
        "Keep the journal, which has the older checkpoint, and what GET /checkpoint gives now: together they are proof.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_two_part_decides() {
        for (standing, result) in [
            (Standing::Moving, "ok"),
            (Standing::Same, "ok"),
            (Standing::AnswerLost, "warning"),
            (Standing::LogAhead, "warning"),
            (Standing::NotInLog, "problem"),
        ] {
            assert_eq!(judge_head(standing).result(), result, "{standing:?}");
        }
    }

    #[test]
    fn what_was_seen_has_to_stay() {
        let shorter = Parted::Shorter {
            new: TreeSize::new(6),
        };
        assert_eq!(
            judge_history(TreeSize::new(7), Err(shorter)).result(),
            "problem"
        );
        let size = TreeSize::new(7);
        let wrong = tlog::consistency::verify(
            &[],
            size,
            &tlog::EMPTY_ROOT,
            TreeSize::new(9),
            &tlog::EMPTY_ROOT,
        );
        let parted = Parted::Proof(wrong.unwrap_err());
        assert_eq!(judge_history(size, Err(parted)).result(), "problem");
        assert_eq!(judge_history(size, Ok(())).result(), "ok");
    }

    #[test]
    fn a_journal_is_its_owners_alone() {
        for (mode, is_anothers, result) in [
            (0o700, false, "ok"),
            (0o750, false, "problem"),
            (0o701, false, "problem"),
            (0o700, true, "warning"),
        ] {
            let check = judge_access(Path::new("."), mode, is_anothers);
            assert_eq!(check.result(), result, "{mode:o}");
        }
    }
}
