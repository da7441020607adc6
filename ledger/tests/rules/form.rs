//! Sizes: the first thing that is looked at, to the byte.

use ledger::codes::Code;
use ledger::envelope::{Envelope, MAX_INTENT_BYTES, MAX_PAYLOAD_BYTES};
use ledger::json::{Value, object};
use ledger::record::{Body, Kind, Phase, Receipt, Record};

use crate::world::{World, agent_key};

/// An envelope of a payload of so many bytes, of a type that no kind has.
fn of_no_kind(bytes: usize) -> Result<Envelope, Code> {
    let payload = tlog::base64::encode(vec![b' '; bytes]);
    let signature = object([
        ("keyid", agent_key().public().id().to_string().into()),
        ("sig", agent_key().sign(b"").to_string().into()),
    ]);
    let envelope = object([
        ("payloadType", "text/plain".into()),
        ("payload", payload.into()),
        ("signatures", Value::Array(vec![signature])),
    ]);
    Envelope::parse(envelope.to_json().as_bytes()).map_err(|refusal| refusal.code)
}

#[test]
fn a_payload_too_large_is_that_before_it_is_of_no_kind() {
    assert_eq!(of_no_kind(MAX_PAYLOAD_BYTES), Err(Code::UnknownKind));
    assert_eq!(of_no_kind(MAX_PAYLOAD_BYTES + 1), Err(Code::TooLarge));
}

/// The payload of a sound intent of exactly so many bytes.
fn intent(bytes: usize) -> String {
    let world = World::running();
    let receipt = Receipt {
        chain: world.chain(),
        phase: Phase::Intent(World::intent_of(world.log, "read:x").into()),
    };
    let record = world.record(Body::Receipt(receipt.into()));
    let bare = record.to_payload();
    let (head, tail) = ("\"parents\":[", bare.find("\"parents\":[").unwrap());
    let (before, after) = bare.split_at(tail + head.len());
    format!("{before}{}{after}", " ".repeat(bytes - bare.len()))
}

#[test]
fn an_intent_too_large_is_that_before_anything_in_it_is_read() {
    let read = |payload: &str| {
        let record = Record::parse(Kind::Receipt, payload.as_bytes());
        record.map(drop).map_err(|refusal| refusal.code)
    };
    assert_eq!(read(&intent(MAX_INTENT_BYTES)), Ok(()));
    assert_eq!(read(&intent(MAX_INTENT_BYTES + 1)), Err(Code::TooLarge));
    let unknown = |bytes: usize| intent(bytes).replace("\"reserve\"", "\"reServe\"");
    assert_eq!(read(&unknown(MAX_INTENT_BYTES)), Err(Code::Malformed));
    assert_eq!(read(&unknown(MAX_INTENT_BYTES + 1)), Err(Code::TooLarge));
}
