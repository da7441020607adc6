//! Server-sent events, read one after another.

use std::io::{BufRead as _, BufReader};

use reqwest::blocking::Response;
use serde_json::Value;

/// An open stream of events.
#[derive(Debug)]
pub struct Events(BufReader<Response>);

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id: an index of the log.
    pub id: u64,
    /// `entry` or `transition`.
    pub name: String,
    /// What it says.
    pub data: Value,
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        Self(BufReader::new(response))
    }

    /// Reads on until an event that is meant.
    ///
    /// # Panics
    /// If the stream ends before.
    pub fn until(&mut self, is_meant: impl Fn(&Event) -> bool) -> Event {
        self.find(is_meant).expect("a stream that goes on")
    }

    /// Reads on until the transition by a rule.
    pub fn until_rule(&mut self, rule: &str) -> Event {
        self.until(|event| event.name == "transition" && event.data["payload"]["rule"] == rule)
    }

    /// The fields of the next event, and comments before it passed over; empty at the end.
    fn fields(&mut self) -> Vec<String> {
        let mut fields = Vec::new();
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap_or(0) > 0 {
            let field = line.trim_end().to_owned();
            line.clear();
            match field.as_str() {
                "" if fields.is_empty() => {}
                "" => return fields,
                comment if comment.starts_with(':') => {}
                _ => fields.push(field),
            }
        }
        Vec::new()
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let fields = self.fields();
        let field = |name: &str| {
            let value =
                |field: &String| Some(field.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
            fields.iter().find_map(value)
        };
        Some(Event {
            id: field("id")?.parse().expect("an index"),
            name: field("event")?,
            data: serde_json::from_str(&field("data")?).expect("JSON"),
        })
    }
}
