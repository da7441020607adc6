//! `verify`: what a proof file or a pack shows. No network, no clock.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use ledger::verify::{Finding, Report, TraceStep, Trust, Verifier};

use crate::exit::{self, Exit};
use crate::output;
use crate::session::Session;

/// How much of a file is read at a time: packs are as long as they like to be.
const CHUNK_BYTES: u64 = 64 * 1024;

/// What to verify.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The proof file, or the pack
    file: PathBuf,
    /// Show every step from the entry to the root, and what each finding means
    #[arg(long)]
    explain: bool,
}

/// Verifies the file and prints the report.
///
/// # Errors
///
/// If a file cannot be read. Whatever is wrong with the evidence is in the report.
pub(crate) fn run(session: &Session, options: &Options) -> Result<Exit> {
    let trust = session.required_trust()?;
    let report = verify(&options.file, trust)
        .with_context(|| format!("{:?} could not be read", options.file))?;
    if session.json() {
        output::verbatim(&(report.to_json() + "\n"))?;
    } else {
        print(&report, options.explain)?;
    }
    Ok(exit::of_report(&report))
}

/// Verifies a file of any length, a chunk of it at a time, as far as it matters.
fn verify(path: &Path, trust: Trust) -> std::io::Result<Report> {
    let mut file = File::open(path)?;
    let mut verifier = Verifier::new(trust);
    let mut chunk = Vec::new();
    while !verifier.is_settled() {
        chunk.clear();
        if file.by_ref().take(CHUNK_BYTES).read_to_end(&mut chunk)? == 0 {
            break;
        }
        verifier.push(&chunk);
    }
    Ok(verifier.finish())
}

fn print(report: &Report, explain: bool) -> Result<()> {
    output::line(report.verdict.as_str())?;
    let checks = report.checks.iter();
    let row = |check: &ledger::verify::Check| {
        [
            format!("  {}", check.id),
            check.status.to_string(),
            check.detail.clone(),
        ]
    };
    output::table(&checks.map(row).collect::<Vec<_>>())?;
    for finding in &report.findings {
        print_finding(finding, explain)?;
    }
    match &report.trace {
        Some(trace) if explain => print_trace(trace),
        _ => Ok(()),
    }
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
        finding.by.as_str()
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
