//! How two versions of an agent differ, group by group.

use std::collections::BTreeMap;

use ledger::json::{Value, object};
use ledger::record::Manifest;

use super::Version;
use super::tree::{FileMode, FileTree};

/// Something that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `version`, `code`, `config`, `models`, `prompts`, `tools`, `capabilities` or `limits`.
    pub group: &'static str,
    /// What it is called there.
    pub name: String,
    /// What it was; `None` if it was not there.
    pub old: Option<String>,
    /// What it is; `None` if it is not there.
    pub new: Option<String>,
}

type Items = BTreeMap<String, String>;

/// All differences, in the order of the groups and then of the names.
pub fn between(old: &Version, new: &Version) -> Vec<Difference> {
    let (old, new) = (groups(old), groups(new));
    let pairs = old.into_iter().zip(new);
    pairs
        .flat_map(|((group, old), (_, new))| compare(group, &old, &new))
        .collect()
}

fn compare(group: &'static str, old: &Items, new: &Items) -> Vec<Difference> {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    let mut names: Vec<&String> = old.keys().chain(added).collect();
    names.sort_unstable();
    let difference = |name: &String| Difference {
        group,
        name: name.clone(),
        old: old.get(name).cloned(),
        new: new.get(name).cloned(),
    };
    names
        .into_iter()
        .map(difference)
        .filter(|one| one.old != one.new)
        .collect()
}

fn groups(version: &Version) -> [(&'static str, Items); 8] {
    let manifest = &version.manifest;
    let named = |name: &str, value: String| (name.to_owned(), value);
    let version_of = |manifest: &Manifest| {
        Items::from([
            named("agent", manifest.agent.to_string()),
            named("version", manifest.version.to_string()),
        ])
    };
    let prompts = manifest.prompts.iter();
    let tools = manifest.tools.iter();
    let capabilities = manifest.capabilities.iter();
    let limit = named("max_inflight_ms", manifest.max_inflight_ms.to_string());
    [
        ("version", version_of(manifest)),
        ("code", files(&version.code)),
        ("config", files(&version.config)),
        ("models", models(manifest)),
        (
            "prompts",
            prompts
                .map(|one| named(one.name.as_str(), one.digest.to_string()))
                .collect(),
        ),
        (
            "tools",
            tools
                .map(|one| named(one.name.as_str(), one.digest.to_string()))
                .collect(),
        ),
        (
            "capabilities",
            capabilities
                .map(|one| named(&one.to_string(), "held".to_owned()))
                .collect(),
        ),
        ("limits", Items::from([limit])),
    ]
}

fn files(tree: &FileTree) -> Items {
    let item = |file: &super::tree::File| {
        let mode = match file.mode() {
            FileMode::Plain => "",
            FileMode::Executable => "executable ",
            FileMode::Link => "link ",
        };
        (file.path().to_owned(), format!("{mode}{}", file.content()))
    };
    tree.files().iter().map(item).collect()
}

fn models(manifest: &Manifest) -> Items {
    let item = |model: &ledger::record::Model| {
        let params = model.params.iter();
        let params: Vec<String> = params
            .map(|(name, text)| format!("{name}={text}"))
            .collect();
        let name = format!("{}/{}", model.provider, model.model);
        (name, format!("with {}", params.join(" ")))
    };
    manifest.models.iter().map(item).collect()
}

impl Difference {
    /// The difference as an object.
    pub fn to_value(&self) -> Value {
        object([
            ("group", self.group.into()),
            ("name", self.name.as_str().into()),
            ("old", self.old.as_deref().into()),
            ("new", self.new.as_deref().into()),
        ])
    }
}
