//! What a URL says: path segments and query parameters, read strictly.
//!
//! A parameter that is not known, stands twice or is spelled in a second way is refused. An answer to
//! a question that was misread is worse than none.

use std::fmt;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use wire::{DEFAULT_PAGE, MAX_PAGE};

use super::problem::Problem;

/// The query of a request. `T` denies unknown fields.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

/// A request that takes no query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

/// The one variable segment of a path.
#[derive(Debug)]
pub(super) struct Segment<T>(pub(super) T);

/// A number in the one spelling it has: no sign, no leading zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal(pub(super) u64);

/// How many elements of a list are wanted: 1 to [`MAX_PAGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit(usize);

impl Limit {
    /// The number.
    pub(super) fn get(self) -> usize {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_PAGE)
    }
}

impl FromStr for Decimal {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = text == "0" || !text.starts_with('0');
        let number = (digits && canonical).then(|| text.parse().ok()).flatten();
        number.map(Self).ok_or(NotDecimal)
    }
}

impl FromStr for Limit {
    type Err = NotALimit;

    fn from_str(text: &str) -> Result<Self, NotALimit> {
        let number = text.parse::<Decimal>().ok();
        let number = number.and_then(|Decimal(number)| usize::try_from(number).ok());
        number
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .map(Self)
            .ok_or(NotALimit)
    }
}

/// A text that is not a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number below 2^64, without sign and leading zeros")]
pub(super) struct NotDecimal;

/// A text that is not a limit of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number from 1 to {MAX_PAGE}")]
pub(super) struct NotALimit;

/// Reads a parameter by its `FromStr`; for `#[serde(deserialize_with)]`.
///
/// # Errors
/// What `FromStr` says.
pub(super) fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|error| D::Error::custom(format_args!("{text:?}: {error}")))
}

/// Reads a parameter that may be left out; for `#[serde(default, deserialize_with)]`.
///
/// # Errors
/// What `FromStr` says.
pub(super) fn parsed_if_present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    parsed(deserializer).map(Some)
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        let Query(parameters) = query.map_err(|error| Problem::malformed(error.body_text()))?;
        Ok(Self(parameters))
    }
}

impl<T, S> FromRequestParts<S> for Segment<T>
where
    T: FromStr<Err: fmt::Display>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|error| Problem::malformed(error.body_text()))?;
        let value = text
            .parse()
            .map_err(|error| Problem::malformed(format!("{text:?}: {error}")));
        value.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        #[serde(deserialize_with = "parsed")]
        after: Decimal,
        #[serde(default, deserialize_with = "parsed")]
        limit: Limit,
    }

    fn read(query: &str) -> Result<(u64, usize), String> {
        let uri = format!("/x?{query}").parse().unwrap();
        let page = Query::<Page>::try_from_uri(&uri).map_err(|error| error.body_text())?;
        Ok((page.after.0, page.limit.get()))
    }

    #[test]
    fn queries_are_read_in_one_spelling() {
        assert_eq!(read("after=7"), Ok((7, 100)));
        assert_eq!(read("limit=1000&after=0"), Ok((0, 1000)));
        for bad in [
            "",
            "after=",
            "after=07",
            "after=%2B7",
            "after=-1",
            "after=1.0",
            "after=1&after=1",
            "after=1&limit=0",
            "after=1&limit=1001",
            "after=1&other=1",
            "after=18446744073709551616",
            "after=1&",
            "after=%ff",
        ] {
            let refused = read(bad);
            // An empty pair is not a parameter (URL standard, application/x-www-form-urlencoded).
            assert_eq!(refused.is_ok(), bad == "after=1&", "{bad}: {refused:?}");
        }
    }
}
