//! `verify`: what a proof file shows. No network, no clock.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use ledger::verify::{Finding, Report, TraceStep};

use crate::exit::{self, Exit};
use crate::output;
use crate::session::{Session, read_bounded};

/// What to verify.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The proof file
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
    let evidence = read_bounded(&options.file, ledger::verify::MAX_EVIDENCE_BYTES)?;
    let report = ledger::verify::verify(&evidence, &trust, None);
    if session.json() {
        output::verbatim(&(report.to_json() + "\n"))?;
    } else {
        print(&report, options.explain)?;
    }
    Ok(exit::of_report(&report))
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
