//! The map and the files with alerts, as they were given.
//!
//! Which source a file is of: the one whose name the file has in front of its first dot; else the one that is called as
//! tools of its kind are; else, where the map has one source alone, that one.

use ledger::digest::Digest;
use ledger::record::Event;
use ledger::text::Name;
use serde::Serialize;
use watchdogs::alert::{Kind, Notice};
use watchdogs::config::{ConfigError, Map, MapSource};
use watchdogs::import::{Form, ImportError};

use crate::document::hex;
use crate::files::{INPUTS, MAP};
use crate::watch::{Alert, Gap};

/// What the watchdogs said, by the map and the files that were given.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// What their sources look at.
    pub sources: Vec<MapSource>,
    /// The alerts about agents.
    pub alerts: Vec<Alert>,
    /// What else was seen of agents.
    pub events: Vec<Seen>,
    /// What sources say that they have lost, where they do not say whom it was about.
    pub gaps: Vec<Gap>,
    /// The files.
    pub inputs: Vec<InputView>,
}

/// Something that another tool saw of an agent, other than an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The tool.
    pub source: String,
    /// The agent.
    pub agent: Name,
    /// What it was.
    pub event: Event,
    /// The names by which a receipt of it may be found.
    pub names: Vec<String>,
    /// When it began.
    pub began_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// In words.
    pub detail: String,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputView {
    /// Its path in the report's directory.
    pub name: String,
    /// What kind of file it is.
    pub kind: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// How many rows, or alerts, it has.
    pub rows: u64,
    /// How many of them are about an agent.
    pub mapped: u64,
    /// How many nobody could be found for.
    pub unmapped: u64,
}

/// A file with alerts, as it was given.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why the inputs are of no use.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The map is not one.
    #[error("the map cannot be used")]
    Map(#[from] ConfigError),
    /// A file is of no known kind.
    #[error("{0:?} is not a file of any known tool: see docs/day-30.md")]
    Unknown(String),
    /// A file of a known kind can't be read.
    #[error("{name:?} can't be read as a file of {kind}")]
    File {
        /// Its name.
        name: String,
        /// Its kind.
        kind: &'static str,
        /// Why.
        #[source]
        source: ImportError,
    },
}

impl Watch {
    /// Reads the map and the files.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn read(map: &[u8], files: &[File]) -> Result<Self, InputError> {
        let rules = Map::parse(map)?;
        let mut watch = Self {
            sources: rules.sources.clone(),
            ..Self::default()
        };
        let count = (rules.sources.len() as u64, 0);
        watch.inputs.push(told(MAP.to_owned(), "map", map, count));
        for file in files {
            watch.add(&rules, file)?;
        }
        Ok(watch)
    }

    fn add(&mut self, map: &Map, file: &File) -> Result<(), InputError> {
        let form = Form::of(&file.bytes).ok_or_else(|| InputError::Unknown(file.name.clone()))?;
        let kind = form.kind().as_str();
        let source = source_of(map, form, &file.name);
        let notices = form.read(&source, &file.bytes);
        let notices = notices.map_err(|source| InputError::File {
            name: file.name.clone(),
            kind,
            source,
        })?;
        let mapped = notices.iter().filter(|it| self.notice(map, it)).count() as u64;
        let unmapped = notices.len() as u64 - mapped;
        let name = format!("{INPUTS}{}", file.name);
        let input = told(name, kind, &file.bytes, (mapped, unmapped));
        self.inputs.push(input);
        Ok(())
    }

    /// Whether it is about an agent.
    fn notice(&mut self, map: &Map, notice: &Notice) -> bool {
        let about = map.rules.map(notice);
        let alert = &notice.alert;
        let Some(agent) = about.agent else {
            return self.gap(alert);
        };
        let id = alert.source_id.as_str().to_owned();
        match &alert.kind {
            Kind::Alert => self.alerts.push(Alert {
                opened_ms: alert.opened_ms,
                closed_ms: alert.closed_ms,
                source: alert.source.to_string(),
                source_id: id,
                monitor: alert.monitor.clone(),
                agent,
                class: about.class,
                severity: alert.severity.clone(),
                muted: notice.muted,
                entry: None,
            }),
            Kind::Event { event, call, .. } => self.events.push(Seen {
                source: alert.source.to_string(),
                agent,
                event: *event,
                names: names(call.as_ref().map(|call| call.as_str()), &id),
                began_ms: Some(alert.opened_ms),
                ended_ms: alert.closed_ms,
                detail: alert.monitor.clone(),
            }),
        }
        true
    }

    /// Whether it is a gap of its source, which needs no agent.
    fn gap(&mut self, alert: &watchdogs::alert::Alert) -> bool {
        let Kind::Event { event, .. } = &alert.kind else {
            return false;
        };
        let is_gap = matches!(event, Event::SourceGap | Event::SourceLost);
        if is_gap {
            self.gaps.push(Gap {
                source: alert.source.to_string(),
                from_ms: alert.opened_ms,
                to_ms: alert.closed_ms.unwrap_or(alert.opened_ms),
                detail: format!("{event} {}", alert.monitor),
                entry: None,
            });
        }
        is_gap
    }
}

/// The names under which an action that a tool saw may be known to its agent: the host's own, or the tool's.
pub(crate) fn names(call: Option<&str>, id: &str) -> Vec<String> {
    let last = id.rsplit([':', '/']).next().filter(|last| *last != id);
    let names = call.into_iter().chain([id]).chain(last);
    names.map(str::to_owned).collect()
}

fn source_of(map: &Map, form: Form, file: &str) -> Name {
    let stem = file.split('.').next().unwrap_or(file);
    let kind = form.kind().name();
    let known = |name: &str| map.sources.iter().find(|it| it.name.as_str() == name);
    let named = known(stem).or_else(|| known(kind.as_str()));
    let named = named.or(match map.sources.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    named.map_or(kind, |source| source.name.clone())
}

fn told(name: String, kind: &str, bytes: &[u8], (mapped, unmapped): (u64, u64)) -> InputView {
    InputView {
        name,
        kind: kind.to_owned(),
        sha256: hex(Digest::of(&[bytes])),
        rows: mapped + unmapped,
        mapped,
        unmapped,
    }
}

#[cfg(test)]
mod tests {
    use watchdogs::class::Class;

    use super::*;

    const RULES: &str = r#"
        [[source]]
        name = "prom"
        [[source]]
        name = "alertmanager"
        [[map]]
        source = "alertmanager"
        where = { alertname = "AgentHeartbeatMissing" }
        agent = "{agent}"
        class = "silence"
    "#;

    fn file(name: &str, text: &str) -> File {
        File {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_has_no_agent_is_counted_and_not_lost() {
        let alerts =
            include_str!("../../tests/samples/alerts/alertmanager-0.25-api-v2-alerts.json");
        let known = Watch::read(RULES.as_bytes(), &[file("alerts.json", alerts)]).unwrap();
        let told = &known.inputs[1];
        assert_eq!((told.rows, told.mapped, told.unmapped), (1, 1, 0));
        assert_eq!(told.name, "inputs/alerts.json");
        let alert = &known.alerts[0];
        let about = (alert.agent.as_str(), alert.class);
        assert_eq!(about, ("reconciler", Some(Class::Silence)));
        let unknown = Watch::read(b"", &[file("alerts.json", alerts)]).unwrap();
        let told = &unknown.inputs[1];
        assert_eq!((told.rows, told.mapped, told.unmapped), (1, 0, 1));
        assert!(unknown.alerts.is_empty());
    }

    #[test]
    fn a_file_is_of_the_source_that_its_name_says_or_its_kind() {
        let row = "2026-11-01T00:00:00Z,a,stall\n";
        for (map, name, source) in [
            (RULES, "prom.2026-11.csv", "prom"),
            (RULES, "alerts.csv", "csv"),
            ("[[source]]\nname = \"cron\"", "alerts.csv", "cron"),
            ("", "alerts.csv", "csv"),
        ] {
            let watch = Watch::read(map.as_bytes(), &[file(name, row)]).unwrap();
            assert_eq!(watch.alerts[0].source, source, "{name} by {map}");
        }
    }

    #[test]
    fn a_file_of_no_kind_is_an_error() {
        let error = Watch::read(b"", &[file("x.txt", "what is this\n")]).unwrap_err();
        assert!(matches!(error, InputError::Unknown(name) if name == "x.txt"));
        assert!(Watch::read(b"[[sauce]]", &[]).is_err());
    }
}
