//! Asking a server which tools it has, as a client of its own: for the manifest of an agent that is to use them.

use std::io::{BufRead, Write};

use serde_json::{Value, json};

use crate::tools::{Definition, definitions};

/// The revision that is asked for; a server may answer with another.
const REVISION: &str = "2025-11-25";

/// The revision without `initialize`, for servers that know no other.
pub(crate) const STATELESS_REVISION: &str = "2026-07-28";

/// How many pages a list may have.
const MAX_PAGES: usize = 1000;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The stream broke off.
    #[error("the server does not answer")]
    Stream(#[from] std::io::Error),
    /// The server ended before its answer.
    #[error("the server exited before it answered")]
    Ended,
    /// The server refused.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The connection failed.
    #[error("the server does not answer")]
    Unreachable(#[from] reqwest::Error),
    /// The server answered with an HTTP status.
    #[error("the server answers with the status {0}")]
    Status(u16),
    /// The list does not end.
    #[error("the list of tools has more than {MAX_PAGES} pages")]
    Endless,
}

/// Carries messages to a server, and its answers back.
pub(crate) trait Line {
    /// Says a request, and waits for its answer.
    fn ask(&mut self, request: &Value) -> Result<Value, ListError>;

    /// Says a notification.
    fn say(&mut self, notification: &Value) -> Result<(), ListError>;
}

/// The tools of a server on two streams of lines.
///
/// # Errors
///
/// [`ListError`].
pub fn tools_by_stdio(
    to_server: impl Write,
    from_server: impl BufRead,
) -> Result<Vec<Definition>, ListError> {
    tools(&mut Stdio {
        to_server,
        from_server,
    })
}

/// The tools of a server, by whatever carries the messages.
pub(crate) fn tools(line: &mut impl Line) -> Result<Vec<Definition>, ListError> {
    let meta = greet(line)?;
    let mut found = Vec::new();
    let mut cursor = Value::Null;
    for id in 2..2 + MAX_PAGES {
        let mut params = json!({});
        if !meta.is_null() {
            params["_meta"] = meta.clone();
        }
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        let request = json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": params});
        let result = result(line.ask(&request)?)?;
        found.extend(definitions(result.to_string().as_bytes()));
        cursor = result.get("nextCursor").cloned().unwrap_or_default();
        if cursor.is_null() {
            return Ok(found);
        }
    }
    Err(ListError::Endless)
}

/// Initializes; what comes back is the `_meta` that each request needs where the server knows no sessions.
fn greet(line: &mut impl Line) -> Result<Value, ListError> {
    let client = json!({"name": "dragons", "version": env!("CARGO_PKG_VERSION")});
    let params = json!({"protocolVersion": REVISION, "capabilities": {}, "clientInfo": client});
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    match line.ask(&request).and_then(result) {
        Ok(_) => {
            line.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
            Ok(Value::Null)
        }
        Err(ListError::Refused(_) | ListError::Status(_)) => Ok(json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS_REVISION,
            "io.modelcontextprotocol/clientInfo": client,
            "io.modelcontextprotocol/clientCapabilities": {},
        })),
        Err(error) => Err(error),
    }
}

fn result(mut answer: Value) -> Result<Value, ListError> {
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => {
            let why = answer.pointer("/error/message").and_then(Value::as_str);
            Err(ListError::Refused(
                why.unwrap_or("it does not say why").to_owned(),
            ))
        }
    }
}

/// Whether a message of the server is the answer to a request.
pub(crate) fn answers(message: &Value, request: &Value) -> bool {
    message.get("method").is_none() && message.get("id") == request.get("id")
}

struct Stdio<W, R> {
    to_server: W,
    from_server: R,
}

impl<W: Write, R: BufRead> Line for Stdio<W, R> {
    fn ask(&mut self, request: &Value) -> Result<Value, ListError> {
        self.say(request)?;
        let mut line = Vec::new();
        while self.from_server.read_until(b'\n', &mut line)? > 0 {
            // What is not a message, or not this answer, is not for us.
            match serde_json::from_slice::<Value>(&line) {
                Ok(message) if answers(&message, request) => return Ok(message),
                _ => line.clear(),
            }
        }
        Err(ListError::Ended)
    }

    fn say(&mut self, message: &Value) -> Result<(), ListError> {
        writeln!(self.to_server, "{message}")?;
        Ok(self.to_server.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: &str) -> (Result<Vec<String>, ListError>, Vec<Value>) {
        let mut said = Vec::new();
        let found = tools_by_stdio(&mut said, answers.as_bytes());
        let found = found.map(|found| found.into_iter().map(|one| one.called).collect());
        let lines = String::from_utf8(said).unwrap();
        (
            found,
            lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        )
    }

    #[test]
    fn a_list_is_read_page_by_page() {
        let (found, said) = check(
            "starting\n{\"id\":1,\"result\":{}}\n{\"method\":\"ping\",\"id\":2}\n{\"id\":2,\"result\":{\"tools\":[{\"name\":\"a\"}],\"nextCursor\":\"c\"}}\n{\"id\":3,\"result\":{\"tools\":[{\"name\":\"b\"}]}}\n",
        );
        assert_eq!(found.unwrap(), ["a", "b"]);
        let methods: Vec<_> = said
            .iter()
            .map(|one| one["method"].as_str().unwrap())
            .collect();
        assert_eq!(
            methods,
            [
                "initialize",
                "notifications/initialized",
                "tools/list",
                "tools/list"
            ]
        );
        assert_eq!(said[3]["params"]["cursor"], "c");
    }

    #[test]
    fn a_server_without_sessions_is_asked_without() {
        let (found, said) = check(
            "{\"id\":1,\"error\":{\"code\":-32601,\"message\":\"unknown\"}}\n{\"id\":2,\"result\":{\"tools\":[{\"name\":\"a\"}]}}\n",
        );
        assert_eq!(found.unwrap(), ["a"]);
        let meta = &said[1]["params"]["_meta"];
        assert_eq!(
            meta["io.modelcontextprotocol/protocolVersion"],
            STATELESS_REVISION
        );
    }

    #[test]
    fn a_server_that_ends_or_refuses_has_no_list() {
        assert!(matches!(check("").0, Err(ListError::Ended)));
        let refused = "{\"id\":1,\"result\":{}}\n{\"id\":2,\"error\":{\"message\":\"no tools\"}}\n";
        assert!(matches!(check(refused).0, Err(ListError::Refused(why)) if why == "no tools"));
    }
}
