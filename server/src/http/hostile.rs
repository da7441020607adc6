//! What is read of strangers before there is a request, as plain functions: for whoever tries hostile bytes on it.

use axum::body::Bytes;

use super::batch;
use super::listen;

/// Whether one of the requests in the bytes of a connection says in two ways how long it is. They come in pieces of this
/// length, at least 1.
#[must_use]
pub fn is_ambiguous(bytes: &[u8], piece: usize) -> bool {
    listen::is_ambiguous(bytes.chunks(piece.max(1)))
}

/// The lines of a body of many records; `None` if such a body is refused.
#[must_use]
pub fn lines(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let body = Bytes::copy_from_slice(body);
    let lines = batch::split(&body).ok()?;
    Some(lines.iter().map(|line| line.to_vec()).collect())
}
