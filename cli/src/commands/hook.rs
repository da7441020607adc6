//! `hook`: what a coding agent's host calls before and after each action, and how it comes to do so.

mod install;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use client::socket::Speaker;
use ledger::text::Name;

use crate::exit::Exit;
use crate::hook::{Decision, Event, Host, Kind, Telling, kind_of};
use crate::options::Span;
use crate::output;
use crate::place;
use crate::session::Session;

/// The longest event that is read: hosts send whole files before they write them.
const MAX_EVENT_BYTES: u64 = 64 * 1024 * 1024;

/// Which host calls, or what is to become of its settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Handle an event of Claude Code, or of a host that sends the same events; it comes on stdin
    ClaudeCode(EventOptions),
    /// Handle an event of Codex; it comes on stdin
    Codex(EventOptions),
    /// Handle an event of Gemini CLI; it comes on stdin
    GeminiCli(EventOptions),
    /// Handle an event of Cursor; it comes on stdin
    Cursor(EventOptions),
    /// Add the hooks to the settings of a host
    Install(install::Options),
    /// Remove the hooks from the settings of a host
    Uninstall(install::UninstallOptions),
}

/// How an event is taken.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Exit codes: 2 if the action is denied, with the reason on stderr; otherwise 0. Nothing is written to stdout."
)]
pub(crate) struct EventOptions {
    /// The name of the event; the name in the event itself takes precedence
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Also deny an action when no decision is available: no socket, no answer in time, an unreadable event
    #[arg(long)]
    enforce: bool,
    /// The directory that paths are relative to [default: the directory of the session's first event]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// How long to wait for an answer [default: 25s before a tool, 800ms at the end of a session, 8s otherwise]
    #[arg(long, value_name = "SPAN")]
    deadline: Option<Span>,
    /// The socket of the agent
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// The agent whose socket to use [default: by DRAGONS_SOCKET or DRAGONS_AGENT, or the only agent that has one]
    #[arg(long, value_name = "NAME", conflicts_with = "socket")]
    agent: Option<Name>,
}

/// Does it.
///
/// # Errors
///
/// What keeps a host's settings from being changed. An event never fails: what cannot be told is told the host by the
/// exit code.
pub(crate) fn run(session: &Session, command: Command) -> Result<Exit> {
    let (host, options) = match command {
        Command::ClaudeCode(options) => (Host::ClaudeCode, options),
        Command::Codex(options) => (Host::Codex, options),
        Command::GeminiCli(options) => (Host::GeminiCli, options),
        Command::Cursor(options) => (Host::Cursor, options),
        Command::Install(options) => {
            return install::install(session, &options).map(|()| Exit::Good);
        }
        Command::Uninstall(options) => {
            return install::uninstall(session, &options).map(|()| Exit::Good);
        }
    };
    Ok(take_in_time(host, options))
}

/// What a command line comes to that was not understood, if it was one for an event: a host must not be stopped by a
/// setting that another version wrote.
pub(crate) fn not_understood(words: &[String]) -> Option<Exit> {
    let at = words.iter().position(|word| word == "hook")?;
    let host = words.get(at + 1)?;
    Host::ALL.iter().find(|known| known.name() == host)?;
    let named = words.iter().position(|word| word == "--event");
    let named = named.and_then(|at| words.get(at + 1).map(String::as_str));
    let joined = words.iter().find_map(|word| word.strip_prefix("--event="));
    let kind = named.or(joined).map_or(Kind::Other, kind_of);
    let enforces = words.iter().any(|word| word == "--enforce");
    Some(of_failure(enforces, kind))
}

fn of_failure(enforces: bool, kind: Kind) -> Exit {
    match enforces && kind == Kind::Before {
        true => Exit::Program(2),
        false => Exit::Good,
    }
}

/// How long an event may take: less than the host gives it, so that the answer is ours.
fn patience(kind: Kind, most: Option<Span>) -> Duration {
    let usual = match kind {
        Kind::Before => Duration::from_secs(25),
        // Codex gives one second, and what it does not wait for it kills.
        Kind::SessionEnd => Duration::from_millis(800),
        _ => Duration::from_secs(8),
    };
    most.map_or(usual, |most| Duration::from_millis(most.ms))
}

/// What became of an event, so far.
enum Step {
    /// Its kind is known.
    Known(Kind),
    Decided(Decision),
}

/// The work is done by another thread, so that neither a host that does not close stdin, nor a socket that hangs, nor a
/// panic is waited for longer than the deadline.
fn take_in_time(host: Host, options: EventOptions) -> Exit {
    let mut kind = options.event.as_deref().map_or(Kind::Other, kind_of);
    let (enforces, most) = (options.enforce, options.deadline);
    let begun = Instant::now();
    std::panic::set_hook(Box::new(|_| ()));
    let (steps, taken) = mpsc::channel();
    let worker = std::thread::Builder::new().name("event".to_owned());
    let worker = worker.spawn(move || {
        let decision = take(host, &options, begun, &|kind| {
            let _ = steps.send(Step::Known(kind));
        });
        let decision = decision.unwrap_or_else(|error| Decision::Failed(format!("{error:#}")));
        let _ = steps.send(Step::Decided(decision));
    });
    if let Err(error) = worker {
        return decided(enforces, kind, Decision::Failed(error.to_string()));
    }
    loop {
        let left = patience(kind, most).saturating_sub(begun.elapsed());
        let decision = match taken.recv_timeout(left) {
            Ok(Step::Known(known)) => {
                kind = known;
                continue;
            }
            Ok(Step::Decided(decision)) => decision,
            Err(RecvTimeoutError::Timeout) => Decision::Failed("no answer came in time".to_owned()),
            Err(RecvTimeoutError::Disconnected) => {
                Decision::Failed("this program failed".to_owned())
            }
        };
        return decided(enforces, kind, decision);
    }
}

/// A denial is one line, for the model reads it.
fn decided(enforces: bool, kind: Kind, decision: Decision) -> Exit {
    let (exit, why) = match decision {
        Decision::GoOn => return Exit::Good,
        Decision::Denied(why) if kind == Kind::Before => (Exit::Program(2), why),
        Decision::Denied(why) | Decision::Failed(why) => (of_failure(enforces, kind), why),
    };
    output::complain(&why.replace(['\n', '\r'], " "));
    exit
}

fn take(
    host: Host,
    options: &EventOptions,
    begun: Instant,
    knows: &dyn Fn(Kind),
) -> Result<Decision> {
    let mut json = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin
        .take(MAX_EVENT_BYTES)
        .read_to_end(&mut json)
        .context("the event cannot be read")?;
    let event = Event::read(host, options.event.as_deref(), &json)?;
    knows(event.kind);
    crate::hook::settings::mark(host);
    let root = options.root.as_ref().map(std::path::absolute);
    let root = root
        .transpose()?
        .map(|root| root.to_string_lossy().into_owned());
    let socket = place::socket(options.socket.as_ref(), options.agent.as_ref())?;
    let speaker = Speaker::connect(&socket)?;
    let telling = Telling {
        speaker: &speaker,
        event: &event,
        root,
        deadline: begun + patience(event.kind, options.deadline),
    };
    Ok(telling.tell())
}
