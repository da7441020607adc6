//! What an alert is about: the classes that a replay of the log finds too, so that both can be compared.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};

/// A class of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The agent lives, and gets nowhere.
    Stall,
    /// The agent is not heard.
    Silence,
    /// Authority expired, was revoked or was widened.
    Authority,
    /// The agent tried what it may not do.
    Scope,
    /// The agent is not the version that was registered.
    Drift,
    /// A process that was replaced goes on.
    Zombie,
    /// The agent used more than it was given.
    Overrun,
    /// An action began and has no end.
    Unfinished,
    /// The control plane itself failed.
    Control,
}

/// A word that is not a class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a class: one of stall, silence, authority, scope, drift, zombie, overrun, unfinished, control"
)]
pub struct UnknownClass(String);

impl Class {
    /// Every class, in the order in which they are reported.
    pub const ALL: [Self; 9] = [
        Self::Stall,
        Self::Silence,
        Self::Authority,
        Self::Scope,
        Self::Drift,
        Self::Zombie,
        Self::Overrun,
        Self::Unfinished,
        Self::Control,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::Silence => "silence",
            Self::Authority => "authority",
            Self::Scope => "scope",
            Self::Drift => "drift",
            Self::Zombie => "zombie",
            Self::Overrun => "overrun",
            Self::Unfinished => "unfinished",
            Self::Control => "control",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        let known = Self::ALL.iter().find(|class| class.as_str() == text);
        known.copied().ok_or_else(|| UnknownClass(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Class {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        String::deserialize(reader)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_its_word() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(class));
        }
        for text in ["", "Stall", "stalls", "unknown"] {
            assert!(text.parse::<Class>().is_err(), "{text}");
        }
    }
}
