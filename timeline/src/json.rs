//! How values of the ledger are written by serde: as the text that they have in records.

use std::fmt::Display;

use serde::{Serialize, Serializer};
use tlog::LeafIndex;

pub(crate) fn text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(crate) fn text_or_null<T: Display, S: Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(Shown).serialize(to)
}

pub(crate) fn texts<T: Display, S: Serializer>(values: &[T], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(Shown))
}

pub(crate) fn index<S: Serializer>(index: &LeafIndex, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(index.get())
}

/// A value as its text.
struct Shown<'a, T>(&'a T);

impl<T: Display> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self.0)
    }
}
