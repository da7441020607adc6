//! `report`: what a watchdog and Dragons saw of the same agents in the same time, in one directory that anybody can check.

mod check;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ::evidence::{Crew, Verifying as _};
use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use client::export::Additions;
use client::http::Wanted;
use host::bounded;
use ledger::digest::Digest;
use ledger::json::{Value, object};
use ledger::verify::{Report, Trust, Verdict, Verifier};
use report::document::{Document, Terms};
use report::files::{EVENTS, INPUTS, MAP, Made, PACK, REPORT, STATEMENT, TRUST};
use report::inputs::{File, Watch};
use report::replay::{Played, Replay};
use timeline::words::{counted, entries, utc};
use watchdogs::config::MAX_CONFIG_BYTES;
use watchdogs::import::MAX_FILE_BYTES;

use crate::evidence;
use crate::exit::Exit;
use crate::folder::{Folder, Sink, Written};
use crate::options::{Moment, Threads};
use crate::output;
use crate::pack_items;
use crate::session::{Session, now_ms};

/// How much of a pack goes on at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// About when, from what, and where to; or which report to check.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// The start of the period: a time such as 2026-11-01T00:00:00Z, or how long ago, such as -30d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, required = true)]
    from: Option<Moment>,
    /// The end of the period, exclusive, in the same form; defaults to now
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        default_value = "now",
        hide_default_value = true
    )]
    to: Moment,
    /// The map: which watchdogs there are, what they have rules for, and whom their alerts are about
    #[arg(long, value_name = "FILE", required = true)]
    map: Option<PathBuf>,
    /// A file with alerts, as a watchdog exports them; may be repeated. Those that `dragons observe` logged are in the log
    #[arg(long, value_name = "FILE", num_args = 1..)]
    alerts: Vec<PathBuf>,
    /// The evidence: a pack of the whole log. Without it the service is asked for one
    #[arg(long, value_name = "FILE")]
    pack: Option<PathBuf>,
    /// The directory to make; absent or empty
    #[arg(short, long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

/// What is done with a report.
#[derive(Debug, Subcommand)]
enum Command {
    /// Compute a report again from its evidence and its inputs, offline, and compare
    Check(check::Options),
}

/// Makes a report, or checks one. Whatever keeps it from being done is told here, since the exit code says that nothing
/// was made or read.
pub(crate) fn run(session: &Session, options: Options) -> Exit {
    let done = match options.command {
        Some(Command::Check(options)) => check::run(session, &options),
        None => make(session, &options),
    };
    done.unwrap_or_else(|error| {
        if !crate::exit::is_broken_pipe(&error) {
            output::complain(&format!("error: {error:#}"));
        }
        Exit::Undecided
    })
}

fn make(session: &Session, options: &Options) -> Result<Exit> {
    let now = now_ms()?;
    let trust = session.required_trust()?;
    let from = options.from.context("--from is needed")?;
    let (from_ms, to_ms) = (from.ms(|| Ok(now))?, options.to.ms(|| Ok(now))?);
    ensure!(
        from_ms < to_ms,
        "the period ends at {} but begins at {}",
        utc(to_ms),
        utc(from_ms)
    );
    let terms = Terms {
        from_ms,
        to_ms,
        charter: trust.charter.to_string(),
        made_by: made_by(),
    };
    let inputs = Inputs::read(options)?;
    let watch = Watch::read(&inputs.map, &inputs.files)?;
    let out = options.out.as_ref().context("--out is needed")?;
    let mut folder = Folder::begin(out)?;
    let report = gather(session, options, trust.clone(), &mut folder)?;
    let pack = digest_of(&folder)?;
    let played = replay(report, &terms, &watch, &mut folder)?;
    let made = Made::of(&terms, &played, &watch, pack)?;
    write(session, &made, &inputs, &trust, &mut folder)?;
    let files = folder.finish()?;
    print(session, out, &made.document, &files)?;
    Ok(match played.report.verdict {
        Verdict::Verified => Exit::Good,
        Verdict::Failed => Exit::Bad,
        Verdict::Incomplete => Exit::Incomplete,
    })
}

/// The program, as a report names it.
fn made_by() -> String {
    format!("dragons {}", env!("CARGO_PKG_VERSION"))
}

/// The map and the files with alerts, byte for byte.
struct Inputs {
    map: Vec<u8>,
    files: Vec<File>,
}

impl Inputs {
    fn read(options: &Options) -> Result<Self> {
        let map = options.map.as_ref().context("--map is needed")?;
        let mut files: Vec<File> = Vec::new();
        for path in &options.alerts {
            let name = name_of(path)?;
            let is_taken = files.iter().any(|file| file.name == name) || name == "map.toml";
            ensure!(
                !is_taken,
                "two inputs are named {name:?}: each input of a report needs its own name"
            );
            let bytes = bounded::read(path, MAX_FILE_BYTES)?;
            files.push(File { name, bytes });
        }
        Ok(Self {
            map: bounded::read(map, MAX_CONFIG_BYTES)?,
            files,
        })
    }
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(std::ffi::OsStr::to_str);
    let name = name.with_context(|| format!("{path:?} has no name that a report can keep"))?;
    Ok(name.to_owned())
}

/// The evidence on its way into its file and to the verifier.
struct EvidenceSink {
    file: Sink,
    verifier: Crew,
}

impl Write for EvidenceSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.verifier.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes the evidence, and gives what the verifier says about it.
fn gather(
    session: &Session,
    options: &Options,
    trust: Trust,
    folder: &mut Folder,
) -> Result<Report> {
    let mut file = folder.file(PACK)?;
    if let Some(path) = &options.pack {
        let mut written = Ok(());
        let verifier = options.threads.crew(Verifier::new(trust));
        let report = evidence::verify_aloud(path, verifier, &mut |bytes| {
            if written.is_ok() {
                written = file.write_all(bytes);
            }
        });
        let report = report.with_context(|| format!("{path:?} could not be read"))?;
        written.context("the evidence could not be written")?;
        folder.end(file)?;
        return Ok(report);
    }
    let service = session.service()?;
    let log = session.log(&service)?;
    let wanted = Wanted::Range { from: 0, to: None };
    let verifier = options.threads.crew(Verifier::new(trust));
    let passage = EvidenceSink { file, verifier };
    let mut passage = BufWriter::with_capacity(CHUNK_BYTES, passage);
    pack_items::fetch_bytes(&service, &log, &wanted, Additions::default(), &mut passage)?;
    let passage = passage.into_inner().map_err(io::IntoInnerError::into_error);
    let passage = passage.context("the evidence could not be written")?;
    folder.end(passage.file)?;
    Ok(passage.verifier.finish())
}

fn digest_of(folder: &Folder) -> Result<Digest> {
    let sha256 = folder
        .sha256(PACK)
        .context("the evidence was not written")?;
    Ok(format!("sha256:{sha256}").parse()?)
}

/// Hears the evidence once more, and writes the events that follow from it.
fn replay(report: Report, terms: &Terms, watch: &Watch, folder: &mut Folder) -> Result<Played> {
    let mut events = folder.file(EVENTS)?;
    let mut written = Ok(());
    let played = hear(&folder.path(PACK), report, terms, watch, &mut |line| {
        if written.is_ok() {
            written = events.write_all(line.as_bytes());
        }
    })?;
    written.context("the events could not be written")?;
    folder.end(events)?;
    Ok(played)
}

/// Reads a pack together with what the verifier says about it.
fn hear(
    path: &Path,
    report: Report,
    terms: &Terms,
    watch: &Watch,
    event: &mut dyn FnMut(String),
) -> Result<Played> {
    let mut replay = Replay::new(report, terms.from_ms..terms.to_ms, watch);
    let mut refused = Ok(());
    evidence::claims(path, &mut |bytes| {
        if refused.is_ok() {
            refused = replay.push(bytes, event);
        }
    })
    .with_context(|| format!("{path:?} could not be read"))?;
    refused.context("the evidence is not a whole pack")?;
    replay.finish().context("the evidence is not a whole pack")
}

fn write(
    session: &Session,
    made: &Made,
    inputs: &Inputs,
    trust: &Trust,
    folder: &mut Folder,
) -> Result<()> {
    folder.write(REPORT, &made.json)?;
    for (name, content) in &made.files {
        folder.write(name, content)?;
    }
    let keys = match &session.global().key {
        Some(_) => session.keys(&[])?,
        None => Vec::new(),
    };
    folder.write(STATEMENT, made.envelope(keys.first()))?;
    folder.write(TRUST, trust.to_json() + "\n")?;
    folder.write(MAP, &inputs.map)?;
    for file in &inputs.files {
        folder.write(&format!("{INPUTS}{}", file.name), &file.bytes)?;
    }
    Ok(())
}

fn print(session: &Session, out: &Path, document: &Document, files: &[Written]) -> Result<()> {
    if session.json() {
        return output::json(&summary(out, document, files));
    }
    let (from, to) = (utc(document.from_ms), utc(document.to_ms));
    let about = entries(document.coverage.entries);
    output::line(&format!("{from} to {to}: {about}, {}", document.verdict))?;
    let head = [
        "CLASS",
        "BOTH",
        "DRAGONS",
        "WATCHDOG",
        "FALSE-DRAGONS",
        "FALSE-WATCHDOG",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(document.difference.iter().map(|row| {
        let numbers = [
            row.both,
            row.dragons,
            row.watchdog,
            row.false_dragons,
            row.false_watchdog,
        ];
        let [both, dragons, watchdog, false_dragons, false_watchdog] =
            numbers.map(|it| it.to_string());
        [
            row.class.to_owned(),
            both,
            dragons,
            watchdog,
            false_dragons,
            false_watchdog,
        ]
    }));
    output::table(&rows)?;
    output::line(&format!(
        "{} in {}",
        counted(files.len() as u64, "file"),
        out.display()
    ))
}

fn summary(out: &Path, document: &Document, files: &[Written]) -> Value {
    let file = |it: &Written| {
        object([
            ("name", it.name.as_str().into()),
            ("bytes", it.bytes.into()),
            ("sha256", it.sha256.as_str().into()),
        ])
    };
    object([
        ("from_ms", document.from_ms.into()),
        ("to_ms", document.to_ms.into()),
        ("directory", out.display().to_string().into()),
        ("verdict", document.verdict.into()),
        ("cases", (document.cases.len() as u64).into()),
        ("files", files.iter().map(file).collect()),
    ])
}
