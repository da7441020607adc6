//! Many records in one request, one a line, each judged alone.

use ledger::envelope::Envelope;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use wire::Submitted;

use super::{Service, malformed, problem};
use crate::transport::{Problem, ServiceError, up_to_an_error};

const WHAT: &str = "POST /v1/entries";

/// What the service says of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineAnswer {
    /// The record is in the log, by the service's word: lines come without proofs.
    Logged {
        /// Its index.
        index: u64,
        /// Whether it was there before.
        is_duplicate: bool,
    },
    /// The record is not in the log.
    Refused(Box<Problem>),
}

impl Service {
    /// Hands many records to the log, at most 4,096. Gives an answer for each, in their order.
    ///
    /// # Errors
    ///
    /// [`ServiceError`], where nobody knows of any of them.
    pub fn submit_lines<'a>(
        &self,
        envelopes: impl ExactSizeIterator<Item = &'a Envelope>,
    ) -> Result<Vec<LineAnswer>, ServiceError> {
        let count = envelopes.len();
        let answer = self.submit_text("/v1/entries", envelopes)?;
        let answers: Vec<LineAnswer> = answer.lines().map(read).collect::<Result<_, _>>()?;
        match answers.len() {
            got if got == count => Ok(answers),
            got => Err(malformed(
                WHAT.to_owned(),
                format!("{got} lines answer {count}"),
            )),
        }
    }

    /// Hands records to the log that rest on each other, each with its proof. Gives the answers up to the first that is an
    /// error.
    pub fn submit_in_a_row(&self, envelopes: &[&Envelope]) -> Vec<Result<Submitted, ServiceError>> {
        let answer = match self.submit_text("/v1/entries?proof=true", envelopes.iter().copied()) {
            Ok(answer) => answer,
            Err(error) => return vec![Err(error)],
        };
        let missing = std::iter::once_with(|| {
            Err(malformed(WHAT.to_owned(), "a record has no line of answer"))
        });
        let answers = answer.lines().map(proven).chain(missing);
        up_to_an_error(answers.take(envelopes.len()))
    }

    fn submit_text<'a>(
        &self,
        path: &str,
        envelopes: impl Iterator<Item = &'a Envelope>,
    ) -> Result<String, ServiceError> {
        let lines: Vec<String> = envelopes.map(Envelope::to_json).collect();
        let request = self.request(Method::POST, path);
        let request = request
            .header(CONTENT_TYPE, wire::media::JSON_LINES)
            .body(lines.join("\n"));
        self.send(WHAT, request)?.text()
    }
}

/// A line that is to have a proof.
fn proven(line: &str) -> Result<Submitted, ServiceError> {
    match read(line)? {
        LineAnswer::Logged { .. } => {
            serde_json::from_str(line).map_err(|error| malformed(WHAT.to_owned(), error))
        }
        LineAnswer::Refused(problem) => Err(ServiceError::Refused(problem)),
    }
}

fn read(line: &str) -> Result<LineAnswer, ServiceError> {
    let refuse = |reason: &str| malformed(WHAT.to_owned(), reason);
    let value: serde_json::Value =
        serde_json::from_str(line).map_err(|error| refuse(&error.to_string()))?;
    if let Some(index) = value.get("index").and_then(serde_json::Value::as_u64) {
        let is_duplicate = value.get("result").is_some_and(|it| it == "duplicate");
        return Ok(LineAnswer::Logged {
            index,
            is_duplicate,
        });
    }
    let status = value.get("status").and_then(serde_json::Value::as_u64);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.ok_or_else(|| refuse("a line that is neither an answer nor a problem"))?;
    let problem = problem::read(status, None, line.as_bytes());
    Ok(LineAnswer::Refused(Box::new(problem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_an_answer_or_a_problem() {
        let logged = read(r#"{"index":7,"record":"x","received_ms":1,"result":"duplicate"}"#);
        let expected = LineAnswer::Logged {
            index: 7,
            is_duplicate: true,
        };
        assert_eq!(logged.unwrap(), expected);
        let refused =
            read(r#"{"type":"about:blank","status":403,"code":"agent-unknown","detail":"x"}"#);
        assert!(
            matches!(refused, Ok(LineAnswer::Refused(problem)) if problem.says("agent-unknown"))
        );
        for other in ["", "{}", "[]", r#"{"status":70000}"#] {
            assert!(read(other).is_err(), "{other}");
        }
    }
}
