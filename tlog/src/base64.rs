//! Base64 of RFC 4648 §4, in its one canonical spelling.
//!
//! Signed text is compared and hashed as bytes, so two spellings of the same bytes would be two texts with one
//! meaning. Decoding takes the padded standard alphabet only, and refuses set bits after the last byte.

use ::base64::{Engine as _, engine::general_purpose::STANDARD};

/// Writes the bytes with the standard alphabet and padding.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// As [`encode`], behind what a text holds.
pub fn encode_behind(bytes: impl AsRef<[u8]>, text: &mut String) {
    STANDARD.encode_string(bytes, text);
}

/// Reads what [`encode`] writes, and nothing else.
///
/// # Errors
///
/// [`NotCanonical`] for every other spelling: other letters, spaces, missing or surplus padding, trailing bits.
pub fn decode(text: &str) -> Result<Vec<u8>, NotCanonical> {
    STANDARD
        .decode(text)
        .map_err(|_| NotCanonical { length: text.len() })
}

/// A text that is not the canonical base64 of any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes of text are not canonical base64")]
pub struct NotCanonical {
    /// The text's length in bytes.
    pub length: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn only_the_canonical_spelling_is_read() {
        assert_eq!(decode("AA==").as_deref(), Ok(&[0][..]));
        for text in [
            "AA", "AA=", "AA===", "AB==", "AAB=", "A A=", "AA==\n", "AA==AA==", "-_-_", "=",
        ] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(text in "[A-Za-z0-9+/]{0,7}={0,2}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(bytes), text);
            }
        }
    }
}
