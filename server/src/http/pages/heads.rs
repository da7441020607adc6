//! `/heads`: the tree heads that were signed, newest first, each with who signed it.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use serde::Deserialize;
use store::StoredCheckpoint;
use tlog::checkpoint::SignedCheckpoint;

use super::frame::Frame;
use super::respond;
use super::shown::{When, visible};
use crate::http::Service;
use crate::http::parameters::{Decimal, Parameters, parsed_if_present};
use crate::http::problem::Problem;
use crate::log::Published;

/// How many heads a page has.
const ON_A_PAGE: usize = 50;

/// Which heads are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only heads of smaller trees.
    #[serde(default, deserialize_with = "parsed_if_present")]
    before: Option<Decimal>,
}

#[derive(Template)]
#[template(path = "heads.html")]
struct Heads {
    frame: Frame,
    heads: Vec<Head>,
    older: Option<u64>,
}

/// A signed head.
struct Head {
    size: u64,
    when: When,
    root: String,
    /// Those whose signatures it has beside the log's.
    witnesses: Vec<String>,
    /// The size of the head before, to which its consistency can be asked for.
    after: Option<u64>,
}

/// `GET /heads`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            respond(&build(&published, &wanted)?)
        })
        .await
}

fn build(published: &Published, wanted: &Wanted) -> Result<Heads, Problem> {
    let newest = published.size.get().saturating_add(1);
    let before = wanted
        .before
        .map_or(newest, |Decimal(before)| before.min(newest));
    let stored = newest_of(published, before)?;
    let sizes: Vec<u64> = stored.iter().map(|head| head.size.get()).collect();
    let heads = stored.iter().enumerate();
    let heads = heads.map(|(at, head)| Head::of(head, sizes.get(at + 1).copied()));
    let mut heads = heads.collect::<Result<Vec<_>, _>>()?;
    let has_more = heads.len() > ON_A_PAGE;
    heads.truncate(ON_A_PAGE);
    let frame = Frame::of(published, "Tree heads");
    Ok(Heads {
        frame: match wanted.before {
            None => frame.following("kind=pulse"),
            Some(_) => frame,
        },
        older: heads.last().map(|head| head.size).filter(|_| has_more),
        heads,
    })
}

/// One more than a page of the heads in front of a size, newest first. Heads are kept by size, so the window in which they
/// are looked for grows until there are enough.
fn newest_of(published: &Published, before: u64) -> Result<Vec<StoredCheckpoint>, Problem> {
    let mut window = ON_A_PAGE as u64;
    loop {
        window = window.saturating_mul(4);
        // Sizes above `from`, so size 1 is the first there can be.
        let from = before.saturating_sub(window);
        let within = usize::try_from(window).unwrap_or(usize::MAX);
        let mut heads = published.checkpoints_after(from, within)?;
        heads.retain(|head| head.size.get() < before);
        heads.reverse();
        heads.truncate(ON_A_PAGE + 1);
        if heads.len() > ON_A_PAGE || from == 0 {
            return Ok(heads);
        }
    }
}

impl Head {
    fn of(head: &StoredCheckpoint, after: Option<u64>) -> Result<Self, Problem> {
        let signed = SignedCheckpoint::parse(&head.checkpoint).map_err(Problem::internal)?;
        let origin = signed.unverified().origin.as_str();
        let signatures = signed.note().signatures().iter();
        let names = signatures.map(|signature| visible(signature.name.as_str()));
        Ok(Self {
            size: head.size.get(),
            when: When(head.time_ms),
            root: signed.unverified().root.to_string(),
            witnesses: names.filter(|name| name != origin).collect(),
            after,
        })
    }
}
