//! The JSON form of OTLP ("JSON Protobuf Encoding"): protobuf's own, but that ids are in hexadecimal and enums are numbers.
//! 64-bit integers are texts or numbers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::message::{AnyValue, Scalar};

/// The longest id, in bytes: a trace's.
const MAX_ID_BYTES: usize = 16;

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

/// An id in hexadecimal digits of either case. In base64, as protobuf's own JSON has bytes, it has another length, and is
/// read as well: what was printed from protobuf looks like that.
pub(super) fn id<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(reader)?.unwrap_or_default();
    let bytes = match text.len() {
        12 | 24 => STANDARD.decode(&text).ok(),
        _ => hexadecimal(&text),
    };
    bytes.ok_or_else(|| D::Error::custom("an id is not in hexadecimal digits"))
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() > 2 * MAX_ID_BYTES || !text.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// A 64-bit integer.
pub(super) fn unsigned<'de, D: Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
    let no_number = || D::Error::custom("a time is not a whole number");
    match Option::<TextOrNumber>::deserialize(reader)? {
        None => Ok(0),
        Some(TextOrNumber::Text(text)) => text.parse().map_err(|_| no_number()),
        Some(TextOrNumber::Unsigned(number)) => Ok(number),
        Some(TextOrNumber::Signed(_) | TextOrNumber::Float(_)) => Err(no_number()),
    }
}

/// A status code, by its number or, as some exporters write it, its name.
pub(super) fn status_code<'de, D: Deserializer<'de>>(reader: D) -> Result<i32, D::Error> {
    match Option::<TextOrNumber>::deserialize(reader)? {
        Some(TextOrNumber::Unsigned(number)) => Ok(i32::try_from(number).unwrap_or_default()),
        Some(TextOrNumber::Text(name)) => Ok(match name.as_str() {
            "STATUS_CODE_OK" => 1,
            "STATUS_CODE_ERROR" => 2,
            _ => 0,
        }),
        _ => Ok(0),
    }
}

/// The one member of a value that says which kind it is; lists, maps and bytes are passed over.
impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = AnyValue;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an OTLP value, such as {\"stringValue\":\"x\"}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<AnyValue, M::Error> {
        let mut value = None;
        while let Some(name) = members.next_key::<String>()? {
            value = match name.as_str() {
                "stringValue" => Some(Scalar::Text(members.next_value()?)),
                "boolValue" => Some(Scalar::Truth(members.next_value()?)),
                "intValue" => members.next_value().map(whole)?,
                "doubleValue" => members.next_value().map(number)?,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    value
                }
            };
        }
        Ok(AnyValue { value })
    }
}

fn whole(value: TextOrNumber) -> Option<Scalar> {
    let whole = match value {
        TextOrNumber::Text(text) => text.parse().ok()?,
        TextOrNumber::Unsigned(number) => i64::try_from(number).ok()?,
        TextOrNumber::Signed(number) => number,
        TextOrNumber::Float(_) => return None,
    };
    Some(Scalar::Whole(whole))
}

fn number(value: TextOrNumber) -> Option<Scalar> {
    match value {
        // `NaN` and the infinities are texts.
        TextOrNumber::Text(text) => text.parse().ok().map(Scalar::Number),
        TextOrNumber::Float(number) => Some(Scalar::Number(number)),
        #[expect(clippy::cast_precision_loss, reason = "a label, not a sum")]
        TextOrNumber::Unsigned(number) => Some(Scalar::Number(number as f64)),
        #[expect(clippy::cast_precision_loss, reason = "a label, not a sum")]
        TextOrNumber::Signed(number) => Some(Scalar::Number(number as f64)),
    }
}
