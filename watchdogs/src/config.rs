//! The two files that people write: `map.toml` for a report, `observe.toml` for a receiver. Both have [rules](crate::rules).
//!
//! ```toml
//! # map.toml
//! [[source]]
//! name = "alertmanager"
//! every_ms = 15000
//! slack_ms = 300000
//! sees = ["silence", "stall"]
//! rules_from = 2026-11-01T00:00:00Z
//! ```
//!
//! ```toml
//! # observe.toml
//! spool = "spool"
//! spool_max_bytes = 1073741824
//!
//! [[source]]
//! name = "pager"
//! kind = "pagerduty"
//! path = "/hooks/pager"
//! secret_file = "pager.secret"
//! ```
//!
//! Members that a file does not have are errors: a misspelt `where` must not change what a rule says.

use std::path::PathBuf;

use ledger::digest::Digest;
use ledger::text::{Name, quoted};
use serde::Deserialize;

use crate::class::Class;
use crate::import::SourceKind;
use crate::rules::{Rules, RulesError, Written};
use crate::time::{self, NotATime};

/// The longest file: thousands of rules.
pub const MAX_CONFIG_BYTES: usize = 4 << 20;

/// How far an alert may lie beside a case and still be about it, if the file does not say: five minutes.
pub const DEFAULT_SLACK_MS: u64 = 5 * 60 * 1000;

/// How much the spool of a receiver may hold, if the file does not say: one GiB, a day of a busy fleet.
pub const DEFAULT_SPOOL_MAX_BYTES: u64 = 1 << 30;

/// How many records a second a receiver may hand to the log, if the file does not say.
pub const DEFAULT_RECORDS_PER_S: u64 = 1_000;

/// The paths of OTLP/HTTP (its specification, "OTLP/HTTP Request"), which no webhook can have.
pub const OTLP_PATHS: [&str; 3] = ["/v1/traces", "/v1/logs", "/v1/metrics"];

/// `map.toml`: the tools of a report, and whom their alerts are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// The tools, in the order of the file.
    pub sources: Vec<MapSource>,
    /// Whom their alerts are about.
    pub rules: Rules,
    /// The digest of the file's bytes.
    pub digest: Digest,
}

/// A tool, as far as a report has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSource {
    /// What it is called.
    pub name: Name,
    /// How often it looks, in milliseconds, where that is known.
    pub every_ms: Option<u64>,
    /// How far its alerts may lie beside a case and still be about it, in milliseconds.
    pub slack_ms: u64,
    /// The classes that it can see at all; `None` where nobody has said.
    pub sees: Option<Vec<Class>>,
    /// Since when its rules have been there: milliseconds since the epoch.
    pub rules_from_ms: Option<u64>,
}

/// `observe.toml`: what a receiver takes, from whom, and whom it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observe {
    /// Where what was received is kept until it is logged.
    pub spool: Option<PathBuf>,
    /// How much of it there may be, in bytes.
    pub spool_max_bytes: u64,
    /// How many records a second go to the log at most.
    pub records_per_s: u64,
    /// The tools, in the order of the file.
    pub sources: Vec<ObserveSource>,
    /// Whom they speak of.
    pub rules: Rules,
    /// The digest of the file's bytes.
    pub digest: Digest,
}

/// A tool that sends to a receiver, or whose files are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObserveSource {
    /// What it is called in records.
    pub name: Name,
    /// How it speaks.
    pub kind: SourceKind,
    /// The path of its webhook.
    pub path: Option<String>,
    /// The file with what it proves itself by.
    pub secret_file: Option<PathBuf>,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is longer than any.
    #[error("it is longer than {MAX_CONFIG_BYTES} bytes")]
    TooLong,
    /// It is not text.
    #[error("it is not UTF-8")]
    NotText,
    /// It is not TOML, or not of this form.
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    /// A name is not a name.
    #[error("[[source]] name {0} is not a name")]
    NotAName(String),
    /// Two sources cannot be told apart.
    #[error("two [[source]] have the {member} {text}")]
    Repeated {
        /// What they have in common.
        member: &'static str,
        /// Which.
        text: String,
    },
    /// A time is not a time.
    #[error("rules_from")]
    Time(#[from] NotATime),
    /// A path of a webhook is not one.
    #[error("[[source]] {name}: path {path} is not a path of its own that begins with /")]
    Path {
        /// Whose.
        name: Name,
        /// What it says.
        path: String,
    },
    /// The rules are of no use.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMap {
    #[serde(default)]
    source: Vec<WrittenMapSource>,
    #[serde(default)]
    map: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMapSource {
    name: String,
    every_ms: Option<u64>,
    slack_ms: Option<u64>,
    sees: Option<Vec<Class>>,
    rules_from: Option<WrittenTime>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenTime {
    Toml(toml::value::Datetime),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenObserve {
    spool: Option<PathBuf>,
    spool_max_bytes: Option<u64>,
    records_per_s: Option<std::num::NonZeroU64>,
    #[serde(default)]
    source: Vec<WrittenObserveSource>,
    #[serde(default)]
    map: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenObserveSource {
    name: String,
    kind: SourceKind,
    path: Option<String>,
    secret_file: Option<PathBuf>,
}

impl Map {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let written: WrittenMap = toml::from_str(text(bytes)?)?;
        let sources = written.source.into_iter().map(MapSource::of);
        let sources: Vec<MapSource> = sources.collect::<Result<_, _>>()?;
        let names = || sources.iter().map(|source| &source.name);
        distinct("name", names().map(Name::to_string))?;
        Ok(Self {
            rules: Rules::of(written.map, |name| is_known(names(), name))?,
            digest: Digest::of(&[bytes]),
            sources,
        })
    }

    /// What the file says about a tool; what it does not say is as for any.
    #[must_use]
    pub fn source(&self, name: &Name) -> MapSource {
        let known = self.sources.iter().find(|source| source.name == *name);
        known.cloned().unwrap_or_else(|| MapSource {
            name: name.clone(),
            every_ms: None,
            slack_ms: DEFAULT_SLACK_MS,
            sees: None,
            rules_from_ms: None,
        })
    }
}

impl MapSource {
    fn of(written: WrittenMapSource) -> Result<Self, ConfigError> {
        let rules_from = written.rules_from.map(|time| match time {
            WrittenTime::Toml(time) => time::with_offset(&time.to_string()),
            WrittenTime::Text(text) => time::with_offset(&text),
        });
        Ok(Self {
            name: name(&written.name)?,
            every_ms: written.every_ms,
            slack_ms: written.slack_ms.unwrap_or(DEFAULT_SLACK_MS),
            sees: written.sees,
            rules_from_ms: rules_from.transpose()?,
        })
    }
}

impl Observe {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let written: WrittenObserve = toml::from_str(text(bytes)?)?;
        let sources = written.source.into_iter().map(ObserveSource::of);
        let sources: Vec<ObserveSource> = sources.collect::<Result<_, _>>()?;
        let names = || sources.iter().map(|source| &source.name);
        distinct("name", names().map(Name::to_string))?;
        distinct("path", sources.iter().filter_map(|it| it.path.clone()))?;
        Ok(Self {
            spool: written.spool,
            spool_max_bytes: written.spool_max_bytes.unwrap_or(DEFAULT_SPOOL_MAX_BYTES),
            records_per_s: written
                .records_per_s
                .map_or(DEFAULT_RECORDS_PER_S, std::num::NonZeroU64::get),
            rules: Rules::of(written.map, |name| is_known(names(), name))?,
            digest: Digest::of(&[bytes]),
            sources,
        })
    }

    /// What sends OTLP to a path: the source that has this path, else the only one without any, else it is called `otlp`.
    /// `None` where several have none.
    #[must_use]
    pub fn otlp(&self, path: &str) -> Option<Name> {
        let all = || self.sources.iter().filter(|it| it.kind == SourceKind::Otlp);
        let named = all().find(|it| it.path.as_deref() == Some(path));
        let mut others = all().filter(|it| it.path.is_none());
        match (named, others.next(), others.next()) {
            (Some(named), ..) => Some(named.name.clone()),
            (None, Some(only), None) => Some(only.name.clone()),
            (None, None, _) => Some(SourceKind::Otlp.name()),
            _ => None,
        }
    }

    /// What a tool of a kind is called: as the only one of its kind in the file, else as its kind. `None` where the file has
    /// several.
    #[must_use]
    pub fn name_of(&self, kind: SourceKind) -> Option<Name> {
        let mut named = self.sources.iter().filter(|source| source.kind == kind);
        match (named.next(), named.next()) {
            (None, _) => Some(kind.name()),
            (Some(only), None) => Some(only.name.clone()),
            _ => None,
        }
    }
}

impl ObserveSource {
    fn of(written: WrittenObserveSource) -> Result<Self, ConfigError> {
        let name = name(&written.name)?;
        if let Some(path) = written
            .path
            .as_ref()
            .filter(|path| !fits(written.kind, path))
        {
            let path = quoted(path);
            return Err(ConfigError::Path { name, path });
        }
        Ok(Self {
            name,
            kind: written.kind,
            path: written.path,
            secret_file: written.secret_file,
        })
    }
}

/// Whether a path is one that a source of this kind can have: OTLP has those of its specification, a webhook any other.
fn fits(kind: SourceKind, path: &str) -> bool {
    let is_otlp = OTLP_PATHS.contains(&path);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#{}".contains(&byte);
    match kind {
        SourceKind::Otlp => is_otlp,
        _ => path.starts_with('/') && !is_otlp && path.bytes().all(is_plain),
    }
}

fn text(bytes: &[u8]) -> Result<&str, ConfigError> {
    if bytes.len() > MAX_CONFIG_BYTES {
        return Err(ConfigError::TooLong);
    }
    std::str::from_utf8(bytes).map_err(|_| ConfigError::NotText)
}

fn name(text: &str) -> Result<Name, ConfigError> {
    text.parse()
        .map_err(|_| ConfigError::NotAName(quoted(text)))
}

fn distinct(member: &'static str, texts: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let mut seen = std::collections::BTreeSet::new();
    for text in texts {
        if !seen.insert(text.clone()) {
            return Err(ConfigError::Repeated { member, text });
        }
    }
    Ok(())
}

/// A source that a rule may name: one of the file, or the kind of one, since a tool that the file does not name is
/// called by its kind.
fn is_known<'a>(mut names: impl Iterator<Item = &'a Name>, name: &Name) -> bool {
    names.any(|known| known == name) || SourceKind::ALL.iter().any(|kind| kind.name() == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_one() {
        let map = Map::parse(b"").unwrap();
        assert!(map.sources.is_empty());
        assert_eq!(map.source(&name("csv").unwrap()).slack_ms, DEFAULT_SLACK_MS);
        let observe = Observe::parse(b"").unwrap();
        assert_eq!(observe.spool_max_bytes, DEFAULT_SPOOL_MAX_BYTES);
        assert_eq!(
            observe.name_of(SourceKind::Datadog),
            Some(name("datadog").unwrap())
        );
    }

    #[test]
    fn a_map_says_what_a_tool_sees_and_since_when() {
        let text = r#"
            [[source]]
            name = "cron"
            every_ms = 300000
            slack_ms = 1000
            sees = ["silence", "stall"]
            rules_from = 2026-11-01T00:00:00Z

            [[source]]
            name = "other"
            rules_from = "2026-11-01T01:00:00+01:00"

            [[map]]
            source = "cron"
            agent = "a"
        "#;
        let map = Map::parse(text.as_bytes()).unwrap();
        let cron = map.source(&name("cron").unwrap());
        assert_eq!(cron.sees, Some(vec![Class::Silence, Class::Stall]));
        assert_eq!((cron.every_ms, cron.slack_ms), (Some(300_000), 1_000));
        assert_eq!(cron.rules_from_ms, Some(1_793_491_200_000));
        assert_eq!(map.sources[1].rules_from_ms, cron.rules_from_ms);
        assert_eq!(map.digest, Digest::of(&[text.as_bytes()]));
    }

    #[test]
    fn what_a_file_does_not_have_is_an_error() {
        for text in [
            "sources = []",
            "[[source]]\nname = \"a\"\nkind = \"csv\"",
            "[[source]]\nname = \"a\"\nsees = [\"stalls\"]",
            "[[source]]\nname = \"a b\"",
            "[[source]]\nname = \"a\"\n[[source]]\nname = \"a\"",
            "[[source]]\nname = \"a\"\nrules_from = \"yesterday\"",
            "[[source]]\nname = \"a\"\nrules_from = 2026-11-01",
            "[[map]]\nsource = \"csv\"\nagents = \"a\"",
            "[[map]]\nsource = \"csv\"\nclass = \"none\"",
            "[[map]]\nsource = \"nobody\"\nagent = \"a\"",
            "[[map]]\nagent = \"a\"",
        ] {
            assert!(Map::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Map::parse(b"\xff").is_err());
    }

    #[test]
    fn a_receivers_sources_are_told_apart() {
        let source = |name: &str, more: &str| format!("[[source]]\nname = \"{name}\"\n{more}\n");
        let good = format!(
            "spool = \"s\"\nrecords_per_s = 5\n{}{}",
            source("am", "kind = \"alertmanager\"\npath = \"/hooks/am\""),
            source("pd", "kind = \"pagerduty\"\nsecret_file = \"x\"")
        );
        let observe = Observe::parse(good.as_bytes()).unwrap();
        assert_eq!(observe.records_per_s, 5);
        let named = observe.name_of(SourceKind::Alertmanager);
        assert_eq!(named, Some(name("am").unwrap()));
        for bad in [
            source("a", ""),
            source("a", "kind = \"nagios\""),
            source("a", "kind = \"csv\"\nsecret = \"x\""),
            source("a", "kind = \"datadog\"\npath = \"hooks\""),
            source("a", "kind = \"datadog\"\npath = \"/v1/traces\""),
            "records_per_s = 0".to_owned(),
        ] {
            assert!(Observe::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let traces = source("t", "kind = \"otlp\"\npath = \"/v1/traces\"");
        let both = [traces.clone(), source("o", "kind = \"otlp\"")].concat();
        for (text, traces, logs) in [
            ("", "otlp", "otlp"),
            (traces.as_str(), "t", "otlp"),
            (both.as_str(), "t", "o"),
        ] {
            let observe = Observe::parse(text.as_bytes()).unwrap();
            assert_eq!(observe.otlp("/v1/traces"), Some(name(traces).unwrap()));
            assert_eq!(observe.otlp("/v1/logs"), Some(name(logs).unwrap()));
        }
        let two = [source("a", "kind = \"csv\""), source("b", "kind = \"csv\"")].concat();
        let two = Observe::parse(two.as_bytes()).unwrap();
        assert_eq!(two.name_of(SourceKind::Csv), None);
    }
}
