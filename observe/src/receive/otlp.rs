//! A request of OTLP/HTTP: read, spooled, answered; or with an incumbent behind, passed on first.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};

use super::{NoBody, Shared, answer, body, sentence};
use crate::intake::Found;
use crate::otlp::body::{self as otlp_body, BodyError, MAX_BODY_BYTES};
use crate::otlp::{Encoding, Signal, answer as otlp_answer};

/// The longest body that is passed on. What is longer than [`MAX_BODY_BYTES`] is passed on and not read here.
const MAX_FORWARDED_BYTES: usize = 64 << 20;

/// `google.rpc.Code`
const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;

/// What a request is not taken for.
struct Refused {
    status: StatusCode,
    code: i32,
    message: String,
}

pub(super) async fn take(
    State(shared): State<Arc<Shared>>,
    signal: Signal,
    request: Request,
) -> Response<Body> {
    match shared.forward.is_some() {
        true => tee(shared, signal, request).await,
        false => receive(shared, signal, request).await,
    }
}

/// Takes a request that nobody else gets.
async fn receive(shared: Arc<Shared>, signal: Signal, request: Request) -> Response<Body> {
    let encoding = encoding(request.headers());
    let answered = encoding.unwrap_or(Encoding::Protobuf);
    let taken = async {
        let encoding = encoding.ok_or_else(|| {
            let what = "the content type is neither application/x-protobuf nor application/json";
            refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT, what)
        })?;
        let _place = shared.budget.place(request.headers()).ok_or_else(busy)?;
        let is_gzip = is_gzip(request.headers())?;
        let bytes = body(request.into_body(), MAX_BODY_BYTES).await?;
        let found = decode(&shared, signal, encoding, is_gzip, bytes).await?;
        shared.writer.take(found).await.map_err(|full| {
            refused(
                StatusCode::SERVICE_UNAVAILABLE,
                UNAVAILABLE,
                &full.to_string(),
            )
        })
    };
    match taken.await {
        Ok(taken) => {
            let why = "their ids are not those of a span";
            let body = otlp_answer::taken(signal, answered, taken.rejected, why);
            answer(StatusCode::OK, answered.media_type(), body)
        }
        Err(refused) => {
            let body = otlp_answer::refused(answered, refused.code, &refused.message);
            answer(refused.status, answered.media_type(), body)
        }
    }
}

/// Passes a request on, and takes it while the incumbent has it. What cannot be taken is counted.
async fn tee(shared: Arc<Shared>, signal: Signal, request: Request) -> Response<Body> {
    let Some(forward) = shared.forward.clone() else {
        return receive(shared, signal, request).await;
    };
    let (parts, stream) = request.into_parts();
    let _place = shared.budget.wait(&parts.headers).await;
    let bytes = match body(stream, MAX_FORWARDED_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => {
            shared
                .writer
                .lose_unread(shared.intakes.of(signal).source().clone());
            let refused = Refused::from(error);
            return answer(refused.status, "text/plain", refused.message.into_bytes());
        }
    };
    let sent = forward.send(&parts, bytes.clone());
    let taken = tokio::spawn(take_quietly(
        Arc::clone(&shared),
        signal,
        parts.headers.clone(),
        bytes,
    ));
    let answered = sent.await;
    // What is passed on is answered by the incumbent; its answer waits for our disk no longer than for this.
    let _ = tokio::time::timeout(MAX_DELAY, taken).await;
    answered.unwrap_or_else(|_| {
        let message = "the receiver that this is passed on to does not answer";
        answer(StatusCode::BAD_GATEWAY, "text/plain", message.into())
    })
}

/// The longest that an incumbent's answer waits for our disk.
const MAX_DELAY: std::time::Duration = std::time::Duration::from_millis(100);

/// Takes what the incumbent has as well, or counts it.
async fn take_quietly(shared: Arc<Shared>, signal: Signal, headers: HeaderMap, bytes: Bytes) {
    let lost = || {
        shared
            .writer
            .lose_unread(shared.intakes.of(signal).source().clone());
    };
    let (Some(encoding), Ok(is_gzip)) = (encoding(&headers), is_gzip(&headers)) else {
        return lost();
    };
    if bytes.len() > MAX_BODY_BYTES {
        return lost();
    }
    match decode(&shared, signal, encoding, is_gzip, bytes).await {
        Ok(found) => {
            // Who reads the rest of a batch again would count it twice, so what is lost is counted by a copy.
            let copy = Found {
                sightings: found.sightings.clone(),
                items: found.items,
                ..Found::default()
            };
            if shared.writer.take(found).await.is_err() {
                shared.writer.lose(copy, shared.intakes.of(signal).source());
            }
        }
        Err(_) => lost(),
    }
}

async fn decode(
    shared: &Arc<Shared>,
    signal: Signal,
    encoding: Encoding,
    is_gzip: bool,
    bytes: Bytes,
) -> Result<Found, Refused> {
    let _turn = shared.budget.decode().await;
    let shared = Arc::clone(shared);
    let read = move || -> Result<Found, BodyError> {
        let inflated;
        let bytes = match is_gzip {
            true => {
                inflated = otlp_body::inflate(&bytes)?;
                inflated.as_slice()
            }
            false => &bytes,
        };
        Ok(shared
            .intakes
            .of(signal)
            .read(&otlp_body::read(signal, encoding, bytes)?))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(found) => found.map_err(Refused::from),
        Err(_) => Err(busy()),
    }
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    Encoding::of(headers.get(header::CONTENT_TYPE)?.to_str().ok()?)
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refused> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    match encoding.map(|it| it.to_str().unwrap_or("?").to_ascii_lowercase()) {
        None => Ok(false),
        Some(it) if it == "identity" => Ok(false),
        Some(it) if it == "gzip" || it == "x-gzip" => Ok(true),
        Some(_) => {
            let what = "the content encoding is neither gzip nor identity";
            Err(refused(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                INVALID_ARGUMENT,
                what,
            ))
        }
    }
}

fn refused(status: StatusCode, code: i32, message: &str) -> Refused {
    Refused {
        status,
        code,
        message: message.to_owned(),
    }
}

fn busy() -> Refused {
    let what = "too much is being read at once";
    refused(StatusCode::TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, what)
}

impl From<NoBody> for Refused {
    fn from(error: NoBody) -> Self {
        match error {
            NoBody::TooLong => {
                let what = format!("the body is longer than {MAX_BODY_BYTES} bytes");
                refused(StatusCode::PAYLOAD_TOO_LARGE, INVALID_ARGUMENT, &what)
            }
            NoBody::BrokenOff => {
                let what = "the body broke off, or took too long";
                refused(StatusCode::BAD_REQUEST, INVALID_ARGUMENT, what)
            }
        }
    }
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        refused(status, INVALID_ARGUMENT, &sentence(&error))
    }
}
