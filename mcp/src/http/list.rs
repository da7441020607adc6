//! Asking a server over HTTP which tools it has.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use super::upstream::{self, Upstream};
use crate::list::{Line, ListError, STATELESS_REVISION, answers, tools};
use crate::tools::Definition;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The tools of the server, which is asked directly.
///
/// # Errors
///
/// [`ListError`].
pub fn tools_by_http(server: &Upstream) -> Result<Vec<Definition>, ListError> {
    upstream::provide();
    let client = Client::builder().timeout(TIMEOUT);
    let client = client.redirect(reqwest::redirect::Policy::none()).build()?;
    tools(&mut Http {
        client,
        url: server.url().to_owned(),
        session: None,
        revision: None,
    })
}

struct Http {
    client: Client,
    url: String,
    session: Option<HeaderValue>,
    revision: Option<String>,
}

impl Http {
    fn post(&mut self, message: &Value) -> Result<Response, ListError> {
        let method = message["method"].as_str().unwrap_or_default();
        let is_stateless = message.pointer("/params/_meta").is_some();
        let mut request = self.client.post(&self.url);
        request = request.header(ACCEPT, "application/json, text/event-stream");
        request = request.header(CONTENT_TYPE, "application/json");
        if is_stateless {
            request = request.header("MCP-Protocol-Version", STATELESS_REVISION);
            request = request.header("Mcp-Method", method);
        } else if let Some(revision) = &self.revision {
            request = request.header("MCP-Protocol-Version", revision);
        }
        if let Some(session) = &self.session {
            request = request.header("Mcp-Session-Id", session);
        }
        let response = request.body(message.to_string()).send()?;
        if !response.status().is_success() {
            return Err(ListError::Status(response.status().as_u16()));
        }
        let session = response.headers().get("mcp-session-id").cloned();
        self.session = session.or(self.session.take());
        Ok(response)
    }
}

impl Line for Http {
    fn ask(&mut self, request: &Value) -> Result<Value, ListError> {
        let response = self.post(request)?;
        let mut lines = BufReader::new(response);
        let mut line = Vec::new();
        // An answer in one piece is one line or several, an event's data is one that begins so.
        let mut whole = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            let data = line.strip_prefix(b"data:").unwrap_or(&line);
            whole.extend(data);
            for json in [data, whole.as_slice()] {
                if let Ok(message) = serde_json::from_slice::<Value>(json)
                    && answers(&message, request)
                {
                    let revision = message.pointer("/result/protocolVersion");
                    let revision = revision.and_then(Value::as_str).map(str::to_owned);
                    self.revision = revision.or(self.revision.take());
                    return Ok(message);
                }
            }
            line.clear();
        }
        Err(ListError::Ended)
    }

    fn say(&mut self, notification: &Value) -> Result<(), ListError> {
        self.post(notification).map(drop)
    }
}
