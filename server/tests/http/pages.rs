//! The pages for people, and the histories that they show: what there is, escaped, with nothing hidden, and nothing of
//! another origin.

use std::time::Instant;

use axum::body::Body as HttpBody;
use axum::http::Request;
use ledger::record::{Body, Event, Lease, LeaseRenewal, Mode, Observation};
use serde_json::Value;

use crate::world::{HOUR_MS, JSON_LINES, Reply, START, World, after, lease, registration};

/// A log in which agent `a` has worked for a goal, and an observer has tried to write markup and to hide something.
struct Worked {
    world: World,
    goal: String,
    lease: String,
}

async fn worked() -> Worked {
    let (world, chain) = World::running(Mode::Enforce).await;
    let lease = world.get("/v1/agents/a").await.json()["lease"].clone();
    let goal = world.goal(&chain);
    let chain = after(&chain, &goal);
    let intent = world.intent(&chain, goal.hash(), "read:book");
    let chain = after(&chain, &intent);
    let result = world.result(&chain, intent.hash());
    let denied = world.intent(&after(&chain, &result), goal.hash(), "read:secret/key");
    let seen = Body::Observation(Box::new(Observation {
        source: "test".parse().unwrap(),
        source_id: "1".parse().unwrap(),
        agent: "a".parse().unwrap(),
        event: Event::Other,
        call: Some("<script>alert(1)</script>".parse().unwrap()),
        status: None,
        began_ms: None,
        ended_ms: None,
        digest: None,
        detail: "\"><img src=x onerror=alert(1)> zero\u{200b}width"
            .parse()
            .unwrap(),
    }));
    for record in [goal.clone(), intent, result, world.signed(seen, &[4])] {
        assert_eq!(world.submit(&record).await.status, 200);
    }
    assert_eq!(world.submit(&denied).await.problem(), "scope-denied");
    Worked {
        world,
        goal: goal.hash().to_string(),
        lease: lease.as_str().unwrap().to_owned(),
    }
}

/// A page as it has to be whatever it shows.
fn page(reply: &Reply) -> &str {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
    let html = reply.text();
    assert!(html.starts_with("<!doctype html>") && html.contains("<html lang=\"en\">"));
    let own = html.replace("<script src=\"/pages.js\" defer></script>", "");
    let own = own.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for markup in [
        "<script", "<img", "style=", "http://", "https://", "\u{200b}",
    ] {
        assert!(!own.contains(markup), "{markup}: {html}");
    }
    assert!(html.contains("<main") && html.matches("<h1").count() == 1);
    html
}

#[tokio::test]
async fn the_pages_show_what_there_is_and_escape_it() {
    let Worked { world, goal, lease } = worked().await;
    let agent = "/agents/a".to_owned();
    let last = world.size() - 1;
    for (uri, shows) in [
        (
            "/".to_owned(),
            vec![
                "example.com/log",
                "1 agent<",
                "evidence=../v1/pack%3Ffrom%3D0",
                &agent,
            ],
        ),
        (
            "/agents".to_owned(),
            vec![&agent, "Quarantined", "/agents?view=table"],
        ),
        (
            "/agents?state=running".to_owned(),
            vec![&agent, "<caption>", "1 in all"],
        ),
        ("/agents?view=table".to_owned(), vec![&agent, "<caption>"]),
        (
            "/agents?state=degraded".to_owned(),
            vec!["No agent is in this state"],
        ),
        (
            agent.clone(),
            vec![
                "<svg",
                "bar running",
                "read:book",
                "&#60;script&#62;",
                "zero⟨U+200B⟩width",
                &goal,
                "evidence=../v1/pack%3Fagent%3Da",
                &lease,
                "scope-denied",
                "data-events=",
            ],
        ),
        (
            "/agents/a?span=1h".to_owned(),
            vec!["aria-current=\"true\">an hour"],
        ),
        (
            format!("/agents/a?until_ms={START}"),
            vec!["rel=\"next\"", "None was in force."],
        ),
        (
            format!("/goals/{goal}"),
            vec![
                "read:book",
                "no outcome yet",
                "read:secret/key",
                "pack%3Fgoal%3Dsha256%3A",
                "version v1",
                &agent,
            ],
        ),
        (
            "/entries/0".to_owned(),
            vec![
                "charter",
                "evidence=../v1/entries/0/proof",
                "rel=\"next\"",
                "example.com/log",
            ],
        ),
        (
            format!("/entries/{last}"),
            vec![
                "refusal",
                "scope-denied",
                "rel=\"prev\"",
                "Signature",
                "control (control), key <code>",
                "From the leaf to the root",
                "example.com/log",
            ],
        ),
        (
            "/agents/a/versions".to_owned(),
            vec!["v1, in force", "Manifest hash", "/agents/a\""],
        ),
        (
            "/entries".to_owned(),
            vec!["/entries/0\"", "<option>heartbeat</option>"],
        ),
        (
            "/entries?kind=refusal&agent=".to_owned(),
            vec!["<option selected>refusal</option>", "scope-denied"],
        ),
        (
            "/entries?kind=&agent=a&find=read%3Abook".to_owned(),
            vec!["read:book with", "back to entry 0"],
        ),
        (
            "/entries?find=nothing+of+the+sort".to_owned(),
            vec!["There is no such entry from entry 0 on"],
        ),
        (
            "/heads".to_owned(),
            vec![
                "<td data-th=\"Witnesses\">none</td>",
                "Signed tree heads, newest first",
            ],
        ),
        (
            "/charter".to_owned(),
            vec!["Version 1, in force", "operator", "A lease lasts at most"],
        ),
        ("/authority".to_owned(), vec![&agent, "read:**", "no limit"]),
        (
            "/agents?as_of=2".to_owned(),
            vec!["as it was with 2 entries", "All", "is-stopped"],
        ),
        (
            "/authority?as_of=2".to_owned(),
            vec!["No agent has a lease in force", "as it was with 2 entries"],
        ),
    ] {
        let reply = world.get(&uri).await;
        let html = page(&reply);
        for text in shows {
            let text = text.replace("Quarantined", "is-quarantined");
            assert!(html.contains(&text), "{uri}: {text}: {html}");
        }
    }
    let style = world.get("/pages.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    let script = world.get("/pages.js").await;
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_misread_is_refused() {
    let Worked { world, goal, lease } = worked().await;
    let nothing = format!("sha256:{}", "0".repeat(64));
    for (uri, code) in [
        ("/agents/b".to_owned(), "not-found"),
        (format!("/goals/{nothing}"), "not-found"),
        (format!("/goals/{lease}"), "not-found"),
        ("/entries/999".to_owned(), "not-found"),
        ("/v1/agents/b/timeline".to_owned(), "not-found"),
        (format!("/v1/goals/{nothing}"), "not-found"),
        (format!("/v1/goals/{lease}"), "not-found"),
        (format!("/v1/leases/{nothing}"), "not-found"),
        (format!("/v1/leases/{goal}"), "not-found"),
        ("/agents/%3Cb%3E".to_owned(), "malformed"),
        ("/agents?view=board&state=running".to_owned(), "malformed"),
        ("/agents?state=happy".to_owned(), "malformed"),
        ("/agents/a?span=2h".to_owned(), "malformed"),
        ("/agents/a?until_ms=07".to_owned(), "malformed"),
        ("/entries/01".to_owned(), "malformed"),
        ("/entries?kind=happy".to_owned(), "malformed"),
        ("/entries?before=x".to_owned(), "malformed"),
        ("/charter?version=2".to_owned(), "not-found"),
        ("/agents/b/versions".to_owned(), "not-found"),
        ("/agents?as_of=999".to_owned(), "not-found"),
        ("/heads?after=1".to_owned(), "malformed"),
        ("/goals/7".to_owned(), "malformed"),
        ("/v1/agents/a/timeline?from_ms=-1".to_owned(), "malformed"),
        (
            "/v1/agents/a/timeline?from_ms=9&to_ms=8".to_owned(),
            "malformed",
        ),
        ("/v1/agents/a/timeline?limit=0".to_owned(), "malformed"),
        (format!("/v1/goals/{goal}?limit=1001"), "malformed"),
        (format!("/v1/leases/{lease}?before=1"), "malformed"),
        ("/v1/events?kind=nothing".to_owned(), "malformed"),
    ] {
        let reply = world.get(&uri).await;
        assert_eq!(reply.problem(), code, "{uri}");
    }
}

#[tokio::test]
async fn people_are_told_of_problems_in_html() {
    let Worked { world, .. } = worked().await;
    let request = Request::get("/agents/nobody").header("accept", "text/html,*/*;q=0.8");
    let reply = world.ask(request.body(HttpBody::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.header("vary")), (404, "accept"));
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(
        reply
            .header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    let html = reply.text();
    assert!(
        html.contains("<h1>Not Found</h1>") && html.contains("agent nobody"),
        "{html}"
    );
}

#[tokio::test]
async fn the_life_of_an_agent_is_told() {
    let Worked { world, .. } = worked().await;
    let all = [
        "manifest",
        "lease",
        "heartbeat",
        "transition",
        "goal",
        "intent",
        "result",
        "observation",
        "refusal",
    ];
    let timeline = world.get("/v1/agents/a/timeline").await.json();
    assert_eq!(timeline["as_of"], world.size());
    assert_eq!(kinds(&timeline["entries"]), all);
    assert_eq!(timeline["has_more"], false);
    let life = &timeline["life"];
    assert_eq!(life["states"][0]["state"], "running");
    assert_eq!(life["actions"][0]["scope"], "read:book");
    assert_eq!(life["actions"][0]["result"]["status"], "ok");
    assert_eq!(life["refusals"][0]["scope"], "read:secret/key");
    assert_eq!(life["leases"][0]["allow"][0], "read:**");
    let from = format!("/v1/agents/a/timeline?from_ms={START}");
    assert_eq!(kinds(&world.get(&from).await.json()["entries"]), all);
    let to = format!("/v1/agents/a/timeline?to_ms={START}");
    assert_eq!(
        kinds(&world.get(&to).await.json()["entries"]),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_long_life_is_told_page_by_page() {
    let Worked { world, lease, .. } = worked().await;
    let renewal = Body::LeaseRenewal(LeaseRenewal {
        lease: lease.parse().unwrap(),
        from_ms: START + HOUR_MS,
        expires_ms: START + 2 * HOUR_MS,
    });
    assert_eq!(world.submit(&world.signed(renewal, &[2])).await.status, 200);
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let uri = format!("/v1/agents/a/timeline?limit=3{after}");
        let page = world.get(&uri).await.json();
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 3);
        // The lease before a page is known to it.
        let lease = &page["life"]["leases"][0]["lease"];
        assert!(seen.is_empty() || lease.is_string(), "{page}");
        seen.extend(kinds(&page["entries"]));
        let Some(last) = entries.last().filter(|_| page["has_more"] == true) else {
            break;
        };
        after = format!("&after={}", last["index"]);
    }
    assert_eq!(seen.len(), 10);
    assert_eq!(seen.last().unwrap(), "lease-renewal");
}

#[tokio::test]
async fn a_goal_is_told_with_its_authority() {
    let Worked { world, goal, lease } = worked().await;
    let story = world.get(&format!("/v1/goals/{goal}")).await.json();
    assert_eq!(
        (&story["goal"], &story["as_of"]),
        (&goal.into(), &world.size().into())
    );
    assert_eq!(story["title"], "test");
    assert_eq!(story["refusals"][0]["scope"], "read:secret/key");
    for authority in [&story["authority"], &story["actions"][0]["authority"]] {
        assert_eq!(authority["lease"], lease);
        assert_eq!(authority["epoch"], 1);
        assert_eq!(authority["version"], "v1");
        let operator = crate::world::key(2).public().id().to_string();
        assert_eq!(authority["authorised_by"][0], operator);
        let manifest_hash = registration("a").manifest_hash.to_string();
        assert_eq!(authority["manifest_hash"], manifest_hash);
    }
}

#[tokio::test]
async fn steps_of_a_goal_come_in_pages() {
    let (world, chain) = World::running(Mode::Enforce).await;
    let goal = world.goal(&chain);
    assert_eq!(world.submit(&goal).await.status, 200);
    let mut chain = after(&chain, &goal);
    for n in 0..5 {
        let intent = world.intent(&chain, goal.hash(), &format!("read:page/{n}"));
        assert_eq!(world.submit(&intent).await.status, 200);
        chain = after(&chain, &intent);
    }
    let uri = format!("/v1/goals/{}?limit=3", goal.hash());
    let first = world.get(&uri).await.json();
    let actions = first["actions"].as_array().unwrap();
    assert_eq!((actions.len(), &first["has_more"]), (3, &true.into()));
    let rest = world
        .get(&format!("{uri}&after={}", actions[2]["index"]))
        .await
        .json();
    assert_eq!(rest["actions"][0]["scope"], "read:page/3");
    assert_eq!(rest["actions"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&rest["has_more"], &rest["title"]),
        (&false.into(), &"test".into())
    );
}

#[tokio::test]
async fn a_lease_is_told_with_what_became_of_it() {
    let Worked {
        world, lease: hash, ..
    } = worked().await;
    let uri = format!("/v1/leases/{hash}");
    let told = world.get(&uri).await.json();
    assert_eq!(
        (&told["in_force"], &told["ended_by"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(told["granted"]["agent"], "a");
    assert_eq!(told["spent"]["actions"], "1");
    let next = Lease {
        after: Some(hash.parse().unwrap()),
        ..lease("a")
    };
    let mut record = world.record(Body::Lease(Box::new(next)));
    record.at_ms += 1;
    let next = record.sign(&[&crate::world::key(2)]).unwrap();
    assert_eq!(world.submit(&next).await.status, 200);
    let told = world.get(&uri).await.json();
    assert_eq!(
        (&told["in_force"], &told["ended_by"]),
        (&false.into(), &"superseded".into())
    );
    assert_eq!(told["as_of"], world.size());
}

#[tokio::test]
async fn events_are_chosen_by_their_kinds() {
    use http_body_util::BodyExt as _;
    let (world, chain) = World::running(Mode::Enforce).await;
    let uri = "/v1/events?after=0&kind=transition,manifest";
    let request = Request::get(uri).body(HttpBody::empty()).unwrap();
    let mut body = world.response(request).await.into_body();
    let mut read = String::new();
    while read.matches("event: ").count() < 2 {
        let frame = body.frame().await.unwrap().unwrap();
        read.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    assert_eq!(chain.seq, 1);
    let kinds: Vec<&str> = read
        .matches("\"kind\":\"manifest\"")
        .chain(read.matches("\"kind\":\"transition\""))
        .collect();
    assert_eq!(kinds.len(), 2, "{read}");
}

/// No page walks all agents: each has as many as it shows, and all of them together have all.
#[tokio::test]
async fn pages_are_quick_with_many_agents() {
    let world = World::new().await;
    let agents = 2_000;
    let lines: Vec<String> = (0..agents)
        .map(|n| {
            let key = ledger::key::PrivateKey::from_seed(&seed(n));
            let mut registration = registration(&format!("agent-{n:05}"));
            registration.key = key.public();
            let record = world.record(Body::Manifest(Box::new(registration)));
            let signed = record.sign(&[&crate::world::key(2), &key]).unwrap();
            signed.envelope().to_json()
        })
        .collect();
    for lines in lines.chunks(1_000) {
        assert_eq!(world.post(JSON_LINES, lines.join("\n")).await.status, 200);
    }
    for uri in ["/", "/agents", "/agents/agent-00500", "/entries/7"] {
        let began = Instant::now();
        page(&world.get(uri).await);
        println!("{uri} with {agents} agents in {:?}", began.elapsed());
    }
    let began = Instant::now();
    let board = world.get("/agents").await;
    let html = page(&board);
    assert!(html.matches("class=\"card\"").count() <= 60, "{html}");
    assert!(html.contains(&format!("All {} stopped", agents + 1)));
    let (mut next, mut pages) = (Some("/agents?state=stopped".to_owned()), 0);
    while let Some(uri) = next {
        let reply = world.get(&uri).await;
        let html = page(&reply);
        let rest = html
            .split_once("<p><a href=\"")
            .filter(|_| html.contains("rel=\"next\""));
        next = rest.and_then(|(_, rest)| Some(rest.split_once('"')?.0.replace("&#38;", "&")));
        pages += 1;
    }
    assert_eq!(pages, (agents + 1).div_ceil(100));
    println!(
        "{} pages of {} agents in {:?}",
        pages + 1,
        agents,
        began.elapsed()
    );
}

fn seed(n: usize) -> [u8; 32] {
    *ledger::digest::Digest::of(&[&n.to_be_bytes()]).as_bytes()
}

fn kinds(lines: &Value) -> Vec<String> {
    let lines = lines.as_array().unwrap().iter();
    let kind = |line: &Value| line["kind"].as_str().unwrap().to_owned();
    lines.map(kind).collect()
}

#[tokio::test]
async fn a_number_or_a_hash_leads_to_its_entry() {
    let Worked { world, goal, .. } = worked().await;
    let place = world.get(&format!("/v1/records/{goal}")).await.json()["index"].to_string();
    for find in [place.as_str(), &goal] {
        let reply = world.get(&format!("/entries?find={find}")).await;
        let leads_to = reply.header("location");
        assert_eq!(
            (reply.status, leads_to),
            (303, &*format!("/entries/{place}"))
        );
    }
}

#[tokio::test]
async fn entries_come_page_by_page_and_none_is_left_out() {
    let Worked { world, .. } = worked().await;
    let first = page(&world.get("/entries?before=4").await).to_owned();
    for index in 0..4 {
        assert!(first.contains(&format!("/entries/{index}\"")), "{index}");
    }
    assert!(!first.contains("/entries/4\"") && !first.contains("rel=\"next\""));
}

#[tokio::test]
async fn the_board_has_the_newest_refusals() {
    let Worked { world, .. } = worked().await;
    let html = page(&world.get("/agents").await).to_owned();
    assert!(html.contains("Newest refusals") && html.contains("scope-denied"));
    assert!(!html.contains("Waiting for a lease"));
}
