//! The settings of hosts: our hooks are put in and taken out, and all else stays as its owner wrote it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};

use super::Host;
use super::hosts::{OnFailure, Wanted};
use crate::session::state_home;

/// What is to be in the settings.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) host: Host,
    /// How this program is called, as a shell reads it.
    pub(crate) program: String,
    pub(crate) enforce: bool,
    /// What else stands on the command line of each hook.
    pub(crate) more: String,
}

impl Wish {
    fn command(&self, event: &str) -> String {
        let enforce = if self.enforce { " --enforce" } else { "" };
        let (program, host, more) = (&self.program, self.host, &self.more);
        format!("{program} hook {host} --event {event}{enforce}{more}")
    }

    /// The hook for an event, in the host's own form.
    fn hook(&self, wanted: &Wanted) -> CstInputValue {
        let timeout = match self.host {
            Host::GeminiCli => wanted.timeout_s * 1_000,
            _ => wanted.timeout_s,
        };
        let mut members = Vec::new();
        if self.host == Host::GeminiCli {
            members.push(("name".to_owned(), "dragons".into()));
        }
        if self.host != Host::Cursor {
            members.push(("type".to_owned(), "command".into()));
        }
        members.push(("command".to_owned(), self.command(wanted.event).into()));
        members.push(("timeout".to_owned(), timeout.into()));
        let is_before = super::kind_of(wanted.event) == super::Kind::Before;
        if let Some((name, value)) = self.host.on_failure().filter(|_| self.enforce && is_before) {
            let value = match value {
                OnFailure::Block => "block".into(),
                OnFailure::True => true.into(),
            };
            members.push((name.to_owned(), value));
        }
        CstInputValue::Object(members)
    }

    /// An entry of the event's list.
    fn entry(&self, wanted: &Wanted) -> CstInputValue {
        match self.host {
            Host::Cursor => self.hook(wanted),
            _ => {
                let hooks = CstInputValue::Array(vec![self.hook(wanted)]);
                CstInputValue::Object(vec![("hooks".to_owned(), hooks)])
            }
        }
    }
}

/// The settings with our hooks, each once. What was ours and is wanted no more is taken out.
///
/// # Errors
///
/// If the settings are not a JSON object, or have something else where hooks belong.
pub(crate) fn with_hooks(text: &str, wish: &Wish) -> Result<String> {
    let plain = without_hooks(text, wish.host)?;
    let root = parse(&plain)?;
    let settings = root
        .object_value_or_create()
        .context("the settings are not an object")?;
    if wish.host == Host::Cursor && settings.get("version").is_none() {
        settings.append("version", 1_u64.into());
    }
    let hooks = settings
        .object_value_or_create("hooks")
        .context("hooks is not an object")?;
    for wanted in wish.host.events() {
        let entries = hooks.array_value_or_create(wanted.event);
        let entries = entries.with_context(|| format!("hooks.{} is not a list", wanted.event))?;
        entries.append(wish.entry(wanted));
        entries.ensure_multiline();
    }
    if parse(text)?.to_serde_value() == root.to_serde_value() {
        // They are there already, in whatever form: nothing is written again for that.
        return Ok(text.to_owned());
    }
    let text = root.to_string();
    Ok(if text.ends_with('\n') {
        text
    } else {
        format!("{text}\n")
    })
}

/// The settings without our hooks.
///
/// # Errors
///
/// If the settings are not JSON.
pub(crate) fn without_hooks(text: &str, host: Host) -> Result<String> {
    if !text.contains(&mark_of(host)) {
        return Ok(text.to_owned());
    }
    let root = parse(text)?;
    let hooks = root
        .object_value()
        .and_then(|settings| settings.object_value("hooks"));
    if let Some(hooks) = hooks {
        take_out(&hooks, host);
        if hooks.properties().is_empty()
            && let Some(property) = root
                .object_value()
                .and_then(|settings| settings.get("hooks"))
        {
            property.remove();
        }
    }
    Ok(root.to_string())
}

/// Whether the settings have a hook of ours.
pub(crate) fn has_hooks(text: &str, host: Host) -> bool {
    without_hooks(text, host).is_ok_and(|without| without != text)
}

fn take_out(hooks: &CstObject, host: Host) {
    for event in hooks.properties() {
        let Some(entries) = event.array_value() else {
            continue;
        };
        let count = entries.elements().len();
        for entry in entries.elements() {
            take_out_of_entry(entry, host);
        }
        if count > 0 && entries.elements().is_empty() {
            event.remove();
        }
    }
}

/// An entry is a hook, or has a list of them.
fn take_out_of_entry(entry: CstNode, host: Host) {
    let Some(object) = entry.as_object() else {
        return;
    };
    if is_ours(&object, host) {
        return entry.remove();
    }
    if let Some(hooks) = object.array_value("hooks")
        && take_out_of_list(&hooks, host)
        && hooks.elements().is_empty()
    {
        entry.remove();
    }
}

fn take_out_of_list(hooks: &CstArray, host: Host) -> bool {
    let ours = hooks.elements().into_iter();
    let ours = ours.filter(|hook| hook.as_object().is_some_and(|hook| is_ours(&hook, host)));
    let ours: Vec<CstNode> = ours.collect();
    let has_any = !ours.is_empty();
    ours.into_iter().for_each(CstNode::remove);
    has_any
}

fn is_ours(hook: &CstObject, host: Host) -> bool {
    let command = hook.get("command").and_then(|command| command.value());
    let command = command.and_then(|command| command.as_string_lit());
    let command = command.and_then(|command| command.decoded_value().ok());
    command.is_some_and(|command| command.contains("dragons") && command.contains(&mark_of(host)))
}

/// What every command line of ours has, and no other.
fn mark_of(host: Host) -> String {
    format!(" hook {host} --event ")
}

/// Comments and trailing commas are taken as some hosts do; nothing else that is not JSON.
fn parse(text: &str) -> Result<CstRootNode> {
    let options = ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: true,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    CstRootNode::parse(text, &options).context("the settings are not JSON")
}

/// Takes note, beside the journals, that a host has sent an event: `dragons doctor` compares it with the host's sessions.
pub(crate) fn mark(host: Host) {
    let marked = || {
        let path = mark_path(host).ok()?;
        std::fs::create_dir_all(path.parent()?).ok()?;
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        file.ok()?.set_modified(SystemTime::now()).ok()
    };
    // Without it the doctor knows less, and the host is not to notice.
    let _ = marked();
}

/// When a host has sent an event last; `None` if it never has.
pub(crate) fn marked(host: Host) -> Option<SystemTime> {
    mark_path(host).ok()?.metadata().ok()?.modified().ok()
}

fn mark_path(host: Host) -> Result<PathBuf> {
    Ok(folder()?.join(host.name()))
}

/// Where it is kept what hooks have been installed over, and when hosts were heard of.
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(state_home()?.join("dragons").join("hooks"))
}

/// The settings files of a host in which our hooks may be: the user's, and that of the directory.
pub(crate) fn files(host: Host, home: Option<&Path>) -> Vec<PathBuf> {
    let user = home.map(|home| host.user_settings(home));
    let project = PathBuf::from(host.project_settings());
    user.into_iter().chain([project]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(host: Host, enforce: bool) -> Wish {
        Wish {
            host,
            program: "dragons".to_owned(),
            enforce,
            more: String::new(),
        }
    }

    const THEIRS: &str = "{\n  // mine\n  \"model\": \"opus\",\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"./lint.sh\"}]}\n    ],\n    \"Notification\": []\n  }\n}\n";

    #[test]
    fn what_others_wrote_stays_as_it_was() {
        for host in Host::ALL {
            for enforce in [false, true] {
                let with = with_hooks(THEIRS, &wish(host, enforce)).unwrap();
                for line in [
                    "  // mine\n",
                    "  \"model\": \"opus\",\n",
                    "\"command\": \"./lint.sh\"",
                ] {
                    assert!(with.contains(line), "{host}: {line}: {with}");
                }
                assert!(has_hooks(&with, host) && !has_hooks(THEIRS, host));
                assert_eq!(
                    with_hooks(&with, &wish(host, enforce)).unwrap(),
                    with,
                    "once is enough"
                );
                let other = with_hooks(&with, &wish(host, !enforce)).unwrap();
                assert_eq!(other, with_hooks(THEIRS, &wish(host, !enforce)).unwrap());
                let without = without_hooks(&with, host).unwrap();
                assert!(!without.contains("dragons"), "{without}");
                assert!(
                    without.contains("lint.sh") && without.contains("Notification"),
                    "{without}"
                );
            }
        }
    }

    #[test]
    fn each_host_gets_its_own_form() {
        let value = |host, enforce| -> serde_json::Value {
            serde_json::from_str(&with_hooks("", &wish(host, enforce)).unwrap()).unwrap()
        };
        let claude = value(Host::ClaudeCode, true);
        let hook = &claude["hooks"]["PreToolUse"][0]["hooks"][0];
        assert_eq!(
            hook["command"],
            "dragons hook claude-code --event PreToolUse --enforce"
        );
        assert_eq!(
            (&hook["timeout"], &hook["onFailure"]),
            (&30.into(), &"block".into())
        );
        let after = &claude["hooks"]["PostToolUse"][0]["hooks"][0];
        assert!(
            after.get("onFailure").is_none(),
            "an event after a tool blocks nothing"
        );
        let open = value(Host::ClaudeCode, false);
        assert!(
            open["hooks"]["PreToolUse"][0]["hooks"][0]
                .get("onFailure")
                .is_none()
        );
        let gemini = value(Host::GeminiCli, true);
        assert_eq!(
            gemini["hooks"]["BeforeTool"][0]["hooks"][0]["timeout"],
            30_000
        );
        let cursor = value(Host::Cursor, true);
        assert_eq!(cursor["version"], 1);
        assert_eq!(cursor["hooks"]["preToolUse"][0]["failClosed"], true);
        let codex = value(Host::Codex, true);
        assert_eq!(codex["hooks"]["SessionEnd"][0]["hooks"][0]["timeout"], 1);
    }

    #[test]
    fn what_is_not_settings_is_refused() {
        for text in [
            "[]",
            "{",
            "{\"hooks\": []}",
            "{\"hooks\": {\"PreToolUse\": {}}}",
        ] {
            assert!(
                with_hooks(text, &wish(Host::ClaudeCode, false)).is_err(),
                "{text}"
            );
        }
    }
}
