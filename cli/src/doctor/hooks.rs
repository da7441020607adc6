//! The hooks of coding agents' hosts: a host that has sessions and sends no events passes over its hooks.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Report;
use super::report::Check;
use crate::hook::{Host, settings};

/// What it is called.
const NAME: &str = "hooks";

/// How much later than the last event a session may have been written to: a host writes some of it late.
const SLACK: Duration = Duration::from_secs(60);

/// How deep below a host's folder sessions lie.
const MAX_DEPTH: usize = 6;

/// How many files of a host are looked at.
const MAX_FILES: usize = 20_000;

/// Looks at each host whose settings have a hook of ours.
pub(super) fn examine(report: &mut Report, directory: Option<&Path>) {
    let home = std::env::home_dir();
    for host in Host::ALL {
        let files = settings::files(host, home.as_deref());
        let installed = files.into_iter().find(|file| has_hooks(file, host));
        if let Some(file) = installed {
            let newest = home.as_deref().and_then(|home| newest_session(host, home));
            report.add(judge(host, &file, newest, settings::marked(host)));
            // What is named by a relative path is of the project here.
            if let Some(own) =
                directory.filter(|own| file.is_relative() && overlap(own, Path::new(".")))
            {
                report.add(same_place(host, own));
            }
        }
    }
}

fn has_hooks(file: &Path, host: Host) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| settings::has_hooks(&text, host))
}

/// When the host has written to a session last.
fn newest_session(host: Host, home: &Path) -> Option<SystemTime> {
    let folder = host.sessions(home)?;
    let files = walkdir::WalkDir::new(folder)
        .max_depth(MAX_DEPTH)
        .into_iter();
    let files = files.filter_map(Result::ok).take(MAX_FILES);
    let files = files.filter(|file| file.file_type().is_file());
    files
        .filter_map(|file| file.metadata().ok()?.modified().ok())
        .max()
}

/// Whether one of two directories is inside the other.
fn overlap(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one.starts_with(&other) || other.starts_with(&one),
        _ => false,
    }
}

fn same_place(host: Host, own: &Path) -> Check {
    Check::warning(
        NAME,
        format!("{host}: it works where {own:?} defines the agent"),
        "an edit there makes another version of the agent, which has no lease",
        "keep the agent's directory apart from the projects that it works on",
    )
}

fn judge(host: Host, file: &Path, newest: Option<SystemTime>, marked: Option<SystemTime>) -> Check {
    let installed = format!("{host}: installed in {}", file.display());
    let meaning =
        "the host runs without its hooks, so it neither asks for its actions nor logs them";
    let advice = match host {
        Host::Codex => {
            "start codex, type /hooks, and trust them: Codex skips hooks that its user has not trusted"
        }
        Host::ClaudeCode => "start claude in the project and trust it, and look at /hooks there",
        Host::GeminiCli | Host::Cursor => "check in the host's own settings that hooks are enabled",
    };
    match (newest, marked) {
        (None, None) => Check::ok(NAME, format!("{installed}; no session and no event yet")),
        (None, Some(_)) => Check::ok(NAME, format!("{installed}; events come")),
        (Some(_), None) => Check::problem(
            NAME,
            format!("{installed}; it has sessions, but no event ever came"),
            meaning,
            advice,
        ),
        (Some(newest), Some(marked)) => match newest.duration_since(marked) {
            Ok(later) if later > SLACK => {
                let minutes = later.as_secs().div_ceil(60);
                let found = format!(
                    "{installed}; its newest session is {minutes} min younger than the last event"
                );
                Check::problem(NAME, found, meaning, advice)
            }
            _ => Check::ok(NAME, format!("{installed}; events come")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_sessions_and_without_events_is_a_problem() {
        let at = |s: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(s));
        for (newest, marked, result) in [
            (None, None, "ok"),
            (None, at(5), "ok"),
            (at(5), None, "problem"),
            (at(1_000), at(999), "ok"),
            (at(1_000), at(900), "problem"),
            (at(900), at(1_000), "ok"),
        ] {
            let check = judge(Host::Codex, Path::new("hooks.json"), newest, marked);
            assert_eq!(check.result(), result, "{newest:?} {marked:?}");
        }
    }
}
