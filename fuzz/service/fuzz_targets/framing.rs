//! Where requests end: the first byte is the length of the pieces that a connection's bytes come in. What is seen does
//! not depend on the pieces, and another implementation's two lengths of one request are never missed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use server::http::hostile;

fuzz_target!(|input: &[u8]| {
    let Some((piece, bytes)) = input.split_first() else {
        return;
    };
    let whole = hostile::is_ambiguous(bytes, bytes.len().max(1));
    let pieces = hostile::is_ambiguous(bytes, usize::from(*piece).max(1));
    assert_eq!(whole, pieces);
    if has_two_lengths(bytes) {
        assert!(whole);
    }
});

/// Whether the first head, by another reader, has both headers.
fn has_two_lengths(bytes: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(bytes), Ok(httparse::Status::Complete(_))) {
        return false;
    }
    let has = |name: &str| request.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    has("content-length") && has("transfer-encoding")
}
