//! The lines of the socket and their answers: one JSON object per line. docs/socket.md is the reference.
//!
//! ```text
//! {"hello":{"protocol":1}}                               {"ok":true,"protocol":1,"agent":…,"mode":…,…}
//! {"id":1,"goal":{"title":"…"}}                          {"id":1,"ok":true,"record":…,"index":…,"received_ms":…}
//! {"id":2,"intent":{"scope":"read:books/2026"}}          {"id":2,"ok":true,"record":…,"intent":…,…,"lapses_ms":…}
//! {"result":{"status":"ok","outputs":{"total":"42"}}}    {"ok":true,"record":…,"waits":false}
//! {"outcome":{"verdict":"rejected"}}                     {"ok":false,"code":"scope-denied","detail":"…","by":"log"}
//! {"session":{"session":"s1","root":"/src"}}             {"ok":true,"root":"/src"}
//! {"progress":7}                                         {"ok":true}
//! {"disclose":{"record":…,"side":"outputs","name":…}}    {"ok":true,"disclosure":{…}}
//! ```
//!
//! Members that can be known are left out: the goal is the run's or the session's, the intent the only one that is open on
//! this connection.

use ledger::codes::{Code, Refusal};
use ledger::digest::{Digest, RecordHash};
use ledger::json::{Members, Value, integer, parsed, string};
use ledger::record::{Amounts, Check, Status, Verdict};
use ledger::scope::Scope;
use ledger::text::{Name, Text};

use super::session::SessionName;
use crate::disclosure::{Place, Secret};

mod session;

pub(crate) use session::{Cancel, End, SessionRequest};

/// The revision of the protocol in use here.
pub const PROTOCOL: u64 = 1;

/// The longest name that a host gives an action.
pub(crate) const MAX_CALL_BYTES: usize = 128;

/// The members of each line, as `hello` tells them.
pub(super) const MEMBERS: [(&str, &[&str]); 8] = [
    ("hello", &["protocol"]),
    ("goal", &["title", "requester", "session", "host"]),
    (
        "intent",
        &[
            "scope",
            "goal",
            "tool",
            "digest",
            "inputs",
            "parents",
            "tokens",
            "cost_micros",
            "session",
            "host",
            "call",
            "part",
            "pair",
            "subagent",
            "refs",
            "deadline_ms",
        ],
    ),
    (
        "result",
        &[
            "intent",
            "call",
            "pair",
            "session",
            "host",
            "status",
            "outputs",
            "duration_ms",
            "tokens",
            "cost_micros",
            "refs",
        ],
    ),
    ("outcome", &["verdict", "goal", "session", "host", "checks"]),
    (
        "session",
        &[
            "session", "host", "root", "cancel", "calls", "subagent", "end",
        ],
    ),
    ("progress", &["steps", "session", "host"]),
    ("disclose", &["record", "side", "name"]),
];

/// What is said.
#[derive(Debug)]
pub(crate) enum Request {
    /// Who is there, and what does it understand?
    Hello,
    /// It sets out to do something.
    Goal(Box<GoalRequest>),
    /// It asks for permission to act.
    Intent(Box<IntentRequest>),
    /// It says what came of an action.
    Result(Box<ResultRequest>),
    /// It says what came of a goal.
    Outcome {
        /// The goal; the session's or the run's if left out.
        goal: Option<RecordHash>,
        /// The session whose goal is meant.
        session: Option<SessionName>,
        /// The verdict.
        verdict: Verdict,
        /// On which grounds.
        checks: Vec<Check>,
    },
    /// Something has happened in a session, without an action.
    Session(Box<SessionRequest>),
    /// It has got so far.
    Progress {
        /// Steps within the epoch.
        steps: u64,
        /// The session that has made them; each counts by itself.
        session: Option<SessionName>,
    },
    /// It wants a value back that it committed to, with what opens the commitment.
    Disclose(Place),
}

/// What somebody sets out to do.
#[derive(Debug)]
pub(crate) struct GoalRequest {
    /// In words.
    pub(crate) title: Text,
    /// Who asked for it; the speaker's own requester if left out.
    pub(crate) requester: Option<Text>,
    /// The session whose goal it is.
    pub(crate) session: Option<SessionName>,
}

/// Leave to act, asked for.
#[derive(Debug)]
pub(crate) struct IntentRequest {
    /// For which goal; the session's or the run's if left out.
    pub(crate) goal: Option<RecordHash>,
    /// What whoever asks calls it.
    pub(crate) about: About,
    /// How long an answer is worth waiting for, where too much is open.
    pub(crate) deadline_ms: Option<u64>,
    /// What it touches.
    pub(crate) scope: Scope,
    /// With which tool: the program itself if left out.
    pub(crate) tool: Option<Name>,
    /// The digest of the tool's definition; that of the manifest's tool of the name if left out.
    pub(crate) digest: Option<Digest>,
    /// Values that go in.
    pub(crate) inputs: Vec<Secret>,
    /// Records that it follows from.
    pub(crate) parents: Vec<RecordHash>,
    /// What it may use up.
    pub(crate) reserve: Amounts,
}

/// The result of an action.
#[derive(Debug)]
pub(crate) struct ResultRequest {
    /// The intent; what else names it, or the only open one of the connection, if left out.
    pub(crate) intent: Option<RecordHash>,
    /// The host's own name for the action.
    pub(crate) call: Option<Text>,
    /// What it has in common with others of its kind, of which the first that was begun is meant.
    pub(crate) pair: Option<Text>,
    /// The session in which it was begun.
    pub(crate) session: Option<SessionName>,
    /// How it ended: well if left out.
    pub(crate) status: Status,
    /// Values that came out.
    pub(crate) outputs: Vec<Secret>,
    /// How long it took; since its permit if left out.
    pub(crate) duration_ms: Option<u64>,
    /// What it used up.
    pub(crate) usage: Amounts,
    /// Where else to look.
    pub(crate) refs: Vec<(Name, Text)>,
}

/// What whoever acts calls an action: by these names its receipts are joined with what others saw of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// The host's own name for it.
    pub(crate) call: Option<Text>,
    /// Which part of the call, where one call is several actions.
    pub(crate) part: u64,
    /// What it has in common with others of its kind, where the host has no name for it.
    pub(crate) pair: Option<Text>,
    /// The session in which it is begun.
    pub(crate) session: Option<SessionName>,
    /// The sub-agent that acts.
    pub(crate) subagent: Option<Text>,
    /// Where else to look, for its result.
    pub(crate) refs: Vec<(Name, Text)>,
}

impl Request {
    /// Whether it is about what the agent does, and not about the conversation.
    pub(crate) const fn is_work(&self) -> bool {
        !matches!(
            self,
            Self::Hello | Self::Session(_) | Self::Progress { .. } | Self::Disclose(_)
        )
    }

    /// Reads what a line says, its `id` taken out.
    ///
    /// # Errors
    ///
    /// The codes of form.
    pub(crate) fn read(mut members: Members) -> Result<Self, Refusal> {
        let request = if let Some(hello) = members.take_if_present("hello") {
            read_hello(hello)?
        } else if let Some(session) = members.take_if_present("session") {
            Self::Session(Box::new(session::read(session)?))
        } else if let Some(goal) = members.take_if_present("goal") {
            read_goal(goal)?
        } else if let Some(intent) = members.take_if_present("intent") {
            Self::Intent(Box::new(read_intent(intent)?))
        } else if let Some(result) = members.take_if_present("result") {
            Self::Result(Box::new(read_result(result)?))
        } else if let Some(outcome) = members.take_if_present("outcome") {
            read_outcome(outcome)?
        } else if let Some(place) = members.take_if_present("disclose") {
            let mut place = Members::open("disclose", place)?;
            let read = Place::read(&mut place)?;
            place.finish()?;
            Self::Disclose(read)
        } else if let Some(progress) = members.take_if_present("progress") {
            read_progress(progress)?
        } else {
            let known = "hello, goal, intent, result, outcome, session, progress or disclose";
            return Err(Code::Malformed.because(format!("a line says one of {known}")));
        };
        members.finish().map(|()| request)
    }
}

fn read_hello(value: Value) -> Result<Request, Refusal> {
    let mut members = Members::open("hello", value)?;
    let protocol = members.required("protocol", integer)?;
    if protocol < PROTOCOL {
        let why = format!("there is no protocol {protocol}; the first is {PROTOCOL}");
        return Err(Code::Malformed.because(why));
    }
    members.finish().map(|()| Request::Hello)
}

/// Steps alone, or with the session that has made them.
fn read_progress(value: Value) -> Result<Request, Refusal> {
    if !matches!(value, Value::Object(_)) {
        let (steps, session) = (integer("progress", value)?, None);
        return Ok(Request::Progress { steps, session });
    }
    let mut members = Members::open("progress", value)?;
    let request = Request::Progress {
        steps: members.required("steps", integer)?,
        session: SessionName::read(&mut members)?,
    };
    members.finish().map(|()| request)
}

fn read_goal(value: Value) -> Result<Request, Refusal> {
    let mut members = Members::open("goal", value)?;
    let request = GoalRequest {
        title: members.required("title", parsed)?,
        requester: optional(&mut members, "requester", parsed)?,
        session: SessionName::read(&mut members)?,
    };
    members.finish().map(|()| Request::Goal(Box::new(request)))
}

fn read_intent(value: Value) -> Result<IntentRequest, Refusal> {
    let mut members = Members::open("intent", value)?;
    let request = IntentRequest {
        goal: optional(&mut members, "goal", parsed)?,
        about: read_about(&mut members)?,
        deadline_ms: optional(&mut members, "deadline_ms", integer)?,
        scope: members.required("scope", parsed)?,
        tool: optional(&mut members, "tool", parsed)?,
        digest: optional(&mut members, "digest", parsed)?,
        inputs: secrets(&mut members, "inputs")?,
        parents: optional(&mut members, "parents", |path, value| {
            let Value::Array(values) = value else {
                return Err(Code::Malformed.because(format!("{path} is not an array")));
            };
            values
                .into_iter()
                .map(|value| parsed(path, value))
                .collect()
        })?
        .unwrap_or_default(),
        reserve: amounts(&mut members)?,
    };
    members.finish().map(|()| request)
}

fn read_about(members: &mut Members) -> Result<About, Refusal> {
    Ok(About {
        call: optional(members, "call", short)?,
        part: optional(members, "part", integer)?.unwrap_or_default(),
        pair: optional(members, "pair", short)?,
        session: SessionName::read(members)?,
        subagent: optional(members, "subagent", short)?,
        refs: named(members, "refs", parsed)?,
    })
}

/// A name that a host gives, of a length that is kept for each open action.
pub(super) fn short(path: &str, value: Value) -> Result<Text, Refusal> {
    let text: Text = parsed(path, value)?;
    match text.as_str().len() {
        0 => Err(Code::Malformed.because(format!("{path} is empty"))),
        1..=MAX_CALL_BYTES => Ok(text),
        got => {
            let why = format!("{path} has {got} bytes, at most {MAX_CALL_BYTES}");
            Err(Code::TooLarge.because(why))
        }
    }
}

fn read_result(value: Value) -> Result<ResultRequest, Refusal> {
    let mut members = Members::open("result", value)?;
    let refs = named(&mut members, "refs", parsed)?;
    let request = ResultRequest {
        intent: optional(&mut members, "intent", parsed)?,
        call: optional(&mut members, "call", short)?,
        pair: optional(&mut members, "pair", short)?,
        session: SessionName::read(&mut members)?,
        status: optional(&mut members, "status", parsed)?.unwrap_or(Status::Ok),
        outputs: secrets(&mut members, "outputs")?,
        duration_ms: optional(&mut members, "duration_ms", integer)?,
        usage: amounts(&mut members)?,
        refs,
    };
    members.finish().map(|()| request)
}

fn read_outcome(value: Value) -> Result<Request, Refusal> {
    let mut members = Members::open("outcome", value)?;
    let request = Request::Outcome {
        goal: optional(&mut members, "goal", parsed)?,
        session: SessionName::read(&mut members)?,
        verdict: members.required("verdict", parsed)?,
        checks: optional(&mut members, "checks", read_checks)?.unwrap_or_default(),
    };
    members.finish().map(|()| request)
}

fn read_checks(path: &str, value: Value) -> Result<Vec<Check>, Refusal> {
    let Value::Array(values) = value else {
        return Err(Code::Malformed.because(format!("{path} is not an array")));
    };
    let read = |value| {
        let mut members = Members::open(path, value)?;
        let name = members.required("name", parsed)?;
        let record: Option<RecordHash> = optional(&mut members, "record", parsed)?;
        // A check that is a record of the log is its own record.
        let own = record.map(|record| *record.digest());
        let digest = optional(&mut members, "digest", parsed)?.or(own);
        let missing = || Code::Malformed.because(format!("{path} needs a record or a digest"));
        let check = Check {
            name,
            digest: digest.ok_or_else(missing)?,
            record,
        };
        members.finish().map(|()| check)
    };
    values.into_iter().map(read).collect()
}

fn optional<T>(
    members: &mut Members,
    name: &str,
    read: impl FnOnce(&str, Value) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    match members.take_if_present(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(name, value).map(Some),
    }
}

fn named<T>(
    members: &mut Members,
    name: &str,
    read: impl Fn(&str, Value) -> Result<T, Refusal>,
) -> Result<Vec<(Name, T)>, Refusal> {
    let Some(value) = members.take_if_present(name) else {
        return Ok(Vec::new());
    };
    let Value::Object(values) = value else {
        return Err(Code::Malformed.because(format!("{name} is not an object")));
    };
    let read = |(key, value): (String, Value)| Ok((key.parse()?, read(name, value)?));
    values.into_iter().map(read).collect()
}

fn secrets(members: &mut Members, name: &str) -> Result<Vec<Secret>, Refusal> {
    let values = named(members, name, string)?;
    let secret = |(name, value): (Name, String)| Secret::new(name, value.into_bytes());
    values.into_iter().map(secret).collect()
}

fn amounts(members: &mut Members) -> Result<Amounts, Refusal> {
    let mut amount =
        |name| Ok::<u64, Refusal>(optional(members, name, integer)?.unwrap_or_default());
    Ok(Amounts {
        tokens: amount("tokens")?,
        cost_micros: amount("cost_micros")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, Refusal> {
        Request::read(Members::open("", Value::parse(line.as_bytes())?)?)
    }

    #[test]
    fn lines_say_one_thing_each() {
        let hash = format!("sha256:{}", "0".repeat(64));
        for line in [
            "{\"goal\":{\"title\":\"a\"}}".to_owned(),
            "{\"intent\":{\"scope\":\"read:a/b\"}}".to_owned(),
            format!(
                "{{\"intent\":{{\"goal\":\"{hash}\",\"scope\":\"read:a\",\"tool\":\"t\",\"digest\":\"{hash}\",\"inputs\":{{\"a\":\"b\"}},\"parents\":[\"{hash}\"],\"tokens\":1,\"cost_micros\":2}}}}"
            ),
            "{\"result\":{}}".to_owned(),
            "{\"result\":{\"status\":\"error\",\"refs\":{\"trace\":\"7\"},\"duration_ms\":1}}"
                .to_owned(),
            format!(
                "{{\"outcome\":{{\"verdict\":\"accepted\",\"checks\":[{{\"name\":\"n\",\"record\":\"{hash}\"}}]}}}}"
            ),
            "{\"progress\":7}".to_owned(),
            "{\"progress\":{\"steps\":7,\"session\":\"s\",\"host\":\"h\"}}".to_owned(),
            "{\"hello\":{\"protocol\":2}}".to_owned(),
            "{\"goal\":{\"title\":\"a\",\"session\":\"s\",\"host\":\"h\"}}".to_owned(),
            "{\"intent\":{\"scope\":\"read:a\",\"call\":\"c\",\"part\":1,\"session\":\"s\",\"subagent\":\"x\"}}".to_owned(),
            "{\"result\":{\"pair\":\"p\",\"session\":\"s\"}}".to_owned(),
            "{\"session\":{\"session\":\"s\",\"root\":\"/a\"}}".to_owned(),
            "{\"session\":{\"session\":\"s\",\"cancel\":\"calls\",\"calls\":[\"c\"],\"end\":\"turn\"}}"
                .to_owned(),
            format!(
                "{{\"disclose\":{{\"record\":\"{hash}\",\"side\":\"inputs\",\"name\":\"a\"}}}}"
            ),
        ] {
            read(&line).unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        for (line, code) in [
            ("", Code::NotStrictJson),
            ("{}", Code::Malformed),
            ("{\"gaol\":{}}", Code::Malformed),
            ("{\"progress\":1,\"result\":{}}", Code::UnknownMember),
            ("{\"progress\":-1}", Code::NotStrictJson),
            ("{\"progress\":{\"session\":\"s\"}}", Code::Malformed),
            (
                "{\"progress\":{\"steps\":1,\"more\":1}}",
                Code::UnknownMember,
            ),
            ("{\"hello\":{\"protocol\":0}}", Code::Malformed),
            (
                "{\"intent\":{\"scope\":\"read:a\",\"host\":\"h\"}}",
                Code::Malformed,
            ),
            (
                "{\"intent\":{\"scope\":\"read:a\",\"call\":\"\"}}",
                Code::Malformed,
            ),
            ("{\"session\":{\"root\":\"/a\"}}", Code::Malformed),
            (
                "{\"session\":{\"session\":\"s\",\"cancel\":\"some\"}}",
                Code::Malformed,
            ),
            ("{\"result\":{\"more\":1}}", Code::UnknownMember),
            ("{\"intent\":{\"scope\":\"../x\"}}", Code::Malformed),
            (
                "{\"outcome\":{\"verdict\":\"accepted\",\"checks\":[{\"name\":\"n\"}]}}",
                Code::Malformed,
            ),
        ] {
            assert_eq!(read(line).unwrap_err().code, code, "{line}");
        }
    }
}
