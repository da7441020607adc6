//! The edge of the service: each request gets its id here, is counted, timed and logged, once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ledger::codes::Code;
use metrics::{counter, gauge, histogram};
use tokio::sync::Semaphore;

use super::limits::{MAX_REQUESTS_AT_ONCE, REQUEST_LINES, REQUEST_TIMEOUT};
use super::listen::CLOSED;
use super::problem::{InternalText, Problem};
use crate::rates::Bucket;

/// The header that carries the id of a request, for whoever reports one that failed.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const REQUESTS: &str = "dragonsd_http_requests_total";
const SECONDS: &str = "dragonsd_http_request_duration_seconds";
const UNDER_WAY: &str = "dragonsd_http_requests_under_way";
const UNTOLD: &str = "dragonsd_http_request_lines_left_out_total";

/// The paths that always have a place.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// What a path is counted under that no route has: its text is the client's, and without bound.
const UNMATCHED: &str = "unmatched";

/// Tells the metrics' names, meanings and units to whoever exports them.
pub fn describe_metrics() {
    metrics::describe_counter!(REQUESTS, "Requests answered, by route, method and status");
    metrics::describe_histogram!(
        SECONDS,
        metrics::Unit::Seconds,
        "Time from a request's head to its answer's head, by route"
    );
    metrics::describe_gauge!(UNDER_WAY, "Requests that are being worked on");
    metrics::describe_counter!(
        UNTOLD,
        "Requests that failed or were turned away and left no line in the messages, because too many did"
    );
    counter!(UNTOLD).absolute(0);
    metrics::describe_counter!(
        CLOSED,
        "Connections that were closed to make room for others, by what they were doing"
    );
}

/// Numbers the requests of one run of the service and bounds how many are under way.
#[derive(Clone, Debug)]
pub(super) struct Boundary {
    numbers: Arc<AtomicU64>,
    slots: Arc<Semaphore>,
    lines: Arc<Mutex<Bucket>>,
}

impl Default for Boundary {
    fn default() -> Self {
        Self {
            numbers: Arc::default(),
            slots: Arc::new(Semaphore::new(MAX_REQUESTS_AT_ONCE)),
            lines: Arc::new(Mutex::new(Bucket::new(REQUEST_LINES, Instant::now()))),
        }
    }
}

/// A request that is being worked on.
pub(super) struct Observed {
    /// Its id. It is ours alone: one that came along could be of any length, or another request's.
    id: String,
    route: Option<MatchedPath>,
    method: &'static str,
    path: String,
    began: Instant,
    _under_way: UnderWay,
}

impl Boundary {
    /// Gives a request its id, and counts it as one that is worked on.
    pub(super) fn observe(&self, request: &Request) -> Observed {
        gauge!(UNDER_WAY).increment(1.0);
        Observed {
            id: self.numbers.fetch_add(1, Ordering::Relaxed).to_string(),
            route: request.extensions().get().cloned(),
            method: method(request.method()),
            path: request.uri().path().to_owned(),
            began: Instant::now(),
            _under_way: UnderWay,
        }
    }

    /// Counts, times and logs a request, and puts its id into the answer.
    pub(super) fn answered(&self, request: Observed, response: &mut Response) {
        let took = request.began.elapsed();
        let (id, method, status) = (request.id, request.method, response.status());
        // The route's template, never the path: a label for each path would be a label for each client's whim.
        let route = request.route.as_ref();
        let route = route.map_or(UNMATCHED, MatchedPath::as_str);
        let labels = [
            ("route", route.to_owned()),
            ("method", method.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        counter!(REQUESTS, &labels).increment(1);
        histogram!(SECONDS, "route" => route.to_owned()).record(took.as_secs_f64());
        let line = Line {
            id: &id,
            method,
            path: &request.path,
            route,
            status: status.as_u16(),
            ms: took.as_secs_f64() * 1e3,
        };
        self.tell(&line, response.extensions_mut().remove());
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
    }

    /// Refuses a request when too many are under way, and ends one that takes too long.
    pub(super) async fn bound(&self, request: Request, next: Next) -> Response {
        // Whoever asks how the service is must not be told that it is busy.
        if HEALTH.contains(&request.uri().path()) {
            return next.run(request).await;
        }
        let overloaded = |why: String| Problem::from(Code::Overloaded.because(why)).into_response();
        let Ok(_slot) = self.slots.try_acquire() else {
            return overloaded(format!("{MAX_REQUESTS_AT_ONCE} requests are under way"));
        };
        let answered = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
        answered.unwrap_or_else(|_| overloaded(format!("no answer within {REQUEST_TIMEOUT:?}")))
    }
}

/// Counts a request down also when its client left before the answer.
struct UnderWay;

impl Drop for UnderWay {
    fn drop(&mut self) {
        gauge!(UNDER_WAY).decrement(1.0);
    }
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The one line that a request leaves in the messages.
struct Line<'a> {
    id: &'a str,
    method: &'a str,
    path: &'a str,
    route: &'a str,
    status: u16,
    ms: f64,
}

impl Boundary {
    /// Tells of a request. What failed inside stands here and nowhere else. Anybody can make a request, so those that went
    /// well are told to a debugger alone, and of the others no more than a disk bears.
    fn tell(&self, line: &Line<'_>, inside: Option<InternalText>) {
        let Line {
            id,
            method,
            path,
            route,
            status,
            ms,
        } = *line;
        let Some(InternalText(why)) = inside else {
            tracing::debug!(id, method, path, route, status, ms, "request");
            return;
        };
        if !self.may_tell() {
            counter!(UNTOLD).increment(1);
        } else if status == StatusCode::INTERNAL_SERVER_ERROR.as_u16() {
            tracing::error!(
                id,
                method,
                path,
                route,
                status,
                ms,
                error = why,
                "request failed"
            );
        } else {
            tracing::warn!(
                id,
                method,
                path,
                route,
                status,
                ms,
                reason = why,
                "request turned away"
            );
        }
    }

    fn may_tell(&self) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.take(1, Instant::now()).is_ok()
    }
}
