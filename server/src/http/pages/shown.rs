//! Values in the form in which the pages show them. The templates escape all text; nothing in it is hidden.

use std::borrow::Cow;
use std::fmt::Display;

use askama::Template;
use askama::filters::HtmlSafe;
use ledger::govern;
use ledger::key::KeyId;
use ledger::record::AgentState;
use timeline::entry::Entry;
use timeline::words;

use crate::log::Published;

/// A time: in UTC, to the second for people, to the millisecond for programs.
#[derive(Clone, Copy, Template)]
#[template(
    source = "<time datetime=\"{{ self.utc() }}\">{{ self.in_short() }}</time>",
    ext = "html"
)]
pub(super) struct When(pub(super) u64);

/// A state: its word, and a sign and a colour by its class.
#[derive(Clone, Copy, Template)]
#[template(
    source = "<span class=\"state is-{{ self.0 }}\">{{ self.0 }}</span>",
    ext = "html"
)]
pub(super) struct State(pub(super) AgentState);

/// An entry in a line.
pub(super) struct Row {
    pub(super) index: u64,
    pub(super) when: When,
    pub(super) kind: &'static str,
    pub(super) agent: Option<String>,
    pub(super) what: String,
    pub(super) state: Option<State>,
}

impl When {
    fn utc(self) -> String {
        words::utc(self.0)
    }

    fn in_short(self) -> String {
        let utc = words::utc(self.0);
        let seconds = utc.get(..19).unwrap_or(&utc);
        seconds.replace('T', " ")
    }
}

/// Both are made of escaped text and this program's own markup.
impl HtmlSafe for When {}
impl HtmlSafe for State {}

impl Row {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            index: entry.index.get(),
            when: When(entry.received_ms),
            kind: entry.kind(),
            agent: entry.record.record().agent().map(ToString::to_string),
            what: entry.what(),
            state: entry.state().map(State),
        }
    }
}

/// Text with nothing hidden in it.
pub(super) fn visible(text: &str) -> String {
    words::visible(text).into_owned()
}

/// How long ago something was: to the second, since nobody reads faster.
fn ago(ms: u64) -> String {
    match ms {
        0..1_000 => "less than a second ago".to_owned(),
        ms => format!("{} ago", words::span(ms)),
    }
}

/// When an agent's last heartbeat came, by the log's time now; `None` before the first.
pub(super) fn last_beat(agent: &govern::Agent, now_ms: u64) -> Option<String> {
    let beat_ms = Some(agent.last_beat_ms()).filter(|ms| *ms > 0);
    beat_ms.map(|ms| ago(now_ms.saturating_sub(ms)))
}

/// When an agent last got on with its goals; `None` while it has none open, for which the rules count nothing.
pub(super) fn last_progress(
    published: &Published,
    agent: &govern::Agent,
    now_ms: u64,
) -> Option<String> {
    let age_ms = published.state.progress_age_ms(agent, now_ms);
    agent.open_goals().next().map(|_| ago(age_ms))
}

/// Who holds a key: by the charter in force, or the agent whose key it is.
pub(super) fn holder(published: &Published, keyid: &KeyId) -> Option<String> {
    let state = &published.state;
    if let Some(agent) = state.owner(keyid) {
        return Some(format!("agent {agent}"));
    }
    let charter = state.charter()?;
    if charter.log_key_ids().any(|id| id == *keyid) {
        return Some("the log".to_owned());
    }
    let key = charter.keys.iter().find(|key| key.key.id() == *keyid)?;
    let roles: Vec<&str> = key.roles.iter().map(|role| role.as_str()).collect();
    let distrusted = match charter.distrusted.contains(keyid) {
        true => ", distrusted",
        false => "",
    };
    Some(format!(
        "{} ({}{distrusted})",
        visible(key.name.as_str()),
        roles.join(", ")
    ))
}

/// Values as text.
pub(super) fn texts<T: Display>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// Where the verifier's page checks the evidence at an address of this service.
pub(super) fn verify(address: &str) -> String {
    format!("/verify/#evidence=..{}", in_query(address))
}

/// Text as a query holds it, but for the slash, which nothing takes for anything else (RFC 3986 §3.4).
pub(super) fn in_query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let escape = |byte: u8| match plain(byte) {
        true => Cow::Owned(char::from(byte).to_string()),
        false => Cow::Owned(format!("%{byte:02X}")),
    };
    text.bytes()
        .map(escape)
        .collect::<Vec<Cow<'_, str>>>()
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_fragment() {
        let link = verify("/v1/pack?agent=a:b@c");
        assert_eq!(link, "/verify/#evidence=../v1/pack%3Fagent%3Da%3Ab%40c");
    }

    #[test]
    fn times_are_for_people_and_for_programs() {
        let html = When(1_764_000_000_123).render().unwrap();
        let want = "<time datetime=\"2025-11-24T16:00:00.123Z\">2025-11-24 16:00:00</time>";
        assert_eq!(html, want);
    }
}
