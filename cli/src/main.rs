//! The program `dragons`: what operators, agents and auditors do from a shell.
//!
//! It parses, calls `client` and `ledger`, and prints. Data goes to stdout, everything else to stderr.

mod case;
mod commands;
mod doctor;
mod evidence;
mod exit;
mod folder;
mod holders;
mod hook;
mod incident;
mod mcp;
mod options;
mod output;
mod pack_items;
mod page;
mod place;
mod printer;
mod progress;
mod session;
mod story;
mod trusted;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use exit::Exit;
use options::Cli;

fn main() -> ExitCode {
    if wants_build() {
        return match output::verbatim(&page::build()) {
            Ok(()) => Exit::Good.into(),
            Err(_) => Exit::Undecided.into(),
        };
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
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

/// `dragons --version --verbose`: clap ends at the first of the two.
fn wants_build() -> bool {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    arguments.sort();
    arguments == ["--verbose", "--version"]
}

/// Prints what clap has to say, which may be help. A run that is not understood is one that did not take place.
fn not_understood(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let words: Vec<String> = std::env::args().collect();
        if let Some(exit) = commands::hook::not_understood(&words) {
            output::complain(&error.to_string().trim_end().replace('\n', " "));
            return exit.into();
        }
    }
    // Whoever closed the terminal does not want to know.
    let _ = error.print();
    let leniently = Cli::command().ignore_errors(true).try_get_matches();
    let runs = [Some("run"), Some("attend"), Some("mcp")];
    let is_run = leniently.is_ok_and(|matches| runs.contains(&matches.subcommand_name()));
    match error.use_stderr() {
        false => Exit::Good.into(),
        true if is_run => Exit::NotRun.into(),
        true => Exit::Undecided.into(),
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(u8::from(exit))
    }
}
