//! `/entries/{index}`: one entry, decoded, and the way to verify it.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::digest::RecordHash;
use ledger::json::Value;
use ledger::record::{Body, Phase};
use timeline::entry::Entry;
use tlog::LeafIndex;

use super::frame::Frame;
use super::respond;
use super::shown::{Row, holder, texts, verify, visible};
use crate::history;
use crate::http::Service;
use crate::http::parameters::{Decimal, NoParameters, Parameters, Segment};
use crate::http::problem::Problem;
use crate::log::Published;

#[derive(Template)]
#[template(path = "entry.html")]
struct EntryPage {
    frame: Frame,
    row: Row,
    record: String,
    goal: Option<String>,
    refers_to: Option<(String, Option<u64>)>,
    signers: Vec<Signer>,
    payload: String,
    /// The hashes of its inclusion proof.
    path: Vec<String>,
    root: String,
    checkpoint: String,
    previous: Option<u64>,
    next: Option<u64>,
    verify: String,
}

/// A key that signed, and the signature.
struct Signer {
    /// Whose key it is, if the state knows it.
    holder: Option<String>,
    keyid: String,
    signature: String,
}

/// `GET /entries/{index}`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Segment(Decimal(index)): Segment<Decimal>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            let entry = history::entry(&published, LeafIndex::new(index))?;
            respond(&build(&published, &entry)?)
        })
        .await
}

fn build(published: &Published, entry: &Entry) -> Result<EntryPage, Problem> {
    let (record, index) = (&entry.record, entry.index.get());
    let frame = Frame::of(published, &format!("Entry {index}"));
    let signers = record.envelope().signatures().iter().map(|one| Signer {
        holder: holder(published, &one.keyid),
        keyid: one.keyid.to_string(),
        signature: one.sig.to_string(),
    });
    let goal = goal_of(entry);
    let refers_to = record.record().refers_to().filter(|to| Some(*to) != goal);
    let refers_to = match refers_to {
        Some(to) => {
            let at = published.index_of(&to)?.map(LeafIndex::get);
            Some((to.to_string(), at))
        }
        None => None,
    };
    Ok(EntryPage {
        row: Row::of(entry),
        record: record.hash().to_string(),
        goal: goal.map(|goal| goal.to_string()),
        refers_to,
        signers: signers.collect(),
        payload: shown(record.envelope().payload())?,
        path: texts(&published.inclusion(entry.index, published.size)?),
        root: published.root.to_string(),
        checkpoint: visible_lines(&published.checkpoint),
        previous: index.checked_sub(1),
        next: Some(index + 1).filter(|next| *next < frame.size),
        verify: verify(&format!("/v1/entries/{index}/proof")),
        frame,
    })
}

/// A payload in lines, with nothing hidden in it. JSON has no line breaks but those between its members.
fn shown(payload: &[u8]) -> Result<String, Problem> {
    let payload = Value::parse(payload).map_err(Problem::internal)?;
    let text = serde_json::to_string_pretty(&payload).map_err(Problem::internal)?;
    Ok(visible_lines(&text))
}

fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// The goal that a receipt is about, where it names it.
fn goal_of(entry: &Entry) -> Option<RecordHash> {
    let Body::Receipt(receipt) = entry.body() else {
        return None;
    };
    match &receipt.phase {
        Phase::Goal(_) => Some(entry.record.hash()),
        Phase::Intent(intent) => Some(intent.goal),
        Phase::Outcome(outcome) => Some(outcome.goal),
        Phase::Result(_) => None,
    }
}
