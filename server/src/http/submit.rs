//! Records in: one as JSON, or many as JSON lines.

use std::net::IpAddr;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use ledger::codes::Code;
use ledger::record::SignedRecord;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::{Submitted as Answer, schema};

use super::answer::{Sender, answer};
use super::limits::{MAX_BATCH_BYTES, MAX_RECORD_BYTES};
use super::media::{self, JSON, JSON_LINES};
use super::parameters::Parameters;
use super::problem::Problem;
use super::turns::Came;
use super::{Service, admission, batch, body, openapi, reading};
use crate::log::Outcome;

/// How an answer is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SubmitParameters {
    /// Whether an answer brings its proof: by default one to a single record does, and one of many does not.
    proof: Option<bool>,
    /// What to wait for beside the log's own signature. Every value is refused by a log that has no witnesses, so the
    /// description of the interface does not have it.
    #[param(ignore)]
    wait: Option<Wait>,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Wait {
    /// The quorum of witnesses that the policy names.
    Witnessed,
}

/// Logs records. An answer means that the record is durable, in the tree and under a signed checkpoint.
///
/// A record that is in the log already is answered with the index it has, so whoever got no answer sends
/// the same bytes again. Of many records each is judged alone, in their order.
#[utoipa::path(
    post, path = "/v1/entries", tag = "entries",
    params(SubmitParameters),
    request_body(description = "A DSSE envelope of at most 48 KiB; or up to 4,096 of them in 16 MiB, one a line.",
        content((schema::Envelope = "application/json"), (schema::Envelope = "application/x-ndjson"))),
    responses(
        (status = 200, description = "The record is logged; of many, an answer or a problem a line.",
            content((Answer = "application/json"), (Answer = "application/x-ndjson"))),
            openapi::NotTaken,
    )
)]
pub(super) async fn submit(
    State(service): State<Service>,
    Parameters(SubmitParameters { proof, wait }): Parameters<SubmitParameters>,
    came: Came,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let source = admission::source(&service, came.as_ref(), &headers);
    let form = media::submitted(&headers, &[JSON, JSON_LINES])?;
    if let Some(Wait::Witnessed) = wait {
        return Err(Problem::malformed(
            "this log has no witnesses, so there is no quorum to wait for",
        ));
    }
    match form {
        JSON_LINES => many(&service, source, body, proof.unwrap_or(false)).await,
        _ => {
            let bytes = body::read(body, MAX_RECORD_BYTES).await?;
            service.admission.count(source, 1, bytes.len() as u64)?;
            Ok(Json(one(&service, &bytes, proof.unwrap_or(true)).await?).into_response())
        }
    }
}

async fn many(
    service: &Service,
    source: Option<IpAddr>,
    body: Body,
    with_proof: bool,
) -> Result<Response, Problem> {
    let bytes = body::read(body, MAX_BATCH_BYTES).await?;
    let lines = batch::split(&bytes)?;
    let count = lines.len() as u64;
    service.admission.count(source, count, bytes.len() as u64)?;
    let slot = service.batches.acquire().await;
    let _slot = slot.map_err(|_| Code::Stopping.because("the service is stopping"))?;
    let answers = batch::log_all(&service.log, &service.admission, lines, with_proof).await?;
    Ok(([(header::CONTENT_TYPE, JSON_LINES)], answers).into_response())
}

/// Logs the record in these bytes.
async fn one(service: &Service, bytes: &Bytes, with_proof: bool) -> Result<Answer, Problem> {
    let log = &service.log;
    let record = SignedRecord::parse(bytes)?;
    let sender = Sender::of(&record);
    let checked = log.check(vec![record]).await?.pop();
    let checked = checked.ok_or_else(|| Problem::internal("the pool lost a record"))?;
    let _pass = service.admission.admit(&checked, &log.published().state)?;
    match log.enter(checked)?.outcome().await {
        // What was just logged is proven by what is at hand, sooner than another thread would begin.
        Ok(submitted) if submitted.result == Outcome::Logged => {
            answer(&submitted, &sender, with_proof)
        }
        Ok(submitted) => reading::apart(move || answer(&submitted, &sender, with_proof)).await,
        Err(refusal) => Err(sender.problem(&log.published(), refusal)),
    }
}
