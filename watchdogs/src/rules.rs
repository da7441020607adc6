//! Whom a notice is about: rules over its labels.
//!
//! ```toml
//! [[map]]
//! source = "alertmanager"
//! where = { alertname = "AgentHeartbeatMissing", instance = "10.0.0.5:9100" }
//! agent = "reconciler"
//! class = "silence"
//! ```
//!
//! A rule fits a notice of its source whose labels have every value that `where` asks for. Of the rules that fit, the one
//! with the most conditions decides. Two rules with as many conditions that could fit the same notice and say different
//! things are a tie, and are refused when they are loaded: the order in a file decides nothing.
//!
//! `agent` is a name, or `{label}` for whatever name that label has.

use std::collections::BTreeMap;

use ledger::escape;
use ledger::text::{Name, quoted};
use serde::Deserialize;

use crate::alert::{Labels, Notice};
use crate::class::Class;

/// The most rules of a file: more than agents that anybody names by hand, few enough to compare each with each.
pub const MAX_RULES: usize = 4_096;

/// The rules of a file, none of which ties with another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    source: Name,
    conditions: BTreeMap<String, String>,
    agent: Option<AgentOf>,
    class: Option<Class>,
}

/// How a rule names an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AgentOf {
    Name(Name),
    Label(String),
}

/// What rules say about a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The agent that it is about; `None` where nothing says so.
    pub agent: Option<Name>,
    /// What it is about.
    pub class: Option<Class>,
}

/// Why rules are of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// There are too many.
    #[error("{count} rules, at most {MAX_RULES}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A name is not a name.
    #[error("[[map]] {place}: {what} {text} is not a name")]
    NotAName {
        /// Which rule, counted from 1.
        place: usize,
        /// Which member.
        what: &'static str,
        /// What it says.
        text: String,
    },
    /// A condition is neither a text, a number nor a truth value.
    #[error("[[map]] {place}: where.{label} is not a text, a whole number, true or false")]
    NotAValue {
        /// Which rule, counted from 1.
        place: usize,
        /// Which label.
        label: String,
    },
    /// Two rules have the same conditions, or as many that can hold at once, and nothing says which one decides.
    #[error(
        "[[map]] {first} and [[map]] {second} tie: both can fit one notice of {source_name} and have as many conditions; \
         add a condition to one of them"
    )]
    Tie {
        /// One, counted from 1.
        first: usize,
        /// The other.
        second: usize,
        /// Whose notices.
        source_name: Name,
    },
    /// A rule is about a source that the file does not have.
    #[error("[[map]] {place}: the file has no [[source]] {source_name}")]
    UnknownSource {
        /// Which rule, counted from 1.
        place: usize,
        /// The source.
        source_name: Name,
    },
}

/// A rule as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    source: String,
    #[serde(default, rename = "where")]
    conditions: toml::Table,
    agent: Option<String>,
    class: Option<Class>,
}

impl Rules {
    /// Takes rules as they are written; `knows` says which sources there are.
    pub(crate) fn of(
        written: Vec<Written>,
        knows: impl Fn(&Name) -> bool,
    ) -> Result<Self, RulesError> {
        if written.len() > MAX_RULES {
            let count = written.len();
            return Err(RulesError::TooMany { count });
        }
        let places = (1..).zip(written);
        let rules: Vec<Rule> = places
            .map(|(place, written)| Rule::of(place, written))
            .collect::<Result<_, _>>()?;
        for (place, rule) in (1..).zip(&rules) {
            if !knows(&rule.source) {
                let source_name = rule.source.clone();
                return Err(RulesError::UnknownSource { place, source_name });
            }
        }
        none_tie(&rules)?;
        Ok(Self(rules))
    }

    /// What the rules say of a notice. What it says itself, as the rows of a table do, counts where no rule says more.
    #[must_use]
    pub fn map(&self, notice: &Notice) -> Mapped {
        let said = Mapped {
            agent: notice.alert.agent.clone(),
            class: notice.class,
        };
        let by_rule = self.map_labels(&notice.alert.source, &notice.labels);
        Mapped {
            agent: by_rule.agent.or(said.agent),
            class: by_rule.class.or(said.class),
        }
    }

    /// What the rules say of labels of a source.
    #[must_use]
    pub fn map_labels(&self, source: &Name, labels: &Labels) -> Mapped {
        let fitting = self.0.iter().filter(|rule| rule.fits(source, labels));
        let rule = fitting.max_by_key(|rule| rule.conditions.len());
        rule.map_or_else(Mapped::default, |rule| Mapped {
            agent: rule.agent.as_ref().and_then(|agent| agent.name(labels)),
            class: rule.class,
        })
    }

    /// The labels that any rule reads: all that a receiver has to keep of what a tool sends.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|rule| {
            let named = match &rule.agent {
                Some(AgentOf::Label(label)) => Some(label.as_str()),
                _ => None,
            };
            rule.conditions.keys().map(String::as_str).chain(named)
        })
    }
}

impl Rule {
    fn of(place: usize, written: Written) -> Result<Self, RulesError> {
        let name = |what, text: &str| {
            text.parse::<Name>().map_err(|_| RulesError::NotAName {
                place,
                what,
                text: quoted(text),
            })
        };
        let label = |agent: &str| {
            let inner = agent.strip_prefix('{')?.strip_suffix('}')?;
            Some(AgentOf::Label(inner.to_owned()))
        };
        let agent = written.agent.map(|agent| match label(&agent) {
            Some(label) => Ok(label),
            None => name("agent", &agent).map(AgentOf::Name),
        });
        let mut conditions = BTreeMap::new();
        flatten("", written.conditions, &mut conditions)
            .map_err(|label| RulesError::NotAValue { place, label })?;
        Ok(Self {
            source: name("source", &written.source)?,
            conditions,
            agent: agent.transpose()?,
            class: written.class,
        })
    }

    fn fits(&self, source: &Name, labels: &Labels) -> bool {
        let has = |(label, value): (&String, &String)| labels.get(label) == Some(value);
        self.source == *source
            && self.conditions.iter().all(has)
            && self
                .agent
                .as_ref()
                .is_none_or(|it| it.name(labels).is_some())
    }

    /// Whether one notice could fit both, as far as their conditions go.
    fn can_meet(&self, other: &Self) -> bool {
        let agrees = |(label, value): (&String, &String)| {
            other.conditions.get(label).is_none_or(|it| it == value)
        };
        self.source == other.source && self.conditions.iter().all(agrees)
    }

    fn ties(&self, other: &Self) -> bool {
        let same_answer = self.agent == other.agent && self.class == other.class;
        let is_repeated = self.conditions == other.conditions;
        self.conditions.len() == other.conditions.len()
            && self.can_meet(other)
            && (!same_answer || is_repeated)
    }
}

impl AgentOf {
    fn name(&self, labels: &Labels) -> Option<Name> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::Label(label) => escape::name(labels.get(label)?),
        }
    }
}

/// A dotted key in TOML is a table in a table; a label with dots in its name is meant.
fn flatten(
    prefix: &str,
    table: toml::Table,
    out: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    for (name, value) in table {
        let label = format!("{prefix}{name}");
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            toml::Value::Table(inner) => {
                flatten(&format!("{label}."), inner, out)?;
                continue;
            }
            _ => return Err(label),
        };
        out.insert(label, text);
    }
    Ok(())
}

fn none_tie(rules: &[Rule]) -> Result<(), RulesError> {
    for (at, first) in rules.iter().enumerate() {
        let behind = rules.iter().enumerate().skip(at + 1);
        if let Some((other, _)) = behind.into_iter().find(|(_, second)| first.ties(second)) {
            return Err(RulesError::Tie {
                first: at + 1,
                second: other + 1,
                source_name: first.source.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        map: Vec<Written>,
    }

    fn rules(text: &str) -> Result<Rules, RulesError> {
        let file: File = toml::from_str(text).unwrap();
        Rules::of(file.map, |source| source.as_str() != "unknown")
    }

    fn rule(conditions: &str, says: &str) -> String {
        format!("[[map]]\nsource = \"s\"\nwhere = {{ {conditions} }}\n{says}\n")
    }

    fn mapped(rules: &Rules, labels: &[(&str, &str)]) -> (Option<String>, Option<Class>) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let labels = labels.iter().map(owned).collect();
        let mapped = rules.map_labels(&"s".parse().unwrap(), &labels);
        (mapped.agent.map(|agent| agent.to_string()), mapped.class)
    }

    #[test]
    fn the_rule_with_the_most_conditions_decides() {
        let text = [
            rule("", "agent = \"any\""),
            rule("a = \"1\"", "agent = \"one\"\nclass = \"stall\""),
            rule("a = \"1\", b = 2", "agent = \"two\""),
            rule("service.name = \"x\"", "agent = \"{name}\""),
        ];
        let conflicting = rules(&text.concat());
        assert!(matches!(
            conflicting,
            Err(RulesError::Tie {
                first: 2,
                second: 4,
                ..
            })
        ));
        let rules = rules(&text[..3].concat()).unwrap();
        for (labels, agent, class) in [
            (&[][..], "any", None),
            (&[("a", "2")], "any", None),
            (&[("a", "1")], "one", Some(Class::Stall)),
            (&[("a", "1"), ("b", "3")], "one", Some(Class::Stall)),
            (&[("a", "1"), ("b", "2")], "two", None),
        ] {
            assert_eq!(mapped(&rules, labels), (Some(agent.to_owned()), class));
        }
    }

    #[test]
    fn an_agent_may_be_named_by_a_label() {
        let text = rule("service.name = \"x\"", "agent = \"{gen_ai.agent.name}\"");
        let rules = rules(&text).unwrap();
        let service = ("service.name", "x");
        let named = mapped(&rules, &[service, ("gen_ai.agent.name", "my payer")]);
        assert_eq!(named.0.as_deref(), Some("my+20payer"));
        assert_eq!(mapped(&rules, &[service]), (None, None));
        let read: Vec<&str> = rules.labels().collect();
        assert_eq!(read, ["service.name", "gen_ai.agent.name"]);
    }

    #[test]
    fn ties_are_refused_and_what_cannot_tie_is_not() {
        let (one, two) = ("agent = \"one\"", "agent = \"two\"");
        for (first, second, is_tie) in [
            (rule("a = \"1\"", one), rule("a = \"1\"", two), true),
            (rule("a = \"1\"", one), rule("a = \"1\"", one), true),
            (rule("a = \"1\"", one), rule("b = \"1\"", two), true),
            (rule("a = \"1\"", one), rule("b = \"1\"", one), false),
            (rule("a = \"1\"", one), rule("a = \"2\"", two), false),
            (rule("a = \"1\"", one), rule("a = \"1\", b = 1", two), false),
            (rule("", one), rule("", two), true),
        ] {
            let refused = rules(&format!("{first}{second}"));
            let tie = matches!(
                refused,
                Err(RulesError::Tie {
                    first: 1,
                    second: 2,
                    ..
                })
            );
            assert_eq!(tie, is_tie, "{first}{second}{refused:?}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let refused = rules("[[map]]\nsource = \"unknown\"");
        assert!(matches!(
            refused,
            Err(RulesError::UnknownSource { place: 1, .. })
        ));
        let refused = rules(&rule("", "agent = \"a b\""));
        assert!(matches!(
            refused,
            Err(RulesError::NotAName { what: "agent", .. })
        ));
        let refused = rules(&rule("a = 1.5", "agent = \"x\""));
        assert!(matches!(refused, Err(RulesError::NotAValue { .. })));
    }
}
