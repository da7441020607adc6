//! Requests that HTTP itself, or a parameter, gets wrong.

use axum::body::Body;
use axum::http::Request;

use crate::world::{BASE, JSON, JSON_LINES, World};

#[tokio::test]
async fn what_cannot_be_read_is_a_problem() {
    let world = World::new().await;
    let nobody = format!("/v1/records/sha256:{}", "0".repeat(64));
    for (uri, status, code) in [
        ("/pages", 404, "not-found"),
        ("/agents/", 404, "not-found"),
        ("/nothing", 404, "not-found"),
        ("/v1", 404, "not-found"),
        ("/v1/entries/", 404, "not-found"),
        ("/v1/entries/0/", 404, "not-found"),
        ("/checkpoint/", 404, "not-found"),
        ("/metrics", 404, "not-found"),
        ("/tile/", 404, "not-found"),
        ("/tile/0/001", 404, "not-found"),
        ("/tile/0/000", 404, "not-found"),
        ("/tile/0/000.p/0", 404, "not-found"),
        ("/tile/0/000.p/256", 404, "not-found"),
        ("/tile/0/000.p/02", 404, "not-found"),
        ("/tile/0/000.p/4", 404, "not-found"),
        ("/tile/0/0", 404, "not-found"),
        ("/tile/00/000.p/1", 404, "not-found"),
        ("/tile/64/000.p/1", 404, "not-found"),
        ("/tile/0/x000/000.p/1", 404, "not-found"),
        ("/tile/0/000.p/1/", 404, "not-found"),
        ("/tile/0/%30%30%30.p/1", 404, "not-found"),
        ("/tile/data/000.p/1", 404, "not-found"),
        ("/tile/entries/000.p/4", 404, "not-found"),
        ("/v1/entries/3", 404, "not-found"),
        ("/v1/entries/18446744073709551615", 404, "not-found"),
        ("/v1/entries/18446744073709551616", 400, "malformed"),
        ("/v1/entries/-1", 400, "malformed"),
        ("/v1/entries/01", 400, "malformed"),
        ("/v1/entries/+1", 400, "malformed"),
        ("/v1/entries/%ff", 400, "malformed"),
        ("/v1/entries/x", 400, "malformed"),
        ("/v1/entries/0?a=b", 400, "malformed"),
        ("/v1/entries/3/proof", 404, "not-found"),
        ("/v1/entries/0/proof?size=4", 404, "not-found"),
        ("/v1/entries/1/proof?size=1", 404, "not-found"),
        ("/v1/entries/0/proof?size=0", 404, "not-found"),
        ("/v1/entries/0/proof?size=", 400, "malformed"),
        ("/v1/entries/0/proof?size=02", 400, "malformed"),
        ("/v1/entries/0/proof?size=1&size=1", 400, "malformed"),
        ("/v1/entries/0/proof?sise=1", 400, "malformed"),
        (&nobody, 404, "not-found"),
        ("/v1/records/sha256:00", 400, "malformed"),
        ("/v1/records/x", 400, "malformed"),
        ("/v1/consistency", 400, "malformed"),
        ("/v1/consistency?old=1", 400, "malformed"),
        ("/v1/consistency?old=2&new=1", 400, "malformed"),
        ("/v1/consistency?old=1&new=4", 404, "not-found"),
        ("/v1/consistency?old=1&new=2&x=y", 400, "malformed"),
        ("/v1/checkpoints?limit=0", 400, "malformed"),
        ("/v1/checkpoints?limit=1001", 400, "malformed"),
        ("/v1/checkpoints?after=x", 400, "malformed"),
        ("/v1/charter?x", 400, "malformed"),
        ("/v1/agents?limit=1001", 400, "malformed"),
        ("/v1/agents?after=", 400, "malformed"),
        ("/v1/agents?after=%00", 400, "malformed"),
        ("/v1/agents/nobody", 404, "not-found"),
        ("/v1/agents/-", 400, "malformed"),
        ("/healthz?x=1", 400, "malformed"),
    ] {
        let reply = world.get(uri).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (status, code),
            "{uri}"
        );
        let is_open = uri.starts_with("/tile/") && !uri.starts_with("/tile/entries/");
        let open = if is_open && uri != "/tile/" { "*" } else { "" };
        assert_eq!(reply.header("access-control-allow-origin"), open, "{uri}");
        assert!(!reply.header("x-request-id").is_empty(), "{uri}");
    }
}

#[tokio::test]
async fn another_method_is_told_which_are_allowed() {
    let world = World::new().await;
    for (method, uri, allow) in [
        ("GET", "/v1/entries", "POST"),
        ("HEAD", "/v1/entries", "POST"),
        ("DELETE", "/v1/entries", "POST"),
        ("POST", "/checkpoint", "GET,HEAD"),
        ("PUT", "/tile/0/000", "GET,HEAD"),
        ("PATCH", "/v1/agents", "GET,HEAD"),
        ("POST", "/v1/entries/0", "GET,HEAD"),
        ("BREW", "/healthz", "GET,HEAD"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Body::empty())
            .unwrap();
        let reply = world.ask(request).await;
        assert_eq!(reply.status, 405, "{method} {uri}");
        assert_eq!(reply.header("allow"), allow, "{method} {uri}");
        if method != "HEAD" {
            assert_eq!(reply.problem(), "method-not-allowed");
        }
    }
}

#[tokio::test]
async fn a_form_that_there_is_not_is_not_acceptable() {
    let world = World::new().await;
    for accept in [
        "text/html",
        "image/*",
        "application/json;q=0, application/octet-stream;q=0",
    ] {
        let request = Request::get("/v1/entries/0").header("accept", accept);
        let reply = world.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (406, "not-acceptable"),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_not_looked_at() {
    let world = World::new().await;
    let record = world.observation(1).envelope().to_json();
    for content_type in [
        "",
        "text/plain",
        "application/xml",
        "application/jsonl",
        "multipart/form-data",
    ] {
        let reply = world.post(content_type, record.clone()).await;
        let problem = (reply.status, reply.problem());
        assert_eq!(
            problem,
            (415, "unsupported-media-type".to_owned()),
            "{content_type}"
        );
    }
    let bare = Request::post("/v1/entries")
        .body(Body::from(record.clone()))
        .unwrap();
    assert_eq!(world.ask(bare).await.problem(), "unsupported-media-type");
    let packed = Request::post("/v1/entries").header("content-type", JSON);
    let packed = packed
        .header("content-encoding", "gzip")
        .body(Body::from(record))
        .unwrap();
    assert_eq!(world.ask(packed).await.problem(), "unsupported-media-type");
    assert_eq!(world.size(), BASE);
}

#[tokio::test]
async fn a_log_without_witnesses_does_not_pretend_to_wait_for_them() {
    let world = World::new().await;
    for (query, code) in [
        ("wait=witnessed", "malformed"),
        ("wait=forever", "malformed"),
        ("proof=yes", "malformed"),
        ("prof=true", "malformed"),
    ] {
        let record = world.observation(1).envelope().to_json();
        let request = Request::post(format!("/v1/entries?{query}")).header("content-type", JSON);
        let reply = world.ask(request.body(Body::from(record)).unwrap()).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (400, code),
            "{query}"
        );
    }
    assert_eq!(world.size(), BASE);
}

#[tokio::test]
async fn a_log_that_stops_says_so_and_goes_on_reading() {
    let world = World::new().await;
    world.log.stop();
    let reply = world.submit(&world.observation(1)).await;
    assert_eq!((reply.status, reply.problem().as_str()), (503, "stopping"));
    assert_eq!(reply.header("retry-after"), "1");
    let lines = format!("{0}\n{0}\n", world.observation(1).envelope().to_json());
    for line in world.post(JSON_LINES, lines).await.lines() {
        assert_eq!(line["code"], "stopping");
    }
    assert_ne!(world.get("/readyz").await.status, 200);
    assert_eq!(world.get("/checkpoint").await.status, 200);
    assert_eq!(world.size(), BASE);
}
