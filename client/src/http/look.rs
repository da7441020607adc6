//! Asks an address, and returns the answer as it came, for a caller that does not know yet whether it is a service.

use std::time::UNIX_EPOCH;

use reqwest::Method;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderName, LOCATION};
use serde::de::DeserializeOwned;

use super::{Service, answer_to, problem, read, retry_after_s};
use crate::transport::{Problem, ServiceError};

/// An answer, whatever it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The HTTP status.
    pub status: u16,
    /// What the body is said to be, without parameters.
    pub content_type: String,
    /// Where the answer sends its reader, if it does.
    pub location: Option<String>,
    /// What time it was there, to the second: milliseconds since the epoch.
    pub date_ms: Option<u64>,
    body: Vec<u8>,
    retry_after_s: Option<u64>,
}

impl Service {
    /// Looks at a path, and takes whatever answer comes: a refusal, a page, a redirect.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unreachable`], [`ServiceError::BrokenOff`], [`ServiceError::TooLong`].
    pub fn look(&self, path: &str) -> Result<Look, ServiceError> {
        let request = self.request(Method::GET, path);
        let response = answer_to(request)?;
        let content_type = text(&response, CONTENT_TYPE).unwrap_or_default();
        Ok(Look {
            status: response.status().as_u16(),
            content_type: content_type
                .split(';')
                .next()
                .unwrap_or_default()
                .to_owned(),
            location: text(&response, LOCATION),
            date_ms: date_ms(&response),
            retry_after_s: retry_after_s(&response),
            body: read(&format!("GET {path}"), response)?,
        })
    }
}

impl Look {
    /// The body as JSON, if it is that.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as it came.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// What a refusal says.
    pub fn problem(&self) -> Problem {
        problem::read(self.status, self.retry_after_s, &self.body)
    }
}

/// What time it was there, to the second.
pub(super) fn date_ms(response: &Response) -> Option<u64> {
    text(response, DATE).and_then(|date| milliseconds(&date))
}

fn text(response: &Response, name: HeaderName) -> Option<String> {
    let value = response.headers().get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

/// RFC 9110 §5.6.7.
fn milliseconds(date: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(date).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answering, http};
    use super::*;

    #[test]
    fn an_answer_is_looked_at_as_it_came() {
        let headers = "content-type: text/html; charset=utf-8\r\nlocation: /x\r\n\
            date: Tue, 14 Nov 2023 22:13:20 GMT\r\n";
        let (service, asked) = answering(&http("302 Found", headers, "<html>"));
        let look = service.look("/healthz").unwrap();
        assert_eq!(asked.join().unwrap(), "GET /healthz HTTP/1.1");
        assert_eq!(
            (look.status, look.content_type.as_str()),
            (302, "text/html")
        );
        assert_eq!(look.location.as_deref(), Some("/x"));
        assert_eq!(look.date_ms, Some(1_700_000_000_000));
        assert_eq!(look.json::<Vec<u8>>(), None);
        assert_eq!(look.problem().detail, "Found");
    }

    #[test]
    fn what_is_no_date_gives_no_time() {
        for text in ["", "yesterday", "Thu, 01 Jan 1970 00:00:0"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
