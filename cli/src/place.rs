//! Where the socket of an agent is, for both of its ends.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use client::speaker::SOCKET_VARIABLE;
use ledger::text::Name;

/// The socket of an agent: in the user's own directory for such things.
///
/// # Errors
///
/// If there is no such directory.
pub(crate) fn socket_of(agent: &Name) -> Result<PathBuf> {
    Ok(folder()?.join(agent.as_str()).join("socket"))
}

/// What names an agent where no option does.
pub(crate) const AGENT_VARIABLE: &str = "DRAGONS_AGENT";

/// The socket that is meant: the one that was named, or the named agent's; else by the environment that of the run around
/// this process, or that of an agent; else the only one there is.
///
/// # Errors
///
/// If none is there, or which one is not said.
pub(crate) fn socket(named: Option<&PathBuf>, agent: Option<&Name>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.clone());
    }
    if let Some(agent) = agent {
        return socket_of(agent);
    }
    if let Some(path) = std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    match agent_around()? {
        Some(agent) => socket_of(&agent),
        None => only_socket(),
    }
}

/// The agent that the environment names.
///
/// # Errors
///
/// If what it names cannot be one.
fn agent_around() -> Result<Option<Name>> {
    let named = std::env::var_os(AGENT_VARIABLE).filter(|name| !name.is_empty());
    let name = |named: std::ffi::OsString| -> Result<Name> {
        let text = named.to_str().context("it is not UTF-8")?;
        Ok(text.parse()?)
    };
    let named = named.map(|named| {
        name(named).with_context(|| format!("{AGENT_VARIABLE} is not the name of an agent"))
    });
    named.transpose()
}

fn only_socket() -> Result<PathBuf> {
    let folder = folder()?;
    let agents = std::fs::read_dir(&folder).with_context(|| {
        format!("no agent has a socket here: there is no {folder:?}. `dragons attend` makes it")
    })?;
    let sockets = agents.flatten().map(|agent| agent.path().join("socket"));
    let mut sockets = sockets.filter(|socket| socket.exists());
    match (sockets.next(), sockets.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            bail!("no agent has a socket here: `dragons attend` makes one in {folder:?}")
        }
        (Some(_), Some(_)) => {
            bail!("several agents have a socket in {folder:?}: choose one with --agent or --socket")
        }
    }
}

fn folder() -> Result<PathBuf> {
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let given = given.filter(|path| path.is_absolute());
    // What systemd makes at a login, for a host that has cleared its environment.
    let usual = || {
        let user = rustix::process::geteuid().as_raw();
        Some(PathBuf::from(format!("/run/user/{user}"))).filter(|path| path.is_dir())
    };
    let runtime = given.or_else(usual);
    let runtime = runtime
        .context("XDG_RUNTIME_DIR does not say where sockets are: name one with --socket")?;
    Ok(runtime.join("dragons"))
}
