//! The life of an agent, a goal and a lease: what happened, told from the log.

use std::ops::Range;

use axum::Json;
use axum::extract::State;
use ledger::digest::RecordHash;
use ledger::govern::{self, Ended, LeaseState};
use ledger::text::Name;
use serde::{Deserialize, Serialize};
use timeline::entry::{Entry, Line};
use timeline::goal::GoalStory;
use timeline::leases::{LeaseSpan, Leases};
use timeline::life::LifeView;
use utoipa::{IntoParams, ToSchema};
use wire::{Lease, Spent, schema};

use super::parameters::{Decimal, Limit, Parameters, Segment, parsed, parsed_if_present};
use super::problem::Problem;
use super::{Service, openapi};
use crate::history::{self, Page};
use crate::log::Published;

/// What happened to an agent, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Timeline {
    /// The size of the log that this speaks of.
    as_of: u64,
    /// The time of that head: milliseconds since the epoch.
    as_of_ms: u64,
    /// The entries in a line each: those that name the agent, and what became of its leases.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Line>,
    /// Whether there are more behind the last of these.
    has_more: bool,
    /// The life that these entries tell of: its states, leases, beats, actions and refusals.
    #[schema(value_type = Object)]
    life: LifeView,
}

/// A goal from its start to its outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Goal {
    /// The size of the log that this speaks of.
    as_of: u64,
    /// The time of that head: milliseconds since the epoch.
    as_of_ms: u64,
    /// Whether there are more steps behind the last of these.
    has_more: bool,
    /// The goal, its actions with their results, its outcomes; of each the authority that it was done under.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    story: GoalStory,
}

/// A lease as it stands now, and what happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeaseStory {
    /// The lease as it stands now.
    #[serde(flatten)]
    lease: Lease,
    /// The lease as it was granted.
    #[schema(value_type = Object)]
    granted: LeaseSpan,
    /// Its renewals, its revocation, its parts: oldest first.
    #[schema(value_type = Vec<Object>)]
    changes: Vec<Line>,
    /// Whether there are more behind the last of these.
    has_more: bool,
}

/// Which part of a life is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// From when on, in milliseconds since the epoch; from the beginning if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    from_ms: Option<Decimal>,
    /// Up to when, which is not in it; to the newest entry if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    to_ms: Option<Decimal>,
    /// Only entries behind this index.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    after: Option<Decimal>,
    /// How many entries at most, 1 to 1,000; 100 if left out.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline, value_type = Option<schema::Limit>)]
    limit: Limit,
}

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Only what stands behind this index.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    after: Option<Decimal>,
    /// How many at most, 1 to 1,000; 100 if left out.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline, value_type = Option<schema::Limit>)]
    limit: Limit,
}

/// What happened to an agent, and its life as that tells it.
#[utoipa::path(
    get, path = "/v1/agents/{agent}/timeline", tag = "state",
    params(("agent" = inline(schema::AgentName), Path, description = "The agent's name."), Span),
    responses(
        (status = 200, description = "The entries about the agent.", body = Timeline),
        openapi::NotFound,
    )
)]
pub(super) async fn timeline(
    State(service): State<Service>,
    Segment(agent): Segment<Name>,
    Parameters(span): Parameters<Span>,
) -> Result<Json<Timeline>, Problem> {
    let published = service.log.published();
    if published.state.agent(&agent).is_none() {
        return Err(Problem::not_found(format!("agent {agent}")));
    }
    let times = span.times(&published)?;
    service
        .readers
        .read(published, move |published| {
            tell(&published, &agent, times, &span).map(Json)
        })
        .await
}

/// A goal from its start to its outcome.
#[utoipa::path(
    get, path = "/v1/goals/{goal}", tag = "state",
    params(("goal" = inline(schema::Hash), Path, description = "The record that set the goal, `sha256:` and 64 hex digits."), Part),
    responses(
        (status = 200, description = "The goal, its intents, their results, its outcomes.", body = Goal),
        openapi::NotFound,
    )
)]
pub(super) async fn goal(
    State(service): State<Service>,
    Segment(goal): Segment<RecordHash>,
    Parameters(part): Parameters<Part>,
) -> Result<Json<Goal>, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            let page = history::goal(&published, goal, part.from(), part.limit.get())?;
            Ok(Json(Goal {
                as_of: published.size.get(),
                as_of_ms: published.time_ms,
                has_more: page.has_more,
                story: page.told,
            }))
        })
        .await
}

/// A lease and what became of it.
#[utoipa::path(
    get, path = "/v1/leases/{lease}", tag = "state",
    params(("lease" = inline(schema::Hash), Path, description = "The lease's record, `sha256:` and 64 hex digits."), Part),
    responses(
        (status = 200, description = "The lease.", body = LeaseStory),
        openapi::NotFound,
    )
)]
pub(super) async fn lease(
    State(service): State<Service>,
    Segment(lease): Segment<RecordHash>,
    Parameters(part): Parameters<Part>,
) -> Result<Json<LeaseStory>, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            let missing = || Problem::not_found(format!("lease {lease}"));
            let (first, page) = history::lease(&published, lease, part.from(), part.limit.get())?;
            describe(&published, lease, &first, &page).ok_or_else(missing)
        })
        .await
        .map(Json)
}

fn tell(
    published: &Published,
    agent: &Name,
    times: Range<u64>,
    span: &Span,
) -> Result<Timeline, Problem> {
    let range = history::received(published, &times)?;
    let from = after(span.after).clamp(range.start, range.end);
    let Page { told, has_more } =
        history::entries(published, agent, from..range.end, span.limit.get())?;
    // What is told begins and ends where this page of the list does.
    let (first, last) = (told.first(), told.last());
    let from_ms = match first {
        Some(first) if from > range.start => first.received_ms,
        _ => times.start,
    };
    let to_ms = match last {
        Some(last) if has_more => last.received_ms + 1,
        _ => times.end,
    };
    let life = history::life(published, agent, from_ms..to_ms, from, &told)?;
    Ok(Timeline {
        as_of: published.size.get(),
        as_of_ms: published.time_ms,
        entries: told.iter().map(Entry::line).collect(),
        has_more,
        life,
    })
}

fn describe(
    published: &Published,
    hash: RecordHash,
    first: &Entry,
    page: &Page<Vec<Entry>>,
) -> Option<LeaseStory> {
    let mut leases = Leases::default();
    leases.hear(first);
    let (state, now_ms) = (&published.state, published.time_ms);
    let granted = leases.span(&hash)?.clone();
    let held = state.lease(&hash);
    let ended_by = match state.lease_end(&hash) {
        Some(ended) => ended.map(word),
        None => Some("over"),
    };
    let lease = Lease {
        as_of: published.size.get(),
        as_of_ms: now_ms,
        in_force: state.in_force(hash, now_ms).is_ok(),
        expires_ms: held.map_or(granted.to_ms, LeaseState::expires_ms),
        ended_by: ended_by.map(str::to_owned),
        spent: held.map(|held| spent(&held.spent())),
    };
    Some(LeaseStory {
        lease,
        granted,
        changes: page.told.iter().map(Entry::line).collect(),
        has_more: page.has_more,
    })
}

fn spent(spent: &govern::Spent) -> Spent {
    Spent {
        actions: spent.actions.to_string(),
        tokens: spent.tokens.to_string(),
        cost_micros: spent.cost_micros.to_string(),
    }
}

/// How the end of a lease is called.
pub(super) const fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Revoked => "revoked",
        Ended::Superseded => "superseded",
        Ended::Stopped => "stopped",
        Ended::Distrusted => "distrusted",
    }
}

impl Span {
    fn times(&self, published: &Published) -> Result<Range<u64>, Problem> {
        let from_ms = self.from_ms.map_or(0, |Decimal(ms)| ms);
        // Up to the newest entry means with it.
        let to_ms = self.to_ms.map_or(published.time_ms + 1, |Decimal(ms)| ms);
        if from_ms > to_ms {
            return Err(Problem::malformed(format!(
                "no time is from {from_ms} up to {to_ms}"
            )));
        }
        Ok(from_ms..to_ms)
    }
}

impl Part {
    fn from(&self) -> u64 {
        after(self.after)
    }
}

/// The first index behind one.
fn after(index: Option<Decimal>) -> u64 {
    index.map_or(0, |Decimal(index)| index.saturating_add(1))
}
