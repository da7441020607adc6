//! What is in the directory and how to check it, for its reader.
//!
//! It holds names, numbers and times alone: no text that an agent or an operator wrote, which could be read as markup.

use timeline::words::utc;

use super::Incident;

/// The pack.
pub(crate) const PACK: &str = "evidence.pack.jsonl";

/// The evidence with the verifier, for a browser.
pub(crate) const CASE: &str = "case.html";

/// The timeline for people who read text.
pub(crate) const TEXT: &str = "timeline.txt";

/// The timeline for programs.
pub(crate) const JSON: &str = "timeline.json";

/// The timeline for a browser.
pub(crate) const PAGE: &str = "timeline.html";

/// The leases.
pub(crate) const LEASES: &str = "leases.json";

/// The versions and how they differ.
pub(crate) const MANIFESTS: &str = "manifests.json";

/// What was refused.
pub(crate) const REFUSALS: &str = "refusals.json";

/// What was found.
pub(crate) const FINDINGS: &str = "findings.json";

/// What the verifier reported.
pub(crate) const REPORT: &str = "report.json";

/// This.
pub(crate) const README: &str = "README.md";

/// Writes it.
pub(crate) fn readme(incident: &Incident) -> String {
    let Incident { agent, .. } = incident;
    let (from, to) = (utc(incident.from_ms), utc(incident.to_ms));
    let (extent, verdict) = (incident.extent(), incident.verdict());
    let (files, check) = (files(incident), check(incident));
    format!(
        "# Agent {agent}, {from} to {to}\n\n{extent}\n{verdict}\n\nCollected by dragons {}. Times are in UTC; the end of \
         the span is not in it.\n\n## What is here\n\n{files}\n## How to check it\n\n{check}",
        env!("CARGO_PKG_VERSION")
    )
}

fn files(incident: &Incident) -> String {
    let pack = match incident.is_whole() {
        true => "the evidence: every entry of the log, with the proof that none is left out",
        false => {
            "the evidence: the records about the agent from its first to its newest, and the authority that they \
             rest on, with the proof that they are in the log"
        }
    };
    let report = incident.report.as_ref().map(|_| {
        (
            REPORT,
            "the verifier's report of the evidence, as `dragons verify --json` prints it",
        )
    });
    let rows = [
        (PACK, pack),
        (
            TEXT,
            "the span in lines: findings, states, entry by entry, leases, versions, refusals",
        ),
        (
            PAGE,
            "the same as a page, with a picture; it needs no network",
        ),
        (
            JSON,
            "the same for programs: the life of the agent, and the entries with their findings",
        ),
        (
            LEASES,
            "leases in force in the span: who granted, renewed and ended them, and how much of their budgets was used",
        ),
        (
            MANIFESTS,
            "versions in force in the span, those before them, and how they differ",
        ),
        (
            REFUSALS,
            "what the agent was refused, and what each code means",
        ),
        (
            FINDINGS,
            "what the verifier found in the span, at whose fault, and at which entry",
        ),
    ];
    let rows = rows.into_iter().chain(report);
    let rows = rows.map(|(name, what)| format!("| [{name}]({name}) | {what} |\n"));
    let rows: String = rows.collect();
    format!(
        "| file | what it holds |\n| --- | --- |\n{rows}| SHA256SUMS | the fingerprints of all of these |\n"
    )
}

fn check(incident: &Incident) -> String {
    let report = match &incident.report {
        None => "Nobody has done so yet.".to_owned(),
        Some(report) => format!(
            "`dragons verify` said `{}`, and prints the bytes of {REPORT} each time.",
            report.verdict.as_str()
        ),
    };
    let files = match incident.is_whole() {
        true => "",
        false => {
            "\nOne agent's records can be shown wrong and never shown complete, so their report is `incomplete` at best. \
             `dragons incident --whole-log` puts every entry into the evidence, and all rules are judged.\n"
        }
    };
    format!(
        "```\nsha256sum -c SHA256SUMS\ndragons verify {PACK} --trust trust.json --json\ndragons replay {PACK} --trust \
         trust.json --agent {}\n```\n\nThe trust file names the log's keys and its charter. It is not in here: evidence \
         shows nothing to somebody who takes its keys from the evidence. {report}\n{files}\nThe pack is what counts; all \
         the rest is told from it. Values behind commitments are in it only where somebody asked for that.\n",
        incident.agent
    )
}
