//! What stands around every page.

use crate::log::Published;

use super::shown::When;

/// How often a log speaks that has no charter yet.
const PULSE_MS: u64 = 60_000;

/// What stands around a page.
pub(super) struct Frame {
    /// What the page is about.
    pub(super) title: String,
    /// The name of the log.
    pub(super) origin: String,
    /// How many entries the page speaks of.
    pub(super) size: u64,
    /// When the last of them was received.
    pub(super) as_of: When,
    /// How often the log speaks by itself, by which the script tells whether the service still answers.
    pub(super) pulse_ms: u64,
    /// Whether the page is about the past.
    pub(super) is_past: bool,
    /// Where the script hears what changes the page; `None` for a page that nothing changes.
    pub(super) events: Option<String>,
}

impl Frame {
    /// A page that stays as it is.
    pub(super) fn of(published: &Published, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            origin: published.origin().to_string(),
            size: published.size.get(),
            as_of: When(published.time_ms),
            pulse_ms: published
                .state
                .charter()
                .map_or(PULSE_MS, |charter| charter.liveness.pulse_ms),
            is_past: false,
            events: None,
        }
    }

    /// A page about the past, which nothing changes.
    pub(super) fn past(published: &Published, title: &str) -> Self {
        Self {
            is_past: true,
            ..Self::of(published, title)
        }
    }

    /// A page that changes with the entries that this query of the stream of events selects. It begins behind the last
    /// entry that the page knows, so that none is missed.
    pub(super) fn following(mut self, query: &str) -> Self {
        let last = self.size.checked_sub(1);
        self.events = last.map(|last| format!("/v1/events?after={last}&{query}"));
        self
    }
}
