//! Evidence packs: what is sent verifies, line for line, and what cannot be sent is refused before it begins.

use axum::body::Body;
use axum::http::Request;
use ledger::codes::Code;
use ledger::pack::{Line, Reader};
use ledger::verify::{CheckId, Report, Status, Trust, verify};
use tlog::policy::Policy;

use crate::world::{JSON_LINES, Reply, World, filled, log_key};

fn trust(world: &World) -> Trust {
    let policy = format!("log {}\nquorum none\n", log_key().verifier_key());
    let policy = Policy::parse(&policy).unwrap();
    let charter = world.name;
    Trust { policy, charter }
}

/// The report on a pack, which reads to its end in its one spelling.
fn report(world: &World, pack: &Reply) -> Report {
    assert_eq!(pack.status, 200, "{}", pack.text());
    let (mut reader, mut written) = (Reader::default(), String::new());
    let read = reader.push(&pack.body, |line: Line| written += &line.to_string());
    read.and_then(|()| reader.finish()).unwrap();
    assert_eq!(written, pack.text());
    verify(&pack.body, &trust(world), None)
}

fn passes(report: &Report, id: CheckId) -> bool {
    let check = report.checks.iter().find(|check| check.id == id);
    check.is_some_and(|check| check.status == Status::Pass)
}

#[tokio::test]
async fn windows_of_every_sort_verify() {
    let world = filled(300).await;
    for (query, count) in [
        ("?from=0&to=300", 300),
        ("", 300),
        ("?from=7", 293),
        ("?to=1", 1),
        ("?from=255&to=257", 2),
        ("?from=299&to=300", 1),
        ("?from=63&to=129", 66),
    ] {
        let pack = world.get(&format!("/v1/pack{query}")).await;
        let report = report(&world, &pack);
        assert!(report.findings.is_empty(), "{query}: {:?}", report.findings);
        for id in [CheckId::Form, CheckId::Inclusion, CheckId::Leaves] {
            assert!(passes(&report, id), "{query}: {id}");
        }
        assert_eq!(
            report.summary.records.values().sum::<u64>(),
            count,
            "{query}"
        );
        assert_eq!(pack.header("content-type"), JSON_LINES);
    }
    let pack = world.get("/v1/pack?from=2&to=9").await;
    let disposition = pack.header("content-disposition");
    assert_eq!(
        disposition,
        "attachment; filename=\"entries-2-9.pack.jsonl\""
    );
    let head = Request::head("/v1/pack").body(Body::empty()).unwrap();
    let head = world.ask(head).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn a_pack_is_of_the_head_at_which_it_began() {
    let world = filled(200).await;
    let request = Request::get("/v1/pack").body(Body::empty()).unwrap();
    let begun = world.begin(request).await;
    assert_eq!(world.submit(&world.observation(9_999)).await.status, 200);
    let pack = begun.read().await.unwrap();
    let report = report(&world, &pack);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.as_of.size.map(|size| size.get()), Some(200));
}

#[tokio::test]
async fn what_cannot_be_packed_is_refused_before_the_first_byte() {
    let world = filled(20).await;
    for (query, code) in [
        ("?from=5&to=5", Code::Malformed),
        ("?from=6&to=5", Code::Malformed),
        ("?from=20", Code::Malformed),
        ("?from=0&to=21", Code::NotFound),
        ("?from=x", Code::Malformed),
        ("?from=01", Code::Malformed),
        ("?size=3", Code::Malformed),
    ] {
        let refused = world.get(&format!("/v1/pack{query}")).await;
        assert_eq!(refused.problem(), code.as_str(), "{query}");
    }
}
