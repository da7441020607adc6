//! The key to sign with: whether it is one, whether it is private, and whose it is.

use std::path::{Path, PathBuf};

use anyhow::Result;
use client::submission;
use host::key_file;
use ledger::key::{KeyId, PublicKey};
use ledger::record::{Body, Charter, Role};
use ledger::text::Name;

use super::Given;
use super::agent::Found;
use super::permissions;
use super::report::{Check, Known, Missing, Report, Step, causes};
use super::trust::Log;

const FILE: &str = "key-file";
const FOLDER: &str = "key-folder";
const HOLDER: &str = "key-holder";

/// The most agents that are looked through for a key's: each costs two requests.
const MAX_SEARCHED: usize = 50;

/// Reads the key, and looks at who else could.
pub(super) fn file(report: &mut Report, key: Option<&Given<PathBuf>>) -> Known<PublicKey> {
    let key = report.step(read(key));
    let (path, key) = key.inspect_err(|missing| report.not_checked(&[FOLDER], missing))?;
    report.add(folder(&path));
    Ok(key)
}

fn read(key: Option<&Given<PathBuf>>) -> Step<(PathBuf, PublicKey)> {
    let missing = Missing::new(
        "no key given",
        "Name one with --key or DRAGONS_KEY; `dragons keygen` makes one.",
    );
    let Given {
        value: path,
        source,
    } = key.ok_or_else(|| Check::not_checked(FILE, &missing))?;
    let metadata = permissions::regular(path).map_err(|error| unreadable(&error))?;
    let file = key_file::read(path).map_err(|error| unreadable(&error))?;
    let key = file.key.public();
    let mode = permissions::mode(&metadata);
    let detail = format!("{path:?} ({source}), mode {mode:03o}");
    let check = match file.readable_by_others {
        false => Check::ok(FILE, detail),
        true => Check::problem(
            FILE,
            detail,
            "Others on this machine can read the key, and sign with it as its holder.",
            format!("chmod 600 {path:?}; if anybody may have read it, replace the key."),
        ),
    };
    Ok((check, (path.clone(), key)))
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> Check {
    Check::problem(
        FILE,
        causes(error),
        "Nothing can be signed with it.",
        "Name the file that `dragons keygen` made: an Ed25519 private key in PKCS#8 PEM, readable for you.",
    )
}

fn folder(path: &Path) -> Check {
    let folder = permissions::folder_of(path);
    match std::fs::metadata(&folder) {
        Ok(metadata) => judge_folder(&folder, permissions::mode(&metadata)),
        Err(error) => {
            let missing = Missing::new(format!("{folder:?}: {error}"), "Make it readable for you.");
            Check::not_checked(FOLDER, &missing)
        }
    }
}

fn judge_folder(folder: &Path, mode: u32) -> Check {
    let detail = format!("{folder:?}, mode {mode:03o}");
    if !permissions::is_writable_by_others(mode) {
        return Check::ok(FOLDER, detail);
    }
    Check::problem(
        FOLDER,
        detail,
        "Others on this machine can replace your key.",
        format!("chmod go-w {folder:?}"),
    )
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    /// Its signatures no longer count.
    Distrusted,
    /// The charter gives it these roles.
    Member { name: String, roles: Vec<Role> },
    /// It signs the log's checkpoints.
    Log,
    /// An agent's.
    Agent(Name),
    /// Nobody's that was looked at.
    Nobody,
    /// There are more agents than were looked through.
    Unknown { agents: usize },
}

/// Looks for the key's holder.
pub(super) fn holder(
    report: &mut Report,
    key: &Known<PublicKey>,
    log: &Known<Log<'_>>,
    agent: &Step<Found>,
) {
    let both = key.as_ref().and_then(|key| Ok((key, log.as_ref()?)));
    report.add(match both {
        Err(missing) => Check::not_checked(HOLDER, missing),
        Ok((key, log)) => match look_for(key, log, agent) {
            Ok(holder) => judge(&key.id(), &holder),
            Err(error) => Check::not_checked(
                HOLDER,
                &Missing::new(format!("{error:#}"), "Ask again once the service answers."),
            ),
        },
    });
}

fn look_for(key: &PublicKey, log: &Log<'_>, agent: &Step<Found>) -> Result<Holder> {
    if let Some(holder) = of_charter(key, &log.charter) {
        return Ok(holder);
    }
    match agent {
        Ok((_, found)) if found.registration.key == *key => Ok(Holder::Agent(found.name().clone())),
        Ok(_) => Ok(Holder::Nobody),
        Err(_) => among_agents(key, log),
    }
}

fn of_charter(key: &PublicKey, charter: &Charter) -> Option<Holder> {
    if charter.distrusted.contains(&key.id()) {
        return Some(Holder::Distrusted);
    }
    if let Some(member) = charter.keys.iter().find(|member| member.key == *key) {
        return Some(Holder::Member {
            name: member.name.to_string(),
            roles: member.roles.clone(),
        });
    }
    let mut log_keys = charter.log_keys.iter();
    let is_logs = log_keys.any(|log| log.key_bytes() == key.as_bytes());
    is_logs.then_some(Holder::Log)
}

fn among_agents(key: &PublicKey, log: &Log<'_>) -> Result<Holder> {
    let service = &log.reached.service;
    let (page, _) = service.agents(None)?;
    let agents = page.agents.len();
    if agents > MAX_SEARCHED {
        return Ok(Holder::Unknown { agents });
    }
    for record in page.agents.iter().map(|agent| agent.registration) {
        let entry = submission::find(service, &log.identity, record)?;
        if let Body::Manifest(registration) = &entry.record().record().body
            && registration.key == *key
        {
            return Ok(Holder::Agent(registration.agent.clone()));
        }
    }
    Ok(Holder::Nobody)
}

fn judge(key: &KeyId, holder: &Holder) -> Check {
    match holder {
        Holder::Member { name, roles } => {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            let roles = roles.join(", ");
            Check::ok(HOLDER, format!("{key} is {name:?} in the charter: {roles}"))
        }
        Holder::Agent(name) => Check::ok(HOLDER, format!("{key} is the key of the agent {name}")),
        Holder::Distrusted => Check::problem(
            HOLDER,
            format!("{key} is distrusted by the charter"),
            "Nothing that it signs counts, and nothing that it has signed.",
            "Stop using it; have the roots put another key into the charter, or register the agent with a new one.",
        ),
        Holder::Log => Check::problem(
            HOLDER,
            format!("{key} is the key of the log itself"),
            "It signs checkpoints, not records; whoever gets it here can fork the log.",
            "Take it off this machine unless the service runs here, and name another key.",
        ),
        Holder::Nobody => Check::problem(
            HOLDER,
            format!("{key} is not in the charter and is not the key of an agent"),
            "The log refuses whatever it signs, as `key-unknown` or `key-not-agents`.",
            "Register an agent with it (`dragons manifest register DIR --agent-key FILE`), or name the right key.",
        ),
        Holder::Unknown { agents } => Check::not_checked(
            HOLDER,
            &Missing::new(
                format!("{key} is not in the charter, and there are {agents} agents or more"),
                "Name the agent with --agent.",
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use ledger::key::PrivateKey;

    use super::*;

    #[test]
    fn whose_a_key_is_decides() {
        let id = PrivateKey::from_seed(&[7; 32]).public().id();
        let member = Holder::Member {
            name: "operator".to_owned(),
            roles: vec![Role::Operator],
        };
        for (holder, result) in [
            (member, "ok"),
            (Holder::Agent("greeter".parse().unwrap()), "ok"),
            (Holder::Distrusted, "problem"),
            (Holder::Log, "problem"),
            (Holder::Nobody, "problem"),
            (Holder::Unknown { agents: 51 }, "not checked"),
        ] {
            assert_eq!(judge(&id, &holder).result(), result, "{holder:?}");
        }
    }

    #[test]
    fn a_folder_is_for_its_owner_to_write() {
        for (mode, result) in [
            (0o700, "ok"),
            (0o755, "ok"),
            (0o1777, "ok"),
            (0o777, "problem"),
        ] {
            assert_eq!(
                judge_folder(Path::new("."), mode).result(),
                result,
                "{mode:o}"
            );
        }
    }
}
