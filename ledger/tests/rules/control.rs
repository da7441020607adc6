//! What control says without an envelope: refusals and pulses that cannot be so.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::record::{AgentState, Body, Charter, Kind, Pulse, Refused, Rule, Seen, StateRoot};
use tlog::checkpoint::{self, Checkpoint};
use tlog::note::{KeyName, SigningKey};
use tlog::{TreeSize, leaf_hash};

use crate::world::{HOUR, MINUTE, World, agent_key, charter, digest, instance, key};

fn log_key(seed: u8) -> SigningKey {
    SigningKey::new(KeyName::parse("example.com/log").unwrap(), &[seed; 32])
}

fn head(size: u64, seed: u8) -> String {
    let key = log_key(seed);
    let origin = key.verifier_key().name().clone().into();
    let checkpoint = Checkpoint::new(origin, TreeSize::new(size), leaf_hash(b"any"));
    checkpoint::sign(&key, &checkpoint)
}

fn refuse(world: &mut World, change: impl FnOnce(&mut Refused)) -> Result<(), Code> {
    refuse_by(3, world, change)
}

fn refuse_by(seed: u8, world: &mut World, change: impl FnOnce(&mut Refused)) -> Result<(), Code> {
    let mut refused = Refused {
        agent: "a".parse().unwrap(),
        epoch: world.agent().epoch(),
        kind: Kind::Receipt,
        phase: Some("intent".to_owned()),
        refused: RecordHash::new(digest()),
        code: Code::StateForbids,
        count: 1,
        envelope: None,
    };
    change(&mut refused);
    world.now += 1;
    let record = world.record(Body::Refusal(refused.into()));
    world.offer(&record, &[&key(seed)]).map(drop)
}

#[test]
fn nobody_but_control_says_what_was_refused() {
    let mut world = World::running();
    for seed in [1, 2, 4, 5] {
        let said = refuse_by(seed, &mut world, |_| {});
        assert_eq!(said, Err(Code::RoleMissing), "{seed}");
    }
    assert_eq!(refuse_by(3, &mut world, |_| {}), Ok(()));
}

#[test]
fn a_refusal_that_shows_nothing_says_what_can_be_so() {
    let mut world = World::running();
    let unfounded = Err(Code::RefusalUnfounded);
    for code in [Code::ScopeDenied, Code::CapabilityMissing] {
        assert_eq!(refuse(&mut world, |it| it.code = code), unfounded, "{code}");
        let of_a_beat = |it: &mut Refused| {
            (it.code, it.kind, it.phase) = (code, Kind::Heartbeat, None);
        };
        assert_eq!(refuse(&mut world, of_a_beat), Ok(()), "{code}");
    }
    assert_eq!(
        refuse(&mut world, |it| it.code = Code::BudgetExceeded),
        Ok(())
    );
    assert_eq!(refuse(&mut world, |it| it.count = 6_000_000), Ok(()));
    assert_eq!(refuse(&mut world, |it| it.count = 6_000_001), unfounded);
    let own = world.agent().epoch();
    assert_eq!(refuse(&mut world, |it| it.epoch = own), Ok(()));
    assert_eq!(refuse(&mut world, |it| it.epoch = 0), Ok(()));
    assert_eq!(refuse(&mut world, |it| it.epoch = own + 1), unfounded);
}

#[test]
fn before_its_first_lease_an_agent_is_in_epoch_0() {
    let mut world = World::new();
    world.register("a", &agent_key()).unwrap();
    assert_eq!(refuse(&mut world, |it| it.epoch = 0), Ok(()));
    assert_eq!(
        refuse(&mut world, |it| it.epoch = 1),
        Err(Code::RefusalUnfounded)
    );
}

#[test]
fn a_denial_is_told_once_and_alone() {
    let mut world = World::running();
    let goal = world.goal().unwrap();
    let denial = world.denial(goal, "run:one");
    let Body::Refusal(refused) = &denial.body else {
        unreachable!("a refusal")
    };
    let refused = refused.clone();
    let many = |it: &mut Refused| {
        *it = (*refused).clone();
        it.count = 2;
    };
    assert_eq!(refuse(&mut world, many), Err(Code::RefusalUnfounded));
    world.offer(&denial, &[&key(3)]).unwrap();
    let again = |it: &mut Refused| *it = (*refused).clone();
    assert_eq!(refuse(&mut world, again), Err(Code::RefusalUnfounded));
    let by_another_name = |it: &mut Refused| it.refused = refused.refused;
    assert_eq!(
        refuse(&mut world, by_another_name),
        Err(Code::RefusalUnfounded)
    );
}

/// A charter under which so many denials are too many.
fn strict(denials_max: u64) -> Charter {
    let mut charter = charter();
    charter.limits.denials_max = denials_max;
    charter
}

/// A goodbye, a restart, a new lease: nothing but an operator's release makes denials forgotten before a day is over.
#[test]
fn denials_outlive_epochs_and_leases() {
    let mut world = World::leased_under(strict(3));
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    world.deny(goal, "run:one").unwrap();
    world.say_goodbye().unwrap();
    world.restart(instance(2)).unwrap();
    world.deny(goal, "run:two").unwrap();
    world.grant(&world.lease("a", HOUR)).unwrap();
    world.begin(instance(2), 1).unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
    world.deny(goal, "run:three").unwrap();
    assert_eq!(world.rules().last(), Some(&Rule::Denials));
    assert_eq!(world.agent().state(), AgentState::Quarantined);
}

#[test]
fn a_release_begins_the_count_anew_and_a_stop_does_not() {
    let mut world = World::leased_under(strict(2));
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    for scope in ["run:one", "run:two"] {
        world.deny(goal, scope).unwrap();
    }
    assert_eq!(world.agent().state(), AgentState::Quarantined);
    let mut stopped = World::leased_under(strict(2));
    stopped.beat(1).unwrap();
    let same = stopped.goal().unwrap();
    for scope in ["run:one", "run:two"] {
        stopped.deny(same, scope).unwrap();
    }
    stopped.order(AgentState::Stopped).unwrap();
    stopped.grant(&stopped.lease("a", HOUR)).unwrap();
    stopped.begin(instance(2), 1).unwrap();
    let rules = stopped.rules();
    assert_eq!(rules.last_chunk(), Some(&[Rule::Started, Rule::Denials]));

    world.order(AgentState::Autohealing).unwrap();
    world.begin(instance(2), 1).unwrap();
    world.pass(MINUTE);
    world.beat(2).unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
    world.deny(goal, "run:one").unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
    world.deny(goal, "run:two").unwrap();
    assert_eq!(world.agent().state(), AgentState::Quarantined);
}

#[test]
fn a_denial_counts_for_a_day() {
    let in_a_day = |later_ms: u64| {
        let mut world = World::leased_under(strict(2));
        world.grant(&world.lease("a", 48 * HOUR)).unwrap();
        world.beat(1).unwrap();
        let goal = world.goal().unwrap();
        world.deny(goal, "run:one").unwrap();
        world.outcome(goal, 1).unwrap();
        for _ in 0..24 * 60 - 1 {
            world.pass(MINUTE);
            world.beat(world.progress()).unwrap();
        }
        world.pass(MINUTE - 1);
        let goal = world.goal().unwrap();
        world.pass(later_ms);
        world.deny(goal, "run:two").unwrap();
        world.agent().state()
    };
    assert_eq!(in_a_day(0), AgentState::Quarantined);
    assert_eq!(in_a_day(1), AgentState::Running);
}

fn pulse(world: &mut World, change: impl FnOnce(&mut Pulse)) -> Result<(), Code> {
    let mut pulse = Pulse {
        n: world.state.pulses() + 1,
        agents: world.state.agent_count(),
        state: None,
        witnessed: None,
    };
    change(&mut pulse);
    let record = world.record(Body::Pulse(pulse));
    world.offer(&record, &[&key(3)]).map(drop)
}

#[test]
fn a_pulse_counts_the_agents_that_were_ever_registered() {
    let mut world = World::running();
    world.register("b", &key(8)).unwrap();
    let unfounded = Err(Code::PulseUnfounded);
    for agents in [0, 1, 3, 987_654] {
        assert_eq!(pulse(&mut world, |it| it.agents = agents), unfounded);
    }
    world.order(AgentState::Stopped).unwrap();
    assert_eq!(pulse(&mut world, |it| it.agents = 2), Ok(()));
    let state = StateRoot {
        entries: 3,
        root: leaf_hash(b"invented"),
    };
    assert_eq!(pulse(&mut world, |it| it.state = Some(state)), unfounded);
    assert_eq!(
        pulse(&mut world, |it| it.n += 1),
        Err(Code::TransitionNumber)
    );
}

#[test]
fn what_a_pulse_shows_the_log_has_signed_and_it_goes_forward() {
    let mut world = World::running();
    let unfounded = Err(Code::PulseUnfounded);
    let shows = |world: &mut World, size: u64, seed: u8| {
        pulse(world, |it| it.witnessed = Some(head(size, seed)))
    };
    assert_eq!(shows(&mut world, 3, 7), unfounded);
    assert_eq!(shows(&mut world, 3, 6), Ok(()));
    assert_eq!(shows(&mut world, 2, 6), unfounded);
    assert_eq!(shows(&mut world, 3, 6), Ok(()));
    assert_eq!(shows(&mut world, 4, 6), Ok(()));
    assert_eq!(pulse(&mut world, |it| it.witnessed = None), Ok(()));
    assert_eq!(shows(&mut world, 3, 6), unfounded);
}

/// An amendment of the log key at index `i` is the last leaf of a tree of `i + 1`: the last that the old key may sign,
/// and the first that the new one may.
#[test]
fn a_head_counts_by_the_keys_in_force_around_its_last_leaf() {
    let mut world = World::running();
    let amended = world.state.size();
    let mut next = world.state.charter().unwrap().clone();
    next.version += 1;
    next.previous = world.state.charter_hash();
    next.log_keys = vec![log_key(40).verifier_key()];
    let record = world.record(Body::Charter(next.into()));
    world.offer(&record, &[&key(1)]).unwrap();
    let signers = |world: &World, size: u64| {
        let signed = |seed: u8| {
            let head = checkpoint::SignedCheckpoint::parse(&head(size, seed)).unwrap();
            let judged = world.state.signed_in_force(&head);
            judged.map_err(|refusal| refusal.code)
        };
        let foreign = signed(7);
        assert_eq!(foreign, Err(Code::CheckpointNotInCharter));
        (signed(6).is_ok(), signed(40).is_ok())
    };
    for size in 0..=amended {
        assert_eq!(signers(&world, size), (true, false), "{size}");
    }
    assert_eq!(signers(&world, amended + 1), (true, true));
    for size in [amended + 2, amended + 3, 1 << 40] {
        assert_eq!(signers(&world, size), (false, true), "{size}");
    }
    // What an agent says that it was shown goes by the same.
    let beat = |world: &mut World, size: u64, seed: u8| {
        let note = head(size, seed);
        let sig = note.trim_end().rsplit(' ').next().unwrap().to_owned();
        let mut beat = world.heartbeat(world.chain(), world.progress());
        beat.seen = Some(Seen {
            size,
            root: leaf_hash(b"any"),
            sig,
        });
        world.offer_beat(beat).map(drop)
    };
    assert_eq!(beat(&mut world, amended, 40), Err(Code::Malformed));
    assert_eq!(
        beat(&mut world, amended, 6),
        Ok(()),
        "an honest beat that repeats its head"
    );
    assert_eq!(beat(&mut world, amended + 1, 40), Ok(()));
    assert_eq!(beat(&mut world, amended + 2, 6), Err(Code::Malformed));
    assert_eq!(beat(&mut world, amended + 2, 40), Ok(()));
}

/// Seventeen restarts, and seventy: what was fenced within a day does not come back.
#[test]
fn what_was_fenced_stays_fenced_however_many_came_after_it() {
    let mut world = World::running();
    for n in 2..=80 {
        world.say_goodbye().unwrap();
        world.restart(instance(n)).unwrap();
    }
    world.say_goodbye().unwrap();
    for n in [1, 2, 17, 79, 80] {
        assert_eq!(world.restart(instance(n)), Err(Code::EpochFenced), "{n}");
    }
    assert!(world.restart(instance(81)).is_ok());
}
