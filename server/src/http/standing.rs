//! Where an agent stands, and what is asked of it.
//!
//! What is asked binds nobody: the rules do. It spares a process from finding out by a refusal.

use ledger::govern::Agent;
use ledger::record::{AgentState, Chain, Mode};
use wire::{Ask, Standing};

use crate::log::Published;

/// Where the agent stands whose process has made a record of this chain.
pub(super) fn of(chain: &Chain, published: &Published) -> Option<Standing> {
    let agent = published.state.agent(&chain.agent)?;
    Some(Standing {
        state: agent.state(),
        epoch: agent.epoch(),
        next_seq: agent.next_seq(),
        lease_ends_ms: lease_ends_ms(published, agent),
        ask: ask_of_process(chain, agent, published),
    })
}

/// When the agent's lease ends, if it is in force.
pub(super) fn lease_ends_ms(published: &Published, agent: &Agent) -> Option<u64> {
    let (lease, state) = (agent.lease()?, &published.state);
    let in_force = state.in_force(lease, published.time_ms).is_ok();
    in_force.then(|| state.lease_ends_ms(lease)).flatten()
}

/// What is asked of whoever runs the agent, not knowing which of its processes asks.
pub(super) fn ask(agent: &Agent, published: &Published) -> Ask {
    let nobody_speaks = agent.instance().is_none();
    let awaited = nobody_speaks && opened_by_lease(agent);
    if observes(published) {
        return Ask::GoOn;
    }
    match agent.state() {
        AgentState::Quarantined => Ask::Stop,
        AgentState::Stopped if !awaited => Ask::Stop,
        _ if lease_ends_ms(published, agent).is_none() => Ask::Stop,
        _ if nobody_speaks && !awaited => Ask::Restart,
        _ => Ask::GoOn,
    }
}

/// Whether the chain's process is the one that may speak in the epoch in force.
pub(super) fn is_current(chain: &Chain, agent: &Agent) -> bool {
    chain.epoch == agent.epoch() && !is_anothers(chain, agent)
}

fn ask_of_process(chain: &Chain, agent: &Agent, published: &Published) -> Ask {
    let stays_down = matches!(agent.state(), AgentState::Stopped | AgentState::Quarantined);
    let has_authority = !stays_down && lease_ends_ms(published, agent).is_some();
    if is_anothers(chain, agent) || !has_authority && !observes(published) {
        return Ask::Stop;
    }
    // A lease opens an epoch for whoever runs already; a transition opens one against it.
    if chain.epoch == agent.epoch() || opened_by_lease(agent) {
        return Ask::GoOn;
    }
    Ask::Restart
}

/// Whether another process speaks in the epoch in force.
fn is_anothers(chain: &Chain, agent: &Agent) -> bool {
    agent
        .instance()
        .is_some_and(|instance| instance != chain.instance)
}

fn opened_by_lease(agent: &Agent) -> bool {
    agent.opening() == agent.lease()
}

/// Whether the log only watches: then states and leases restrict nothing.
fn observes(published: &Published) -> bool {
    let charter = published.state.charter();
    charter.is_some_and(|charter| charter.mode == Mode::Observe)
}
