//! The state that the log implies: the charter in force, and the agents.
//!
//! Each answer says as of which size it speaks, and is, but for `log_ms`, a function of the log up to there alone: ages
//! count to that head's time and to no clock, so whoever replays the log finds the same numbers.

use axum::Json;
use axum::extract::State;
use ledger::govern;
use ledger::text::Name;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::{Agent, AgentAsOf, Agents, Charter, schema};

use super::entries::decode;
use super::parameters::{
    Decimal, Limit, NoParameters, Parameters, Segment, parsed, parsed_if_present,
};
use super::problem::Problem;
use super::standing;
use super::{Service, openapi};
use crate::log::Published;

/// Which agents are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Only agents whose names sort behind this one; all if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::AgentName>)]
    after: Option<Name>,
    /// How many at most, 1 to 1,000; 100 if left out.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline, value_type = Option<schema::Limit>)]
    limit: Limit,
}

/// The charter in force.
#[utoipa::path(
    get, path = "/v1/charter", tag = "state",
    responses(
        (status = 200, description = "The charter.", body = Charter),
        openapi::NotFound,
    )
)]
pub(super) async fn charter(
    State(service): State<Service>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<Charter>, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| charter_in_force(&published))
        .await
        .map(Json)
}

/// The agents, in the order of their names.
#[utoipa::path(
    get, path = "/v1/agents", tag = "state",
    params(After),
    responses(
        (status = 200, description = "A page of agents.", body = Agents),
        openapi::NotRead,
    )
)]
pub(super) async fn agents(
    State(service): State<Service>,
    Parameters(After { after, limit }): Parameters<After>,
) -> Json<Agents> {
    let published = service.log.published();
    let describe = |agent| describe(&published, agent);
    let agents = match &after {
        None => published
            .state
            .agents()
            .take(limit.get())
            .map(describe)
            .collect(),
        Some(name) => published
            .state
            .agents_after(name)
            .take(limit.get())
            .map(describe)
            .collect(),
    };
    Json(Agents {
        as_of: published.size.get(),
        as_of_ms: published.time_ms,
        agents,
    })
}

/// One agent.
#[utoipa::path(
    get, path = "/v1/agents/{agent}", tag = "state",
    params(("agent" = inline(schema::AgentName), Path, description = "The agent's name.")),
    responses(
        (status = 200, description = "The agent.", body = AgentAsOf),
        openapi::NotFound,
    )
)]
pub(super) async fn agent(
    State(service): State<Service>,
    Segment(name): Segment<Name>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<AgentAsOf>, Problem> {
    let published = service.log.published();
    let agent = published.state.agent(&name);
    let agent = agent.ok_or_else(|| Problem::not_found(format!("agent {name}")))?;
    Ok(Json(AgentAsOf {
        as_of: published.size.get(),
        as_of_ms: published.time_ms,
        log_ms: service.log.now_ms(),
        agent: describe(&published, agent),
        open_goals: agent.open_goals().copied().collect(),
        open_intents: agent.open_intents().map(|(hash, _)| *hash).collect(),
    }))
}

fn charter_in_force(published: &Published) -> Result<Charter, Problem> {
    let state = &published.state;
    let (Some(log), Some(record)) = (state.log(), state.charter_hash()) else {
        return Err(Problem::not_found("the log has no charter"));
    };
    let index = published.index_of(&record)?.map(tlog::LeafIndex::get);
    let index = index.ok_or_else(|| Problem::internal(format!("charter {record} has no index")))?;
    let leaf = published.leaf(tlog::LeafIndex::new(index))?;
    let leaf = leaf.ok_or_else(|| Problem::internal(format!("charter at {index} has no leaf")))?;
    let charter = decode(Decimal(index), &leaf)?.payload;
    Ok(Charter {
        as_of: published.size.get(),
        log,
        record,
        index,
        charter,
    })
}

fn describe(published: &Published, agent: &govern::Agent) -> Agent {
    let now_ms = published.time_ms;
    Agent {
        agent: agent.name().clone(),
        state: agent.state().to_string(),
        epoch: agent.epoch(),
        next_seq: agent.next_seq(),
        head: agent.head(),
        last: agent.last(),
        lease: agent.lease(),
        after: agent.after(),
        lease_ends_ms: standing::lease_ends_ms(published, agent),
        ask: standing::ask(agent, published),
        manifest_hash: agent.manifest_hash(),
        registration: agent.registration(),
        pulse_age_ms: published.state.pulse_age_ms(agent, now_ms),
        progress_age_ms: published.state.progress_age_ms(agent, now_ms),
    }
}
