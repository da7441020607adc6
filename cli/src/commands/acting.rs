//! Acting as an agent: its directory, its key, its journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use client::agent::Agent;
use client::clock::LogClock;
use client::http::Service;
use client::journal::Journal;
use client::manifest::Version;
use ledger::record::Manifest;
use ledger::text::Name;

use crate::session::{Session, state_home};

/// How long an answer of the service is waited for where somebody waits who has little time: a hook, a client of tools.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Which agent.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentOptions {
    /// The agent; defaults to the one in agent.toml
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

    /// The agent's name as it was given, which is nothing if only agent.toml says it.
    pub(crate) fn given_name(&self) -> Option<&Name> {
        self.agent.as_ref()
    }

    /// The agent's name, by the option or by what agent.toml says.
    pub(crate) fn name(&self) -> Option<Name> {
        let told = || client::manifest::agent(&self.directory).ok();
        self.agent.clone().or_else(told)
    }

    /// That the directory holds the agent that was named, if one was.
    ///
    /// # Errors
    ///
    /// If it holds another.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<()> {
        let (directory, got) = (&self.directory, &manifest.agent);
        match &self.agent {
            Some(agent) if agent != got => {
                bail!("{directory:?} holds the agent {got}, not {agent}")
            }
            _ => Ok(()),
        }
    }
}

/// Opens the agent: its version from the directory, its key, its journal. Nothing is sent yet.
///
/// # Errors
///
/// If any of them is not there, or another process has the journal open.
pub(crate) fn open(session: &Session, options: &AgentOptions) -> Result<Agent<Service>> {
    let version = read_version(options)?;
    open_version(session, version, LogClock::default())
}

/// Opens an agent of a version. Its records are dated by the clock, where this machine's own is off.
///
/// # Errors
///
/// As [`open`].
pub(crate) fn open_version(
    session: &Session,
    version: Version,
    clock: LogClock,
) -> Result<Agent<Service>> {
    open_version_at(session, version, clock, session.service()?)
}

/// As [`open_version`], with a service that was made already.
///
/// # Errors
///
/// As [`open`].
pub(crate) fn open_version_at(
    session: &Session,
    version: Version,
    clock: LogClock,
    service: Service,
) -> Result<Agent<Service>> {
    let key = session
        .keys(&[])?
        .pop()
        .context("there is one key at least")?;
    let log = session.log_to_sign_for(&service)?;
    let manifest = version.manifest.clone();
    let journal = Journal::open(&state_home()?, log.log, &manifest.agent)?;
    let agent = Agent::new(service, log, key, manifest, journal)?;
    Ok(agent.by_clock(clock).knowing_files(version))
}

/// The version of the agent in the directory.
///
/// # Errors
///
/// If there is none, or it is of another agent.
pub(crate) fn version(options: &AgentOptions) -> Result<Manifest> {
    Ok(read_version(options)?.manifest)
}

fn read_version(options: &AgentOptions) -> Result<Version> {
    let version = client::manifest::read(&options.directory, &mut |_, _| {})?;
    options.check(&version.manifest)?;
    Ok(version)
}
