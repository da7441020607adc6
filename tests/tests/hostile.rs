//! Bodies that nobody should send: each gets its status and its code, and nothing is logged.

use ledger::envelope::Envelope;
use ledger::key::PrivateKey;
use ledger::record::{Body, Kind, Pulse};
use serde_json::{Value, json};
use tests::{Answer, Service, Signer};

/// What is sent, and what must come back.
struct Case {
    name: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
}

fn case(name: &'static str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Case {
    Case {
        name,
        body: body.into(),
        status,
        code,
    }
}

/// A sound record with something done to its envelope.
fn changed(signer: &Signer, change: impl FnOnce(&mut Value)) -> String {
    let mut envelope: Value = serde_json::from_str(&signer.stop("a").envelope().to_json()).unwrap();
    change(&mut envelope);
    envelope.to_string()
}

/// A payload signed by nobody that the log knows.
fn payload(kind: Kind, payload: &str) -> String {
    let stranger = PrivateKey::from_seed(&[99; 32]);
    Envelope::sign(kind, payload.into(), &[&stranger])
        .unwrap()
        .to_json()
}

fn cases(signer: &Signer) -> Vec<Case> {
    let sound = signer.stop("a").envelope().to_json();
    let pulse = |log: &str| {
        format!(
            "{{\"log\":{log},\"n\":7,\"agents\":0,\"state\":null,\"witnessed\":null,\"at_ms\":1}}"
        )
    };
    let other_log = format!("\"sha256:{}\"", "0".repeat(64));
    let mut foreign = signer.record(Body::Pulse(Pulse {
        n: 1,
        agents: 0,
        state: None,
        witnessed: None,
    }));
    let stranger = PrivateKey::from_seed(&[99; 32]);
    let unknown_key = foreign.sign(&[&stranger]).unwrap().envelope().to_json();
    foreign.log = Some(other_log.trim_matches('"').parse().unwrap());
    let foreign = foreign.sign(&[&stranger]).unwrap().envelope().to_json();
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        case("nothing", "", 400, "not-strict-json"),
        case("not JSON", "hello", 400, "not-strict-json"),
        case(
            "not UTF-8",
            b"{\"payload\":\"\xff\"}".to_vec(),
            400,
            "not-strict-json",
        ),
        case(
            "a byte order mark",
            format!("\u{feff}{sound}"),
            400,
            "not-strict-json",
        ),
        case("space around", format!(" {sound}"), 400, "not-strict-json"),
        case(
            "a line break behind",
            format!("{sound}\n"),
            400,
            "not-strict-json",
        ),
        case(
            "two values",
            format!("{sound}{sound}"),
            400,
            "not-strict-json",
        ),
        case(
            "truncated",
            &sound.as_bytes()[..sound.len() - 9],
            400,
            "not-strict-json",
        ),
        case("a float", "{\"payloadType\":1.5}", 400, "not-strict-json"),
        case("minus zero", "{\"payloadType\":-0}", 400, "not-strict-json"),
        case(
            "a large integer",
            "{\"payloadType\":9007199254740992}",
            400,
            "not-strict-json",
        ),
        case(
            "a lone surrogate",
            "{\"payloadType\":\"\\ud800\"}",
            400,
            "not-strict-json",
        ),
        case(
            "a member twice",
            "{\"payload\":\"\",\"p\\u0061yload\":\"\"}",
            400,
            "not-strict-json",
        ),
        case("no object", "[]", 400, "malformed"),
        case("no members", "{}", 400, "malformed"),
        case("deep", &deep.as_bytes()[..40_000], 400, "not-strict-json"),
        case("far too deep", deep, 413, "too-large"),
        case("ten megabytes", vec![b' '; 10 << 20], 413, "too-large"),
        case(
            "a surplus member",
            changed(signer, |e| e["more"] = json!(1)),
            400,
            "unknown-member",
        ),
        case(
            "no base64",
            changed(signer, |e| e["payload"] = json!("*")),
            400,
            "malformed",
        ),
        case(
            "unpadded base64",
            changed(signer, |e| e["payload"] = json!("QQ")),
            400,
            "malformed",
        ),
        case(
            "loose base64",
            changed(signer, |e| e["payload"] = json!("QR==")),
            400,
            "malformed",
        ),
        case(
            "no signatures",
            changed(signer, |e| e["signatures"] = json!([])),
            400,
            "malformed",
        ),
        case(
            "a short signature",
            changed(signer, |e| e["signatures"][0]["sig"] = json!("QUJD")),
            400,
            "malformed",
        ),
        case(
            "a key twice",
            changed(signer, |e| {
                let one = e["signatures"][0].clone();
                e["signatures"] = json!([one, one]);
            }),
            403,
            "key-repeated",
        ),
        case(
            "an unknown kind",
            changed(signer, |e| {
                e["payloadType"] = json!("application/vnd.dragons.egg.v1+json");
            }),
            400,
            "unknown-kind",
        ),
        case(
            "another version",
            changed(signer, |e| {
                e["payloadType"] = json!("application/vnd.dragons.order.v2+json");
            }),
            400,
            "unknown-kind",
        ),
        case(
            "a signature moved to another payload",
            changed(signer, |e| {
                let other = signer
                    .stop("a")
                    .record()
                    .to_payload()
                    .replace("a test", "b test");
                e["payload"] = json!(tlog::base64::encode(other));
            }),
            403,
            "signature-invalid",
        ),
        case(
            "an empty payload",
            payload(Kind::Pulse, ""),
            400,
            "not-strict-json",
        ),
        case(
            "a payload with a float",
            payload(Kind::Pulse, "{\"n\":1.0}"),
            400,
            "not-strict-json",
        ),
        case(
            "a payload without members",
            payload(Kind::Pulse, "{}"),
            400,
            "malformed",
        ),
        case(
            "an order to run",
            payload(
                Kind::Order,
                &format!(
                    "{{\"log\":{other_log},\"agent\":\"a\",\"to\":\"running\",\"reason\":\"\",\"at_ms\":1}}"
                ),
            ),
            400,
            "malformed",
        ),
        case(
            "text that turns around",
            payload(
                Kind::Order,
                &format!(
                    "{{\"log\":{other_log},\"agent\":\"a\",\"to\":\"stopped\",\"reason\":\"\u{202e}x\",\"at_ms\":1}}"
                ),
            ),
            400,
            "malformed",
        ),
        case("another log", foreign, 403, "origin-mismatch"),
        case(
            "another log, and long ago",
            payload(Kind::Pulse, &pulse(&other_log)),
            403,
            "origin-mismatch",
        ),
        case(
            "no log",
            payload(Kind::Pulse, &pulse("null")),
            403,
            "origin-mismatch",
        ),
        case("a stranger's key", unknown_key, 403, "key-unknown"),
    ]
}

#[test]
fn hostile_bodies_get_their_code_and_log_nothing() {
    let service = Service::new();
    let signer = service.signer();
    service.log(&signer.registration("a", &PrivateKey::from_seed(&[5; 32])));
    let before = service.size();
    for Case {
        name,
        body,
        status,
        code,
    } in cases(&signer)
    {
        let answer = service.post(body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{name}: {}",
            answer.text()
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
    }
    let by_operator = signer.by_operator(Body::Pulse(Pulse {
        n: 2,
        agents: 0,
        state: None,
        witnessed: None,
    }));
    let answer = service.post(by_operator.envelope().to_json());
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "role-missing")
    );
    assert_eq!(service.size(), before, "nothing is logged");
    assert_eq!(service.get("/readyz").status, 200);
}

#[test]
fn media_types_and_methods() {
    let service = Service::new();
    let record = service.signer().stop("a").envelope().to_json();
    let cases = [
        (
            "POST",
            "/v1/entries",
            "text/plain",
            415,
            "unsupported-media-type",
        ),
        ("POST", "/v1/entries", "", 415, "unsupported-media-type"),
        (
            "PUT",
            "/v1/entries",
            "application/json",
            405,
            "method-not-allowed",
        ),
        (
            "DELETE",
            "/checkpoint",
            "application/json",
            405,
            "method-not-allowed",
        ),
        ("POST", "/nowhere", "application/json", 404, "not-found"),
    ];
    for (method, path, media_type, status, code) in cases {
        let mut request = service.request(method, path).body(record.clone());
        if !media_type.is_empty() {
            request = request.header("content-type", media_type);
        }
        let answer = Answer::of(request);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{method} {path}"
        );
    }
}

#[test]
fn a_duplicate_gets_the_index_and_the_proof_that_it_has() {
    let service = Service::new();
    let signer = service.signer();
    let record = signer.registration("a", &PrivateKey::from_seed(&[5; 32]));
    let index = service.log(&record);
    let size = service.size();
    let again = service.post(record.envelope().to_json());
    let answer = again.json();
    assert_eq!(again.status, 200);
    assert_eq!(answer["result"], "duplicate");
    assert_eq!(answer["index"].as_u64(), Some(index));
    let proof = tlog::proof::ProofFile::parse(answer["proof"].as_str().unwrap()).unwrap();
    let leaf = proof.extra.clone().unwrap();
    assert_eq!(
        proof
            .verify(&leaf, &service.policy())
            .unwrap()
            .index()
            .get(),
        index
    );
    assert_eq!(service.size(), size, "it is not logged again");
    let line = record.envelope().to_json();
    let lines = service.post_lines(&[line.clone(), line]).text();
    assert_eq!(
        lines
            .lines()
            .filter(|line| line.contains("\"duplicate\""))
            .count(),
        2
    );
}

#[test]
fn lines_are_judged_alone_and_answered_in_order() {
    let service = Service::new();
    let signer = service.signer();
    let key = PrivateKey::from_seed(&[5; 32]);
    let lease = {
        service.log(&signer.registration("a", &key));
        signer.lease("a", &key)
    };
    let beat = signer.first_beat("a", &key, 1, lease.hash());
    let goal = signer.goal_after(&beat, &key);
    let next = signer.goal_after(&goal, &key);
    let mut lines: Vec<String> = [&lease, &beat, &goal, &next]
        .map(|record| record.envelope().to_json())
        .to_vec();
    lines.insert(2, "not JSON".to_owned());
    let answer = service.post_lines(&lines);
    assert_eq!(answer.status, 200);
    let answers: Vec<Value> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), lines.len());
    assert_eq!(answers[2]["code"], "not-strict-json");
    for (n, record) in [(0, &lease), (1, &beat), (3, &goal), (4, &next)] {
        assert_eq!(
            answers[n]["record"],
            record.hash().to_string(),
            "{}",
            answers[n]
        );
        assert_eq!(answers[n]["result"], "logged");
        assert!(answers[n].get("proof").is_none());
    }
}

#[test]
fn a_refused_receipt_tells_where_the_chain_stands_and_leaves_a_refusal() {
    let service = Service::new();
    let signer = service.signer();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&signer.registration("a", &key));
    let lease = signer.lease("a", &key);
    service.log(&lease);
    let beat = signer.first_beat("a", &key, 1, lease.hash());
    service.log(&beat);
    let goal = signer.goal_after(&beat, &key);
    let skipped = signer.goal_after(&goal, &key);
    let before = service.size();
    let answer = service.post(skipped.envelope().to_json());
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (409, "sequence-gap")
    );
    assert_eq!(answer.json()["next_seq"].as_u64(), Some(1));
    assert_eq!(answer.json()["head"], beat.hash().to_string());
    let entry = service.get(&format!("/v1/entries/{before}")).json();
    assert_eq!(entry["kind"], "refusal");
    assert_eq!(entry["payload"]["refused"], skipped.hash().to_string());
    assert_eq!(entry["payload"]["code"], "sequence-gap");
    service.log(&goal);
}
