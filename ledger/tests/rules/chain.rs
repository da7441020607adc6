//! Epochs, instances, sequence numbers, clocks.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::record::{AgentState, Body, Chain, Goal, Heartbeat, Phase, Receipt, Rule, Seen};
use tlog::checkpoint::{self, Checkpoint};
use tlog::note::{KeyName, SigningKey};
use tlog::{TreeSize, leaf_hash};

use crate::world::{HOUR, MINUTE, World, agent_key, digest, instance, key};

fn nothing() -> RecordHash {
    RecordHash::new(digest())
}

#[test]
fn the_first_beat_of_a_lease_starts_the_agent() {
    let mut world = World::leased();
    let agent = world.agent();
    assert_eq!(
        (agent.state(), agent.epoch(), agent.next_seq()),
        (AgentState::Stopped, 1, 0)
    );
    assert_eq!(agent.head(), agent.lease());
    world.beat(0).unwrap();
    assert_eq!(world.rules(), [Rule::Started]);
    assert_eq!(world.agent().next_seq(), 1);
}

#[test]
fn before_the_first_lease_there_is_no_epoch_to_speak_in() {
    let mut world = World::new();
    world.register("a", &agent_key()).unwrap();
    for epoch in [0, 1] {
        let chain = Chain {
            agent: "a".parse().unwrap(),
            epoch,
            instance: instance(1),
            seq: 0,
            prev: nothing(),
        };
        let beat = Heartbeat {
            chain,
            progress: 0,
            r#final: false,
            manifest_hash: world.agent().manifest_hash(),
            before: None,
            seen: None,
        };
        assert_eq!(world.offer_beat(beat), Err(Code::EpochFuture), "{epoch}");
    }
}

#[test]
fn a_beat_out_of_its_place_is_refused() {
    let mut world = World::running();
    world.beat(2).unwrap();
    let right = world.chain();
    let wrong = |change: fn(&mut Chain)| {
        let mut chain = right.clone();
        change(&mut chain);
        chain
    };
    let cases = [
        (wrong(|c| c.epoch += 1), Code::EpochFuture),
        (wrong(|c| c.epoch += 7), Code::EpochFuture),
        (wrong(|c| c.instance = instance(9)), Code::EpochFenced),
        (wrong(|c| c.seq += 1), Code::SequenceGap),
        (wrong(|c| c.seq -= 1), Code::SequenceRepeated),
        (wrong(|c| c.prev = nothing()), Code::PreviousMismatch),
        (
            wrong(|c| c.agent = "b".parse().unwrap()),
            Code::AgentUnknown,
        ),
    ];
    for (chain, want) in cases {
        let beat = world.heartbeat(chain.clone(), 3);
        assert_eq!(world.offer_beat(beat), Err(want), "{chain:?}");
    }
    let mut beat = world.heartbeat(right, 3);
    beat.before = Some(nothing());
    assert_eq!(world.offer_beat(beat.clone()), Err(Code::BeforeMismatch));
    beat.before = None;
    assert!(world.offer_beat(beat).is_ok());
}

#[test]
fn an_epoch_begins_with_a_heartbeat() {
    let mut world = World::leased();
    assert_eq!(world.goal(), Err(Code::SequenceGap));
    world.register("b", &key(8)).unwrap();
    let chain = Chain {
        agent: "b".parse().unwrap(),
        ..world.chain()
    };
    let phase = Phase::Goal(Goal {
        title: "x".parse().unwrap(),
        requester: "x".parse().unwrap(),
    });
    let record = world.record(Body::Receipt(Receipt { chain, phase }.into()));
    assert_eq!(
        world.offer(&record, &[&key(8)]),
        Err(Code::EpochFuture),
        "b has no lease yet"
    );
    assert_eq!(
        world.offer(&record, &[&agent_key()]),
        Err(Code::KeyNotAgents)
    );
    assert_eq!(world.offer(&record, &[&key(9)]), Err(Code::KeyUnknown));
}

#[test]
fn a_new_lease_supersedes_and_the_same_instance_goes_on() {
    let mut world = World::running();
    let old = world.chain();
    world.now += 1;
    world.grant(&world.lease("a", HOUR)).unwrap();
    let beat = Heartbeat {
        before: None,
        ..world.heartbeat(old, 5)
    };
    assert_eq!(world.offer_beat(beat), Err(Code::EpochSuperseded));
    assert_eq!(world.agent().state(), AgentState::Running);
    world.begin(instance(1), 1).unwrap();
    assert_eq!(world.agent().epoch(), 2);
    assert_eq!(
        world.rules(),
        [Rule::Started],
        "a running agent needs no second start"
    );
}

#[test]
fn after_goodbye_an_agent_restarts_itself_as_another_instance() {
    let mut world = World::running();
    world.say_goodbye().unwrap();
    assert_eq!(world.agent().state(), AgentState::Stopped);
    assert_eq!(world.beat(9), Err(Code::StateForbids));
    assert_eq!(world.restart(instance(1)), Err(Code::EpochFenced));
    let old = world.chain();
    world.restart(instance(2)).unwrap();
    assert_eq!(
        world.rules(),
        [Rule::Started, Rule::Finished, Rule::Restarted]
    );
    assert_eq!(
        (world.agent().state(), world.agent().epoch()),
        (AgentState::Running, 2)
    );
    let beat = world.heartbeat(old, 9);
    assert_eq!(
        world.offer_beat(beat),
        Err(Code::EpochFenced),
        "the old process is fenced for good"
    );
}

#[test]
fn a_restart_needs_silence() {
    let mut world = World::running();
    world.pass(2 * MINUTE - 1);
    assert_eq!(world.restart(instance(2)), Err(Code::StateForbids));
    world.now += 1;
    world.restart(instance(2)).unwrap();
    assert_eq!(world.rules(), [Rule::Started, Rule::Restarted]);
}

#[test]
fn a_restart_needs_a_lease_and_no_order_against_it() {
    let mut world = World::running();
    world.pass(HOUR);
    assert_eq!(world.restart(instance(2)), Err(Code::LeaseExpired));
    let mut world = World::running();
    world.order(AgentState::Quarantined).unwrap();
    world.pass(3 * MINUTE);
    assert_eq!(world.restart(instance(2)), Err(Code::StateForbids));
    world.order(AgentState::Stopped).unwrap();
    assert_eq!(world.restart(instance(2)), Err(Code::LeaseRevoked));
}

#[test]
fn a_restart_does_not_wait_for_an_epoch_to_begin() {
    let mut world = World::running();
    world.pass(MINUTE);
    world.grant(&world.lease("a", HOUR)).unwrap();
    world.pass(2 * MINUTE);
    world.restart(instance(2)).unwrap();
    assert_eq!(world.agent().epoch(), 3);
    let mut world = World::leased();
    world.grant(&world.lease("a", 24 * HOUR)).unwrap();
    world.beat(1).unwrap();
    world.pass(HOUR);
    assert_eq!(world.agent().state(), AgentState::Autohealing);
    assert_eq!(world.restart(instance(2)), Err(Code::StateForbids));
}

#[test]
fn what_was_fenced_stays_fenced_when_a_lease_opens_the_next_epoch() {
    let mut world = World::running();
    world.pass(2 * MINUTE);
    world.restart(instance(2)).unwrap();
    for _ in 0..2 {
        world.now += 1;
        world.grant(&world.lease("a", HOUR)).unwrap();
    }
    assert_eq!(world.begin(instance(1), 1), Err(Code::EpochFenced));
    world.begin(instance(2), 1).unwrap();
    world.grant(&world.lease("a", HOUR)).unwrap();
    world.begin(instance(3), 1).unwrap();
    world.now += 1;
    world.grant(&world.lease("a", HOUR)).unwrap();
    assert_eq!(world.begin(instance(2), 1), Err(Code::EpochFenced));
    world.begin(instance(3), 1).unwrap();
}

#[test]
fn what_another_says_in_an_agents_name_moves_nothing_of_it() {
    let mut world = World::running();
    world.register("b", &key(8)).unwrap();
    let before = (world.chain(), world.agent().last_beat_ms());
    world.pass(MINUTE);
    let forged = world.heartbeat(world.chain(), 9);
    world.apply_all_the_same(Body::Heartbeat(forged.into()), &key(8));
    assert_eq!((world.chain(), world.agent().last_beat_ms()), before);
    world.beat(2).unwrap();
}

#[test]
fn goodbye_with_an_open_intent_is_no_end() {
    let mut world = World::running();
    let goal = world.goal().unwrap();
    let intent = world.intent(goal, "read:x").unwrap();
    world.say_goodbye().unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
    world
        .result(intent, ledger::record::Amounts::default())
        .unwrap();
    world.say_goodbye().unwrap();
    assert_eq!(world.agent().state(), AgentState::Stopped);
}

#[test]
fn the_clock_of_an_agent() {
    let mut world = World::running();
    let beat_at = |world: &mut World, at: u64| {
        let beat = world.heartbeat(world.chain(), world.progress());
        let mut record = world.record(Body::Heartbeat(beat.into()));
        record.at_ms = at;
        world.offer(&record, &[&agent_key()]).map(drop)
    };
    world.pass(10 * MINUTE);
    let now = world.now;
    assert_eq!(
        beat_at(&mut world, now + 2 * MINUTE + 1),
        Err(Code::ClockAhead)
    );
    assert_eq!(beat_at(&mut world, now - 5 * MINUTE - 1), Err(Code::Stale));
    assert_eq!(beat_at(&mut world, now - 5 * MINUTE), Ok(()));
    assert_eq!(
        beat_at(&mut world, now - 5 * MINUTE - 1),
        Err(Code::ClockRegressed)
    );
    assert_eq!(beat_at(&mut world, now + 2 * MINUTE), Ok(()));
    assert_eq!(beat_at(&mut world, now), Err(Code::ClockRegressed));
}

#[test]
fn what_an_agent_has_seen_is_signed_by_the_log_and_grows() {
    let mut world = World::running();
    let name = KeyName::parse("example.com/log").unwrap();
    let seen_by = |seed: u8, size: u64| {
        let key = SigningKey::new(name.clone(), &[seed; 32]);
        let root = leaf_hash(b"any: a fork is logged too");
        let body = Checkpoint::new(name.clone().into(), TreeSize::new(size), root);
        let note = checkpoint::sign(&key, &body);
        let sig = note.trim_end().rsplit(' ').next().unwrap().to_owned();
        Seen { size, root, sig }
    };
    let mut offer = |seen: Seen| {
        let progress = world.progress();
        let beat = Heartbeat {
            seen: Some(seen),
            ..world.heartbeat(world.chain(), progress)
        };
        world.offer_beat(beat).map(drop)
    };
    assert_eq!(offer(seen_by(7, 3)), Err(Code::Malformed), "another key");
    assert_eq!(offer(seen_by(6, 3)), Ok(()));
    assert_eq!(offer(seen_by(6, 2)), Err(Code::Malformed), "a step back");
    let mut forged = seen_by(6, 4);
    forged.size = 5;
    assert_eq!(offer(forged), Err(Code::Malformed));
    assert_eq!(offer(seen_by(6, 3)), Ok(()));
}
