//! Signed heads: which there were, and that one grew out of another.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tlog::TreeSize;
use utoipa::IntoParams;
use wire::{Consistency, Head, schema};

use super::media::JSON_LINES;
use super::parameters::{Decimal, Limit, Parameters, parsed, parsed_if_present};
use super::problem::Problem;
use super::{Service, openapi};
use crate::log::Published;

/// Two sizes of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Sizes {
    /// The smaller size.
    #[serde(deserialize_with = "parsed")]
    #[param(inline, value_type = schema::Count)]
    old: Decimal,
    /// The larger size, at most the newest.
    #[serde(deserialize_with = "parsed")]
    #[param(inline, value_type = schema::Count)]
    new: Decimal,
}

/// A page of heads.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Only heads of sizes above this one; all if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    after: Option<Decimal>,
    /// How many at most, 1 to 1,000; 100 if left out.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline, value_type = Option<schema::Limit>)]
    limit: Limit,
}

/// The proof that the log of one size is the beginning of the log of another.
#[utoipa::path(
    get, path = "/v1/consistency", tag = "heads",
    params(Sizes),
    responses(
        (status = 200, description = "The proof.", body = Consistency),
        openapi::NotFound,
    )
)]
pub(super) async fn consistency(
    State(service): State<Service>,
    Parameters(sizes): Parameters<Sizes>,
) -> Result<Json<Consistency>, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| prove(&published, &sizes))
        .await
        .map(Json)
}

/// The signed heads that were kept: the newest of each second.
#[utoipa::path(
    get, path = "/v1/checkpoints", tag = "heads",
    params(After),
    responses(
        (status = 200, description = "Heads in ascending size, one JSON object a line.", body = Head, content_type = "application/x-ndjson"),
        openapi::NotRead,
    )
)]
pub(super) async fn checkpoints(
    State(service): State<Service>,
    Parameters(After { after, limit }): Parameters<After>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    let after = after.map_or(0, |Decimal(after)| after);
    let lines = service
        .readers
        .read(published, move |published| list(&published, after, limit))
        .await?;
    Ok(([(header::CONTENT_TYPE, JSON_LINES)], lines).into_response())
}

fn prove(published: &Published, sizes: &Sizes) -> Result<Consistency, Problem> {
    let (Decimal(old), Decimal(new)) = (sizes.old, sizes.new);
    let hashes = published.consistency(TreeSize::new(old), TreeSize::new(new))?;
    Ok(Consistency {
        old,
        new,
        hashes: hashes.iter().map(ToString::to_string).collect(),
    })
}

fn list(published: &Published, after: u64, limit: Limit) -> Result<String, Problem> {
    let mut lines = String::new();
    for stored in published.checkpoints_after(after, limit.get())? {
        let head = Head {
            size: stored.size.get(),
            time_ms: stored.time_ms,
            checkpoint: stored.checkpoint,
        };
        lines += &serde_json::to_string(&head).map_err(Problem::internal)?;
        lines.push('\n');
    }
    Ok(lines)
}
