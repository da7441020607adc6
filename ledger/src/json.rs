//! The strict JSON reader and the compact writer.
//!
//! Two programs that read the same bytes must see the same thing, so everything that JSON
//! leaves open is refused: a byte order mark, space around the value, duplicate members
//! (compared after unescaping), floats, exponents, `-0`, negative numbers, integers above
//! 2^53−1 (what every JSON reader holds exactly, RFC 8259 §6), lone surrogates, deep nesting.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::codes::{Code, Refusal};
use crate::digest::{Digest, RecordHash};
use crate::text::{Name, Text};

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
        let around = [bytes.first(), bytes.last()];
        if around
            .iter()
            .flatten()
            .any(|byte| byte.is_ascii_whitespace())
        {
            return Err(Code::NotStrictJson.because("space around the value"));
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let left = Cell::new(MAX_VALUES);
        let place = Place {
            depth: 0,
            left: &left,
        };
        let value = place
            .deserialize(&mut reader)
            .and_then(|value| reader.end().map(|()| value));
        value.map_err(|error| Code::NotStrictJson.because(error))
    }

    /// The shortest text of this value: no spaces, members in their order.
    pub fn to_json(&self) -> String {
        // Serialising strings, integers and string-keyed maps into memory has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The RFC 8785 (JCS) bytes of this value.
    ///
    /// # Errors
    /// `malformed`, should the canonicaliser refuse the value; none of this type is refused today.
    pub fn to_jcs(&self) -> Result<Vec<u8>, Refusal> {
        serde_json_canonicalizer::to_vec(self).map_err(|error| Code::Malformed.because(error))
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
    /// `malformed` if the value is no object.
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
        let path = self.at(name);
        let Value::Array(values) = self.take(name)? else {
            return Err(expected(&path, "an array"));
        };
        let numbered = values.into_iter().enumerate();
        numbered
            .map(|(i, value)| read(&format!("{path}[{i}]"), value))
            .collect()
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
        let path = self.at(name);
        let Value::Object(members) = self.take(name)? else {
            return Err(expected(&path, "an object"));
        };
        let read_member = |(key, value): (String, Value)| {
            let path = format!("{path}.{key}");
            Ok((Name::read(&path, Value::Text(key))?, read(&path, value)?))
        };
        members.into_iter().map(read_member).collect()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `unknown-member`, with its path, if anything was not taken.
    pub fn finish(self) -> Result<(), Refusal> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => Err(Code::UnknownMember.because(self.at(name))),
        }
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
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
    T: std::str::FromStr<Err: fmt::Display>,
{
    let text = string(path, value)?;
    text.parse()
        .map_err(|error| Code::Malformed.because(format!("{path}: {error}")))
}

pub(crate) fn expected(path: &str, what: &str) -> Refusal {
    let place = if path.is_empty() { "the payload" } else { path };
    Code::Malformed.because(format!("{place} is not {what}"))
}

/// Where the value to be read stands: how deep in arrays and objects, and how many more there may be.
#[derive(Clone, Copy)]
struct Place<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Place<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        let depth = self.depth + 1;
        Ok(Self { depth, ..self })
    }

    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1);
        let left = left.ok_or_else(|| E::custom(format_args!("more than {MAX_VALUES} values")))?;
        self.left.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.count()?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without floats, exponents, or negative numbers")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_INTEGER {
            return Err(E::custom(format_args!(
                "integer {value} above {MAX_INTEGER}"
            )));
        }
        Ok(Value::Integer(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut members = Vec::new();
        let mut names = BTreeSet::new();
        while let Some(name) = entries.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!(
                    "member {name:?} stands twice"
                )));
            }
            members.push((name, entries.next_value_seed(inside)?));
        }
        Ok(Value::Object(members))
    }
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

    proptest! {
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
