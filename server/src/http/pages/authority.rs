//! `/authority`: who may do what now, a row for each agent with a lease in force, and until when.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::govern::{self, LeaseState};
use ledger::record::{AgentState, Budget, Mode};
use ledger::text::Name;
use serde::Deserialize;

use super::frame::Frame;
use super::shown::{State, When, texts, visible};
use super::{past, respond};
use crate::http::parameters::{Decimal, Parameters, parsed_if_present};
use crate::http::problem::Problem;
use crate::http::{Service, standing};
use crate::log::Published;

/// How many agents a page has.
const ON_A_PAGE: usize = 100;

/// What changes who may do what.
const EVENTS: &str = "kind=charter,lease,lease-renewal,lease-revocation,order,transition";

/// Which agents are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only agents behind this one.
    #[serde(default, deserialize_with = "parsed_if_present")]
    after: Option<Name>,
    /// With how many entries the log is to be shown; as it is now if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    as_of: Option<Decimal>,
}

#[derive(Template)]
#[template(path = "authority.html")]
struct Authority {
    frame: Frame,
    rows: Vec<Grant>,
    is_enforced: bool,
    /// The address of more agents.
    more: Option<String>,
}

/// What one agent may do.
struct Grant {
    name: String,
    state: State,
    /// Whether its state bars it from beginning anything, whatever its lease allows.
    is_barred: bool,
    allow: Vec<String>,
    deny: Vec<String>,
    left: String,
    until: When,
    purpose: String,
    lease: Option<u64>,
}

/// `GET /authority`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let published = past::or_now(&service, wanted.as_of).await?;
    service
        .readers
        .read(published, move |published| {
            respond(&build(&published, &wanted)?)
        })
        .await
}

fn build(published: &Published, wanted: &Wanted) -> Result<Authority, Problem> {
    let state = &published.state;
    let mode = state.charter().map(|charter| charter.mode);
    let agents: Vec<&govern::Agent> = match &wanted.after {
        None => state
            .agents()
            .filter(|it| is_leased(published, it))
            .take(ON_A_PAGE + 1)
            .collect(),
        Some(after) => {
            let behind = state.agents_after(after);
            behind
                .filter(|it| is_leased(published, it))
                .take(ON_A_PAGE + 1)
                .collect()
        }
    };
    let has_more = agents.len() > ON_A_PAGE;
    let is_enforced = mode == Some(Mode::Enforce);
    let shown = agents.iter().take(ON_A_PAGE);
    let rows = shown.filter_map(|agent| Grant::of(published, agent, is_enforced).transpose());
    let rows = rows.collect::<Result<Vec<_>, Problem>>()?;
    Ok(Authority {
        frame: match wanted.as_of {
            Some(_) => Frame::past(published, "Authority"),
            None => Frame::of(published, "Authority").following(EVENTS),
        },
        is_enforced,
        more: rows
            .last()
            .filter(|_| has_more)
            .map(|row: &Grant| match wanted.as_of {
                Some(Decimal(size)) => format!("/authority?after={}&as_of={size}", row.name),
                None => format!("/authority?after={}", row.name),
            }),
        rows,
    })
}

fn is_leased(published: &Published, agent: &govern::Agent) -> bool {
    standing::lease_ends_ms(published, agent).is_some()
}

impl Grant {
    fn of(
        published: &Published,
        agent: &govern::Agent,
        is_enforced: bool,
    ) -> Result<Option<Self>, Problem> {
        let lease = agent
            .lease()
            .and_then(|lease| published.state.lease(&lease));
        let (Some(lease), Some(until_ms)) = (lease, standing::lease_ends_ms(published, agent))
        else {
            return Ok(None);
        };
        let terms = lease.terms();
        let is_quarantined = agent.state() == AgentState::Quarantined;
        Ok(Some(Self {
            name: agent.name().to_string(),
            state: State(agent.state()),
            is_barred: is_enforced && is_quarantined,
            allow: texts(&terms.allow),
            deny: texts(&terms.deny),
            left: left(&terms.budget, lease),
            until: When(until_ms),
            purpose: visible(terms.purpose.as_str()),
            lease: published.index_of(&lease.hash())?.map(tlog::LeafIndex::get),
        }))
    }
}

/// What its budget still holds.
fn left(budget: &Budget, lease: &LeaseState) -> String {
    let spent = lease.spent();
    let parts = [
        (budget.actions, spent.actions, "actions"),
        (budget.tokens, spent.tokens, "tokens"),
        (
            budget.cost_micros,
            spent.cost_micros,
            "millionths of the unit of money",
        ),
    ];
    let bounded = parts.into_iter().filter_map(|(most, spent, what)| {
        let left = u128::from(most?).saturating_sub(spent);
        Some(format!("{left} {what}"))
    });
    let told: Vec<String> = bounded.collect();
    match told.is_empty() {
        true => "no limit".to_owned(),
        false => told.join(", "),
    }
}
