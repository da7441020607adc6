//! The hosts that are known, and what differs among them.

use std::fmt;
use std::path::{Path, PathBuf};

/// A program whose agent acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Host {
    // Claude Code; VS Code's agents, Copilot CLI, Qwen Code and OpenHands speak its dialect.
    ClaudeCode,
    // OpenAI Codex.
    Codex,
    // Gemini CLI.
    GeminiCli,
    // Cursor, as its documentation has it.
    Cursor,
}

/// An event that a hook is installed for, and how many seconds the host gives it.
pub(crate) struct Wanted {
    /// The host's name for it.
    pub(crate) event: &'static str,
    /// The host's timeout. Ours is shorter, so that the answer is ours.
    pub(crate) timeout_s: u64,
}

const fn wanted(event: &'static str, timeout_s: u64) -> Wanted {
    Wanted { event, timeout_s }
}

const CLAUDE: [Wanted; 9] = [
    wanted("PreToolUse", 30),
    wanted("PostToolUse", 10),
    wanted("PostToolUseFailure", 10),
    wanted("PostToolBatch", 10),
    wanted("SessionStart", 10),
    wanted("SubagentStart", 10),
    wanted("SubagentStop", 10),
    wanted("Stop", 10),
    wanted("SessionEnd", 1),
];

const CODEX: [Wanted; 7] = [
    wanted("PreToolUse", 30),
    wanted("PostToolUse", 10),
    wanted("SessionStart", 10),
    wanted("SubagentStart", 10),
    wanted("SubagentStop", 10),
    wanted("Stop", 10),
    wanted("SessionEnd", 1),
];

const GEMINI: [Wanted; 5] = [
    wanted("BeforeTool", 30),
    wanted("AfterTool", 10),
    wanted("SessionStart", 10),
    wanted("AfterAgent", 10),
    wanted("SessionEnd", 1),
];

const CURSOR: [Wanted; 8] = [
    wanted("preToolUse", 30),
    wanted("postToolUse", 10),
    wanted("postToolUseFailure", 10),
    wanted("sessionStart", 10),
    wanted("subagentStart", 10),
    wanted("subagentStop", 10),
    wanted("stop", 10),
    wanted("sessionEnd", 1),
];

impl Host {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::ClaudeCode, Self::Codex, Self::GeminiCli, Self::Cursor];

    /// Its name, on the command line and in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini-cli",
            Self::Cursor => "cursor",
        }
    }

    /// The events that a hook is installed for.
    pub(crate) const fn events(self) -> &'static [Wanted] {
        match self {
            Self::ClaudeCode => &CLAUDE,
            Self::Codex => &CODEX,
            Self::GeminiCli => &GEMINI,
            Self::Cursor => &CURSOR,
        }
    }

    /// Its settings file in a project, below the project's directory.
    pub(crate) const fn project_settings(self) -> &'static str {
        match self {
            Self::ClaudeCode => ".claude/settings.json",
            Self::Codex => ".codex/hooks.json",
            Self::GeminiCli => ".gemini/settings.json",
            Self::Cursor => ".cursor/hooks.json",
        }
    }

    /// The user's own settings file.
    pub(crate) fn user_settings(self, home: &Path) -> PathBuf {
        let moved = match self {
            Self::ClaudeCode => {
                std::env::var_os("CLAUDE_CONFIG_DIR").map(|dir| (dir, "settings.json"))
            }
            Self::Codex => std::env::var_os("CODEX_HOME").map(|dir| (dir, "hooks.json")),
            Self::GeminiCli | Self::Cursor => None,
        };
        match moved {
            Some((folder, file)) if !folder.is_empty() => PathBuf::from(folder).join(file),
            _ => home.join(self.project_settings()),
        }
    }

    /// Where it writes down its sessions; `None` where nobody has seen it.
    pub(crate) fn sessions(self, home: &Path) -> Option<PathBuf> {
        let folder = match self {
            Self::ClaudeCode => ".claude/projects",
            Self::Codex => ".codex/sessions",
            Self::GeminiCli => ".gemini/tmp",
            Self::Cursor => return None,
        };
        Some(home.join(folder))
    }

    /// What makes the host refuse when a hook fails, where it has such a setting.
    pub(crate) const fn on_failure(self) -> Option<(&'static str, OnFailure)> {
        match self {
            Self::ClaudeCode => Some(("onFailure", OnFailure::Block)),
            Self::Cursor => Some(("failClosed", OnFailure::True)),
            Self::Codex | Self::GeminiCli => None,
        }
    }
}

/// The value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// `"block"`.
    Block,
    /// `true`.
    True,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
