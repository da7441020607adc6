//! Digests of content and names of records, written `sha256:<64 lower-case hex>`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::codes::{Code, Refusal};

/// A SHA-256 digest of some content: a manifest, a tool, an evidence file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The name of a record: SHA-256 of the bytes that were signed (the DSSE PAE).
///
/// Whoever signs a record knows its name before the log does, and the name binds the
/// record's type, so records refer to each other by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordHash(Digest);

const PREFIX: &str = "sha256:";

impl Digest {
    /// Hashes the parts one after another, as if they were one string of bytes.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Takes 32 bytes that are a digest already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl RecordHash {
    /// Names the record whose signed bytes have this digest.
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest of the signed bytes.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        write_hex(f, &self.0)
    }
}

impl fmt::Display for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        text.strip_prefix(PREFIX)
            .and_then(parse_hex)
            .map(Self)
            .ok_or_else(|| Code::Malformed.because("not sha256: and 64 lower-case hex digits"))
    }
}

impl AsRef<[u8]> for RecordHash {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for RecordHash {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        text.parse().map(Self)
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    f.write_str(&digits.collect::<String>())
}

/// Reads exactly `N` bytes from lower-case hexadecimal digits; anything else is `None`.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_what_it_writes_and_nothing_else() {
        let digest = Digest::of(&[b"ab", b"c"]);
        assert_eq!(digest, Digest::of(&[b"abc"]));
        let text = digest.to_string();
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        for wrong in [
            text.to_uppercase(),
            text.replace("sha256:", "sha512:"),
            text.replace("sha256:", ""),
            format!("{text}0"),
            text[..text.len() - 1].to_string(),
            format!(" {text}"),
        ] {
            assert_eq!(wrong.parse::<Digest>().unwrap_err().code, Code::Malformed);
        }
    }
}
