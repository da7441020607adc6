//! Names and free text, the two kinds of string that a person may have chosen.

use std::fmt;
use std::str::FromStr;

use crate::codes::{Code, Refusal};
use crate::json::{Value, string};

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// The longest free text, in bytes: a title or a reason, not a document.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The most characters of somebody's text in a sentence of ours: what is longer can be found where it stands.
const MAX_EXCERPT_CHARACTERS: usize = 128;

/// The name of an agent, a tool, a source, or a member of a free map:
/// `[A-Za-z0-9+][A-Za-z0-9._:@+-]{0,127}`. What it lacks is [escaped](crate::escape).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Free text: at most [`MAX_TEXT_BYTES`] of UTF-8, without control characters and without
/// the bidirectional controls that make a line read as something else than it says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Box<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A bound above which no name is, itself no name that anybody can write.
    pub(crate) fn last() -> Self {
        Self("\u{7f}".into())
    }

    pub(crate) fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        crate::json::parsed(path, value)
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Name {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let starts = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '+');
        let rest = |c: char| c.is_ascii_alphanumeric() || "._:@+-".contains(c);
        if starts && text.len() <= MAX_NAME_BYTES && text.chars().all(rest) {
            return Ok(Self(text.into()));
        }
        Err(Code::Malformed.because(
            "a name is 1 to 128 of A-Z a-z 0-9 . _ : @ + -, the first a letter, a digit or +",
        ))
    }
}

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let text = string(path, value)?;
        text.parse().map_err(|refusal: Refusal| refusal.at(path))
    }
}

impl FromStr for Text {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Code::Malformed.because(format!(
                "text of {} bytes, at most {MAX_TEXT_BYTES}",
                text.len()
            )));
        }
        match text
            .chars()
            .find(|c| c.is_control() || is_bidirectional_control(*c))
        {
            None => Ok(Self(text.into())),
            Some(c) => Err(Code::Malformed.because(format!(
                "text with the control character U+{:04X}",
                u32::from(c)
            ))),
        }
    }
}

/// Unicode's Bidi_Control property (UAX #9 §2).
fn is_bidirectional_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Somebody's text in quotation marks, for a sentence: on one line, in ASCII, so that nothing in it hides or reads as
/// something else, and no longer than a sentence should be.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", excerpt(text))
}

/// As [`quoted`], without the marks.
pub(crate) fn excerpt(text: &str) -> String {
    let (shown, rest) = match text.char_indices().nth(MAX_EXCERPT_CHARACTERS) {
        None => (text, ""),
        Some((end, _)) => (text.get(..end).unwrap_or_default(), "..."),
    };
    format!("{}{rest}", shown.escape_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "7", "g++", "+5b", "Agent-1._:@", &"x".repeat(128)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "ä", "a\n", &"x".repeat(129)] {
            assert_eq!(
                bad.parse::<Name>().unwrap_err().code,
                Code::Malformed,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn what_is_quoted_is_short_and_plain() {
        assert_eq!(
            quoted("a \"b\"\n\u{202e}é"),
            "\"a \\\"b\\\"\\n\\u{202e}\\u{e9}\""
        );
        let longest = "ü".repeat(MAX_EXCERPT_CHARACTERS);
        assert!(!excerpt(&longest).ends_with("..."));
        let longer = excerpt(&format!("{longest}x"));
        assert_eq!(longer, format!("{}...", excerpt(&longest)));
    }

    #[test]
    fn text_has_no_controls() {
        for good in ["", "Reconcile ✓ the ledger", "שלום", &"x".repeat(1024)] {
            assert_eq!(good.parse::<Text>().unwrap().as_str(), good);
        }
        for bad in [
            "a\nb",
            "\u{7f}",
            "\u{85}",
            "\u{202e}abc",
            "\u{2066}",
            "\u{61c}",
            &"x".repeat(1025),
        ] {
            assert_eq!(
                bad.parse::<Text>().unwrap_err().code,
                Code::Malformed,
                "{bad:?}"
            );
        }
    }
}
