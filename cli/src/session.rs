//! What a command works with: the service, the log that it should be, the keys to sign with, the time.

use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context as _, Result, bail};
use client::http::Service;
use client::identity::LogIdentity;
use host::{bounded, key_file};
use ledger::key::PrivateKey;
use ledger::verify::Trust;

use crate::options::{DEFAULT_SERVER, Global};
use crate::output;
use crate::trusted::{self, known_logs};

/// The global options, put to use.
#[derive(Debug)]
pub(crate) struct Session {
    global: Global,
}

impl Session {
    /// Takes the options; nothing is opened yet.
    pub(crate) const fn new(global: Global) -> Self {
        Self { global }
    }

    /// The options as they were given.
    pub(crate) const fn global(&self) -> &Global {
        &self.global
    }

    /// Whether to print JSON.
    pub(crate) const fn json(&self) -> bool {
        self.global.json
    }

    /// The service: at the address that was given, or where the log that was named is served.
    ///
    /// # Errors
    ///
    /// If the address is not valid, or no log has the name.
    pub(crate) fn service(&self) -> Result<Service> {
        let given = &self.global.server;
        let known = match &self.global.log {
            Some(name) => known_logs()?.named(name)?.servers,
            None => Vec::new(),
        };
        // An address on the command line is meant; one of the environment is for commands that name no log.
        let is_meant =
            given != DEFAULT_SERVER && std::env::var("DRAGONS_SERVER").as_ref() != Ok(given);
        let server = match known.first() {
            Some(first) if !is_meant && !known.contains(given) => first,
            _ => given,
        };
        Ok(Service::at(server)?)
    }

    /// The trust that was given, by a file or by the name of a log that is known.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or no log has the name.
    pub(crate) fn trust(&self) -> Result<Option<Trust>> {
        match (&self.global.trust, &self.global.log) {
            (_, Some(name)) => Ok(Some(known_logs()?.named(name)?.trust)),
            (Some(path), None) => Ok(Some(read_trust(path)?)),
            (None, None) => Ok(None),
        }
    }

    /// The trust, where there is nothing to be done without.
    ///
    /// # Errors
    ///
    /// If none was given, or it cannot be read.
    pub(crate) fn required_trust(&self) -> Result<Trust> {
        self.trust()?.context(
            "--trust FILE or --log NAME is needed: evidence proves nothing without a log to trust",
        )
    }

    /// Which log the service should be, for a command that only reads.
    ///
    /// # Errors
    ///
    /// If the trust cannot be read, or the service not be asked.
    pub(crate) fn log(&self, service: &Service) -> Result<LogIdentity> {
        trusted::for_reading(self, service)
    }

    /// Which log the service has to be, for a command that signs.
    ///
    /// # Errors
    ///
    /// If nobody has said which log it is.
    pub(crate) fn log_to_sign_for(&self, service: &Service) -> Result<LogIdentity> {
        trusted::for_signing(self, service)
    }

    /// The key of `--key`, and those of a command's own options.
    ///
    /// # Errors
    ///
    /// If none was named, or one cannot be read.
    pub(crate) fn keys(&self, more: &[PathBuf]) -> Result<Vec<PrivateKey>> {
        let Some(first) = &self.global.key else {
            bail!("--key FILE, or DRAGONS_KEY, is needed to sign");
        };
        std::iter::once(first)
            .chain(more)
            .map(|path| read_key(path))
            .collect()
    }
}

/// Reads a private key, and warns if it is not so private.
///
/// # Errors
///
/// If it cannot be read.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKey> {
    let file = key_file::read(path)?;
    if file.readable_by_others {
        output::complain(&format!(
            "warning: {path:?} is open to others than its owner: chmod 600"
        ));
    }
    Ok(file.key)
}

/// Where programs keep what is to stay: by the XDG Base Directory Specification.
///
/// # Errors
///
/// If there is neither `XDG_STATE_HOME` nor `HOME`.
pub(crate) fn state_home() -> Result<PathBuf> {
    let given = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| !path.as_os_str().is_empty())
    };
    let state = given("XDG_STATE_HOME");
    if state.as_ref().is_some_and(|path| path.is_relative()) {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            output::complain("note: XDG_STATE_HOME is not an absolute path, and is passed over");
        });
    }
    let absolute = |path: Option<PathBuf>| path.filter(|path| path.is_absolute());
    let home = || absolute(given("HOME")).map(|home| home.join(".local/state"));
    let path = absolute(state).or_else(home);
    path.context("neither XDG_STATE_HOME nor HOME says where the journal is kept")
}

/// What time it is: milliseconds since the epoch.
///
/// # Errors
///
/// If the clock stands before 1970.
pub(crate) fn now_ms() -> Result<u64> {
    Ok(host::clock::wall_ms()?)
}

/// Reads a trust file.
///
/// # Errors
///
/// If it cannot be read, or is not valid.
pub(crate) fn read_trust(path: &Path) -> Result<Trust> {
    let bytes = bounded::read(path, ledger::verify::MAX_TRUST_BYTES)?;
    Trust::parse(&bytes).with_context(|| format!("{path:?} is not a trust file"))
}
