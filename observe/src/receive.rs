//! What comes over HTTP: OTLP on its three paths, webhooks on theirs, and how things stand on `/status`.

mod budget;
mod forward;
mod hook;
mod otlp;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use http_body_util::{BodyExt as _, Limited};

use crate::intake::Intake;
use crate::otlp::Signal;
use crate::spool::Writer;

use budget::Budget;
pub(crate) use forward::Forward;
pub(crate) use hook::{Hook, found};

/// How long a body may take: exporters give up after ten seconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// When to come back where there is no room: the log takes a file of the spool in some seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// Whose messages come on each path of OTLP.
#[derive(Debug)]
pub(crate) struct Intakes {
    pub(crate) traces: Intake,
    pub(crate) logs: Intake,
    pub(crate) metrics: Intake,
}

impl Intakes {
    const fn of(&self, signal: Signal) -> &Intake {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
            Signal::Metrics => &self.metrics,
        }
    }
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) intakes: Intakes,
    pub(crate) writer: Writer,
    pub(crate) hooks: BTreeMap<String, Hook>,
    pub(crate) forward: Option<Forward>,
    budget: Budget,
}

impl Shared {
    pub(crate) fn new(
        intakes: Intakes,
        writer: Writer,
        hooks: BTreeMap<String, Hook>,
        forward: Option<Forward>,
    ) -> Self {
        Self {
            intakes,
            writer,
            hooks,
            forward,
            budget: Budget::default(),
        }
    }
}

/// All that is answered.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new().route("/status", get(status));
    for (path, signal) in [Signal::Traces, Signal::Logs, Signal::Metrics].map(|it| (it.path(), it))
    {
        let handler = move |state, request| otlp::take(state, signal, request);
        router = router.route(path, post(handler));
    }
    for path in shared.hooks.keys() {
        router = router.route(path, post(hook::take));
    }
    router.layer(DefaultBodyLimit::disable()).with_state(shared)
}

async fn status(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let status = serde_json::to_vec(&shared.writer.status()).unwrap_or_default();
    answer(StatusCode::OK, "application/json", status)
}

fn answer(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY
    ) {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}

/// An error with what caused it, on one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |it| it.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Why there is no body to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoBody {
    TooLong,
    BrokenOff,
}

/// Reads a body to its end, however it is cut into pieces.
async fn body(body: Body, most: usize) -> Result<Bytes, NoBody> {
    let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, most).collect()).await;
    match read {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(NoBody::TooLong),
        Ok(Err(_)) | Err(_) => Err(NoBody::BrokenOff),
    }
}
