//! `lease`: authority for agents.

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use client::operator::Grant;
use ledger::digest::RecordHash;
use ledger::record::{Budget, Kind};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};

use crate::commands::log;
use crate::commands::logged::{self, Cosigners};
use crate::options::{EntryName, Span};
use crate::output;
use crate::session::{Session, now_ms};

/// What about leases.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Grant a lease to the active version of an agent
    Grant(Box<GrantOptions>),
    /// Give a lease that is valid more time
    Renew(RenewOptions),
    /// End a lease
    Revoke(RevokeOptions),
    /// Show a lease as it was granted
    Show {
        /// The hash of the lease's record
        lease: RecordHash,
    },
}

/// What to grant.
#[derive(Debug, Args)]
pub(crate) struct GrantOptions {
    /// The agent
    agent: Name,
    /// What is allowed, such as run:* or read:repo/**
    #[arg(long, value_name = "SCOPE", num_args = 1.., required = true)]
    allow: Vec<Pattern>,
    /// What is denied all the same
    #[arg(long, value_name = "SCOPE", num_args = 1..)]
    deny: Vec<Pattern>,
    /// How long, from now on: a number and one of ms, s, m, h, d
    #[arg(long = "for", value_name = "SPAN", default_value = "1h")]
    span: Span,
    /// How long control may renew it, from now on; not at all if left out
    #[arg(long, value_name = "SPAN")]
    renewable: Option<Span>,
    /// How many actions; as many as it likes if left out
    #[arg(long, value_name = "N")]
    actions: Option<u64>,
    /// How many tokens of a model
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// How much money, in millionths of the unit that the operators count in
    #[arg(long, value_name = "N")]
    cost_micros: Option<u64>,
    /// The lease of another agent that this one is a part of
    #[arg(long, value_name = "RECORD")]
    parent: Option<RecordHash>,
    /// What for, for everybody to read
    #[arg(long, value_name = "TEXT", default_value = "")]
    purpose: Text,
    #[command(flatten)]
    cosigners: Cosigners,
}

/// Which, and how long.
#[derive(Debug, Args)]
pub(crate) struct RenewOptions {
    /// The hash of the lease's record
    lease: RecordHash,
    /// How long, from now on: a number and one of ms, s, m, h, d
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
    /// Why, for everybody to read
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
        Command::Grant(options) => grant(session, *options),
        Command::Renew(options) => renew(session, &options),
        Command::Revoke(options) => revoke(session, options),
        Command::Show { lease } => show(session, lease),
    }
}

fn grant(session: &Session, options: GrantOptions) -> Result<()> {
    let service = session.service()?;
    let (agent, cosigners) = (options.agent.clone(), options.cosigners.clone());
    let grant = Grant::from(options);
    let logged = logged::as_operator(session, &service, &cosigners, |operator| {
        operator.grant(grant)
    })?;
    let epoch = service.agent(&agent)?.0.epoch;
    logged::print(
        session,
        &logged,
        [("agent", (&agent).into()), ("epoch", epoch.into())],
    )
}

fn renew(session: &Session, options: &RenewOptions) -> Result<()> {
    let service = session.service()?;
    let expires_ms = now_ms()?.saturating_add(options.span.ms);
    let logged = logged::as_operator(session, &service, &options.cosigners, |operator| {
        operator.renew(options.lease, expires_ms)
    })?;
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

impl From<GrantOptions> for Grant {
    fn from(options: GrantOptions) -> Self {
        let GrantOptions {
            actions,
            tokens,
            cost_micros,
            ..
        } = options;
        Self {
            agent: options.agent,
            allow: options.allow,
            deny: options.deny,
            budget: Budget {
                actions,
                tokens,
                cost_micros,
            },
            for_ms: options.span.ms,
            renewable_ms: options.renewable.map(|span| span.ms),
            parent: options.parent,
            purpose: options.purpose,
        }
    }
}

fn show(session: &Session, lease: RecordHash) -> Result<()> {
    let service = session.service()?;
    let entry = log::find(&service, &session.log(&service)?, EntryName::Record(lease))?;
    let kind = entry.record().kind();
    ensure!(kind == Kind::Lease, "{lease} is no lease but a {kind}");
    output::object(session.json(), &entry.to_value())
}
