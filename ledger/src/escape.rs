//! Escapes: how any text becomes a name, or a segment of a scope; and any bytes, as the names of files are.
//!
//! Byte `b` that the alphabet lacks is `+hh`, in lower-case hex. A `+` is itself unless two hex digits or a `.` follow it,
//! then it is `+2b`. A segment `.` or `..` is `+2e` or `+2e+2e`. What is too long then is `+.` and the first 32 hex digits
//! of the SHA-256 of the text. So no two texts become the same, hashes apart, and what needs no escape keeps its look:
//!
//! ```
//! use ledger::escape;
//!
//! assert_eq!(escape::name("g++").unwrap().as_str(), "g++");
//! assert_eq!(escape::name("[").unwrap().as_str(), "+5b");
//! assert_eq!(escape::segment("my tool").unwrap(), "my+20tool");
//! ```

use crate::digest::Digest;
use crate::scope::MAX_RESOURCE_BYTES;
use crate::text::{MAX_NAME_BYTES, Name};

/// The hex digits of a hash that stand for a text that is too long, in bytes of the hash.
const HASH_BYTES: usize = 16;

/// The name for a text; `None` for the empty one, which has none.
pub fn name(text: impl AsRef<[u8]>) -> Option<Name> {
    let text = text.as_ref();
    let plain = |at: usize, byte: u8| {
        byte.is_ascii_alphanumeric() || byte == b'+' || at > 0 && b"._:@-".contains(&byte)
    };
    bounded(text, escaped(text, plain), MAX_NAME_BYTES)
        .parse()
        .ok()
}

/// The segment of a scope for a text; `None` for the empty one, which has none.
pub fn segment(text: impl AsRef<[u8]>) -> Option<String> {
    let text = text.as_ref();
    let dots = matches!(text, b"." | b"..");
    let plain = |_, byte: u8| {
        byte.is_ascii_alphanumeric() || b"_@+-".contains(&byte) || byte == b'.' && !dots
    };
    let segment = bounded(text, escaped(text, plain), MAX_RESOURCE_BYTES);
    (!segment.is_empty()).then_some(segment)
}

fn escaped(bytes: &[u8], is_plain: impl Fn(usize, u8) -> bool) -> String {
    let mut out = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        if is_plain(at, *byte) && !(*byte == b'+' && reads_as_escape(rest)) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("+{byte:02x}"));
        }
    }
    out
}

/// Whether a `+` in front of this would be taken for the beginning of an escape.
fn reads_as_escape(rest: &[u8]) -> bool {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match rest {
        [b'.', ..] => true,
        [one, two, ..] => is_hex(one) && is_hex(two),
        _ => false,
    }
}

fn bounded(text: &[u8], escaped: String, most: usize) -> String {
    if escaped.len() <= most {
        return escaped;
    }
    let digest = Digest::of(&[text]);
    let bytes = digest.as_bytes().iter().take(HASH_BYTES);
    bytes.fold("+.".to_owned(), |out, byte| format!("{out}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;
    use proptest::prelude::*;

    #[test]
    fn what_the_alphabet_lacks_is_escaped() {
        let cases = [
            ("g++", "g++", "g++"),
            ("[", "+5b", "+5b"),
            ("+5b", "+2b5b", "+2b5b"),
            ("+.", "+2b.", "+2b."),
            ("+[b", "++5bb", "++5bb"),
            ("+5", "+5", "+5"),
            (".", "+2e", "+2e"),
            ("..", "+2e.", "+2e+2e"),
            (".a", "+2ea", ".a"),
            ("-a", "+2da", "-a"),
            ("a:b", "a:b", "a+3ab"),
            ("a/b", "a+2fb", "a+2fb"),
            ("ä", "+c3+a4", "+c3+a4"),
        ];
        for (text, as_name, as_segment) in cases {
            assert_eq!(name(text).unwrap().as_str(), as_name, "{text}");
            assert_eq!(segment(text).unwrap(), as_segment, "{text}");
        }
        assert_eq!((name(""), segment("")), (None, None));
    }

    #[test]
    fn what_is_too_long_is_named_by_its_hash() {
        let (fits, long) = ("a".repeat(MAX_NAME_BYTES), "a".repeat(MAX_NAME_BYTES + 1));
        assert_eq!(name(&fits).unwrap().as_str(), fits);
        let hashed = "+.c12cb024a2e5551cca0e08fce8f1c5e3";
        assert_eq!(name(&long).unwrap().as_str(), hashed);
        assert_eq!(segment("a".repeat(512)).unwrap().len(), 512);
        assert_eq!(segment("a".repeat(513)).unwrap().len(), hashed.len());
    }

    /// Reads an escape back; the texts below are too short to be hashed.
    fn unescaped(text: &str) -> Vec<u8> {
        let bytes = text.as_bytes();
        let (mut out, mut at) = (Vec::new(), 0);
        while let Some(byte) = bytes.get(at) {
            if *byte == b'+' && reads_as_escape(&bytes[at + 1..]) {
                out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
                at += 3;
            } else {
                out.push(*byte);
                at += 1;
            }
        }
        out
    }

    proptest! {
        #[test]
        fn every_text_has_a_name_and_a_segment_of_its_own(text in r"[+.0-9a-f:/ \[ä]{1,12}") {
            let (name, segment) = (name(&text).unwrap(), segment(&text).unwrap());
            prop_assert_eq!(unescaped(name.as_str()), text.as_bytes());
            prop_assert_eq!(unescaped(&segment), text.as_bytes());
            let scope = format!("run:{segment}");
            prop_assert!(scope.parse::<Scope>().is_ok());
        }
    }
}
