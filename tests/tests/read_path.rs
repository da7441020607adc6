//! The C2SP read path and the rest of what can be read: headers, widths, refusals.

use ledger::key::PrivateKey;
use tests::{Answer, Service};
use tlog::proof::ProofFile;

fn filled(to: u64) -> Service {
    let service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(to);
    service
}

#[test]
fn tiles_and_their_headers() {
    let service = filled(260);
    let checkpoint = service.get("/checkpoint");
    assert_eq!(
        checkpoint.header("content-type"),
        "text/plain; charset=utf-8"
    );
    assert_eq!(checkpoint.header("cache-control"), "no-cache");
    let forever = "public, max-age=31536000, immutable";
    for (path, bytes) in [
        ("/tile/0/000", 256 * 32),
        ("/tile/0/000.p/7", 7 * 32),
        ("/tile/1/000.p/1", 32),
    ] {
        let tile = service.get(path);
        assert_eq!((tile.status, tile.body.len()), (200, bytes), "{path}");
        assert_eq!(tile.header("content-type"), "application/octet-stream");
        assert_eq!(tile.header("access-control-allow-origin"), "*");
    }
    assert_eq!(service.get("/tile/0/000").header("cache-control"), forever);
    assert_eq!(
        service.get("/tile/entries/000").header("cache-control"),
        forever
    );
    for width in [1, 3, 4] {
        assert_eq!(
            service.get(&format!("/tile/0/001.p/{width}")).body.len(),
            width * 32
        );
        assert_eq!(
            service.get(&format!("/tile/entries/001.p/{width}")).status,
            200
        );
    }
    let absent = [
        "/tile/0/001",
        "/tile/0/001.p/200",
        "/tile/0/002.p/1",
        "/tile/2/000.p/1",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/0",
        "/tile/0/x000/000",
        "/tile/00/000",
        "/tile/64/000",
        "/tile/0/000.p/07",
        "/tile/entries/001",
        "/tile/data/000",
        "/tile/0/000.p",
        "/tile/-1/000",
        "/tile/0/000/",
        "/tile/entries/002.p/1",
    ];
    for path in absent {
        let answer = service.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "not-found"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        let is_bundle = path.starts_with("/tile/entries/");
        let origins = if is_bundle { "" } else { "*" };
        assert_eq!(
            answer.header("access-control-allow-origin"),
            origins,
            "{path}"
        );
    }
}

#[test]
fn a_browser_elsewhere_may_read_but_not_write() {
    let service = Service::new();
    let ask = |method: &str, path: &str| {
        let request = service
            .request("OPTIONS", path)
            .header("origin", "https://elsewhere.example")
            .header("access-control-request-method", method);
        Answer::of(request)
    };
    assert_eq!(
        ask("GET", "/checkpoint").header("access-control-allow-origin"),
        "*"
    );
    for path in ["/v1/entries", "/v1/requests"] {
        let write = ask("POST", path);
        assert_eq!(write.header("access-control-allow-origin"), "", "{path}");
        let allowed = write.header("access-control-allow-methods");
        assert!(!allowed.contains("POST"), "{path}: {allowed}");
    }
}

#[test]
fn every_entry_has_a_proof_at_every_kept_size_that_covers_it() {
    let service = filled(40);
    let policy = service.policy();
    let heads = service.kept_sizes();
    assert_eq!(heads.last(), Some(&40));
    let cases = heads.iter().flat_map(|size| {
        let indices = [0, size / 2, size - 1];
        indices.map(|index| (index, *size))
    });
    for (index, size) in cases {
        let answer = service.get(&format!("/v1/entries/{index}/proof?size={size}"));
        let proof = ProofFile::parse(&answer.text()).unwrap();
        let leaf = service.request("GET", &format!("/v1/entries/{index}"));
        let leaf = Answer::of(leaf.header("accept", "application/octet-stream")).body;
        let proven = proof.verify(&leaf, &policy).unwrap();
        assert_eq!(proven.checkpoint().size().get(), size);
    }
    let lost = (1..40).find(|size| !heads.contains(size)).unwrap();
    let next = heads.iter().find(|size| **size > lost).unwrap();
    let answer = service.get(&format!("/v1/entries/0/proof?size={lost}"));
    assert_eq!(answer.status, 404);
    let told = format!("the next one kept has {next}");
    assert!(answer.text().contains(&told), "{}", answer.text());
    for path in [
        "/v1/entries/39/proof?size=39",
        "/v1/entries/9999",
        "/v1/entries/9999/proof",
        "/v1/entries/0/proof?size=9999",
        "/v1/agents/nobody",
        "/v1/records/sha256:0000000000000000000000000000000000000000000000000000000000000000",
    ] {
        assert_eq!(service.get(path).status, 404, "{path}");
    }
    for path in [
        "/v1/entries/-1",
        "/v1/entries/01",
        "/v1/entries/x",
        "/v1/records/x",
        "/v1/entries/0/proof?size=x",
        "/v1/entries/0/proof?sise=3",
        "/v1/consistency?old=1",
        "/v1/consistency?old=9&new=3",
    ] {
        let answer = service.get(path);
        assert!(
            matches!(answer.status, 400 | 404),
            "{path}: {}",
            answer.status
        );
        assert!(!answer.code().is_empty(), "{path}");
    }
}

#[test]
fn metrics_have_a_listener_of_their_own() {
    let service = Service::new();
    assert_eq!(service.get("/metrics").status, 404);
    assert_eq!(service.get("/healthz").status, 200);
    let openapi = service.get("/openapi.json").json();
    assert!(openapi["paths"]["/v1/entries"].is_object());
}
