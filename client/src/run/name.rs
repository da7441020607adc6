//! What a file is called in a scope and as a tool: any name that a file can have.
//!
//! Scopes and names have small alphabets, so that they are safe to print. What these lack is escaped: byte b is `+` and its
//! two hexadecimal digits, and what is too long is `+.` and the beginning of its digest (docs/formats.md).

use ledger::codes::Refusal;
use ledger::digest::Digest;
use ledger::scope::Scope;
use ledger::text::{MAX_NAME_BYTES, Name};

/// The longest resource of a scope.
const MAX_RESOURCE_BYTES: usize = 512;

/// How much of a digest stands for what is too long.
const DIGEST_DIGITS: usize = 32;

/// The scope `run:` of a file's name.
///
/// # Errors
///
/// None that a file's name can have.
pub(super) fn scope(file: &[u8]) -> Result<Scope, Refusal> {
    format!("run:{}", segment(file)).parse()
}

/// A file's name as a segment of a scope.
pub(super) fn segment(file: &[u8]) -> String {
    escaped(file, MAX_RESOURCE_BYTES, |byte, _| {
        byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte)
    })
}

/// A file's name as that of a tool.
///
/// # Errors
///
/// None that a file's name can have.
pub(super) fn tool(file: &[u8]) -> Result<Name, Refusal> {
    let name = escaped(file, MAX_NAME_BYTES, |byte, is_first| {
        byte.is_ascii_alphanumeric() || byte == b'+' || (!is_first && b"._:@-".contains(&byte))
    });
    name.parse()
}

fn escaped(file: &[u8], longest: usize, is_itself: fn(u8, bool) -> bool) -> String {
    let mut text = String::new();
    for (at, byte) in file.iter().copied().enumerate() {
        let reads_as_an_escape = byte == b'+' && begins_an_escape(&file[at + 1..]);
        if is_itself(byte, at == 0) && !reads_as_an_escape && !is_a_step(file) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("+{byte:02x}"));
        }
    }
    if text.len() <= longest {
        return text;
    }
    let digest = Digest::of(&[file]).to_string();
    let digits = digest.rsplit(':').next().unwrap_or_default();
    format!("+.{}", &digits[..DIGEST_DIGITS])
}

/// Whether a `+` before this would be read as the beginning of an escape.
fn begins_an_escape(rest: &[u8]) -> bool {
    let digits = rest.iter().take(2).filter(|byte| byte.is_ascii_hexdigit());
    rest.first() == Some(&b'.') || digits.count() == 2
}

/// Whether a path would go somewhere by it.
fn is_a_step(file: &[u8]) -> bool {
    matches!(file, b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_name_and_no_two_the_same() {
        for (file, want_segment, want_tool) in [
            (&b"g++"[..], "g++", "g++"),
            (b"[", "+5b", "+5b"),
            (b"a b", "a+20b", "a+20b"),
            (b"a:b", "a+3ab", "a:b"),
            (b"_x", "_x", "+5fx"),
            (b".hidden", ".hidden", "+2ehidden"),
            (b"..", "+2e+2e", "+2e+2e"),
            (b"+5b", "+2b5b", "+2b5b"),
            (b"a+.b", "a+2b.b", "a+2b.b"),
            (b"a+", "a+", "a+"),
            (b"\xff\n", "+ff+0a", "+ff+0a"),
            ("ä".as_bytes(), "+c3+a4", "+c3+a4"),
        ] {
            assert_eq!(segment(file), want_segment);
            assert_eq!(tool(file).unwrap().as_str(), want_tool);
            assert!(scope(file).is_ok(), "{want_segment}");
        }
    }

    #[test]
    fn what_is_too_long_is_a_digest() {
        let long = [b'a'; 255];
        assert_eq!(segment(&long).len(), 255);
        let name = tool(&long).unwrap();
        assert!(name.as_str().starts_with("+.") && name.as_str().len() == 34);
        let longer = [b' '; 255];
        assert!(segment(&longer).starts_with("+."));
        assert_ne!(segment(&longer), segment(&[b' '; 254]));
        assert!(scope(&longer).is_ok());
    }
}
