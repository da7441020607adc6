//! `attend`: speaks for an agent whose processes others start.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use client::attend::{self, Place};
use client::clock::LogClock;
use client::journal::JournalError;
use client::manifest::again::Directory;
use client::speaker::Caller;
use ledger::text::Text;
use listenfd::ListenFd;

use crate::commands::acting::{self, AgentOptions};
use crate::options::Span;
use crate::output;
use crate::place;
use crate::session::{Session, now_ms};

/// Whom to speak for.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 if a signal ended it; 125 if it could not start. A line on stdout says when it is ready."
)]
pub(crate) struct Options {
    #[command(flatten)]
    agent: AgentOptions,
    /// The path of the socket [default: $XDG_RUNTIME_DIR/dragons/NAME/socket]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Say goodbye after this long without a request; the next request starts the agent again
    #[arg(long, value_name = "SPAN", default_value = "15m")]
    idle: Span,
    /// The requester to log for the goals of sessions
    #[arg(long, value_name = "TEXT", default_value = "dragons attend")]
    requester: Text,
}

/// Speaks for the agent until a signal asks for the end.
///
/// # Errors
///
/// Whatever kept it from beginning.
pub(crate) fn run(session: &Session, options: &Options) -> Result<()> {
    // What runs as the same user could otherwise look into this process, and find the key there.
    let private = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(private)
        .context("the key cannot be kept to this process")?;
    let mut directory = Directory::read(options.agent.directory())?;
    options.agent.check(&directory.version().manifest)?;
    let version = directory.version().clone();
    let service = session.service()?;
    let name = version.manifest.agent.clone();
    let answers = service.clone().within(acting::SOON);
    let agent = acting::open_version_at(session, version, LogClock::default(), answers);
    // Which log it is comes before where the socket goes: whoever has no trust is told so.
    let agent = match agent {
        Err(error) if !is_in_use(&error) => return Err(error),
        agent => agent,
    };
    let place = socket(options, &name)?;
    let mut agent = match agent {
        Err(error) => match &place {
            Place::At(path) => {
                bail!("another process speaks for this agent, as at {path:?}: {error:#}")
            }
            Place::Given(_) => bail!("another process speaks for this agent: {error:#}"),
        },
        Ok(agent) => agent,
    };
    let options = attend::Options {
        place,
        requester: options.requester.clone(),
        idle: Duration::from_millis(options.idle.ms),
        follow: Some(service),
    };
    let caller = Caller {
        now_ms: || now_ms().unwrap_or_default(),
        notice: output::complain,
    };
    attend::attend(&mut agent, &mut directory, &options, caller, &mut ready)?;
    Ok(())
}

fn is_in_use(error: &anyhow::Error) -> bool {
    let kept = error.downcast_ref::<JournalError>();
    matches!(kept, Some(JournalError::InUse { .. }))
}

/// The socket that a service manager hands on, or a path.
fn socket(options: &Options, agent: &ledger::text::Name) -> Result<Place> {
    if let Ok(Some(listener)) = ListenFd::from_env().take_unix_listener(0) {
        return Ok(Place::Given(listener));
    }
    Ok(Place::At(match &options.socket {
        Some(path) => std::path::absolute(path)?,
        None => place::socket_of(agent)?,
    }))
}

fn ready(path: &Path) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on {}", path.display())?;
    stdout.flush()
}
