//! `charter`: the constitution of the log.

use anyhow::Result;
use clap::Subcommand;
use ledger::fingerprint::Fingerprint;
use ledger::json::object;

use crate::commands::log;
use crate::options::EntryName;
use crate::output;
use crate::session::Session;

/// What about the charter.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the charter in force
    Show,
}

/// Shows the charter in force, from the log itself.
///
/// # Errors
///
/// If it cannot be had, or its proof does not hold.
pub(crate) fn show(session: &Session) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let record = service.charter()?.0.record;
    let entry = log::find(&service, &log, EntryName::Record(record))?;
    let aloud = |name, charter| {
        let fingerprint = Fingerprint::of_charter(charter).to_string();
        (name, fingerprint.into())
    };
    let more = object([
        aloud("fingerprint", &record),
        aloud("log_fingerprint", &log.log),
    ]);
    output::object(session.json(), &output::joined(entry.to_value(), more))
}
