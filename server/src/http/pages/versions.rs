//! `/agents/{agent}/versions`: the versions of an agent that were registered, newest first, and what each changed.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::record::{Body, Kind, Registration};
use ledger::text::Name;
use store::{Order, Topic};
use timeline::difference::{self, Difference};
use timeline::entry::Entry;

use super::frame::Frame;
use super::respond;
use super::shown::{When, visible};
use crate::history;
use crate::http::Service;
use crate::http::parameters::{NoParameters, Parameters, Segment};
use crate::http::problem::Problem;
use crate::log::Published;

/// How many versions a page has.
const LISTED: usize = 50;

/// How many rows of its authority are looked at for them.
const WALKED: usize = 4_096;

#[derive(Template)]
#[template(path = "versions.html")]
struct Versions {
    frame: Frame,
    agent: String,
    versions: Vec<Version>,
}

/// A registered version.
struct Version {
    index: u64,
    when: When,
    version: String,
    manifest_hash: String,
    reason: String,
    is_active: bool,
    /// What it changed; `None` for the oldest that is listed.
    changes: Option<Vec<Difference>>,
}

/// `GET /agents/{agent}/versions`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Segment(name): Segment<Name>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            respond(&build(&published, &name)?)
        })
        .await
}

fn build(published: &Published, name: &Name) -> Result<Versions, Problem> {
    let agent = published.state.agent(name);
    let agent = agent.ok_or_else(|| Problem::not_found(format!("agent {name}")))?;
    let found = registrations(published, name)?;
    let active = agent.registration();
    let described = found
        .iter()
        .enumerate()
        .take(LISTED)
        .map(|(at, (entry, it))| {
            let before = found.get(at + 1).map(|(_, before)| before);
            Version {
                index: entry.index.get(),
                when: When(entry.received_ms),
                version: visible(it.manifest.version.as_str()),
                manifest_hash: it.manifest_hash.to_string(),
                reason: visible(it.reason.as_str()),
                is_active: entry.record.hash() == active,
                changes: before.map(|before| {
                    difference::between(&before.manifest.to_value(), &it.manifest.to_value())
                }),
            }
        });
    Ok(Versions {
        frame: Frame::of(published, &format!("Versions of {name}"))
            .following(&format!("agent={name}&kind=manifest")),
        agent: name.to_string(),
        versions: described.collect(),
    })
}

fn registrations(
    published: &Published,
    name: &Name,
) -> Result<Vec<(Entry, Registration)>, Problem> {
    let (topic, all) = (Topic::Authority(name.clone()), 0..published.size.get());
    let rows = published.mentions(&topic, all, Order::NewestFirst, WALKED)?;
    let mut found = Vec::new();
    for (index, _) in rows
        .into_iter()
        .filter(|row| row.1 == Kind::Manifest)
        .take(LISTED + 1)
    {
        let entry = history::entry(published, index)?;
        if let Body::Manifest(registration) = entry.body() {
            let registration = (**registration).clone();
            found.push((entry, registration));
        }
    }
    Ok(found)
}
