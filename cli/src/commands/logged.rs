//! Records that were handed in: who signs them, and how it is shown that they are in the log.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use client::http::Service;
use client::journal::OperatorJournal;
use client::log_time;
use client::operator::{Operator, OperatorError};
use client::submission::Logged;
use ledger::json::{Value, object};

use crate::output;
use crate::session::{Session, now_ms, state_home};

/// Who signs beside the holder of `--key`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Cosigners {
    /// Another key to sign with, if the charter asks for several signatures; may be repeated
    #[arg(long, value_name = "FILE")]
    cosign_key: Vec<PathBuf>,
}

/// Does something as an operator.
///
/// # Errors
///
/// If there is no key or no service, or as the action fails.
pub(crate) fn as_operator(
    session: &Session,
    service: &Service,
    cosigners: &Cosigners,
    deed: impl FnOnce(&Operator<'_>) -> Result<Logged, OperatorError>,
) -> Result<Logged> {
    let keys = session.keys(&cosigners.cosign_key)?;
    let log = session.log_to_sign_for(service)?;
    let journal = OperatorJournal::open(&state_home()?, log.log)?;
    let operator = Operator {
        service,
        log: &log,
        journal: &journal,
        keys: &keys,
        now_ms: log_time::later(service, &log, now_ms()?),
    };
    let logged = deed(&operator)?;
    for found in operator.settle()? {
        let (kind, record) = (found.kind(), found.hash());
        output::complain(&format!(
            "note: a {kind} that was signed here before, {record}, is in the log"
        ));
    }
    Ok(logged)
}

/// Prints what is in the log now, with more members in front.
///
/// # Errors
///
/// If stdout is closed.
pub(crate) fn print<const N: usize>(
    session: &Session,
    logged: &Logged,
    more: [(&str, Value); N],
) -> Result<()> {
    if let Some(breach) = &logged.breach {
        output::complain(&format!(
            "warning: it was logged, and breaks a rule: {breach}"
        ));
    }
    let result = if logged.is_duplicate {
        "duplicate"
    } else {
        "logged"
    };
    let common = object([
        ("record", logged.record().into()),
        ("index", logged.index().get().into()),
        ("received_ms", logged.entry.received_ms().into()),
        ("result", result.into()),
    ]);
    output::object(session.json(), &output::joined(object(more), common))
}
