//! The one normal form of what a tool said, and the records that it becomes.
//!
//! An alert has a beginning and perhaps an end, so it becomes up to two observations that share their `source_id`. Their
//! `detail` is `monitor=… class=… severity=…`, each value [escaped](ledger::escape), each left out where nobody said it.
//!
//! ```
//! use watchdogs::alert::Detail;
//!
//! let detail = Detail {
//!     monitor: "No heartbeat for 60m".to_owned(),
//!     class: Some(watchdogs::class::Class::Silence),
//!     severity: None,
//! };
//! assert_eq!(detail.to_text().as_str(), "monitor=No+20heartbeat+20for+2060m class=silence");
//! assert_eq!(Detail::parse("monitor=No+20heartbeat+20for+2060m class=silence"), detail);
//! ```

use std::collections::BTreeMap;

use ledger::digest::Digest;
use ledger::escape;
use ledger::json::{Value, object};
use ledger::record::{Event, MAX_CALL_BYTES, Observation, SeenStatus};
use ledger::text::{Name, Text};

use crate::class::Class;

/// The longest name that a tool gives to something, in bytes, before its hash stands for it: room for a path of ids.
pub const MAX_ID_BYTES: usize = 256;

/// What a tool says beside the normal form: labels, tags, members. Rules read them; they never enter a record.
pub type Labels = BTreeMap<String, String>;

/// What a tool said, in the normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The tool.
    pub source: Name,
    /// The tool's own name for it. An alert that opens twice has two of them.
    pub source_id: Text,
    /// The rule or check of the tool that spoke.
    pub monitor: String,
    /// The agent that it is about, once that is known.
    pub agent: Option<Name>,
    /// What kind of thing it is.
    pub kind: Kind,
    /// When it began: milliseconds since the epoch.
    pub opened_ms: u64,
    /// When it ended: milliseconds since the epoch; `None` while it lasts, or where the tool does not say.
    pub closed_ms: Option<u64>,
    /// How bad it is, in the tool's own word.
    pub severity: Option<String>,
}

/// What kind of thing a tool spoke of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An alarm, which opens and closes.
    Alert,
    /// Something that happened once, such as the end of a tool, a restart, or a gap of the source.
    Event {
        /// What.
        event: Event,
        /// The host's own name for the action.
        call: Option<Text>,
        /// How it went.
        status: Option<SeenStatus>,
    },
}

/// An alert as it came, with what rules need to say whom it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What was said.
    pub alert: Alert,
    /// What the tool said beside it.
    pub labels: Labels,
    /// The class that the tool itself named.
    pub class: Option<Class>,
    /// Whether somebody had silenced it, so that nobody was told; `None` where the tool does not say.
    pub muted: Option<bool>,
    /// Whether its name alone says which alert it is. The tool does not say when the alert began, so `opened_ms` is when
    /// the tool spoke, and what comes under the same name speaks of the same alert.
    pub by_name: bool,
}

/// The members of an alert's `detail`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The rule or check of the tool that spoke.
    pub monitor: String,
    /// What it is about, if a rule said so.
    pub class: Option<Class>,
    /// How bad it is, in the tool's own word.
    pub severity: Option<String>,
}

impl Kind {
    /// Something that happened once, of which no more is known.
    #[must_use]
    pub const fn of(event: Event) -> Self {
        Self::Event {
            event,
            call: None,
            status: None,
        }
    }

    /// Its word in the normal form.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Event { event, .. } => event.as_str(),
        }
    }
}

impl Alert {
    /// The digest of the normal form, by which two deliveries of one thing are known to say the same: SHA-256 of the
    /// RFC 8785 text of `{source, source_id, monitor, kind, opened_ms, closed_ms, severity}` and, where an action has them,
    /// `call` and `status`. The agent is not in it, since that is what our own rules say.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut members = vec![
            ("source".to_owned(), Value::from(&self.source)),
            ("source_id".to_owned(), Value::from(&self.source_id)),
            ("monitor".to_owned(), self.monitor.as_str().into()),
            ("kind".to_owned(), self.kind.as_str().into()),
            ("opened_ms".to_owned(), self.opened_ms.into()),
            ("closed_ms".to_owned(), self.closed_ms.into()),
            ("severity".to_owned(), self.severity.clone().into()),
        ];
        if let Kind::Event { call, status, .. } = &self.kind {
            members.push(("call".to_owned(), call.as_ref().into()));
            members.push(("status".to_owned(), (*status).into()));
        }
        Digest::of(&[Value::Object(members).to_jcs().as_bytes()])
    }

    /// The normal form as JSON, for people and for files.
    #[must_use]
    pub fn to_value(&self) -> Value {
        object([
            ("source", (&self.source).into()),
            ("source_id", (&self.source_id).into()),
            ("monitor", self.monitor.as_str().into()),
            ("agent", self.agent.as_ref().into()),
            ("kind", self.kind.as_str().into()),
            ("opened_ms", self.opened_ms.into()),
            ("closed_ms", self.closed_ms.into()),
            ("severity", self.severity.clone().into()),
            ("digest", self.digest().into()),
        ])
    }

    /// The bodies of the records that this becomes, about an agent.
    #[must_use]
    pub fn observations(&self, agent: &Name, class: Option<Class>) -> Vec<Observation> {
        let seen = |event, call, status, ended_ms: Option<u64>, digest| Observation {
            source: self.source.clone(),
            source_id: self.source_id.clone(),
            agent: agent.clone(),
            event,
            call,
            status,
            began_ms: Some(self.opened_ms),
            // A clock that was set back while an alert was open must not make a record that cannot be.
            ended_ms: ended_ms.map(|ended| ended.max(self.opened_ms)),
            digest: Some(digest),
            detail: self.detail(class).to_text(),
        };
        match &self.kind {
            Kind::Event {
                event,
                call,
                status,
            } => vec![seen(
                *event,
                call.clone(),
                *status,
                self.closed_ms,
                self.digest(),
            )],
            Kind::Alert => {
                let opened = Self {
                    closed_ms: None,
                    ..self.clone()
                };
                let first = seen(Event::AlertOpened, None, None, None, opened.digest());
                let closed = self.closed_ms.map(|closed_ms| {
                    let closed_ms = Some(closed_ms);
                    seen(Event::AlertClosed, None, None, closed_ms, self.digest())
                });
                std::iter::once(first).chain(closed).collect()
            }
        }
    }

    fn detail(&self, class: Option<Class>) -> Detail {
        Detail {
            monitor: self.monitor.clone(),
            class,
            severity: self.severity.clone(),
        }
    }
}

impl Detail {
    /// As it is in a record.
    ///
    /// # Panics
    ///
    /// Never: three escaped segments are plain and shorter than a text may be, with the class and the severity bounded.
    #[must_use]
    pub fn to_text(&self) -> Text {
        let monitor = escape::segment(bounded(&self.monitor));
        let severity = self.severity.as_deref().map(bounded);
        let members = [
            ("monitor", monitor),
            ("class", self.class.map(|class| class.to_string())),
            ("severity", severity.and_then(escape::segment)),
        ];
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let text = members.collect::<Vec<_>>().join(" ");
        text.parse()
            .unwrap_or_else(|_| plain_text("monitor=unreadable"))
    }

    /// Reads the detail of a record; what it does not say stays empty.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut detail = Self::default();
        for (name, value) in text.split(' ').filter_map(|part| part.split_once('=')) {
            match name {
                "monitor" => detail.monitor = unescaped(value),
                "class" => detail.class = value.parse().ok(),
                "severity" => detail.severity = Some(unescaped(value)),
                _ => {}
            }
        }
        detail
    }
}

/// The longest part of a detail, in bytes before it is escaped: an escape is three bytes for one, and a text has 1,024.
const MAX_DETAIL_BYTES: usize = 150;

/// The beginning of a text, cut between characters.
fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_DETAIL_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Reads escapes back. A hash that stands for something long stays as it is.
fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let hex = rest.strip_prefix('+').and_then(|rest| rest.get(..2));
        let byte = hex
            .filter(|hex| hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let length = match byte {
            Some(byte) => {
                bytes.push(byte);
                3
            }
            None => {
                bytes.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
                first.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether an alert was muted that two sources speak of: not if it was told anywhere.
#[must_use]
pub fn muted(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one && other),
        (one, other) => one.or(other),
    }
}

/// A tool's own name for something, as a record can hold it: itself where it is plain and short, else its escape or,
/// where that is too long, its hash.
#[must_use]
pub fn id(text: &str) -> Text {
    match text.parse::<Text>() {
        Ok(plain) if !text.is_empty() && text.len() <= MAX_ID_BYTES => plain,
        _ => named(text),
    }
}

/// The host's own name for an action, as a record can hold it.
#[must_use]
pub fn call(text: &str) -> Option<Text> {
    match text.parse::<Text>() {
        Ok(plain) if !text.is_empty() && text.len() <= MAX_CALL_BYTES => Some(plain),
        _ if text.is_empty() => None,
        _ => Some(named(text)),
    }
}

fn named(text: &str) -> Text {
    let name = escape::name(text);
    plain_text(name.as_ref().map_or("-", Name::as_str))
}

/// A text of the alphabet of names.
fn plain_text(text: &str) -> Text {
    text.parse()
        .expect("the alphabet of names has no control characters, and names are short")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alert() -> Alert {
        Alert {
            source: "prometheus".parse().unwrap(),
            source_id: id("7244e421ba15e01f/1795982400000"),
            monitor: "AgentHeartbeatMissing".to_owned(),
            agent: None,
            kind: Kind::Alert,
            opened_ms: 1_795_982_400_000,
            closed_ms: Some(1_795_983_168_000),
            severity: Some("page".to_owned()),
        }
    }

    #[test]
    fn an_alert_opens_and_closes_under_one_name() {
        let agent = "reconciler".parse().unwrap();
        let seen = alert().observations(&agent, Some(Class::Silence));
        let [opened, closed] = seen.as_slice() else {
            panic!("{seen:?}");
        };
        assert_eq!(
            (opened.event, closed.event),
            (Event::AlertOpened, Event::AlertClosed)
        );
        assert_eq!(opened.source_id, closed.source_id);
        assert_eq!(
            (opened.ended_ms, closed.ended_ms),
            (None, alert().closed_ms)
        );
        let detail = "monitor=AgentHeartbeatMissing class=silence severity=page";
        assert_eq!(opened.detail.as_str(), detail);
        assert_ne!(opened.digest, closed.digest);
    }

    #[test]
    fn what_opened_says_the_same_before_and_after_it_closed() {
        let agent = "reconciler".parse().unwrap();
        let open = Alert {
            closed_ms: None,
            ..alert()
        };
        let (before, after) = (
            open.observations(&agent, None),
            alert().observations(&agent, None),
        );
        assert_eq!(before.len(), 1);
        assert_eq!(before.first(), after.first());
    }

    #[test]
    fn the_digest_is_of_all_that_was_said_and_not_of_whom_it_is_about() {
        let mapped = Alert {
            agent: Some("reconciler".parse().unwrap()),
            ..alert()
        };
        assert_eq!(mapped.digest(), alert().digest());
        let changes: [fn(&mut Alert); 6] = [
            |it| it.source = "other".parse().unwrap(),
            |it| it.source_id = id("other"),
            |it| it.monitor.push('x'),
            |it| it.opened_ms += 1,
            |it| it.closed_ms = None,
            |it| it.severity = None,
        ];
        for change in changes {
            let mut changed = alert();
            change(&mut changed);
            assert_ne!(changed.digest(), alert().digest(), "{changed:?}");
        }
    }

    #[test]
    fn an_end_before_its_beginning_is_no_record() {
        let back = Alert {
            closed_ms: Some(1),
            ..alert()
        };
        let seen = back.observations(&"a".parse().unwrap(), None);
        assert_eq!(seen[1].ended_ms, Some(back.opened_ms));
    }

    #[test]
    fn long_and_odd_names_become_plain_ones() {
        assert_eq!(id("a b/c").as_str(), "a b/c");
        assert_eq!(id("a\u{202e}b").as_str(), "a+e2+80+aeb");
        assert_eq!(id("").as_str(), "-");
        assert!(id(&"x".repeat(257)).as_str().starts_with("+."));
        assert_eq!(call(""), None);
        assert!(call(&"x".repeat(129)).unwrap().as_str().starts_with("+."));
    }

    proptest! {
        #[test]
        fn a_detail_reads_back(monitor in "[a-z+ =é\u{202e}\n]{0,40}", severity in proptest::option::of("[a-z ]{1,9}")) {
            let detail = Detail { monitor, class: Some(Class::Stall), severity };
            prop_assert_eq!(Detail::parse(detail.to_text().as_str()), detail);
        }

        #[test]
        fn any_detail_fits_a_record(monitor in "\\PC{0,600}", severity in proptest::option::of("\\PC{0,600}")) {
            let text = Detail { monitor, class: Some(Class::Unfinished), severity }.to_text();
            prop_assert!(text.as_str().len() <= ledger::text::MAX_TEXT_BYTES && text.as_str() != "monitor=unreadable");
        }
    }
}
