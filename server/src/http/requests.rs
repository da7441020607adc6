//! The inbox of requests for leases: agents put them in, operators read them.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use ledger::request::{MAX_ENVELOPE_BYTES, SignedRequest};
use ledger::text::Name;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::{LeaseRequest, LeaseRequests, schema};

use super::media::{self, JSON};
use super::parameters::{Limit, NoParameters, Parameters, parsed, parsed_if_present};
use super::problem::Problem;
use super::{Service, body, openapi, reading};
use crate::inbox::Received;

/// Which requests are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only those of agents whose names sort behind this one; all if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::AgentName>)]
    after: Option<Name>,
    /// How many at most, 1 to 1,000; 100 if left out.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline, value_type = Option<schema::Limit>)]
    limit: Limit,
}

/// Asks for a lease. The request waits until an operator grants one, or until it is too old to be granted.
///
/// It is not a record, is not logged, and carries no authority. An agent has one: a newer one takes its place.
#[utoipa::path(
    post, path = "/v1/requests", tag = "requests",
    request_body(description = "A DSSE envelope of at most 12 KiB, signed by the key of the agent's active version.",
        content((schema::LeaseRequestEnvelope = "application/json"))),
    responses(
        (status = 200, description = "The request waits.", body = LeaseRequest),
        openapi::NotTaken,
    )
)]
pub(super) async fn ask(
    State(service): State<Service>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<LeaseRequest>, Problem> {
    media::submitted(&headers, &[JSON])?;
    let bytes = body::read(body, MAX_ENVELOPE_BYTES).await?;
    reading::apart(move || {
        let request = SignedRequest::parse(&bytes)?;
        let state = &service.log.published().state;
        Ok(Json(describe(&service.inbox.put(state, request)?)))
    })
    .await
}

/// The requests for leases that wait for an operator.
#[utoipa::path(
    get, path = "/v1/requests", tag = "requests",
    params(Which),
    responses(
        (status = 200, description = "A page of requests.", body = LeaseRequests),
        openapi::NotRead,
    )
)]
pub(super) async fn requests(
    State(service): State<Service>,
    Parameters(Which { after, limit }): Parameters<Which>,
) -> Result<Json<LeaseRequests>, Problem> {
    let published = service.log.published();
    let read = service.readers.clone();
    read.read(published, move |published| {
        let (inbox, state) = (&service.inbox, &published.state);
        let open = inbox.open_requests(state, after.as_ref(), limit.get());
        Ok(Json(LeaseRequests {
            as_of: published.size.get(),
            requests: open.iter().map(describe).collect(),
        }))
    })
    .await
}

fn describe(received: &Received) -> LeaseRequest {
    let signed = &received.request;
    LeaseRequest {
        request: signed.id(),
        agent: signed.request().agent.clone(),
        received_ms: received.received_ms,
        payload: signed.payload(),
        envelope: signed.to_value(),
    }
}
