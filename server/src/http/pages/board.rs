//! `/agents`: a board of the agents by state, or the same as a table, a page at a time.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::govern;
use ledger::record::AgentState;
use ledger::text::Name;
use serde::Deserialize;

use super::frame::Frame;
use super::respond;
use super::shown::{State, When, last_beat, last_progress};
use crate::http::parameters::{Parameters, parsed_if_present};
use crate::http::problem::Problem;
use crate::http::{Service, standing};
use crate::log::Published;

/// The states, those first that need somebody.
pub(super) const BY_NEED: [AgentState; 5] = [
    AgentState::Quarantined,
    AgentState::Degraded,
    AgentState::Autohealing,
    AgentState::Running,
    AgentState::Stopped,
];

/// How many agents of a state the board shows; all of them are in the table.
const IN_A_COLUMN: usize = 12;

/// How many agents a page of the table has.
const IN_A_TABLE: usize = 100;

/// What changes an agent's place on the board.
const EVENTS: &str = "kind=manifest,order,transition";

/// What is wanted: the board, or a table of all or of one state.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default, deserialize_with = "parsed_if_present")]
    view: Option<View>,
    #[serde(default, deserialize_with = "parsed_if_present")]
    state: Option<AgentState>,
    #[serde(default, deserialize_with = "parsed_if_present")]
    after: Option<Name>,
}

/// How the agents are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Board,
    Table,
}

#[derive(Template)]
#[template(path = "board.html")]
struct Board {
    frame: Frame,
    agent_count: u64,
    columns: Vec<Column>,
}

#[derive(Template)]
#[template(path = "agents.html")]
struct Table {
    frame: Frame,
    state: Option<State>,
    count: u64,
    states: [State; 5],
    agents: Vec<Card>,
    /// The address of the next page.
    next: Option<String>,
}

/// The agents in one state.
struct Column {
    state: State,
    count: u64,
    agents: Vec<Card>,
    /// How many more there are.
    more: u64,
}

/// An agent in short.
struct Card {
    name: String,
    state: State,
    epoch: u64,
    last_beat: Option<String>,
    last_progress: Option<String>,
    lease_ends: Option<When>,
}

/// `GET /agents`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let published = service.log.published();
    let is_plain = wanted.state.is_none() && wanted.after.is_none();
    match wanted.view {
        None if is_plain => respond(&board(&published)),
        Some(View::Board) if is_plain => respond(&board(&published)),
        Some(View::Board) => Err(Problem::malformed("the board shows all states at once")),
        _ => respond(&table(&published, &wanted)),
    }
}

fn board(published: &Published) -> Board {
    let column = |state: &AgentState| {
        let count = published.state.count_in(*state);
        let agents = published.state.agents_in(*state, None).take(IN_A_COLUMN);
        let agents: Vec<Card> = agents.map(|agent| Card::of(published, agent)).collect();
        Column {
            state: State(*state),
            count,
            more: count - agents.len() as u64,
            agents,
        }
    };
    Board {
        frame: Frame::of(published, "Agents").following(EVENTS),
        agent_count: published.state.agent_count(),
        columns: BY_NEED.iter().map(column).collect(),
    }
}

fn table(published: &Published, wanted: &Wanted) -> Table {
    let after = wanted.after.as_ref();
    let mut agents = agents(published, wanted.state, after);
    let has_more = agents.len() > IN_A_TABLE;
    agents.truncate(IN_A_TABLE);
    let last = agents.last().filter(|_| has_more);
    let next = last.map(|last| match wanted.state {
        Some(state) => format!("/agents?state={state}&after={}", last.name),
        None => format!("/agents?view=table&after={}", last.name),
    });
    let all = published.state.agent_count();
    let count = wanted.state.map(|state| published.state.count_in(state));
    Table {
        frame: Frame::of(published, "Agents").following(EVENTS),
        state: wanted.state.map(State),
        count: count.unwrap_or(all),
        states: BY_NEED.map(State),
        agents,
        next,
    }
}

/// One more than a page of agents.
fn agents(published: &Published, state: Option<AgentState>, after: Option<&Name>) -> Vec<Card> {
    let card = |agent| Card::of(published, agent);
    let (all, most) = (&published.state, IN_A_TABLE + 1);
    match (state, after) {
        (Some(state), after) => all.agents_in(state, after).take(most).map(card).collect(),
        (None, Some(after)) => all.agents_after(after).take(most).map(card).collect(),
        (None, None) => all.agents().take(most).map(card).collect(),
    }
}

impl Card {
    fn of(published: &Published, agent: &govern::Agent) -> Self {
        Self {
            name: agent.name().to_string(),
            state: State(agent.state()),
            epoch: agent.epoch(),
            last_beat: last_beat(published, agent),
            last_progress: last_progress(published, agent),
            lease_ends: standing::lease_ends_ms(published, agent).map(When),
        }
    }
}

impl std::str::FromStr for View {
    type Err = NoView;

    fn from_str(text: &str) -> Result<Self, NoView> {
        match text {
            "board" => Ok(Self::Board),
            "table" => Ok(Self::Table),
            _ => Err(NoView),
        }
    }
}

/// A text that is not a view.
#[derive(Debug, thiserror::Error)]
#[error("neither board nor table")]
struct NoView;
