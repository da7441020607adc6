//! What watchdogs said of agents: alerts about one agent each, and what their sources have lost.

use ledger::text::Name;
use serde::Serialize;

use watchdogs::alert::muted;
use watchdogs::class::Class;

/// One alert of a watchdog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Alert {
    /// When it was opened, by its source's clock: milliseconds since the epoch.
    pub opened_ms: u64,
    /// When it was closed; `None` if nobody said so. Then it counts at its opening.
    pub closed_ms: Option<u64>,
    /// Who raised it.
    pub source: String,
    /// The source's own name for it.
    pub source_id: String,
    /// The rule that raised it, by the source's name.
    pub monitor: String,
    /// The agent that it is about.
    #[serde(skip)]
    pub agent: Name,
    /// Of which class it is; `None` if the map does not say.
    #[serde(skip)]
    pub class: Option<Class>,
    /// How bad, by the source's own word.
    pub severity: Option<String>,
    /// Whether it was muted: raised, and told to nobody. `None` where nobody says.
    pub muted: Option<bool>,
    /// The entry of the log that tells of it, if one does.
    pub entry: Option<u64>,
}

/// A time in which a source has lost something, or was not heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The source.
    #[serde(skip)]
    pub source: String,
    /// When it began.
    pub from_ms: u64,
    /// When it ended.
    pub to_ms: u64,
    /// What is known of it.
    pub detail: String,
    /// The entry that tells of it; `None` if a file does.
    pub entry: Option<u64>,
}

impl Alert {
    /// What tells it from every other: a source may give the same name to alerts of different times.
    pub fn key(&self) -> (&str, &str, u64) {
        (&self.source, &self.source_id, self.opened_ms)
    }

    /// When it was closed, or when it was opened if nobody said that it was.
    pub fn last_ms(&self) -> u64 {
        self.closed_ms.unwrap_or(self.opened_ms).max(self.opened_ms)
    }
}

/// Puts together what was said about the same alerts in several places: in the log and in files.
pub fn merged(mut alerts: Vec<Alert>) -> Vec<Alert> {
    alerts.sort_by(|left, right| left.key().cmp(&right.key()).then(left.cmp(right)));
    let mut merged: Vec<Alert> = Vec::new();
    for alert in alerts {
        match merged.last_mut().filter(|last| last.key() == alert.key()) {
            Some(last) => {
                last.closed_ms = last.closed_ms.max(alert.closed_ms);
                last.entry = last.entry.or(alert.entry);
                last.class = last.class.or(alert.class);
                last.muted = muted(last.muted, alert.muted);
            }
            None => merged.push(alert),
        }
    }
    merged.sort();
    merged
}
