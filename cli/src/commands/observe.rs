//! `observe`: beside an existing stack, what its tools see of agents goes into the log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use client::identity::LogIdentity;
use host::bounded;
use ledger::json::{Value, object};
use ledger::text::Name;
use observe::check::{self, Checked, Mapped};
use observe::serve::{self, Settings};
use watchdogs::alert::Notice;
use watchdogs::config::{MAX_CONFIG_BYTES, Observe};
use watchdogs::import::MAX_FILE_BYTES;

use crate::exit::Exit;
use crate::output;
use crate::session::{Session, state_home};

/// How many of a kind are shown to people.
const MAX_SHOWN: usize = 20;

/// What to receive, and where.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    receive: ReceiveOptions,
}

/// What else.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what would be logged from files of other tools, without logging it
    Check(CheckOptions),
}

/// How to receive.
#[derive(Debug, Args)]
pub(crate) struct ReceiveOptions {
    /// The file that says which tools send, and which agent each thing is about
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// The address for OTLP/HTTP and webhooks
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318")]
    listen: SocketAddr,
    /// Send all OTLP on to this receiver first; its answer is the answer
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
}

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// The file that says which tools send, and which agent each thing is about
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The source of the files, if the configuration has several of their kind
    #[arg(long, value_name = "NAME")]
    source: Option<Name>,
    /// OTLP bodies, webhook bodies, exports of Alertmanager, Prometheus, Datadog, PagerDuty, LangSmith or Temporal, or CSV
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Does it.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(crate) fn run(session: &Session, options: Options) -> Result<Exit> {
    match options.command {
        Some(Command::Check(options)) => look(session, &options),
        None => receive(session, options.receive),
    }
}

fn receive(session: &Session, options: ReceiveOptions) -> Result<Exit> {
    let config = options.config.context("--config FILE is needed")?;
    let observe = read_config(&config)?;
    let folder = host::durable::folder_of(&config).to_owned();
    let log = LogIdentity::pinned(&session.required_trust()?)?;
    let [key] = <[_; 1]>::try_from(session.keys(&[])?)
        .map_err(|_| anyhow::anyhow!("one key signs: --key observer.pem"))?;
    let spool = match &observe.spool {
        Some(spool) => folder.join(spool),
        None => state_home()?.join("dragons").join("observe"),
    };
    if let Some(url) = &options.forward
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        bail!("--forward {url:?} does not begin with http:// or https://");
    }
    let settings = Settings {
        observe,
        spool,
        folder,
        key,
        log: log.log,
        service: session.service()?,
        listen: options.listen,
        forward: options.forward,
        tell: output::complain,
    };
    serve::run(settings, |address| {
        // Whoever closed stdout does not want to know.
        let _ = output::line(&format!("listening on http://{address}"));
    })?;
    Ok(Exit::Good)
}

fn look(session: &Session, options: &CheckOptions) -> Result<Exit> {
    let observe = read_config(&options.config)?;
    let mut unmapped = 0;
    for path in &options.files {
        let bytes = bounded::read(path, MAX_FILE_BYTES)?;
        let checked = check::file(&observe, options.source.as_ref(), &bytes)
            .with_context(|| format!("{path:?}"))?;
        unmapped += checked.unmapped.len();
        match session.json() {
            true => output::json(&value(path, &checked))?,
            false => show(path, &checked)?,
        }
    }
    Ok(match unmapped {
        0 => Exit::Good,
        _ => Exit::Bad,
    })
}

fn read_config(path: &Path) -> Result<Observe> {
    let bytes = bounded::read(path, MAX_CONFIG_BYTES)?;
    Observe::parse(&bytes).with_context(|| format!("{path:?}"))
}

fn value(path: &Path, checked: &Checked) -> Value {
    let mapped = checked.mapped.iter().map(|mapped| {
        let agent = Some(mapped.agent.clone());
        let mut alert = mapped.notice.alert.clone();
        alert.agent = agent;
        let class = mapped.class.map(|class| class.to_string());
        output::joined(alert.to_value(), object([("class", class.into())]))
    });
    let unmapped = checked.unmapped.iter().map(|notice| {
        let labels = notice.labels.iter();
        let labels = labels.map(|(name, value)| (name.clone(), value.as_str().into()));
        let labels = Value::Object(labels.collect());
        output::joined(notice.alert.to_value(), object([("labels", labels)]))
    });
    object([
        ("file", path.to_string_lossy().into_owned().into()),
        ("source", (&checked.source).into()),
        ("kind", checked.kind.as_str().into()),
        ("items", checked.items.into()),
        ("rejected", checked.rejected.into()),
        ("records", (records(checked) as u64).into()),
        ("mapped", Value::Array(mapped.collect())),
        ("unmapped", Value::Array(unmapped.collect())),
    ])
}

fn records(checked: &Checked) -> usize {
    checked.mapped.iter().map(|mapped| mapped.records).sum()
}

fn show(path: &Path, checked: &Checked) -> Result<()> {
    let (mapped, unmapped) = (checked.mapped.len(), checked.unmapped.len());
    output::line(&format!(
        "{}: {} of source {}: {} items, {mapped} about agents ({} records), {unmapped} that no rule maps, \
         {} unreadable",
        path.display(),
        checked.kind,
        checked.source,
        checked.items,
        records(checked),
        checked.rejected
    ))?;
    let rows: Vec<[String; 4]> = checked
        .mapped
        .iter()
        .take(MAX_SHOWN)
        .map(mapped_row)
        .collect();
    output::table(&rows)?;
    let rows: Vec<[String; 4]> = checked
        .unmapped
        .iter()
        .take(MAX_SHOWN)
        .map(unmapped_row)
        .collect();
    output::table(&rows)?;
    if mapped.max(unmapped) > MAX_SHOWN {
        output::line(&format!(
            "  ... the first {MAX_SHOWN} of each; --json prints all"
        ))?;
    }
    Ok(())
}

fn mapped_row(mapped: &Mapped) -> [String; 4] {
    let class = mapped.class.map_or("-", |class| class.as_str());
    [
        format!("  {}", mapped.agent),
        mapped.notice.alert.kind.as_str().to_owned(),
        class.to_owned(),
        mapped.notice.alert.monitor.clone(),
    ]
}

fn unmapped_row(notice: &Notice) -> [String; 4] {
    let labels = notice.labels.iter();
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    [
        "  no agent".to_owned(),
        notice.alert.kind.as_str().to_owned(),
        notice.alert.monitor.clone(),
        labels.join(" ").chars().take(160).collect(),
    ]
}
