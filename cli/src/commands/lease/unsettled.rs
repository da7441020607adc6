//! Leases that were signed on this machine and are not shown to be in the log: nobody has answered, or somebody has said
//! no and has not signed that. They are authority that may turn up.

use anyhow::Result;
use client::http::Service;
use client::identity::LogIdentity;
use client::journal::{OperatorJournal, Unsettled};
use client::submission;
use ledger::json::object;
use ledger::record::{Body, Lease};
use ledger::text::Name;
use timeline::words::utc;

use crate::output;
use crate::session::{Session, state_home};

/// Lists them, of one agent or of all.
///
/// # Errors
///
/// If the journal cannot be read.
pub(super) fn list(
    session: &Session,
    service: &Service,
    log: &LogIdentity,
    agent: Option<&Name>,
) -> Result<()> {
    let mut rows = vec![["AGENT", "SIGNED HERE", "STATUS", "UNTIL"].map(str::to_owned)];
    for one in OperatorJournal::look(&state_home()?, log.log)? {
        let Some(lease) = lease_of(&one).filter(|it| agent.is_none_or(|name| it.agent == *name))
        else {
            continue;
        };
        let record = one.record.hash();
        if submission::find(service, log, record).is_ok() {
            continue;
        }
        let status = match &one.refused {
            None => "never answered".to_owned(),
            Some(refusal) => format!("refused, but nobody signed the refusal: {}", refusal.code),
        };
        if session.json() {
            output::json(&object([
                ("agent", (&lease.agent).into()),
                ("lease", record.into()),
                ("status", status.as_str().into()),
                ("ends_ms", lease.expires_ms.into()),
            ]))?;
        }
        let until = utc(lease.expires_ms);
        rows.push([lease.agent.to_string(), record.to_string(), status, until]);
    }
    if session.json() || rows.len() == 1 {
        return Ok(());
    }
    output::line("")?;
    output::table(&rows)
}

fn lease_of(one: &Unsettled) -> Option<&Lease> {
    match &one.record.record().body {
        Body::Lease(lease) => Some(lease),
        _ => None,
    }
}
