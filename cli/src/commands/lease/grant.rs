//! `lease grant`: what an operator wants, or what a request asks for.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use clap::Args;
use client::asking::{Asked, Narrowing};
use client::http::Service;
use client::operator::Grant;
use host::bounded;
use ledger::digest::{Digest, RecordHash};
use ledger::fingerprint::Fingerprint;
use ledger::request::{MAX_ENVELOPE_BYTES, SignedRequest};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};

use super::{BudgetOptions, ask};
use crate::commands::logged::{self, Cosigners};
use crate::options::Span;
use crate::output;
use crate::session::Session;

/// How long a lease lasts if nobody says.
const DEFAULT_SPAN: Span = Span { ms: 3_600_000 };

/// What to grant.
#[derive(Debug, Args)]
pub(crate) struct GrantOptions {
    /// The agent
    #[arg(required_unless_present = "request", conflicts_with = "request")]
    agent: Option<Name>,
    /// Grant the request in a file or in the inbox; other options can only narrow it
    #[arg(long, value_name = "FILE|ID")]
    request: Option<RequestPlace>,
    /// A scope to allow, such as run:* or read:repo/**
    #[arg(long, value_name = "SCOPE", num_args = 1.., required_unless_present = "request")]
    allow: Vec<Pattern>,
    /// A scope to deny, even where --allow covers it
    #[arg(long, value_name = "SCOPE", num_args = 1..)]
    deny: Vec<Pattern>,
    /// How long the lease lasts from now: a number and one of ms, s, m, h, d; defaults to the request's span, or 1h
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<Span>,
    /// How long the control plane may renew it, from now; defaults to the request's span, or never
    #[arg(long, value_name = "SPAN")]
    renewable: Option<Span>,
    #[command(flatten)]
    budget: BudgetOptions,
    /// The lease of another agent under which this one is granted
    #[arg(long, value_name = "RECORD")]
    parent: Option<RecordHash>,
    /// The purpose, which goes into the log
    #[arg(long, value_name = "TEXT")]
    purpose: Option<Text>,
    #[command(flatten)]
    cosigners: Cosigners,
}

/// Where a request is.
#[derive(Clone, Debug)]
enum RequestPlace {
    /// In the inbox of the service, by this name.
    Inbox(Digest),
    /// In a file.
    File(PathBuf),
}

impl FromStr for RequestPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.parse() {
            Ok(id) => Self::Inbox(id),
            Err(_) => Self::File(text.into()),
        })
    }
}

/// Grants it.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(super) fn grant(session: &Session, options: GrantOptions) -> Result<()> {
    let service = session.service()?;
    let cosigners = options.cosigners.clone();
    let grant = match options.request.clone() {
        Some(place) => asked_for(session, &service, &place, options.narrowing())?,
        None => options.grant()?,
    };
    let agent = grant.agent.clone();
    let logged = logged::as_operator(session, &service, &cosigners, |operator| {
        operator.grant(grant)
    })?;
    let epoch = service.agent(&agent)?.0.agent.epoch;
    let members = [("agent", (&agent).into()), ("epoch", epoch.into())];
    logged::print(session, &logged, members)
}

fn asked_for(
    session: &Session,
    service: &Service,
    place: &RequestPlace,
    narrowing: Narrowing,
) -> Result<Grant> {
    let signed = match place {
        RequestPlace::Inbox(id) => ask::waiting(service, id)?,
        RequestPlace::File(path) => read(path)?,
    };
    let asked = Asked::check(service, &session.log(service)?, signed)?;
    let (agent, key) = (&asked.request().agent, Fingerprint::of_key(asked.key()));
    output::complain(&format!("{agent} asks, with the key {key}"));
    Ok(narrowing.of(asked.request())?)
}

fn read(path: &PathBuf) -> Result<SignedRequest> {
    let bytes = bounded::read(path, MAX_ENVELOPE_BYTES)?;
    SignedRequest::parse(bytes.trim_ascii_end())
        .with_context(|| format!("{path:?} is not a request for a lease"))
}

impl GrantOptions {
    fn narrowing(self) -> Narrowing {
        Narrowing {
            allow: self.allow,
            deny: self.deny,
            budget: self.budget.into(),
            for_ms: self.span.map(|span| span.ms),
            renewable_ms: self.renewable.map(|span| span.ms),
            parent: self.parent,
            purpose: self.purpose,
        }
    }

    fn grant(self) -> Result<Grant> {
        let nothing = || "".parse().context("an empty purpose");
        Ok(Grant {
            agent: self.agent.context("no agent was named")?,
            allow: self.allow,
            deny: self.deny,
            budget: self.budget.into(),
            for_ms: self.span.unwrap_or(DEFAULT_SPAN).ms,
            renewable_ms: self.renewable.map(|span| span.ms),
            parent: self.parent,
            purpose: self.purpose.map_or_else(nothing, Ok)?,
        })
    }
}
