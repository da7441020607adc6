//! Requests for leases: who may ask, what is shown of it, and what nobody can read.

use axum::body::Body;
use axum::http::Request;
use ledger::record::{self, Budget, Mode};
use ledger::request::{LeaseRequest, MAX_ENVELOPE_BYTES};

use server::log::Options;

use crate::world::{JSON, Reply, START, World, agent_key, key, lease, registration};

fn request(world: &World) -> LeaseRequest {
    LeaseRequest {
        log: world.name,
        agent: "a".parse().unwrap(),
        manifest_hash: registration("a").manifest_hash,
        allow: vec!["read:**".parse().unwrap()],
        deny: vec![],
        budget: Budget::default(),
        for_ms: 60_000,
        renewable_ms: None,
        parent: None,
        purpose: "<b>to read</b>".parse().unwrap(),
        at_ms: START,
    }
}

async fn ask(world: &World, content_type: &str, body: impl Into<Body>) -> Reply {
    let request = Request::post("/v1/requests").header("content-type", content_type);
    world.ask(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn who_asks_is_shown_until_somebody_grants() {
    let world = World::with(
        Mode::Enforce,
        Options::default(),
        server::http::Web::Embedded,
    )
    .await;
    let signed = request(&world).sign(&agent_key()).unwrap();
    let asked = ask(&world, JSON, signed.to_json()).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let shown = world.get("/v1/requests").await.json();
    assert_eq!(shown["requests"][0], asked.json());
    let shown = &shown["requests"][0];
    assert_eq!(shown["request"], signed.id().to_string());
    assert_eq!(
        (&shown["agent"], &shown["received_ms"]),
        (&"a".into(), &START.into())
    );
    assert_eq!(shown["payload"]["purpose"], "<b>to read</b>");
    assert_eq!(shown["envelope"].to_string().len(), signed.to_json().len());
    assert_eq!(
        world.get("/v1/requests?after=a").await.json()["requests"],
        serde_json::json!([])
    );
    let granted = world.signed(record::Body::Lease(Box::new(lease("a"))), &[2]);
    assert_eq!(world.submit(&granted).await.status, 200);
    assert_eq!(
        world.get("/v1/requests").await.json()["requests"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn what_nobody_should_send_is_a_problem() {
    let world = World::new().await;
    let size = world.size();
    let sound = request(&world).sign(&agent_key()).unwrap().to_json();
    let stranger = request(&world).sign(&key(99)).unwrap().to_json();
    let cases = [
        (JSON, String::new(), 400, "not-strict-json"),
        (JSON, "{}".to_owned(), 400, "malformed"),
        (JSON, format!("{sound}\n"), 400, "not-strict-json"),
        (
            JSON,
            sound.replace("lease-request", "lease"),
            400,
            "unknown-kind",
        ),
        (JSON, format!("{{\"x\":{sound}}}"), 400, "malformed"),
        (JSON, "[".repeat(MAX_ENVELOPE_BYTES), 400, "not-strict-json"),
        (JSON, "x".repeat(MAX_ENVELOPE_BYTES + 1), 413, "too-large"),
        (JSON, stranger, 403, "key-not-agents"),
        ("text/plain", sound.clone(), 415, "unsupported-media-type"),
    ];
    for (content_type, body, status, code) in cases {
        let refused = ask(&world, content_type, body).await;
        assert_eq!((refused.status, refused.problem().as_str()), (status, code));
    }
    let elsewhere = world.post(JSON, sound).await;
    assert_eq!(elsewhere.problem(), "unknown-kind", "it is not a record");
    assert_eq!(world.size(), size, "and nothing was logged");
    assert_eq!(
        world.get("/v1/requests").await.json()["requests"],
        serde_json::json!([])
    );
    let put = Request::delete("/v1/requests").body(Body::empty()).unwrap();
    assert_eq!(world.ask(put).await.problem(), "method-not-allowed");
}

#[tokio::test]
async fn the_board_says_who_waits_and_what_grants_it() {
    let world = World::new().await;
    let signed = request(&world).sign(&agent_key()).unwrap();
    assert_eq!(ask(&world, JSON, signed.to_json()).await.status, 200);
    let board = world.get("/agents").await.text().to_owned();
    let command = format!("dragons lease grant --request {} --key", signed.id());
    for text in [
        "Waiting for a lease",
        &command,
        "read:**",
        "&#60;b&#62;to read",
    ] {
        assert!(board.contains(text), "{text}: {board}");
    }
}
