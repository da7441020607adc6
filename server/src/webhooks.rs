//! Webhooks: transitions and denials, sent to the receivers in the settings.
//!
//! ```text
//! log ──▶ follow ──▶ a CloudEvent ──▶ sign ──▶ POST ──▶ 2xx: the position moves on
//!            ▲                          ▲        │
//!            │ position, on the disk    └────────┴── else: after a pause, again; at last a dead letter
//! ```
//!
//! The log itself is the queue. Each hook remembers which entry comes next, so nothing is kept in memory for a receiver
//! that is away, and a restart goes on where the service was. Events go out one after another in the order of the log:
//! none overtakes another. What was sent and not yet noted is sent again, so an event arrives at least once; its id is
//! the record's hash, which tells the second from the first.

mod delivery;
mod event;
mod outbox;
mod reach;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger::key::PrivateKey;
use ledger::text::Name;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::keys::{self, KeyError};
use crate::log::Log;
use delivery::Courier;
use outbox::Outbox;

/// How many dead letters are shown: the newest. All that are kept lie in the data folder.
const SHOWN_DEAD_LETTERS: usize = 100;

/// How long a receiver may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an event is tried unless the settings say otherwise: a day, so that nobody is woken for a restart.
const DEFAULT_GIVE_UP_AFTER_S: u64 = 24 * 60 * 60;

/// A receiver, as the settings name it.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// What it is called, in metrics and in the data folder.
    pub name: String,
    /// Where it listens: `https://…`, or `http://…` on a network that is trusted.
    pub url: String,
    /// Whether that may be an address of this machine or of a private network.
    #[serde(default, skip_serializing_if = "is_off")]
    pub allow_private: bool,
    /// The key that signs for it; `webhook.pem` in the folder of the keys if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// How long an event is tried, in seconds, before it is put aside.
    #[serde(default = "default_give_up_after_s")]
    pub give_up_after_s: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
const fn is_off(flag: &bool) -> bool {
    !*flag
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({}, {})", self.name, shown(&self.url))
    }
}

const fn default_give_up_after_s() -> u64 {
    DEFAULT_GIVE_UP_AFTER_S
}

/// The webhooks at work. They end when this is dropped.
pub struct Webhooks {
    shown: Vec<Arc<Shown>>,
    _couriers: JoinSet<()>,
}

/// Why webhooks cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The name is not valid.
    #[error("webhook {name:?}: a name is up to 128 of A-Z a-z 0-9 . _ : @ -")]
    Name {
        /// What was given.
        name: String,
    },
    /// Two have one name.
    #[error("there are two webhooks {name:?}")]
    Twice {
        /// The name.
        name: String,
    },
    /// The address is not an address.
    #[error("webhook {name:?}: the url does not begin with http:// or https://")]
    Url {
        /// Whose.
        name: String,
    },
    /// The address is of this machine or of a private network, and nothing says that it may be.
    #[error(
        "webhook {name:?}: the url names an address of this machine or of a private network; where that is meant, say allow_private = true"
    )]
    Private {
        /// Whose.
        name: String,
    },
    /// The key cannot be read.
    #[error("webhook {name:?} has no key")]
    Key {
        /// Whose.
        name: String,
        /// Why.
        source: KeyError,
    },
    /// The key signs records or checkpoints too, so a body could be taken for one.
    #[error("webhook {name:?} has a key of the log or of its charter; make one of its own")]
    SharedKey {
        /// Whose.
        name: String,
    },
    /// The position cannot be kept.
    #[error("webhook {name:?} has no place in the data folder")]
    Outbox {
        /// Whose.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no client.
    #[error("an HTTP client could not be set up")]
    Client(#[from] reqwest::Error),
}

/// What an operator sees of a hook.
#[derive(Debug)]
struct Shown {
    name: String,
    /// Without what may be secret in it.
    url: String,
    keyid: String,
    key: String,
    folder: PathBuf,
    progress: Mutex<Progress>,
}

/// How far a hook has got.
#[derive(Clone, Debug, Default, Serialize)]
struct Progress {
    /// The index of the next entry to look at.
    next: u64,
    /// What is being tried again, if anything is.
    failing: Option<Failing>,
}

/// An event that does not arrive, for whoever is on call. Where it goes is nobody's business who sees the board.
#[derive(Clone, Debug)]
pub struct Undelivered {
    /// What the webhook is called.
    pub webhook: String,
    /// The index of its entry.
    pub index: u64,
    /// How often it was tried.
    pub attempts: u32,
}

/// An event that does not arrive.
#[derive(Clone, Debug, Serialize)]
struct Failing {
    index: u64,
    attempts: u32,
    error: String,
}

impl Webhooks {
    /// Starts them: each in a task of its own, so that none waits for another.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn start(
        hooks: &[Hook],
        data: &Path,
        keys: &Path,
        log: &Log,
    ) -> Result<Self, WebhookError> {
        let mut couriers = JoinSet::new();
        let mut shown: Vec<Arc<Shown>> = Vec::new();
        for hook in hooks {
            let name = hook.name.clone();
            if shown.iter().any(|other| other.name == name) {
                return Err(WebhookError::Twice { name });
            }
            let courier = courier(hook, data, keys, log)?;
            shown.push(courier.shown());
            couriers.spawn(courier.run());
        }
        Ok(Self {
            shown,
            _couriers: couriers,
        })
    }

    /// What does not arrive at the moment, for the board.
    pub fn undelivered(&self) -> impl Fn() -> Vec<Undelivered> + Send + Sync + 'static {
        let shown = self.shown.clone();
        move || {
            shown
                .iter()
                .filter_map(|shown| shown.undelivered())
                .collect()
        }
    }

    /// How they do, and what was put aside, as JSON for operators.
    pub fn report(&self) -> impl Fn() -> String + Clone + Send + 'static {
        let shown = self.shown.clone();
        move || {
            let hooks: Vec<_> = shown.iter().map(|shown| shown.report()).collect();
            serde_json::json!({ "webhooks": hooks }).to_string()
        }
    }
}

impl Shown {
    fn undelivered(&self) -> Option<Undelivered> {
        let failing = self.progress().failing?;
        Some(Undelivered {
            webhook: self.name.clone(),
            index: failing.index,
            attempts: failing.attempts,
        })
    }

    fn report(&self) -> serde_json::Value {
        let progress = self.progress();
        serde_json::json!({
            "name": self.name,
            "url": self.url,
            "keyid": self.keyid,
            "key": self.key,
            "next": progress.next,
            "failing": progress.failing,
            "dead_letters": outbox::dead_letters(&self.folder, SHOWN_DEAD_LETTERS),
        })
    }

    fn progress(&self) -> Progress {
        let progress = self.progress.lock();
        progress.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_progress(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

fn courier(hook: &Hook, data: &Path, keys: &Path, log: &Log) -> Result<Courier, WebhookError> {
    let name = || hook.name.clone();
    hook.name
        .parse::<Name>()
        .map_err(|_| WebhookError::Name { name: name() })?;
    let url = Url::parse(&hook.url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| WebhookError::Url { name: name() })?;
    if !hook.allow_private && reach::names_private(&url) {
        return Err(WebhookError::Private { name: name() });
    }
    let key = hook.key.clone().unwrap_or_else(|| keys.join("webhook.pem"));
    let key = keys::read(&key).map_err(|source| WebhookError::Key {
        name: name(),
        source,
    })?;
    let published = log.published();
    if is_of_the_log(&key, log) {
        return Err(WebhookError::SharedKey { name: name() });
    }
    let folder = data.join("webhooks").join(&hook.name);
    // A new hook gets what happens from now on.
    let outbox = Outbox::open(&folder, published.size.get());
    let outbox = outbox.map_err(|source| WebhookError::Outbox {
        name: name(),
        source,
    })?;
    let shown = Shown {
        name: name(),
        url: shown(&hook.url),
        keyid: key.public().id().to_string(),
        key: tlog::base64::encode(key.public().as_bytes()),
        folder,
        progress: Mutex::default(),
    };
    let give_up_after = Duration::from_secs(hook.give_up_after_s);
    let client = client(&url, hook.allow_private)?;
    Ok(Courier::new(
        (log.clone(), outbox, Arc::new(shown)),
        (client, url, key),
        give_up_after,
    ))
}

/// Whether a signature by the key could be taken for one on a record or a checkpoint.
fn is_of_the_log(key: &PrivateKey, log: &Log) -> bool {
    let published = log.published();
    let public = key.public();
    published.state.charter().is_some_and(|charter| {
        let in_charter = charter.keys.iter().any(|known| known.key == public);
        let name = charter.log_keys.first().map(tlog::note::VerifierKey::name);
        let as_log = name.map(|name| {
            let signing = tlog::note::SigningKey::new(name.clone(), &key.seed());
            signing.verifier_key()
        });
        in_charter || as_log.is_some_and(|as_log| charter.log_keys.contains(&as_log))
    })
}

/// An address as it may be shown, by scheme and host: a receiver may keep a secret in any other part.
pub(crate) fn shown(url: &str) -> String {
    let url = Url::parse(url).ok();
    let host = url
        .as_ref()
        .and_then(|url| Some((url.scheme(), url.host_str()?)));
    host.map_or_else(String::new, |(scheme, host)| format!("{scheme}://{host}"))
}

/// An event goes to the address that the settings name, and nowhere that an answer points to.
fn client(url: &Url, allow_private: bool) -> Result<Client, reqwest::Error> {
    // An error says that there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("dragonsd/", env!("CARGO_PKG_VERSION")));
    if !allow_private {
        builder = builder.dns_resolver(reach::PublicOnly);
    }
    if url.scheme() == "http" {
        // Without TLS there is nobody to certify, and a machine without root certificates is as good as any.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}
