//! `charter`: the constitution of the log, and how it is amended.

mod amend;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use client::entry::Entry;
use client::http::Service;
use client::identity::LogIdentity;
use ledger::fingerprint::Fingerprint;
use ledger::json::object;
use ledger::record::{Body, Charter};

use crate::commands::log;
use crate::options::EntryName;
use crate::output;
use crate::session::Session;

/// What about the charter.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the charter in force
    Show,
    /// Propose the next charter, in a file for others to sign
    Amend(Box<amend::AmendOptions>),
    /// Show what a proposal changes, and sign it
    Sign(amend::SignOptions),
    /// Submit a proposal that has enough signatures
    Submit(amend::SubmitOptions),
}

/// Does it.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(crate) fn run(session: &Session, command: Command) -> Result<()> {
    match command {
        Command::Show => show(session),
        Command::Amend(options) => amend::amend(session, *options),
        Command::Sign(options) => amend::sign(session, &options),
        Command::Submit(options) => amend::submit(session, &options),
    }
}

/// Shows the charter in force, from the log itself.
fn show(session: &Session) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let entry = in_force(&service, &log)?;
    let aloud = |name, charter| {
        let fingerprint = Fingerprint::of_charter(charter).to_string();
        (name, fingerprint.into())
    };
    let record = entry.record().hash();
    let more = object([
        aloud("fingerprint", &record),
        aloud("log_fingerprint", &log.log),
    ]);
    output::object(session.json(), &output::joined(entry.to_value(), more))
}

/// The entry of the charter that the service says is in force, shown to be in the log.
///
/// # Errors
///
/// If it cannot be had, or is not shown.
pub(crate) fn in_force(service: &Service, log: &LogIdentity) -> Result<Entry> {
    let record = service.charter()?.0.record;
    log::find(service, log, EntryName::Record(record))
}

/// The charter that an entry is.
///
/// # Errors
///
/// If it is none.
pub(crate) fn charter_of(entry: &Entry) -> Result<&Charter> {
    match &entry.record().record().body {
        Body::Charter(charter) => Ok(charter),
        _ => None.context("what the service calls the charter in force is not a charter"),
    }
}
