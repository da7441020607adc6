//! `export`: an evidence pack, checked on its way into a file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use client::export::{Additions, export};
use client::http::Wanted;
use flate2::Compression;
use flate2::write::GzEncoder;
use host::bounded;
use host::output::Output;
use ledger::digest::RecordHash;
use ledger::json::{Value, object};
use ledger::pack::{Disclosure, Header};
use ledger::text::Name;
use tlog::checkpoint::SignedCheckpoint;
use tlog::note::MAX_NOTE_BYTES;

use crate::case::Case;
use crate::output;
use crate::progress;
use crate::session::Session;

/// The longest file with disclosures: more than a pack can hold.
const MAX_DISCLOSURES_BYTES: usize = 16 * 1024 * 1024;

/// What to export, and where to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The first entry of a range; defaults to 0
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["agent", "goal"])]
    from: Option<u64>,
    /// The first entry after the range; defaults to the end of the log
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["agent", "goal"])]
    to: Option<u64>,
    /// The records about an agent, and the authority that they rest on
    #[arg(long, value_name = "AGENT", conflicts_with = "goal")]
    agent: Option<Name>,
    /// The receipts of a goal, and the authority that they rest on
    #[arg(long, value_name = "RECORD")]
    goal: Option<RecordHash>,
    /// The file to write, such as evidence.pack.jsonl; - for stdout
    #[arg(short, long, value_name = "FILE", required_unless_present = "page")]
    out: Option<PathBuf>,
    /// A sealed case to write, such as case.html: the evidence and the verifier in one file that opens in a browser and
    /// needs no network
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Compress it
    #[arg(long)]
    gzip: bool,
    /// An earlier checkpoint: the pack proves that the log has only grown since then
    #[arg(long, value_name = "FILE")]
    earlier: Option<PathBuf>,
    /// A file of values to disclose, as JSON Lines or a JSON array; only values of records in the pack are included; may be repeated
    #[arg(long, value_name = "FILE")]
    disclose: Vec<PathBuf>,
}

/// Fetches a pack into a file that is there only when the pack is whole.
///
/// # Errors
///
/// If it cannot be had, does not hold, or cannot be written.
pub(crate) fn run(session: &Session, options: &Options) -> Result<()> {
    let additions = additions(options)?;
    let service = session.service()?;
    let log = session.log(&service)?;
    let case = options.page.as_deref().map(Case::begin).transpose()?;
    let out = options.out.as_deref().map(begin).transpose()?;
    let is_stdout = out.as_ref().is_some_and(Output::is_stdout);
    let bar = progress::entries();
    let mut tell = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let mut out = Both {
        file: out.map(|out| Sink::new(out, options.gzip)),
        case,
    };
    let exported = export(
        &service,
        &log,
        &options.wanted(),
        additions,
        &mut out,
        &mut tell,
    );
    bar.finish_and_clear();
    let exported = exported?;
    let (bytes, case_bytes) = out.finish()?;
    if is_stdout {
        return Ok(());
    }
    let told = match options.disclose.is_empty() {
        true => Value::Object(Vec::new()),
        false => object([("disclosed", exported.disclosed.into())]),
    };
    let summary = summary(options.out.as_deref(), &exported.header, bytes);
    let case = match (&options.page, case_bytes) {
        (Some(page), Some(bytes)) => object([
            ("page", page.display().to_string().into()),
            ("page_bytes", bytes.into()),
        ]),
        _ => Value::Object(Vec::new()),
    };
    let told = output::joined(case, told);
    output::object(session.json(), &output::joined(summary, told))
}

fn begin(path: &Path) -> Result<Output> {
    Output::to(path).with_context(|| format!("{path:?} could not be written"))
}

impl Options {
    fn wanted(&self) -> Wanted {
        match (&self.agent, self.goal) {
            (Some(agent), _) => Wanted::Agent(agent.clone()),
            (None, Some(goal)) => Wanted::Goal(goal),
            (None, None) => Wanted::Range {
                from: self.from.unwrap_or_default(),
                to: self.to,
            },
        }
    }
}

fn summary(path: Option<&Path>, header: &Header, bytes: Option<u64>) -> Value {
    object([
        ("file", path.map(|path| path.display().to_string()).into()),
        ("origin", header.origin.as_str().into()),
        ("size", header.size.get().into()),
        ("selection", header.selection.to_string().into()),
        ("count", header.count.into()),
        ("bytes", bytes.into()),
    ])
}

/// Where the lines go: into a file, into a case, or into both.
struct Both {
    file: Option<Sink>,
    case: Option<Case>,
}

impl Both {
    /// Ends both; gives how many bytes each has.
    fn finish(self) -> Result<(Option<u64>, Option<u64>)> {
        let file = self.file.map(Sink::finish).transpose();
        let file = file.context("the pack could not be written")?;
        Ok((file, self.case.map(Case::finish).transpose()?))
    }
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        if let Some(case) = &mut self.case {
            case.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// Where the lines go, perhaps compressed, and how many bytes have gone there.
enum Sink {
    Plain(BufWriter<Counted>),
    Gzip(GzEncoder<BufWriter<Counted>>),
}

struct Counted {
    out: Output,
    bytes: u64,
}

impl Sink {
    fn new(out: Output, gzip: bool) -> Self {
        let out = BufWriter::new(Counted { out, bytes: 0 });
        match gzip {
            true => Self::Gzip(GzEncoder::new(out, Compression::default())),
            false => Self::Plain(out),
        }
    }

    fn finish(self) -> io::Result<u64> {
        let out = match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder.finish()?,
        };
        let Counted { out, bytes } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        out.finish()?;
        Ok(bytes)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}

fn additions(options: &Options) -> Result<Additions> {
    let earlier = options.earlier.as_deref().map(read_checkpoint);
    let mut disclosures = Vec::new();
    for path in &options.disclose {
        disclosures.extend(read_disclosures(path)?);
    }
    Ok(Additions {
        earlier: earlier.transpose()?,
        disclosures,
    })
}

fn read_checkpoint(path: &Path) -> Result<SignedCheckpoint> {
    let bytes = bounded::read(path, MAX_NOTE_BYTES)?;
    let text = String::from_utf8(bytes).with_context(|| format!("{path:?} is not text"))?;
    SignedCheckpoint::parse(&text).with_context(|| format!("{path:?} is not a checkpoint"))
}

/// Reads values to tell: one disclosure a line, or an array of them.
///
/// # Errors
///
/// If it cannot be read, or holds anything else.
pub(crate) fn read_disclosures(path: &Path) -> Result<Vec<Disclosure>> {
    let bytes = bounded::read(path, MAX_DISCLOSURES_BYTES)?;
    let mut disclosures = Vec::new();
    for line in bytes.trim_ascii().split(|byte| *byte == b'\n') {
        let read = Value::parse(line.trim_ascii()).and_then(|value| match value {
            Value::Array(values) => values.into_iter().map(disclosure).collect(),
            value => disclosure(value).map(|disclosure| vec![disclosure]),
        });
        disclosures.extend(read.with_context(|| format!("{path:?} holds no disclosures"))?);
    }
    Ok(disclosures)
}

fn disclosure(value: Value) -> Result<Disclosure, ledger::codes::Refusal> {
    Disclosure::read("disclosure", value)
}
