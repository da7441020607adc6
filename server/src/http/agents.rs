//! The state that the log implies: the charter in force, and the agents.
//!
//! Each answer says as of which size it speaks, and is, but for `log_ms`, a function of the log up to there alone: ages
//! count to that head's time and to no clock, so whoever replays the log finds the same numbers.

use axum::Json;
use axum::extract::State;
use ledger::digest::RecordHash;
use ledger::govern;
use ledger::json::Value;
use ledger::text::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Service;
use super::entries::decode;
use super::parameters::{
    Decimal, Limit, NoParameters, Parameters, Segment, parsed, parsed_if_present,
};
use super::problem::{Problem, ProblemDocument};
use super::standing::{self, Ask};
use crate::log::Published;

/// The charter in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Charter {
    /// The size of the log that this speaks of.
    pub(super) as_of: u64,
    /// The name of the log: the record hash of charter 1, which every record carries.
    pub(super) log: String,
    /// The record hash of this charter.
    pub(super) record: String,
    /// The index of this charter.
    pub(super) index: u64,
    /// What it says.
    #[schema(value_type = Object)]
    pub(super) charter: Value,
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    /// Its name.
    pub(super) agent: String,
    /// Its state.
    #[schema(example = "running")]
    pub(super) state: &'static str,
    /// The epoch in force; 0 before the first lease.
    pub(super) epoch: u64,
    /// The `seq` of its next record in this epoch.
    pub(super) next_seq: u64,
    /// The `prev` of its next record in this epoch; `null` before the first lease.
    pub(super) head: Option<String>,
    /// Its last record of any epoch.
    pub(super) last: Option<String>,
    /// Its lease: the one in force, or the last one.
    pub(super) lease: Option<String>,
    /// The newest lease, lease revocation or order about it: what the next lease or order names in `after`.
    pub(super) after: Option<String>,
    /// When that lease ends, in milliseconds since the epoch; `null` if it is not in force.
    pub(super) lease_ends_ms: Option<u64>,
    /// What is asked of whoever runs the agent.
    pub(super) ask: Ask,
    /// The hash of its active manifest.
    pub(super) manifest_hash: String,
    /// The registration of that manifest: what the next one's `replaces` names.
    pub(super) registration: String,
    /// Milliseconds since its last heartbeat, by the rules' reckoning.
    pub(super) pulse_age_ms: u64,
    /// Milliseconds since its last progress, by the rules' reckoning.
    pub(super) progress_age_ms: u64,
}

/// One agent, and the head that this speaks of.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentAsOf {
    /// The size of the log that this speaks of.
    pub(super) as_of: u64,
    /// The time of that head, to which ages count: milliseconds since the epoch.
    pub(super) as_of_ms: u64,
    /// What time it is in the log: milliseconds since the epoch. A client whose own clock is behind signs in it.
    pub(super) log_ms: u64,
    /// The agent.
    #[serde(flatten)]
    pub(super) agent: Agent,
    /// Its goals without an outcome: 64 at most.
    pub(super) open_goals: Vec<String>,
    /// Its intents without a result: 64 at most.
    pub(super) open_intents: Vec<String>,
}

/// A page of agents, in the order of their names.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agents {
    /// The size of the log that this speaks of.
    pub(super) as_of: u64,
    /// The time of that head, to which ages count: milliseconds since the epoch.
    pub(super) as_of_ms: u64,
    /// The agents.
    pub(super) agents: Vec<Agent>,
}

/// Which agents are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Only agents whose names sort behind this one; all if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(value_type = Option<String>)]
    after: Option<Name>,
    /// How many at most, 1 to 1,000; 100 if left out.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<u64>)]
    limit: Limit,
}

/// The charter in force.
#[utoipa::path(
    get, path = "/v1/charter", tag = "state",
    responses(
        (status = 200, description = "The charter.", body = Charter),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
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
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
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
    params(("agent" = String, Path, description = "The agent's name.")),
    responses(
        (status = 200, description = "The agent.", body = AgentAsOf),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
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
    let named = |hash: &RecordHash| hash.to_string();
    Ok(Json(AgentAsOf {
        as_of: published.size.get(),
        as_of_ms: published.time_ms,
        log_ms: service.log.now_ms(),
        agent: describe(&published, agent),
        open_goals: agent.open_goals().map(named).collect(),
        open_intents: agent.open_intents().map(|(hash, _)| named(hash)).collect(),
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
    let (log, record) = (log.to_string(), record.to_string());
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
        agent: agent.name().to_string(),
        state: agent.state().as_str(),
        epoch: agent.epoch(),
        next_seq: agent.next_seq(),
        head: agent.head().map(|hash| hash.to_string()),
        last: agent.last().map(|hash| hash.to_string()),
        lease: agent.lease().map(|hash| hash.to_string()),
        after: agent.after().map(|hash| hash.to_string()),
        lease_ends_ms: standing::lease_ends_ms(published, agent),
        ask: standing::ask(agent, published),
        manifest_hash: agent.manifest_hash().to_string(),
        registration: agent.registration().to_string(),
        pulse_age_ms: published.state.pulse_age_ms(agent, now_ms),
        progress_age_ms: published.state.progress_age_ms(agent, now_ms),
    }
}
