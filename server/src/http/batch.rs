//! Many records in one body: each judged alone, in their order, many under way at once.
//!
//! ```text
//! lines ──▶ parse ──▶ check signatures ──▶ queue      window n + 1
//!                                            │
//!                             answers ◀── outcomes    window n
//! ```
//!
//! A window of lines is queued before the outcomes of the one before it are waited for, so the sequencer
//! always has something to do, and what an agent signed one after another arrives one after another.

use std::collections::BTreeMap;

use axum::body::Bytes;
use ledger::codes::Code;
use ledger::govern::State;
use ledger::record::{CheckedRecord, SignedRecord};
use ledger::text::Name;
use serde::Serialize;
use wire::Submitted as Answer;

use super::admission::{Admission, Pass};
use super::answer::{Sender, answer};
use super::limits::{MAX_BATCH_LINES, MAX_RECORDS_UNDER_WAY};
use super::problem::{InternalText, Problem, ProblemDocument};
use super::reading;
use crate::log::{Log, Pending};

/// Two windows are under way at once.
const WINDOW: usize = MAX_RECORDS_UNDER_WAY / 2;

/// The lines of a body. A newline ends a line, so one at the end begins none.
///
/// # Errors
/// `malformed` without a line, `too-large` with more than [`MAX_BATCH_LINES`]: before any is logged.
pub(super) fn split(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let text = body.strip_suffix(b"\n").unwrap_or(body);
    if body.is_empty() {
        return Err(Problem::malformed("a body without a line"));
    }
    let lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| body.slice_ref(line));
    let lines: Vec<Bytes> = lines.take(MAX_BATCH_LINES + 1).collect();
    if lines.len() > MAX_BATCH_LINES {
        return Err(Code::TooLarge
            .because(format!("more than {MAX_BATCH_LINES} lines"))
            .into());
    }
    Ok(lines)
}

/// Logs the record of each line and gives a line for each: an answer or a problem.
///
/// # Errors
/// `internal` if the answers cannot be written; what each line came to is in the answers.
pub(super) async fn log_all(
    log: &Log,
    admission: &Admission,
    lines: Vec<Bytes>,
    with_proof: bool,
) -> Result<Vec<u8>, Problem> {
    let mut answers = Vec::new();
    let mut queue = Queue {
        log,
        admission,
        closed: None,
        too_fast: BTreeMap::new(),
    };
    let mut before = Vec::new();
    for window in lines.chunks(WINDOW) {
        let queued = queue.take(window.to_vec()).await?;
        answers.extend(settle(log, before, with_proof).await?);
        before = queued;
    }
    answers.extend(settle(log, before, with_proof).await?);
    Ok(answers)
}

/// A line that is on its way through the log, or was turned away before.
type UnderWay = Result<(Sender, Entered), Problem>;

/// A record in the queue, and its right to be there.
type Entered = (Pending, Pass);

/// Puts lines into the log's queue.
struct Queue<'a> {
    log: &'a Log,
    admission: &'a Admission,
    /// Set once the queue took a record no more. Those behind it may rest on it and are not tried.
    closed: Option<Problem>,
    /// The agents that sent too fast. What they signed next may rest on what was not taken, and is not tried either.
    too_fast: BTreeMap<Name, Problem>,
}

impl Queue<'_> {
    async fn take(&mut self, lines: Vec<Bytes>) -> Result<Vec<UnderWay>, Problem> {
        let parsed = reading::apart(move || Ok(parse_all(&lines))).await?;
        let (senders, records) = parsed;
        let mut pending = self.enqueue(records).await.into_iter();
        let lost = || {
            Err(Problem::internal(
                "the log lost a record before it was queued",
            ))
        };
        let under_way = senders.into_iter().map(|sender| {
            let sender = sender?;
            let pending = pending.next().unwrap_or_else(lost)?;
            Ok((sender, pending))
        });
        Ok(under_way.collect())
    }

    /// Puts records into the queue, in their order: signatures are checked side by side, but what an agent signed one
    /// after another arrives one after another.
    async fn enqueue(&mut self, records: Vec<SignedRecord>) -> Vec<Result<Entered, Problem>> {
        let count = records.len();
        let published = self.log.published();
        match self.log.check(records).await {
            Ok(checked) => checked
                .into_iter()
                .map(|record| self.enter(record, &published.state))
                .collect(),
            Err(refusal) => vec![refusal; count]
                .into_iter()
                .map(|refusal| Err(refusal.into()))
                .collect(),
        }
    }

    fn enter(&mut self, record: CheckedRecord, state: &State) -> Result<Entered, Problem> {
        let agent = record.record().agent().cloned();
        let before = agent.as_ref().and_then(|agent| self.too_fast.get(agent));
        if let Some(problem) = self.closed.as_ref().or(before) {
            return Err(problem.clone());
        }
        let pass = self.admission.admit(&record, state);
        let pass = pass.inspect_err(|problem| match agent {
            Some(agent) if problem.is(Code::RateLimited) => {
                self.too_fast.insert(agent, problem.clone());
            }
            None if problem.is(Code::RateLimited) => {}
            _ => self.closed = Some(problem.clone()),
        })?;
        let pending = self.log.enter(record).map_err(Problem::from);
        let pending = pending.inspect_err(|problem| self.closed = Some(problem.clone()))?;
        Ok((pending, pass))
    }
}

/// Reads each line: a sender for each record, and the records by themselves.
fn parse_all(lines: &[Bytes]) -> (Vec<Result<Sender, Problem>>, Vec<SignedRecord>) {
    let mut records = Vec::with_capacity(lines.len());
    let senders = lines.iter().map(|line| {
        let record = SignedRecord::parse(line)?;
        let sender = Sender::of(&record);
        records.push(record);
        Ok(sender)
    });
    (senders.collect(), records)
}

/// Waits for what became of each line and writes it down.
async fn settle(log: &Log, under_way: Vec<UnderWay>, with_proof: bool) -> Result<Vec<u8>, Problem> {
    let mut settled = Vec::with_capacity(under_way.len());
    for line in under_way {
        settled.push(match line {
            Err(problem) => Err(problem),
            Ok((sender, (pending, _pass))) => match pending.outcome().await {
                Ok(submitted) => Ok((submitted, sender)),
                Err(refusal) => Err(sender.problem(&log.published(), refusal)),
            },
        });
    }
    let answers = move || {
        let answer = |(submitted, sender)| answer(&submitted, &sender, with_proof);
        let lines = settled
            .into_iter()
            .map(|line| Line::from(line.and_then(answer)));
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, &line).map_err(Problem::internal)?;
            bytes.push(b'\n');
        }
        Ok(bytes)
    };
    reading::apart(answers).await
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Answer(Box<Answer>),
    Problem(Box<ProblemDocument>),
}

impl From<Result<Answer, Problem>> for Line {
    fn from(line: Result<Answer, Problem>) -> Self {
        match line {
            Ok(answer) => Self::Answer(Box::new(answer)),
            Err(problem) => {
                // The request as a whole succeeds, so its own line in the log will not tell.
                if let Some(InternalText(reason)) = problem.internal_text() {
                    tracing::warn!(reason, "one line of many turned away");
                }
                Self::Problem(Box::new(problem.document()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_ends_a_line() {
        let lines = |body: &'static str| {
            let lines = split(&Bytes::from_static(body.as_bytes()));
            lines.map(|lines| {
                lines
                    .iter()
                    .map(|line| String::from_utf8_lossy(line).into_owned())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(lines("a").unwrap(), ["a"]);
        assert_eq!(lines("a\n").unwrap(), ["a"]);
        assert_eq!(lines("a\n\nb\n").unwrap(), ["a", "", "b"]);
        assert_eq!(lines("\n").unwrap(), [""]);
        assert_eq!(lines("a\r\n").unwrap(), ["a\r"]);
        assert_eq!(lines("").unwrap_err().document().code, "malformed");
    }

    #[test]
    fn one_line_too_many_is_too_large() {
        let body = |lines: usize| Bytes::from("x\n".repeat(lines));
        assert_eq!(
            split(&body(MAX_BATCH_LINES)).unwrap().len(),
            MAX_BATCH_LINES
        );
        let refused = split(&body(MAX_BATCH_LINES + 1)).unwrap_err();
        assert_eq!(refused.document().code, "too-large");
    }
}
