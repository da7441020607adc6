//! The strict JSON reader and the compact writer.
//!
//! Two programs that read the same bytes must see the same thing, so everything that JSON
//! leaves open is refused: a byte order mark, space around the value, duplicate members
//! (compared after unescaping), floats, exponents, `-0`, negative numbers, integers above
//! 2^53−1 (what every JSON reader holds exactly, RFC 8259 §6), lone surrogates, deep nesting.

mod reader;
mod writer;

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::codes::{Code, Refusal};
use crate::digest::{Digest, RecordHash};
use crate::text::{Name, Text, excerpt};

/// The deepest nesting of arrays and objects: far above any record, far below any stack.
pub const MAX_DEPTH: usize = 16;

/// The most values in one text, members and elements counted: twice the longest list that any format has, the hashes
/// of a proof. Two bytes of text can make a value of 32, so without it a line of a pack would cost 16 times its length.
pub const MAX_VALUES: usize = 1 << 19;

/// The largest integer: 2^53−1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// A JSON value of the strict subset; members keep the order they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number from 0 to [`MAX_INTEGER`].
    Integer(u64),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// An object without duplicate members.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads exactly one value from all of `bytes`.
    ///
    /// # Errors
    /// `not-strict-json`, with what was found and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        reader::read(bytes)
    }

    /// Puts the members of another object over those of this one: objects member by member, everything else whole.
    pub fn merge(&mut self, over: Self) {
        match (self, over) {
            (Self::Object(members), Self::Object(given)) => {
                for (name, value) in given {
                    match members.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => known.merge(value),
                        None => members.push((name, value)),
                    }
                }
            }
            (base, over) => *base = over,
        }
    }

    /// The shortest text of this value: no spaces, members in their order.
    pub fn to_json(&self) -> String {
        self.written(writer::Order::Given)
    }

    /// The RFC 8785 (JCS) text of this value.
    pub fn to_jcs(&self) -> String {
        self.written(writer::Order::Canonical)
    }

    fn written(&self, order: writer::Order) -> String {
        let mut text = String::new();
        writer::write(self, order, &mut text);
        text
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_u64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Array(values) => serializer.collect_seq(values),
            Self::Object(members) => serializer.collect_map(members.iter().map(|(k, v)| (k, v))),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&Text> for Value {
    fn from(value: &Text) -> Self {
        value.as_str().into()
    }
}

impl From<&Name> for Value {
    fn from(value: &Name) -> Self {
        value.as_str().into()
    }
}

impl From<Digest> for Value {
    fn from(value: Digest) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<RecordHash> for Value {
    fn from(value: RecordHash) -> Self {
        Self::Text(value.to_string())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

/// Builds an object whose members stand in the order given.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Reads an object member by member; what is left over at the end is refused.
#[derive(Debug)]
pub struct Members {
    path: String,
    members: Vec<(String, Value)>,
}

impl Members {
    /// Opens the object found at `path` (empty for the whole payload).
    ///
    /// # Errors
    /// `malformed` if the value is not an object.
    pub fn open(path: &str, value: Value) -> Result<Self, Refusal> {
        match value {
            Value::Object(members) => Ok(Self {
                path: path.to_owned(),
                members,
            }),
            _ => Err(expected(path, "an object")),
        }
    }

    /// Takes a member that must be there, also when its value is `null`.
    ///
    /// # Errors
    /// `malformed` if it is absent.
    pub fn take(&mut self, name: &str) -> Result<Value, Refusal> {
        self.take_if_present(name)
            .ok_or_else(|| Code::Malformed.because(format!("{} is missing", self.at(name))))
    }

    /// Takes a member that may be absent.
    pub fn take_if_present(&mut self, name: &str) -> Option<Value> {
        let position = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.remove(position).1)
    }

    /// Takes a member that is `null` or whatever `read` makes of it.
    ///
    /// # Errors
    /// As `read`, and `malformed` if it is absent.
    pub fn nullable<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, Value) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        match self.take(name)? {
            Value::Null => Ok(None),
            value => read(&self.at(name), value).map(Some),
        }
    }

    /// Takes a member that `read` makes something of.
    ///
    /// # Errors
    /// As `read`, and `malformed` if it is absent.
    pub fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, Value) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let value = self.take(name)?;
        read(&self.at(name), value)
    }

    /// Takes an array, each element read by `read`.
    ///
    /// # Errors
    /// As `read`, and `malformed` if it is absent or no array.
    pub fn list<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str, Value) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut elements = Vec::new();
        self.each(name, &mut |path, value| {
            elements.push(read(path, value)?);
            Ok(())
        })?;
        Ok(elements)
    }

    /// Takes an object whose member names are free [`Name`]s, each value read by `read`.
    ///
    /// # Errors
    /// As `read`, and `malformed` if it is absent, no object, or a member has no valid name.
    pub fn map<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str, Value) -> Result<T, Refusal>,
    ) -> Result<Vec<(Name, T)>, Refusal> {
        let Self { path, members } = Self::open(&self.at(name), self.take(name)?)?;
        let mut named = Vec::with_capacity(members.len());
        for (key, value) in members {
            let path = format!("{path}.{key}");
            named.push((Name::read(&path, Value::Text(key))?, read(&path, value)?));
        }
        Ok(named)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `unknown-member`, with its path, if anything was not taken.
    pub fn finish(self) -> Result<(), Refusal> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => Err(Code::UnknownMember.because(self.at(&excerpt(name)))),
        }
    }

    /// What does not depend on the type of the elements is here, so that it is compiled once.
    fn each(
        &mut self,
        name: &str,
        read: &mut dyn FnMut(&str, Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let path = self.at(name);
        let Value::Array(values) = self.take(name)? else {
            return Err(expected(&path, "an array"));
        };
        let mut numbered = values.into_iter().enumerate();
        numbered.try_for_each(|(i, value)| read(&format!("{path}[{i}]"), value))
    }

    /// The path of a member. Its name is one of ours, or was made fit to be shown.
    fn at<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.path.is_empty() {
            true => name.into(),
            false => [&self.path, ".", name].concat().into(),
        }
    }
}

/// Reads an integer from 0 to [`MAX_INTEGER`].
///
/// # Errors
/// `malformed` for anything else, as for the readers below.
pub fn integer(path: &str, value: Value) -> Result<u64, Refusal> {
    match value {
        Value::Integer(value) => Ok(value),
        _ => Err(expected(path, "a whole number")),
    }
}

/// Reads `true` or `false`.
///
/// # Errors
/// `malformed`.
pub fn boolean(path: &str, value: Value) -> Result<bool, Refusal> {
    match value {
        Value::Bool(value) => Ok(value),
        _ => Err(expected(path, "true or false")),
    }
}

/// Reads a string as it is.
///
/// # Errors
/// `malformed`.
pub fn string(path: &str, value: Value) -> Result<String, Refusal> {
    match value {
        Value::Text(value) => Ok(value),
        _ => Err(expected(path, "a string")),
    }
}

/// Reads a string that parses as `T`.
///
/// # Errors
/// `malformed`.
pub fn parsed<T>(path: &str, value: Value) -> Result<T, Refusal>
where
    T: FromStr<Err: Display>,
{
    let text = string(path, value)?;
    text.parse().map_err(|error| wrong(path, &error))
}

pub(crate) fn expected(path: &str, what: &str) -> Refusal {
    let place = if path.is_empty() { "the payload" } else { path };
    Code::Malformed.because(format!("{place} is not {what}"))
}

/// By itself, so that it is compiled once and not for each type.
fn wrong(path: &str, error: &dyn Display) -> Refusal {
    Code::Malformed.because(format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_more_values_than_any_format_has() {
        let list = |elements: usize| format!("[{}0]", "0,".repeat(elements - 1));
        assert!(Value::parse(list(MAX_VALUES - 1).as_bytes()).is_ok());
        let refused = Value::parse(list(MAX_VALUES).as_bytes()).unwrap_err();
        assert!(refused.detail.starts_with("more than 524288 values"));
        let nested = format!(
            "{{\"a\":{},\"b\":{}}}",
            list(MAX_VALUES / 2),
            list(MAX_VALUES / 2)
        );
        assert!(Value::parse(nested.as_bytes()).is_err());
    }

    #[test]
    fn refuses_what_json_leaves_open() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let cases = [
            "",
            " {}",
            "{} ",
            "{}\n",
            "\u{feff}{}",
            "{}{}",
            "1.0",
            "1e2",
            "1E2",
            "-0",
            "-1",
            "01",
            "9007199254740992",
            "18446744073709551616",
            "+5",
            "NaN",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"a\":{\"b\":1,\"b\":1}}",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800x\"",
            "\"\u{1}\"",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "// c\n1",
            "nul",
            &deep(17),
            &deep(100_000),
        ];
        for case in cases {
            let refused = Value::parse(case.as_bytes()).expect_err(&case[..case.len().min(40)]);
            assert_eq!(refused.code, Code::NotStrictJson, "{case}");
        }
        assert_eq!(
            Value::parse(b"\"\xff\"").unwrap_err().code,
            Code::NotStrictJson
        );
        assert_eq!(
            Value::parse(b"\"\xed\xa0\x80\"").unwrap_err().code,
            Code::NotStrictJson
        );
        assert!(Value::parse(deep(16).as_bytes()).is_ok());
        assert_eq!(
            Value::parse(b"9007199254740991").unwrap(),
            Value::Integer(MAX_INTEGER)
        );
        assert_eq!(
            Value::parse(b"\"\\ud83d\\ude00\"").unwrap(),
            Value::from("\u{1f600}")
        );
    }

    #[test]
    fn a_member_left_over_is_named_with_its_path() {
        let value = Value::parse(b"{\"a\":1,\"b\":2}").unwrap();
        let mut members = Members::open("x.y", value).unwrap();
        assert_eq!(members.required("a", integer).unwrap(), 1);
        let refused = members.finish().unwrap_err();
        assert_eq!(
            (refused.code, refused.detail.as_str()),
            (Code::UnknownMember, "x.y.b")
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..=MAX_INTEGER).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// What `serde_json` makes of a text, with the refusals that are ours alone added to its own.
    fn by_serde(text: &str) -> Option<serde_json::Value> {
        fn plain(value: &serde_json::Value) -> bool {
            match value {
                serde_json::Value::Number(number) => {
                    number.as_u64().is_some_and(|number| number <= MAX_INTEGER)
                }
                serde_json::Value::Array(elements) => elements.iter().all(plain),
                serde_json::Value::Object(members) => members.values().all(plain),
                _ => true,
            }
        }
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let rewritten = |text: &str| text.trim_matches([' ', '\t', '\n', '\r']) == text;
        (rewritten(text) && plain(&value)).then_some(value)
    }

    /// Texts that are almost JSON: its tokens, in any order.
    fn almost_json() -> impl Strategy<Value = String> {
        let tokens = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\":",
            "\"\\u0062\":1",
            "1",
            "0",
            "01",
            "-1",
            "1.5",
            "2e3",
            "true",
            "false",
            "null",
            "nul",
            " ",
            "\n",
            "\u{b}",
            "\"",
            "\\",
            "\\u",
            "d83d",
            "\\ude00",
            "\\/",
            "é",
            "\t",
            "9007199254740991",
            "9007199254740992",
            "99999999999999999999",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
        ]);
        prop::collection::vec(tokens, 1..9).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn what_reads_is_what_others_read(text in almost_json()) {
            let ours = Value::parse(text.as_bytes());
            match (ours, by_serde(&text)) {
                (Ok(ours), Some(theirs)) => prop_assert_eq!(serde_json::to_value(ours).unwrap(), theirs),
                (Err(ours), Some(_)) => prop_assert!(ours.detail.contains("stands twice"), "{text}: {ours}"),
                (Ok(_), None) => prop_assert!(false, "{text} is read, and nobody else reads it"),
                (Err(_), None) => {}
            }
        }

        #[test]
        fn a_changed_text_is_read_as_others_read_it(
            value in any_value(), at in any::<prop::sample::Index>(), token in 0_usize..12,
        ) {
            let mut text = value.to_json();
            let tokens = ["\"", "\\", "u", "{", "}", "[", "]", ",", ":", "0", " ", "-"];
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
            text.insert_str(places[at.index(places.len())], tokens[token]);
            match (Value::parse(text.as_bytes()), by_serde(&text)) {
                (Ok(ours), theirs) => prop_assert_eq!(Some(serde_json::to_value(ours).unwrap()), theirs),
                (Err(ours), Some(_)) => prop_assert!(ours.detail.contains("stands twice"), "{text}: {ours}"),
                (Err(_), None) => {}
            }
        }

        #[test]
        fn what_is_written_is_what_others_write(value in any_value()) {
            prop_assert_eq!(value.to_json(), serde_json::to_string(&value).unwrap());
            prop_assert_eq!(value.to_jcs(), serde_json_canonicalizer::to_string(&value).unwrap());
        }

        #[test]
        fn what_is_written_reads_back(value in any_value()) {
            prop_assert_eq!(Value::parse(value.to_json().as_bytes()).unwrap(), value);
        }

        #[test]
        fn what_reads_writes_back_after_one_pass(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = Value::parse(&bytes) {
                prop_assert_eq!(Value::parse(value.to_json().as_bytes()).unwrap(), value);
            }
        }
    }
}
