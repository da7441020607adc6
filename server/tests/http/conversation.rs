//! What an agent and its operators are told, record by record.

use ledger::record::{AgentState, Chain, Instance, Mode};
use serde_json::json;
use tlog::policy::Policy;
use tlog::proof::ProofFile;

use crate::world::{BASE, HOUR_MS, START, World, after, log_key, registration};

#[tokio::test]
async fn an_answer_brings_its_proof() {
    let world = World::new().await;
    let record = world.observation(1);
    let answer = world.submit(&record).await.json();
    assert_eq!(answer["index"], BASE);
    assert_eq!(answer["record"], record.hash().to_string());
    assert_eq!(answer["received_ms"], START);
    assert_eq!(answer["result"], "logged");
    let names: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(names, ["index", "proof", "received_ms", "record", "result"]);

    let policy = format!("log {}\nquorum none\n", log_key().verifier_key());
    let policy = Policy::parse(&policy).unwrap();
    let leaf = format!(
        "{{\"received_ms\":{START},\"envelope\":{}}}",
        record.envelope().to_json()
    );
    let proof = ProofFile::parse(answer["proof"].as_str().unwrap()).unwrap();
    let proven = proof.verify(leaf.as_bytes(), &policy).unwrap();
    assert_eq!(
        (proven.index().get(), proven.checkpoint().size().get()),
        (BASE, BASE + 1)
    );
}

#[tokio::test]
async fn a_record_that_is_there_already_keeps_its_index() {
    let world = World::new().await;
    let record = world.observation(1);
    let first = world.submit(&record).await.json();
    assert_eq!(
        world.submit(&world.observation(2)).await.json()["index"],
        BASE + 1
    );
    let again = world.submit(&record).await;
    assert_eq!(again.status, 200);
    let again = again.json();
    assert_eq!(again["result"], "duplicate");
    assert_eq!(
        (&again["index"], &again["received_ms"]),
        (&first["index"], &first["received_ms"])
    );
    assert!(again["proof"].as_str().unwrap().contains("\nindex 3\n"));
    assert_eq!(world.size(), BASE + 2);
}

#[tokio::test]
async fn an_agent_is_told_where_it_stands() {
    let (world, lease) = World::leased(Mode::Enforce).await;
    let agent = world.get("/v1/agents/a").await.json();
    assert_eq!(agent["state"], "stopped");
    assert_eq!(agent["head"], lease.to_string());
    assert_eq!(agent["ask"], "go-on", "a lease waits for it");
    let chain = Chain {
        agent: "a".parse().unwrap(),
        epoch: 1,
        instance: Instance::from_bytes([1; 8]),
        seq: 0,
        prev: lease,
    };
    let beat = world.beat(&chain);
    let answer = world.submit(&beat).await.json();
    let standing = json!({
        "state": "running", "epoch": 1, "next_seq": 1,
        "lease_ends_ms": START + HOUR_MS, "ask": "go-on",
    });
    assert_eq!(answer["agent"], standing);

    let goal = world.goal(&after(&chain, &beat));
    assert_eq!(world.submit(&goal).await.json()["agent"]["next_seq"], 2);
    let agent = world.get("/v1/agents/a").await.json();
    let registered = world.get("/v1/entries/2").await.json();
    assert_eq!(registered["kind"], "manifest");
    let want = json!({
        "as_of": world.size(), "as_of_ms": START, "log_ms": START, "agent": "a", "state": "running", "epoch": 1,
        "next_seq": 2, "head": goal.hash().to_string(), "last": goal.hash().to_string(),
        "lease": lease.to_string(), "after": lease.to_string(), "lease_ends_ms": START + HOUR_MS, "ask": "go-on",
        "manifest_hash": registration("a").manifest_hash.to_string(),
        "registration": registered["record"], "pulse_age_ms": 0, "progress_age_ms": 0,
        "open_goals": [goal.hash().to_string()], "open_intents": [],
    });
    assert_eq!(agent, want);
    let mut listed = world.get("/v1/agents").await.json();
    assert_eq!(listed["as_of"], world.size());
    let mut listed = listed["agents"][0].take();
    listed["as_of"] = want["as_of"].clone();
    for member in ["as_of_ms", "log_ms", "open_goals", "open_intents"] {
        assert_eq!(listed[member], json!(null), "told of one agent alone");
        listed[member] = want[member].clone();
    }
    assert_eq!(listed, want);
    assert_eq!(
        world.get("/v1/agents?after=a").await.json()["agents"],
        json!([])
    );
}

#[tokio::test]
async fn a_process_that_lost_its_place_is_told_it() {
    let (world, chain) = World::running(Mode::Enforce).await;
    let skipped = Chain {
        seq: 5,
        ..chain.clone()
    };
    let reply = world.submit(&world.goal(&skipped)).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (409, "sequence-gap")
    );
    let problem = reply.json();
    assert_eq!(problem["next_seq"], 1);
    assert_eq!(problem["head"], chain.prev.to_string());

    let foreign = Chain {
        instance: Instance::from_bytes([2; 8]),
        ..chain.clone()
    };
    let reply = world.submit(&world.goal(&foreign)).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (409, "epoch-fenced")
    );
    assert_eq!(
        (reply.json().get("next_seq"), reply.json().get("head")),
        (None, None)
    );

    let ahead = Chain { epoch: 9, ..chain };
    let reply = world.submit(&world.goal(&ahead)).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (409, "epoch-future")
    );
    assert_eq!(reply.json().get("next_seq"), None);
}

/// Gives an order, and then asks again as the process that ran before: what it and anybody is told.
async fn after_orders(mode: Mode, orders: &[AgentState]) -> [serde_json::Value; 2] {
    let (world, chain) = World::running(mode).await;
    let beat = world.beat(&chain);
    assert_eq!(world.submit(&beat).await.json()["agent"]["ask"], "go-on");
    for to in orders {
        let agent = world.get("/v1/agents/a").await.json();
        let newest = agent["after"].as_str().unwrap().parse().unwrap();
        let order = world.order_after("a", *to, Some(newest));
        assert_eq!(world.submit(&order).await.status, 200);
    }
    let again = world.submit(&beat).await.json();
    assert_eq!(again["result"], "duplicate");
    [
        again["agent"].clone(),
        world.get("/v1/agents/a").await.json(),
    ]
}

#[tokio::test]
async fn an_agent_that_was_stopped_is_asked_to_stop() {
    for told in after_orders(Mode::Enforce, &[AgentState::Stopped]).await {
        assert_eq!(told["state"], "stopped");
        assert_eq!(told["ask"], "stop");
        assert_eq!(told["lease_ends_ms"], json!(null));
    }
}

#[tokio::test]
async fn a_process_that_was_fenced_is_asked_to_restart() {
    let orders = [AgentState::Quarantined, AgentState::Autohealing];
    for told in after_orders(Mode::Enforce, &orders[..1]).await {
        assert_eq!(told["ask"], "stop", "quarantine is for people to end");
        assert_eq!(told["lease_ends_ms"], START + HOUR_MS);
    }
    for told in after_orders(Mode::Enforce, &orders).await {
        assert_eq!(told["state"], "autohealing");
        assert_eq!(told["epoch"], 2);
        assert_eq!(told["ask"], "restart");
    }
}

#[tokio::test]
async fn in_observe_mode_nobody_is_asked_to_stop() {
    for told in after_orders(Mode::Observe, &[AgentState::Quarantined]).await {
        assert_eq!(told["state"], "quarantined");
        assert_eq!(told["ask"], "go-on");
    }
}

#[tokio::test]
async fn a_scope_that_no_lease_allows_is_refused_or_told() {
    let (world, chain) = World::running(Mode::Enforce).await;
    let goal = world.goal(&chain);
    assert_eq!(world.submit(&goal).await.status, 200);
    let intent = world.intent(&after(&chain, &goal), goal.hash(), "read:secret/x");
    let reply = world.submit(&intent).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (403, "scope-denied")
    );
    assert_eq!(reply.json().get("next_seq"), None);

    let (world, chain) = World::running(Mode::Observe).await;
    let goal = world.goal(&chain);
    assert_eq!(world.submit(&goal).await.json().get("breach"), None);
    let intent = world.intent(&after(&chain, &goal), goal.hash(), "read:secret/x");
    let reply = world.submit(&intent).await;
    assert_eq!(
        (reply.status, &reply.json()["breach"]),
        (200, &json!("scope-denied"))
    );
}
