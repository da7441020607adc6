//! What a pulse says of an agent, in a file that verifies without the log.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ledger::text::Name;
use serde::Deserialize;
use tlog::LeafIndex;
use utoipa::IntoParams;
use wire::schema;

use super::listen::Doing;
use super::media::JSON_LINES;
use super::parameters::{Decimal, Parameters, Segment, parsed_if_present};
use super::problem::Problem;
use super::turns::{self, Came};
use super::{Service, openapi};
use crate::log::Published;

/// When.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct At {
    /// An entry: the newest pulse up to it is what is proven. The newest of all if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    at: Option<Decimal>,
}

/// A state proof: what a pulse says of an agent, or that it knew of none of that name.
#[utoipa::path(
    get, path = "/v1/agents/{agent}/proof", tag = "state",
    params(("agent" = inline(schema::AgentName), Path, description = "The agent's name."), At),
    responses(
        (status = 200, description = "The proof, one JSON object a line.", body = String, content_type = "application/x-ndjson"),
        openapi::NotFound,
    )
)]
pub(super) async fn state_proof(
    State(service): State<Service>,
    Segment(agent): Segment<Name>,
    Parameters(At { at }): Parameters<At>,
    came: Came,
) -> Result<Response, Problem> {
    // The state in front of an old pulse takes as much reading as a pack.
    let _permit = turns::place(&service.packs, came, Doing::Fetching).await?;
    let published = service.log.published();
    let at = at.map_or(published.size.get(), |Decimal(at)| at);
    if at > published.size.get() {
        return Err(Problem::not_found(format!("entry {at}")));
    }
    let name = agent.clone();
    let proof = move |published: Arc<Published>| {
        let pulse = published.pulse_up_to(LeafIndex::new(at))?;
        Ok(published.state_proof(&name, pulse)?.to_string())
    };
    let proof = service.readers.read_on(published, proof).await?;
    let disposition = format!("attachment; filename=\"{agent}.state-proof.jsonl\"");
    let headers = [
        (header::CONTENT_TYPE, JSON_LINES.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, proof).into_response())
}
