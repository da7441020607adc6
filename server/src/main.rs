//! The program `dragonsd`: makes a log, serves it, checks it.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use ledger::fingerprint::Fingerprint;
use ledger::record::Mode;
use server::config::{Flags, LogFormat, Settings};
use server::fsck;
use server::init::{Founding, init, store_path};
use server::log::{Clock as _, SystemClock};
use server::serve::serve;
use server::store::rocks::RocksStore;
use server::trust::Trust;
use tracing_subscriber::EnvFilter;

/// The control plane for autonomous agents whose only state is a transparency log
#[derive(Parser)]
#[command(name = "dragonsd", version, propagate_version = true)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Makes a log: its keys, its charter, and the trust that others verify it by
    Init(Init),
    /// Serves a log
    Serve(Flags),
    /// Checks everything that is stored; 0: sound, 1: damaged, 2: could not decide
    Fsck {
        /// The folder that `init` made
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Prints the settings in force
    Config(Flags),
}

#[derive(clap::Args)]
struct Init {
    /// The folder to make; absent or empty
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The name of the log, such as example.com/workledger
    #[arg(long, value_name = "NAME")]
    origin: String,
    /// What happens to records that break a rule: enforce or observe [default: enforce]
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// The folder of the keys; those that are there are used [default: keys in the data folder]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// A JSON file of charter members that differ from the defaults
    #[arg(long, value_name = "FILE")]
    charter: Option<PathBuf>,
}

/// The program failed, or could not decide.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Command::parse().action {
        Action::Init(options) => make(options),
        Action::Serve(flags) => run(&flags),
        Action::Fsck { data } => check(&data),
        Action::Config(flags) => show(&flags),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("dragonsd: {error:#}");
        ExitCode::from(FAILED)
    })
}

fn make(options: Init) -> anyhow::Result<ExitCode> {
    trace(LogFormat::Text);
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
    let founding = Founding {
        data,
        origin,
        mode,
        keys,
        charter,
    };
    let fingerprint = init(&founding, SystemClock::new().wall_ms())?;
    println!("{fingerprint}");
    eprintln!(
        "to compare aloud: {}",
        Fingerprint::of_charter(&fingerprint)
    );
    Ok(ExitCode::SUCCESS)
}

fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(flags)?;
    trace(settings.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&settings))?;
    Ok(ExitCode::SUCCESS)
}

fn check(data: &std::path::Path) -> anyhow::Result<ExitCode> {
    let trust = Trust::read(data)?;
    let store = RocksStore::open(&store_path(data))?;
    let visible = std::io::stderr().is_terminal();
    let report = fsck::check(&store, &trust, &mut |done, all| {
        if visible {
            eprint!("\r{done} of {all} leaves");
        }
    })?;
    if visible {
        eprintln!();
    }
    for finding in &report.findings {
        println!("{finding}");
    }
    let fsck::Report { checked, findings } = report;
    eprintln!(
        "{} leaves, {} tiles, {} records, {} checkpoints checked; {} findings",
        checked.leaves,
        checked.tiles,
        checked.records,
        checked.checkpoints,
        findings.len()
    );
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(flags: &Flags) -> anyhow::Result<ExitCode> {
    let settings = toml::to_string(&Settings::load(flags)?)?;
    std::io::stdout().write_all(settings.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Messages go to stderr; what `RUST_LOG` says wins.
fn trace(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let messages = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => messages.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => messages.json().init(),
    }
}
