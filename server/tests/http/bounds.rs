//! What a read costs: what it tells, and not what the log is long.

use std::time::Duration;

use ledger::record::{self, Chain, Heartbeat, Instance, SignedRecord};
use server::bounds::Bounds;
use server::history;
use server::log::ReadError;

use crate::world::{JSON_LINES, World, after, registration};

/// How often the agent ends and begins again: two transitions each time.
const RESTARTS: u64 = 1_000;

const STEPS: usize = 50;

/// The goodbye of a process, and the first beat of the next one.
fn restart(world: &World, chain: &Chain, opening: record::Body) -> [SignedRecord; 2] {
    let beat = |chain: Chain, r#final, before| {
        let heartbeat = Heartbeat {
            progress: chain.seq,
            chain,
            r#final,
            manifest_hash: registration("a").manifest_hash,
            before,
            seen: None,
        };
        world.signed(record::Body::Heartbeat(Box::new(heartbeat)), &[5])
    };
    let goodbye = beat(chain.clone(), true, None);
    let record::Body::Heartbeat(opening) = opening else {
        unreachable!("the chain begins with a beat");
    };
    let mut instance = [0; 8];
    instance.copy_from_slice(&(chain.epoch + 2).to_be_bytes());
    let next = Chain {
        epoch: chain.epoch + 1,
        instance: Instance::from_bytes(instance),
        seq: 0,
        prev: opening.chain.prev,
        ..chain.clone()
    };
    let hello = beat(next, false, Some(goodbye.hash()));
    [goodbye, hello]
}

fn chain_of(record: &SignedRecord) -> Chain {
    match &record.record().body {
        record::Body::Heartbeat(beat) => beat.chain.clone(),
        other => panic!("no beat: {other:?}"),
    }
}

#[tokio::test]
async fn a_goal_after_thousands_of_transitions_is_told_by_a_walk_through_them() {
    let (world, mut chain) = World::running(record::Mode::Enforce).await;
    let lease = world
        .log
        .published()
        .state
        .agent(&chain.agent)
        .unwrap()
        .lease()
        .unwrap();
    let first = Chain {
        seq: 0,
        prev: lease,
        ..chain.clone()
    };
    let opening = world.beat(&first).record().body.clone();
    let mut lines = Vec::new();
    for _ in 0..RESTARTS {
        let [goodbye, hello] = restart(&world, &chain, opening.clone());
        chain = after(&chain_of(&hello), &hello);
        lines.extend([goodbye, hello].map(|record| record.envelope().to_json()));
    }
    for lines in lines.chunks(1_000) {
        let reply = world.post(JSON_LINES, lines.join("\n")).await;
        let refused = reply
            .lines()
            .into_iter()
            .find(|line| line["result"] != "logged");
        assert_eq!(refused, None);
    }
    let goal = world.goal(&chain);
    assert_eq!(world.submit(&goal).await.status, 200);
    chain = after(&chain, &goal);
    for n in 0..STEPS {
        let intent = world.intent(&chain, goal.hash(), &format!("read:doc/{n}"));
        assert_eq!(world.submit(&intent).await.status, 200);
        chain = after(&chain, &intent);
    }
    let read = |rows: u64| {
        let bounds = Bounds::new(rows, Duration::from_secs(600));
        bounds.begin();
        let published = world.log.published().within(&bounds);
        history::goal(&published, goal.hash(), 0, 100)
    };
    let story = read(4 * RESTARTS).unwrap().told;
    assert_eq!(story.actions.len(), STEPS);
    assert!(matches!(read(100), Err(ReadError::OutOfBounds(_))));
}

#[tokio::test]
async fn an_agent_that_nobody_knows_costs_a_stream_nothing() {
    let world = crate::world::filled(2_000).await;
    let bounds = Bounds::new(8, Duration::from_secs(600));
    bounds.begin();
    let published = world.log.published().within(&bounds);
    let nobody = "nobody".parse().unwrap();
    let page = history::entries(&published, &nobody, 0..2_000, 64).unwrap();
    assert!(page.told.is_empty() && !page.has_more);
}
