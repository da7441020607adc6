//! Evidence packs: what is sent verifies, line for line, and what cannot be sent is refused before it begins.

use axum::http::Request;
use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::pack::{Line, Reader};
use ledger::record::{Body, Lease, LeaseRenewal, Mode, Registration};
use ledger::verify::{CheckId, Report, Status, Trust, verify};
use tlog::policy::Policy;

use crate::world::{
    HOUR_MS, JSON_LINES, Reply, START, World, after, filled, key, lease, log_key, registration,
};

fn trust(world: &World) -> Trust {
    let policy = format!("log {}\nquorum none\n", log_key().verifier_key());
    let policy = Policy::parse(&policy).unwrap();
    let charter = world.name;
    Trust {
        policy,
        charter,
        from: None,
    }
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
    let head = Request::head("/v1/pack")
        .body(axum::body::Body::empty())
        .unwrap();
    let head = world.ask(head).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn a_pack_is_of_the_head_at_which_it_began() {
    let world = filled(200).await;
    let request = Request::get("/v1/pack")
        .body(axum::body::Body::empty())
        .unwrap();
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

/// A log in which agent `a` has done something for a goal, and agent `b` beside it has a part of `a`'s lease.
async fn worked() -> (World, RecordHash) {
    let (world, chain) = World::running(Mode::Enforce).await;
    let goal = world.goal(&chain);
    let chain = after(&chain, &goal);
    let intent = world.intent(&chain, goal.hash(), "read:book");
    let chain = after(&chain, &intent);
    let result = world.result(&chain, intent.hash());
    let chain = after(&chain, &result);
    for record in [&goal, &intent, &result, &world.observation(1)] {
        let reply = world.submit(record).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let other = Body::Manifest(Box::new(Registration {
        key: key(9).public(),
        ..registration("b")
    }));
    let a = world.get("/v1/agents/a").await.json();
    let parent = a["lease"].as_str().unwrap().parse().unwrap();
    let part = Body::Lease(Box::new(Lease {
        parent: Some(parent),
        expires_ms: START + HOUR_MS / 2,
        ..lease("b")
    }));
    let renewal = Body::LeaseRenewal(LeaseRenewal {
        lease: parent,
        from_ms: START + HOUR_MS,
        expires_ms: START + 2 * HOUR_MS,
    });
    let beat = world.beat(&chain);
    for record in [
        world.signed(other, &[2, 9]),
        world.signed(part, &[2]),
        world.signed(renewal, &[2]),
        beat,
    ] {
        let reply = world.submit(&record).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    (world, goal.hash())
}

#[tokio::test]
async fn agents_and_goals_come_with_the_authority_they_rest_on() {
    let (world, goal) = worked().await;
    for (query, name, kinds) in [
        (
            "agent=a".to_owned(),
            "agent-a".to_owned(),
            vec![
                "charter 1",
                "heartbeat 2",
                "lease 1",
                "lease-renewal 1",
                "manifest 1",
                "observation 1",
                "receipt 3",
                "transition 1",
            ],
        ),
        (
            // Its own two records, and the authority of the agent whose lease it has a part of.
            "agent=b".to_owned(),
            "agent-b".to_owned(),
            vec![
                "charter 1",
                "lease 2",
                "lease-renewal 1",
                "manifest 2",
                "transition 1",
            ],
        ),
        (
            format!("goal={goal}"),
            format!("goal-{goal}").replace(':', "-"),
            vec![
                "charter 1",
                "lease 1",
                "lease-renewal 1",
                "manifest 1",
                "receipt 3",
                "transition 1",
            ],
        ),
    ] {
        let pack = world.get(&format!("/v1/pack?{query}")).await;
        let report = report(&world, &pack);
        assert!(report.findings.is_empty(), "{query}: {:?}", report.findings);
        for id in [CheckId::Form, CheckId::Inclusion, CheckId::Signatures] {
            assert!(passes(&report, id), "{query}: {id}");
        }
        let mut counts: Vec<String> = report
            .summary
            .records
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        counts.sort();
        assert_eq!(counts, kinds, "{query}");
        let disposition = format!("attachment; filename=\"{name}.pack.jsonl\"");
        assert_eq!(pack.header("content-disposition"), disposition);
    }
}

#[tokio::test]
async fn who_and_what_is_not_there_cannot_be_selected() {
    let (world, goal) = worked().await;
    let intent = world.get("/v1/entries/7").await.json()["record"].clone();
    let nobody = RecordHash::new(ledger::digest::Digest::of(&[]));
    for (query, code) in [
        ("agent=c".to_owned(), Code::NotFound),
        (format!("goal={nobody}"), Code::NotFound),
        (format!("goal={}", intent.as_str().unwrap()), Code::NotFound),
        ("agent=".to_owned(), Code::Malformed),
        ("goal=x".to_owned(), Code::Malformed),
        (format!("agent=a&goal={goal}"), Code::Malformed),
        ("agent=a&from=0".to_owned(), Code::Malformed),
        (format!("goal={goal}&to=3"), Code::Malformed),
        ("agent=a&agent=a".to_owned(), Code::Malformed),
    ] {
        let refused = world.get(&format!("/v1/pack?{query}")).await;
        assert_eq!(refused.problem(), code.as_str(), "{query}");
    }
}
