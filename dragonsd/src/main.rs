//! The program `dragonsd`: makes a log, serves it, checks it.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these macros panic when nobody reads"
)]

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use ledger::fingerprint::Fingerprint;
use ledger::record::Mode;
use server::backup;
use server::config::{Flags, LogFormat, Settings};
use server::fsck;
use server::init::{InitOptions, init, store_path};
use server::log::{Clock as _, SystemClock};
use server::messages::Messages;
use server::serve::serve;
use server::trust::Trust;
use store::Engine;
use store_rocks::Rocks;

/// The control plane for autonomous agents whose only state is a transparency log
#[derive(Parser)]
#[command(name = "dragonsd", version, propagate_version = true)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a log: its keys, its charter, and the trust file that others verify it with
    Init(Init),
    /// Serve a log
    Serve(Flags),
    /// Check everything that is stored. Exit codes: 0 sound, 1 damaged, 2 could not decide
    Fsck {
        /// The folder that `init` made
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Make, list, check and restore backups
    #[command(subcommand)]
    Backup(backup::command::Command),
    /// Print the settings in force
    Config(Flags),
}

#[derive(clap::Args)]
struct Init {
    /// The folder to create; it must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The name of the log, such as example.com/workledger
    #[arg(long, value_name = "NAME")]
    origin: String,
    /// What happens to records that break a rule: enforce or observe [default: enforce]
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// The folder of the keys; existing keys are used [default: keys in the data folder]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// A JSON file of charter members that differ from the defaults
    #[arg(long, value_name = "FILE")]
    charter: Option<PathBuf>,
}

/// Where logs are kept: nothing else names an engine.
const ENGINE: &dyn Engine = &Rocks;

/// The program failed, or could not decide.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    // What this program makes is its user's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let outcome = match Command::parse().action {
        Action::Init(options) => make(options),
        Action::Serve(flags) => run(&flags),
        Action::Fsck { data } => check(&data),
        Action::Backup(command) => backup::command::run(ENGINE, command),
        Action::Config(flags) => show(&flags),
    };
    outcome.unwrap_or_else(|error| {
        told(&format!("dragonsd: {error:#}\n"));
        ExitCode::from(FAILED)
    })
}

/// Says something beside what was asked for; whoever does not read it has the exit code.
fn told(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn make(options: Init) -> anyhow::Result<ExitCode> {
    let messages = Messages::start(LogFormat::Text)?;
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let Init {
        data,
        origin,
        mode,
        keys,
        charter,
    } = options;
    let charter = charter.map(read).transpose()?;
    let founding = InitOptions {
        data,
        origin,
        mode,
        keys,
        charter,
    };
    let fingerprint = init(ENGINE, &founding, SystemClock::new().wall_ms())?;
    messages.flush();
    writeln!(io::stdout(), "{fingerprint}")?;
    let short = Fingerprint::of_charter(&fingerprint);
    told(&format!("short form, to read out and compare: {short}\n"));
    Ok(ExitCode::SUCCESS)
}

fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(flags)?;
    let messages = Messages::start(settings.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(ENGINE, &settings, &messages));
    drop(runtime);
    let code = match served.map_err(anyhow::Error::from) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // By the same way as all else: nobody may read it.
            messages.say(&format!("dragonsd: {error:#}"));
            ExitCode::from(FAILED)
        }
    };
    messages.flush();
    Ok(code)
}

fn check(data: &std::path::Path) -> anyhow::Result<ExitCode> {
    let trust = Trust::read(data)?;
    let store = ENGINE.open(&store_path(data))?.store;
    let visible = io::stderr().is_terminal();
    let report = fsck::check(store.as_ref(), &trust, &mut |done, all| {
        if visible {
            told(&format!("\r{done} of {all} leaves"));
        }
    })?;
    if visible {
        told("\n");
    }
    for finding in &report.findings {
        writeln!(io::stdout(), "{finding}")?;
    }
    let fsck::Report { checked, findings } = report;
    told(&format!(
        "{} leaves, {} tiles, {} records, {} checkpoints checked; {} findings\n",
        checked.leaves,
        checked.tiles,
        checked.records,
        checked.checkpoints,
        findings.len()
    ));
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(flags: &Flags) -> anyhow::Result<ExitCode> {
    let settings = toml::to_string(&Settings::load(flags)?.without_secrets())?;
    io::stdout().write_all(settings.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
