//! `mcp`: stands between a client of the Model Context Protocol and a server, and asks leave for each call of a tool.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use client::speaker::SOCKET_VARIABLE;
use ledger::digest::Digest;
use ledger::text::{Name, Text};
use mcp::Proxy;
use mcp::http::{Gate, Gateway, Upstream};

use crate::commands::acting::AgentOptions;
use crate::commands::run::kept_mode;
use crate::exit::Exit;
use crate::mcp::{Listed, Own, Seat, Server, Spokesman};
use crate::options::Span;
use crate::output;
use crate::place::{self, AGENT_VARIABLE};
use crate::session::Session;

/// Which server, and for whom.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: that of SERVER, or 128 and its number if a signal ended it; with --url, 0 a signal asked for the end; \
    125 it could not begin."
)]
pub(crate) struct Options {
    #[command(flatten)]
    agent: AgentOptions,
    /// The socket to ask for permission at; without it, this command finds the agent's socket, or speaks for the agent itself
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// The server's name in scopes, S in call:S/TOOL; the file name of SERVER or the host of URL if left out
    #[arg(long, value_name = "S")]
    name: Option<String>,
    /// Who asked for what the client does
    #[arg(long, value_name = "TEXT", default_value = "dragons mcp")]
    requester: Text,
    /// How long SERVER may run on after its stdin is closed: then it gets SIGTERM, and after the same time SIGKILL
    #[arg(long, value_name = "SPAN", default_value = "5s")]
    grace: Span,
    /// Stand in front of the server at this URL, instead of running one
    #[arg(long, value_name = "URL", requires = "listen")]
    url: Option<String>,
    /// The address to listen at for its clients
    #[arg(long, value_name = "ADDR", requires = "url")]
    listen: Option<SocketAddr>,
    /// Let in requests of this web origin, such as `https://app.example.com`; origins of this machine always may
    #[arg(long, value_name = "ORIGIN", requires = "url")]
    allow_origin: Vec<String>,
    /// The server to run, which speaks over its stdin and stdout, and its arguments
    #[arg(
        value_name = "SERVER",
        required_unless_present = "url",
        conflicts_with = "url",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// Stands between until the server has ended, or a signal asks for the end.
///
/// # Errors
///
/// Whatever kept it from beginning.
pub(crate) fn run(session: &Session, options: &Options) -> Result<Exit> {
    // What runs as the same user could otherwise look into this process, and find the key there.
    let private = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(private)
        .context("the key cannot be kept to this process")?;
    let name = name(options)?;
    let seat = seat(session, options)?;
    let known = kept_mode(session, &options.agent);
    let spokesman = Arc::new(Spokesman::new(Arc::clone(&seat), known));
    let registered = registered(options.agent.directory(), &name);
    let proxy = Proxy::new(spokesman.clone(), &name, registered);
    let proxy = Arc::new(proxy.context("the server's name is empty: --name gives it one")?);
    let beginning = take_seat(&seat)?;
    let exit = match &options.url {
        Some(url) => before(url, options, &proxy),
        None => around(options, &proxy),
    };
    // A thread that panicked has said so.
    let _ = beginning.join();
    spokesman.finish();
    seat.leave();
    tell_of_passed(proxy.passed());
    exit
}

/// A server that is a program.
fn around(options: &Options, proxy: &Arc<Proxy>) -> Result<Exit> {
    let server = Server::start(&options.command, Duration::from_millis(options.grace.ms))?;
    let ended = server.relay(proxy)?;
    match ended.was_asked {
        true => proxy.client_ended(),
        false => proxy.server_ended(),
    }
    Ok(Exit::Program(ended.code))
}

/// A server over HTTP.
fn before(url: &str, options: &Options, proxy: &Arc<Proxy>) -> Result<Exit> {
    let address = options
        .listen
        .context("--listen is needed: the address that clients connect to")?;
    let upstream = Upstream::at(url)?;
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen at {address}"))?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        output::complain(&format!(
            "warning: anybody who can reach {address} acts with this agent's authority"
        ));
    }
    let path = upstream.path().to_owned();
    let gate = Gate::at(address, options.allow_origin.clone());
    let gateway = Gateway::new(Arc::clone(proxy), upstream, gate);
    let stop = Server::asked_to_end()?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on http://{address}{path}")?;
    stdout.flush()?;
    drop(stdout);
    gateway.run(listener, stop)?;
    proxy.client_ended();
    Ok(Exit::Good)
}

/// The name that scopes have for the server.
fn name(options: &Options) -> Result<String> {
    if let Some(name) = &options.name {
        return Ok(name.clone());
    }
    match &options.url {
        Some(url) => Listed::Url(url).name(),
        None => Listed::Program(&options.command).name(),
    }
}

/// The socket that is named, or that of the run around this process, is asked and nothing else. At the agent's own socket
/// this process speaks itself if nobody else does.
fn seat(session: &Session, options: &Options) -> Result<Arc<Seat>> {
    if let Some(socket) = &options.socket {
        return Ok(Seat::at(socket.clone(), None));
    }
    let around = std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty());
    if let Some(socket) = around.filter(|_| is_asked_around(options.agent.given_name())) {
        return Ok(Seat::at(socket.into(), None));
    }
    let Some(agent) = options.agent.name() else {
        return Ok(Seat::at(place::socket(None, None)?, None));
    };
    let own = session.global().key.is_some().then(|| Own {
        session: Session::new(session.global().clone()),
        agent: options.agent.clone(),
        requester: options.requester.clone(),
    });
    Ok(Seat::at(place::socket_of(&agent)?, own))
}

/// Whether no other agent was named than the environment does, which the run around this process has handed on.
fn is_asked_around(named: Option<&Name>) -> bool {
    let handed_on = std::env::var_os(AGENT_VARIABLE);
    named.is_none_or(|named| handed_on.is_some_and(|agent| agent == named.as_str()))
}

/// Begins to speak in the background, so that the first call need not wait for it. The client hears why nobody speaks with
/// each call; people hear it here.
fn take_seat(seat: &Arc<Seat>) -> Result<JoinHandle<()>> {
    let seat = Arc::clone(seat);
    let beginning = std::thread::Builder::new().name("begin".to_owned());
    Ok(beginning.spawn(move || {
        if let Err(why) = seat.speaker() {
            output::complain(&format!("warning: no call can get permission yet: {why}"));
        }
    })?)
}

/// What the manifest lists of this server. Where there is none, nothing is compared.
fn registered(directory: &Path, server: &str) -> Vec<(Name, Digest)> {
    let server = server.parse().ok();
    let tools = client::manifest::tools(directory)
        .unwrap_or_default()
        .into_iter();
    let of_server = tools.filter(|tool| tool.server.is_some() && tool.server == server);
    of_server.map(|tool| (tool.name, tool.digest)).collect()
}

fn tell_of_passed(passed: u64) {
    if passed > 0 {
        output::complain(&format!(
            "note: {passed} messages passed without permission, because the log only observes"
        ));
    }
}
