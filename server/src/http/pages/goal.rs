//! `/goals/{goal}`: from its start through its actions to its outcome, and who authorised each.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::digest::RecordHash;
use serde::Deserialize;
use timeline::goal::{Action, GoalStory, OutcomeView, Refusal};
use timeline::leases::Authority;
use timeline::words;

use super::frame::Frame;
use super::respond;
use super::shown::{When, texts, verify, visible};
use crate::history;
use crate::http::Service;
use crate::http::parameters::{Decimal, Parameters, Segment, parsed_if_present};
use crate::http::problem::Problem;
use crate::log::Published;

/// How many steps a page shows.
const STEPS: usize = 200;

/// Which steps are wanted: those behind an index.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default, deserialize_with = "parsed_if_present")]
    after: Option<Decimal>,
}

#[derive(Template)]
#[template(path = "goal.html")]
struct GoalPage {
    frame: Frame,
    goal: String,
    index: u64,
    set: When,
    title: String,
    requester: String,
    agent: String,
    authority: Granted,
    verdict: Option<(&'static str, When, String)>,
    actions: Vec<Step>,
    refusals: Vec<Denied>,
    outcomes: Vec<End>,
    next: Option<String>,
    verify: String,
}

/// Under whose authority something was done.
struct Granted {
    epoch: u64,
    lease: Option<Record>,
    by: Vec<String>,
    manifest_hash: Option<String>,
    version: Option<String>,
}

/// A record, and where it stands.
struct Record {
    name: String,
    index: Option<u64>,
}

/// An action.
struct Step {
    index: u64,
    when: When,
    agent: String,
    scope: String,
    tool: String,
    status: &'static str,
    result: Option<(u64, String)>,
    authority: Granted,
}

/// Something that was refused.
struct Denied {
    index: u64,
    when: When,
    scope: Option<String>,
    code: String,
}

/// An outcome.
struct End {
    index: u64,
    when: When,
    agent: String,
    verdict: &'static str,
    checks: Vec<(String, String)>,
    authority: Granted,
}

/// `GET /goals/{goal}`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Segment(goal): Segment<RecordHash>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    service
        .readers
        .read(published, move |published| {
            let from = wanted
                .after
                .map_or(0, |Decimal(index)| index.saturating_add(1));
            let page = history::goal(&published, goal, from, STEPS)?;
            respond(&build(&published, page)?)
        })
        .await
}

fn build(published: &Published, page: history::Page<GoalStory>) -> Result<GoalPage, Problem> {
    let (story, has_more) = (page.told, page.has_more);
    let frame = Frame::of(published, &visible(story.title.as_str()));
    let frame = match story.outcome() {
        None => frame.following(&format!("agent={}", story.agent)),
        Some(_) => frame,
    };
    let steps = story.actions.iter().map(|action| action.index);
    let last = steps.chain(story.outcomes.iter().map(|it| it.index)).max();
    let last = last.filter(|_| has_more);
    let goal = story.goal.to_string();
    let actions = story.actions.iter().map(|it| Step::of(published, it));
    let outcomes = story.outcomes.iter().map(|it| End::of(published, it));
    Ok(GoalPage {
        frame,
        index: story.index.get(),
        set: When(story.received_ms),
        title: visible(story.title.as_str()),
        requester: visible(story.requester.as_str()),
        agent: story.agent.to_string(),
        authority: Granted::of(published, &story.authority)?,
        verdict: story.outcome().map(|end| {
            let took = words::span(end.received_ms.saturating_sub(story.received_ms));
            (end.verdict.as_str(), When(end.received_ms), took)
        }),
        actions: actions.collect::<Result<_, _>>()?,
        refusals: story.refusals.iter().map(Denied::of).collect(),
        outcomes: outcomes.collect::<Result<_, _>>()?,
        next: last.map(|last| format!("/goals/{goal}?after={last}")),
        verify: verify(&format!("/v1/pack?goal={goal}")),
        goal,
    })
}

impl Granted {
    fn of(published: &Published, authority: &Authority) -> Result<Self, Problem> {
        let record = |lease: RecordHash| -> Result<Record, Problem> {
            Ok(Record {
                name: lease.to_string(),
                index: published.index_of(&lease)?.map(tlog::LeafIndex::get),
            })
        };
        let version = authority.version.as_ref();
        Ok(Self {
            epoch: authority.epoch,
            lease: authority.lease.map(record).transpose()?,
            by: texts(&authority.authorised_by),
            manifest_hash: authority.manifest_hash.map(|hash| hash.to_string()),
            version: version.map(|version| visible(version.as_str())),
        })
    }
}

impl Step {
    fn of(published: &Published, action: &Action) -> Result<Self, Problem> {
        let result = action.result.as_ref();
        Ok(Self {
            index: action.index.get(),
            when: When(action.received_ms),
            agent: action.agent.to_string(),
            scope: action.scope.to_string(),
            tool: action.tool.to_string(),
            status: result.map_or("no result yet", |result| result.status.as_str()),
            result: result.map(|result| (result.index.get(), words::span(result.duration_ms))),
            authority: Granted::of(published, &action.authority)?,
        })
    }
}

impl Denied {
    fn of(refusal: &Refusal) -> Self {
        Self {
            index: refusal.index.get(),
            when: When(refusal.received_ms),
            scope: refusal.scope.as_ref().map(ToString::to_string),
            code: refusal.code.to_string(),
        }
    }
}

impl End {
    fn of(published: &Published, outcome: &OutcomeView) -> Result<Self, Problem> {
        let checks = outcome.checks.iter();
        let check = |check: &timeline::goal::CheckView| {
            (visible(check.name.as_str()), check.digest.to_string())
        };
        Ok(Self {
            index: outcome.index.get(),
            when: When(outcome.received_ms),
            agent: outcome.agent.to_string(),
            verdict: outcome.verdict.as_str(),
            checks: checks.map(check).collect(),
            authority: Granted::of(published, &outcome.authority)?,
        })
    }
}
