//! Many records in one request, one a line, each judged alone.

use ledger::envelope::Envelope;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use super::{Problem, Service, ServiceError, malformed};

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
        const WHAT: &str = "POST /v1/entries";
        let count = envelopes.len();
        let lines: Vec<String> = envelopes.map(Envelope::to_json).collect();
        let request = self.request(Method::POST, "/v1/entries");
        let request = request
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(lines.join("\n"));
        let answer = self.send(WHAT, request)?.text()?;
        let answers: Vec<LineAnswer> = answer.lines().map(read).collect::<Result<_, _>>()?;
        match answers.len() {
            got if got == count => Ok(answers),
            got => Err(malformed(
                WHAT.to_owned(),
                format!("{got} lines answer {count}"),
            )),
        }
    }
}

fn read(line: &str) -> Result<LineAnswer, ServiceError> {
    let refuse = |reason: &str| malformed("POST /v1/entries".to_owned(), reason);
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
    let problem = Problem::read(status, None, line.as_bytes());
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
