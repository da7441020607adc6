//! The data folder of a service on this machine. The store in it belongs to the service that runs, and is not opened.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use host::key_file::{self, KeyFileError};
use ledger::digest::RecordHash;
use ledger::key::PublicKey;
use ledger::verify::Trust;

use super::report::{Check, Missing, Report, Step, causes};
use super::{Installation, disk, permissions};
use crate::session::read_trust;

const DATA: &str = "data";
const ACCESS: &str = "data-access";
const KEYS: &str = "data-keys";
const LOG_KEY: &str = "data-log-key";
const DISK: &str = "data-disk";

/// The keys that `serve` opens.
const OPENED: [&str; 2] = ["log", "control"];

/// The keys that a service must not have: with them, whoever takes it over could grant and amend.
const FOREIGN: [&str; 2] = ["root", "operator"];

/// Looks at the data folder. `shown` is the log that the service at the other end of the line was shown to have.
pub(super) fn examine(report: &mut Report, installation: &Installation, shown: Option<RecordHash>) {
    let data = installation.data.as_deref();
    let trust = match report.step(folder(data, shown)) {
        Ok(trust) => trust,
        Err(missing) => return report.not_checked(&[ACCESS, KEYS, LOG_KEY, DISK], &missing),
    };
    let data = data.unwrap_or_else(|| Path::new("."));
    let keys = installation
        .keys
        .clone()
        .unwrap_or_else(|| data.join("keys"));
    report.add(access(&[data.to_owned(), data.join("store"), keys.clone()]));
    report.add(judge_keys(&keys, &look_for_keys(&keys)));
    report.add(log_key(&keys.join("log.pem"), &trust));
    report.add(disk::examine(
        DISK,
        data,
        disk::SERVICE_BYTES,
        "The service logs nothing more until there is room.",
    ));
}

fn folder(data: Option<&Path>, shown: Option<RecordHash>) -> Step<Trust> {
    let missing = Missing::new(
        "no data folder given",
        "On the service's own machine, name the folder that it is started with: --data DIR.",
    );
    let data = data.ok_or_else(|| Check::not_checked(DATA, &missing))?;
    let path = data.join("trust.json");
    let metadata = permissions::regular(&path);
    metadata.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => Check::not_checked(DATA, &as_its_user(&error.to_string())),
        _ => unfinished(&error.to_string()),
    })?;
    let trust = read_trust(&path).map_err(|error| unfinished(&format!("{error:#}")))?;
    if !data.join("store").is_dir() {
        return Err(unfinished(&format!("{data:?} has no folder store")));
    }
    judge_log(data, trust.charter, shown).map(|check| (check, trust))
}

fn judge_log(data: &Path, here: RecordHash, shown: Option<RecordHash>) -> Result<Check, Check> {
    match shown {
        Some(shown) if shown != here => Err(Check::problem(
            DATA,
            format!("{data:?} holds the log {here}, but the service shows {shown}"),
            "The service at that address is not the one of this folder.",
            "Correct --data or --server.",
        )),
        _ => {
            let fsck =
                "the entries in it are for `dragonsd fsck` to check, while the service is stopped";
            Ok(Check::ok(
                DATA,
                format!("{data:?} was made by init; {fsck}"),
            ))
        }
    }
}

fn unfinished(detail: &str) -> Check {
    Check::problem(
        DATA,
        detail,
        "It is not a data folder that `dragonsd init` finished, and `dragonsd serve` refuses it.",
        "Correct --data; if an init broke off there, remove the folder and begin again.",
    )
}

fn as_its_user(why: &str) -> Missing {
    Missing::new(why, "Run doctor as the user that the service runs as.")
}

fn access(folders: &[PathBuf]) -> Check {
    let modes = folders.iter().filter_map(|folder| {
        let metadata = std::fs::metadata(folder).ok()?;
        Some((folder.clone(), permissions::mode(&metadata)))
    });
    judge_access(&modes.collect::<Vec<_>>())
}

fn judge_access(modes: &[(PathBuf, u32)]) -> Check {
    let told: Vec<String> = modes
        .iter()
        .map(|(folder, mode)| format!("{folder:?} {mode:03o}"))
        .collect();
    let detail = told.join(", ");
    let open = modes
        .iter()
        .filter(|(_, mode)| permissions::is_writable_by_others(*mode));
    let open: Vec<String> = open.map(|(folder, _)| format!("{folder:?}")).collect();
    if open.is_empty() {
        return Check::ok(ACCESS, detail);
    }
    Check::problem(
        ACCESS,
        detail,
        "Others on this machine can replace the service's files and keys.",
        format!("chmod go-w {}", open.join(" ")),
    )
}

/// A key file that is where the service looks for its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lying {
    name: &'static str,
    mode: u32,
}

fn look_for_keys(keys: &Path) -> Vec<Lying> {
    let names = OPENED.into_iter().chain(FOREIGN).chain(["observer"]);
    let lying = |name| {
        let metadata: Metadata = std::fs::metadata(keys.join(format!("{name}.pem"))).ok()?;
        let mode = permissions::mode(&metadata);
        Some(Lying { name, mode })
    };
    names.filter_map(lying).collect()
}

fn judge_keys(folder: &Path, lying: &[Lying]) -> Check {
    let names: Vec<&str> = lying.iter().map(|key| key.name).collect();
    let detail = match names.is_empty() {
        true => format!("none in {folder:?}"),
        false => format!("{} in {folder:?}", names.join(", ")),
    };
    let open: Vec<String> = lying
        .iter()
        .filter(|key| permissions::is_open(key.mode))
        .map(|key| format!("{}.pem", key.name))
        .collect();
    if !open.is_empty() {
        return Check::problem(
            KEYS,
            format!("{detail}; open to others: {}", open.join(", ")),
            "Others on this machine can sign as the service, or as whoever these keys belong to.",
            format!("cd {folder:?} && chmod 600 {}", open.join(" ")),
        );
    }
    if OPENED.iter().any(|name| !names.contains(name)) {
        return Check::problem(
            KEYS,
            detail,
            "The service needs log.pem and control.pem, and does not start without them.",
            "Name the folder that holds them with --keys DIR, as for `dragonsd serve`; or put them back.",
        );
    }
    let foreign: Vec<&str> = names
        .into_iter()
        .filter(|name| FOREIGN.contains(name))
        .collect();
    if foreign.is_empty() {
        return Check::ok(KEYS, detail);
    }
    Check::warning(
        KEYS,
        detail,
        "Whoever takes over the service finds keys that grant authority and amend the charter.",
        format!(
            "Move {}.pem to the people who sign with them.",
            foreign.join(".pem and ")
        ),
    )
}

fn log_key(path: &Path, trust: &Trust) -> Check {
    match key_file::read(path) {
        Ok(file) => judge_log_key(&file.key.public(), trust),
        Err(error) if is_denied(&error) => {
            Check::not_checked(LOG_KEY, &as_its_user(&causes(&error)))
        }
        Err(error) => Check::problem(
            LOG_KEY,
            causes(&error),
            "Without it the service signs no checkpoint, so it does not start.",
            "Put log.pem back, or name the folder that holds it with --keys DIR.",
        ),
    }
}

fn is_denied(error: &KeyFileError) -> bool {
    matches!(error, KeyFileError::Unreadable { source, .. } if source.kind() == ErrorKind::PermissionDenied)
}

fn judge_log_key(key: &PublicKey, trust: &Trust) -> Check {
    let mut logs = trust.policy.logs().iter();
    match logs.find(|log| log.key.key_bytes() == key.as_bytes()) {
        Some(log) => Check::ok(
            LOG_KEY,
            format!("it is the key of {}", log.key.name().as_str()),
        ),
        None => Check::problem(
            LOG_KEY,
            "log.pem is not the key that trust.json names",
            "Nobody who trusts this log would accept what the service signs with it.",
            "Put the log's own key back.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lying(names: &[&'static str], mode: u32) -> Vec<Lying> {
        names.iter().map(|name| Lying { name, mode }).collect()
    }

    #[test]
    fn a_service_has_its_own_keys_and_no_others() {
        for (names, mode, result) in [
            (&["log", "control"][..], 0o600, "ok"),
            (&["log", "control", "observer"], 0o600, "ok"),
            (&["log", "control", "operator"], 0o600, "warning"),
            (&["log", "control", "root"], 0o600, "warning"),
            (&["log", "control"], 0o640, "problem"),
            (&["log"], 0o600, "problem"),
            (&[], 0o600, "problem"),
        ] {
            let check = judge_keys(Path::new("keys"), &lying(names, mode));
            assert_eq!(check.result(), result, "{names:?} {mode:o}");
        }
    }

    #[test]
    fn folders_are_for_their_owner_to_write() {
        for (mode, result) in [
            (0o700, "ok"),
            (0o755, "ok"),
            (0o770, "problem"),
            (0o757, "problem"),
        ] {
            let modes = [(PathBuf::from("data"), mode)];
            assert_eq!(judge_access(&modes).result(), result, "{mode:o}");
        }
    }

    #[test]
    fn the_folder_is_of_the_log_that_is_shown() {
        let hash = |text: &[u8]| RecordHash::new(ledger::digest::Digest::of(&[text]));
        let judge = |shown| judge_log(Path::new("data"), hash(b"a"), shown);
        assert!(judge(None).is_ok());
        assert!(judge(Some(hash(b"a"))).is_ok());
        assert_eq!(judge(Some(hash(b"b"))).unwrap_err().result(), "problem");
    }
}
