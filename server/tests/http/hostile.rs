//! Bodies that nobody should send: each gets its status and its code, and nothing is logged.

use axum::body::Bytes;
use ledger::envelope::Envelope;
use ledger::record::{AgentState, Kind};
use serde_json::{Value, json};

use crate::world::{BASE, JSON, World, key};

type Case = (&'static str, Vec<u8>, u16, &'static str);

/// A sound envelope with something done to it.
fn changed(world: &World, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut envelope = sound(world);
    change(&mut envelope);
    envelope.to_string().into()
}

fn sound(world: &World) -> Value {
    serde_json::from_str(&world.observation(1).envelope().to_json()).unwrap()
}

/// A payload in an envelope that the observer signed.
fn payload(kind: Kind, payload: &str) -> Vec<u8> {
    Envelope::sign(kind, payload.into(), &[&key(4)])
        .unwrap()
        .to_json()
        .into()
}

/// Text that is not an envelope.
fn texts(world: &World) -> Vec<Case> {
    let sound = world.observation(1).envelope().to_json();
    let deep = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let strict = |name, body: String| (name, body.into_bytes(), 400, "not-strict-json");
    vec![
        strict("nothing", String::new()),
        strict("a word", "hello".into()),
        (
            "not UTF-8",
            b"{\"payload\":\"\xff\"}".to_vec(),
            400,
            "not-strict-json",
        ),
        strict("a byte order mark", format!("\u{feff}{sound}")),
        strict("space in front", format!(" {sound}")),
        strict("a line behind", format!("{sound}\n")),
        strict("two values", format!("{sound}{sound}")),
        strict("cut short", sound[..sound.len() - 1].into()),
        strict("a float", "{\"payload\":1.5}".into()),
        strict("an exponent", "{\"payload\":1e3}".into()),
        strict("minus zero", "{\"payload\":-0}".into()),
        strict("a large integer", "{\"payload\":9007199254740992}".into()),
        strict("a lone surrogate", "{\"payload\":\"\\udc00\"}".into()),
        strict(
            "a member twice",
            "{\"payload\":\"\",\"payload\":\"\"}".into(),
        ),
        strict(
            "a member twice, escaped",
            "{\"payload\":\"\",\"p\\u0061yload\":\"\"}".into(),
        ),
        strict("deep", deep(20_000)),
        (
            "too deep to be short",
            deep(1 << 20).into(),
            413,
            "too-large",
        ),
        (
            "a byte too many",
            vec![b'['; 48 * 1024 + 1],
            413,
            "too-large",
        ),
        (
            "the last byte that is read",
            vec![b'['; 48 * 1024],
            400,
            "not-strict-json",
        ),
        ("ten megabytes", vec![b'['; 10 << 20], 413, "too-large"),
        ("an array", b"[]".to_vec(), 400, "malformed"),
        ("null", b"null".to_vec(), 400, "malformed"),
        ("no members", b"{}".to_vec(), 400, "malformed"),
    ]
}

/// A sound envelope with another value for a member.
fn with(world: &World, member: &str, value: Value) -> Vec<u8> {
    changed(world, |envelope| {
        envelope[member] = value;
    })
}

/// A sound envelope with another value for a member of its signature.
fn signed_with(world: &World, member: &str, value: &str) -> Vec<u8> {
    changed(world, |envelope| {
        envelope["signatures"][0][member] = json!(value);
    })
}

/// Envelopes that are none.
fn envelopes(world: &World) -> Vec<Case> {
    let signature = sound(world)["signatures"][0].take();
    let another = |n| json!({"keyid": format!("{n:032x}"), "sig": "A".repeat(86) + "=="});
    let seventeen: Vec<Value> = (0..17).map(another).collect();
    let malformed = |name, body| (name, body, 400, "malformed");
    let payload = |text: &str| with(world, "payload", json!(text));
    let kind = |kind: &str| {
        let payload_type = format!("application/vnd.dragons.{kind}+json");
        with(world, "payloadType", json!(payload_type))
    };
    let twice = with(world, "signatures", json!([signature, signature]));
    vec![
        (
            "a surplus member",
            with(world, "more", json!(1)),
            400,
            "unknown-member",
        ),
        malformed("a number for a text", with(world, "payload", json!(1))),
        malformed("no base64", payload("*")),
        malformed("base64 of URLs", payload("_-8=")),
        malformed("unpadded base64", payload("QQ")),
        malformed("loose base64", payload("QR==")),
        malformed("no signatures", with(world, "signatures", json!([]))),
        malformed("17 signatures", with(world, "signatures", json!(seventeen))),
        malformed("a short signature", signed_with(world, "sig", "QUJD")),
        malformed("a long keyid", signed_with(world, "keyid", &"0".repeat(33))),
        ("a key twice", twice, 403, "key-repeated"),
        ("another kind", kind("egg.v1"), 400, "unknown-kind"),
        ("another version", kind("pulse.v2"), 400, "unknown-kind"),
        malformed("a kind that it is not", kind("pulse.v1")),
    ]
}

/// Sound envelopes around what is not a record, or none that may be logged.
fn records(world: &World) -> Vec<Case> {
    let other_log = format!("\"sha256:{}\"", "0".repeat(64));
    let pulse = |log: &str, more: &str| {
        let text = format!(
            "{{\"log\":{log},\"n\":1,\"agents\":0,\"state\":null,\"witnessed\":null,\"at_ms\":1{more}}}"
        );
        payload(Kind::Pulse, &text)
    };
    let own = format!("\"{}\"", world.name);
    let mut stranger = world.record(world.observation(1).record().body.clone());
    let unknown = stranger.sign(&[&key(99)]).unwrap().envelope().to_json();
    stranger.log = None;
    let unbound = stranger.sign(&[&key(99)]).unwrap().envelope().to_json();
    let moved = |e: &mut Value| {
        let other = world.observation(2);
        e["payload"] = json!(tlog::base64::encode(other.envelope().payload()));
    };
    let by_operator = world.signed(world.observation(1).record().body.clone(), &[2]);
    let large = payload(
        Kind::Pulse,
        &format!("{{\"ext\":\"{}\"}}", "x".repeat(32 * 1024 - 10)),
    );
    vec![
        (
            "an empty payload",
            payload(Kind::Pulse, ""),
            400,
            "not-strict-json",
        ),
        (
            "a payload with space",
            payload(Kind::Pulse, "{ }\n"),
            400,
            "not-strict-json",
        ),
        (
            "a payload that is empty",
            payload(Kind::Pulse, "{}"),
            400,
            "malformed",
        ),
        ("a large payload", large, 400, "malformed"),
        (
            "a surplus member inside",
            pulse(&own, ",\"x\":1"),
            400,
            "unknown-member",
        ),
        ("another log", pulse(&other_log, ""), 403, "origin-mismatch"),
        ("no log", unbound.into(), 403, "origin-mismatch"),
        ("a stranger's key", unknown.into(), 403, "key-unknown"),
        (
            "a signature of something else",
            changed(world, moved),
            403,
            "signature-invalid",
        ),
        (
            "a key without the role",
            by_operator.envelope().to_json().into(),
            403,
            "role-missing",
        ),
        (
            "an agent that there is not",
            world
                .order("b", AgentState::Stopped)
                .envelope()
                .to_json()
                .into(),
            403,
            "agent-unknown",
        ),
    ]
}

#[tokio::test]
async fn hostile_bodies_get_their_code_and_log_nothing() {
    let world = World::new().await;
    let before = world.get("/checkpoint").await.body;
    for (name, body, status, code) in [texts(&world), envelopes(&world), records(&world)].concat() {
        let reply = world.post(JSON, Bytes::from(body)).await;
        let got = (reply.status, reply.problem());
        assert_eq!(got, (status, code.to_owned()), "{name}: {}", reply.text());
        assert_eq!(reply.header("access-control-allow-origin"), "", "{name}");
    }
    assert_eq!(world.get("/checkpoint").await.body, before);
    let sound = world.submit(&world.observation(1)).await;
    assert_eq!(sound.json()["index"], BASE);
}
