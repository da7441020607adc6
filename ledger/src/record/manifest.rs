//! The manifest: an agent's identity, as the hash of its code, configuration and capabilities.

use crate::codes::{Code, Refusal};
use crate::digest::{Digest, RecordHash};
use crate::json::{Members, Value, integer, object, parsed, string};
use crate::key::PublicKey;
use crate::record::Fields;
use crate::scope::Pattern;
use crate::text::{Name, Text, quoted};

/// The registration of one version of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The agent.
    pub agent: Name,
    /// The key that signs for it. It signs this record too.
    pub key: PublicKey,
    /// The version.
    pub manifest: Manifest,
    /// SHA-256 of the RFC 8785 bytes of `manifest`.
    pub manifest_hash: Digest,
    /// The registration that this one follows; `None` in the first.
    pub replaces: Option<RecordHash>,
    /// Why.
    pub reason: Text,
}

/// One exact version of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The agent: with its name inside, no two agents share an identity.
    pub agent: Name,
    /// What people call the version.
    pub version: Text,
    /// What it runs.
    pub code: FileSet,
    /// What it is configured with.
    pub config: FileSet,
    /// The models that it uses.
    pub models: Vec<Model>,
    /// The prompts that it uses.
    pub prompts: Vec<Prompt>,
    /// The tools that it uses.
    pub tools: Vec<Tool>,
    /// The most that any lease can allow it.
    pub capabilities: Vec<Pattern>,
    /// The longest that one of its actions takes, in milliseconds.
    pub max_inflight_ms: u64,
}

/// Files as one RFC 6962 root over their modes, paths and contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSet {
    /// The root of the file tree.
    pub root: Digest,
    /// How many files.
    pub files: u64,
    /// The sum of their lengths.
    pub bytes: u64,
    /// Path prefixes that were left out, sorted.
    pub ignore: Vec<String>,
}

/// A model that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Who serves it.
    pub provider: Text,
    /// Which.
    pub model: Text,
    /// Its settings, as text.
    pub params: Vec<(Name, Text)>,
}

/// A prompt that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What it is called.
    pub name: Text,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// A tool that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// What it is called.
    pub name: Name,
    /// Where it is served, if anywhere.
    pub server: Option<Text>,
    /// The digest of its definition.
    pub digest: Digest,
}

impl Manifest {
    /// The identity: SHA-256 of the RFC 8785 bytes.
    pub fn hash(&self) -> Digest {
        Digest::of(&[self.to_value().to_jcs().as_bytes()])
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// `malformed`, `unknown-member`.
    pub fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        if members.required("manifest", integer)? != 1 {
            return Err(Code::Malformed.because("a manifest of a version that is not 1"));
        }
        let manifest = Self {
            agent: members.required("agent", Name::read)?,
            version: members.required("version", Text::read)?,
            code: members.required("code", FileSet::read)?,
            config: members.required("config", FileSet::read)?,
            models: members.list("models", Model::read)?,
            prompts: members.list("prompts", Prompt::read)?,
            tools: members.list("tools", Tool::read)?,
            capabilities: members.list("capabilities", parsed)?,
            max_inflight_ms: members.required("max_inflight_ms", integer)?,
        };
        members.finish().map(|()| manifest)
    }

    /// The manifest as JSON, in the documented order of members.
    pub fn to_value(&self) -> Value {
        object([
            ("manifest", 1.into()),
            ("agent", (&self.agent).into()),
            ("version", (&self.version).into()),
            ("code", self.code.to_value()),
            ("config", self.config.to_value()),
            ("models", self.models.iter().map(Model::to_value).collect()),
            (
                "prompts",
                self.prompts.iter().map(Prompt::to_value).collect(),
            ),
            ("tools", self.tools.iter().map(Tool::to_value).collect()),
            (
                "capabilities",
                self.capabilities.iter().map(ToString::to_string).collect(),
            ),
            ("max_inflight_ms", self.max_inflight_ms.into()),
        ])
    }
}

impl Registration {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        let registration = Self {
            agent: members.required("agent", Name::read)?,
            key: members.required("key", parsed)?,
            manifest: members.required("manifest", Manifest::read)?,
            manifest_hash: members.required("manifest_hash", parsed)?,
            replaces: members.nullable("replaces", parsed)?,
            reason: members.required("reason", Text::read)?,
        };
        let named = &registration.manifest.agent;
        if *named != registration.agent {
            return Err(Code::Malformed.because(format!("manifest.agent is {named}")));
        }
        Ok(registration)
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("agent", &self.agent);
        out.put("key", self.key.to_string());
        out.put("manifest", self.manifest.to_value());
        out.put("manifest_hash", self.manifest_hash);
        out.put("replaces", self.replaces);
        out.put("reason", &self.reason);
    }
}

impl FileSet {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let set = Self {
            root: members.required("root", parsed)?,
            files: members.required("files", integer)?,
            bytes: members.required("bytes", integer)?,
            ignore: members.list("ignore", read_pattern)?,
        };
        if !set.ignore.is_sorted_by(|one, next| one < next) {
            return Err(Code::Malformed.because(format!("{path}.ignore is not sorted")));
        }
        members.finish().map(|()| set)
    }

    fn to_value(&self) -> Value {
        object([
            ("root", self.root.into()),
            ("files", self.files.into()),
            ("bytes", self.bytes.into()),
            ("ignore", self.ignore.iter().map(String::as_str).collect()),
        ])
    }
}

/// A pattern of gitignore's form, relative to the tree: without `!`, and no part of it is empty, `.` or `..`.
fn read_pattern(path: &str, value: Value) -> Result<String, Refusal> {
    let pattern = string(path, value)?;
    pattern
        .parse::<Text>()
        .map_err(|refusal| refusal.at(path))?;
    let plain = pattern.strip_prefix('/').unwrap_or(&pattern);
    let plain = plain.strip_suffix('/').unwrap_or(plain);
    let odd = |part: &str| matches!(part, "" | "." | "..");
    // gitignore takes back what `!` names, reads `#` as a comment, and passes over spaces at the end.
    let says_nothing = pattern.starts_with(['!', '#']) || pattern.ends_with(' ');
    if says_nothing || plain.split('/').any(odd) {
        let pattern = quoted(&pattern);
        return Err(Code::Malformed.because(format!("{path}: {pattern} is not a pattern")));
    }
    Ok(pattern)
}

impl Model {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let model = Self {
            provider: members.required("provider", Text::read)?,
            model: members.required("model", Text::read)?,
            params: members.map("params", Text::read)?,
        };
        members.finish().map(|()| model)
    }

    fn to_value(&self) -> Value {
        let params = self
            .params
            .iter()
            .map(|(name, text)| (name.to_string(), text.into()));
        object([
            ("provider", (&self.provider).into()),
            ("model", (&self.model).into()),
            ("params", Value::Object(params.collect())),
        ])
    }
}

impl Prompt {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let prompt = Self {
            name: members.required("name", Text::read)?,
            digest: members.required("digest", parsed)?,
        };
        members.finish().map(|()| prompt)
    }

    fn to_value(&self) -> Value {
        object([
            ("name", (&self.name).into()),
            ("digest", self.digest.into()),
        ])
    }
}

impl Tool {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let tool = Self {
            name: members.required("name", Name::read)?,
            server: members.nullable("server", Text::read)?,
            digest: members.required("digest", parsed)?,
        };
        members.finish().map(|()| tool)
    }

    fn to_value(&self) -> Value {
        object([
            ("name", (&self.name).into()),
            ("server", self.server.as_ref().into()),
            ("digest", self.digest.into()),
        ])
    }
}
