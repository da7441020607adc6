//! Acting as an agent: its directory, its key, its journal.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use client::agent::Agent;
use client::http::Service;
use client::journal::Journal;
use ledger::record::Manifest;
use ledger::text::Name;

use crate::session::{Session, state_home};

/// Which agent.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentOptions {
    /// The agent; whatever agent.toml says if left out
    #[arg(
        long,
        value_name = "NAME",
        env = "DRAGONS_AGENT",
        hide_env_values = true
    )]
    agent: Option<Name>,
    /// The directory that holds agent.toml
    #[arg(long = "dir", value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

impl AgentOptions {
    /// The directory that holds agent.toml.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Opens the agent: its version from the directory, its key, its journal. Nothing is sent yet.
///
/// # Errors
///
/// If any of them is not there, or another process has the journal open.
pub(crate) fn open(session: &Session, options: &AgentOptions) -> Result<Agent<Service>> {
    let manifest = version(options)?;
    let key = session
        .keys(&[])?
        .pop()
        .context("there is one key at least")?;
    let service = session.service()?;
    let log = session.log_to_sign_for(&service)?;
    let journal = Journal::open(&state_home()?, log.log, &manifest.agent)?;
    Ok(Agent::new(service, log, key, manifest, journal)?)
}

/// The version of the agent in the directory.
///
/// # Errors
///
/// If there is none, or of another agent.
pub(crate) fn version(options: &AgentOptions) -> Result<Manifest> {
    let manifest = client::manifest::build(&options.directory)?;
    if let Some(agent) = &options.agent {
        let (directory, got) = (&options.directory, &manifest.agent);
        ensure!(
            got == agent,
            "{directory:?} holds the agent {got}, not {agent}"
        );
    }
    Ok(manifest)
}
