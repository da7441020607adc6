//! `/`: which log this is, how its agents are, what was logged last.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::record::AgentState;

use super::board::BY_NEED;
use super::frame::Frame;
use super::respond;
use super::shown::{Row, State, verify};
use crate::history;
use crate::http::Service;
use crate::http::parameters::{NoParameters, Parameters};
use crate::http::problem::Problem;
use crate::log::Published;

/// How many of the newest entries are shown.
const NEWEST: u64 = 20;

/// All but what comes without end and changes nothing that the page says at a glance.
const EVENTS: &str = "kind=charter,manifest,lease,lease-renewal,lease-revocation,order,receipt,transition,refusal,\
    observation";

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    root: String,
    charter: Option<Charter>,
    agent_count: u64,
    counts: Vec<(State, u64)>,
    newest: Vec<Row>,
    verify: String,
}

/// What the charter in force says that people ask first.
struct Charter {
    fingerprint: String,
    version: u64,
    mode: &'static str,
}

/// `GET /`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Parameters(NoParameters {}): Parameters<NoParameters>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            let newest = history::newest(&published, NEWEST)?;
            let count = |state: &AgentState| (State(*state), published.state.count_in(*state));
            respond(&Overview {
                frame: Frame::of(&published, "Overview").following(EVENTS),
                root: published.root.to_string(),
                charter: charter(&published),
                agent_count: published.state.agent_count(),
                counts: BY_NEED.iter().map(count).collect(),
                newest: newest.iter().map(Row::of).collect(),
                verify: verify("/v1/pack?from=0"),
            })
        })
        .await
}

fn charter(published: &Published) -> Option<Charter> {
    let charter = published.state.charter()?;
    Some(Charter {
        fingerprint: published.state.log()?.to_string(),
        version: charter.version,
        mode: charter.mode.as_str(),
    })
}
