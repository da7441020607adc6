//! Tells the process that speaks for the agent about an event, and what follows from its answer.

use std::time::{Duration, Instant};

use client::disclosure::MAX_VALUE_BYTES;
use client::socket::{Answer, SocketError, Speaker};
use ledger::digest::Digest;
use ledger::json::{Value, object};
use ledger::scope::Scope;

use super::{Event, Kind, scope};

/// What follows for the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It goes on.
    GoOn,
    /// The log does not allow it.
    Denied(String),
    /// Nobody has decided.
    Failed(String),
}

/// A conversation about one event.
pub(crate) struct Telling<'a> {
    pub(crate) speaker: &'a Speaker,
    pub(crate) event: &'a Event,
    /// The root of all paths, where somebody has named it; else the session's.
    pub(crate) root: Option<String>,
    pub(crate) deadline: Instant,
}

impl Telling<'_> {
    /// Tells it.
    pub(crate) fn tell(&self) -> Decision {
        let told = match self.event.kind {
            Kind::Before => self.before(),
            Kind::After | Kind::Failed => self.after(),
            kind => self.of_session(kind),
        };
        told.unwrap_or_else(|error| Decision::Failed(error.to_string()))
    }

    /// Every part of the action is permitted, or all of it is cancelled.
    fn before(&self) -> Result<Decision, SocketError> {
        let root = self.root()?;
        for (part, scope) in (0..).zip(scope::scopes(self.event, &root)) {
            let answer = self.ask("intent", self.intent(part, &scope))?;
            if answer.is_done() {
                continue;
            }
            if part > 0 {
                self.cancel(part)?;
            }
            let why = format!("{scope}: {}", answer.why());
            return Ok(match answer.is_denied() {
                true => Decision::Denied(why),
                false => Decision::Failed(why),
            });
        }
        Ok(Decision::GoOn)
    }

    fn intent(&self, part: u64, scope: &Scope) -> Value {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // The answer has to get here, too.
        let left = left.saturating_sub(Duration::from_millis(500)).as_millis();
        let mut intent = self.session();
        let inputs = object([kept("input", self.input())]);
        intent.merge(object([
            ("scope", scope.to_string().as_str().into()),
            ("inputs", inputs),
            ("refs", self.refs()),
            (
                "deadline_ms",
                u64::try_from(left).unwrap_or(u64::MAX).into(),
            ),
        ]));
        intent.merge(self.named(part));
        if let Some(subagent) = &self.event.subagent {
            intent.merge(object([("subagent", short(subagent).as_str().into())]));
        }
        if part > 0 && self.event.call.is_some() {
            intent.merge(object([("part", part.into())]));
        }
        if scope.verb() == "spawn" && self.event.call.is_some() {
            // It is over when the sub-agent begins, and that event does not name the call.
            intent.merge(object([("pair", scope.to_string().as_str().into())]));
        }
        intent
    }

    fn after(&self) -> Result<Decision, SocketError> {
        let mut result = object([("status", self.event.status().into())]);
        if let Some(ms) = self.event.duration_ms() {
            result.merge(object([("duration_ms", ms.into())]));
        }
        if let Some(output) = self.event.output() {
            result.merge(object([("outputs", object([kept("output", output)]))]));
        }
        self.results(result, self.parts()?)
    }

    fn cancel(&self, parts: u64) -> Result<Decision, SocketError> {
        self.results(object([("status", "cancelled".into())]), parts)
    }

    /// One result closes all parts of a call that has a name.
    fn results(&self, result: Value, parts: u64) -> Result<Decision, SocketError> {
        for part in 0..parts {
            let mut line = self.session();
            line.merge(self.named(part));
            line.merge(result.clone());
            let answer = self.ask("result", line)?;
            if !answer.is_done() {
                return Ok(Decision::Failed(answer.why()));
            }
        }
        Ok(Decision::GoOn)
    }

    fn parts(&self) -> Result<u64, SocketError> {
        if self.event.call.is_some() {
            return Ok(1);
        }
        let count = scope::scopes(self.event, &self.root()?).len();
        Ok(u64::try_from(count).unwrap_or(1))
    }

    fn of_session(&self, kind: Kind) -> Result<Decision, SocketError> {
        let mut line = self.session();
        let more = match kind {
            Kind::Batch => {
                let calls = self.event.batch().into_iter();
                let calls = calls.map(|call| short(&call).as_str().into()).collect();
                object([("cancel", "calls".into()), ("calls", Value::Array(calls))])
            }
            Kind::SubagentStart => return self.has_spawned(),
            Kind::SubagentStop => match &self.event.subagent {
                Some(subagent) => object([
                    ("cancel", "subagent".into()),
                    ("subagent", short(subagent).as_str().into()),
                ]),
                None => return Ok(Decision::GoOn),
            },
            Kind::TurnEnd if self.event.has_background() => object([("cancel", "turn".into())]),
            Kind::TurnEnd => object([("cancel", "turn".into()), ("end", "turn".into())]),
            Kind::SessionEnd => object([("end", "session".into())]),
            _ => {
                self.root()?;
                return Ok(Decision::GoOn);
            }
        };
        line.merge(more);
        let answer = self.ask("session", line)?;
        Ok(match answer.is_done() {
            true => Decision::GoOn,
            false => Decision::Failed(answer.why()),
        })
    }

    /// What has begun goes on by itself: the call that began it is over. If its own event came first, nothing is left.
    fn has_spawned(&self) -> Result<Decision, SocketError> {
        let spawned = self.event.subagent_type().unwrap_or("general-purpose");
        let scope = ledger::escape::segment(spawned).map(|segment| format!("spawn:{segment}"));
        let mut line = self.session();
        line.merge(object([(
            "pair",
            scope.unwrap_or_default().as_str().into(),
        )]));
        self.ask("result", line)?;
        Ok(Decision::GoOn)
    }

    /// The root that paths are relative to: where the session's first event was.
    fn root(&self) -> Result<String, SocketError> {
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        let mut line = self.session();
        let cwd = self.event.cwd.as_deref();
        if let Some(cwd) = cwd {
            line.merge(object([("root", cwd.into())]));
        }
        let answer = self.ask("session", line)?;
        Ok(answer.text("root").or(cwd).unwrap_or("/").to_owned())
    }

    fn session(&self) -> Value {
        object([
            ("session", short(&self.event.session).as_str().into()),
            ("host", self.event.host.name().into()),
        ])
    }

    /// The host's name for the action; without one, what makes it the same as another of its kind.
    fn named(&self, part: u64) -> Value {
        match &self.event.call {
            Some(call) => object([("call", short(call).as_str().into())]),
            None => {
                let kind = format!("{}\0{}\0{part}", self.event.tool, self.input());
                let digest = Digest::of(&[kind.as_bytes()]).to_string();
                object([("pair", digest.as_str().into())])
            }
        }
    }

    fn refs(&self) -> Value {
        // What is not a text of a record is left out: people alone read it.
        let tool: Option<ledger::text::Text> = self.event.tool.parse().ok();
        match tool {
            Some(tool) => object([("tool", tool.as_str().into())]),
            None => Value::Object(Vec::new()),
        }
    }

    /// The members of an object have one order here, so that equal inputs are equal texts.
    fn input(&self) -> String {
        serde_json::Value::Object(self.event.input.clone()).to_string()
    }

    fn ask(&self, line: &str, members: Value) -> Result<Answer, SocketError> {
        self.speaker.ask(object([(line, members)]), self.deadline)
    }
}

/// A value that the speaker keeps, or its digest if it is too long for that.
fn kept(name: &'static str, value: String) -> (&'static str, Value) {
    match value.len() <= MAX_VALUE_BYTES {
        true => (name, value.as_str().into()),
        false => {
            let digest = Digest::of(&[value.as_bytes()]).to_string();
            let name = if name == "input" {
                "input.digest"
            } else {
                "output.digest"
            };
            (name, digest.as_str().into())
        }
    }
}

/// A host's name as the socket takes it: one that is too long, or holds what no text may, is its hash.
fn short(name: &str) -> String {
    const MAX_BYTES: usize = 128;
    let is_text = name.parse::<ledger::text::Text>().is_ok();
    match is_text && name.len() <= MAX_BYTES {
        true => name.to_owned(),
        false => Digest::of(&[name.as_bytes()]).to_string(),
    }
}
