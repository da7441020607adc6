//! `agent.toml`: what an agent says about itself, besides its code.
//!
//! ```toml
//! agent = "reconciler"
//! version = "1.4.0"
//! code = ["src"]
//! config = ["agent.toml"]
//! ignore = ["__pycache__/", "src/target"]
//! programs_from = ["/opt/reconciler/bin"]
//! capabilities = ["read:**", "run:*"]
//! max_inflight_ms = 900000
//!
//! [[tools]]
//! name = "search"
//! server = "https://tools.example.com"
//! file = "tools/search.json"
//!
//! [[models]]
//! provider = "example"
//! model = "m-1"
//! params = { temperature = "0" }
//!
//! [[prompts]]
//! name = "system"
//! digest = "sha256:…"
//! ```
//!
//! A tool and a prompt are named by their digest, or by the file whose bytes it is made of.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The file's name in an agent's directory.
pub const FILE_NAME: &str = "agent.toml";

/// The longest `agent.toml`: what it describes must fit a payload of 32 KiB, so a longer one is a mistake.
pub const MAX_CONFIG_BYTES: u64 = 64 * 1024;

/// How long an action takes at most, if the file does not say: a quarter of an hour.
const DEFAULT_MAX_INFLIGHT_MS: u64 = 15 * 60 * 1000;

/// The file as it is written. Members that it does not know are refused: a misspelt `ignore` must not change
/// what an agent's identity covers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// The agent's name.
    pub agent: String,
    /// What people call this version.
    pub version: String,
    /// Files and directories that are its code.
    pub code: Vec<String>,
    /// Files and directories that are its configuration.
    #[serde(default = "this_file")]
    pub config: Vec<String>,
    /// What neither counts: patterns of gitignore's form, without `!`.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Directories whose programs the agent may run, in addition to those of the system.
    #[serde(default)]
    pub programs_from: Vec<String>,
    /// The most that any lease can allow it.
    pub capabilities: Vec<String>,
    /// The longest that one of its actions takes, in milliseconds.
    #[serde(default = "default_max_inflight_ms")]
    pub max_inflight_ms: u64,
    /// The tools that it uses.
    #[serde(default)]
    pub tools: Vec<ToolConfig>,
    /// The models that it uses.
    #[serde(default)]
    pub models: Vec<ModelConfig>,
    /// The prompts that it uses.
    #[serde(default)]
    pub prompts: Vec<PromptConfig>,
}

/// A tool that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolConfig {
    /// What it is called.
    pub name: String,
    /// Where it is served, if anywhere.
    pub server: Option<String>,
    /// The digest of its definition.
    pub digest: Option<String>,
    /// The file that is its definition.
    pub file: Option<String>,
}

/// A model that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Who serves it.
    pub provider: String,
    /// Which.
    pub model: String,
    /// Its settings, as text.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// A prompt that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptConfig {
    /// What it is called.
    pub name: String,
    /// The digest of its bytes.
    pub digest: Option<String>,
    /// The file that holds it.
    pub file: Option<String>,
}

impl AgentConfig {
    /// Reads the text of an `agent.toml`.
    ///
    /// # Errors
    ///
    /// The reader's own, which names the line.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

fn this_file() -> Vec<String> {
    vec![FILE_NAME.to_owned()]
}

const fn default_max_inflight_ms() -> u64 {
    DEFAULT_MAX_INFLIGHT_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "agent = 'a'\nversion = '1'\ncode = ['src']\ncapabilities = ['run:*']\n";

    #[test]
    fn what_may_be_left_out_has_a_default() {
        let config = AgentConfig::parse(LEAST).unwrap();
        assert_eq!(config.config, ["agent.toml"]);
        assert_eq!(config.max_inflight_ms, 900_000);
        assert!(config.ignore.is_empty() && config.tools.is_empty());
    }

    #[test]
    fn unknown_and_missing_members_are_refused_by_name() {
        let cases = [
            (format!("{LEAST}ignored = []\n"), "ignored"),
            (format!("{LEAST}[[tools]]\nname = 't'\nurl = 'x'\n"), "url"),
            (format!("{LEAST}[[models]]\nprovider = 'p'\n"), "model"),
            (format!("{LEAST}max_inflight_ms = -1\n"), "max_inflight_ms"),
            (LEAST.replace("agent = 'a'\n", ""), "agent"),
            (LEAST.replace("['src']", "'src'"), "code"),
        ];
        for (text, named) in cases {
            let refused = AgentConfig::parse(&text).unwrap_err().to_string();
            assert!(refused.contains(named), "{text}: {refused}");
        }
    }
}
