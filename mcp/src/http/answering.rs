//! Answering a request: what comes first, what is decided, what the server gets.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use super::Gateway;
use super::exchange::{Exchange, Over};
use super::passing::{Passing, lower};
use crate::answer;
use crate::calls::Place;
use crate::governor::Ending;
use crate::heard::{Heard, Kind, Trouble};
use crate::proxy::{Decision, Forward, locked};

/// The longest request, in bytes: arguments of tools are far shorter. So is an answer that is put together with ours.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The header by which a server names a session.
const SESSION: &str = "mcp-session-id";

type AnyBody = UnsyncBoxBody<Bytes, reqwest::Error>;

impl Gateway {
    /// Answers a request.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<AnyBody>, Infallible> {
        if let Some(why) = self.gate.refuses(request.headers()) {
            return Ok(plain(StatusCode::FORBIDDEN, why));
        }
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                return Ok(plain(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "the request is too long",
                ));
            }
        };
        if self.is_packed(&parts.headers, &body) {
            let why = "a packed request cannot be decided on";
            return Ok(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let session = parts
            .headers
            .get(SESSION)
            .and_then(|value| value.to_str().ok());
        let place = Place {
            session: session.map(str::to_owned),
            exchange: self.exchanges.fetch_add(1, Ordering::Relaxed),
        };
        let exchange = Exchange::new(Arc::clone(&self.proxy), place);
        Ok(self.decide(exchange, parts, body).await)
    }

    /// Whether a request says that its body is packed, and is not let through for it.
    fn is_packed(&self, headers: &HeaderMap, body: &Bytes) -> bool {
        let coding = lower(headers, &CONTENT_ENCODING);
        let is_packed = !body.is_empty() && !coding.is_empty() && coding != "identity";
        is_packed
            && !self
                .proxy
                .passes("a request is compressed, so nothing can decide on it")
    }

    async fn decide(&self, mut exchange: Exchange, parts: Parts, body: Bytes) -> Response<AnyBody> {
        let heard = Arc::new(self.hear(&parts, &body));
        let decision = match heard.has_to_be_decided() {
            false => Decision {
                forward: Forward::Whole,
                answer: None,
            },
            true => {
                let (proxy, asked) = (Arc::clone(&self.proxy), Arc::clone(&heard));
                let place = exchange.place.clone();
                let deciding = tokio::task::spawn_blocking(move || proxy.decide(&asked, &place));
                // Whoever was to decide and has not has given no leave.
                deciding.await.unwrap_or(Decision {
                    forward: Forward::Nothing,
                    answer: None,
                })
            }
        };
        let body = match decision.forward {
            Forward::Whole => body,
            Forward::Rest(bytes) => bytes.into(),
            Forward::Nothing => {
                exchange.end(Over::Answered);
                return own(&heard, decision.answer);
            }
        };
        self.proxy.forwarded(&heard, &exchange.place);
        self.forward(exchange, parts, body, decision.answer).await
    }

    /// What is not JSON at another address of the server is not a message: a token is asked for by a form.
    fn hear(&self, parts: &Parts, body: &Bytes) -> Heard {
        let mut heard = Heard::read(body.to_vec(), false);
        if heard.trouble == Some(Trouble::NotJson) && !self.upstream.is_endpoint(&parts.uri) {
            heard.trouble = None;
        }
        heard
    }

    async fn forward(
        &self,
        mut exchange: Exchange,
        parts: Parts,
        body: Bytes,
        before: Option<Vec<u8>>,
    ) -> Response<AnyBody> {
        let (method, uri) = (parts.method.clone(), parts.uri);
        let sent = self
            .upstream
            .send(parts.method, &uri, parts.headers, body)
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                exchange.end(Over::BrokenOff);
                let why = format!("the server does not answer: {}", error.without_url());
                return plain(StatusCode::BAD_GATEWAY, &why);
            }
        };
        if method == Method::DELETE && response.status().is_success() {
            self.end_session(&exchange.place);
        }
        let response = Passing::new(response, exchange);
        match before {
            None => response.map(|body| body.boxed_unsync()),
            Some(before) => joined(before, response).await,
        }
    }

    fn end_session(&self, place: &Place) {
        if let Some(session) = &place.session {
            let open = locked(&self.proxy.calls).of_session(session);
            let why = Some("the client ended the session");
            self.proxy.close_all(open, Ending::Cancelled, why);
        }
    }
}

/// What we answer ourselves. Where nothing is to be answered the message is accepted, as a server accepts a notification.
fn own(heard: &Heard, answer: Option<Vec<u8>>) -> Response<AnyBody> {
    let Some(answer) = answer else {
        return plain(StatusCode::ACCEPTED, "");
    };
    let has_call = heard
        .items
        .iter()
        .any(|item| matches!(item.kind, Kind::Call(_)));
    let status = match has_call {
        true => StatusCode::OK,
        false => StatusCode::BAD_REQUEST,
    };
    json(status, answer)
}

/// The server's answer to a part of an array, with ours to the rest.
async fn joined(before: Vec<u8>, response: Response<Passing>) -> Response<AnyBody> {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    if lower(&parts.headers, &CONTENT_TYPE).starts_with("text/event-stream") {
        let event = [b"event: message\ndata: ", before.as_slice(), b"\n\n"].concat();
        let body = body.after(event.into());
        return Response::from_parts(parts, body.boxed_unsync());
    }
    let collected = Limited::new(body, MAX_BODY_BYTES).collect().await;
    let theirs = collected.map(|body| body.to_bytes()).unwrap_or_default();
    let theirs = theirs.trim_ascii();
    let is_array = theirs.starts_with(b"[") && theirs.ends_with(b"]");
    let inner = theirs
        .get(1..theirs.len().saturating_sub(1))
        .filter(|_| is_array);
    // Ours are an array already, so they are taken out of it.
    let ours = before
        .get(1..before.len().saturating_sub(1))
        .unwrap_or_default();
    let answers: Vec<Vec<u8>> = [ours, inner.unwrap_or(theirs)]
        .into_iter()
        .filter(|one| !one.trim_ascii().is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    json(StatusCode::OK, answer::array(&answers))
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<AnyBody> {
    let mut response = whole(status, body);
    let media = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}

fn plain(status: StatusCode, text: &str) -> Response<AnyBody> {
    let mut response = whole(status, text.as_bytes().to_vec());
    let media = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}

fn whole(status: StatusCode, body: Vec<u8>) -> Response<AnyBody> {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
