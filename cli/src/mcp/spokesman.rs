//! What the proxy asks and says, as lines for the process that speaks for the agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use client::socket::{Answer, SocketError};
use ledger::json::{Value, object};
use ledger::record::Mode;
use ledger::text::{Name, Text};
use mcp::{Action, Committed, Ending, Governor, Leave, Outcome, Permit};

use super::reports::Reports;
use super::seat::Seat;
use crate::output;

/// How long a call waits for a place where too many are open, in milliseconds.
const PLACE_DEADLINE_MS: u64 = 20_000;

/// How long an answer is waited for: a place, and what the log takes. A model that is told to try again is better off than
/// one whose host gives up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);

/// How long the speaker may take to say who it is: it needs no other answer for that.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);

/// How long results are waited for at the end.
const LAST_RESULTS: Duration = Duration::from_secs(5);

/// Asks the process that speaks for the agent for permission, and reports the result to it.
pub(crate) struct Spokesman {
    seat: Arc<Seat>,
    reports: Arc<Reports>,
    /// What was last heard of the log: whether it refuses what breaks a rule.
    enforces: AtomicBool,
    steps: Arc<AtomicU64>,
    progress_is_told: Arc<AtomicBool>,
}

impl Spokesman {
    /// A spokesman at a seat. Until somebody has said otherwise the log is what is known of it here.
    pub(crate) fn new(seat: Arc<Seat>, known: Option<Mode>) -> Self {
        Self {
            seat,
            reports: Arc::default(),
            enforces: AtomicBool::new(known != Some(Mode::Observe)),
            steps: Arc::default(),
            progress_is_told: Arc::default(),
        }
    }

    /// Waits, for a while, until what was said of results is answered.
    pub(crate) fn finish(&self) {
        let left = self.reports.wait(LAST_RESULTS);
        if left > 0 {
            output::complain(&format!(
                "warning: the results of {left} calls may not be logged: the process that speaks for the agent has not answered"
            ));
        }
    }

    /// Asks for permission; once more where whoever spoke has gone meanwhile: their end cancels what was asked of them.
    fn ask_for(&self, action: &Action) -> Result<Answer, String> {
        let line = object([("intent", intent(action))]);
        for _ in 0..2 {
            let speaker = self.seat.speaker()?;
            match speaker.ask(line.clone(), Instant::now() + ANSWER_TIMEOUT) {
                Err(SocketError::HungUp) => self.seat.is_gone(&speaker),
                answer => return answer.map_err(|error| error.to_string()),
            }
        }
        Err(SocketError::HungUp.to_string())
    }
}

impl Governor for Spokesman {
    fn mode(&self) -> Mode {
        let hello = self.seat.speaker().ok();
        let hello = hello.and_then(|speaker| speaker.hello(Instant::now() + HELLO_TIMEOUT).ok());
        if let Some(hello) = hello {
            self.enforces.store(hello.enforces, Ordering::Relaxed);
        }
        match self.enforces.load(Ordering::Relaxed) {
            true => Mode::Enforce,
            false => Mode::Observe,
        }
    }

    fn ask(&self, action: &Action) -> Leave {
        let answer = match self.ask_for(action) {
            Ok(answer) => answer,
            Err(reason) => return Leave::Away { reason },
        };
        if answer.is_done() {
            // Beside a log that observes there may be leave without an intent: then nothing has to be closed.
            return Leave::Granted(Permit(answer.text("intent").unwrap_or_default().to_owned()));
        }
        let part = |name| answer.text(name).unwrap_or_default().to_owned();
        match answer.is_denied() {
            true => Leave::Denied {
                code: part("code"),
                reason: part("detail"),
            },
            false => Leave::Away {
                reason: answer.why(),
            },
        }
    }

    fn close(&self, permit: Permit, outcome: Outcome) {
        if permit.0.is_empty() {
            return;
        }
        let line = object([("result", result(&permit, outcome))]);
        let seat = Arc::clone(&self.seat);
        self.reports.send(move || match tell(&seat, line) {
            Ok(answer) if !answer.is_done() => output::complain(&format!(
                "warning: the result of {} is not logged: {}",
                permit.0,
                answer.why()
            )),
            Ok(_) => {}
            Err(error) => output::complain(&format!(
                "warning: the result of {} is not logged: {error}",
                permit.0
            )),
        });
    }

    fn progress(&self) {
        self.steps.fetch_add(1, Ordering::SeqCst);
        // One line at a time: the next tells of all that came meanwhile.
        if self.progress_is_told.swap(true, Ordering::SeqCst) {
            return;
        }
        let (seat, is_told) = (Arc::clone(&self.seat), Arc::clone(&self.progress_is_told));
        let steps = Arc::clone(&self.steps);
        self.reports.send(move || {
            loop {
                let made = steps.load(Ordering::SeqCst);
                // Progress that nobody hears is made all the same.
                let _ = tell(&seat, object([("progress", progress(made))]));
                is_told.store(false, Ordering::SeqCst);
                let is_all = steps.load(Ordering::SeqCst) == made;
                if is_all || is_told.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        });
    }

    fn warn(&self, text: &str) {
        output::complain(text);
    }
}

fn tell(seat: &Arc<Seat>, line: Value) -> Result<Answer, String> {
    let speaker = seat.speaker()?;
    let answer = speaker.ask(line, Instant::now() + ANSWER_TIMEOUT);
    if let Err(SocketError::HungUp) = &answer {
        seat.is_gone(&speaker);
    }
    answer.map_err(|error| error.to_string())
}

/// Each proxy counts its own steps, and the agent's are their sum: this process is a session of its own for that.
fn progress(steps: u64) -> Value {
    let session = std::process::id().to_string();
    object([
        ("steps", steps.into()),
        ("session", session.as_str().into()),
        ("host", "mcp".into()),
    ])
}

fn intent(action: &Action) -> Value {
    let mut members = vec![("scope", action.scope.to_string().into())];
    if let Some(digest) = action.definition {
        members.push(("tool", (&action.tool).into()));
        members.push(("digest", digest.into()));
    }
    if let Some(call) = &action.call {
        members.push(("call", call.as_str().into()));
    }
    members.push(("inputs", committed("arguments", &action.arguments)));
    members.push(("refs", refs(&action.refs)));
    members.push(("deadline_ms", PLACE_DEADLINE_MS.into()));
    of_members(members)
}

fn result(permit: &Permit, outcome: Outcome) -> Value {
    let status = match outcome.ending {
        Ending::Ok => "ok",
        Ending::Error => "error",
        Ending::Cancelled => "cancelled",
    };
    let mut members = vec![
        ("intent", permit.0.as_str().into()),
        ("status", status.into()),
        ("refs", refs(&outcome.refs)),
    ];
    let output = outcome.output.map(|output| committed("result", &output));
    members.extend(output.map(|output| ("outputs", output)));
    of_members(members)
}

/// A value under its name, or its digest under a name that says so.
fn committed(name: &str, value: &Committed) -> Value {
    let text = match value {
        Committed::Value(bytes) => std::str::from_utf8(bytes).ok(),
        Committed::Digest(_) => None,
    };
    match (text, value) {
        (Some(text), _) => object([(name, text.into())]),
        (None, Committed::Digest(digest)) => digested(name, &digest.to_string()),
        // JSON is UTF-8, but what a server writes may not be JSON.
        (None, Committed::Value(bytes)) => {
            digested(name, &ledger::digest::Digest::of(&[bytes]).to_string())
        }
    }
}

fn digested(name: &str, digest: &str) -> Value {
    let name = format!("{name}.digest");
    object([(name.as_str(), digest.into())])
}

fn refs(refs: &[(Name, Text)]) -> Value {
    let refs = refs.iter();
    Value::Object(
        refs.map(|(name, text)| (name.to_string(), text.as_str().into()))
            .collect(),
    )
}

fn of_members(members: Vec<(&str, Value)>) -> Value {
    let members = members.into_iter();
    Value::Object(
        members
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
