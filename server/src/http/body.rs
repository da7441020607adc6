//! Bodies, read to the end within a size and a time.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use ledger::codes::Code;

use super::limits::{BODY_TIMEOUT, MAX_DISCARDED_BYTES};
use super::problem::Problem;

/// Reads a body of at most `most` bytes.
///
/// # Errors
/// `too-large` above that, `malformed` if it breaks off or takes longer than [`BODY_TIMEOUT`].
pub(super) async fn read(body: Body, most: usize) -> Result<Bytes, Problem> {
    let late = || Problem::malformed(format!("the body took longer than {BODY_TIMEOUT:?}"));
    tokio::time::timeout(BODY_TIMEOUT, collect(body, most))
        .await
        .map_err(|_| late())?
}

async fn collect(mut body: Body, most: usize) -> Result<Bytes, Problem> {
    let (mut bytes, mut got) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("the body broke off"))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        got = got.saturating_add(chunk.len());
        if got > most.max(MAX_DISCARDED_BYTES) {
            break;
        }
        if got <= most {
            bytes.extend_from_slice(&chunk);
        }
    }
    if got > most {
        return Err(Code::TooLarge
            .because(format!("a body of more than {most} bytes"))
            .into());
    }
    Ok(bytes.into())
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
}
