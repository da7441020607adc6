//! What would become of a file: which of it counts, whom it is about, what no rule says the agent of. Nothing is logged or
//! kept.

use ledger::text::Name;
use watchdogs::alert::Notice;
use watchdogs::class::Class;
use watchdogs::config::Observe;
use watchdogs::import::{Form, ImportError, SourceKind};

use crate::intake::Intake;
use crate::otlp::body::{self, BodyError};
use crate::otlp::{Encoding, Signal};
use crate::receive;

/// What a file comes to.
#[derive(Debug)]
pub struct Checked {
    /// The tool that it is of.
    pub source: Name,
    /// How it is written.
    pub kind: SourceKind,
    /// How many spans, log records or alerts it has.
    pub items: u64,
    /// How many of them could not be read.
    pub rejected: u64,
    /// What would be logged.
    pub mapped: Vec<Mapped>,
    /// What no rule says the agent of.
    pub unmapped: Vec<Notice>,
}

/// Something that would be logged.
#[derive(Debug)]
pub struct Mapped {
    /// What.
    pub notice: Notice,
    /// About whom.
    pub agent: Name,
    /// What about.
    pub class: Option<Class>,
    /// How many records it would be.
    pub records: usize,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No tool writes such a file.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// It is OTLP, and cannot be read.
    #[error(transparent)]
    Otlp(#[from] BodyError),
    /// Several sources could have written it.
    #[error("the configuration has several [[source]] of kind {0}: name the one with --source")]
    Ambiguous(SourceKind),
}

/// Looks what would become of a file.
///
/// # Errors
///
/// [`CheckError`].
pub fn file(observe: &Observe, source: Option<&Name>, bytes: &[u8]) -> Result<Checked, CheckError> {
    let inflated;
    let bytes = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => {
            inflated = body::inflate(bytes)?;
            inflated.as_slice()
        }
        false => bytes,
    };
    let named = |kind, by_config: Option<Name>| {
        let named = source.cloned().or(by_config);
        named.ok_or(CheckError::Ambiguous(kind))
    };
    if let Some((signal, encoding)) = otlp_form(bytes) {
        let name = named(SourceKind::Otlp, observe.otlp(signal.path()))?;
        let intake = Intake::new(name, &observe.rules);
        let found = intake.read(&body::read(signal, encoding, bytes)?);
        return Ok(checked(
            observe,
            intake.source().clone(),
            SourceKind::Otlp,
            found,
        ));
    }
    let form = Form::of(bytes).ok_or(ImportError::Unknown)?;
    let source = named(form.kind(), observe.name_of(form.kind()))?;
    let found = receive::found(form.read(&source, bytes)?);
    Ok(checked(observe, source, form.kind(), found))
}

fn checked(
    observe: &Observe,
    source: Name,
    kind: SourceKind,
    found: crate::intake::Found,
) -> Checked {
    let (mut mapped, mut unmapped) = (Vec::new(), Vec::new());
    for sighting in found.sightings {
        let notice = sighting.notice;
        let by_rules = observe.rules.map(&notice);
        match by_rules.agent {
            None => unmapped.push(notice),
            Some(agent) => mapped.push(Mapped {
                records: notice.alert.observations(&agent, by_rules.class).len(),
                class: by_rules.class,
                agent,
                notice,
            }),
        }
    }
    Checked {
        source,
        kind,
        items: found.items,
        rejected: found.rejected,
        mapped,
        unmapped,
    }
}

/// Whether a file is a body of OTLP: JSON by its first member, protobuf by its first bytes, a message of length that is
/// there (`resource_spans` and `resource_logs` have the same number, so the reading decides).
fn otlp_form(bytes: &[u8]) -> Option<(Signal, Encoding)> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Members {
        resource_spans: Option<serde::de::IgnoredAny>,
        resource_logs: Option<serde::de::IgnoredAny>,
        resource_metrics: Option<serde::de::IgnoredAny>,
    }
    let is_json = bytes.trim_ascii_start().starts_with(b"{");
    if is_json {
        let members: Members = serde_json::from_slice(bytes).ok()?;
        let signal = match members {
            Members {
                resource_spans: Some(_),
                ..
            } => Signal::Traces,
            Members {
                resource_logs: Some(_),
                ..
            } => Signal::Logs,
            Members {
                resource_metrics: Some(_),
                ..
            } => Signal::Metrics,
            _ => return None,
        };
        return Some((signal, Encoding::Json));
    }
    let is_protobuf = bytes.first() == Some(&0x0a) && bytes.iter().take(512).any(|it| *it < 0x09);
    let sound = |signal| {
        let read = body::read(signal, Encoding::Protobuf, bytes).ok()?;
        is_sound(&read).then_some((signal, Encoding::Protobuf))
    };
    is_protobuf.then(|| sound(Signal::Traces).or_else(|| sound(Signal::Logs)))?
}

/// A span has an id, and a log record none of its length in that place.
fn is_sound(batch: &body::Batch) -> bool {
    match batch {
        body::Batch::Traces(traces) => {
            let scopes = traces.resource_spans.iter().flat_map(|it| &it.scope_spans);
            let mut spans = scopes.flat_map(|it| &it.spans).peekable();
            spans.peek().is_some() && spans.all(|it| it.trace_id.len() == 16)
        }
        body::Batch::Logs(logs) => !logs.resource_logs.is_empty(),
        body::Batch::Dropped => false,
    }
}
