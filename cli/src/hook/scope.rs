//! The scopes of an action: what it touches, by its tool and what that gets.

use ledger::escape;
use ledger::scope::Scope;
use serde_json::{Map, Value};
use url::Url;

use super::event::text_of;
use super::{Event, patch, path, shell};

/// The scopes, each once: most actions have one, a patch one for each file.
pub(super) fn scopes(event: &Event, root: &str) -> Vec<Scope> {
    let asked = Asked { event, root };
    let mut scopes: Vec<Scope> = Vec::new();
    for scope in asked.texts() {
        let scope = scope.parse().or_else(|_| asked.tool().parse());
        scopes.extend(scope.ok().filter(|scope| !scopes.contains(scope)));
    }
    scopes
}

struct Asked<'a> {
    event: &'a Event,
    root: &'a str,
}

impl Asked<'_> {
    fn texts(&self) -> Vec<String> {
        if let Some((server, tool)) = self.mcp() {
            return vec![format!("call:{}/{}", segment(&server), segment(&tool))];
        }
        match self.event.tool.as_str() {
            "Bash" | "Shell" | "shell" | "local_shell" | "exec_command" | "run_shell_command" => {
                self.run()
            }
            "Read" | "read_file" => self.file("read"),
            "NotebookRead" => self.file("read"),
            "Write" | "Edit" | "MultiEdit" | "NotebookEdit" | "write_file" | "replace"
            | "Delete" => self.file("write"),
            "apply_patch" => self.patch(),
            "WebFetch" | "web_fetch" => self.fetch(),
            "Agent" | "Task" | "spawn_agent" | "delegate_to_agent" | "invoke_agent" => self.spawn(),
            _ => vec![self.tool()],
        }
    }

    fn input(&self, names: &[&str]) -> Option<&str> {
        text_of(&self.event.input, names)
    }

    fn cwd(&self) -> &str {
        self.event.cwd.as_deref().unwrap_or(self.root)
    }

    /// What no other rule is for.
    fn tool(&self) -> String {
        format!("tool:{}", segment(&self.event.tool))
    }

    fn run(&self) -> Vec<String> {
        let folder = self.input(&["workdir", "dir_path", "directory", "working_directory"]);
        let cwd = folder.map(|folder| match folder.starts_with('/') {
            true => folder.to_owned(),
            false => format!("{}/{folder}", self.cwd()),
        });
        let cwd = cwd.as_deref().unwrap_or_else(|| self.cwd());
        let command = ["command", "cmd"]
            .iter()
            .find_map(|name| self.event.input.get(*name));
        let resource = match command {
            Some(Value::String(command)) => shell::resource(command, cwd, self.root),
            Some(Value::Array(words)) => self.run_words(words, cwd),
            _ => "sh".to_owned(),
        };
        vec![format!("run:{resource}")]
    }

    /// A command that no shell reads, unless it is a shell's own.
    fn run_words(&self, words: &[Value], cwd: &str) -> String {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        match words.as_slice() {
            [shell, "-c" | "-lc" | "-ic", script] if is_shell(shell) => {
                shell::resource(script, cwd, self.root)
            }
            [program, ..] if program.contains('/') => path::resource(program, cwd, self.root),
            [program, ..] => segment(program),
            [] => "sh".to_owned(),
        }
    }

    fn file(&self, verb: &str) -> Vec<String> {
        let names = [
            "file_path",
            "notebook_path",
            "absolute_path",
            "path",
            "target_file",
        ];
        match self.input(&names) {
            Some(file) => vec![format!(
                "{verb}:{}",
                path::resource(file, self.cwd(), self.root)
            )],
            None => vec![self.tool()],
        }
    }

    fn patch(&self) -> Vec<String> {
        let patch = self.input(&["command", "input", "patch"]);
        let paths = patch.map(patch::paths).unwrap_or_default();
        if paths.is_empty() {
            return vec![self.tool()];
        }
        let write = |file| format!("write:{}", path::resource(file, self.cwd(), self.root));
        paths.into_iter().map(write).collect()
    }

    /// `mcp__SERVER__TOOL`, or as Gemini tells it beside the name.
    fn mcp(&self) -> Option<(String, String)> {
        let context = self
            .event
            .members
            .get("mcp_context")
            .and_then(Value::as_object);
        let told = |context: &Map<String, Value>| {
            let server = text_of(context, &["server_name"])?.to_owned();
            Some((server, text_of(context, &["tool_name"])?.to_owned()))
        };
        let named = || {
            let (server, tool) = self.event.tool.strip_prefix("mcp__")?.split_once("__")?;
            let is_whole = !server.is_empty() && !tool.is_empty();
            is_whole.then(|| (server.to_owned(), tool.to_owned()))
        };
        context.and_then(told).or_else(named)
    }

    /// The hosts that are asked: of the URL, or of all that a prompt names.
    fn fetch(&self) -> Vec<String> {
        let urls = match self.input(&["url"]) {
            Some(url) => vec![url],
            None => {
                let words = self
                    .input(&["prompt"])
                    .unwrap_or_default()
                    .split_whitespace();
                words.filter(|word| word.contains("://")).collect()
            }
        };
        let host = |url: &str| {
            // A prompt may put a URL between brackets or quotes.
            let from = url.find("http").unwrap_or_default();
            let url = url
                .get(from..)?
                .trim_end_matches([')', ']', '}', '>', '"', '\'', ',', '.']);
            let url = Url::parse(url).ok()?;
            Some(format!("fetch:{}", segment(url.host_str()?)))
        };
        let hosts: Option<Vec<String>> = urls.into_iter().map(host).collect();
        hosts
            .filter(|hosts| !hosts.is_empty())
            .unwrap_or_else(|| vec![self.tool()])
    }

    fn spawn(&self) -> Vec<String> {
        let named = self.input(&["subagent_type", "agent_type", "agent_name", "agent"]);
        vec![format!(
            "spawn:{}",
            segment(named.unwrap_or("general-purpose"))
        )]
    }
}

fn segment(text: &str) -> String {
    escape::segment(text).unwrap_or_else(|| "+".to_owned())
}

fn is_shell(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    ["sh", "bash", "zsh", "dash"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::Host;

    fn scopes_of(tool: &str, input: Value) -> Vec<String> {
        let event = serde_json::json!({
            "hook_event_name": "PreToolUse", "session_id": "s", "cwd": "/p/src", "tool_name": tool, "tool_input": input,
        });
        let event = Event::read(Host::Codex, None, event.to_string().as_bytes()).unwrap();
        scopes(&event, "/p")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_tool_has_its_scope() {
        use serde_json::json;
        for (tool, input, scope) in [
            ("Bash", json!({"command": "cat a.txt"}), "run:cat"),
            ("Bash", json!({"command": "./x"}), "run:src/x"),
            (
                "run_shell_command",
                json!({"command": "./x", "dir_path": "/p"}),
                "run:x",
            ),
            (
                "Shell",
                json!({"command": "./x", "working_directory": "/p"}),
                "run:x",
            ),
            (
                "shell",
                json!({"command": ["bash", "-lc", "ls | wc"]}),
                "run:sh",
            ),
            (
                "shell",
                json!({"command": ["bash", "-lc", "ls -l"]}),
                "run:ls",
            ),
            ("shell", json!({"command": ["rm", "*"]}), "run:rm"),
            ("Bash", json!({}), "run:sh"),
            ("Read", json!({"file_path": "/p/a b"}), "read:a+20b"),
            (
                "read_file",
                json!({"absolute_path": "/etc/passwd"}),
                "read:@abs/etc/passwd",
            ),
            ("Edit", json!({"file_path": "/p/x"}), "write:x"),
            ("Write", json!({"file_path": "x"}), "write:src/x"),
            (
                "NotebookEdit",
                json!({"notebook_path": "/p/n.ipynb"}),
                "write:n.ipynb",
            ),
            ("write_file", json!({"file_path": "/p/x"}), "write:x"),
            ("Write", json!({}), "tool:Write"),
            ("mcp__git__log", json!({}), "call:git/log"),
            ("mcp__my server__a__b", json!({}), "call:my+20server/a__b"),
            (
                "WebFetch",
                json!({"url": "https://Example.com:8443/x"}),
                "fetch:example.com",
            ),
            (
                "WebFetch",
                json!({"url": "http://a.com\\@b.com/"}),
                "fetch:a.com",
            ),
            (
                "WebFetch",
                json!({"url": "http://user@b.com/"}),
                "fetch:b.com",
            ),
            (
                "WebFetch",
                json!({"url": "http://[::1]/"}),
                "fetch:+5b+3a+3a1+5d",
            ),
            ("WebFetch", json!({"url": "nonsense"}), "tool:WebFetch"),
            (
                "Agent",
                json!({"subagent_type": "general-purpose"}),
                "spawn:general-purpose",
            ),
            ("Task", json!({}), "spawn:general-purpose"),
            ("TodoWrite", json!({}), "tool:TodoWrite"),
            ("my tool", json!({}), "tool:my+20tool"),
        ] {
            assert_eq!(scopes_of(tool, input.clone()), [scope], "{tool} {input}");
        }
    }

    #[test]
    fn some_actions_touch_several_things() {
        use serde_json::json;
        let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** Update File: b\n*** Move to: ../c\n*** End Patch";
        assert_eq!(
            scopes_of("apply_patch", json!({"command": patch})),
            ["write:src/a", "write:src/b", "write:c"]
        );
        let prompt = "compare https://a.com/x with (https://b.com) and https://a.com/y";
        assert_eq!(
            scopes_of("web_fetch", json!({"prompt": prompt})),
            ["fetch:a.com", "fetch:b.com"]
        );
        assert_eq!(
            scopes_of("web_fetch", json!({"prompt": "nothing"})),
            ["tool:web_fetch"]
        );
        assert_eq!(
            scopes_of("apply_patch", json!({"command": "x"})),
            ["tool:apply_patch"]
        );
    }
}
