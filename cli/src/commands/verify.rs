//! `verify`: what a proof file, a pack or two checkpoints show. No network, and no clock but where it is asked for.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use ledger::digest::{Digest, RecordHash};
use ledger::verify::{
    Answer, Check, Explanation, Finding, Growth, Reply, Report, TraceStep, Trust, Verifier,
};

use crate::evidence::{self, Verified};
use crate::exit::{self, Exit};
use crate::options::{Moment, Threads};
use crate::output;
use crate::session::{Session, now_ms};

/// What to verify.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The proof file, or the pack, gzipped or not; - is stdin. Or two checkpoints, and their consistency proof
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Explain each check and finding, what a check leaves open, and every step to the root
    #[arg(long)]
    explain: bool,
    /// Judge the age of the evidence at this time: `now`, or a UTC time as in RFC 3339. Without it, freshness is not judged, and the same evidence always gives the same report
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    #[command(flatten)]
    threads: Threads,
}

/// Verifies the file and prints the report.
///
/// # Errors
///
/// If a file cannot be read. Whatever is wrong with the evidence is in the report.
pub(crate) fn run(session: &Session, options: &Options) -> Result<Exit> {
    let trust = session.required_trust()?;
    let (fingerprint, asked) = (trust.charter, trust.clone());
    let at_ms = options.at.map(|at| at.ms(now_ms)).transpose()?;
    let verifier = options.threads.crew(Verifier::new(trust).at(at_ms));
    let Verified { report, digest } = match options.files.as_slice() {
        [file] => evidence::verify(file, verifier)
            .with_context(|| format!("{file:?} could not be read"))?,
        files => evidence::verify_together(files, verifier)?,
    };
    if session.json() {
        output::verbatim(&(report.to_json() + "\n"))?;
    } else {
        print(&report, &asked, options.explain)?;
        print_subject(digest, fingerprint)?;
    }
    Ok(exit::of_report(&report))
}

fn print(report: &Report, trust: &Trust, explain: bool) -> Result<()> {
    print_headline(&report.told(), explain)?;
    print_answers(&report.answers(trust))?;
    match explain {
        false => output::table(&report.checks.iter().map(row).collect::<Vec<_>>())?,
        true => report.checks.iter().try_for_each(explain_check)?,
    }
    for finding in &report.findings {
        print_finding(finding, explain)?;
    }
    match (&report.trace, &report.growth) {
        (Some(trace), _) if explain => print_trace(trace),
        (_, Some(growth)) if explain => print_growth(growth),
        _ => Ok(()),
    }
}

/// What it comes to, and what makes it so.
fn print_headline(told: &Explanation, explain: bool) -> Result<()> {
    output::line(&told.headline.title().to_lowercase())?;
    if explain {
        output::line(&format!("  {}", told.headline.means()))?;
    }
    let mut because = told.because.iter();
    because.try_for_each(|why| output::line(&format!("  {why}")))
}

/// The six questions that people ask, each with its answer, the reason and the next step.
fn print_answers(answers: &[Answer]) -> Result<()> {
    for answer in answers {
        let reply = match answer.reply {
            Reply::Yes => "Yes.",
            Reply::No => "No.",
            Reply::NotChecked => "Not checked.",
        };
        output::line(&format!("{} {reply}", answer.question.asked()))?;
        output::line(&format!("  {}", answer.why))?;
        if !answer.next.is_empty() {
            output::line(&format!("  Next: {}", answer.next))?;
        }
    }
    output::line("the checks:")
}

/// What was judged, and by which trust: a verdict belongs to these two.
fn print_subject(evidence: Option<Digest>, trust: RecordHash) -> Result<()> {
    let read = evidence.map_or_else(
        || "not read to its end, which would have changed nothing".to_owned(),
        |digest| digest.to_string(),
    );
    output::table(&[
        ["evidence".to_owned(), read],
        ["trust".to_owned(), trust.to_string()],
    ])
}

fn row(check: &Check) -> [String; 3] {
    [
        format!("  {}", check.id),
        check.status.to_string(),
        check.detail.clone(),
    ]
}

/// A check, what it means, and what it does not prove.
fn explain_check(check: &Check) -> Result<()> {
    let Check { id, status, detail } = check;
    output::line(&format!("  {id}: {status}: {detail}"))?;
    output::line(&format!("    {}", check.meaning()))?;
    output::line(&format!(
        "    Even then it does not show {}.",
        id.leaves_open()
    ))
}

fn print_finding(finding: &Finding, explain: bool) -> Result<()> {
    let code = finding.refusal.code;
    let place = finding
        .index
        .map(|index| format!(" at entry {index}"))
        .unwrap_or_default();
    let detail = &finding.refusal.detail;
    output::line(&format!(
        "{} {code}{place}, by {}: {detail}",
        code.class().as_str(),
        finding.by.told()
    ))?;
    if explain {
        output::line(&format!("  {}", code.sentence()))?;
    }
    Ok(())
}

/// The steps that the verifier took, one a line.
fn print_trace(trace: &[TraceStep]) -> Result<()> {
    output::line("from the entry to the root:")?;
    output::table(&trace.iter().map(step_row).collect::<Vec<_>>())
}

/// The steps from what both trees have to the older root, and to the newer one.
fn print_growth(growth: &Growth) -> Result<()> {
    let (seed, is_root) = growth.seed();
    let what = match is_root {
        true => "the older root: the newer tree has it as it is",
        false => "given by the proof: the last part that both trees have",
    };
    let start = ["  both".to_owned(), seed.to_string(), what.to_owned()];
    let names = ["to the older root:", "to the newer root:"];
    for (name, way) in names.iter().zip(growth.ways()) {
        output::line(name)?;
        let rows = way.iter().map(step_row);
        output::table(&[start.clone()].into_iter().chain(rows).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn step_row(step: &TraceStep) -> [String; 3] {
    match step {
        TraceStep::Leaf(hash) => [
            "  leaf".to_owned(),
            hash.to_string(),
            "the hash of the entry's bytes".to_owned(),
        ],
        TraceStep::Join(step) => [
            format!("  level {}", step.level),
            step.parent.to_string(),
            format!("of {} and {}", step.left, step.right),
        ],
    }
}
