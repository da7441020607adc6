//! What holds an agent up, for whoever is called at night: the reason, and the command that looks further or helps.

use ledger::govern::Agent;
use ledger::record::{AgentState, Mode};
use timeline::words;

use crate::http::standing;
use crate::log::Published;

/// What holds an agent up.
pub(super) struct Hold {
    pub(super) why: String,
    /// What to type; the operator fills in what is theirs to say.
    pub(super) command: String,
    /// Whether it may not begin anything, whatever its lease allows.
    pub(super) is_barred: bool,
}

/// What holds an agent up; `None` for one that runs, or that has stopped as it should.
pub(super) fn of(published: &Published, agent: &Agent, now_ms: u64) -> Option<Hold> {
    let name = agent.name();
    let look = format!("dragons agent show {name}");
    let is_enforced = published
        .state
        .charter()
        .is_some_and(|charter| charter.mode == Mode::Enforce);
    match agent.state() {
        AgentState::Quarantined if is_enforced => Some(Hold {
            why: "It may begin nothing until an operator releases it.".to_owned(),
            command: format!("dragons agent release {name} --reason WHY --key operator.pem"),
            is_barred: true,
        }),
        AgentState::Quarantined => Some(Hold {
            why: "It is quarantined. This log only observes, so nothing is refused.".to_owned(),
            command: format!("dragons agent release {name} --reason WHY --key operator.pem"),
            is_barred: false,
        }),
        AgentState::Autohealing => Some(Hold {
            why: "Its old process is fenced. A new one must send heartbeats and make progress."
                .to_owned(),
            command: look,
            is_barred: false,
        }),
        AgentState::Degraded => Some(degraded(published, agent, now_ms, look)),
        AgentState::Running | AgentState::Stopped => None,
    }
}

fn degraded(published: &Published, agent: &Agent, now_ms: u64, look: String) -> Hold {
    let after_ms = published
        .state
        .charter()
        .map_or(u64::MAX, |charter| charter.liveness.degraded_after_ms);
    let pulse_ms = published.state.pulse_age_ms(agent, now_ms);
    let progress_ms = published.state.progress_age_ms(agent, now_ms);
    let (why, command) = if standing::lease_ends_ms(published, agent).is_none() {
        let grant = format!(
            "dragons lease grant {} --allow SCOPE --key operator.pem",
            agent.name()
        );
        ("It has no lease in force.".to_owned(), grant)
    } else if pulse_ms >= after_ms {
        (format!("No heartbeat for {}.", words::span(pulse_ms)), look)
    } else if progress_ms >= after_ms {
        (
            format!("No progress for {}.", words::span(progress_ms)),
            look,
        )
    } else {
        (
            "It sends heartbeats again, but has not recovered yet.".to_owned(),
            look,
        )
    };
    Hold {
        why,
        command,
        is_barred: false,
    }
}
