//! `lease list`: who may act, and who could.

use anyhow::Result;
use clap::Args;
use client::http::{Service, Wanted};
use client::identity::LogIdentity;
use client::shown;
use ledger::json::{Value, object};
use ledger::scope::Pattern;
use ledger::text::Name;
use timeline::leases::{LeaseSpan, Leases, Why};
use timeline::words::utc;

use super::unsettled;
use crate::output;
use crate::pack_items;
use crate::session::{Session, now_ms};
use crate::trusted;

/// Of whom.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// List every lease of this agent, read from the log's entries; without it, the service lists the newest lease of each agent
    #[arg(long, value_name = "NAME")]
    agent: Option<Name>,
}

/// Lists leases.
///
/// # Errors
///
/// If the service cannot be asked, or does not show what it says.
pub(super) fn list(session: &Session, options: &ListOptions) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    match &options.agent {
        Some(agent) => of_agent(session, &service, &log, agent)?,
        None => of_all(session, &service, &log)?,
    }
    unsettled::list(session, &service, &log, options.agent.as_ref())
}

fn of_all(session: &Session, service: &Service, log: &LogIdentity) -> Result<()> {
    trusted::is_served(service, log)?;
    let mut rows = vec![["AGENT", "LEASE", "STATUS", "UNTIL"].map(str::to_owned)];
    let mut after: Option<Name> = None;
    loop {
        let page = service.agents(after.as_ref())?.0.agents;
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.agent.clone());
        for agent in &page {
            let Some(lease) = agent.lease else {
                continue;
            };
            shown::lease(service, log, &agent.agent, lease)?;
            let (status, ends_ms) = match agent.lease_ends_ms {
                Some(ends_ms) => ("in force", Some(ends_ms)),
                None => ("ended", None),
            };
            if session.json() {
                output::json(&object([
                    ("agent", agent.agent.as_str().into()),
                    ("lease", lease.into()),
                    ("status", status.into()),
                    ("ends_ms", ends_ms.into()),
                ]))?;
            }
            let until = ends_ms.map_or_else(|| "-".to_owned(), utc);
            rows.push([
                agent.agent.to_string(),
                lease.to_string(),
                status.to_owned(),
                until,
            ]);
        }
    }
    match session.json() {
        true => Ok(()),
        false => output::table(&rows),
    }
}

/// All that an agent ever had. What the rules alone know of the newest, such as the end of one above it, the service says.
fn of_agent(session: &Session, service: &Service, log: &LogIdentity, agent: &Name) -> Result<()> {
    let known = service.agent(agent)?.0.agent;
    let mut leases = Leases::default();
    let wanted = Wanted::Agent(agent.clone());
    pack_items::fetch(service, log, &wanted, &mut |entry| leases.hear(&entry))?;
    let now_ms = now_ms()?;
    let mut rows =
        vec![["LEASE", "FROM", "UNTIL", "STATUS", "ALLOW", "PURPOSE"].map(str::to_owned)];
    for span in leases.spans().iter().filter(|span| span.agent == *agent) {
        let is_newest = known.lease == Some(span.lease);
        let mut status = status(span, now_ms);
        if is_newest && status == "in force" && known.lease_ends_ms.is_none() {
            status = "ended above";
        }
        if session.json() {
            output::json(&to_value(span, status)?)?;
        }
        rows.push(row(span, status));
    }
    match session.json() {
        true => Ok(()),
        false => output::table(&rows),
    }
}

fn status(span: &LeaseSpan, now_ms: u64) -> &'static str {
    match &span.ended {
        Some(end) => match end.why {
            Why::Revoked => "revoked",
            Why::Superseded => "superseded",
            Why::Stopped => "stopped",
        },
        None if now_ms < span.from_ms => "not yet valid",
        None if now_ms < span.to_ms => "in force",
        None => "expired",
    }
}

fn row(span: &LeaseSpan, status: &str) -> [String; 6] {
    [
        span.lease.to_string(),
        utc(span.from_ms),
        utc(span.to_ms),
        status.to_owned(),
        scopes(&span.allow, &span.deny),
        span.purpose.to_string(),
    ]
}

/// What is allowed, and what is denied all the same.
pub(super) fn scopes(allow: &[Pattern], deny: &[Pattern]) -> String {
    let list = |patterns: &[Pattern]| {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        patterns.join(" ")
    };
    match deny {
        [] => list(allow),
        deny => format!("{} but {}", list(allow), list(deny)),
    }
}

fn to_value(span: &LeaseSpan, status: &str) -> Result<Value> {
    let told = Value::parse(serde_json::to_string(span)?.as_bytes())?;
    Ok(output::joined(told, object([("status", status.into())])))
}
