//! Attributes of a span or a record, and of what sent it, found by name.

use watchdogs::alert::Labels;

use super::{Intake, MAX_LABEL_BYTES};
use crate::otlp::message::{KeyValue, Resource, Scope};
use crate::profile::Is;

/// The attributes of one thing, and what else rules may ask for.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a> {
    pub(super) own: &'a [KeyValue],
    pub(super) resource: Option<&'a Resource>,
    pub(super) scope: Option<&'a Scope>,
    pub(super) name: &'a str,
}

/// What rules may ask for that is not an attribute.
pub(super) struct Derived<'a> {
    pub(super) profile: &'a str,
    pub(super) agent: Option<&'a str>,
    pub(super) conversation: Option<&'a str>,
    pub(super) tool: &'a str,
}

impl Attributes<'_> {
    /// An attribute of its own, as text.
    pub(super) fn own(&self, name: &str) -> Option<String> {
        find(self.own, name)
    }

    /// The first of several attributes of its own that is there and not empty.
    pub(super) fn first(&self, names: &[&str]) -> Option<String> {
        let mut found = names.iter().filter_map(|name| self.own(name));
        found.find(|text| !text.is_empty())
    }

    /// Whether an attribute of its own has a value.
    pub(super) fn is(&self, Is(name, value): Is) -> bool {
        let mut found = self.own.iter().filter(|it| it.key == name);
        found.any(|it| it.text().is_some_and(|text| text == value))
    }

    /// Whether one of several conditions holds.
    pub(super) fn is_any(&self, conditions: &[Is]) -> bool {
        conditions.iter().any(|it| self.is(*it))
    }

    /// Whether an attribute of its own begins so.
    pub(super) fn has_prefix(&self, prefix: &str) -> bool {
        self.own.iter().any(|it| it.key.starts_with(prefix))
    }

    /// The labels that rules ask for, and no others.
    pub(super) fn labels(&self, intake: &Intake, derived: &Derived<'_>) -> Labels {
        let wanted = intake.wanted.iter();
        wanted
            .filter_map(|name| {
                let found = self.label(name, derived)?;
                (found.len() <= MAX_LABEL_BYTES).then(|| (name.clone(), found))
            })
            .collect()
    }

    /// What a rule finds under a name: what was derived, an attribute, one of the resource, or what a parent span says.
    fn label(&self, name: &str, derived: &Derived<'_>) -> Option<String> {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        match name {
            "profile" => return owned(Some(derived.profile)),
            "agent" => return owned(derived.agent),
            "conversation" => return owned(derived.conversation),
            "tool" => return owned(Some(derived.tool)),
            "span.name" => return owned(Some(self.name)),
            "scope.name" => return self.scope.map(|scope| scope.name.clone()),
            _ => {}
        }
        let resource = || find(&self.resource?.attributes, name);
        let inherited = || match name {
            "gen_ai.agent.name" => owned(derived.agent),
            "gen_ai.conversation.id" => owned(derived.conversation),
            _ => None,
        };
        self.own(name).or_else(resource).or_else(inherited)
    }
}

fn find(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|it| it.key == name);
    found.and_then(KeyValue::text)
}
