//! What people call the holders of keys, by the charters and the registrations that were heard.

use std::collections::BTreeMap;

use ledger::key::KeyId;
use ledger::record::Body;
use timeline::entry::Entry;

/// The names that charters give to keys, and the agents that have some.
#[derive(Debug, Default)]
pub(crate) struct Holders(BTreeMap<KeyId, String>);

impl Holders {
    /// Hears the next entry.
    pub(crate) fn hear(&mut self, entry: &Entry) {
        match entry.body() {
            Body::Charter(charter) => {
                let names = charter.keys.iter();
                self.0
                    .extend(names.map(|key| (key.key.id(), key.name.to_string())));
            }
            Body::Manifest(registration) => {
                let name = format!("agent {}", registration.agent);
                self.0.insert(registration.key.id(), name);
            }
            _ => {}
        }
    }

    /// What the holder is called, and the key.
    pub(crate) fn name(&self, key: &KeyId) -> String {
        match self.0.get(key) {
            Some(name) => format!("{name} [{key}]"),
            None => format!("[{key}]"),
        }
    }

    /// Several of them.
    pub(crate) fn names(&self, keys: &[KeyId]) -> String {
        let names: Vec<String> = keys.iter().map(|key| self.name(key)).collect();
        names.join(" and ")
    }
}
