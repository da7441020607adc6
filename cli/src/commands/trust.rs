//! `trust`: the logs that are known on this machine.

use std::path::Path;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use client::http::Service;
use client::identity::LogIdentity;
use client::known::KnownLog;
use ledger::fingerprint::Fingerprint;
use ledger::json::{Value, object};
use ledger::verify::Trust;

use crate::options::DEFAULT_SERVER;
use crate::output;
use crate::session::{Session, read_trust};
use crate::trusted;

/// What about trust.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Trust the log of a trust file, or the log at an address after you compare its fingerprint
    Add(AddOptions),
    /// List the trusted logs
    List,
    /// Show a trusted log: its address, and what verifies it
    Show {
        /// The log's name
        name: String,
    },
    /// Stop trusting a log
    Remove {
        /// The log's name
        name: String,
    },
}

/// Which log.
#[derive(Debug, Args)]
pub(crate) struct AddOptions {
    /// A trust file, or the address of a service; --log names the log, its origin is the default name
    #[arg(value_name = "FILE|URL")]
    source: String,
    /// The fingerprint that the log's operators gave you, so that the command does not ask
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
}

/// Does it.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(crate) fn run(session: &Session, command: Command) -> Result<()> {
    match command {
        Command::Add(options) => add(session, &options),
        Command::List => list(session),
        Command::Show { name } => {
            let known = trusted::known_logs()?.named(&name)?;
            output::object(session.json(), &to_value(&known))
        }
        Command::Remove { name } => {
            let known = trusted::known_logs()?.remove(&name)?;
            output::object(session.json(), &to_value(&known))
        }
    }
}

fn add(session: &Session, options: &AddOptions) -> Result<()> {
    let (trust, servers) = match is_address(&options.source) {
        true => introduced(&Service::at(&options.source)?, options)?,
        false => of_file(session, options)?,
    };
    let name = session.global().log.clone();
    let known = trusted::known_logs()?.add(KnownLog {
        name: name.unwrap_or_else(|| trusted::origin(&trust)),
        servers,
        trust,
    })?;
    output::object(session.json(), &to_value(&known))
}

fn is_address(source: &str) -> bool {
    let source = source.to_ascii_lowercase();
    source.starts_with("http://") || source.starts_with("https://")
}

/// A trust file is somebody's own word already.
fn of_file(session: &Session, options: &AddOptions) -> Result<(Trust, Vec<String>)> {
    let trust = read_trust(Path::new(&options.source))?;
    compare(&trust, options)?;
    let server = &session.global().server;
    let servers = match server == DEFAULT_SERVER {
        true => Vec::new(),
        false => {
            let service = Service::at(server)?;
            serves(&service, &trust)?;
            vec![service.url().to_owned()]
        }
    };
    Ok((trust, servers))
}

/// A service that is away may be the one; one that says otherwise is not.
fn serves(service: &Service, trust: &Trust) -> Result<()> {
    match service.charter() {
        Ok((charter, _)) if charter.log != trust.charter => bail!(
            "{} serves another log, {}: the trust file is of {}",
            service.url(),
            charter.log,
            trust.charter
        ),
        _ => Ok(()),
    }
}

fn introduced(service: &Service, options: &AddOptions) -> Result<(Trust, Vec<String>)> {
    let trust = LogIdentity::introduced_by(service)?;
    if !compare(&trust, options)? {
        trusted::introduce(service, &trust);
        if !trusted::can_ask() {
            bail!(
                "compare the fingerprint with what its operators tell you, and give it: --fingerprint DIGITS"
            );
        }
        trusted::confirm(&Fingerprint::of_charter(&trust.charter))?;
    }
    Ok((trust, vec![service.url().to_owned()]))
}

/// Whether a fingerprint was given, which then is the log's.
fn compare(trust: &Trust, options: &AddOptions) -> Result<bool> {
    let fingerprint = Fingerprint::of_charter(&trust.charter);
    match &options.fingerprint {
        None => Ok(false),
        Some(told) if trusted::is_same(told, &fingerprint) => Ok(true),
        Some(told) => bail!("the log's fingerprint is {fingerprint}, not {told}"),
    }
}

fn list(session: &Session) -> Result<()> {
    let known = trusted::known_logs()?.all()?;
    if session.json() {
        return known
            .iter()
            .try_for_each(|log| output::json(&to_value(log)));
    }
    let row = |log: &KnownLog| {
        let fingerprint = Fingerprint::of_charter(&log.trust.charter);
        [
            log.name.clone(),
            fingerprint.to_string(),
            log.servers.join(" "),
        ]
    };
    let head = ["NAME", "FINGERPRINT", "SERVERS"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(known.iter().map(row)).collect();
    output::table(&rows)
}

fn to_value(known: &KnownLog) -> Value {
    let fingerprint = Fingerprint::of_charter(&known.trust.charter);
    let servers: Value = known.servers.iter().map(String::as_str).collect();
    object([
        ("name", known.name.as_str().into()),
        ("fingerprint", fingerprint.to_string().into()),
        ("charter", known.trust.charter.into()),
        ("servers", servers),
        ("policy", known.trust.policy.text().into()),
    ])
}
