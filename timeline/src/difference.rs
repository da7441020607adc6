//! What two versions of a document say differently, member by member: of a charter, of a manifest.

use std::collections::BTreeMap;

use ledger::json::Value;

use crate::words::visible;

/// A member that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it stands: `limits.lease_max_ms`, `keys[operator].roles[operator]`.
    pub member: String,
    /// What it was; `None` if it was not there.
    pub old: Option<String>,
    /// What it is; `None` if it is not there.
    pub new: Option<String>,
}

/// All differences, in the order of the members' names. Elements of a list are told apart by what they are called, so an
/// order alone is not a difference.
pub fn between(old: &Value, new: &Value) -> Vec<Difference> {
    let (old, new) = (members(old), members(new));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    let told = |name: &String| Difference {
        member: visible(name).into_owned(),
        old: old.get(name).map(|text| visible(text).into_owned()),
        new: new.get(name).map(|text| visible(text).into_owned()),
    };
    differing.map(told).collect()
}

fn members(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    gather(String::new(), value, &mut found);
    found
}

fn gather(path: String, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (name, value) in members {
                gather(format!("{path}{dot}{name}"), value, found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                gather(
                    unused(format!("{path}[{}]", called(element)), found),
                    element,
                    found,
                );
            }
        }
        _ => {
            found.insert(path, text(value));
        }
    }
}

/// What an element is called: its name, or the text that it is.
fn called(element: &Value) -> String {
    match element {
        Value::Object(members) => {
            let name = members.iter().find(|(name, _)| name == "name");
            name.map_or_else(String::new, |(_, name)| text(name))
        }
        _ => text(element),
    }
}

/// Two elements may be called the same.
fn unused(path: String, found: &BTreeMap<String, String>) -> String {
    let is_taken = |path: &str| found.keys().any(|known| known.starts_with(path));
    let mut numbered = (2..).map(|number| format!("{path}({number})"));
    match is_taken(&path) {
        true => numbered.find(|path| !is_taken(path)).unwrap_or(path),
        false => path,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(old: &str, new: &str) -> Vec<String> {
        let value = |json: &str| Value::parse(json.as_bytes()).unwrap();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let line =
            |it: Difference| format!("{}: {} > {}", it.member, or_none(it.old), or_none(it.new));
        between(&value(old), &value(new))
            .into_iter()
            .map(line)
            .collect()
    }

    #[test]
    fn members_are_compared_by_where_they_stand() {
        let old = r#"{"limits":{"a":1,"b":2},"mode":"observe"}"#;
        let new = r#"{"limits":{"a":1,"b":3,"c":null},"mode":"enforce"}"#;
        assert_eq!(
            told(old, new),
            [
                "limits.b: 2 > 3",
                "limits.c: – > null",
                "mode: observe > enforce"
            ]
        );
        assert!(told(old, old).is_empty());
    }

    #[test]
    fn elements_are_told_apart_by_what_they_are_called() {
        let old =
            r#"{"keys":[{"name":"ops","roles":["operator"]},{"name":"root","roles":["root"]}]}"#;
        let new = r#"{"keys":[{"name":"root","roles":["root"]},{"name":"ops","roles":["operator","root"]}]}"#;
        assert_eq!(told(old, new), ["keys[ops].roles[root]: – > root"]);
    }

    #[test]
    fn two_of_one_name_are_two_and_nothing_is_hidden() {
        let old = r#"{"keys":[{"name":"ops","key":"A"}]}"#;
        let new = r#"{"keys":[{"name":"ops","key":"A"},{"name":"ops","key":"B\u202e"}]}"#;
        assert_eq!(
            told(old, new),
            [
                "keys[ops](2).key: – > B⟨U+202E⟩",
                "keys[ops](2).name: – > ops"
            ]
        );
    }
}
