//! Calls to the service, one method a request. Answers are read as claims: bounded in size, strict in form where
//! they matter, and believed by nobody here.

mod answer;
mod connection;
mod events;
mod lines;
mod look;
mod pack;
mod problem;

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger::digest::RecordHash;
use ledger::envelope::Envelope;
use ledger::json::Value;
use ledger::request::SignedRequest;
use ledger::text::Name;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use tlog::{Hash, LeafIndex, TreeSize};
use wire::{
    AgentAsOf, Agents, Charter, Consistency, Lease, LeaseRequest, LeaseRequests, Place, Submitted,
};

use crate::clock::{Heard, Moment};
use crate::transport::{MAX_ANSWER_BYTES, ServiceError, Transport};

pub use answer::{Requests, Waiting};
pub use lines::LineAnswer;
pub use look::Look;
pub use pack::Wanted;

/// How long a whole answer may take. The service answers a record once it is durable, within a second even when
/// it is busy; the rest is for slow lines.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a pack may take: the service keeps no connection for longer.
const PACK_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// A service somewhere.
#[derive(Clone, Debug)]
pub struct Service {
    base: String,
    shown: String,
    client: Client,
    answer_timeout: Duration,
    /// The service's time by its last answer.
    heard: Arc<Mutex<Option<Heard>>>,
}

impl Service {
    /// The service at an address, such as `http://127.0.0.1:7117`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Address`] or [`ServiceError::Setup`].
    pub fn at(url: &str) -> Result<Self, ServiceError> {
        let refuse = |reason: String| ServiceError::Address {
            url: connection::shown(url),
            reason,
        };
        let parsed = Url::parse(url).map_err(|error| refuse(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err(refuse(
                "it begins with http:// or https:// and a host".to_owned(),
            ));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(refuse("it has no query and no fragment".to_owned()));
        }
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self {
            shown: connection::shown(&base),
            base,
            client: connection::client(&parsed)
                .map_err(|error| ServiceError::Setup(error.into()))?,
            answer_timeout: ANSWER_TIMEOUT,
            heard: Arc::default(),
        })
    }

    /// The same service, whose whole answers may take this long and no longer; packs are not meant.
    #[must_use]
    pub fn within(self, answer_timeout: Duration) -> Self {
        Self {
            answer_timeout,
            ..self
        }
    }

    /// The address, to be shown: without a password that may be in it.
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// What time it was there by its last answer, as HTTP tells it: to the second.
    pub fn heard(&self) -> Option<Heard> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest checkpoint, as text.
    ///
    /// # Errors
    ///
    /// As every call: [`ServiceError`].
    pub fn checkpoint(&self) -> Result<String, ServiceError> {
        self.get("/checkpoint")?.text()
    }

    /// The proof file of an entry, of the tree of a size or the newest.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError> {
        let size = size.map(|size| format!("?size={size}")).unwrap_or_default();
        self.get(&format!("/v1/entries/{index}/proof{size}"))?
            .text()
    }

    /// What the newest pulse up to an entry, or of all, says about an agent: a state proof.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn state_proof(&self, agent: &Name, at: Option<LeafIndex>) -> Result<String, ServiceError> {
        let at = at.map(|at| format!("?at={at}")).unwrap_or_default();
        self.get(&format!("/v1/agents/{}/proof{at}", agent.as_str()))?
            .text()
    }

    /// Where a record is.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
        self.get(&format!("/v1/records/{record}"))?.json()
    }

    /// The hashes that should show the tree of `new` entries to extend that of `old`.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError> {
        self.get(&format!("/v1/consistency?old={old}&new={new}"))?
            .json()
    }

    /// The hashes that should show the tree of `new` entries to extend that of `old`; none where either is the
    /// beginning of every other.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn consistency_hashes(
        &self,
        old: TreeSize,
        new: TreeSize,
    ) -> Result<Vec<Hash>, ServiceError> {
        if old == TreeSize::EMPTY || old == new {
            return Ok(Vec::new());
        }
        let request = format!("GET /v1/consistency?old={old}&new={new}");
        let hashes = self.consistency(old, new)?.hashes;
        let parse = |hash: &String| {
            hash.parse()
                .map_err(|error| malformed(request.clone(), error))
        };
        hashes.iter().map(parse).collect()
    }

    /// An evidence pack, as the bytes that come. Whether they are all that was to come, only its lines can tell.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn pack(&self, wanted: &Wanted) -> Result<impl Read + use<>, ServiceError> {
        let path = format!("/v1/pack?{wanted}");
        let request = self.request(Method::GET, &path).timeout(PACK_TIMEOUT);
        begin(&format!("GET {path}"), request)
    }

    /// The charter in force, and the log's name.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn charter(&self) -> Result<(Charter, Value), ServiceError> {
        self.get("/v1/charter")?.json_and_value()
    }

    /// A page of agents whose names sort behind `after`.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn agents(&self, after: Option<&Name>) -> Result<(Agents, Value), ServiceError> {
        let after = after
            .map(|name| format!("?after={name}"))
            .unwrap_or_default();
        self.get(&format!("/v1/agents{after}"))?.json_and_value()
    }

    /// An agent.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn agent(&self, name: &Name) -> Result<(AgentAsOf, Value), ServiceError> {
        self.get(&format!("/v1/agents/{name}"))?.json_and_value()
    }

    /// A lease, as it is now.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn lease(&self, lease: &RecordHash) -> Result<Lease, ServiceError> {
        self.get(&format!("/v1/leases/{lease}"))?.json()
    }

    /// Hands a record to the log.
    ///
    /// # Errors
    ///
    /// As every call; [`ServiceError::Refused`] tells by its code why the record was not let in.
    pub fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError> {
        let request = self.request(Method::POST, "/v1/entries");
        let request = request
            .header(CONTENT_TYPE, wire::media::JSON)
            .body(envelope.to_json());
        self.send("POST /v1/entries", request)?.json()
    }

    /// Puts a request for a lease into the inbox, where operators see it.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn ask(&self, request: &SignedRequest) -> Result<Waiting, ServiceError> {
        let builder = self.request(Method::POST, "/v1/requests");
        let builder = builder
            .header(CONTENT_TYPE, wire::media::JSON)
            .body(request.to_json());
        let waiting: LeaseRequest = self.send("POST /v1/requests", builder)?.json()?;
        Waiting::read(&waiting, "POST /v1/requests")
    }

    /// A page of the requests for leases, of agents whose names sort behind `after`.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn requests(&self, after: Option<&Name>) -> Result<Requests, ServiceError> {
        let after = after
            .map(|name| format!("?after={name}"))
            .unwrap_or_default();
        let page: LeaseRequests = self.get(&format!("/v1/requests{after}"))?.json()?;
        Requests::read(&page, "GET /v1/requests")
    }

    fn get(&self, path: &str) -> Result<Body, ServiceError> {
        self.send(&format!("GET {path}"), self.request(Method::GET, path))
    }

    fn send(&self, request: &str, builder: RequestBuilder) -> Result<Body, ServiceError> {
        let sent = Moment::now();
        let response = answer_to(builder)?;
        if let Some(log_ms) = look::date_ms(&response) {
            // The second that has begun may be nearly over.
            let log_ms = log_ms.saturating_add(1_000);
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Heard { log_ms, sent });
        }
        let response = unless_refused(request, response)?;
        Ok(Body {
            bytes: read(request, response)?,
            request: request.to_owned(),
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // The client's own timeout would begin again with each piece of an answer.
        let request = self.client.request(method, format!("{}{path}", self.base));
        request.timeout(self.answer_timeout)
    }
}

impl Transport for Service {
    fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError> {
        Self::submit(self, envelope)
    }

    fn submit_in_a_row(&self, envelopes: &[&Envelope]) -> Vec<Result<Submitted, ServiceError>> {
        Self::submit_in_a_row(self, envelopes)
    }

    fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
        Self::place(self, record)
    }

    fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError> {
        Self::proof(self, index, size)
    }

    fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError> {
        Self::consistency(self, old, new)
    }

    fn agent(&self, name: &Name) -> Result<AgentAsOf, ServiceError> {
        Ok(Self::agent(self, name)?.0)
    }

    fn charter(&self) -> Result<Charter, ServiceError> {
        Ok(Self::charter(self)?.0)
    }

    fn heard(&self) -> Option<Heard> {
        Self::heard(self)
    }
}

/// The bytes of an answer that was not a refusal, and what they answer.
struct Body {
    request: String,
    bytes: Vec<u8>,
}

/// An answer that is not a refusal, its body still to be read.
fn begin(request: &str, builder: RequestBuilder) -> Result<Response, ServiceError> {
    unless_refused(request, answer_to(builder)?)
}

fn answer_to(builder: RequestBuilder) -> Result<Response, ServiceError> {
    let answer = builder.send();
    answer.map_err(|error| ServiceError::Unreachable(error.into()))
}

fn unless_refused(request: &str, response: Response) -> Result<Response, ServiceError> {
    let (status, retry_after_s) = (response.status(), retry_after_s(&response));
    if status.is_success() {
        return Ok(response);
    }
    let body = read(request, response)?;
    Err(Box::new(problem::read(status.as_u16(), retry_after_s, &body)).into())
}

fn retry_after_s(response: &Response) -> Option<u64> {
    response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn read(request: &str, response: Response) -> Result<Vec<u8>, ServiceError> {
    let mut bytes = Vec::new();
    let read = response.take(MAX_ANSWER_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| ServiceError::BrokenOff {
        request: request.to_owned(),
        source,
    })?;
    if bytes.len() as u64 > MAX_ANSWER_BYTES {
        return Err(ServiceError::TooLong {
            request: request.to_owned(),
        });
    }
    Ok(bytes)
}

impl Body {
    fn text(self) -> Result<String, ServiceError> {
        let Self { request, bytes } = self;
        String::from_utf8(bytes).map_err(|error| malformed(request, error))
    }

    fn json<T: DeserializeOwned>(self) -> Result<T, ServiceError> {
        let Self { request, bytes } = self;
        serde_json::from_slice(&bytes).map_err(|error| malformed(request, error))
    }

    /// What is needed of the answer, and all of it to be shown.
    fn json_and_value<T: DeserializeOwned>(self) -> Result<(T, Value), ServiceError> {
        let value =
            Value::parse(&self.bytes).map_err(|error| malformed(self.request.clone(), error))?;
        Ok((self.json()?, value))
    }
}

fn malformed(request: String, reason: impl std::fmt::Display) -> ServiceError {
    ServiceError::Malformed {
        request,
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A service that gives one answer to one request, and what it was asked.
    pub(super) fn answering(answer: &[u8]) -> (Service, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Service::at(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let answer = answer.to_vec();
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            // The client may hang up before the end of an answer that is too long for it.
            let _ = stream.write_all(&answer);
            head.first().cloned().unwrap_or_default()
        });
        (service, asked)
    }

    pub(super) fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}").into()
    }

    #[test]
    fn a_call_asks_for_its_path_and_reads_its_answer() {
        let (service, asked) = answering(&http(
            "200 OK",
            "",
            "{\"old\":1,\"new\":2,\"hashes\":[],\"more\":0}",
        ));
        let answer = service
            .consistency(TreeSize::new(1), TreeSize::new(2))
            .unwrap();
        assert_eq!((answer.old, answer.new, answer.hashes.len()), (1, 2, 0));
        assert_eq!(
            asked.join().unwrap(),
            "GET /v1/consistency?old=1&new=2 HTTP/1.1"
        );
    }

    #[test]
    fn a_refusal_keeps_what_the_service_said() {
        let body = "{\"status\":409,\"title\":\"Conflict\",\"code\":\"sequence-gap\",\"detail\":\"seq 7\",\"next_seq\":3}";
        let (service, asked) = answering(&http("409 Conflict", "retry-after: 4\r\n", body));
        let Err(ServiceError::Refused(problem)) = service.checkpoint() else {
            panic!()
        };
        assert!(problem.says("sequence-gap") && problem.next_seq == Some(3));
        assert_eq!(problem.retry_after_s, Some(4));
        assert_eq!(problem.to_string(), "sequence-gap: seq 7");
        asked.join().unwrap();
    }

    #[test]
    fn whatever_else_comes_back_is_an_error() {
        let long = http("200 OK", "", &"x".repeat(4 * 1024 * 1024 + 1));
        let cases: [(&[u8], &str); 6] = [
            (&http("200 OK", "", "{}"), "not what was asked for"),
            (&http("200 OK", "", "<html>"), "not what was asked for"),
            (&long, "longer than"),
            (
                &http("302 Found", "location: http://127.0.0.1:1/\r\n", ""),
                "302",
            ),
            (&http("502 Bad Gateway", "", "<html>"), "502"),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
                "broke off",
            ),
        ];
        for (answer, says) in cases {
            let (service, asked) = answering(answer);
            let error = service
                .place(&"sha256:00".replace("00", &"0".repeat(64)).parse().unwrap())
                .unwrap_err();
            assert!(error.to_string().contains(says), "{says}: {error}");
            asked.join().unwrap();
        }
    }

    #[test]
    fn an_answer_that_drips_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Service::at(&url)
            .unwrap()
            .within(Duration::from_millis(300));
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let asked = BufReader::new(stream.try_clone().unwrap()).lines();
            asked.map_while(Result::ok).find(String::is_empty);
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            // Each drop comes well before a timeout that begins again with it.
            while sent.is_ok() {
                thread::sleep(Duration::from_millis(20));
                sent = stream.write_all(b" ");
            }
        });
        // On a machine that is busy the time may be over before the first drop.
        let error = service.checkpoint().unwrap_err();
        let is_late = matches!(
            error,
            ServiceError::BrokenOff { .. } | ServiceError::Unreachable(_)
        );
        assert!(is_late, "{error}");
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for url in [
            "",
            "127.0.0.1:7117",
            "ftp://x",
            "http://",
            "http://x/?a",
            "http://x/#a",
            "unix:/x",
        ] {
            assert!(
                matches!(Service::at(url), Err(ServiceError::Address { .. })),
                "{url}"
            );
        }
        assert_eq!(
            Service::at("https://log.example.com/dragons/")
                .unwrap()
                .url(),
            "https://log.example.com/dragons"
        );
    }
}
