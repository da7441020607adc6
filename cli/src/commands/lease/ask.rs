//! `lease ask` and `lease requests`: what an agent asks of operators, and what operators see of it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use client::asking::Asked;
use client::http::{Service, Waiting};
use client::identity::LogIdentity;
use client::log_time;
use ledger::digest::RecordHash;
use ledger::fingerprint::Fingerprint;
use ledger::json::{Value, object};
use ledger::record::Budget;
use ledger::request::{LeaseRequest, SignedRequest};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};

use super::{BudgetOptions, list};
use crate::commands::acting::{self, AgentOptions};
use crate::options::Span;
use crate::output::{self, WrittenTo};
use crate::session::{Session, now_ms};
use crate::trusted;

/// What to ask for.
#[derive(Debug, Args)]
pub(crate) struct AskOptions {
    #[command(flatten)]
    agent: AgentOptions,
    /// A scope to allow, such as run:* or read:repo/**
    #[arg(long, value_name = "SCOPE", num_args = 1.., required = true)]
    allow: Vec<Pattern>,
    /// A scope to deny, even where --allow covers it
    #[arg(long, value_name = "SCOPE", num_args = 1..)]
    deny: Vec<Pattern>,
    /// How long the lease lasts from the grant: a number and one of ms, s, m, h, d
    #[arg(long = "for", value_name = "SPAN", default_value = "1h")]
    span: Span,
    /// How long the control plane may renew it, from the grant; without it, never
    #[arg(long, value_name = "SPAN")]
    renewable: Option<Span>,
    #[command(flatten)]
    budget: BudgetOptions,
    /// The lease of another agent under which this one is granted
    #[arg(long, value_name = "RECORD")]
    parent: Option<RecordHash>,
    /// The purpose, which goes into the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    purpose: Text,
    /// The file to write the request to; defaults to the service's inbox
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Asks.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(super) fn ask(session: &Session, options: AskOptions) -> Result<()> {
    let service = session.service()?;
    let log = session.log_to_sign_for(&service)?;
    let key = session.keys(&[])?.pop();
    let key = key.context("there is one key at least")?;
    let out = options.out.clone();
    let at_ms = log_time::later(&service, &log, now_ms()?);
    let signed = request(&log, options, at_ms)?.sign(&key);
    let signed =
        signed.map_err(|refusal| anyhow::anyhow!("there is no such request: {refusal}"))?;
    let place = match &out {
        Some(path) => match output::file(path, &signed.to_json())? {
            WrittenTo::ToStdout => return Ok(()),
            WrittenTo::ToFile => ("file", path.display().to_string().into()),
        },
        None => ("received_ms", service.ask(&signed)?.received_ms.into()),
    };
    let fingerprint = Fingerprint::of_key(&key.public()).to_string();
    let members = [
        ("request", signed.id().into()),
        ("agent", (&signed.request().agent).into()),
        ("fingerprint", fingerprint.into()),
        place,
    ];
    output::object(session.json(), &object(members))
}

fn request(log: &LogIdentity, options: AskOptions, at_ms: u64) -> Result<LeaseRequest> {
    let manifest = acting::version(&options.agent)?;
    Ok(LeaseRequest {
        log: log.log,
        manifest_hash: manifest.hash(),
        agent: manifest.agent,
        allow: options.allow,
        deny: options.deny,
        budget: options.budget.into(),
        for_ms: options.span.ms,
        renewable_ms: options.renewable.map(|span| span.ms),
        parent: options.parent,
        purpose: options.purpose,
        at_ms,
    })
}

/// Lists the inbox. Each request is checked by the key of the agent's registration, shown to be in the log.
///
/// # Errors
///
/// If the service cannot be asked.
pub(super) fn requests(session: &Session) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    trusted::is_served(&service, &log)?;
    let head = [
        "REQUEST",
        "AGENT",
        "FINGERPRINT",
        "VERSION",
        "ALLOW",
        "FOR",
        "RENEWABLE",
        "BUDGET",
        "PARENT",
        "PURPOSE",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for waiting in all(&service)? {
        let received_ms = waiting.received_ms;
        let agent = waiting.request.request().agent.clone();
        match Asked::check(&service, &log, waiting.request) {
            Ok(asked) if session.json() => output::json(&to_value(&asked, received_ms))?,
            Ok(asked) => rows.push(row(&asked)),
            Err(error) => output::complain(&format!(
                "warning: a request of {agent} is passed over: {:#}",
                anyhow::Error::from(error)
            )),
        }
    }
    if session.json() {
        return Ok(());
    }
    output::table(&rows)
}

/// The request of a name, wherever in the inbox it is.
///
/// # Errors
///
/// If it is not there.
pub(super) fn waiting(service: &Service, id: &ledger::digest::Digest) -> Result<SignedRequest> {
    let mut requests = all(service)?.into_iter().map(|waiting| waiting.request);
    let found = requests.find(|request| request.id() == *id);
    found.with_context(|| format!("no request {id} waits in the inbox"))
}

fn all(service: &Service) -> Result<Vec<Waiting>> {
    let mut found: Vec<Waiting> = Vec::new();
    let mut after: Option<Name> = None;
    loop {
        let page = service.requests(after.as_ref())?.requests;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        let last = last.request.request().agent.clone();
        // A service that goes round in circles is not followed.
        if after.is_some_and(|after| after >= last) {
            return Ok(found);
        }
        after = Some(last);
        found.extend(page);
    }
}

/// All that an operator is about to sign, should they grant it as it is.
fn row(asked: &Asked) -> [String; 10] {
    let request = asked.request();
    [
        asked.signed().id().to_string(),
        request.agent.to_string(),
        Fingerprint::of_key(asked.key()).to_string(),
        asked.version().to_string(),
        list::scopes(&request.allow, &request.deny),
        Span { ms: request.for_ms }.to_string(),
        request
            .renewable_ms
            .map_or_else(|| "no".to_owned(), |ms| Span { ms }.to_string()),
        budget(&request.budget),
        request
            .parent
            .map_or_else(|| "-".to_owned(), |parent| parent.to_string()),
        request.purpose.to_string(),
    ]
}

fn budget(budget: &Budget) -> String {
    let limits = [
        ("actions", budget.actions),
        ("tokens", budget.tokens),
        ("cost_micros", budget.cost_micros),
    ];
    let limits: Vec<String> = limits
        .iter()
        .filter_map(|(what, limit)| limit.map(|limit| format!("{limit} {what}")))
        .collect();
    match limits.is_empty() {
        true => "unlimited".to_owned(),
        false => limits.join(", "),
    }
}

fn to_value(asked: &Asked, received_ms: u64) -> Value {
    let signed = asked.signed();
    object([
        ("request", signed.id().into()),
        ("agent", (&asked.request().agent).into()),
        (
            "fingerprint",
            Fingerprint::of_key(asked.key()).to_string().into(),
        ),
        ("version", asked.version().into()),
        ("received_ms", received_ms.into()),
        ("payload", signed.payload()),
        ("envelope", signed.to_value()),
    ])
}
