//! Many records in one body.

use axum::body::{Body, Bytes};
use axum::http::Request;
use ledger::record::{Mode, SignedRecord};
use server::http::Web;
use server::log::Options;

use crate::world::{BASE, JSON_LINES, World, after};

fn lines(records: &[SignedRecord]) -> String {
    records
        .iter()
        .map(|record| record.envelope().to_json() + "\n")
        .collect()
}

#[tokio::test]
async fn an_agents_records_succeed_one_after_another() {
    let (world, mut chain) = World::running(Mode::Enforce).await;
    let mut records = Vec::new();
    // More than two windows, so that windows overlap.
    for _ in 0..300 {
        let beat = world.beat(&chain);
        chain = after(&chain, &beat);
        records.push(beat);
    }
    let first = world.size();
    let reply = world.post(JSON_LINES, lines(&records)).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, JSON_LINES)
    );
    let answers = reply.lines();
    assert_eq!(answers.len(), records.len());
    for (n, (answer, record)) in (0_u64..).zip(answers.iter().zip(&records)) {
        assert_eq!(answer["index"], first + n, "{answer}");
        assert_eq!(answer["record"], record.hash().to_string());
        assert_eq!(answer["agent"]["ask"], "go-on");
        assert_eq!(answer.get("proof"), None);
    }
    assert_eq!(world.size(), first + 300);
}

#[tokio::test]
async fn each_line_is_judged_alone_and_answered_in_its_place() {
    let world = World::new().await;
    let sound = |n| world.observation(n).envelope().to_json();
    let large = "x".repeat(48 * 1024 + 1);
    let body = [
        &sound(1),
        "",
        "{}",
        &sound(2),
        &large,
        &sound(1),
        "hello\r",
        &sound(3),
    ]
    .join("\n");
    let answers = world.post(JSON_LINES, body).await.lines();
    let told = |line: &serde_json::Value| {
        let index = line["index"].as_u64();
        let word = line["result"]
            .as_str()
            .or(line["code"].as_str())
            .unwrap()
            .to_owned();
        (index, word, line["status"].as_u64())
    };
    let told: Vec<_> = answers.iter().map(told).collect();
    let want = [
        (Some(3), "logged", None),
        (None, "not-strict-json", Some(400)),
        (None, "malformed", Some(400)),
        (Some(4), "logged", None),
        (None, "too-large", Some(413)),
        (Some(3), "duplicate", None),
        (None, "not-strict-json", Some(400)),
        (Some(5), "logged", None),
    ];
    let want: Vec<_> = want
        .map(|(index, word, status)| (index, word.to_owned(), status))
        .into();
    assert_eq!(told, want);
}

#[tokio::test]
async fn proofs_come_along_when_asked_for() {
    let world = World::new().await;
    let body = lines(&[world.observation(1), world.observation(2)]);
    let request = Request::post("/v1/entries?proof=true").header("content-type", JSON_LINES);
    let answers = world
        .ask(request.body(Body::from(body)).unwrap())
        .await
        .lines();
    for (index, answer) in (BASE..).zip(&answers) {
        let proof = answer["proof"].as_str().unwrap();
        assert!(proof.contains(&format!("\nindex {index}\n")), "{proof}");
    }
    assert_eq!(answers.len(), 2);
}

#[tokio::test]
async fn a_body_that_breaks_a_limit_logs_nothing() {
    let world = World::new().await;
    let line = world.observation(1).envelope().to_json() + "\n";
    for (body, status, code) in [
        (Bytes::new(), 400, "malformed"),
        (line.repeat(4_097).into(), 413, "too-large"),
        (vec![b'\n'; 4_097].into(), 413, "too-large"),
        (vec![b'x'; (16 << 20) + 1].into(), 413, "too-large"),
    ] {
        let reply = world.post(JSON_LINES, body).await;
        assert_eq!((reply.status, reply.problem().as_str()), (status, code));
    }
    assert_eq!(world.size(), BASE);
}

#[tokio::test]
async fn a_full_body_is_answered_in_full() {
    let world = World::new().await;
    let records: Vec<_> = (0..64).map(|n| world.observation(n)).collect();
    let body = lines(&records).repeat(64);
    let answers = world.post(JSON_LINES, body).await.lines();
    assert_eq!(answers.len(), 4_096);
    let logged = answers
        .iter()
        .filter(|answer| answer["result"] == "logged")
        .count();
    assert_eq!((logged, world.size()), (64, BASE + 64));
    for (n, answer) in (0_u64..).zip(&answers) {
        assert_eq!(answer["index"], BASE + n % 64);
    }
}

#[tokio::test]
async fn a_queue_of_one_takes_what_it_can_and_turns_the_rest_away_in_order() {
    let options = Options {
        queue: 1,
        ..Options::default()
    };
    let world = World::with(Mode::Enforce, options, Web::Embedded).await;
    let records: Vec<_> = (0..200).map(|n| world.observation(n)).collect();
    let answers = world.post(JSON_LINES, lines(&records)).await.lines();
    let logged = answers
        .iter()
        .take_while(|answer| answer["result"] == "logged")
        .count();
    assert!(logged >= 1);
    // Once one is turned away, those behind it may rest on it, and none of them enters.
    assert!(
        answers[logged..]
            .iter()
            .all(|answer| answer["code"] == "overloaded")
    );
    assert_eq!(answers.len(), 200);
    assert_eq!(world.size(), BASE + logged as u64);
}
