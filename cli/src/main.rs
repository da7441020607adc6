//! The program `dragons`: what operators, agents and auditors do from a shell.
//!
//! It parses, calls `client` and `ledger`, and prints. Data goes to stdout, everything else to stderr.

mod commands;
mod exit;
mod options;
mod output;
mod session;

use std::process::ExitCode;

use clap::Parser as _;

use exit::Exit;
use options::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = exit::of(&error);
            if !exit::is_broken_pipe(&error) {
                output::complain(&format!("error: {error:#}"));
            }
            exit.into()
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
