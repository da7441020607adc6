//! `verify`: what a proof file or a pack shows. No network, and no clock but where it is asked for.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use ledger::digest::{Digest, RecordHash};
use ledger::verify::{Answer, Check, Finding, Reply, Report, Told, TraceStep, Trust};

use crate::evidence::{self, Verified};
use crate::exit::{self, Exit};
use crate::options::Moment;
use crate::output;
use crate::session::{Session, now_ms};

/// What to verify.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The proof file, or the pack, gzipped or not; - is stdin
    file: PathBuf,
    /// Explain each check and finding, what a check leaves open, and every step to the root
    #[arg(long)]
    explain: bool,
    /// Judge the age of the evidence at this time: `now`, or a UTC time as in RFC 3339. Without it, freshness is not judged, and the same evidence always gives the same report
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
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
    let Verified { report, digest } = evidence::verify(&options.file, trust, at_ms)
        .with_context(|| format!("{:?} could not be read", options.file))?;
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
    match &report.trace {
        Some(trace) if explain => print_trace(trace),
        _ => Ok(()),
    }
}

/// What it comes to, and what makes it so.
fn print_headline(told: &Told, explain: bool) -> Result<()> {
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
    let row = |step: &TraceStep| match step {
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
    };
    output::table(&trace.iter().map(row).collect::<Vec<_>>())
}
