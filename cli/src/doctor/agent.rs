//! The agent: whether the log knows it, whether it may act, and whether the directory is the registered version.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use client::submission;
use client::transport::ServiceError;
use ledger::digest::{Digest, RecordHash};
use ledger::json::Value;
use ledger::key::PublicKey;
use ledger::record::{AgentState, Body, Charter, Manifest, Mode, Registration, Role};
use ledger::text::Name;
use timeline::words::span;
use wire::Agent;

use super::report::{Check, Known, Missing, Report, Step, causes};
use super::trust::Log;
use super::{Given, Installation, Source};
use crate::commands::manifest;

const AGENT: &str = "agent";
const KEY: &str = "agent-key";
const STATE: &str = "agent-state";
const LEASE: &str = "lease";
const VERSION: &str = "version";

/// An agent that the log knows.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Where it stands, by the service's word.
    pub(super) claims: Agent,
    /// Its active registration, shown to be in the log.
    pub(super) registration: Registration,
}

impl Found {
    pub(super) const fn name(&self) -> &Name {
        &self.registration.agent
    }
}

/// Asks for the agent.
pub(super) fn find(log: &Known<Log<'_>>, installation: &Installation) -> Step<Found> {
    let Given {
        value: name,
        source,
    } = installation
        .agent
        .as_ref()
        .ok_or_else(|| unnamed(installation))?;
    let log = log.as_ref();
    let log = log.map_err(|missing| Check::not_checked(AGENT, missing))?;
    let found = ask(log, name).map_err(|error| judge_error(name, &error))?;
    let version = &found.registration.manifest.version;
    let detail = format!("{name} ({source}), version {version}");
    Ok((Check::ok(AGENT, detail), found))
}

/// Nobody names an agent; a directory that is there should have done it.
fn unnamed(installation: &Installation) -> Check {
    let directory = installation.directory.as_ref();
    let error = directory.and_then(|it| client::manifest::agent(&it.value).err());
    let missing = || {
        Missing::new(
            "no agent named",
            "Name one with --agent or DRAGONS_AGENT, or the directory of its agent.toml with --dir.",
        )
    };
    error.map_or_else(
        || Check::not_checked(AGENT, &missing()),
        |error| judge_directory(AGENT, causes(&error)),
    )
}

fn judge_directory(name: &'static str, detail: String) -> Check {
    Check::problem(
        name,
        detail,
        "The directory has no version, so no agent can run from it.",
        "Fix what is named, or name another directory with --dir; `dragons manifest build DIR` tries again.",
    )
}

fn ask(log: &Log<'_>, name: &Name) -> Result<Found> {
    let service = &log.reached.service;
    let claims = service.agent(name)?.0.agent;
    let record = claims.registration;
    let entry = submission::find(service, &log.identity, record)?;
    let registration = match &entry.record().record().body {
        Body::Manifest(registration) => (**registration).clone(),
        _ => None.with_context(|| format!("{record} is not a registration"))?,
    };
    let got = &registration.agent;
    ensure!(got == name, "{record} is the registration of {got}");
    Ok(Found {
        claims,
        registration,
    })
}

fn judge_error(name: &Name, error: &anyhow::Error) -> Check {
    let is_unknown = |error: &ServiceError| error.is_not_found();
    match error.downcast_ref().is_some_and(is_unknown) {
        true => Check::problem(
            AGENT,
            format!("the log does not know {name}"),
            "Whatever is signed in its name is refused as `agent-unknown`.",
            "Register it: dragons manifest register DIR --agent-key FILE --key OPERATOR, or correct its name.",
        ),
        false => Check::problem(
            AGENT,
            format!("{error:#}"),
            "The service does not prove what the log has about the agent.",
            "Ask again; if nothing changes, ask whoever runs the log to check its store with `dragonsd fsck`.",
        ),
    }
}

/// Looks at the agent.
pub(super) fn examine(
    report: &mut Report,
    found: Step<Found>,
    log: &Known<Log<'_>>,
    key: &Known<PublicKey>,
    installation: &Installation,
) -> Known<Found> {
    let further = [KEY, STATE, LEASE, VERSION];
    let found = report.step(found);
    let both = found.as_ref().and_then(|found| Ok((found, log.as_ref()?)));
    let (agent, log) = match both {
        Ok(both) => both,
        Err(missing) => {
            report.not_checked(&further, missing);
            return found;
        }
    };
    let (charter, claims) = (&log.charter, &agent.claims);
    report.add(match key {
        Ok(key) => judge_key(key, agent, charter),
        Err(missing) => Check::not_checked(KEY, missing),
    });
    report.add(judge_state(&claims.state, agent.name(), charter.mode));
    let leased = leased_version(log, claims.lease);
    let lease = Lease {
        record: claims.lease,
        left_ms: claims
            .lease_ends_ms
            .map(|ends_ms| ends_ms.saturating_sub(log.reached.now_ms())),
        longest_action_ms: agent.registration.manifest.max_inflight_ms,
    };
    report.add(judge_lease(&lease, agent.name(), charter.mode));
    report.add(version(installation.directory.as_ref(), agent, leased));
    found
}

fn judge_key(key: &PublicKey, agent: &Found, charter: &Charter) -> Check {
    let (name, id) = (agent.name(), key.id());
    if agent.registration.key == *key {
        return Check::ok(KEY, format!("{id} is the key of {name}"));
    }
    if charter.grants(Role::Operator, &id) || charter.grants(Role::Root, &id) {
        let why = format!("{id} is an operator's key, which does not speak for {name}");
        return Check::not_checked(KEY, &Missing::new(why, "Name the agent's own with --key."));
    }
    Check::problem(
        KEY,
        format!(
            "{id} is not the key of {name}, which is {}",
            agent.registration.key.id()
        ),
        "Whatever is signed with it in the agent's name is refused as `key-not-agents`.",
        "Name the agent's own key; if that is lost, register the agent with a new one, signed by the roots.",
    )
}

fn judge_state(state: &str, name: &Name, mode: Mode) -> Check {
    let Ok(state) = state.parse::<AgentState>() else {
        let why = format!("{state:?} is not a state that this command knows");
        return Check::not_checked(
            STATE,
            &Missing::new(why, "Use a newer version of the command."),
        );
    };
    let detail = state.as_str();
    match state {
        AgentState::Running => Check::ok(STATE, detail),
        AgentState::Stopped => Check::ok(STATE, "stopped: no process speaks for it now"),
        AgentState::Degraded => Check::warning(
            STATE,
            detail,
            "It was silent, made no progress, or has no lease: it may set no goals, and only read.",
            "Check that its process is alive and can reach the service; it recovers by itself.",
        ),
        AgentState::Autohealing => Check::warning(
            STATE,
            detail,
            "Its process was fenced, and a new one must show that it is alive before it may act.",
            "Leave it to `dragons run`; without one, start the agent again.",
        ),
        AgentState::Quarantined if mode == Mode::Observe => Check::warning(
            STATE,
            "quarantined, which restricts nothing while the log only observes",
            "Enforced, it could do nothing until an operator releases it.",
            format!("Look at why: dragons replay --agent {name}"),
        ),
        AgentState::Quarantined => Check::problem(
            STATE,
            detail,
            "It may only report the results of what it had begun, until an operator releases it.",
            format!(
                "Look at why (dragons replay --agent {name}); then: dragons agent release {name} --reason TEXT --key OPERATOR"
            ),
        ),
    }
}

/// A lease, as far as it is known.
#[derive(Clone, Copy, Debug)]
struct Lease {
    /// Its record, if the agent ever had one.
    record: Option<RecordHash>,
    /// How long it is in force, if it is.
    left_ms: Option<u64>,
    /// How long the agent's longest action may take.
    longest_action_ms: u64,
}

fn judge_lease(lease: &Lease, name: &Name, mode: Mode) -> Check {
    let advice = format!(
        "As the agent, `dragons lease ask --allow SCOPE`; as an operator, `dragons lease grant {name} --allow SCOPE --key OPERATOR`."
    );
    let (detail, left_ms) = match (lease.record, lease.left_ms) {
        (None, _) => ("it never had one".to_owned(), None),
        (Some(record), None) => (format!("{record} is not in force"), None),
        (Some(record), Some(left_ms)) => (
            format!("{record}, for {} more", span(left_ms)),
            Some(left_ms),
        ),
    };
    let longest_ms = lease.longest_action_ms;
    match left_ms {
        Some(left_ms) if left_ms > longest_ms => Check::ok(LEASE, detail),
        Some(_) => Check::warning(
            LEASE,
            detail,
            format!(
                "An action that may take {} could outlive it, and end without authority.",
                span(longest_ms)
            ),
            format!(
                "Renew it: dragons lease renew {} --for SPAN --key OPERATOR",
                lease
                    .record
                    .map_or_else(String::new, |record| record.to_string())
            ),
        ),
        None if mode == Mode::Observe => Check::warning(
            LEASE,
            detail,
            "The log only observes: what the agent does is logged, each time with a breach.",
            advice,
        ),
        None => Check::problem(
            LEASE,
            detail,
            "Without a lease the agent gets no permission for anything.",
            advice,
        ),
    }
}

/// The version that the agent's lease is for, if it has one that is shown.
fn leased_version(log: &Log<'_>, lease: Option<RecordHash>) -> Option<Digest> {
    let entry = submission::find(&log.reached.service, &log.identity, lease?).ok()?;
    match &entry.record().record().body {
        Body::Lease(lease) => Some(lease.manifest_hash),
        _ => None,
    }
}

fn version(directory: Option<&Given<PathBuf>>, agent: &Found, leased: Option<Digest>) -> Check {
    let missing = |why: &str| {
        let advice = "Name the directory that holds its agent.toml with --dir.";
        Check::not_checked(VERSION, &Missing::new(why, advice))
    };
    let Some(Given {
        value: directory,
        source,
    }) = directory
    else {
        return missing("no directory of the agent given");
    };
    match manifest::read(directory) {
        Ok(version) if *source == Source::Default && version.manifest.agent != *agent.name() => {
            missing("the agent.toml here is another agent's")
        }
        Ok(version) => judge_version(&version.manifest, agent, leased),
        Err(error) => judge_directory(VERSION, format!("{error:#}")),
    }
}

fn judge_version(here: &Manifest, agent: &Found, leased: Option<Digest>) -> Check {
    let (name, active) = (agent.name(), &agent.registration.manifest);
    if here.agent != *name {
        return Check::problem(
            VERSION,
            format!("the directory holds the agent {}, not {name}", here.agent),
            "It would run as another agent, or not at all.",
            "Name the directory of the agent with --dir, or the right agent with --agent.",
        );
    }
    let hash = here.hash();
    if hash != agent.claims.manifest_hash {
        let parts = differing(here, active).join(", ");
        return Check::problem(
            VERSION,
            format!("{hash} here is not the active version; they differ in {parts}"),
            "Something was changed since it was registered: no run starts, and a run that beats with it is quarantined.",
            "Restore what was registered; or register this (dragons manifest register DIR --agent-key FILE --key OPERATOR) and grant a lease for it.",
        );
    }
    match leased.filter(|leased| *leased != hash) {
        None => Check::ok(VERSION, format!("{hash}, as it is registered")),
        Some(leased) => Check::problem(
            VERSION,
            format!("{hash} is the active version, and the lease is for {leased}"),
            "A lease is for one version: no run of the active version starts under this one.",
            format!(
                "Grant one for the active version: dragons lease grant {name} --allow SCOPE --key OPERATOR"
            ),
        ),
    }
}

/// The members in which two manifests differ.
fn differing(one: &Manifest, other: &Manifest) -> Vec<String> {
    let (Value::Object(one), Value::Object(other)) = (one.to_value(), other.to_value()) else {
        return Vec::new();
    };
    let pairs = one.into_iter().zip(other);
    let differ = pairs.filter(|(one, other)| one != other);
    differ.map(|((name, _), _)| name).collect()
}

#[cfg(test)]
mod tests {
    use ledger::key::PrivateKey;
    use wire::Ask;

    use super::*;

    fn name() -> Name {
        "greeter".parse().unwrap()
    }

    fn agent(manifest: Manifest) -> Found {
        let manifest_hash = manifest.hash();
        let claims = Agent {
            agent: name(),
            state: "running".to_owned(),
            epoch: 1,
            next_seq: 0,
            head: None,
            last: None,
            after: None,
            lease: None,
            lease_ends_ms: None,
            ask: Ask::GoOn,
            manifest_hash,
            registration: RecordHash::new(Digest::of(&[])),
            pulse_age_ms: 0,
            progress_age_ms: 0,
        };
        let registration = Registration {
            agent: name(),
            key: PrivateKey::from_seed(&[7; 32]).public(),
            manifest,
            manifest_hash,
            replaces: None,
            reason: "a test".parse().unwrap(),
        };
        Found {
            claims,
            registration,
        }
    }

    #[test]
    fn a_state_is_judged_by_what_it_forbids() {
        for (state, mode, result) in [
            ("running", Mode::Enforce, "ok"),
            ("stopped", Mode::Enforce, "ok"),
            ("degraded", Mode::Enforce, "warning"),
            ("autohealing", Mode::Enforce, "warning"),
            ("quarantined", Mode::Enforce, "problem"),
            ("quarantined", Mode::Observe, "warning"),
            ("dancing", Mode::Enforce, "not checked"),
        ] {
            assert_eq!(
                judge_state(state, &name(), mode).result(),
                result,
                "{state}"
            );
        }
    }

    #[test]
    fn a_lease_has_to_outlast_an_action() {
        let record = Some(RecordHash::new(Digest::of(&[])));
        for (record, left_ms, mode, result) in [
            (None, None, Mode::Enforce, "problem"),
            (record, None, Mode::Enforce, "problem"),
            (record, None, Mode::Observe, "warning"),
            (record, Some(60_000), Mode::Enforce, "warning"),
            (record, Some(60_001), Mode::Enforce, "ok"),
        ] {
            let lease = Lease {
                record,
                left_ms,
                longest_action_ms: 60_000,
            };
            assert_eq!(
                judge_lease(&lease, &name(), mode).result(),
                result,
                "{lease:?}"
            );
        }
    }

    #[test]
    fn a_version_is_the_registered_and_the_leased_one() {
        let manifest = client::memory::manifest("greeter", &["run:*"], 60_000);
        let found = agent(manifest.clone());
        let judge = |here: &Manifest, leased| judge_version(here, &found, leased);
        assert_eq!(judge(&manifest, None).result(), "ok");
        assert_eq!(judge(&manifest, Some(manifest.hash())).result(), "ok");
        assert_eq!(judge(&manifest, Some(Digest::of(&[]))).result(), "problem");
        let drifted = Manifest {
            max_inflight_ms: 1,
            ..manifest.clone()
        };
        let check = judge(&drifted, None);
        assert_eq!(check.result(), "problem");
        assert!(
            check.detail.ends_with("differ in max_inflight_ms"),
            "{}",
            check.detail
        );
        let other = client::memory::manifest("other", &["run:*"], 60_000);
        assert_eq!(judge(&other, None).result(), "problem");
    }
}
