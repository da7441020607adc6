//! The examination of an installation: what is looked at, and what each look comes to.
//!
//! Nothing is changed, and nothing is passed over: what cannot be looked at, for want of something that comes before it,
//! is named with the reason. Each file examines one subject. It asks, of files and of the service, and gives what it
//! found to functions that only judge.

mod agent;
mod configuration;
mod data;
mod disk;
mod hooks;
mod journal;
mod key;
mod permissions;
mod report;
mod service;
mod trust;

use std::fmt;
use std::path::PathBuf;

use ledger::digest::RecordHash;
use ledger::text::Name;

use report::Known;
pub(crate) use report::{Check, Outcome, Report};

/// What there is to examine.
#[derive(Debug)]
pub(crate) struct Installation {
    /// The address of the service.
    pub(crate) server: Given<String>,
    /// The file with the key to sign with.
    pub(crate) key: Option<Given<PathBuf>>,
    /// The trust file.
    pub(crate) trust: Option<PathBuf>,
    /// The agent.
    pub(crate) agent: Option<Given<Name>>,
    /// The directory with the agent's version.
    pub(crate) directory: Option<Given<PathBuf>>,
    /// Where journals are kept.
    pub(crate) state: Option<PathBuf>,
    /// The data folder of a service on this machine.
    pub(crate) data: Option<PathBuf>,
    /// Where that service has its keys, if not in the data folder.
    pub(crate) keys: Option<PathBuf>,
}

/// A setting, and who made it.
#[derive(Clone, Debug)]
pub(crate) struct Given<T> {
    /// What it is.
    pub(crate) value: T,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An option of the command line.
    Option(&'static str),
    /// A variable of the environment.
    Environment(&'static str),
    /// What is there when nobody says anything else.
    Default,
    /// The `agent.toml` in the directory.
    AgentToml,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) | Self::Environment(name) => write!(f, "by {name}"),
            Self::Default => f.write_str("by default"),
            Self::AgentToml => f.write_str("by agent.toml"),
        }
    }
}

/// Looks at everything that there is.
pub(crate) fn examine(installation: &Installation) -> Report {
    let mut report = Report::default();
    let service = configuration::examine(&mut report, &installation.server);
    let service = service::examine(&mut report, service);
    let trust = trust::file(&mut report, installation.trust.as_deref());
    let log = trust::examine(&mut report, &service, &trust);
    let key = key::file(&mut report, installation.key.as_ref());
    let agent = agent::find(&log, installation);
    key::holder(&mut report, &key, &log, &agent);
    let agent = agent::examine(&mut report, agent, &log, &key, installation);
    let named = trust.map(|trust| trust.charter);
    let named = named.or_else(|_| {
        log.as_ref()
            .map(|log| log.identity.log)
            .map_err(Clone::clone)
    });
    journal::examine(&mut report, installation, named, &log, &agent, &key);
    data::examine(&mut report, installation, named_by(&log));
    let directory = installation.directory.as_ref();
    hooks::examine(&mut report, directory.map(|it| it.value.as_path()));
    report
}

/// The name of the log that was proved to be the trusted one, if one was.
fn named_by(log: &Known<trust::Log>) -> Option<RecordHash> {
    log.as_ref().ok().map(|log| log.identity.log)
}
