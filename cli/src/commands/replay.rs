//! `replay`: from the goal to its actions to its outcome, and who authorised each step.

use std::path::{Path, PathBuf};

use ::evidence::{Crew, Verifying as _};
use anyhow::{Context as _, Result};
use clap::Args;
use client::export::Additions;
use client::http::Wanted;
use ledger::digest::RecordHash;
use ledger::text::Name;
use ledger::verify::{Report, Verifier};

use crate::evidence;
use crate::exit::{self, Exit};
use crate::options::Threads;
use crate::output;
use crate::pack_items::{self, PackListener};
use crate::printer::Printer;
use crate::session::Session;
use crate::story::{Hearing, Story, Wish, text};

/// Of what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The pack, gzipped or not; - is stdin. Without it, the command reads the service's log
    file: Option<PathBuf>,
    /// Show only this agent
    #[arg(long, value_name = "AGENT", conflicts_with = "goal")]
    agent: Option<Name>,
    /// Show only this goal
    #[arg(long, value_name = "RECORD")]
    goal: Option<RecordHash>,
    #[command(flatten)]
    threads: Threads,
}

/// Tells the story.
///
/// # Errors
///
/// If the evidence cannot be fetched. What is wrong with it is reported.
pub(crate) fn run(session: &Session, options: &Options) -> Result<Exit> {
    let wish = Wish {
        agent: options.agent.clone(),
        goal: options.goal,
        ..Wish::default()
    };
    let mut hearing = Hearing::of(wish);
    let report = match &options.file {
        Some(file) => from_file(session, file, options.threads, &mut hearing)?,
        None => from_service(session, options, &mut hearing)?,
    };
    let exit = match (&report, &options.file) {
        (Some(report), _) => exit::of_report(report),
        (None, Some(_)) => Exit::Incomplete,
        (None, None) => Exit::Good,
    };
    let story = hearing.told(report);
    if story.header.is_none() {
        output::complain(
            "there is no pack in it to tell of: `dragons verify` judges other evidence",
        );
    }
    print(session, &story)?;
    Ok(exit)
}

fn print(session: &Session, story: &Story) -> Result<()> {
    if session.json() {
        return output::verbatim(&format!("{}\n", story.to_json()?));
    }
    let mut printer = Printer::for_stdout();
    text::write(story, &mut printer);
    output::verbatim(&printer.finish())
}

/// What a file shows to somebody who trusts a log; and what it claims, to anybody else.
fn from_file(
    session: &Session,
    file: &Path,
    threads: Threads,
    hearing: &mut Hearing,
) -> Result<Option<Report>> {
    let mut listener = PackListener::default();
    let mut hear = |bytes: &[u8]| listener.hear(bytes, &mut |told| hearing.hear(told));
    let unreadable = || format!("{file:?} could not be read");
    let Some(trust) = session.trust()? else {
        output::complain(
            "WARNING: no --trust: this is what the file CLAIMS. Nothing in it was verified, and whoever made the file may have made it up",
        );
        evidence::claims(file, &mut hear).with_context(unreadable)?;
        listener
            .finish()
            .map_err(|refusal| anyhow::anyhow!("{file:?} is not a whole pack: {refusal}"))?;
        return Ok(None);
    };
    let verifier = threads.crew(Verifier::new(trust));
    let report = evidence::verify_aloud(file, verifier, &mut hear).with_context(unreadable)?;
    Ok(Some(report))
}

/// What the service has, shown to be in its log; verified like a file where somebody trusts that log.
fn from_service(
    session: &Session,
    options: &Options,
    hearing: &mut Hearing,
) -> Result<Option<Report>> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let wanted = match (&options.agent, options.goal) {
        (Some(agent), _) => Wanted::Agent(agent.clone()),
        (None, Some(goal)) => Wanted::Goal(goal),
        (None, None) => Wanted::Range { from: 0, to: None },
    };
    let verifier = session.trust()?.map(Verifier::new);
    let mut verifier = verifier.map(|verifier| options.threads.crew(verifier));
    let mut listener = PackListener::default();
    let mut hear = pack_items::Hearing(|bytes: &[u8]| {
        listener.hear(bytes, &mut |told| hearing.hear(told));
        verifier
            .iter_mut()
            .for_each(|verifier| verifier.push(bytes));
    });
    pack_items::fetch_bytes(&service, &log, &wanted, Additions::default(), &mut hear)?;
    Ok(verifier.map(Crew::finish))
}
