//! `agent`: see agents, and give orders about them.

use anyhow::Result;
use clap::{Args, Subcommand};
use client::shown;
use ledger::json::Value;
use ledger::record::AgentState;
use ledger::text::{Name, Text};

use crate::commands::logged::{self, Cosigners};
use crate::output;
use crate::session::Session;
use crate::trusted;

/// What about agents.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the agents and their states
    List,
    /// Show the state of an agent
    Show {
        /// The agent
        agent: Name,
    },
    /// Quarantine an agent: it may do nothing until an operator releases it
    Quarantine(OrderOptions),
    /// Release an agent from quarantine: a new process heals under the agent's lease
    Release(OrderOptions),
    /// Stop an agent, and end its lease
    Stop(OrderOptions),
}

/// Whom, and why.
#[derive(Debug, Args)]
pub(crate) struct OrderOptions {
    /// The agent
    agent: Name,
    /// The reason, which goes into the log
    #[arg(long, value_name = "TEXT")]
    reason: Text,
    #[command(flatten)]
    cosigners: Cosigners,
}

/// Does it.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(crate) fn run(session: &Session, command: Command) -> Result<()> {
    match command {
        Command::List => list(session),
        Command::Show { agent } => show(session, &agent),
        Command::Quarantine(options) => order(session, AgentState::Quarantined, options),
        Command::Release(options) => order(session, AgentState::Autohealing, options),
        Command::Stop(options) => order(session, AgentState::Stopped, options),
    }
}

fn list(session: &Session) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    trusted::is_served(&service, &log)?;
    let mut rows =
        vec![["AGENT", "STATE", "EPOCH", "PULSE AGE", "PROGRESS AGE"].map(str::to_owned)];
    let mut after: Option<Name> = None;
    loop {
        let (page, value) = service.agents(after.as_ref())?;
        let Some(last) = page.agents.last() else {
            break;
        };
        after = Some(last.agent.clone());
        rows.extend(page.agents.iter().map(row));
        if session.json() {
            print_each(value)?;
        }
    }
    if session.json() {
        Ok(())
    } else {
        output::table(&rows)
    }
}

fn print_each(page: Value) -> Result<()> {
    let Value::Object(members) = page else {
        return Ok(());
    };
    for (_, value) in members.into_iter().filter(|(name, _)| name == "agents") {
        let Value::Array(agents) = value else {
            continue;
        };
        agents.iter().try_for_each(output::json)?;
    }
    Ok(())
}

fn row(agent: &wire::Agent) -> [String; 5] {
    // Before its first epoch an agent has not begun to be late.
    let age = |ms| {
        if agent.epoch == 0 {
            "-".to_owned()
        } else {
            seconds(ms)
        }
    };
    let (pulse, progress) = (age(agent.pulse_age_ms), age(agent.progress_age_ms));
    [
        agent.agent.to_string(),
        agent.state.clone(),
        agent.epoch.to_string(),
        pulse,
        progress,
    ]
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn show(session: &Session, agent: &Name) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let (claims, value) = service.agent(agent)?;
    shown::all_of(&service, &log, agent, &claims)?;
    output::object(session.json(), &value)
}

fn order(session: &Session, to: AgentState, options: OrderOptions) -> Result<()> {
    let service = session.service()?;
    let OrderOptions {
        agent,
        reason,
        cosigners,
    } = options;
    let ordered = agent.clone();
    let logged = logged::as_operator(session, &service, &cosigners, |operator| {
        operator.order(agent, to, reason)
    })?;
    let members = [("agent", (&ordered).into()), ("to", to.as_str().into())];
    logged::print(session, &logged, members)
}
