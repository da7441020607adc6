//! The answer to a record that is in the log, and what a refused one is told.

use ledger::codes::Refusal;
use ledger::record::{Body, Chain, SignedRecord};
use wire::{Logged, Submitted as Answer};

use super::problem::{Expected, Problem};
use super::standing;
use crate::log::{Outcome, Published, Submitted};

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

/// Tells what became of a record, with its proof against the newest head if that is wanted.
///
/// # Errors
/// `internal` if the proof cannot be made, or would not verify.
pub(super) fn answer(
    submitted: &Submitted,
    sender: &Sender,
    with_proof: bool,
) -> Result<Answer, Problem> {
    let published = &submitted.published;
    let prove = || published.proof_file(submitted.index, published.size);
    Ok(Answer {
        index: submitted.index.get(),
        record: submitted.record,
        received_ms: submitted.received_ms,
        result: match submitted.result {
            Outcome::Logged => Logged::Logged,
            Outcome::Duplicate => Logged::Duplicate,
        },
        proof: with_proof.then(prove).transpose()?,
        breach: submitted
            .breach
            .as_ref()
            .map(|breach| breach.code.to_string()),
        agent: sender
            .0
            .as_ref()
            .and_then(|chain| standing::of(chain, published)),
    })
}
