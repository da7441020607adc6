//! The life of an agent, a goal and a lease, entry by entry.

use axum::Json;
use axum::extract::State;
use ledger::digest::RecordHash;
use ledger::text::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parameters::{Decimal, NoParameters, Parameters, Segment, parsed_if_present};
use super::problem::{Problem, ProblemDocument};
use super::{Service, reading};
use crate::history::{self, Page, Told};
use crate::log::Published;

/// An entry in a line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Event {
    /// Its index.
    index: u64,
    /// When the log received it: milliseconds since the epoch.
    received_ms: u64,
    /// The record's name.
    record: String,
    /// The kind of record; of a receipt its phase.
    #[schema(example = "intent")]
    kind: &'static str,
    /// What it says, in a few words for people.
    what: String,
    /// The state that the agent has from here on, if this changes it.
    state: Option<&'static str>,
}

/// What happened around something, as of a size of the log, oldest first; up to 1,000 entries.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    /// The size of the log that this speaks of.
    as_of: u64,
    /// The entries.
    entries: Vec<Event>,
    /// Whether there are more than are told here.
    has_more: bool,
}

/// A lease as it stands now, and what happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeaseHistory {
    /// The agent.
    agent: String,
    /// When it ends or has ended by its terms: milliseconds since the epoch.
    expires_ms: u64,
    /// Whether it is valid at the time of the newest entry.
    in_force: bool,
    /// The lease, and its renewals, revocation and parts.
    #[serde(flatten)]
    history: History,
}

/// Which part of a life is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// From when on, in milliseconds since the epoch; from the beginning if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(value_type = Option<u64>)]
    from_ms: Option<Decimal>,
    /// Up to when; to the newest entry if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(value_type = Option<u64>)]
    to_ms: Option<Decimal>,
}

/// What happened to an agent.
#[utoipa::path(
    get, path = "/v1/agents/{agent}/timeline", tag = "state",
    params(("agent" = String, Path, description = "The agent's name."), Span),
    responses(
        (status = 200, description = "The entries about the agent.", body = History),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn timeline(
    State(service): State<Service>,
    Segment(agent): Segment<Name>,
    Parameters(Span { from_ms, to_ms }): Parameters<Span>,
) -> Result<Json<History>, Problem> {
    let published = service.log.published();
    if published.state.agent(&agent).is_none() {
        return Err(Problem::not_found(format!("agent {agent}")));
    }
    let from_ms = from_ms.map_or(0, |Decimal(ms)| ms);
    let to_ms = to_ms.map_or(u64::MAX, |Decimal(ms)| ms);
    reading::run(move || {
        let page = history::timeline(&published, &agent, from_ms, to_ms)?;
        Ok(Json(tell(&published, &page)))
    })
    .await
}

/// A goal from its start to its outcome.
#[utoipa::path(
    get, path = "/v1/goals/{goal}", tag = "state",
    params(("goal" = String, Path, description = "The record that set the goal, `sha256:` and 64 hex digits.")),
    responses(
        (status = 200, description = "The goal, its intents, their results, its outcomes.", body = History),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn goal(
    State(service): State<Service>,
    Segment(goal): Segment<RecordHash>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<History>, Problem> {
    let published = service.log.published();
    reading::run(move || {
        let page = history::goal(&published, goal)?;
        Ok(Json(tell(&published, &page)))
    })
    .await
}

/// A lease and what became of it.
#[utoipa::path(
    get, path = "/v1/leases/{lease}", tag = "state",
    params(("lease" = String, Path, description = "The lease's record, `sha256:` and 64 hex digits.")),
    responses(
        (status = 200, description = "The lease.", body = LeaseHistory),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn lease(
    State(service): State<Service>,
    Segment(lease): Segment<RecordHash>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<LeaseHistory>, Problem> {
    let published = service.log.published();
    reading::run(move || {
        let page = history::lease(&published, lease)?;
        let state = &published.state;
        let granted = state.lease(&lease);
        let granted = granted.ok_or_else(|| Problem::not_found(format!("lease {lease}")))?;
        Ok(Json(LeaseHistory {
            agent: granted.terms().agent.to_string(),
            expires_ms: granted.expires_ms(),
            in_force: state.in_force(lease, published.time_ms).is_ok(),
            history: tell(&published, &page),
        }))
    })
    .await
}

fn tell(published: &Published, page: &Page) -> History {
    History {
        as_of: published.size.get(),
        entries: page.entries.iter().map(Event::of).collect(),
        has_more: page.has_more,
    }
}

impl Event {
    fn of(told: &Told) -> Self {
        Self {
            index: told.index.get(),
            received_ms: told.received_ms,
            record: told.record.hash().to_string(),
            kind: told.kind(),
            what: told.what(),
            state: told.state().map(|state| state.as_str()),
        }
    }
}
