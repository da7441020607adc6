//! The files of a report directory, and how they are written from a report.

use ledger::digest::Digest;
use ledger::key::PrivateKey;
use timeline::words::utc;

use crate::document::{CaseView, Document, Terms};
use crate::inputs::Watch;
use crate::page;
use crate::register::Register;
use crate::replay::Played;
use crate::statement::Statement;

/// The report for programs.
pub const REPORT: &str = "report.json";

/// The report for people.
pub const PAGE: &str = "report.html";

/// The entries that it rests on.
pub const PACK: &str = "evidence.pack.jsonl";

/// Whom the reader trusts, as it was when the report was made.
pub const TRUST: &str = "trust.json";

/// What the verifier says about the pack.
pub const VERIFICATION: &str = "verification.json";

/// The statement over pack and checkpoint.
pub const STATEMENT: &str = "statement.dsse.json";

/// Events for a SIEM.
pub const EVENTS: &str = "events.ocsf.jsonl";

/// The map, as it was given.
pub const MAP: &str = "inputs/map.toml";

/// The directory of the alerts, as they were given.
pub const INPUTS: &str = "inputs/";

/// The fingerprints of all files.
pub const SUMS: &str = "SHA256SUMS";

/// A report, worked out.
#[derive(Debug)]
pub struct Made {
    /// What it says.
    pub document: Document,
    /// The bytes of `report.json`.
    pub json: String,
    /// The statement.
    pub statement: Statement,
    /// The files that follow from pack and inputs, but for `report.json`, the statement and the events: path and content.
    pub files: Vec<(String, String)>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// It could not be written as JSON.
    #[error("{REPORT} could not be written")]
    Json(#[from] serde_json::Error),
    /// It could not be written as a page.
    #[error("{PAGE} could not be written")]
    Page(#[from] askama::Error),
}

impl Made {
    /// Works out a report from what was heard of a pack, whose digest is `pack`, and what the watchdogs said.
    ///
    /// # Errors
    /// [`MakeError`], for which there is no reason.
    pub fn of(
        terms: &Terms,
        played: &Played,
        watch: &Watch,
        pack: Digest,
    ) -> Result<Self, MakeError> {
        let document = Document::of(terms, played, watch, pack);
        let json = document.to_json()?;
        let statement = Statement::of(&document, &json, pack, &played.checkpoint_text);
        let books = &played.books;
        let (incidents, coverage) = (incidents(&document), coverage(&document));
        let registers = [
            &books.authority,
            &books.changes,
            &incidents,
            &books.oversight,
            &coverage,
        ];
        let mut files: Vec<(String, String)> = registers
            .iter()
            .map(|register| (format!("registers/{}.csv", register.name), register.csv()))
            .collect();
        files.push((PAGE.to_owned(), page::page(&document, played)?));
        files.push((VERIFICATION.to_owned(), played.report.to_json() + "\n"));
        Ok(Self {
            document,
            json,
            statement,
            files,
        })
    }

    /// The statement in its envelope, signed if there is a key.
    pub fn envelope(&self, key: Option<&PrivateKey>) -> String {
        self.statement.envelope(key)
    }
}

fn incidents(document: &Document) -> Register {
    let head = &[
        "class",
        "began",
        "ended",
        "by",
        "verdict",
        "lead_ms",
        "could_see",
        "rule_on_day_0",
        "muted",
        "entries",
        "alerts",
        "case",
        "claimed",
    ];
    let mut register = Register::new("incidents", head);
    for case in &document.cases {
        let agent = case.agent.as_ref().and_then(|agent| agent.parse().ok());
        let entry = case.entries.first().copied();
        register.add(entry, case.began_ms, agent.as_ref(), row(case));
    }
    register
}

fn row(case: &CaseView) -> [String; 13] {
    let entries: Vec<String> = case.entries.iter().map(u64::to_string).collect();
    let alerts = case.alerts.iter();
    let alerts: Vec<String> = alerts
        .map(|it| format!("{}:{}", it.source, it.source_id))
        .collect();
    let told = |known: Option<bool>| known.map_or("unknown".to_owned(), |it| it.to_string());
    [
        case.class.to_owned(),
        utc(case.began_ms),
        case.ended_ms.map_or_else(String::new, utc),
        case.by.to_owned(),
        case.verdict.to_owned(),
        case.lead_ms.map_or_else(String::new, |it| it.to_string()),
        told(case.could_see),
        told(case.rule_on_day_0),
        case.muted.to_string(),
        entries.join(" "),
        alerts.join(" "),
        case.id.clone(),
        case.claimed.to_string(),
    ]
}

/// Where the log, an agent or a source has a gap.
fn coverage(document: &Document) -> Register {
    let mut register = Register::new(
        "coverage",
        &["kind", "source", "from", "to", "count", "detail"],
    );
    let none = String::new;
    let about = &document.coverage;
    for gap in &about.log_gaps {
        let row = [
            "log-gap".to_owned(),
            none(),
            utc(gap.from_ms),
            utc(gap.to_ms),
            none(),
            none(),
        ];
        register.add(Some(gap.entry), gap.to_ms, None, row);
    }
    for it in &about.unlogged {
        let agent = it.agent.parse().ok();
        let row = [
            "unlogged".to_owned(),
            none(),
            utc(it.from_ms),
            utc(it.to_ms),
            it.count.to_string(),
            none(),
        ];
        register.add(Some(it.entry), it.to_ms, agent.as_ref(), row);
    }
    for source in &about.sources {
        for gap in &source.gaps {
            let (from, to) = (utc(gap.from_ms), utc(gap.to_ms));
            let row = [
                "source-gap".to_owned(),
                source.name.clone(),
                from,
                to,
                none(),
                gap.detail.clone(),
            ];
            register.add(gap.entry, gap.to_ms, None, row);
        }
    }
    register
}
