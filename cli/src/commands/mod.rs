//! The commands, one file a group.

pub(crate) mod acting;
pub(crate) mod agent;
pub(crate) mod attend;
pub(crate) mod charter;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod fingerprint;
pub(crate) mod generate;
pub(crate) mod hook;
pub(crate) mod incident;
pub(crate) mod keygen;
pub(crate) mod lease;
pub(crate) mod log;
mod logged;
pub(crate) mod manifest;
pub(crate) mod mcp;
pub(crate) mod observe;
pub(crate) mod page;
pub(crate) mod receipt;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod trust;
pub(crate) mod verify;

use anyhow::Result;

use crate::exit::{self, Exit};
use crate::options::{Cli, Command};
use crate::session::Session;

/// Does what the command line says.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(crate) fn run(cli: Cli) -> Result<Exit> {
    let session = Session::new(cli.global);
    match cli.command {
        Command::Keygen(options) => keygen::run(&session, &options)?,
        Command::Fingerprint(options) => fingerprint::run(&session, &options)?,
        Command::Doctor(options) => return doctor::run(&session, options),
        Command::Get(options) => log::get(&session, &options)?,
        Command::Prove(options) => log::prove(&session, &options)?,
        Command::ProveState(options) => log::prove_state(&session, &options)?,
        Command::Checkpoint => log::checkpoint(&session)?,
        Command::Consistency(options) => log::consistency(&session, &options)?,
        Command::Page(command) => return page::run(&session, &command),
        Command::Export(options) => export::run(&session, &options)?,
        Command::Replay(options) => return replay::run(&session, &options),
        Command::Report(options) => return Ok(report::run(&session, *options)),
        Command::Incident(options) => return incident::run(&session, &options),
        Command::Verify(options) => return verify::run(&session, &options),
        Command::Agent(command) => agent::run(&session, command)?,
        Command::Trust(command) => trust::run(&session, command)?,
        Command::Charter(command) => charter::run(&session, command)?,
        Command::Manifest(command) => manifest::run(&session, command)?,
        Command::Lease(command) => lease::run(&session, command)?,
        Command::Receipt(command) => receipt::run(&session, command)?,
        Command::Heartbeat(options) => receipt::heartbeat(&session, &options)?,
        Command::Observe(options) => return observe::run(&session, options),
        Command::Run(options) => return run_program(&session, *options),
        Command::Attend(options) => {
            attend::run(&session, &options).map_err(|error| error.context(exit::NotBegun))?;
        }
        Command::Hook(command) => return hook::run(&session, command),
        Command::Mcp(options) => {
            return mcp::run(&session, &options).map_err(|error| error.context(exit::NotRun));
        }
        Command::Tell(options) => return tell(&options),
        Command::Watcher(options) => run::watcher(&options)?,
        Command::Completions(options) => generate::completions(&options)?,
        Command::Man(options) => generate::man(&options)?,
    }
    Ok(Exit::Good)
}

/// CMD's own exit code is passed through; only what kept it from being run has one of ours.
fn run_program(session: &Session, options: run::Options) -> Result<Exit> {
    match run::run(session, &options) {
        Ok(code) => Ok(Exit::Program(code)),
        Err(error) => Err(error.context(exit::NotRun)),
    }
}

fn tell(options: &run::TellOptions) -> Result<Exit> {
    Ok(if run::tell(options)? {
        Exit::Good
    } else {
        Exit::Bad
    })
}
