//! `manifest`: an agent's identity, from its directory into the log.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use ledger::json::object;
use ledger::text::Text;

use crate::commands::logged::{self, Cosigners};
use crate::output;
use crate::session::{Session, read_key};

/// What about manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build the manifest of the agent in a directory, and show its hash
    Build {
        /// The directory that holds agent.toml
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Build the manifest and register it as the agent's active version
    Register(RegisterOptions),
}

/// What to register.
#[derive(Debug, Args)]
pub(crate) struct RegisterOptions {
    /// The directory that holds agent.toml
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The agent's own private key, which signs too
    #[arg(long, value_name = "FILE")]
    agent_key: PathBuf,
    /// Why, for everybody to read; the version if left out
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
        Command::Build { directory } => build(session, &directory),
        Command::Register(options) => register(session, &options),
    }
}

fn build(session: &Session, directory: &Path) -> Result<()> {
    let manifest = client::manifest::build(directory)?;
    let hash = manifest.hash()?;
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

fn register(session: &Session, options: &RegisterOptions) -> Result<()> {
    let manifest = client::manifest::build(&options.directory)?;
    let (agent, hash) = (manifest.agent.clone(), manifest.hash()?);
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
    logged::print(
        session,
        &logged,
        [("agent", (&agent).into()), ("manifest_hash", hash.into())],
    )
}
