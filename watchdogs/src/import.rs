//! The files that tools export and the bodies that they send, each read into notices.
//!
//! A file is recognised by what is in it. Those of JSON may hold several documents one after another, as pages of an API
//! that were saved into one file do; what is in two of them counts once.

mod alertmanager;
mod csv;
mod datadog;
mod document;
mod langsmith;
mod pagerduty;
mod prometheus;
mod temporal;

use std::collections::BTreeMap;
use std::fmt;

use ledger::text::Name;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;

use crate::alert::{Notice, muted};
use crate::time::NotATime;

/// The longest file: a month of alerts of a large fleet is a tenth of it.
pub const MAX_FILE_BYTES: usize = 256 << 20;

/// The most notices of one file.
pub const MAX_NOTICES: usize = 1_000_000;

/// How a tool speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// OpenTelemetry: traces and logs.
    Otlp,
    /// Alertmanager: its webhook, version 4, and `/api/v2/alerts`.
    Alertmanager,
    /// Prometheus: `query_range` over `ALERTS`.
    Prometheus,
    /// Datadog: events of its API, version 2, and a webhook with our template.
    Datadog,
    /// PagerDuty: incidents of its API, and webhooks, version 3.
    Pagerduty,
    /// LangSmith: runs of its API, and webhooks of its alerts.
    Langsmith,
    /// Temporal: histories and descriptions of workflows.
    Temporal,
    /// A table, for whatever has none of these.
    Csv,
}

/// What a file or a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// Alertmanager's `GET /api/v2/alerts`.
    AlertmanagerAlerts,
    /// Alertmanager's webhook, version 4.
    AlertmanagerWebhook,
    /// Prometheus' `GET /api/v1/query_range` over `ALERTS`.
    PrometheusRange,
    /// Datadog's `GET /api/v2/events`.
    DatadogEvents,
    /// Datadog's webhook, with the template in the documentation.
    DatadogWebhook,
    /// PagerDuty's `GET /incidents`.
    PagerdutyIncidents,
    /// PagerDuty's webhook, version 3.
    PagerdutyWebhook,
    /// LangSmith's `POST /runs/query`.
    LangsmithRuns,
    /// LangSmith's alert webhook.
    LangsmithWebhook,
    /// `temporal workflow show --output json`.
    TemporalHistory,
    /// `temporal workflow describe --output json`, for its pending activities.
    TemporalPending,
    /// A table.
    Csv,
}

/// Whether a document is of a form.
type Recognise = fn(&Value) -> bool;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is longer than any.
    #[error("it is longer than {MAX_FILE_BYTES} bytes")]
    TooLong,
    /// There is too much in it.
    #[error("there are more than {MAX_NOTICES} alerts in it")]
    TooMany,
    /// Nothing here reads it.
    #[error(
        "it is not a file of any known tool: OTLP, Alertmanager, Prometheus, Datadog, PagerDuty, LangSmith, Temporal or CSV"
    )]
    Unknown,
    /// It is not JSON.
    #[error("it is not JSON")]
    NotJson(#[from] serde_json::Error),
    /// It is not a table.
    #[error("it is not a CSV table (RFC 4180)")]
    NotCsv(#[from] ::csv::Error),
    /// A part of it is not what it should be.
    #[error("{place}: {what}")]
    Malformed {
        /// Which part, counted from 1.
        place: String,
        /// What is wrong with it.
        what: String,
    },
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Otlp,
        Self::Alertmanager,
        Self::Prometheus,
        Self::Datadog,
        Self::Pagerduty,
        Self::Langsmith,
        Self::Temporal,
        Self::Csv,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::Alertmanager => "alertmanager",
            Self::Prometheus => "prometheus",
            Self::Datadog => "datadog",
            Self::Pagerduty => "pagerduty",
            Self::Langsmith => "langsmith",
            Self::Temporal => "temporal",
            Self::Csv => "csv",
        }
    }

    /// What a tool of this kind is called where nobody has given it a name.
    ///
    /// # Panics
    ///
    /// Never: the words are names.
    #[must_use]
    pub fn name(self) -> Name {
        self.as_str().parse().expect("a word of letters is a name")
    }

    /// Whether it sends webhooks.
    #[must_use]
    pub const fn webhook(self) -> Option<Form> {
        match self {
            Self::Alertmanager => Some(Form::AlertmanagerWebhook),
            Self::Datadog => Some(Form::DatadogWebhook),
            Self::Pagerduty => Some(Form::PagerdutyWebhook),
            Self::Langsmith => Some(Form::LangsmithWebhook),
            Self::Otlp | Self::Prometheus | Self::Temporal | Self::Csv => None,
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SourceKind {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let word = String::deserialize(reader)?;
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        known.ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            D::Error::custom(format!("{word:?} is not a kind of source: one of {words}"))
        })
    }
}

impl Form {
    /// What a file is, by what is in it.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let Some(Ok(first)) = document::all(bytes).next() else {
            return csv::is_one(bytes).then_some(Self::Csv);
        };
        let known: [(Self, Recognise); 11] = [
            (Self::AlertmanagerWebhook, alertmanager::is_webhook),
            (Self::AlertmanagerAlerts, alertmanager::is_alerts),
            (Self::PrometheusRange, prometheus::is_range),
            (Self::DatadogEvents, datadog::is_events),
            (Self::DatadogWebhook, datadog::is_webhook),
            (Self::PagerdutyIncidents, pagerduty::is_incidents),
            (Self::PagerdutyWebhook, pagerduty::is_webhook),
            (Self::LangsmithWebhook, langsmith::is_webhook),
            (Self::LangsmithRuns, langsmith::is_runs),
            (Self::TemporalHistory, temporal::is_history),
            (Self::TemporalPending, temporal::is_pending),
        ];
        let found = known.into_iter().find(|(_, is_it)| is_it(&first));
        found.map(|(form, _)| form)
    }

    /// What tool it is of.
    #[must_use]
    pub const fn kind(self) -> SourceKind {
        match self {
            Self::AlertmanagerAlerts | Self::AlertmanagerWebhook => SourceKind::Alertmanager,
            Self::PrometheusRange => SourceKind::Prometheus,
            Self::DatadogEvents | Self::DatadogWebhook => SourceKind::Datadog,
            Self::PagerdutyIncidents | Self::PagerdutyWebhook => SourceKind::Pagerduty,
            Self::LangsmithRuns | Self::LangsmithWebhook => SourceKind::Langsmith,
            Self::TemporalHistory | Self::TemporalPending => SourceKind::Temporal,
            Self::Csv => SourceKind::Csv,
        }
    }

    /// Reads all of it, in the order of when things began.
    ///
    /// # Errors
    ///
    /// [`ImportError`]; of a file that is wrong somewhere nothing is given.
    pub fn read(self, source: &Name, bytes: &[u8]) -> Result<Vec<Notice>, ImportError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(ImportError::TooLong);
        }
        let notices = match self {
            Self::Csv => csv::read(source, bytes)?,
            Self::DatadogEvents => datadog::events(source, &document::collect(bytes)?)?,
            Self::PrometheusRange => prometheus::range(source, &document::collect(bytes)?)?,
            _ => {
                let mut notices = Vec::new();
                for document in document::all(bytes) {
                    notices.extend(self.read_one(source, &document?)?);
                    bounded(notices.len())?;
                }
                notices
            }
        };
        bounded(notices.len())?;
        Ok(once_each(notices))
    }

    fn read_one(self, source: &Name, document: &Value) -> Result<Vec<Notice>, ImportError> {
        match self {
            Self::AlertmanagerAlerts => alertmanager::alerts(source, document),
            Self::AlertmanagerWebhook => alertmanager::webhook(source, document),
            Self::PrometheusRange => prometheus::range(source, std::slice::from_ref(document)),
            Self::DatadogEvents => datadog::events(source, std::slice::from_ref(document)),
            Self::DatadogWebhook => datadog::webhook(source, document),
            Self::PagerdutyIncidents => pagerduty::incidents(source, document),
            Self::PagerdutyWebhook => pagerduty::webhook(source, document),
            Self::LangsmithRuns => langsmith::runs(source, document),
            Self::LangsmithWebhook => langsmith::webhook(source, document),
            Self::TemporalHistory => temporal::history(source, document),
            Self::TemporalPending => temporal::pending(source, document),
            Self::Csv => Err(ImportError::Unknown),
        }
    }
}

const fn bounded(count: usize) -> Result<(), ImportError> {
    match count {
        0..=MAX_NOTICES => Ok(()),
        _ => Err(ImportError::TooMany),
    }
}

/// In the order of when they began, and without repetitions: of an alert that is in two pages, or that was sent while
/// it lasted and again when it had ended, the one that knows its end. Of a name that comes back at another time there are
/// two alerts, unless the name is all that a tool says about it.
fn once_each(mut notices: Vec<Notice>) -> Vec<Notice> {
    let order = |notice: &Notice| {
        let alert = &notice.alert;
        (
            alert.opened_ms,
            alert.source_id.clone(),
            alert.closed_ms.is_none(),
        )
    };
    notices.sort_by_cached_key(order);
    let mut once: Vec<Notice> = Vec::with_capacity(notices.len());
    let mut places = BTreeMap::new();
    for notice in notices {
        let alert = &notice.alert;
        let at_ms = (!notice.by_name).then_some(alert.opened_ms);
        let key = (alert.source_id.clone(), alert.kind.as_str(), at_ms);
        match places.get(&key).and_then(|at: &usize| once.get_mut(*at)) {
            Some(known) => {
                known.alert.closed_ms = known.alert.closed_ms.or(alert.closed_ms);
                known.muted = muted(known.muted, notice.muted);
            }
            None => {
                places.insert(key, once.len());
                once.push(notice);
            }
        }
    }
    once
}

fn malformed(place: impl fmt::Display, what: impl fmt::Display) -> ImportError {
    ImportError::Malformed {
        place: place.to_string(),
        what: what.to_string(),
    }
}

/// A time of a part of a file.
fn timed(place: &impl fmt::Display, time: Result<u64, NotATime>) -> Result<u64, ImportError> {
    time.map_err(|error| malformed(place, error))
}
