//! Charters, manifests, leases, and who must sign them.

use ledger::codes::Code;
use ledger::govern::State;
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Body, Chain, Charter, Event, Heartbeat, Lease, LeaseRenewal, LeaseRevocation, Mode,
    Observation, Order, Phase, Receipt, Record, Role, Rule,
};

use crate::world::{HOUR, MINUTE, SECOND, START, World, agent_key, charter, digest, instance, key};

/// What a case does to a record that is sound without it.
type Change<T> = fn(&mut T);
type Case<T> = (&'static str, Change<T>);

fn judge(charter: Charter, keys: &[&PrivateKey]) -> Result<(), Code> {
    let record = Record {
        log: None,
        at_ms: START,
        body: Body::Charter(charter.into()),
        ext: None,
    };
    let checked = record
        .sign(keys)
        .map_err(|refusal| refusal.code)?
        .check(&|_| None);
    State::new()
        .admit(&checked, START)
        .map(drop)
        .map_err(|refusal| refusal.code)
}

#[test]
fn a_charter_that_contradicts_itself_is_refused() {
    let root = key(1);
    let cases: [Case<Charter>; 15] = [
        ("rules", |c| c.rules = 2),
        ("a key twice", |c| c.keys.push(c.keys[0].clone())),
        ("a key without a role", |c| c.keys[1].roles.clear()),
        ("control and operator", |c| {
            c.keys[2].roles.push(Role::Operator);
        }),
        ("observer and root", |c| c.keys[3].roles.push(Role::Root)),
        ("no operator", |c| drop(c.keys.remove(1))),
        ("no control", |c| drop(c.keys.remove(2))),
        ("root threshold 0", |c| c.thresholds.root = 0),
        ("operator threshold 2 of 1", |c| c.thresholds.operator = 2),
        ("no log key", |c| c.log_keys.clear()),
        ("degraded not below healing", |c| {
            c.liveness.degraded_after_ms = c.liveness.autoheal_after_ms;
        }),
        ("tolerance above half", |c| {
            c.liveness.tolerance_ms = c.liveness.degraded_after_ms / 2 + 1;
        }),
        ("no attempts", |c| c.liveness.heal_attempts = 0),
        ("attempts of no time", |c| c.liveness.heal_timeout_ms = 0),
        ("healed by nothing", |c| c.liveness.heal_beats = 0),
    ];
    assert_eq!(judge(charter(), &[&root]), Ok(()));
    for (name, change) in cases {
        let mut charter = charter();
        change(&mut charter);
        assert_eq!(
            judge(charter, &[&root]),
            Err(Code::CharterInvalid),
            "{name}"
        );
    }
    let second = Charter {
        version: 2,
        ..charter()
    };
    assert_eq!(judge(second, &[&root]), Err(Code::CharterVersion));
    let follows_another = Charter {
        previous: Some(unknown()),
        ..charter()
    };
    assert_eq!(judge(follows_another, &[&root]), Err(Code::CharterVersion));
    assert_eq!(
        judge(charter(), &[&key(2)]),
        Err(Code::CharterNotAuthorized)
    );
    assert_eq!(judge(charter(), &[&key(9)]), Err(Code::KeyUnknown));
}

#[test]
fn the_first_record_is_a_charter_and_no_other_is_one() {
    let mut world = World::new();
    let again = Record {
        log: None,
        at_ms: START + 1,
        body: Body::Charter(charter().into()),
        ext: None,
    };
    assert_eq!(world.offer(&again, &[&key(1)]), Err(Code::CharterVersion));
    let pulse = Body::Pulse(ledger::record::Pulse {
        n: 1,
        agents: 0,
        state: None,
        witnessed: None,
    });
    let record = Record {
        log: Some(world.log),
        at_ms: START,
        body: pulse,
        ext: None,
    };
    let checked = record.sign(&[&key(3)]).unwrap().check(&|_| None);
    assert_eq!(
        State::new().admit(&checked, START).unwrap_err().code,
        Code::CharterMissing
    );
}

#[test]
fn a_record_of_another_log_is_refused_before_its_signature_is_looked_at() {
    let mut world = World::leased();
    let order = Order {
        agent: "a".parse().unwrap(),
        to: AgentState::Stopped,
        after: None,
        reason: "x".parse().unwrap(),
    };
    let mut record = world.record(Body::Order(order));
    record.log = Some(ledger::digest::RecordHash::new(digest()));
    assert_eq!(world.offer(&record, &[&key(9)]), Err(Code::OriginMismatch));
    record.log = None;
    assert_eq!(world.offer(&record, &[&key(9)]), Err(Code::OriginMismatch));
}

#[test]
fn who_must_sign_what() {
    let mut world = World::leased();
    world.register("b", &key(8)).unwrap();
    let agent = || "a".parse().unwrap();
    let text = || "x".parse().unwrap();
    let order = Body::Order(Order {
        agent: agent(),
        to: AgentState::Stopped,
        after: None,
        reason: text(),
    });
    let seen = Body::Observation(
        Observation {
            source: agent(),
            source_id: text(),
            agent: agent(),
            event: Event::AlertOpened,
            call: None,
            status: None,
            began_ms: None,
            ended_ms: None,
            digest: None,
            detail: text(),
        }
        .into(),
    );
    let cases: [(&Body, &[u8], Result<(), Code>); 8] = [
        (&order, &[9], Err(Code::KeyUnknown)),
        (&order, &[3], Err(Code::RoleMissing)),
        (&order, &[5], Err(Code::RoleMissing)),
        (&order, &[1], Err(Code::RoleMissing)),
        (&order, &[2, 5], Err(Code::RoleMissing)),
        (&seen, &[2], Err(Code::RoleMissing)),
        (&seen, &[4], Ok(())),
        (&order, &[2], Ok(())),
    ];
    for (body, seeds, want) in cases {
        let record = world.record(body.clone());
        let keys: Vec<_> = seeds.iter().map(|seed| key(*seed)).collect();
        let got = world.offer(&record, &keys.iter().collect::<Vec<_>>());
        assert_eq!(got.map(drop), want, "{:?} by {seeds:?}", body.kind());
    }
}

#[test]
fn a_threshold_counts_distinct_operators() {
    let mut charter = charter();
    let mut second = charter.keys[1].clone();
    second.key = key(7).public();
    charter.keys.push(second);
    charter.thresholds.operator = 2;
    let mut world = World::under(charter);
    let registration = Body::Manifest(world.registration("a", &agent_key()).into());
    let record = world.record(registration);
    let (one, two, agent) = (key(2), key(7), agent_key());
    assert_eq!(
        world.offer(&record, &[&one, &agent]),
        Err(Code::ThresholdNotMet)
    );
    assert_eq!(
        world.offer(&record, &[&one, &two]),
        Err(Code::ThresholdNotMet)
    );
    assert_eq!(
        world.offer(&record, &[&one, &one, &agent]),
        Err(Code::KeyRepeated)
    );
    assert!(world.offer(&record, &[&one, &two, &agent]).is_ok());
}

#[test]
fn a_bad_signature_is_refused_whoever_made_it() {
    let world = World::leased();
    let lease = world.lease("a", HOUR);
    let good = world
        .record(Body::Lease(lease.into()))
        .sign(&[&world.operator])
        .unwrap();
    let mut json = good.envelope().to_json();
    let at = json.find("\"sig\":\"").unwrap() + 7;
    let other = if json.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    json.replace_range(at..=at, other);
    let signed = ledger::record::SignedRecord::parse(json.as_bytes()).unwrap();
    assert_eq!(
        signed.hash(),
        good.hash(),
        "a signature is not part of the name"
    );
    let checked = signed.check(&|id| world.state.key(id));
    let refused = world.state.admit(&checked, world.now).unwrap_err();
    assert_eq!(refused.code, Code::SignatureInvalid);
}

#[test]
fn the_clock_of_authority_is_near_the_logs() {
    let mut world = World::leased();
    let day = 24 * HOUR;
    let order = Order {
        agent: "a".parse().unwrap(),
        to: AgentState::Stopped,
        after: None,
        reason: "x".parse().unwrap(),
    };
    let mut record = world.record(Body::Order(order));
    record.at_ms = world.now - day - 1;
    assert_eq!(world.offer(&record, &[&key(2)]), Err(Code::Stale));
    record.at_ms = world.now + day + 1;
    assert_eq!(world.offer(&record, &[&key(2)]), Err(Code::Stale));
    record.at_ms = world.now - day;
    assert!(world.offer(&record, &[&key(2)]).is_ok());
}

#[test]
fn a_manifest_is_what_it_says_and_follows_the_active_one() {
    let mut world = World::new();
    let agent = agent_key();
    let mut wrong = world.registration("a", &agent);
    wrong.manifest_hash = digest();
    assert_eq!(
        world.offer_registration(wrong, &agent),
        Err(Code::ManifestHashMismatch)
    );
    let mut replaces_nothing = world.registration("a", &agent);
    replaces_nothing.replaces = Some(world.log);
    assert_eq!(
        world.offer_registration(replaces_nothing, &agent),
        Err(Code::ManifestNotActive)
    );
    let mut slow = world.registration("a", &agent);
    slow.manifest.max_inflight_ms = HOUR + 1;
    slow.manifest_hash = slow.manifest.hash();
    assert_eq!(world.offer_registration(slow, &agent), Err(Code::Malformed));
    let mut as_slow_as_may_be = world.registration("b", &key(8));
    as_slow_as_may_be.manifest.max_inflight_ms = HOUR;
    as_slow_as_may_be.manifest_hash = as_slow_as_may_be.manifest.hash();
    world
        .offer_registration(as_slow_as_may_be, &key(8))
        .unwrap();
    assert_eq!(world.register("a", &key(2)), Err(Code::KeyRepeated));
    assert_eq!(world.register("a", &key(3)), Err(Code::KeyNotAgents));

    let first = world.register("a", &agent).unwrap();
    assert_eq!(world.agent().registration(), first);
    assert_eq!(world.register("c", &agent), Err(Code::KeyNotAgents));
    world.now += 1;
    let second = world.register("a", &agent).unwrap();
    assert_eq!(
        world.agent().registration(),
        second,
        "going back is a registration like any other"
    );
}

#[test]
fn a_new_key_needs_the_old_key_or_the_roots() {
    let mut world = World::new();
    world.register("a", &agent_key()).unwrap();
    world.now += 1;
    let new = key(8);
    let registration = world.registration("a", &new);
    let record = world.record(Body::Manifest(registration.into()));
    let (operator, old, root) = (key(2), agent_key(), key(1));
    assert_eq!(
        world.offer(&record, &[&operator, &new]),
        Err(Code::ThresholdNotMet)
    );
    assert_eq!(
        world.offer(&record, &[&operator, &old]),
        Err(Code::ThresholdNotMet)
    );
    assert!(world.offer(&record, &[&operator, &new, &root]).is_ok());
    world.now += 1;
    let registration = world.registration("a", &old);
    let record = world.record(Body::Manifest(registration.into()));
    assert!(world.offer(&record, &[&operator, &new, &old]).is_ok());
}

#[test]
fn what_a_lease_may_say() {
    let mut world = World::new();
    world.register("a", &agent_key()).unwrap();
    let year = 365 * 24 * HOUR;
    let cases: [(&str, Change<Lease>, Result<(), Code>); 8] = [
        (
            "unknown agent",
            |l| l.agent = "nobody".parse().unwrap(),
            Err(Code::AgentUnknown),
        ),
        (
            "another manifest",
            |l| l.manifest_hash = digest(),
            Err(Code::ManifestNotActive),
        ),
        (
            "ends as it begins",
            |l| l.expires_ms = l.not_before_ms,
            Err(Code::Malformed),
        ),
        (
            "too long",
            |l| l.expires_ms = START + 365 * 24 * HOUR + 1,
            Err(Code::LeaseWidened),
        ),
        (
            "no capability",
            |l| l.allow.push("run:x".parse().unwrap()),
            Err(Code::CapabilityMissing),
        ),
        (
            "a union of capabilities",
            |l| l.allow = vec!["write:**".parse().unwrap()],
            Err(Code::CapabilityMissing),
        ),
        (
            "no parent",
            |l| l.parent = Some(unknown()),
            Err(Code::LeaseUnknown),
        ),
        ("sound", |_| {}, Ok(())),
    ];
    for (name, change, want) in cases {
        let mut lease = world.lease("a", year);
        change(&mut lease);
        assert_eq!(world.grant(&lease).map(drop), want, "{name}");
    }
}

fn unknown() -> ledger::digest::RecordHash {
    ledger::digest::RecordHash::new(digest())
}

#[test]
fn a_lease_for_later_waits_until_no_other_is_in_force() {
    let mut world = World::leased();
    let mut later = world.lease("a", 3 * HOUR);
    later.not_before_ms += HOUR;
    assert_eq!(world.grant(&later), Err(Code::LeaseNotYetValid));
    world.order(AgentState::Stopped).unwrap();
    world.grant(&later).unwrap();
    assert_eq!(world.beat(1), Err(Code::LeaseNotYetValid));
    world.pass(HOUR);
    world.beat(1).unwrap();
    assert_eq!(world.rules(), [Rule::Started]);
}

#[test]
fn a_lease_is_half_open_and_revocation_beats_expiry() {
    let mut world = World::running();
    world.live(59, true);
    world.pass(MINUTE - 1);
    assert!(world.goal().is_ok());
    let lease = world.agent().lease().unwrap();
    world.now += 1;
    assert_eq!(world.goal(), Err(Code::LeaseExpired));
    let revocation = LeaseRevocation {
        lease,
        reason: "x".parse().unwrap(),
    };
    let record = world.record(Body::LeaseRevocation(revocation));
    world.offer(&record, &[&key(2)]).unwrap();
    assert_eq!(world.goal(), Err(Code::LeaseRevoked));
    assert_eq!(
        world.offer(&record, &[&key(2)]),
        Err(Code::LeaseRevoked),
        "it has ended already"
    );
}

#[test]
fn a_renewal_goes_forward_and_not_too_far() {
    let mut world = World::running();
    let lease = world.agent().lease().unwrap();
    let ends = world.state.lease(&lease).unwrap().expires_ms();
    let renew = |world: &mut World, to: u64, by: &PrivateKey| {
        let renewal = LeaseRenewal {
            lease,
            from_ms: 0,
            expires_ms: to,
        };
        let record = world.record(Body::LeaseRenewal(renewal));
        world.offer(&record, &[by]).map(drop)
    };
    let (operator, control) = (key(2), key(3));
    assert_eq!(
        renew(&mut world, ends, &operator),
        Err(Code::RenewalTooLong)
    );
    let year = world.now + 365 * 24 * HOUR;
    assert_eq!(
        renew(&mut world, year + 1, &operator),
        Err(Code::RenewalTooLong)
    );
    assert_eq!(renew(&mut world, ends + 1, &operator), Ok(()));
    assert_eq!(
        renew(&mut world, ends + 2, &control),
        Err(Code::RenewalUnearned)
    );
    world.pass(MINUTE);
    world.beat(2).unwrap();
    let length = world.now + HOUR;
    assert_eq!(
        renew(&mut world, length + 1, &control),
        Err(Code::RenewalTooLong)
    );
    assert_eq!(renew(&mut world, length, &control), Ok(()));
    assert_eq!(
        renew(&mut world, length + 1, &control),
        Err(Code::RenewalUnearned)
    );
    world.pass(2 * HOUR);
    assert_eq!(
        renew(&mut world, length + 3 * HOUR, &operator),
        Err(Code::LeaseExpired)
    );
}

#[test]
fn a_sub_lease_stays_within_its_parent_and_ends_with_it() {
    let mut world = World::running();
    let parent = world.agent().lease().unwrap();
    world.register("b", &key(8)).unwrap();
    let mut sub = world.lease("b", HOUR);
    sub.parent = Some(parent);
    let wider = Lease {
        allow: vec!["read:**".parse().unwrap()],
        ..sub.clone()
    };
    let mut narrow = world.lease("a", HOUR);
    narrow.allow = vec!["read:docs/**".parse().unwrap()];
    let parent = world.grant(&narrow).unwrap();
    assert_eq!(world.grant(&wider), Err(Code::LeaseSuperseded));
    let wider = Lease {
        parent: Some(parent),
        ..wider
    };
    assert_eq!(world.grant(&wider), Err(Code::LeaseWidened));
    let own = Lease {
        agent: "a".parse().unwrap(),
        parent: Some(parent),
        ..narrow.clone()
    };
    assert_eq!(world.grant(&own), Err(Code::LeaseWidened));
    let within = Lease {
        allow: vec!["read:docs/b".parse().unwrap()],
        ..wider
    };
    let below = world.grant(&within).unwrap();
    assert!(world.state.in_force(below, world.now).is_ok());
    world.order(AgentState::Stopped).unwrap();
    let refused = world.state.in_force(below, world.now).unwrap_err();
    assert_eq!(refused.code, Code::LeaseRevoked);
}

#[test]
fn a_manifest_that_is_registered_takes_nothing_from_a_lease_that_runs() {
    let mut world = World::running();
    world.now += SECOND;
    let registration = world.registration("a", &key(8));
    let record = world.record(Body::Manifest(registration.into()));
    world
        .offer(&record, &[&key(2), &key(8), &agent_key()])
        .unwrap();
    assert!(
        world.goal().is_ok(),
        "the key of the manifest that the lease names"
    );
    world.grant(&world.lease("a", HOUR)).unwrap();
    let chain = world.chain();
    let beat = world.heartbeat(chain, 1);
    let record = world.record(Body::Heartbeat(beat.into()));
    assert_eq!(
        world.offer(&record, &[&agent_key()]),
        Err(Code::KeyNotAgents)
    );
    assert!(world.offer(&record, &[&key(8)]).is_ok());
    let chain = Chain {
        seq: 7,
        ..world.chain()
    };
    let record = world.record(Body::Heartbeat(world.heartbeat(chain, 2).into()));
    assert_eq!(
        world.offer(&record, &[&agent_key()]),
        Err(Code::KeyNotAgents),
        "the key comes before the sequence"
    );
    assert_eq!(world.offer(&record, &[&key(8)]), Err(Code::SequenceGap));
}

#[test]
fn a_restart_alone_earns_no_renewal() {
    let mut world = World::running();
    let lease = world.agent().lease().unwrap();
    let renew = |world: &mut World, for_ms: u64, by: &PrivateKey| {
        let renewal = LeaseRenewal {
            lease,
            from_ms: 0,
            expires_ms: world.now + for_ms,
        };
        let record = world.record(Body::LeaseRenewal(renewal));
        world.offer(&record, &[by]).map(drop)
    };
    assert_eq!(renew(&mut world, HOUR + 1, &key(2)), Ok(()));
    world.pass(2 * MINUTE);
    world.restart(instance(2)).unwrap();
    assert_eq!(renew(&mut world, HOUR, &key(3)), Err(Code::RenewalUnearned));
    world.beat(1).unwrap();
    assert_eq!(renew(&mut world, HOUR, &key(3)), Ok(()));
}

#[test]
fn a_lease_that_ends_before_it_begins_breaks_no_arithmetic() {
    let mut world = World::leased();
    let backwards = Lease {
        not_before_ms: world.now + MINUTE,
        expires_ms: world.now,
        ..world.lease("a", HOUR)
    };
    let lease = world.apply_all_the_same(Body::Lease(backwards.into()), &key(2));
    let renewal = |expires_ms| {
        Body::LeaseRenewal(LeaseRenewal {
            lease,
            from_ms: 0,
            expires_ms,
        })
    };
    world.apply_all_the_same(renewal(START + HOUR), &key(2));
    world.now += 2 * MINUTE;
    let record = world.record(renewal(START + 2 * HOUR));
    assert!(world.offer(&record, &[&key(2)]).is_ok());
}

#[test]
fn who_holds_a_part_of_a_lease_loses_it_with_the_lease() {
    let mut world = World::running();
    let parent = world.agent().lease().unwrap();
    world.register("b", &key(8)).unwrap();
    let b = "b".parse().unwrap();
    for _ in 0..2 {
        world.now += 1;
        let part = Lease {
            parent: Some(parent),
            ..world.lease("b", HOUR)
        };
        world.grant(&part).unwrap();
    }
    let agent = world.state.agent(&b).unwrap();
    let chain = Chain {
        agent: b.clone(),
        epoch: agent.epoch(),
        instance: instance(8),
        seq: 0,
        prev: agent.head().unwrap(),
    };
    let beat = Heartbeat {
        before: None,
        manifest_hash: agent.manifest_hash(),
        ..world.heartbeat(chain, 1)
    };
    let record = world.record(Body::Heartbeat(beat.into()));
    world.offer(&record, &[&key(8)]).unwrap();
    let revocation = LeaseRevocation {
        lease: parent,
        reason: "x".parse().unwrap(),
    };
    let record = world.record(Body::LeaseRevocation(revocation));
    world.offer(&record, &[&key(2)]).unwrap();
    assert_eq!(world.agent().state(), AgentState::Degraded);
    assert_eq!(world.state.agent(&b).unwrap().state(), AgentState::Degraded);
}

#[test]
fn in_observe_mode_what_was_made_in_time_is_late_and_no_breach() {
    let mut world = World::leased_under(Charter {
        mode: Mode::Observe,
        ..charter()
    });
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    world.pass(HOUR);
    let breach_of = |world: &World, at_ms: u64, scope: &str| {
        let receipt = Receipt {
            chain: world.chain(),
            phase: Phase::Intent(World::intent_of(goal, scope).into()),
        };
        let mut record = world.record(Body::Receipt(receipt.into()));
        record.at_ms = at_ms;
        let signed = record.sign(&[&agent_key()]).unwrap();
        let checked = signed.check(&|id| world.state.key(id));
        let admission = world.state.admit(&checked, world.now).unwrap();
        admission.breach.map(|breach| breach.code)
    };
    let in_time = world.now - 1;
    assert_eq!(breach_of(&world, in_time, "read:x"), None);
    assert_eq!(
        breach_of(&world, in_time, "run:x"),
        Some(Code::CapabilityMissing),
        "late excuses nothing else"
    );
    assert_eq!(
        breach_of(&world, world.now, "read:x"),
        Some(Code::LeaseExpired)
    );
}

#[test]
fn in_observe_mode_an_agents_breach_is_logged_and_an_operators_is_not() {
    let mut world = World::leased_under(Charter {
        mode: Mode::Observe,
        ..charter()
    });
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    let intent = World::intent_of(goal, "run:anything");
    let receipt = Receipt {
        chain: world.chain(),
        phase: Phase::Intent(intent.into()),
    };
    let record = world.record(Body::Receipt(receipt.into()));
    let checked = record
        .sign(&[&agent_key()])
        .unwrap()
        .check(&|id| world.state.key(id));
    let admission = world.state.admit(&checked, world.now).unwrap();
    assert_eq!(
        admission.breach.map(|breach| breach.code),
        Some(Code::CapabilityMissing)
    );
    let mut wide = world.lease("a", HOUR);
    wide.allow.push("run:x".parse().unwrap());
    assert_eq!(world.grant(&wide), Err(Code::CapabilityMissing));
    assert_eq!(
        world.begin(instance(2), 5),
        Err(Code::SequenceGap).or(Err(Code::EpochFenced))
    );
}

/// A registration is signed by those who have to sign it, and by nobody beside them.
#[test]
fn a_registration_bears_no_signature_that_it_does_not_need() {
    let (old, new) = (agent_key(), key(15));
    let (root, operator, observer) = (key(1), key(2), key(4));
    let offer = |by: &PrivateKey, keys: &[&PrivateKey]| {
        let mut world = World::new();
        world.register("a", &agent_key()).unwrap();
        let registration = world.registration("a", by);
        let record = world.record(Body::Manifest(registration.into()));
        world.offer(&record, keys).map(drop)
    };
    assert_eq!(offer(&old, &[&operator, &old]), Ok(()));
    for surplus in [&root, &observer] {
        let signed = offer(&old, &[&operator, &old, surplus]);
        assert_eq!(signed, Err(Code::RoleMissing));
    }
    assert_eq!(offer(&new, &[&operator, &new, &old]), Ok(()));
    assert_eq!(offer(&new, &[&operator, &new, &root]), Ok(()));
    let signed = offer(&new, &[&operator, &new, &old, &observer]);
    assert_eq!(signed, Err(Code::RoleMissing));
}
