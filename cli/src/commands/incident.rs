//! `incident`: all about an agent in a span of time, in one directory.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::evidence::{Crew, Verifying as _};
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use client::export::Additions;
use client::http::Wanted;
use ledger::json::{Value, object};
use ledger::text::Name;
use ledger::verify::Verifier;
use timeline::words::utc;

use crate::case::Evidence;
use crate::commands::export::read_disclosures;
use crate::exit::{self, Exit};
use crate::folder::{Folder, Sink, Written};
use crate::incident::readme::{
    CASE, FINDINGS, JSON, LEASES, MANIFESTS, PACK, PAGE, README, REFUSALS, REPORT, TEXT, readme,
};
use crate::incident::{Hearing, Incident, page, text};
use crate::options::{Moment, Threads};
use crate::output;
use crate::pack_items::{self, PackListener};
use crate::printer::Printer;
use crate::session::{Session, now_ms};

/// How much of the pack is heard at a time: lines come in small pieces.
const HEARD_BYTES: usize = 64 * 1024;

/// About whom, when, and where to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The agent
    agent: Name,
    /// The start of the period: a time such as 2026-11-23T14:00:00Z, or how long ago, such as -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Moment,
    /// The end of the period, exclusive, in the same form; defaults to now
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        default_value = "now",
        hide_default_value = true
    )]
    to: Moment,
    /// The directory to make; absent or empty
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Put every entry of the log into the evidence, so that every rule can be judged; otherwise only the entries about the agent
    #[arg(long)]
    whole_log: bool,
    /// Add a sealed case, case.html: the evidence and the verifier in one file that opens in a browser
    #[arg(long)]
    page: bool,
    /// A file of values to disclose, as JSON Lines or a JSON array; the evidence leaves values out otherwise; may be repeated
    #[arg(long, value_name = "FILE")]
    disclose: Vec<PathBuf>,
}

/// Collects it.
///
/// # Errors
///
/// If the evidence cannot be fetched, or a file cannot be written. What is wrong with the evidence is reported.
pub(crate) fn run(session: &Session, options: &Options) -> Result<Exit> {
    let began = Instant::now();
    let now = now_ms()?;
    let (from_ms, to_ms) = (options.from.ms(|| Ok(now))?, options.to.ms(|| Ok(now))?);
    ensure!(
        from_ms < to_ms,
        "the span ends at {} but begins at {}",
        utc(to_ms),
        utc(from_ms)
    );
    let mut folder = Folder::begin(&options.out)?;
    let hearing = Hearing::of(options.agent.clone(), from_ms..to_ms);
    let (incident, mut took) = collect(session, options, hearing, &mut folder)?;
    let writing = Instant::now();
    write(&incident, &mut folder)?;
    let files = folder.finish()?;
    took.write = writing.elapsed();
    took.all = began.elapsed();
    output::complain(&took.to_string());
    print(session, options, &incident, &files, &took)?;
    let report = incident.report.as_ref();
    Ok(report.map_or(Exit::Good, exit::of_report))
}

/// How long each part took.
#[derive(Debug, Default)]
struct Took {
    fetch: Duration,
    /// `None` where nobody trusts a log to verify by.
    verify: Option<Duration>,
    tell: Duration,
    write: Duration,
    all: Duration,
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = |part: Duration| format!("{:.3} s", part.as_secs_f64());
        let verified = match self.verify {
            Some(verify) => format!("verified in {}", s(verify)),
            None => "not verified".to_owned(),
        };
        let (fetch, tell, write) = (s(self.fetch), s(self.tell), s(self.write));
        let all = s(self.all);
        write!(
            f,
            "fetched in {fetch}, {verified}, told in {tell}, written in {write}; {all} in all"
        )
    }
}

/// The evidence on its way: into its file, to the verifier where somebody trusts a log, and into what is told of it.
struct EvidenceSink {
    file: Sink,
    case: Option<Evidence>,
    verifier: Option<Crew>,
    listener: PackListener,
    hearing: Hearing,
    took: Took,
}

impl Write for EvidenceSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        if let Some(case) = &mut self.case {
            case.write_all(bytes)?;
        }
        if let Some((verifier, verify)) = self.verifier.as_mut().zip(self.took.verify.as_mut()) {
            let verifying = Instant::now();
            verifier.push(bytes);
            *verify += verifying.elapsed();
        }
        let telling = Instant::now();
        let hearing = &mut self.hearing;
        self.listener.hear(bytes, &mut |told| hearing.hear(told));
        self.took.tell += telling.elapsed();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn collect(
    session: &Session,
    options: &Options,
    hearing: Hearing,
    folder: &mut Folder,
) -> Result<(Incident, Took)> {
    let began = Instant::now();
    let additions = Additions {
        earlier: None,
        disclosures: disclosures(options)?,
    };
    let service = session.service()?;
    let log = session.log(&service)?;
    let wanted = match options.whole_log {
        true => Wanted::Range { from: 0, to: None },
        false => Wanted::Agent(options.agent.clone()),
    };
    let trust = session.trust()?;
    let took = Took {
        verify: trust.as_ref().map(|_| Duration::ZERO),
        ..Took::default()
    };
    let passage = EvidenceSink {
        file: folder.file(PACK)?,
        case: options.page.then(Evidence::begin).transpose()?,
        verifier: trust.map(|trust| Threads::default().crew(Verifier::new(trust))),
        listener: PackListener::default(),
        hearing,
        took,
    };
    let mut passage = BufWriter::with_capacity(HEARD_BYTES, passage);
    pack_items::fetch_bytes(&service, &log, &wanted, additions, &mut passage)?;
    let passage = passage.into_inner().map_err(io::IntoInnerError::into_error);
    let mut passage = passage.context("the pack could not be written")?;
    folder.end(passage.file)?;
    if let Some(case) = passage.case {
        folder.write(CASE, &case.finish()?)?;
    }
    passage.listener.finish()?;
    let verifying = Instant::now();
    let report = passage.verifier.map(Crew::finish);
    let verify = &mut passage.took.verify;
    verify
        .iter_mut()
        .for_each(|verify| *verify += verifying.elapsed());
    let telling = Instant::now();
    let incident = passage.hearing.told(report)?;
    passage.took.tell += telling.elapsed();
    let others = passage.took.verify.unwrap_or_default() + passage.took.tell;
    passage.took.fetch = began.elapsed().saturating_sub(others);
    Ok((incident, passage.took))
}

fn disclosures(options: &Options) -> Result<Vec<ledger::pack::Disclosure>> {
    let mut disclosures = Vec::new();
    for path in &options.disclose {
        disclosures.extend(read_disclosures(path)?);
    }
    Ok(disclosures)
}

fn write(incident: &Incident, folder: &mut Folder) -> Result<()> {
    let mut printer = Printer::plain();
    text::write(incident, &mut printer);
    folder.write(TEXT, printer.finish())?;
    folder.write(PAGE, &page::page(incident)?)?;
    for (name, document) in [
        (JSON, incident.timeline()?),
        (LEASES, incident.lease_documents()?),
        (MANIFESTS, incident.manifest_documents()?),
        (REFUSALS, incident.refusal_documents()?),
        (FINDINGS, incident.finding_documents()),
    ] {
        folder.write(name, format!("{document}\n"))?;
    }
    if let Some(report) = &incident.report {
        folder.write(REPORT, &(report.to_json() + "\n"))?;
    }
    folder.write(README, readme(incident))
}

fn print(
    session: &Session,
    options: &Options,
    incident: &Incident,
    files: &[Written],
    took: &Took,
) -> Result<()> {
    if session.json() {
        return output::json(&summary(options, incident, files, took));
    }
    output::line(&format!("{}: {}", incident.agent, incident.extent()))?;
    output::line(&incident.verdict())?;
    let row = |it: &Written| {
        let path = options.out.join(&it.name);
        [
            path.display().to_string(),
            it.bytes.to_string(),
            it.sha256.clone(),
        ]
    };
    let head = ["FILE", "BYTES", "SHA-256"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(files.iter().map(row)).collect();
    output::table(&rows)
}

fn summary(options: &Options, incident: &Incident, files: &[Written], took: &Took) -> Value {
    let ms = |part: Duration| u64::try_from(part.as_millis()).unwrap_or(u64::MAX);
    let file = |it: &Written| {
        object([
            ("name", it.name.as_str().into()),
            ("bytes", it.bytes.into()),
            ("sha256", it.sha256.as_str().into()),
        ])
    };
    let verdict = incident.report.as_ref().map(|it| it.verdict.as_str());
    object([
        ("agent", (&incident.agent).into()),
        ("from_ms", incident.from_ms.into()),
        ("to_ms", incident.to_ms.into()),
        ("directory", options.out.display().to_string().into()),
        ("verdict", verdict.into()),
        ("entries", (incident.lines.len() as u64).into()),
        ("findings", (incident.findings.len() as u64).into()),
        ("files", files.iter().map(file).collect()),
        (
            "took_ms",
            object([
                ("fetch", ms(took.fetch).into()),
                ("verify", took.verify.map(ms).into()),
                ("tell", ms(took.tell).into()),
                ("write", ms(took.write).into()),
                ("all", ms(took.all).into()),
            ]),
        ),
    ])
}
