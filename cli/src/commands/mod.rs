//! The commands, one file a group.

pub(crate) mod agent;
pub(crate) mod charter;
pub(crate) mod generate;
pub(crate) mod keygen;
pub(crate) mod lease;
pub(crate) mod log;
mod logged;
pub(crate) mod manifest;
pub(crate) mod verify;

use anyhow::Result;

use crate::exit::Exit;
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
        Command::Get(options) => log::get(&session, &options)?,
        Command::Prove(options) => log::prove(&session, &options)?,
        Command::Checkpoint => log::checkpoint(&session)?,
        Command::Consistency(options) => log::consistency(&session, &options)?,
        Command::Verify(options) => return verify::run(&session, &options),
        Command::Agent(command) => agent::run(&session, command)?,
        Command::Charter(charter::Command::Show) => charter::show(&session)?,
        Command::Manifest(command) => manifest::run(&session, command)?,
        Command::Lease(command) => lease::run(&session, command)?,
        Command::Completions(options) => generate::completions(&options)?,
        Command::Man(options) => generate::man(&options)?,
    }
    Ok(Exit::Good)
}
