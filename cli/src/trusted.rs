//! Which log a command speaks of, and by whose word: a trust file, a log that is known here, or, where nothing is signed,
//! the service's own.
//!
//! Whoever signs for whatever log a service says it is has signed for anybody. So a command that signs needs a trust. A
//! person at a terminal may give it on the spot, once, as with a host that `ssh` does not know yet; a script may not.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::{Result, bail};
use client::charters;
use client::http::Service;
use client::identity::LogIdentity;
use client::known::{KnownError, KnownLog, KnownLogs};
use ledger::fingerprint::Fingerprint;
use ledger::verify::Trust;
use tlog::checkpoint::SignedCheckpoint;

use crate::output;
use crate::session::Session;

/// The log of a command that only reads.
///
/// # Errors
///
/// If what it should be cannot be read, or the service is known as another log.
pub(crate) fn for_reading(session: &Session, service: &Service) -> Result<LogIdentity> {
    if let Some(log) = pinned(session, service)? {
        return Ok(log);
    }
    let log = LogIdentity::told_by(service)?;
    output::complain(&format!(
        "note: no --trust; going by what {} says about itself: log {}",
        service.url(),
        log.log
    ));
    Ok(log)
}

/// The log of a command that signs.
///
/// # Errors
///
/// If nobody has said which log it is, or the service is known as another one.
pub(crate) fn for_signing(session: &Session, service: &Service) -> Result<LogIdentity> {
    if let Some(log) = pinned(session, service)? {
        return Ok(log);
    }
    let trust = LogIdentity::introduced_by(service)?;
    introduce(service, &trust);
    if !can_ask() {
        bail!(
            "this log is not trusted yet, so nothing was signed: \
             give --trust FILE, or compare the fingerprint and pin it: dragons trust add {} --fingerprint '{}'",
            service.url(),
            Fingerprint::of_charter(&trust.charter)
        );
    }
    confirm(&Fingerprint::of_charter(&trust.charter))?;
    let known = known_logs()?.add(KnownLog {
        name: origin(&trust),
        servers: vec![service.url().to_owned()],
        trust,
    })?;
    output::complain(&format!("{:?} is known from now on", known.name));
    Ok(LogIdentity::pinned(&known.trust)?)
}

/// The trust in the log, by a file, by its name, or by the address that it is known to be served at; `None` if nobody has
/// vouched for it. Nothing is asked of the service.
///
/// # Errors
///
/// If what is kept of it cannot be read.
pub(crate) fn vouched_for(session: &Session, service: &Service) -> Result<Option<Trust>> {
    if let Some(trust) = session.trust()? {
        return Ok(Some(trust));
    }
    // Without a place for state nothing is known.
    let Ok(known) = known_logs() else {
        return Ok(None);
    };
    Ok(known.served_at(service.url())?.map(|known| known.trust))
}

/// That a service serves the log that it should. What it says beside its proofs is its word all the same.
///
/// # Errors
///
/// If it does not show a checkpoint that the log has signed.
pub(crate) fn is_served(service: &Service, log: &LogIdentity) -> Result<()> {
    let checkpoint = SignedCheckpoint::parse(&service.checkpoint()?)?;
    log.policy.verify(&checkpoint)?;
    Ok(())
}

/// The logs that are known on this machine.
///
/// # Errors
///
/// If nothing says where they are kept.
pub(crate) fn known_logs() -> Result<KnownLogs> {
    Ok(KnownLogs::below(&crate::session::state_home()?))
}

/// Shows what a service says that its log is.
pub(crate) fn introduce(service: &Service, trust: &Trust) {
    output::complain(&format!(
        "the log at {} is not known here. It says that it is\n  origin       {}\n  charter      {}\n  fingerprint  {}",
        service.url(),
        origin(trust),
        trust.charter,
        Fingerprint::of_charter(&trust.charter)
    ));
}

/// Asks the person at the terminal.
///
/// # Errors
///
/// Unless they say yes, or the fingerprint itself.
pub(crate) fn confirm(fingerprint: &Fingerprint) -> Result<()> {
    output::complain(
        "compare the fingerprint with what its operators tell you by another channel. Is it the right log? \
         Type yes, or the fingerprint:",
    );
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    match line.trim() {
        "yes" => Ok(()),
        typed if is_same(typed, fingerprint) => Ok(()),
        _ => bail!("the log is not trusted, so nothing was signed"),
    }
}

/// Whether somebody is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether this is the fingerprint, however it is spaced.
pub(crate) fn is_same(typed: &str, fingerprint: &Fingerprint) -> bool {
    let digits = |text: &str| text.replace(|c: char| c.is_whitespace() || c == '-', "");
    !typed.is_empty() && digits(typed) == digits(&fingerprint.to_string())
}

/// The origin of a log, by its own key.
pub(crate) fn origin(trust: &Trust) -> String {
    let log = trust.policy.logs().first();
    log.map_or_else(String::new, |log| log.key.name().as_str().to_owned())
}

/// The log by the trust file, by its name, or by the address that it is known to be served at.
fn pinned(session: &Session, service: &Service) -> Result<Option<LogIdentity>> {
    if let Some(trust) = session.trust()? {
        return followed(service, &trust).map(Some);
    }
    // Without a place for state nothing is known.
    let Ok(known) = known_logs() else {
        return Ok(None);
    };
    let Some(known) = known.served_at(service.url())? else {
        return Ok(None);
    };
    is_still_itself(service, &known)?;
    followed(service, &known.trust).map(Some)
}

/// The log of a trust, with the keys that its charters have brought since.
fn followed(service: &Service, trust: &Trust) -> Result<LogIdentity> {
    Ok(charters::followed(LogIdentity::pinned(trust)?, service))
}

/// A service that answers has to say that it is the log that it was. What it shows is held to that log's keys anyway;
/// this is for the person who has to hear of it.
fn is_still_itself(service: &Service, known: &KnownLog) -> Result<(), KnownError> {
    let Ok((charter, _)) = service.charter() else {
        return Ok(());
    };
    let (pinned, claimed) = (known.trust.charter, charter.log);
    if claimed == pinned {
        return Ok(());
    }
    Err(KnownError::Changed {
        server: service.url().to_owned(),
        name: known.name.clone(),
        known: pinned,
        claimed,
    })
}
