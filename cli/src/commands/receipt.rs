//! `receipt` and `heartbeat`: one record of an agent's, by hand or from a script.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use client::agent::{Action, ActionResult, Agent, Filed};
use client::disclosure::Secret;
use client::http::Service;
use client::submission::Logged;
use ledger::digest::{Digest, RecordHash};
use ledger::json::{Value, object};
use ledger::record::{Amounts, Check, Status, ToolUse, Verdict};
use ledger::scope::Scope;
use ledger::text::{Name, Text};

use crate::commands::acting::{self, AgentOptions};
use crate::commands::logged;
use crate::output;
use crate::session::{Session, now_ms};

/// Which receipt.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log a goal
    Goal(GoalOptions),
    /// Log an intent, and print the permit
    Intent(Box<IntentOptions>),
    /// Log the result of an action
    Result(Box<ResultOptions>),
    /// Log the outcome of a goal
    Outcome(OutcomeOptions),
    /// Send what waits in the journal after the service was away
    Flush {
        #[command(flatten)]
        agent: AgentOptions,
    },
}

/// A goal.
#[derive(Debug, Args)]
pub(crate) struct GoalOptions {
    #[command(flatten)]
    agent: AgentOptions,
    /// The goal in words, which go into the log
    #[arg(long, value_name = "TEXT")]
    title: Text,
    /// Who asked for the work
    #[arg(long, value_name = "TEXT", default_value = "")]
    requester: Text,
}

/// An intent.
#[derive(Debug, Args)]
pub(crate) struct IntentOptions {
    #[command(flatten)]
    agent: AgentOptions,
    /// The goal that the action serves
    #[arg(long, value_name = "RECORD")]
    goal: RecordHash,
    /// What the action touches, such as read:repo/README.md
    #[arg(long, value_name = "SCOPE")]
    scope: Scope,
    /// A tool that the manifest lists; defaults to the agent's own code
    #[arg(long, value_name = "NAME")]
    tool: Option<Name>,
    /// An input value: the log gets a commitment to it; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    input: Vec<Named<String>>,
    /// A record that led to this action; may be repeated
    #[arg(long, value_name = "RECORD")]
    parent: Vec<RecordHash>,
    #[command(flatten)]
    amounts: AmountOptions,
}

/// A result.
#[derive(Debug, Args)]
pub(crate) struct ResultOptions {
    #[command(flatten)]
    agent: AgentOptions,
    /// The intent
    #[arg(long, value_name = "RECORD")]
    intent: RecordHash,
    /// How it ended: ok, error, timeout or cancelled
    #[arg(long, default_value = "ok")]
    status: Status,
    /// An output value: the log gets a commitment to it; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    output: Vec<Named<String>>,
    /// How long the action took
    #[arg(long, value_name = "SPAN", default_value = "0ms")]
    duration: crate::options::Span,
    /// A reference to another system, such as trace=4bf92f; may be repeated
    #[arg(long = "ref", value_name = "NAME=TEXT")]
    reference: Vec<Named<Text>>,
    #[command(flatten)]
    amounts: AmountOptions,
}

/// An outcome.
#[derive(Debug, Args)]
pub(crate) struct OutcomeOptions {
    #[command(flatten)]
    agent: AgentOptions,
    /// The goal
    #[arg(long, value_name = "RECORD")]
    goal: RecordHash,
    /// The verdict: accepted, rejected, partial or abandoned
    #[arg(long)]
    verdict: Verdict,
    /// The evidence for the verdict: a record of the log, or a file whose digest is logged; may be repeated
    #[arg(long, value_name = "NAME=RECORD|FILE")]
    check: Vec<Named<String>>,
}

/// What it uses.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct AmountOptions {
    /// The number of model tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    tokens: u64,
    /// The cost, in millionths of the currency unit that the operators use
    #[arg(long, value_name = "N", default_value_t = 0)]
    cost_micros: u64,
}

/// A heartbeat.
#[derive(Debug, Args)]
pub(crate) struct HeartbeatOptions {
    #[command(flatten)]
    agent: AgentOptions,
    /// How many steps the agent has taken in this epoch; defaults to the last number
    #[arg(long, value_name = "N")]
    progress: Option<u64>,
    /// Say goodbye
    #[arg(long = "final", conflicts_with = "progress")]
    is_final: bool,
}

/// Something with a name in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Named<T> {
    name: Name,
    value: T,
}

impl<T: FromStr<Err: std::fmt::Display>> FromStr for Named<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("a name, = and a value")?;
        let name = name.parse().map_err(|error| format!("{error}"))?;
        let value = value.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Self { name, value })
    }
}

/// Does it.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(crate) fn run(session: &Session, command: Command) -> Result<()> {
    match command {
        Command::Goal(options) => goal(session, options),
        Command::Intent(options) => intent(session, *options),
        Command::Result(options) => result(session, *options),
        Command::Outcome(options) => outcome(session, options),
        Command::Flush { agent } => flush(session, &agent),
    }
}

/// Beats once.
///
/// # Errors
///
/// Whatever kept it from being done.
pub(crate) fn heartbeat(session: &Session, options: &HeartbeatOptions) -> Result<()> {
    let mut agent = resumed(session, &options.agent)?;
    let logged = match options.is_final {
        true => agent.goodbye(now_ms()?)?,
        false => {
            let last = agent.journal().book().tip().map_or(0, |tip| tip.progress);
            agent.beat(options.progress.unwrap_or(last), now_ms()?)?
        }
    };
    print(session, &agent, &logged)
}

/// The agent, where its journal stands: each of these commands is a step of one process.
fn resumed(session: &Session, options: &AgentOptions) -> Result<Agent<Service>> {
    let mut agent = acting::open(session, options)?;
    agent.resume(now_ms()?)?;
    Ok(agent)
}

fn goal(session: &Session, options: GoalOptions) -> Result<()> {
    let mut agent = resumed(session, &options.agent)?;
    let logged = agent.goal(options.title, options.requester, now_ms()?)?;
    print(session, &agent, &logged)
}

fn intent(session: &Session, options: IntentOptions) -> Result<()> {
    let mut agent = resumed(session, &options.agent)?;
    let tool = options.tool.map(|name| tool(&agent, name)).transpose()?;
    let action = Action {
        goal: options.goal,
        scope: options.scope,
        tool,
        inputs: secrets(options.input)?,
        parents: options.parent,
        reserve: options.amounts.into(),
        script: None,
        is_late: false,
    };
    let permit = agent.intent(action, now_ms()?)?;
    if let Some(breach) = permit.breach() {
        output::complain(&format!("warning: it breaks a rule: {breach}"));
    }
    output::object(session.json(), &permit.to_value())
}

fn tool(agent: &Agent<Service>, name: Name) -> Result<ToolUse> {
    let mut tools = agent.manifest().tools.iter();
    let listed = tools.find(|tool| tool.name == name);
    let digest = listed
        .with_context(|| format!("the manifest lists no tool {name}"))?
        .digest;
    Ok(ToolUse { name, digest })
}

fn result(session: &Session, options: ResultOptions) -> Result<()> {
    let mut agent = resumed(session, &options.agent)?;
    let references = options.reference.into_iter();
    let result = ActionResult {
        intent: options.intent,
        status: options.status,
        outputs: secrets(options.output)?,
        duration_ms: options.duration.ms,
        usage: options.amounts.into(),
        refs: references.map(|named| (named.name, named.value)).collect(),
    };
    let filed = agent.result(result, now_ms()?)?;
    print_filed(session, &agent, &filed)
}

fn outcome(session: &Session, options: OutcomeOptions) -> Result<()> {
    let mut agent = resumed(session, &options.agent)?;
    let checks = options
        .check
        .into_iter()
        .map(check)
        .collect::<Result<_>>()?;
    let filed = agent.outcome(options.goal, options.verdict, checks, now_ms()?)?;
    print_filed(session, &agent, &filed)
}

fn check(named: Named<String>) -> Result<Check> {
    let name = named.name.as_str().parse()?;
    if let Ok(record) = named.value.parse::<RecordHash>() {
        let digest = *record.digest();
        let record = Some(record);
        return Ok(Check {
            name,
            digest,
            record,
        });
    }
    let path = PathBuf::from(named.value);
    let content = std::fs::read(&path).with_context(|| format!("{path:?} could not be read"))?;
    Ok(Check {
        name,
        digest: Digest::of(&[&content]),
        record: None,
    })
}

fn flush(session: &Session, options: &AgentOptions) -> Result<()> {
    let mut agent = acting::open(session, options)?;
    let waiting = agent.journal().book().pending().len() + agent.journal().book().unsaid().len();
    if waiting > 0 {
        agent.resume(now_ms()?)?;
    }
    let book = agent.journal().book();
    let left = book.pending().len() + book.unsaid().len();
    output::object(
        session.json(),
        &object([
            ("agent", agent.name().into()),
            ("waited", (waiting as u64).into()),
            ("waiting", (left as u64).into()),
        ]),
    )
}

fn secrets(named: Vec<Named<String>>) -> Result<Vec<Secret>> {
    let secret = |named: Named<String>| Ok(Secret::new(named.name, named.value.into_bytes())?);
    named.into_iter().map(secret).collect()
}

fn print(session: &Session, agent: &Agent<Service>, logged: &Logged) -> Result<()> {
    let state = agent.standing().map(|standing| standing.state.as_str());
    logged::print(
        session,
        logged,
        [("agent", agent.name().into()), ("state", state.into())],
    )
}

fn print_filed(session: &Session, agent: &Agent<Service>, filed: &Filed) -> Result<()> {
    match filed {
        Filed::Logged(logged) => print(session, agent, logged),
        Filed::Waiting(record) => {
            output::complain("the service is away: the record waits in the journal");
            let members = [
                ("agent", agent.name().into()),
                ("record", (*record).into()),
                ("index", Value::Null),
                ("result", "waiting".into()),
            ];
            output::object(session.json(), &object(members))
        }
    }
}

impl From<AmountOptions> for Amounts {
    fn from(options: AmountOptions) -> Self {
        Self {
            tokens: options.tokens,
            cost_micros: options.cost_micros,
        }
    }
}
