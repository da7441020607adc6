//! Ids of requests: a text or a number (JSON-RPC 2.0, section 4).

use std::borrow::Cow;

/// The largest integer that every JSON reader has exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// An id, compared by its type and its value: `1` and `"1"` are two, `1` and `1.0` are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Text(String),
    Integer(i128),
    /// Of a number that is not an integer, the bits.
    Number(u64),
}

impl Id {
    /// Reads an id from its JSON; `None` if it is neither a text nor a number.
    pub(crate) fn read(json: &str) -> Option<Self> {
        if json.starts_with('"') {
            return Some(Self::Text(text(json).into_owned()));
        }
        if let Ok(integer) = json.parse() {
            return Some(Self::Integer(integer));
        }
        let number: f64 = serde_json::from_str(json).ok()?;
        // What is integral and exact is within the range of an i128.
        #[expect(clippy::cast_possible_truncation)]
        Some(match number.fract() == 0.0 && number.abs() <= MAX_EXACT {
            true => Self::Integer(number as i128),
            false => Self::Number(number.to_bits()),
        })
    }
}

/// The text of a JSON string; one that has no text, for it holds a lone surrogate, stands for itself.
pub(crate) fn text(json: &str) -> Cow<'_, str> {
    match serde_json::from_str(json) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_by_type_and_value() {
        for (one, other, are_one) in [
            ("0", "0", true),
            ("0", "\"0\"", false),
            ("1", "1.0", true),
            ("1", "1e0", true),
            ("1", "1.5", false),
            ("1.5", "15e-1", true),
            ("-0", "0", true),
            ("9007199254740993", "9007199254740992", false),
            ("\"a\"", "\"\\u0061\"", true),
            ("\"\\ud800\"", "\"\\ud800\"", true),
            ("\"\\ud800\"", "\"\\ud801\"", false),
        ] {
            assert_eq!(Id::read(one) == Id::read(other), are_one, "{one} {other}");
        }
        for json in ["null", "true", "{}", "[1]", ""] {
            assert_eq!(Id::read(json), None, "{json}");
        }
    }
}
