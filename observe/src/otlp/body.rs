//! Bodies: inflated within a limit, and read in the form that they say they are in.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use prost::Message as _;

use super::message::{Logs, Traces};
use super::{Encoding, Signal};

/// The longest body as it comes. One Codex call is 1.2 MB; exporters send batches of a few.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// The longest body once it is inflated.
pub const MAX_INFLATED_BYTES: usize = 64 << 20;

/// What a request carried, read.
#[derive(Debug)]
pub enum Batch {
    /// Spans.
    Traces(Traces),
    /// Log records.
    Logs(Logs),
    /// Nothing that is read here.
    Dropped,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than any.
    #[error("the body is longer than {MAX_INFLATED_BYTES} bytes")]
    TooLong,
    /// It is not what its headers say.
    #[error("the body is not gzip")]
    NotGzip(#[source] std::io::Error),
    /// It is not protobuf, or not this message.
    #[error("the body is not an OTLP message")]
    NotProtobuf(#[from] prost::DecodeError),
    /// It is not JSON, or not this message.
    #[error("the body is not OTLP's JSON")]
    NotJson(#[from] serde_json::Error),
}

/// Inflates what came with `Content-Encoding: gzip`.
///
/// # Errors
///
/// [`BodyError::TooLong`], [`BodyError::NotGzip`].
pub fn inflate(bytes: &[u8]) -> Result<Vec<u8>, BodyError> {
    let mut inflated = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(MAX_INFLATED_BYTES as u64 + 1);
    reader
        .read_to_end(&mut inflated)
        .map_err(BodyError::NotGzip)?;
    match inflated.len() > MAX_INFLATED_BYTES {
        true => Err(BodyError::TooLong),
        false => Ok(inflated),
    }
}

/// Reads a body that is not compressed any more.
///
/// # Errors
///
/// [`BodyError`].
pub fn read(signal: Signal, encoding: Encoding, bytes: &[u8]) -> Result<Batch, BodyError> {
    if bytes.len() > MAX_INFLATED_BYTES {
        return Err(BodyError::TooLong);
    }
    Ok(match (signal, encoding) {
        (Signal::Traces, Encoding::Protobuf) => Batch::Traces(Traces::decode(bytes)?),
        (Signal::Traces, Encoding::Json) => Batch::Traces(serde_json::from_slice(bytes)?),
        (Signal::Logs, Encoding::Protobuf) => Batch::Logs(Logs::decode(bytes)?),
        (Signal::Logs, Encoding::Json) => Batch::Logs(serde_json::from_slice(bytes)?),
        (Signal::Metrics, _) => Batch::Dropped,
    })
}
