//! What can be read: each route, its forms and its headers.

use axum::body::Body;
use axum::http::Request;
use server::http::Web;
use server::log::Options;
use tlog::consistency;
use tlog::policy::Policy;
use tlog::proof::ProofFile;
use tlog::{Hash, LeafIndex, TreeSize};
use tower::ServiceExt as _;

use crate::world::{BASE, JSON_LINES, START, World, filled, log_key};

const FOREVER: &str = "public, max-age=31536000, immutable";
const OCTETS: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";

#[tokio::test]
async fn every_route_answers_with_its_headers() {
    let world = filled(300).await;
    let record = format!("/v1/records/{}", world.name);
    for (uri, content_type, cache_control) in [
        ("/checkpoint", TEXT, "no-cache"),
        ("/tile/0/000", OCTETS, FOREVER),
        ("/tile/0/000.p/7", OCTETS, FOREVER),
        ("/tile/0/001.p/44", OCTETS, FOREVER),
        ("/tile/1/000.p/1", OCTETS, FOREVER),
        ("/tile/entries/000", OCTETS, FOREVER),
        ("/tile/entries/001.p/44", OCTETS, FOREVER),
        ("/v1/entries/0", "application/json", "no-cache"),
        ("/v1/entries/0/proof", TEXT, "no-cache"),
        ("/v1/entries/7/proof?size=300", TEXT, "no-cache"),
        (&record, "application/json", "no-cache"),
        (
            "/v1/consistency?old=3&new=300",
            "application/json",
            "no-cache",
        ),
        ("/v1/checkpoints", JSON_LINES, "no-cache"),
        (
            "/v1/checkpoints?after=299&limit=1000",
            JSON_LINES,
            "no-cache",
        ),
        ("/v1/pack?from=7&to=99", JSON_LINES, "no-cache"),
        ("/v1/charter", "application/json", "no-cache"),
        ("/v1/agents", "application/json", "no-cache"),
        ("/v1/agents?after=a&limit=1", "application/json", "no-cache"),
        ("/openapi.json", "application/json", "no-cache"),
        ("/healthz", "application/json", "no-cache"),
        ("/readyz", "application/json", "no-cache"),
    ] {
        let reply = world.get(uri).await;
        assert_eq!(reply.status, 200, "{uri}: {}", reply.text());
        assert_eq!(reply.header("content-type"), content_type, "{uri}");
        assert_eq!(reply.header("cache-control"), cache_control, "{uri}");
        let tells_nothing =
            uri == "/checkpoint" || uri.starts_with("/tile/") && !uri.contains("entries");
        let (origins, policy) = match tells_nothing {
            true => ("*", "cross-origin"),
            false => ("", "same-origin"),
        };
        assert_eq!(
            reply.header("access-control-allow-origin"),
            origins,
            "{uri}"
        );
        assert_eq!(
            reply.header("cross-origin-resource-policy"),
            policy,
            "{uri}"
        );
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{uri}");
        assert!(!reply.header("x-request-id").is_empty(), "{uri}");
        let head = Request::head(uri).body(Body::empty()).unwrap();
        let head = world.ask(head).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{uri}");
        assert_eq!(head.header("content-type"), content_type, "{uri}");
    }
}

#[tokio::test]
async fn every_covered_width_answers_and_is_the_beginning_of_the_full_tile() {
    let world = filled(300).await;
    for kind in ["0", "entries"] {
        let full = world.get(&format!("/tile/{kind}/000")).await.body;
        for width in [1, 2, 44, 128, 255] {
            let part = world.get(&format!("/tile/{kind}/000.p/{width}")).await;
            assert_eq!(part.status, 200);
            assert!(full.starts_with(&part.body) && part.body.len() < full.len());
        }
        for width in 1..=255 {
            let part = world.get(&format!("/tile/{kind}/001.p/{width}")).await;
            assert_eq!(part.status == 200, width <= 44, "{kind} {width}");
        }
    }
}

#[tokio::test]
async fn proofs_verify_at_every_kept_size() {
    let world = filled(40).await;
    let vkey = log_key().verifier_key();
    let policy = Policy::parse(&format!("log {vkey}\nquorum none\n")).unwrap();
    for (index, size) in [(0, 40), (7, 40), (31, 40), (39, 40)] {
        let uri = format!("/v1/entries/{index}");
        let leaf = Request::get(&uri)
            .header("accept", OCTETS)
            .body(Body::empty())
            .unwrap();
        let leaf = world.ask(leaf).await;
        assert_eq!(leaf.header("content-type"), OCTETS);
        assert_eq!(leaf.header("vary"), "accept");
        let text = world.get(&format!("{uri}/proof?size={size}")).await;
        let proof = ProofFile::parse(text.text()).unwrap();
        let proven = proof.verify(&leaf.body, &policy).unwrap();
        assert_eq!(proven.index(), LeafIndex::new(index));
        assert_eq!(proven.checkpoint().size(), TreeSize::new(size));
    }
}

#[tokio::test]
async fn consistency_proofs_lead_from_root_to_root() {
    let world = filled(40).await;
    let published = world.log.published();
    for (old, new) in [
        (0, 0),
        (0, 9),
        (1, 1),
        (1, 40),
        (16, 33),
        (39, 40),
        (40, 40),
    ] {
        let reply = world
            .get(&format!("/v1/consistency?old={old}&new={new}"))
            .await
            .json();
        assert_eq!(
            (reply["old"].as_u64(), reply["new"].as_u64()),
            (Some(old), Some(new))
        );
        let hashes = reply["hashes"].as_array().unwrap().iter();
        let hashes: Vec<Hash> = hashes
            .map(|hash| hash.as_str().unwrap().parse().unwrap())
            .collect();
        let (old, new) = (TreeSize::new(old), TreeSize::new(new));
        let root = |size| published.root_at(size).unwrap();
        consistency::verify(&hashes, old, &root(old), new, &root(new)).unwrap();
    }
}

#[tokio::test]
async fn heads_are_listed_in_pages() {
    let world = World::new().await;
    for n in 0..3 {
        assert_eq!(world.submit(&world.observation(n)).await.status, 200);
    }
    let heads = world.get("/v1/checkpoints").await.lines();
    let newest = heads.last().unwrap();
    assert_eq!(newest["size"], BASE + 3);
    assert_eq!(newest["time_ms"], START);
    assert_eq!(newest["checkpoint"], world.get("/checkpoint").await.text());
    let beyond = world.get("/v1/checkpoints?after=6").await;
    assert_eq!((beyond.status, beyond.body.len()), (200, 0));
}

#[tokio::test]
async fn an_entry_is_shown_decoded() {
    let world = World::new().await;
    let entry = world.get("/v1/entries/0").await.json();
    assert_eq!(entry["index"], 0);
    assert_eq!(entry["received_ms"], START);
    assert_eq!(entry["kind"], "charter");
    assert_eq!(entry["record"], world.name.to_string());
    assert_eq!(entry["payload"]["origin"], "example.com/log");
    assert_eq!(
        entry["envelope"]["payloadType"],
        "application/vnd.dragons.charter.v1+json"
    );
    let charter = world.get("/v1/charter").await.json();
    assert_eq!(charter["charter"], entry["payload"]);
    assert_eq!(charter["record"], charter["log"]);
    assert_eq!(
        (charter["as_of"].as_u64(), charter["index"].as_u64()),
        (Some(BASE), Some(0))
    );
    let place = world.get(&format!("/v1/records/{}", world.name)).await;
    assert_eq!(place.text(), "{\"index\":0}");
}

#[tokio::test]
async fn pages_of_other_origins_read_hashes_and_write_nothing() {
    let world = World::new().await;
    let preflight = async |method: &str, uri: &str| {
        let request = Request::options(uri)
            .header("origin", "https://elsewhere.example")
            .header("access-control-request-method", method);
        world.ask(request.body(Body::empty()).unwrap()).await
    };
    for uri in ["/checkpoint", "/tile/0/000"] {
        let reply = preflight("GET", uri).await;
        assert_eq!(reply.status, 200, "{uri}");
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{uri}");
        assert_eq!(
            reply.header("access-control-allow-methods"),
            "GET,HEAD",
            "{uri}"
        );
    }
    for (method, uri) in [
        ("GET", "/tile/entries/000.p/1"),
        ("GET", "/v1/entries/0"),
        ("GET", "/v1/pack"),
        ("GET", "/v1/events"),
        ("POST", "/v1/entries"),
        ("POST", "/v1/requests"),
    ] {
        let reply = preflight(method, uri).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (405, "method-not-allowed"),
            "{uri}"
        );
        assert_eq!(reply.header("access-control-allow-origin"), "", "{uri}");
    }
}

#[tokio::test]
async fn an_origin_that_is_named_reads_evidence_and_nothing_else() {
    let world = World::new().await;
    let page = "https://page.example";
    let service = world.service.clone().open_to(&[page.parse().unwrap()]);
    let read = async |origin: &'static str, uri: &str| {
        let request = Request::get(uri).header("host", "localhost");
        let request = request.header("origin", origin).body(Body::empty());
        let router = server::http::router(service.clone());
        let reply = router.oneshot(request.unwrap()).await.unwrap();
        let allowed = reply.headers().get("access-control-allow-origin");
        allowed.map(|allowed| allowed.to_str().unwrap().to_owned())
    };
    for uri in [
        "/tile/entries/000.p/1",
        "/v1/entries/0/proof",
        "/v1/consistency?old=1&new=2",
        "/v1/pack",
    ] {
        assert_eq!(read(page, uri).await.as_deref(), Some(page), "{uri}");
        assert_eq!(read("https://elsewhere.example", uri).await, None, "{uri}");
    }
    for uri in [
        "/v1/entries/0",
        "/v1/agents",
        "/v1/requests",
        "/v1/checkpoints",
    ] {
        assert_eq!(read(page, uri).await, None, "{uri}");
    }
}

#[tokio::test]
async fn another_name_is_not_answered() {
    let world = World::new().await;
    for uri in ["/checkpoint", "/v1/pack", "/", "/healthz", "/nothing"] {
        let request = Request::get(uri).header("host", "rebound.example");
        let reply = world.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (421, "host-unknown"),
            "{uri}"
        );
        assert!(reply.text().contains("--host"), "{}", reply.text());
    }
}

#[tokio::test]
async fn the_description_is_this_one() {
    let description = World::new().await.get("/openapi.json").await;
    insta::assert_snapshot!("openapi", description.text());
}

#[tokio::test]
async fn the_page_comes_from_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("index.html"), "<!doctype html>").unwrap();
    std::fs::write(directory.path().join("verifier.wasm"), "wasm").unwrap();
    let web = Web::Directory(directory.path().to_owned());
    let world = World::with(ledger::record::Mode::Enforce, Options::default(), web).await;
    let page = world.get("/verify/").await;
    assert_eq!((page.status, page.text()), (200, "<!doctype html>"));
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert_eq!(
        world
            .get("/verify/verifier.wasm")
            .await
            .header("content-type"),
        "application/wasm"
    );
    let trust = world.get("/verify/trust.json").await;
    assert_eq!(
        (trust.status, trust.header("content-type")),
        (200, "application/json")
    );
    let trust: ledger::verify::Trust = trust.text().parse().unwrap();
    assert_eq!(trust.charter, world.name);
    let redirect = world.get("/verify").await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (308, "/verify/")
    );
    for uri in [
        "/verify/nothing.js",
        "/verify/../Cargo.toml",
        "/verify/%2e%2e/x",
        "/verify//",
    ] {
        let reply = world.get(uri).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (404, "not-found"),
            "{uri}"
        );
    }
}
