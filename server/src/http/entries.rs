//! Entries, their proofs, and where a record stands.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use ledger::digest::RecordHash;
use ledger::json::Value;
use ledger::leaf::Leaf;
use serde::Deserialize;
use tlog::{LeafIndex, TreeSize};
use utoipa::IntoParams;
use wire::{Entry, Place, schema};

use super::media::{self, JSON, OCTETS, TEXT};
use super::parameters::{Decimal, NoParameters, Parameters, Segment, parsed_if_present};
use super::problem::Problem;
use super::{Service, openapi};
use crate::log::Published;

/// Of which tree a proof is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProofParameters {
    /// The size of the tree, above the index, one whose head is kept; the newest if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    size: Option<Decimal>,
}

/// An entry, decoded; or the exact bytes of its leaf.
#[utoipa::path(
    get, path = "/v1/entries/{index}", tag = "entries",
    params(("index" = inline(schema::Count), Path, description = "The entry's index.")),
    responses(
        (status = 200, description = "The entry; to `Accept: application/octet-stream`, the leaf's exact bytes.",
            content((Entry = "application/json"), (wire::schema::Octets = "application/octet-stream"))),
        openapi::NotAcceptable,
    )
)]
pub(super) async fn entry(
    State(service): State<Service>,
    Segment(index): Segment<Decimal>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = media::accepted(&headers, &[JSON, OCTETS])?;
    let published = service.log.published();
    let leaf = service
        .readers
        .read(published, move |published| leaf(&published, index))
        .await?;
    let mut response = match form {
        OCTETS => ([(header::CONTENT_TYPE, OCTETS)], leaf).into_response(),
        _ => Json(decode(index, &leaf)?).into_response(),
    };
    // The same address has two forms, so a cache keeps them apart.
    response
        .headers_mut()
        .insert(header::VARY, header::HeaderValue::from_static("accept"));
    Ok(response)
}

/// The proof that an entry is in the log.
#[utoipa::path(
    get, path = "/v1/entries/{index}/proof", tag = "entries",
    params(("index" = inline(schema::Count), Path, description = "The entry's index."), ProofParameters),
    responses(
        (status = 200, description = "A proof file (c2sp.org/tlog-proof) with the leaf in `extra`.", body = String, content_type = "text/plain"),
        openapi::NotFound,
    )
)]
pub(super) async fn proof(
    State(service): State<Service>,
    Segment(index): Segment<Decimal>,
    Parameters(parameters): Parameters<ProofParameters>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    let text = service
        .readers
        .read(published, move |published| {
            prove(&published, index, parameters.size)
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}

/// The index of a record.
#[utoipa::path(
    get, path = "/v1/records/{record}", tag = "entries",
    params(("record" = inline(schema::Hash), Path, description = "The record's name, `sha256:` and 64 hex digits.")),
    responses(
        (status = 200, description = "Where the record stands.", body = Place),
        openapi::NotFound,
    )
)]
pub(super) async fn record(
    State(service): State<Service>,
    Segment(record): Segment<RecordHash>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Json<Place>, Problem> {
    let published = service.log.published();
    let index = service
        .readers
        .read(published, move |published| Ok(published.index_of(&record)?))
        .await?;
    let index = index.ok_or_else(|| Problem::not_found(format!("record {record}")))?;
    Ok(Json(Place { index: index.get() }))
}

fn leaf(published: &Published, Decimal(index): Decimal) -> Result<Vec<u8>, Problem> {
    let leaf = published.leaf(LeafIndex::new(index))?;
    leaf.ok_or_else(|| Problem::not_found(format!("entry {index} of a log of {}", published.size)))
}

fn prove(
    published: &Published,
    Decimal(index): Decimal,
    size: Option<Decimal>,
) -> Result<String, Problem> {
    let size = size.map_or(published.size, |Decimal(size)| TreeSize::new(size));
    Ok(published.proof_file(LeafIndex::new(index), size)?)
}

/// Shows a leaf. It was read by the same rules when it was logged, so a refusal now is ours.
pub(super) fn decode(Decimal(index): Decimal, leaf: &[u8]) -> Result<Entry, Problem> {
    let leaf = Leaf::parse(leaf).map_err(Problem::internal)?;
    let envelope = leaf.envelope();
    Ok(Entry {
        index,
        received_ms: leaf.received_ms(),
        record: envelope.record_hash(),
        kind: envelope.kind(),
        payload: Value::parse(envelope.payload()).map_err(Problem::internal)?,
        envelope: envelope.to_value(),
    })
}
