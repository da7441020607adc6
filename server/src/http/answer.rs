//! The answer to a record that is in the log, and what a refused one is told.

use ledger::codes::Refusal;
use ledger::record::{Body, Chain, SignedRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Expected, Problem};
use super::standing::{self, Standing};
use crate::log::{Outcome, Published, Submitted};

/// A record that is durable, in the tree, and under a signed checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer {
    /// The entry's index.
    pub(super) index: u64,
    /// The record's name, `sha256:` and 64 hex digits.
    pub(super) record: String,
    /// When the log received it: milliseconds since the epoch.
    pub(super) received_ms: u64,
    /// Whether it is new, or was in the log before.
    pub(super) result: Logged,
    /// The proof that it is in the log (c2sp.org/tlog-proof), with the leaf in `extra`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proof: Option<String>,
    /// The rule that it breaks, in observe mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "scope-denied")]
    pub(super) breach: Option<&'static str>,
    /// Where the agent that signed it stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<Standing>,
}

/// How a record came to be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Logged {
    /// It is new.
    Logged,
    /// It was there before; this is the index that it has.
    Duplicate,
}

/// What is needed of a record after it was handed to the log.
#[derive(Clone, Debug)]
pub(super) struct Sender(Option<Chain>);

impl Sender {
    /// Remembers whose chain a record stands in, if any.
    pub(super) fn of(record: &SignedRecord) -> Self {
        Self(match &record.record().body {
            Body::Heartbeat(heartbeat) => Some(heartbeat.chain.clone()),
            Body::Receipt(receipt) => Some(receipt.chain.clone()),
            _ => None,
        })
    }

    /// What to say of a record that was refused: a process whose epoch and instance are the current
    /// ones is told what its chain expects, and nobody else is.
    pub(super) fn problem(&self, published: &Published, refusal: Refusal) -> Problem {
        let problem = Problem::from(refusal);
        if problem.status() != axum::http::StatusCode::CONFLICT {
            return problem;
        }
        let agent = self.0.as_ref().and_then(|chain| {
            let agent = published.state.agent(&chain.agent)?;
            standing::is_current(chain, agent).then_some(agent)
        });
        problem.expecting(agent.map(|agent| Expected {
            next_seq: agent.next_seq(),
            head: agent.head(),
        }))
    }
}

impl Answer {
    /// Tells what became of a record, with its proof against the newest head if that is wanted.
    ///
    /// # Errors
    /// `internal` if the proof cannot be made, or would not verify.
    pub(super) fn new(
        submitted: &Submitted,
        sender: &Sender,
        with_proof: bool,
    ) -> Result<Self, Problem> {
        let published = &submitted.published;
        let prove = || published.proof_file(submitted.index, published.size);
        Ok(Self {
            index: submitted.index.get(),
            record: submitted.record.to_string(),
            received_ms: submitted.received_ms,
            result: match submitted.result {
                Outcome::Logged => Logged::Logged,
                Outcome::Duplicate => Logged::Duplicate,
            },
            proof: with_proof.then(prove).transpose()?,
            breach: submitted.breach.as_ref().map(|breach| breach.code.as_str()),
            agent: sender
                .0
                .as_ref()
                .and_then(|chain| Standing::of(chain, published)),
        })
    }
}
