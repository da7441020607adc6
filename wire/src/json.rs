//! JSON as it was signed, within an answer: members keep their order.

use std::fmt;

use ledger::json::{MAX_INTEGER, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize as _, Serializer};

pub(crate) fn serialize<S: Serializer>(value: &Value, writer: S) -> Result<S::Ok, S::Error> {
    value.serialize(writer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<Value, D::Error> {
    reader.deserialize_any(Reader)
}

/// Reads a value of the strict subset that records are written in.
#[derive(Clone, Copy)]
struct Reader;

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON without fractions and negative numbers")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        match value {
            0..=MAX_INTEGER => Ok(Value::Integer(value)),
            _ => Err(E::custom(format_args!("{value} is larger than 2^53-1"))),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format_args!("{name:?} stands twice")));
            }
            members.push((name, value));
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, serde_json::Error> {
        deserialize(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn what_was_signed_is_read_as_it_is_parsed() {
        for text in [
            "null",
            "true",
            "9007199254740991",
            r#""a\u0007""#,
            r#"{"b":[1,{"a":null}],"a":{"z":"","y":[]}}"#,
        ] {
            let parsed = Value::parse(text.as_bytes()).unwrap();
            assert_eq!(read(text).unwrap(), parsed, "{text}");
            assert_eq!(serde_json::to_string(&parsed).unwrap(), parsed.to_json());
        }
    }

    #[test]
    fn what_no_record_says_is_refused() {
        for text in ["-1", "1.5", "9007199254740992", r#"{"a":1,"a":1}"#] {
            assert!(read(text).is_err(), "{text}");
            assert!(Value::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
