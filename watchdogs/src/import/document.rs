//! JSON documents, one or several in a row, and what is looked up in them.

use serde_json::Value;

use super::ImportError;
use crate::alert::Labels;

/// Each document of the bytes.
pub(super) fn all(bytes: &[u8]) -> impl Iterator<Item = Result<Value, serde_json::Error>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::Deserializer::from_slice(bytes).into_iter()
}

/// All documents at once.
pub(super) fn collect(bytes: &[u8]) -> Result<Vec<Value>, ImportError> {
    Ok(all(bytes).collect::<Result<_, _>>()?)
}

/// The text at a path of members; `None` where there is none, or an empty one.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// What is at a path of members.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// A list at a path of members; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A text, a number or a truth value as text; `None` for the rest.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A whole number, whether it was written as one or as text.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Puts the scalar members of an object among labels, each behind a prefix.
pub(super) fn put_members(labels: &mut Labels, prefix: &str, object: Option<&Value>) {
    let members = object.and_then(Value::as_object).into_iter().flatten();
    for (name, value) in members {
        put(labels, &format!("{prefix}{name}"), scalar(value));
    }
}

/// Puts a label, where it has a value.
pub(super) fn put(labels: &mut Labels, name: &str, value: Option<impl Into<String>>) {
    if let Some(value) = value {
        labels.insert(name.to_owned(), value.into());
    }
}
