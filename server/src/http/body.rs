//! Bodies: how they arrive, and how much of one is read.
//!
//! A request takes part in nothing before its body is whole: no place among those that are worked on, no turn of anybody
//! else's. Until then it is bytes at hand, which are counted, have to keep coming, and go when there is no more room.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use ledger::codes::Code;
use tokio::time::{Instant, timeout_at};

use super::limits::{
    BODY_GRACE, MAX_BATCH_BYTES, MAX_DISCARDED_BYTES, MAX_RECORD_BYTES, SLOWEST_BYTES_PER_S,
};
use super::listen::{CameBy, Doing, Sort};
use super::media::JSON_LINES;
use super::problem::Problem;

/// Reads a body of at most `most` bytes, which has arrived.
///
/// # Errors
/// `too-large` above that.
pub(super) async fn read(body: Body, most: usize) -> Result<Bytes, Problem> {
    let broken = |_| Problem::malformed("the body broke off");
    let bytes = body.collect().await.map_err(broken)?.to_bytes();
    if bytes.len() > most {
        return Err(Code::TooLarge
            .because(format!("a body of more than {most} bytes"))
            .into());
    }
    Ok(bytes)
}

/// A request once its body is whole.
///
/// # Errors
/// A body that came too slowly, broke off or had no room; where the next request would begin is not known then.
pub(super) async fn whole(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let came_by = parts.extensions.get::<CameBy>();
    check_length(&parts.headers, came_by)?;
    let body = match body.is_end_stream() {
        true => body,
        false => Body::from(collect(body, sort(&parts.headers), came_by).await?),
    };
    if let Some(CameBy(guest)) = came_by {
        guest.does(Doing::Asking);
    }
    Ok(Request::from_parts(parts, body))
}

/// A body has one length, said in one way (RFC 9112 §6.3).
fn check_length(headers: &HeaderMap, came_by: Option<&CameBy>) -> Result<(), Problem> {
    if came_by.is_some_and(|CameBy(guest)| guest.was_ambiguous())
        || headers.contains_key(header::TRANSFER_ENCODING)
            && headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(Problem::malformed(
            "Content-Length together with Transfer-Encoding",
        ));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        true => Ok(()),
        false => Err(Problem::malformed("a transfer coding other than chunked")),
    }
}

fn sort(headers: &HeaderMap) -> Sort {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    match essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(JSON_LINES)) {
        true => Sort::Large,
        false => Sort::Small,
    }
}

/// The body, or of one that is too large the first bytes that are too many: whoever reads it says what is wrong with it. A
/// client that is still sending when its connection closes often sees the reset and not the answer, so some of what is
/// too much is thrown away first.
async fn collect(mut body: Body, sort: Sort, came_by: Option<&CameBy>) -> Result<Bytes, Problem> {
    let keep = match sort {
        Sort::Small => MAX_RECORD_BYTES + 1,
        Sort::Large => MAX_BATCH_BYTES + 1,
    };
    let (mut kept, mut got, began) = (Vec::new(), 0_usize, Instant::now());
    while let Some(frame) = frame_by(&mut body, began, got).await? {
        got = got.saturating_add(frame.len());
        let room = keep - kept.len();
        let frame = frame.get(..room).unwrap_or(&frame);
        if let Some(CameBy(guest)) = came_by {
            let full = |_| Code::Overloaded.because("no more bodies fit into memory");
            guest.holds(sort, frame.len() as u64).map_err(full)?;
        }
        kept.extend_from_slice(frame);
        if got > keep.max(MAX_DISCARDED_BYTES) {
            break;
        }
    }
    Ok(kept.into())
}

/// The next piece of a body that has kept coming so far.
async fn frame_by(body: &mut Body, began: Instant, got: usize) -> Result<Option<Bytes>, Problem> {
    let coming = Duration::from_secs(got as u64 / SLOWEST_BYTES_PER_S);
    let slow = |_| {
        let least = SLOWEST_BYTES_PER_S / 1_024;
        Problem::malformed(format!("the body came at less than {least} KiB a second"))
    };
    loop {
        let frame = timeout_at(began + BODY_GRACE + coming, body.frame()).await;
        let Some(frame) = frame.map_err(slow)? else {
            return Ok(None);
        };
        let frame = frame.map_err(|_| Problem::malformed("the body broke off"))?;
        if let Ok(bytes) = frame.into_data() {
            return Ok(Some(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_limit_is_the_last_byte_that_is_taken() {
        let body = |bytes: usize| Body::from(vec![b'x'; bytes]);
        assert_eq!(read(body(8), 8).await.unwrap().len(), 8);
        let refused = read(body(9), 8).await.unwrap_err();
        assert_eq!(refused.document().code, "too-large");
    }

    #[tokio::test]
    async fn no_more_of_a_body_is_kept_than_shows_that_it_is_too_large() {
        for (bytes, kept) in [
            (MAX_RECORD_BYTES, MAX_RECORD_BYTES),
            (MAX_RECORD_BYTES + 9, MAX_RECORD_BYTES + 1),
            (10 << 20, MAX_RECORD_BYTES + 1),
        ] {
            let body = Body::from(vec![b'x'; bytes]);
            let body = collect(body, Sort::Small, None).await.unwrap();
            assert_eq!(body.len(), kept, "{bytes}");
        }
    }
}
