//! Evidence packs, streamed: nothing of a pack is held but the piece that is being sent.
//!
//! Whatever is wrong with a request is said before the first byte. What goes wrong after that breaks the answer off
//! within its encoding, so that no client takes a part for the whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use ledger::digest::RecordHash;
use ledger::pack::{Range, Selection};
use ledger::text::Name;
use serde::Deserialize;
use tlog::{LeafIndex, TreeSize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;
use wire::schema;

use super::listen::Doing;
use super::media::{JSON_LINES, UNBUFFERED};
use super::parameters::{Decimal, Parameters, parsed_if_present};
use super::problem::Problem;
use super::reading::Readers;
use super::turns::{self, Came};
use super::{Service, openapi};
use crate::log::{PackReader, Published, ReadError, select};

/// Which entries are wanted.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The first entry of a range; defaults to 0.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    from: Option<Decimal>,
    /// The first entry after the range; defaults to the end of the log. If the head of that size was kept, the pack comes
    /// under it, otherwise under the newest.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Count>)]
    to: Option<Decimal>,
    /// Instead of a range: the records about this agent, and the authority that they rest on.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::AgentName>)]
    agent: Option<Name>,
    /// Instead of a range: the receipts of the goal that this record set, and the authority that they rest on.
    #[serde(default, deserialize_with = "parsed_if_present")]
    #[param(inline, value_type = Option<schema::Hash>)]
    goal: Option<RecordHash>,
}

/// An evidence pack: entries, the proof that they are in the log, and the signed head.
#[utoipa::path(
    get, path = "/v1/pack", tag = "packs",
    params(Wanted),
    responses(
        (status = 200, description = "The pack, one JSON object a line.", body = String, content_type = "application/x-ndjson"),
        openapi::NotFound,
    )
)]
pub(super) async fn pack(
    State(service): State<Service>,
    Parameters(wanted): Parameters<Wanted>,
    came: Came,
) -> Result<Response, Problem> {
    let permit = turns::place(&service.packs, came, Doing::Fetching).await?;
    let published = service.log.published();
    let selection = wanted.selection(published.size)?;
    let name = file_name(&selection);
    let whole = Arc::clone(&published);
    let open = move |published: Arc<Published>| open(&published, whole, selection);
    let reader = service.readers.read(published, open).await?;
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, JSON_LINES.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    let body = PackBody {
        readers: service.readers.clone(),
        progress: Progress::Idle(Box::new(reader)),
        _permit: permit,
    };
    Ok((UNBUFFERED, headers, Body::new(body)).into_response())
}

impl Wanted {
    /// What is to be in the pack: one thing.
    fn selection(self, size: TreeSize) -> Result<Selection, Problem> {
        match (self.agent, self.goal, self.from, self.to) {
            (Some(agent), None, None, None) => Ok(Selection::Agent(agent)),
            (None, Some(goal), None, None) => Ok(Selection::Goal(goal)),
            (None, None, from, to) => {
                let from = from.map_or(0, |Decimal(from)| from);
                let to = to.map_or(size.get(), |Decimal(to)| to);
                range(from, to, size).map(Selection::Range)
            }
            _ => Err(Problem::malformed(
                "a range, an agent or a goal: one of them",
            )),
        }
    }
}

fn range(from: u64, to: u64, size: TreeSize) -> Result<Range, Problem> {
    if from >= to {
        return Err(Problem::malformed(format!(
            "no entry is from {from} up to {to}"
        )));
    }
    let range = Range::new(LeafIndex::new(from), LeafIndex::new(to), size);
    range.map_err(|_| Problem::not_found(format!("entries up to {to} of a log of {size}")))
}

/// What a browser calls the file. Names of agents and hashes have no character that a quoted string has to escape.
fn file_name(selection: &Selection) -> String {
    let stem = match selection {
        Selection::Range(range) => format!("entries-{}-{}", range.from(), range.to()),
        Selection::Agent(agent) => format!("agent-{agent}"),
        Selection::Goal(goal) => format!("goal-{goal}").replace(':', "-"),
    };
    format!("{stem}.pack.jsonl")
}

/// Begins a pack of the whole head. What belongs to it is looked for within bounds.
fn open(
    published: &Published,
    whole: Arc<Published>,
    selection: Selection,
) -> Result<PackReader, Problem> {
    if let Selection::Range(range) = selection {
        return Ok(PackReader::window(whole, published, range)?);
    }
    let indices = select(published, &selection)?;
    Ok(PackReader::scattered(whole, selection, indices)?)
}

/// A pack as the body of an answer. The next piece is read where it may wait for the disk, when the client has taken the
/// one before: no thread waits for a client.
struct PackBody {
    readers: Readers,
    progress: Progress,
    _permit: OwnedSemaphorePermit,
}

enum Progress {
    Idle(Box<PackReader>),
    Reading(Reading),
    Ended,
}

type Reading = Pin<Box<dyn Future<Output = Result<(Box<PackReader>, Piece), Problem>> + Send>>;

type Piece = Result<Option<Vec<u8>>, ReadError>;

impl HttpBody for PackBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let mut reading: Reading = match std::mem::replace(&mut self.progress, Progress::Ended) {
            Progress::Ended => return Poll::Ready(None),
            Progress::Reading(reading) => reading,
            Progress::Idle(mut reader) => {
                let readers = self.readers.clone();
                let read = move || {
                    let piece = reader.next_piece();
                    Ok((reader, piece))
                };
                Box::pin(async move { readers.work(read).await })
            }
        };
        let Poll::Ready(read) = reading.as_mut().poll(context) else {
            self.progress = Progress::Reading(reading);
            return Poll::Pending;
        };
        let lost = |problem: Problem| {
            tracing::error!(?problem, "a pack broke off");
            BrokenOff
        };
        Poll::Ready(match read.map_err(lost) {
            Ok((_, Ok(None))) => None,
            Ok((reader, Ok(Some(piece)))) => {
                self.progress = Progress::Idle(reader);
                Some(Ok(Frame::data(piece.into())))
            }
            Ok((_, Err(error))) => Some(Err(broken_off(&error))),
            Err(error) => Some(Err(error)),
        })
    }
}

/// A pack that could not be sent to its end.
#[derive(Debug, thiserror::Error)]
#[error("the pack broke off")]
struct BrokenOff;

/// The answer has begun, so the failure can be told nowhere but in our own log.
fn broken_off(error: &dyn std::error::Error) -> BrokenOff {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    tracing::error!(error = causes.join(": "), "a pack broke off");
    BrokenOff
}
