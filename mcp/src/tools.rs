//! The tools of a server: what defines one, and whether it is still what the manifest says.
//!
//! A definition is what a model goes by: name, description, the schemas of what goes in and comes out, and the
//! annotations. Its digest is the SHA-256 of the JCS (RFC 8785) of an object of those five that the tool has.

use std::collections::BTreeMap;

use ledger::digest::Digest;
use ledger::escape;
use ledger::text::Name;
use serde_json::{Map, Value};

/// The members that define a tool.
const DEFINING: [&str; 5] = [
    "name",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
];

/// How many tools of one server are remembered.
const MOST: usize = 4096;

/// A tool, as its server shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The tool's name, as calls have it.
    pub called: String,
    /// The name that the manifest has for it: escaped where a name's alphabet lacks a character.
    pub name: Name,
    /// The digest of its definition.
    pub digest: Digest,
}

/// The definitions in a result of `tools/list`; what is not one is passed over.
pub fn definitions(result: &[u8]) -> Vec<Definition> {
    let listed = serde_json::from_slice::<Value>(result).ok();
    let tools = listed
        .as_ref()
        .and_then(|listed| listed.get("tools"))
        .and_then(Value::as_array);
    tools.into_iter().flatten().filter_map(definition).collect()
}

fn definition(tool: &Value) -> Option<Definition> {
    let called = tool.get("name")?.as_str()?.to_owned();
    let members = DEFINING
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), tool.get(name)?.clone())));
    let members: Map<String, Value> = members.collect();
    let canonical = serde_json_canonicalizer::to_vec(&members).ok()?;
    Some(Definition {
        name: escape::name(&called)?,
        digest: Digest::of(&[&canonical]),
        called,
    })
}

/// What is known of the tools of one server.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    /// What the manifest says; empty where it says nothing of this server.
    registered: BTreeMap<Name, Digest>,
    /// What the server showed last.
    shown: BTreeMap<Name, Shown>,
}

#[derive(Debug)]
struct Shown {
    digest: Digest,
    /// What it showed first, where the manifest does not say.
    first: Digest,
}

/// How a tool differs from what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    /// Its definition is another than the manifest's.
    Changed { is: Digest },
    /// The manifest lists tools of this server, and not this one.
    Unlisted { is: Digest },
    /// The manifest says nothing of this server, which has changed the definition since it first showed it.
    ChangedSinceShown { is: Digest },
}

impl Tools {
    pub(crate) fn new(registered: impl IntoIterator<Item = (Name, Digest)>) -> Self {
        Self {
            registered: registered.into_iter().collect(),
            shown: BTreeMap::new(),
        }
    }

    /// Takes what the server shows, and says what differs and was not known to.
    pub(crate) fn show(&mut self, definitions: Vec<Definition>) -> Vec<(Name, Drift)> {
        let mut news = Vec::new();
        for Definition { name, digest, .. } in definitions {
            let before = self.drift(&name);
            let is_full = self.shown.len() >= MOST;
            match self.shown.get_mut(&name) {
                Some(shown) => shown.digest = digest,
                None if is_full => continue,
                None => {
                    let shown = Shown {
                        digest,
                        first: digest,
                    };
                    self.shown.insert(name.clone(), shown);
                }
            }
            let now = self.drift(&name).filter(|now| before.as_ref() != Some(now));
            news.extend(now.map(|drift| (name, drift)));
        }
        news
    }

    /// How a tool differs from what it should be, as far as the server has shown it.
    pub(crate) fn drift(&self, name: &Name) -> Option<Drift> {
        let shown = self.shown.get(name)?;
        let is = shown.digest;
        match self.registered.get(name) {
            Some(registered) => (*registered != is).then_some(Drift::Changed { is }),
            None if !self.registered.is_empty() => Some(Drift::Unlisted { is }),
            None => (shown.first != is).then_some(Drift::ChangedSinceShown { is }),
        }
    }

    /// The digest of a tool's definition: as it was shown, else as the manifest has it.
    pub(crate) fn digest(&self, name: &Name) -> Option<Digest> {
        let shown = self.shown.get(name).map(|shown| shown.digest);
        shown.or_else(|| self.registered.get(name).copied())
    }
}

impl Drift {
    /// For the refs of a result.
    pub(crate) fn to_ref(&self) -> String {
        match self {
            Self::Changed { is } => format!("changed {is}"),
            Self::Unlisted { is } => format!("unlisted {is}"),
            Self::ChangedSinceShown { is } => format!("changed-since-shown {is}"),
        }
    }

    /// For people.
    pub(crate) fn warning(&self, server: &str, tool: &Name) -> String {
        let what = match self {
            Self::Changed { .. } => "is not what the manifest says: its definition was changed",
            Self::Unlisted { .. } => {
                "is not in the manifest, which lists other tools of this server"
            }
            Self::ChangedSinceShown { .. } => "was changed by the server since it first showed it",
        };
        format!("warning: the tool {tool} of {server} {what}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(description: &str) -> Vec<Definition> {
        let list = format!(
            r#"{{"tools":[{{"name":"edit file","description":"{description}","inputSchema":{{"b":1.0,"a":[]}},"title":"t","icons":[]}},{{"title":"no name"}}],"nextCursor":"x"}}"#
        );
        definitions(list.as_bytes())
    }

    #[test]
    fn a_definition_is_five_members_in_canonical_form() {
        let canonical = r#"{"description":"d","inputSchema":{"a":[],"b":1},"name":"edit file"}"#;
        let definition = &shown("d")[0];
        assert_eq!(definition.digest, Digest::of(&[canonical.as_bytes()]));
        assert_eq!(
            (definition.name.as_str(), definition.called.as_str()),
            ("edit+20file", "edit file")
        );
        assert_eq!(shown("d").len(), 1);
        assert_ne!(shown("d")[0].digest, shown("e")[0].digest);
    }

    #[test]
    fn drift_is_from_the_manifest_or_from_what_was_first_shown() {
        let name: Name = "edit+20file".parse().unwrap();
        let (one, other) = (shown("d")[0].digest, shown("e")[0].digest);
        let mut unknown = Tools::default();
        assert_eq!(unknown.digest(&name), None);
        assert_eq!(unknown.show(shown("d")), []);
        assert_eq!(unknown.digest(&name), Some(one));
        let drift = Drift::ChangedSinceShown { is: other };
        assert_eq!(unknown.show(shown("e")), [(name.clone(), drift.clone())]);
        assert_eq!(unknown.show(shown("e")), [], "it was said");
        assert_eq!(unknown.drift(&name), Some(drift));
        assert_eq!(unknown.show(shown("d")), [], "and it is again what it was");
        assert_eq!(unknown.drift(&name), None);

        let mut listed = Tools::new([(name.clone(), one)]);
        assert_eq!(
            (listed.digest(&name), listed.drift(&name)),
            (Some(one), None)
        );
        assert_eq!(listed.show(shown("d")), []);
        let drift = Drift::Changed { is: other };
        assert_eq!(listed.show(shown("e")), [(name.clone(), drift)]);
        assert_eq!(listed.digest(&name), Some(other));

        let mut others = Tools::new([("x".parse().unwrap(), one)]);
        assert_eq!(
            others.show(shown("d")),
            [(name, Drift::Unlisted { is: one })]
        );
    }
}
