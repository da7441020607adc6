//! The alerts that the log itself tells of, as an observer logged them: opened and closed under one name.

use std::collections::BTreeMap;

use ledger::record::{Event, Observation};
use watchdogs::alert::Detail;

use crate::watch::Alert;

/// Hears observations of alerts.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    alerts: Vec<Alert>,
    /// The newest alert of a source under a name, which the next closing is about.
    newest: BTreeMap<(String, String), usize>,
}

impl Heard {
    /// Hears the next one.
    pub(crate) fn hear(&mut self, index: u64, received_ms: u64, seen: &Observation) {
        let key = (seen.source.to_string(), seen.source_id.as_str().to_owned());
        match (seen.event, self.newest.get(&key)) {
            (Event::AlertClosed, Some(at)) if self.is_open(*at, seen) => {
                if let Some(alert) = self.alerts.get_mut(*at) {
                    alert.closed_ms = Some(seen.ended_ms.unwrap_or(received_ms));
                }
            }
            _ => {
                let alert = alert(index, received_ms, seen);
                self.newest.insert(key, self.alerts.len());
                self.alerts.push(alert);
            }
        }
    }

    /// What was heard.
    pub(crate) fn told(self) -> Vec<Alert> {
        self.alerts
    }

    /// A closing names the opening that it is about, where it does, by its time.
    fn is_open(&self, at: usize, closing: &Observation) -> bool {
        let opened_ms = self.alerts.get(at).map(|alert| alert.opened_ms);
        closing
            .began_ms
            .is_none_or(|began| Some(began) == opened_ms)
    }
}

fn alert(index: u64, received_ms: u64, seen: &Observation) -> Alert {
    let is_closed = seen.event == Event::AlertClosed;
    let detail = Detail::parse(seen.detail.as_str());
    Alert {
        opened_ms: seen.began_ms.or(seen.ended_ms).unwrap_or(received_ms),
        closed_ms: seen.ended_ms.or(is_closed.then_some(received_ms)),
        source: seen.source.to_string(),
        source_id: seen.source_id.as_str().to_owned(),
        monitor: detail.monitor,
        agent: seen.agent.clone(),
        class: detail.class,
        severity: detail.severity,
        // A record has no member for it.
        muted: None,
        entry: Some(index),
    }
}
