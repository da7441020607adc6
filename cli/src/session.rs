//! What a command works with: the service, the log that it should be, the keys to sign with, the time.

use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context as _, Result, bail};
use client::charters;
use client::http::Service;
use client::identity::{LogIdentity, Source};
use host::{bounded, key_file};
use ledger::key::PrivateKey;
use ledger::verify::Trust;

use crate::options::Global;
use crate::output;

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

    /// The service.
    ///
    /// # Errors
    ///
    /// If the address is none.
    pub(crate) fn service(&self) -> Result<Service> {
        Ok(Service::at(&self.global.server)?)
    }

    /// The trust file, if one was named.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub(crate) fn trust(&self) -> Result<Option<Trust>> {
        self.global.trust.as_deref().map(read_trust).transpose()
    }

    /// The trust file, where there is nothing to be done without.
    ///
    /// # Errors
    ///
    /// If none was named, or it cannot be read.
    pub(crate) fn required_trust(&self) -> Result<Trust> {
        self.trust()?
            .context("--trust FILE is needed: evidence shows nothing to somebody who trusts nobody")
    }

    /// Which log the service should be: by the trust file, or by what it says itself, which is said on stderr.
    ///
    /// # Errors
    ///
    /// If the trust file cannot be read, or the service not be asked.
    pub(crate) fn log(&self, service: &Service) -> Result<LogIdentity> {
        let log = match self.trust()? {
            Some(trust) => charters::followed(LogIdentity::pinned(&trust)?, service),
            None => LogIdentity::told_by(service)?,
        };
        if log.source == Source::Told {
            output::complain(&format!(
                "note: no --trust; going by what {} says of itself: log {}",
                service.url(),
                log.log
            ));
        }
        Ok(log)
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
/// If it cannot be read, or is none.
pub(crate) fn read_trust(path: &Path) -> Result<Trust> {
    let bytes = bounded::read(path, ledger::verify::MAX_TRUST_BYTES)?;
    Trust::parse(&bytes).with_context(|| format!("{path:?} is no trust file"))
}
