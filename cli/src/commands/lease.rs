//! `lease`: authority for agents.

mod ask;
mod grant;
mod list;
mod unsettled;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use ledger::digest::RecordHash;
use ledger::record::{Body, Budget, Kind};
use ledger::text::Text;

use crate::commands::log;
use crate::commands::logged::{self, Cosigners};
use crate::options::{EntryName, Span};
use crate::output;
use crate::session::Session;

/// What about leases.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the newest lease of each agent, or all leases of one agent
    List(list::ListOptions),
    /// Ask for a lease as an agent, through the service's inbox or in a file for an operator
    Ask(Box<ask::AskOptions>),
    /// List the lease requests that wait in the service's inbox
    Requests,
    /// Grant a lease to an agent's active version, or grant a request
    Grant(Box<grant::GrantOptions>),
    /// Extend a valid lease
    Renew(RenewOptions),
    /// End a lease
    Revoke(RevokeOptions),
    /// Show a lease as it was granted
    Show {
        /// The hash of the lease's record
        lease: RecordHash,
    },
}

/// How much of it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct BudgetOptions {
    /// The largest number of actions; defaults to no limit
    #[arg(long, value_name = "N")]
    actions: Option<u64>,
    /// The number of model tokens
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// The cost, in millionths of the currency unit that the operators use
    #[arg(long, value_name = "N")]
    cost_micros: Option<u64>,
}

/// Which, and how long.
#[derive(Debug, Args)]
pub(crate) struct RenewOptions {
    /// The hash of the lease's record
    lease: RecordHash,
    /// How long the lease lasts from now: a number and one of ms, s, m, h, d
    #[arg(long = "for", value_name = "SPAN", default_value = "1h")]
    span: Span,
    #[command(flatten)]
    cosigners: Cosigners,
}

/// Which, and why.
#[derive(Debug, Args)]
pub(crate) struct RevokeOptions {
    /// The hash of the lease's record
    lease: RecordHash,
    /// The reason, which goes into the log
    #[arg(long, value_name = "TEXT")]
    reason: Text,
    #[command(flatten)]
    cosigners: Cosigners,
}

/// Does it.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(crate) fn run(session: &Session, command: Command) -> Result<()> {
    match command {
        Command::List(options) => list::list(session, &options),
        Command::Ask(options) => ask::ask(session, *options),
        Command::Requests => ask::requests(session),
        Command::Grant(options) => grant::grant(session, *options),
        Command::Renew(options) => renew(session, &options),
        Command::Revoke(options) => revoke(session, options),
        Command::Show { lease } => show(session, lease),
    }
}

fn renew(session: &Session, options: &RenewOptions) -> Result<()> {
    let service = session.service()?;
    let mut expires_ms = 0;
    let from_ms = service.lease(&options.lease)?.expires_ms;
    let logged = logged::as_operator(session, &service, &options.cosigners, |operator| {
        expires_ms = operator.now_ms.saturating_add(options.span.ms);
        operator.renew(options.lease, from_ms, expires_ms)
    })?;
    // What was signed before and is sent again has the times of then.
    let expires_ms = match &logged.entry.record().record().body {
        Body::LeaseRenewal(renewal) => renewal.expires_ms,
        _ => expires_ms,
    };
    let members = [
        ("lease", options.lease.into()),
        ("expires_ms", expires_ms.into()),
    ];
    logged::print(session, &logged, members)
}

fn revoke(session: &Session, options: RevokeOptions) -> Result<()> {
    let service = session.service()?;
    let RevokeOptions {
        lease,
        reason,
        cosigners,
    } = options;
    let logged = logged::as_operator(session, &service, &cosigners, |operator| {
        operator.revoke(lease, reason)
    })?;
    logged::print(session, &logged, [("lease", lease.into())])
}

impl From<BudgetOptions> for Budget {
    fn from(options: BudgetOptions) -> Self {
        Self {
            actions: options.actions,
            tokens: options.tokens,
            cost_micros: options.cost_micros,
        }
    }
}

fn show(session: &Session, lease: RecordHash) -> Result<()> {
    let service = session.service()?;
    let entry = log::find(&service, &session.log(&service)?, EntryName::Record(lease))?;
    let kind = entry.record().kind();
    ensure!(kind == Kind::Lease, "{lease} is not a lease but a {kind}");
    output::object(session.json(), &entry.to_value())
}
