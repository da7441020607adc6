//! How the service is set up: flags over environment (`DRAGONSD_…`) over a file over defaults.
//!
//! Unknown names are errors wherever they stand: a setting that is misspelt must not be one that is silently off.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use config::builder::DefaultState;
use config::{Config, ConfigBuilder, ConfigError, Environment, File, FileFormat, Value, ValueKind};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::http::{HostName, Rates, WebAddress, WebOrigin};
use crate::log::{DEFAULT_MIN_FREE_BYTES, DEFAULT_QUEUE, DEFAULT_RESERVE_BYTES};
use crate::rates::Rate;
use crate::webhooks::{self, Hook};

const ENVIRONMENT: &str = "DRAGONSD";

/// How long the queue may be, in records. Its places are allocated at the start, and a record that waits holds its
/// envelope of up to 48 KiB: this many are 3 GiB, and more of them than a client has the patience to wait for.
const MAX_QUEUE: u64 = 65_536;

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The folder that `init` made.
    pub data: PathBuf,
    /// The address that serves the API.
    pub listen: SocketAddr,
    /// The address that serves metrics.
    pub metrics: SocketAddr,
    /// Names that the service answers to, beside those of loopback.
    #[serde(
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub host: Vec<HostName>,
    /// Origins whose pages may read entry bundles, proofs and packs.
    #[serde(
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allow_origin: Vec<WebOrigin>,
    /// Whether a proxy that ends TLS is in front, so that addresses beyond loopback may be listened on.
    pub behind_proxy: bool,
    /// The address of the runbook for whoever is on call; the board links to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<WebAddress>,
    /// The room on disk, in bytes, below which only authority and control's own records are logged.
    #[serde(deserialize_with = "whole")]
    pub min_free_bytes: u64,
    /// The room on disk, in bytes, below which nothing more is logged.
    #[serde(deserialize_with = "whole")]
    pub reserve_bytes: u64,
    /// How many records may wait for the sequencer, 1 to 65,536.
    #[serde(deserialize_with = "queue")]
    pub queue: usize,
    /// How many records of one agent are taken at once.
    #[serde(deserialize_with = "whole")]
    pub agent_records_at_once: u64,
    /// How many records of one agent are taken each second after that.
    #[serde(deserialize_with = "whole")]
    pub agent_records_per_s: u64,
    /// How many bytes of one agent's records are taken at once.
    #[serde(deserialize_with = "whole")]
    pub agent_bytes_at_once: u64,
    /// How many bytes of one agent's records are taken each second after that.
    #[serde(deserialize_with = "whole")]
    pub agent_bytes_per_s: u64,
    /// How many records from one address are taken at once, unless it is of this machine.
    #[serde(deserialize_with = "whole")]
    pub source_records_at_once: u64,
    /// How many records from one address are taken each second after that.
    #[serde(deserialize_with = "whole")]
    pub source_records_per_s: u64,
    /// How many bytes of records from one address are taken at once.
    #[serde(deserialize_with = "whole")]
    pub source_bytes_at_once: u64,
    /// How many bytes of records from one address are taken each second after that.
    #[serde(deserialize_with = "whole")]
    pub source_bytes_per_s: u64,
    /// How the service's own messages are written.
    pub log_format: LogFormat,
    /// Whether to believe a clock that is far past the last leaf, and to go on in the log's own time behind it.
    pub accept_clock_jump: bool,
    /// Where the newest head is kept beside the data folder: a path or an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Whether to make a log in an empty folder, for a first look.
    pub dev: bool,
    /// The folder of the keys; `keys` in the data folder if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<PathBuf>,
    /// A folder with the verifier page, in place of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<PathBuf>,
    /// The receivers of transitions and denials; only a file can name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Hook>,
}

/// How the service's own messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings that flags can give. What is not given comes from elsewhere.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// A settings file, such as dragonsd.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder that `init` made
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the API listens [default: 127.0.0.1:7117]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where metrics are served [default: 127.0.0.1:7118]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// A host name that the service answers to, in addition to those of loopback; may be repeated
    #[arg(long, value_name = "NAME")]
    pub host: Vec<HostName>,
    /// An origin whose pages may read entry bundles, proofs and packs; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<WebOrigin>,
    /// Confirm that a proxy in front of the service terminates TLS; required for addresses other than loopback
    #[arg(long)]
    pub behind_proxy: bool,
    /// The address of the runbook for whoever is on call; the board links to it
    #[arg(long, value_name = "URL")]
    pub runbook: Option<WebAddress>,
    /// A folder with the verifier page, in place of the built-in one
    #[arg(long, value_name = "DIR")]
    pub web: Option<PathBuf>,
    /// The folder of the keys [default: keys in the data folder]
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Create a log in an empty folder for a first look; all its keys are in the same folder
    #[arg(long)]
    pub dev: bool,
    /// Accept a clock that is more than an hour ahead of the last entry; if the clock is behind, continue in the log's own time
    #[arg(long)]
    pub accept_clock_jump: bool,
    /// Also keep the newest head at a second place, a file or a URL that takes a PUT, and refuse to start if the log is behind it
    #[arg(long, value_name = "PATH|URL")]
    pub anchor: Option<String>,
    /// When the disk has less free space than this, log only the records of operators and of control itself [default: 268435456]
    #[arg(long, value_name = "BYTES")]
    pub min_free_bytes: Option<u64>,
    /// When the disk has less free space than this, log nothing [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    pub reserve_bytes: Option<u64>,
    /// The number of records that may wait for the sequencer, from 1 to 65536 [default: 8192]
    #[arg(long, value_name = "RECORDS")]
    pub queue: Option<usize>,
    /// How messages are written [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl Settings {
    /// The settings in force, from all four places.
    ///
    /// # Errors
    /// [`ConfigError`] for a name that is unknown, a value of the wrong type or out of range, or `data` missing.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::from_layers(
            flags,
            Environment::with_prefix(ENVIRONMENT).try_parsing(true),
        )
    }

    /// The folder of the keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.keys
            .clone()
            .unwrap_or_else(|| default_keys(&self.data))
    }

    /// How fast records are taken.
    #[must_use]
    pub const fn rates(&self) -> Rates {
        const fn rate(at_once: u64, per_s: u64) -> Rate {
            Rate { at_once, per_s }
        }
        Rates {
            agent_records: rate(self.agent_records_at_once, self.agent_records_per_s),
            agent_bytes: rate(self.agent_bytes_at_once, self.agent_bytes_per_s),
            source_records: rate(self.source_records_at_once, self.source_records_per_s),
            source_bytes: rate(self.source_bytes_at_once, self.source_bytes_per_s),
        }
    }

    /// The settings as they may be shown: the address of a webhook can hold a secret.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        for hook in &mut self.webhooks {
            hook.url = webhooks::shown(&hook.url);
        }
        self
    }

    /// The settings that a file with this text gives alone, over the defaults.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let builder = Self::defaults()?.add_source(File::from_str(text, FileFormat::Toml));
        builder.build()?.try_deserialize()
    }

    fn from_layers(flags: &Flags, environment: Environment) -> Result<Self, ConfigError> {
        let mut builder = Self::defaults()?;
        if let Some(path) = &flags.config {
            builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
        }
        builder = builder.add_source(environment);
        for (name, value) in flags.given() {
            builder = builder.set_override(name, value)?;
        }
        builder.build()?.try_deserialize()
    }

    fn defaults() -> Result<ConfigBuilder<DefaultState>, ConfigError> {
        let mut builder = Config::builder()
            .set_default("listen", "127.0.0.1:7117")?
            .set_default("metrics", "127.0.0.1:7118")?
            .set_default("min_free_bytes", DEFAULT_MIN_FREE_BYTES)?
            .set_default("reserve_bytes", DEFAULT_RESERVE_BYTES)?
            .set_default("queue", DEFAULT_QUEUE as u64)?
            .set_default("host", Vec::<String>::new())?
            .set_default("allow_origin", Vec::<String>::new())?
            .set_default("behind_proxy", false)?
            .set_default("log_format", "text")?
            .set_default("accept_clock_jump", false)?
            .set_default("dev", false)?;
        for (name, rate) in Rates::default().named() {
            builder = builder
                .set_default(format!("{name}_at_once"), rate.at_once)?
                .set_default(format!("{name}_per_s"), rate.per_s)?;
        }
        Ok(builder)
    }
}

impl Flags {
    fn given(&self) -> Vec<(&'static str, Value)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let on = |flag: bool| flag.then_some(true);
        let values: [(&str, Option<Value>); 16] = [
            ("data", path(&self.data).map(Into::into)),
            (
                "listen",
                self.listen.map(|address| address.to_string().into()),
            ),
            (
                "metrics",
                self.metrics.map(|address| address.to_string().into()),
            ),
            ("host", texts(&self.host)),
            ("allow_origin", texts(&self.allow_origin)),
            ("behind_proxy", on(self.behind_proxy).map(Into::into)),
            (
                "runbook",
                self.runbook.clone().map(|it| String::from(it).into()),
            ),
            ("web", path(&self.web).map(Into::into)),
            ("keys", path(&self.keys).map(Into::into)),
            ("dev", on(self.dev).map(Into::into)),
            (
                "accept_clock_jump",
                on(self.accept_clock_jump).map(Into::into),
            ),
            ("anchor", self.anchor.clone().map(Into::into)),
            ("min_free_bytes", self.min_free_bytes.map(Into::into)),
            ("reserve_bytes", self.reserve_bytes.map(Into::into)),
            ("queue", self.queue.map(|queue| (queue as u64).into())),
            (
                "log_format",
                self.log_format.map(|format| format.to_string().into()),
            ),
        ];
        values
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// The texts of a flag that can be given more than once; `None` if it was not given.
fn texts<T: Clone + Into<String>>(values: &[T]) -> Option<Value> {
    let texts: Vec<String> = values.iter().cloned().map(Into::into).collect();
    (!texts.is_empty()).then(|| texts.into())
}

/// A list; from the environment, which has none, a text with commas.
fn one_or_more<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String, Error: fmt::Display>,
{
    let texts = match Value::deserialize(deserializer)?.kind {
        ValueKind::Array(values) => values.into_iter().map(Value::into_string).collect(),
        ValueKind::String(text) if text.is_empty() => Ok(Vec::new()),
        ValueKind::String(text) => Ok(text.split(',').map(|text| text.trim().to_owned()).collect()),
        kind => {
            return Err(D::Error::custom(format_args!(
                "{kind} is not a list of texts"
            )));
        }
    };
    let texts: Vec<String> = texts.map_err(D::Error::custom)?;
    let parsed = texts
        .into_iter()
        .map(|text| T::try_from(text).map_err(D::Error::custom));
    parsed.collect()
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// A number as it is written: left to itself, `config` rounds 3.7 to 4.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let kind = Value::deserialize(deserializer)?.kind;
    let number = match kind {
        ValueKind::I64(number) => u64::try_from(number).ok(),
        ValueKind::U64(number) => Some(number),
        _ => None,
    };
    number.ok_or_else(|| D::Error::custom(format_args!("{kind} is not a whole number from 0")))
}

fn queue<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let records = whole(deserializer)?;
    usize::try_from(records)
        .ok()
        .filter(|_| (1..=MAX_QUEUE).contains(&records))
        .ok_or_else(|| {
            D::Error::custom(format_args!(
                "a queue of {records} records, 1 to {MAX_QUEUE}"
            ))
        })
}

/// Where the keys of a log lie unless somebody says otherwise.
#[must_use]
pub fn default_keys(data: &Path) -> PathBuf {
    data.join("keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment::with_prefix(ENVIRONMENT)
            .try_parsing(true)
            .source(Some(variables.collect()))
    }

    fn flags() -> Flags {
        Flags {
            data: Some("d".into()),
            ..Flags::default()
        }
    }

    fn file(text: &str) -> (tempfile::TempDir, Flags) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dragonsd.toml");
        std::fs::write(&path, text).unwrap();
        (
            folder,
            Flags {
                config: Some(path),
                ..Flags::default()
            },
        )
    }

    #[test]
    fn defaults_need_no_more_than_the_data() {
        let settings = Settings::from_layers(&flags(), environment(&[])).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:7117".parse().unwrap());
        assert_eq!(settings.metrics, "127.0.0.1:7118".parse().unwrap());
        assert_eq!(settings.keys(), Path::new("d/keys"));
        assert_eq!(
            (settings.dev, settings.log_format),
            (false, LogFormat::Text)
        );
        let missing = Settings::from_layers(&Flags::default(), environment(&[]));
        assert!(missing.unwrap_err().to_string().contains("data"));
    }

    #[test]
    fn each_layer_beats_the_one_below_it() {
        let (_folder, flags) =
            file("data = \"file\"\nqueue = 1\nlisten = \"127.0.0.1:1\"\nlog_format = \"json\"\n");
        let variables = [("DRAGONSD_QUEUE", "2"), ("DRAGONSD_LISTEN", "127.0.0.1:2")];
        let flags = Flags {
            listen: Some("127.0.0.1:3".parse().unwrap()),
            dev: true,
            ..flags
        };
        let settings = Settings::from_layers(&flags, environment(&variables)).unwrap();
        assert_eq!(settings.data, Path::new("file"));
        assert_eq!((settings.queue, settings.listen.port()), (2, 3));
        assert_eq!((settings.log_format, settings.dev), (LogFormat::Json, true));
    }

    #[test]
    fn unknown_names_are_errors() {
        let (_folder, flags_with_file) = file("data = \"d\"\nlissten = \"127.0.0.1:1\"\n");
        let misspelt = Settings::from_layers(&flags_with_file, environment(&[]));
        assert!(misspelt.unwrap_err().to_string().contains("lissten"));
        let misspelt = Settings::from_layers(&flags(), environment(&[("DRAGONSD_QEUE", "2")]));
        assert!(misspelt.unwrap_err().to_string().contains("qeue"));
    }

    #[test]
    fn names_come_one_by_one_or_as_a_list() {
        let names = |settings: &Settings| -> Vec<String> {
            settings.host.iter().cloned().map(Into::into).collect()
        };
        let variables = [("DRAGONSD_HOST", "a.example, b.example")];
        let settings = Settings::from_layers(&flags(), environment(&variables)).unwrap();
        assert_eq!(names(&settings), ["a.example", "b.example"]);
        let given = Flags {
            host: vec!["c.example".parse().unwrap()],
            ..flags()
        };
        let settings = Settings::from_layers(&given, environment(&variables)).unwrap();
        assert_eq!(names(&settings), ["c.example"], "flags take their place");
        let (_folder, in_file) = file("data = \"d\"\nhost = [\"d.example\"]\n");
        let settings = Settings::from_layers(&in_file, environment(&[])).unwrap();
        assert_eq!(names(&settings), ["d.example"]);
        for (name, value) in [
            ("DRAGONSD_HOST", "http://a"),
            ("DRAGONSD_ALLOW_ORIGIN", "*"),
        ] {
            let refused = Settings::from_layers(&flags(), environment(&[(name, value)]));
            assert!(refused.unwrap_err().to_string().contains(value), "{name}");
        }
    }

    #[test]
    fn webhooks_come_from_a_file() {
        let (_folder, flags) = file(
            "data = \"d\"\n[[webhooks]]\nname = \"ops\"\nurl = \"https://u:p@example.com/secret?token=1\"\n",
        );
        let settings = Settings::from_layers(&flags, environment(&[])).unwrap();
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(
            (
                settings.webhooks.len(),
                settings.webhooks[0].give_up_after_s
            ),
            (1, 86_400)
        );
        let (_folder, flags) = file(&text);
        let again = Settings::from_layers(&flags, environment(&[])).unwrap();
        assert_eq!(again, settings);
        let shown = again.without_secrets().webhooks[0].url.clone();
        assert_eq!(shown, "https://example.com");
        let (_folder, flags) = file("data = \"d\"\n[[webhooks]]\nname = \"ops\"\nuri = \"x\"\n");
        Settings::from_layers(&flags, environment(&[])).unwrap_err();
    }

    #[test]
    fn values_of_the_wrong_type_are_errors() {
        for (name, value) in [
            ("DRAGONSD_QUEUE", "-1"),
            ("DRAGONSD_QUEUE", "many"),
            ("DRAGONSD_QUEUE", "3.7"),
            ("DRAGONSD_QUEUE", "true"),
            ("DRAGONSD_MIN_FREE_BYTES", "0.5"),
            ("DRAGONSD_LISTEN", "localhost"),
            ("DRAGONSD_LOG_FORMAT", "xml"),
        ] {
            let wrong = Settings::from_layers(&flags(), environment(&[(name, value)]));
            assert!(wrong.is_err(), "{name}={value}");
        }
    }

    #[test]
    fn a_queue_holds_something_and_not_all_memory() {
        let load = |records| {
            let flags = Flags {
                queue: Some(records),
                ..flags()
            };
            Settings::from_layers(&flags, environment(&[])).map(|settings| settings.queue)
        };
        assert_eq!(load(1).unwrap(), 1);
        assert_eq!(load(65_536).unwrap(), 65_536);
        assert!(load(usize::MAX).is_err());
        for records in [0, 65_537, 99_999_999_999] {
            let refused = load(records).unwrap_err().to_string();
            assert!(refused.contains("1 to 65536"), "{records}: {refused}");
        }
    }

    #[test]
    fn the_effective_settings_are_read_back() {
        let settings = Settings::from_layers(&flags(), environment(&[])).unwrap();
        let text = toml::to_string(&settings).unwrap();
        let (_folder, flags) = file(&text);
        assert_eq!(
            Settings::from_layers(&flags, environment(&[])).unwrap(),
            settings
        );
    }
}
