//! Values that stand in JSON as their text.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::ser::Serializer;

pub(crate) fn serialize<S: Serializer>(value: &impl Display, writer: S) -> Result<S::Ok, S::Error> {
    writer.collect_str(value)
}

pub(crate) fn deserialize<'de, D, T>(reader: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    parse(&String::deserialize(reader)?)
}

fn parse<T: FromStr<Err: Display>, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(E::custom)
}

/// A value or `null`.
pub(crate) mod nullable {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        writer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => writer.collect_str(value),
            None => writer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D, T>(reader: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        let text = Option::<String>::deserialize(reader)?;
        text.map(|text| parse(&text)).transpose()
    }
}

/// A list of values.
pub(crate) mod each {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        values: &[impl Display],
        writer: S,
    ) -> Result<S::Ok, S::Error> {
        writer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(crate) fn deserialize<'de, D, T>(reader: D) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        let texts = Vec::<String>::deserialize(reader)?;
        texts.iter().map(|text| parse(text)).collect()
    }
}
