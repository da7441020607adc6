//! `/agents`: a board of the agents by state, or the same as a table, a page at a time.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ledger::govern;
use ledger::record::AgentState;
use ledger::text::Name;
use serde::Deserialize;

use super::attention::Attention;
use super::frame::Frame;
use super::hold::{self, Hold};
use super::shown::{State, When, last_beat, last_progress, visible};
use super::{past, respond};
use crate::http::parameters::{Decimal, Parameters, parsed_if_present};
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

/// What changes an agent's place on the board, and what waits for somebody.
const EVENTS: &str = "kind=manifest,lease,order,transition,refusal";

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
    /// Only agents whose names hold this.
    #[serde(default)]
    find: Option<String>,
    #[serde(default, deserialize_with = "parsed_if_present")]
    sort: Option<Sort>,
    /// With how many entries the log is to be shown; as it is now if left out.
    #[serde(default, deserialize_with = "parsed_if_present")]
    as_of: Option<Decimal>,
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Who has been silent longest.
    Beat,
    /// Whose lease ends soonest.
    Lease,
}

impl Wanted {
    fn is_plain(&self) -> bool {
        self.state.is_none() && self.after.is_none() && self.find.is_none() && self.sort.is_none()
    }

    fn frame(&self, published: &Published) -> Frame {
        match self.as_of {
            Some(_) => Frame::past(published, "Agents"),
            None => Frame::of(published, "Agents").following(EVENTS),
        }
    }

    fn takes(&self, agent: &govern::Agent) -> bool {
        let find = self.find.as_deref().unwrap_or_default();
        let is_of_state = self.state.is_none_or(|state| agent.state() == state);
        is_of_state && agent.name().as_str().contains(find)
    }
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
    attention: Attention,
    agent_count: u64,
    columns: Vec<Column>,
}

#[derive(Template)]
#[template(path = "agents.html")]
struct Table {
    frame: Frame,
    state: Option<State>,
    count: u64,
    find: String,
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
    /// Whether somebody has to look at agents in this state.
    needs_somebody: bool,
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
    hold: Option<Hold>,
}

/// `GET /agents`
pub(super) async fn page(
    Shared(service): Shared<Service>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let published = past::or_now(&service, wanted.as_of).await?;
    let is_past = wanted.as_of.is_some();
    let now_ms = match is_past {
        true => published.time_ms,
        false => service.log.now_ms(),
    };
    match wanted.view {
        None | Some(View::Board) if wanted.is_plain() => {
            let attention = match is_past {
                true => Attention::default(),
                false => Attention::of(&service).await?,
            };
            respond(&board(&published, attention, &wanted, now_ms))
        }
        Some(View::Board) => Err(Problem::malformed("the board shows all states at once")),
        _ => respond(&table(&published, &wanted, now_ms)),
    }
}

fn board(published: &Published, attention: Attention, wanted: &Wanted, now_ms: u64) -> Board {
    let column = |state: &AgentState| {
        let count = published.state.count_in(*state);
        let agents = published.state.agents_in(*state, None).take(IN_A_COLUMN);
        let agents: Vec<Card> = agents
            .map(|agent| Card::of(published, agent, now_ms))
            .collect();
        Column {
            state: State(*state),
            count,
            needs_somebody: matches!(state, AgentState::Quarantined | AgentState::Degraded),
            more: count - agents.len() as u64,
            agents,
        }
    };
    Board {
        frame: wanted.frame(published),
        attention,
        agent_count: published.state.agent_count(),
        columns: BY_NEED.iter().map(column).collect(),
    }
}

fn table(published: &Published, wanted: &Wanted, now_ms: u64) -> Table {
    let mut agents = agents(published, wanted, now_ms);
    let has_more = agents.len() > IN_A_TABLE;
    agents.truncate(IN_A_TABLE);
    let last = agents.last().filter(|_| has_more);
    let as_of = wanted.as_of.map(|Decimal(size)| format!("&as_of={size}"));
    let as_of = as_of.unwrap_or_default();
    let next = last.map(|last| match wanted.state {
        Some(state) => format!("/agents?state={state}&after={}{as_of}", last.name),
        None => format!("/agents?view=table&after={}{as_of}", last.name),
    });
    let all = published.state.agent_count();
    let count = wanted.state.map(|state| published.state.count_in(state));
    Table {
        frame: wanted.frame(published),
        state: wanted.state.map(State),
        count: count.unwrap_or(all),
        find: visible(wanted.find.as_deref().unwrap_or_default()),
        states: BY_NEED.map(State),
        agents,
        next,
    }
}

/// One more than a page of agents. Those that are sought or sorted come from all of them, and on one page.
fn agents(published: &Published, wanted: &Wanted, now_ms: u64) -> Vec<Card> {
    let card = |agent| Card::of(published, agent, now_ms);
    let (all, most) = (&published.state, IN_A_TABLE + 1);
    if wanted.find.is_some() || wanted.sort.is_some() {
        let mut found: Vec<&govern::Agent> = all.agents().filter(|it| wanted.takes(it)).collect();
        match wanted.sort {
            Some(Sort::Beat) => found.sort_by_key(|agent| agent.last_beat_ms()),
            Some(Sort::Lease) => found
                .sort_by_key(|agent| standing::lease_ends_ms(published, agent).unwrap_or(u64::MAX)),
            None => {}
        }
        return found.into_iter().take(IN_A_TABLE).map(card).collect();
    }
    match (wanted.state, wanted.after.as_ref()) {
        (Some(state), after) => all.agents_in(state, after).take(most).map(card).collect(),
        (None, Some(after)) => all.agents_after(after).take(most).map(card).collect(),
        (None, None) => all.agents().take(most).map(card).collect(),
    }
}

impl Card {
    fn of(published: &Published, agent: &govern::Agent, now_ms: u64) -> Self {
        Self {
            name: agent.name().to_string(),
            state: State(agent.state()),
            epoch: agent.epoch(),
            last_beat: last_beat(agent, now_ms),
            last_progress: last_progress(published, agent, now_ms),
            lease_ends: standing::lease_ends_ms(published, agent).map(When),
            hold: hold::of(published, agent, now_ms),
        }
    }
}

impl std::str::FromStr for Sort {
    type Err = NoSort;

    fn from_str(text: &str) -> Result<Self, NoSort> {
        match text {
            "beat" => Ok(Self::Beat),
            "lease" => Ok(Self::Lease),
            _ => Err(NoSort),
        }
    }
}

/// A text that is no order.
#[derive(Debug, thiserror::Error)]
#[error("neither beat nor lease")]
struct NoSort;

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
