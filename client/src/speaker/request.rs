//! What CMD may say on the socket, and what it is answered: one JSON object a line.
//!
//! ```text
//! {"goal":{"title":"…"}}                                 {"ok":true,"record":…,"index":…,"received_ms":…}
//! {"intent":{"scope":"read:books/2026"}}                 {"ok":true,"record":…,"intent":…,…,"lapses_ms":…}
//! {"result":{"status":"ok","outputs":{"total":"42"}}}    {"ok":true,"record":…,"waits":false}
//! {"outcome":{"verdict":"rejected"}}                     {"ok":false,"code":"scope-denied","detail":"…"}
//! {"progress":7}                                         {"ok":true}
//! {"disclose":{"record":…,"side":"outputs","name":…}}    {"ok":true,"disclosure":{…}}
//! ```
//!
//! Members that can be known are left out: the goal is the run's, the intent the only one that is open on
//! this connection.

use ledger::codes::{Code, Refusal};
use ledger::digest::{Digest, RecordHash};
use ledger::json::{Members, Value, integer, object, parsed, string};
use ledger::record::{Amounts, Check, Status, Verdict};
use ledger::scope::Scope;
use ledger::text::{Name, Text};

use crate::disclosure::{Disclosure, Place, Secret};

/// What CMD says.
#[derive(Debug)]
pub enum Request {
    /// It sets out to do something.
    Goal {
        /// In words.
        title: Text,
        /// Who asked for it; the run's own requester if left out.
        requester: Option<Text>,
    },
    /// It asks for leave to act.
    Intent(Box<IntentRequest>),
    /// It says what came of an action.
    Result(Box<ResultRequest>),
    /// It says what came of a goal.
    Outcome {
        /// The goal; the run's if left out.
        goal: Option<RecordHash>,
        /// What is thought of it.
        verdict: Verdict,
        /// On which grounds.
        checks: Vec<Check>,
    },
    /// It has got so far: steps within the epoch.
    Progress(u64),
    /// It wants a value back that it committed to, with what opens the commitment.
    Disclose(Place),
}

/// Leave to act, asked for.
#[derive(Debug)]
pub struct IntentRequest {
    /// For which goal; the run's if left out.
    pub goal: Option<RecordHash>,
    /// What it touches.
    pub scope: Scope,
    /// With which tool: the program itself if left out.
    pub tool: Option<Name>,
    /// The digest of the tool's definition; that of the manifest's tool of the name if left out.
    pub digest: Option<Digest>,
    /// Values that go in.
    pub inputs: Vec<Secret>,
    /// Records that it follows from.
    pub parents: Vec<RecordHash>,
    /// What it may use up.
    pub reserve: Amounts,
}

/// What came of an action.
#[derive(Debug)]
pub struct ResultRequest {
    /// The intent; the only open one of the connection if left out.
    pub intent: Option<RecordHash>,
    /// How it ended: well if left out.
    pub status: Status,
    /// Values that came out.
    pub outputs: Vec<Secret>,
    /// How long it took; since its leave if left out.
    pub duration_ms: Option<u64>,
    /// What it used up.
    pub usage: Amounts,
    /// Where else to look.
    pub refs: Vec<(Name, Text)>,
}

/// What CMD is answered.
#[derive(Clone, Debug)]
pub struct Answer(Value);

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// The codes of form.
    pub fn parse(line: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::open("", Value::parse(line)?)?;
        let request = if let Some(goal) = members.take_if_present("goal") {
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
        } else if let Some(steps) = members.take_if_present("progress") {
            Self::Progress(integer("progress", steps)?)
        } else {
            let known = "goal, intent, result, outcome, progress or disclose";
            return Err(Code::Malformed.because(format!("a line says one of {known}")));
        };
        members.finish().map(|()| request)
    }
}

fn read_goal(value: Value) -> Result<Request, Refusal> {
    let mut members = Members::open("goal", value)?;
    let request = Request::Goal {
        title: members.required("title", parsed)?,
        requester: optional(&mut members, "requester", parsed)?,
    };
    members.finish().map(|()| request)
}

fn read_intent(value: Value) -> Result<IntentRequest, Refusal> {
    let mut members = Members::open("intent", value)?;
    let request = IntentRequest {
        goal: optional(&mut members, "goal", parsed)?,
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

fn read_result(value: Value) -> Result<ResultRequest, Refusal> {
    let mut members = Members::open("result", value)?;
    let refs = named(&mut members, "refs", parsed)?;
    let request = ResultRequest {
        intent: optional(&mut members, "intent", parsed)?,
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

impl Answer {
    /// It is done.
    pub fn done() -> Self {
        Self(object([("ok", true.into())]))
    }

    /// It is done, and there is more to say of it: the members of an object.
    pub fn with(more: Value) -> Self {
        let mut members = vec![("ok".to_owned(), true.into())];
        if let Value::Object(more) = more {
            members.extend(more);
        }
        Self(Value::Object(members))
    }

    /// The value behind a commitment.
    pub fn disclosed(disclosure: &Disclosure) -> Self {
        Self::with(object([("disclosure", disclosure.to_value())]))
    }

    /// It is not done.
    pub fn refused(code: &str, detail: &str) -> Self {
        Self(object([
            ("ok", false.into()),
            ("code", code.into()),
            ("detail", detail.into()),
        ]))
    }

    /// The answer as one line.
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            format!(
                "{{\"disclose\":{{\"record\":\"{hash}\",\"side\":\"inputs\",\"name\":\"a\"}}}}"
            ),
        ] {
            Request::parse(line.as_bytes()).unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
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
            ("{\"result\":{\"more\":1}}", Code::UnknownMember),
            ("{\"intent\":{\"scope\":\"../x\"}}", Code::Malformed),
            (
                "{\"outcome\":{\"verdict\":\"accepted\",\"checks\":[{\"name\":\"n\"}]}}",
                Code::Malformed,
            ),
        ] {
            assert_eq!(
                Request::parse(line.as_bytes()).unwrap_err().code,
                code,
                "{line}"
            );
        }
    }
}
