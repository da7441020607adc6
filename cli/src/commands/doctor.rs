//! `doctor`: what is wrong with this installation, and what to do about it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _};
use client::manifest::config::FILE_NAME;
use ledger::text::Name;
use timeline::words::counted;

use crate::doctor::{self, Check, Given, Installation, Outcome, Report, Source};
use crate::exit::Exit;
use crate::options::Cli;
use crate::output;
use crate::printer::{Printer, Tone};
use crate::session::{Session, state_home};

/// How wide the column of results is: the longest has so many letters, and two spaces behind it.
const RESULT_WIDTH: usize = 13;

/// How wide the column of names is.
const NAME_WIDTH: usize = 17;

/// What to look at beside the service.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is changed. Exit codes: 0 no problem; 1 a problem; 2 the command line was not understood."
)]
pub(crate) struct Options {
    /// The agent to check; defaults to the one in agent.toml
    #[arg(
        long,
        value_name = "NAME",
        env = "DRAGONS_AGENT",
        hide_env_values = true
    )]
    agent: Option<Name>,
    /// The directory that holds agent.toml; defaults to the current directory if it holds one
    #[arg(long = "dir", value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The data folder of a service on this machine
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where that service keeps its keys; defaults to the data folder
    #[arg(long, value_name = "DIR", requires = "data")]
    keys: Option<PathBuf>,
}

/// Looks at everything, and says what it found.
///
/// # Errors
///
/// If stdout is closed.
pub(crate) fn run(session: &Session, options: Options) -> Result<Exit> {
    let report = doctor::examine(&installation(session, options));
    if session.json() {
        output::json(&report.to_value())?;
    } else {
        output::verbatim(&written(&report, Printer::for_stdout()))?;
    }
    Ok(match report.count("problem") {
        0 => Exit::Good,
        _ => Exit::Bad,
    })
}

fn installation(session: &Session, options: Options) -> Installation {
    // The line was understood once, so it is now; it is read again for where each setting comes from.
    let matches = Cli::command().try_get_matches().ok();
    let matches = matches.as_ref().and_then(ArgMatches::subcommand);
    let from = |id, option, variable| {
        matches.map_or(Source::Default, |(_, it)| source(it, id, option, variable))
    };
    let global = session.global();
    let directory = directory(options.directory);
    let agent = options.agent.map(|value| Given {
        value,
        source: from("agent", "--agent", "DRAGONS_AGENT"),
    });
    Installation {
        server: Given {
            value: global.server.clone(),
            source: from("server", "--server", "DRAGONS_SERVER"),
        },
        key: global.key.clone().map(|value| Given {
            value,
            source: from("key", "--key", "DRAGONS_KEY"),
        }),
        trust: global.trust.clone(),
        agent: agent.or_else(|| directory.as_ref().and_then(|it| agent_of(&it.value))),
        directory,
        state: state_home().ok(),
        data: options.data,
        keys: options.keys,
    }
}

fn source(matches: &ArgMatches, id: &str, option: &'static str, variable: &'static str) -> Source {
    match matches.value_source(id) {
        Some(ValueSource::EnvVariable) => Source::Environment(variable),
        Some(ValueSource::CommandLine) => Source::Option(option),
        _ => Source::Default,
    }
}

fn directory(named: Option<PathBuf>) -> Option<Given<PathBuf>> {
    let named = named.map(|value| Given {
        value,
        source: Source::Option("--dir"),
    });
    let here = || {
        let is_agents = Path::new(FILE_NAME).is_file();
        is_agents.then(|| Given {
            value: PathBuf::from("."),
            source: Source::Default,
        })
    };
    named.or_else(here)
}

/// The agent that a directory says it holds. What is wrong with the directory is found when its version is built.
fn agent_of(directory: &Path) -> Option<Given<Name>> {
    let value = client::manifest::agent(directory).ok()?;
    let source = Source::AgentToml;
    Some(Given { value, source })
}

/// The report for people: a line for each check, and below it what it means and what to do.
fn written(report: &Report, mut printer: Printer) -> String {
    let mut told: Option<&str> = None;
    for check in report.checks() {
        let (result, name) = (check.result(), check.name);
        let head = format!("{result:RESULT_WIDTH$}{name:NAME_WIDTH$}");
        printer.line(tone(check), &head, &check.detail);
        let below = " ".repeat(RESULT_WIDTH + NAME_WIDTH);
        match &check.outcome {
            Outcome::Ok => {}
            Outcome::Warning(remedy) | Outcome::Problem(remedy) => {
                printer.line(Tone::Plain, &below, &remedy.meaning);
                printer.line(Tone::Strong, &below, &format!("-> {}", remedy.advice));
            }
            // Several in a row that want the same are reported once.
            Outcome::NotChecked { advice } if told == Some(advice) => {}
            Outcome::NotChecked { advice } => {
                printer.line(Tone::Faint, &below, &format!("-> {advice}"));
            }
        }
        told = match &check.outcome {
            Outcome::NotChecked { advice } => Some(advice),
            _ => None,
        };
    }
    printer.space();
    printer.line(Tone::Strong, "", &sum(report));
    printer.finish()
}

fn tone(check: &Check) -> Tone {
    match check.outcome {
        Outcome::Ok => Tone::Plain,
        Outcome::Warning(_) => Tone::Strong,
        Outcome::Problem(_) => Tone::Bad,
        Outcome::NotChecked { .. } => Tone::Faint,
    }
}

fn sum(report: &Report) -> String {
    let (problems, warnings) = (report.count("problem"), report.count("warning"));
    let (good, unknown) = (report.count("ok"), report.count("not checked"));
    let (problems, warnings) = (counted(problems, "problem"), counted(warnings, "warning"));
    format!("{problems}, {warnings}, {good} ok, {unknown} not checked")
}
