//! `dragonsd backup …`: what is asked, and what is printed.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use clap::Subcommand;
use store::Engine;

use super::{BackupError, Create, Listed, Restore};
use crate::config::default_keys;
use crate::log::{Clock as _, SystemClock};
use crate::trust::Trust;

/// What `dragonsd backup` does.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Make a backup, also while the service runs; print its number
    Create {
        /// The data folder
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The folder of backups; made if it is not there
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Put the keys into the backup: whoever reads it can then sign as this log
        #[arg(long)]
        with_keys: bool,
        /// The folder of the keys [default: keys in the data folder]
        #[arg(long, value_name = "DIR", requires = "with_keys")]
        keys: Option<PathBuf>,
        /// Keep the newest backups, this many, and remove the others
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
        keep: Option<u16>,
    },
    /// List the backups in a folder
    List {
        /// The folder of backups
        #[arg(long, value_name = "DIR", alias = "to")]
        from: PathBuf,
        /// The data folder that they should be of
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Read backups whole and check what fsck checks; 0: sound, 1: damaged, 2: could not decide
    Verify {
        /// The folder of backups
        #[arg(long, value_name = "DIR", alias = "to")]
        from: PathBuf,
        /// The number of the one to check [default: all of them]
        #[arg(long, value_name = "NUMBER")]
        id: Option<u32>,
        /// The data folder that they should be of
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Restore a backup into an empty folder, which signs nothing until it has seen the newest published checkpoint
    Restore {
        /// The folder of backups; without it, a folder that was restored before is shown a checkpoint
        #[arg(long, value_name = "DIR", required_unless_present = "resume_after")]
        from: Option<PathBuf>,
        /// The number of the one to restore [default: the newest]
        #[arg(long, value_name = "NUMBER", requires = "from")]
        id: Option<u32>,
        /// The folder to make, absent or empty
        #[arg(long, value_name = "DIR", alias = "to")]
        data: PathBuf,
        /// The newest checkpoint that was published; the log goes on if it was restored up to there
        #[arg(long, value_name = "FILE|URL")]
        resume_after: Option<String>,
    },
}

/// Does what is asked. Data goes to stdout, all else to stderr.
///
/// # Errors
/// If it could not be done; [`ExitCode::FAILURE`] says that it was decided, and how.
pub fn run(engine: &dyn Engine, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create {
            data,
            to,
            with_keys,
            keys,
            keep,
        } => {
            let keys = with_keys.then(|| keys.unwrap_or_else(|| default_keys(&data)));
            let request = Create {
                data,
                to,
                keys,
                keep: keep.map(usize::from),
                now_ms: now_ms(),
            };
            create(engine, &request)
        }
        Command::List { from, data } => list(engine, &from, data),
        Command::Verify { from, id, data } => verify(engine, &from, id, data),
        Command::Restore {
            from,
            id,
            data,
            resume_after,
        } => restore(engine, from, id, data, resume_after.as_deref()),
    }
}

fn create(engine: &dyn Engine, request: &Create) -> anyhow::Result<ExitCode> {
    let manifest = super::create(engine, request)?;
    writeln!(io::stdout(), "{}", manifest.id)?;
    let keys = match manifest.has_keys() {
        true => "with its keys",
        false => "without keys",
    };
    told(&format!(
        "backup {} of {} entries, {keys}\n",
        manifest.id,
        manifest.size()
    ));
    Ok(ExitCode::SUCCESS)
}

fn list(
    engine: &dyn Engine,
    from: &std::path::Path,
    data: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let listed = super::list(engine, from)?;
    check_log(&listed, data)?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<6} {:<20} {:>10} {:>12}  keys",
        "number", "made", "entries", "bytes"
    )?;
    for Listed { manifest, bytes } in listed {
        let made = UNIX_EPOCH + Duration::from_millis(manifest.made_ms);
        let made = humantime::format_rfc3339_seconds(made).to_string();
        let keys = if manifest.has_keys() { "yes" } else { "no" };
        let (id, size) = (manifest.id, manifest.size().get());
        writeln!(out, "{id:<6} {made:<20} {size:>10} {bytes:>12}  {keys}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(
    engine: &dyn Engine,
    from: &std::path::Path,
    id: Option<u32>,
    data: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    if data.is_some() {
        check_log(&super::list(engine, from)?, data)?;
    }
    let report = super::verify(engine, from, id, &mut progress())?;
    for finding in &report.findings {
        writeln!(io::stdout(), "{finding}")?;
    }
    for (id, checked) in &report.checked {
        told(&format!(
            "backup {id}: {} leaves, {} tiles, {} records, {} checkpoints checked\n",
            checked.leaves, checked.tiles, checked.records, checked.checkpoints
        ));
    }
    told(&format!("{} findings\n", report.findings.len()));
    Ok(match report.findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn restore(
    engine: &dyn Engine,
    from: Option<PathBuf>,
    id: Option<u32>,
    data: PathBuf,
    resume_after: Option<&str>,
) -> anyhow::Result<ExitCode> {
    // First of all, so that nothing is restored for somebody who misspelt it.
    let shown = resume_after.map(|place| super::shown(place, &data));
    let shown = shown.transpose()?;
    if let Some(from) = from {
        let request = Restore {
            from,
            id,
            data: data.clone(),
        };
        let manifest = super::restore(engine, &request, &mut progress())?;
        let (id, size) = (manifest.id, manifest.size());
        told(&format!("backup {id} is restored: {size} entries\n"));
        if !manifest.has_keys() {
            told("it has no keys: put log.pem and control.pem in place, mode 0600\n");
        }
    }
    let Some(shown) = shown else {
        told(
            "it can be served and signs nothing: show it the newest checkpoint that was published, with --resume-after FILE|URL\n",
        );
        return Ok(ExitCode::SUCCESS);
    };
    match super::resume(engine, &data, &shown, now_ms()) {
        Ok(marker) => {
            told(&format!(
                "the log goes on behind entry {}\n",
                marker.size - 1
            ));
            Ok(ExitCode::SUCCESS)
        }
        // It is restored, and it is decided that it does not go on.
        Err(error @ BackupError::Resume(_)) => {
            told(&format!("dragonsd: {:#}\n", anyhow::Error::from(error)));
            told("it signs nothing\n");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether backups are of the log in a data folder, if one is named.
fn check_log(listed: &[Listed], data: Option<PathBuf>) -> anyhow::Result<()> {
    let Some(data) = data else { return Ok(()) };
    let charter = Trust::read(&data)?.charter;
    let other = listed.iter().find(|one| one.manifest.charter != charter);
    match other {
        None => Ok(()),
        Some(other) => anyhow::bail!(
            "backup {} is of another log than {}",
            other.manifest.id,
            data.display()
        ),
    }
}

fn now_ms() -> u64 {
    SystemClock::new().wall_ms()
}

/// Says how far a check is, where somebody looks at it.
fn progress() -> impl FnMut(u64, u64) {
    let visible = io::stderr().is_terminal();
    move |done, all| {
        if visible {
            let end = if done == all { "\n" } else { "" };
            told(&format!("\r{done} of {all} leaves{end}"));
        }
    }
}

/// Says something beside what was asked for; whoever does not read it has the exit code.
fn told(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
