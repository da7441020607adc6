//! `manifest`: an agent's identity, from its directory into the log.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};
use client::http::Service;
use client::identity::LogIdentity;
use client::journal;
use client::manifest::Version;
use client::manifest::diff::{self, Difference};
use client::manifest::init;
use client::manifest::kept::Kept;
use client::manifest::proof::{FileProof, MAX_PROOF_BYTES};
use host::bounded;
use host::output::STDOUT;
use ledger::fingerprint::Fingerprint;
use ledger::json::object;
use ledger::record::Tool;
use ledger::text::{Name, Text};

use crate::commands::logged::{self, Cosigners};
use crate::mcp::Listed;
use crate::output;
use crate::progress;
use crate::session::{Session, read_key, state_home};

/// What about manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a first agent.toml
    Init {
        /// The directory that becomes an agent
        #[arg(value_name = "DIR", default_value = ".")]
        directory: PathBuf,
        /// The agent's name; defaults to the directory's name
        #[arg(long, value_name = "NAME")]
        agent: Option<Name>,
    },
    /// Build the manifest of the agent in a directory, and show its hash
    Build(BuildOptions),
    /// Show how the version in one directory differs from that in another
    Diff {
        /// The directory of the older version
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The directory of the newer version
        #[arg(value_name = "NEW")]
        new: PathBuf,
    },
    /// Prove that a file belongs to the version in a directory
    Prove(ProveOptions),
    /// Check such a proof offline, and show the version and the content that it proves
    Check {
        /// The proof
        proof: PathBuf,
    },
    /// Build the manifest and register it as the agent's active version
    Register(RegisterOptions),
}

/// What to build, and which server's tools to list first.
#[derive(Debug, Args)]
pub(crate) struct BuildOptions {
    /// The directory that holds agent.toml
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// List the tools of the MCP server at this URL in agent.toml first
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    url: Option<String>,
    /// The server's name; the file name of SERVER or the host of URL if left out, as for `dragons mcp`
    #[arg(long, value_name = "S")]
    name: Option<String>,
    /// An MCP server to run, to list its tools in agent.toml first
    #[arg(last = true, value_name = "SERVER")]
    command: Vec<OsString>,
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct ProveOptions {
    /// The file's path in the directory
    file: String,
    /// The directory that holds agent.toml
    #[arg(long = "dir", value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The file to write the proof to; defaults to stdout
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What to register.
#[derive(Debug, Args)]
pub(crate) struct RegisterOptions {
    /// The directory that holds agent.toml
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The agent's own private key, which also signs
    #[arg(long, value_name = "FILE")]
    agent_key: PathBuf,
    /// The reason, which goes into the log; defaults to the version
    #[arg(long, value_name = "TEXT")]
    reason: Option<Text>,
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
        Command::Init { directory, agent } => init(session, &directory, agent),
        Command::Build(options) => build(session, &options),
        Command::Diff { old, new } => diff(session, &old, &new),
        Command::Prove(options) => prove(&options),
        Command::Check { proof } => check(session, &proof),
        Command::Register(options) => register(session, &options),
    }
}

fn init(session: &Session, directory: &Path, agent: Option<Name>) -> Result<()> {
    let agent = agent.or_else(|| init::suggested_name(directory));
    let agent = agent.with_context(|| {
        format!("an agent cannot have the name of {directory:?}: give it one with --agent NAME")
    })?;
    let path = init::init(directory, &agent).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!(
            "{directory:?} already has an agent.toml, which was not changed: `dragons manifest build` shows the manifest that it gives"
        ),
        _ => anyhow!(error).context(format!("no agent.toml could be written in {directory:?}")),
    })?;
    let version = read(directory)?;
    let members = [
        ("file", path.display().to_string().into()),
        ("agent", (&agent).into()),
        ("files", version.manifest.code.files.into()),
        ("manifest_hash", version.manifest.hash().into()),
    ];
    output::object(session.json(), &object(members))
}

/// Lists the tools of a server that was named in agent.toml, in place of those listed of it before.
fn list_tools(options: &BuildOptions) -> Result<()> {
    let asked = match &options.url {
        Some(url) => Listed::Url(url),
        None if options.command.is_empty() => return Ok(()),
        None => Listed::Program(&options.command),
    };
    let name = match &options.name {
        Some(name) => name.clone(),
        None => asked.name()?,
    };
    let name: Text = name.parse().context("the server's name")?;
    let tools = crate::mcp::list(asked)?;
    let tools: Vec<Tool> = tools
        .into_iter()
        .map(|tool| Tool {
            name: tool.name,
            server: Some(name.clone()),
            digest: tool.digest,
        })
        .collect();
    client::manifest::listed::replace(&options.directory, &name, &tools)?;
    output::complain(&format!(
        "note: agent.toml lists the {} tools of {} now",
        tools.len(),
        name.as_str()
    ));
    Ok(())
}

fn build(session: &Session, options: &BuildOptions) -> Result<()> {
    list_tools(options)?;
    let manifest = read(&options.directory)?.manifest;
    let hash = manifest.hash();
    if session.json() {
        return output::json(&object([
            ("manifest_hash", hash.into()),
            ("manifest", manifest.to_value()),
        ]));
    }
    let files = |set: &ledger::record::FileSet| {
        format!("{}, files {}, bytes {}", set.root, set.files, set.bytes)
    };
    output::object(
        false,
        &object([
            ("manifest_hash", hash.into()),
            ("agent", (&manifest.agent).into()),
            ("version", (&manifest.version).into()),
            ("code", files(&manifest.code).into()),
            ("config", files(&manifest.config).into()),
            (
                "capabilities",
                manifest
                    .capabilities
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            ),
        ]),
    )
}

fn diff(session: &Session, old: &Path, new: &Path) -> Result<()> {
    let (old, new) = (read(old)?, read(new)?);
    let differences = diff::between(&old, &new);
    if session.json() {
        return differences
            .iter()
            .try_for_each(|one| output::json(&one.to_value()));
    }
    let row = |one: &Difference| {
        let shown = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
        [
            one.group.to_owned(),
            one.name.clone(),
            shown(&one.old),
            shown(&one.new),
        ]
    };
    let head = ["GROUP", "NAME", "OLD", "NEW"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head)
        .chain(differences.iter().map(row))
        .collect();
    output::table(&rows)
}

fn prove(options: &ProveOptions) -> Result<()> {
    let version = read(&options.directory)?;
    let file = &options.file;
    let proof = FileProof::of(&version, file);
    let proof = proof.with_context(|| format!("the manifest has no file {file:?}"))?;
    let text = proof.to_value().to_json() + "\n";
    let path = options.out.as_deref().unwrap_or(Path::new(STDOUT));
    output::file(path, &text).map(drop)
}

fn check(session: &Session, path: &Path) -> Result<()> {
    let bytes = bounded::read(path, MAX_PROOF_BYTES)?;
    let proof =
        FileProof::parse(&bytes).with_context(|| format!("{path:?} is not such a proof"))?;
    let manifest_hash = proof.verify()?;
    let members = [
        ("manifest_hash", manifest_hash.into()),
        ("agent", (&proof.manifest.agent).into()),
        ("version", (&proof.manifest.version).into()),
        ("path", proof.file.path().into()),
        ("content", proof.file.content().into()),
    ];
    output::object(session.json(), &object(members))
}

fn register(session: &Session, options: &RegisterOptions) -> Result<()> {
    let version = read(&options.directory)?;
    let manifest = version.manifest.clone();
    let (agent, hash) = (manifest.agent.clone(), manifest.hash());
    let agent_key = read_key(&options.agent_key)?;
    let reason = match &options.reason {
        Some(reason) => reason.clone(),
        None => format!("version {}", manifest.version)
            .parse()
            .context("the version is too long for a reason")?,
    };
    let service = session.service()?;
    let logged = logged::as_operator(session, &service, &options.cosigners, |operator| {
        operator.register(manifest, &agent_key, reason)
    })?;
    keep(session, &service, &version);
    let fingerprint = Fingerprint::of_key(&agent_key.public());
    let members = [
        ("agent", (&agent).into()),
        ("manifest_hash", hash.into()),
        ("fingerprint", fingerprint.to_string().into()),
    ];
    logged::print(session, &logged, members)
}

/// Keeps the names of the files beside the agent's journal, for a refusal that names those that have changed. Where that
/// cannot be done, a refusal names none.
fn keep(session: &Session, service: &Service, version: &Version) {
    let keep = || {
        let log = match session.trust()? {
            Some(trust) => LogIdentity::pinned(&trust)?.log,
            None => LogIdentity::told_by(service)?.log,
        };
        let journal = journal::directory(&state_home()?, log, &version.manifest.agent);
        Kept::beside(&journal).keep(version)?;
        anyhow::Ok(())
    };
    let _ = keep();
}

/// Reads the version in a directory, with a bar for as long as it takes.
///
/// # Errors
///
/// If there is none.
pub(crate) fn read(directory: &Path) -> Result<Version> {
    let bar = progress::bytes(0);
    let version = client::manifest::read(directory, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(version?)
}
