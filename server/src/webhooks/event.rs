//! An entry of the log as a CloudEvent (version 1.0, structured mode, JSON).
//!
//! ```text
//! {"specversion":"1.0","id":"sha256:…","source":"//example.com/log","type":"dragons.transition.v1","subject":"worker",
//!  "time":"2026-01-01T00:00:00.000Z","datacontenttype":"application/json","data":{"index":17,"received_ms":…,…}}
//! ```

use std::time::{Duration, UNIX_EPOCH};

use ledger::codes::Refusal;
use ledger::json::Value;
use ledger::leaf::Leaf;
use ledger::record::{Body, SignedRecord};
use serde::Serialize;

/// The media type of the body.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// An event that is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CloudEvent {
    /// Where its record is.
    pub(super) index: u64,
    /// The record's name.
    pub(super) id: String,
    /// What is sent, and signed.
    pub(super) body: String,
}

#[derive(Serialize)]
struct Document<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: &'static str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    index: u64,
    received_ms: u64,
    record: &'a str,
    kind: &'static str,
    agent: &'a str,
    payload: Value,
}

/// The event that an entry is; `None` for one that is neither a transition nor a denial.
///
/// # Errors
/// The code of form by which the leaf is none: the store does not give back what was put into it.
pub(super) fn of(origin: &str, index: u64, leaf: &[u8]) -> Result<Option<CloudEvent>, Refusal> {
    let leaf = Leaf::parse(leaf)?;
    let received_ms = leaf.received_ms();
    let record = SignedRecord::from_envelope(leaf.into_envelope())?;
    let (kind, agent) = match &record.record().body {
        Body::Transition(transition) => ("dragons.transition.v1", &transition.agent),
        // A refusal with the envelope is a denial: an intent beyond what was granted.
        Body::Refusal(refused) if refused.envelope.is_some() => {
            ("dragons.denial.v1", &refused.agent)
        }
        _ => return Ok(None),
    };
    let id = record.hash().to_string();
    let document = Document {
        specversion: "1.0",
        id: &id,
        source: format!("//{origin}"),
        r#type: kind,
        subject: agent.as_str(),
        time: time(received_ms),
        datacontenttype: "application/json",
        data: Data {
            index,
            received_ms,
            record: &id,
            kind: record.kind().as_str(),
            agent: agent.as_str(),
            payload: Value::parse(record.envelope().payload())?,
        },
    };
    let body = serde_json::to_string(&document).expect("strings and numbers are JSON");
    Ok(Some(CloudEvent { index, id, body }))
}

/// RFC 3339, as CloudEvents have it.
fn time(ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}
