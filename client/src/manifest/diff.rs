//! How two versions of an agent differ, group by group.

use std::collections::BTreeMap;

use ledger::json::{Value, object};
use ledger::record::{FileSet, Manifest};

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

/// The most differences that a sentence names.
const MOST_TOLD: usize = 5;

/// The differences in a few words for a sentence: `src/a.py has changed, src/b is new, and 3 more`. Empty without any.
pub fn told(differences: &[Difference]) -> String {
    let named = differences.iter().take(MOST_TOLD);
    let mut parts: Vec<String> = named.map(Difference::told).collect();
    match differences.len().saturating_sub(MOST_TOLD) {
        0 => {}
        more => parts.push(format!("and {more} more")),
    }
    parts.join(", ")
}

type Items = BTreeMap<String, String>;

/// All differences, file by file, in the order of the groups and then of the names.
pub fn between(old: &Version, new: &Version) -> Vec<Difference> {
    let of = |version: &Version| {
        let files = [files(&version.code), files(&version.config)];
        groups(&version.manifest, files)
    };
    in_groups(of(old), of(new))
}

/// The differences that two manifests show by themselves, which is what a log has of versions: of files how many there
/// are, how long, and the root over them.
pub fn of_manifests(old: &Manifest, new: &Manifest) -> Vec<Difference> {
    let of = |manifest: &Manifest| {
        let sums = [sums(&manifest.code), sums(&manifest.config)];
        groups(manifest, sums)
    };
    in_groups(of(old), of(new))
}

type Groups = [(&'static str, Items); 8];

fn in_groups(old: Groups, new: Groups) -> Vec<Difference> {
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

fn groups(manifest: &Manifest, [code, config]: [Items; 2]) -> Groups {
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
        ("code", code),
        ("config", config),
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

fn sums(files: &FileSet) -> Items {
    let ignored = files.ignore.iter();
    let ignored = ignored.map(|prefix| (format!("ignore {prefix}"), "left out".to_owned()));
    let sums = [
        ("root".to_owned(), files.root.to_string()),
        ("files".to_owned(), files.files.to_string()),
        ("bytes".to_owned(), files.bytes.to_string()),
    ];
    sums.into_iter().chain(ignored).collect()
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
    fn told(&self) -> String {
        let name = match self.group {
            "code" | "config" => self.name.clone(),
            group => format!("{group} {}", self.name),
        };
        match (&self.old, &self.new) {
            (None, _) => format!("{name} is new"),
            (_, None) => format!("{name} is gone"),
            _ => format!("{name} has changed"),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_a_few_and_counts_the_rest() {
        let one = |group, name: &str, old: Option<&str>, new: Option<&str>| Difference {
            group,
            name: name.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let mut all = vec![
            one("code", "src/a", None, Some("x")),
            one("config", "agent.toml", Some("x"), Some("y")),
            one("capabilities", "run:x", Some("held"), None),
        ];
        let words = "src/a is new, agent.toml has changed, capabilities run:x is gone";
        assert_eq!(told(&all), words);
        all.extend((0..4).map(|n| one("code", &n.to_string(), None, Some("x"))));
        assert!(told(&all).ends_with("1 is new, and 2 more"));
        assert_eq!(told(&[]), "");
    }
}
