//! The samples of the verifier's page: evidence that holds, and evidence that is broken, each in a way of its own.
//!
//! All of them start from the short history in `ledger/tests/golden.json`, whose keys are known, so the same program
//! gives the same bytes. `tests/tests/samples.rs` holds `web/samples/` to it.

mod broken;
mod history;

use std::collections::BTreeMap;

use ledger::verify::Trust;
use serde_json::json;

use crate::lies::states;

pub use history::History;

/// A piece of evidence, and what it comes to.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The name of its file.
    pub file: &'static str,
    /// A few words, for a button.
    pub title: &'static str,
    /// What it shows, in a sentence.
    pub shows: &'static str,
    /// The evidence.
    pub evidence: String,
    /// Whom somebody trusts who verifies it.
    pub trust: Asked,
    /// The code that it fails with; `None` if it holds.
    pub code: Option<&'static str>,
}

/// What a trust asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// The log alone.
    Log,
    /// The log and its witness.
    Witness,
    /// Another log, whose pulses name its state.
    Pulsing,
}

impl Asked {
    /// The name of the trust file.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Log => "trust.json",
            Self::Witness => "trust-witness.json",
            Self::Pulsing => "trust-pulsing.json",
        }
    }

    /// The trust.
    pub fn trust(self) -> Trust {
        let history = History::golden();
        match self {
            Self::Log => history.trust(),
            Self::Witness => history.trust_witnessed(),
            Self::Pulsing => states::sound_proof().0,
        }
    }
}

/// All samples, those that hold first.
pub fn all() -> Vec<Sample> {
    [holding(), broken::all()].concat()
}

/// All files of the samples by their names, the index among them.
pub fn files() -> BTreeMap<&'static str, String> {
    let samples = all();
    let entry = |sample: &Sample| {
        json!({
            "evidence": sample.file,
            "trust": sample.trust.file(),
            "title": sample.title,
            "shows": sample.shows,
            "code": sample.code,
        })
    };
    let index: Vec<_> = samples.iter().map(entry).collect();
    let index = serde_json::to_string_pretty(&index).expect("texts are JSON");
    let mut files = BTreeMap::from([("index.json", index + "\n")]);
    for sample in samples {
        files.insert(sample.trust.file(), sample.trust.trust().to_json() + "\n");
        files.insert(sample.file, sample.evidence);
    }
    files
}

fn holding() -> Vec<Sample> {
    let history = History::golden();
    vec![
        Sample {
            file: "one-record.tlog-proof",
            title: "One record, proven",
            shows: "An agent's intent, logged before it acted, and the four hashes that lead to the signed root.",
            evidence: history.proof(6),
            trust: Asked::Log,
            code: None,
        },
        Sample {
            file: "witnessed.tlog-proof",
            title: "One record, witnessed",
            shows: "The same, under a trust that asks for an independent witness, and a witness who has cosigned.",
            evidence: history.proof_witnessed(6),
            trust: Asked::Witness,
            code: None,
        },
        Sample {
            file: "agent.state-proof.jsonl",
            title: "One agent, at one time",
            shows: "What a pulse of the log says of an agent: that it runs, in which epoch, and under which lease.",
            evidence: states::sound_proof().1,
            trust: Asked::Pulsing,
            code: None,
        },
        Sample {
            file: "history.pack.jsonl",
            title: "A whole short history",
            shows: "All sixteen entries of a log: a charter, an agent that is registered, leased, works, and is stopped.",
            evidence: history.pack(),
            trust: Asked::Log,
            code: None,
        },
        Sample {
            file: "window.pack.jsonl",
            title: "A window of it",
            shows: "Five entries from the middle. They are in the log, but who may sign them stands in front of them.",
            evidence: history.window(5, 10),
            trust: Asked::Log,
            code: None,
        },
        Sample {
            file: "continued.pack.jsonl",
            title: "It goes on from an earlier one",
            shows: "The same history, with a checkpoint of when it was shorter, and the proof that it was only added to.",
            evidence: history.pack_since(&history, 9),
            trust: Asked::Log,
            code: None,
        },
    ]
}
