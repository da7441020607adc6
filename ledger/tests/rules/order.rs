//! The order of checks, and the order of duties: what is wrong in two ways has the earlier code,
//! and of two transitions that are due the earlier one is logged.

use ledger::codes::Code;
use ledger::envelope::{Envelope, MAX_ENVELOPE_BYTES};
use ledger::json::Value;
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Amounts, Body, Heartbeat, Lease, LeaseRevocation, Order, Phase, Receipt, Record,
    Rule, SignedRecord,
};

use crate::world::{HOUR, MINUTE, SECOND, World, agent_key, charter, digest, instance, key};

/// One thing that is wrong with a record, or with the moment at which it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Size,
    Json,
    Kind,
    Payload,
    Log,
    Agent,
    Key,
    NotItsKey,
    Signature,
    Role,
    Threshold,
    Epoch,
    Instance,
    Seq,
    Prev,
    Before,
    Clock,
    Lease,
    After,
    State,
    Capability,
    Scope,
    Budget,
    Rest,
}

use Fault::{
    After, Agent, Before, Budget, Capability, Clock, Epoch, Instance, Json, Key, Kind, NotItsKey,
    Payload, Prev, Rest, Role, Scope, Seq, Signature, Size, State, Threshold,
};

/// An intent, with everything that can be wrong with one, in the order of checks.
const INTENT: [(Fault, Code); 20] = [
    (Size, Code::TooLarge),
    (Json, Code::NotStrictJson),
    (Kind, Code::UnknownKind),
    (Payload, Code::UnknownMember),
    (Fault::Log, Code::OriginMismatch),
    (Agent, Code::AgentUnknown),
    (Key, Code::KeyUnknown),
    (NotItsKey, Code::KeyNotAgents),
    (Signature, Code::SignatureInvalid),
    (Epoch, Code::EpochFuture),
    (Instance, Code::EpochFenced),
    (Seq, Code::SequenceGap),
    (Prev, Code::PreviousMismatch),
    (Clock, Code::ClockAhead),
    (Fault::Lease, Code::LeaseRevoked),
    (State, Code::StateForbids),
    (Capability, Code::CapabilityMissing),
    (Scope, Code::ScopeDenied),
    (Budget, Code::BudgetExceeded),
    (Rest, Code::GoalUnknown),
];

/// A heartbeat has no scope, but a `before`.
const HEARTBEAT: [(Fault, Code); 12] = [
    (Fault::Log, Code::OriginMismatch),
    (Agent, Code::AgentUnknown),
    (Key, Code::KeyUnknown),
    (Signature, Code::SignatureInvalid),
    (Epoch, Code::EpochFuture),
    (Instance, Code::EpochFenced),
    (Seq, Code::SequenceGap),
    (Prev, Code::PreviousMismatch),
    (Before, Code::BeforeMismatch),
    (Clock, Code::ClockAhead),
    (State, Code::StateForbids),
    (Rest, Code::ProgressRegressed),
];

/// A lease, under a charter that wants two operators.
const GRANT: [(Fault, Code); 11] = [
    (Fault::Log, Code::OriginMismatch),
    (Agent, Code::AgentUnknown),
    (Key, Code::KeyUnknown),
    (Signature, Code::SignatureInvalid),
    (Role, Code::RoleMissing),
    (Threshold, Code::ThresholdNotMet),
    (Clock, Code::Stale),
    (Fault::Lease, Code::LeaseUnknown),
    (After, Code::AfterMismatch),
    (State, Code::StateForbids),
    (Scope, Code::CapabilityMissing),
];

/// Each fault alone has its code, and each two have that of the first.
fn the_first_names_the_code(order: &[(Fault, Code)], judge: fn(&[Fault]) -> Result<(), Code>) {
    assert_eq!(judge(&[]), Ok(()), "nothing is wrong");
    for (at, (first, want)) in order.iter().enumerate() {
        assert_eq!(judge(&[*first]), Err(*want), "{first:?} alone");
        for (second, _) in &order[at + 1..] {
            // A record has one key: it is unknown, or known and not the agent's.
            if (*first, *second) != (Key, NotItsKey) {
                let both = judge(&[*first, *second]);
                assert_eq!(both, Err(*want), "{first:?} before {second:?}");
            }
        }
    }
}

#[test]
fn an_intent_is_checked_in_order() {
    the_first_names_the_code(&INTENT, judge_intent);
}

#[test]
fn a_heartbeat_is_checked_in_order() {
    the_first_names_the_code(&HEARTBEAT, judge_heartbeat);
}

#[test]
fn a_lease_is_checked_in_order() {
    the_first_names_the_code(&GRANT, judge_grant);
}

fn judge_intent(faults: &[Fault]) -> Result<(), Code> {
    let has = |fault: Fault| faults.contains(&fault);
    let mut world = World::leased();
    world.now += 1;
    let mut lease = world.lease("a", HOUR);
    lease.budget.actions = has(Budget).then_some(1);
    world.grant(&lease).unwrap();
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    if has(Budget) {
        let first = world.intent(goal, "write:repo/x").unwrap();
        world.result(first, Amounts::default()).unwrap();
    }
    disturb(&mut world, faults);
    let scope = match () {
        () if has(Capability) => "write:elsewhere",
        () if has(Scope) => "write:repo/secrets/x",
        () => "write:repo/x",
    };
    let goal = if has(Rest) { world.log } else { goal };
    let mut chain = world.chain();
    misplace(&mut chain, faults);
    let phase = Phase::Intent(World::intent_of(goal, scope).into());
    let record = world.record(Body::Receipt(Receipt { chain, phase }.into()));
    judge(&world, record, &[agent_key()], faults)
}

fn judge_heartbeat(faults: &[Fault]) -> Result<(), Code> {
    let mut world = World::running();
    world.beat(7).unwrap();
    if faults.contains(&State) {
        world.order(AgentState::Quarantined).unwrap();
    }
    let progress = if faults.contains(&Rest) { 6 } else { 7 };
    let mut beat = world.heartbeat(world.chain(), progress);
    if faults.contains(&Before) {
        beat.before = Some(world.log);
    }
    misplace(&mut beat.chain, faults);
    let record = world.record(Body::Heartbeat(beat.into()));
    judge(&world, record, &[agent_key()], faults)
}

fn judge_grant(faults: &[Fault]) -> Result<(), Code> {
    let has = |fault: Fault| faults.contains(&fault);
    let mut two = charter();
    two.keys[1].roles = vec![ledger::record::Role::Operator];
    two.keys.push(ledger::record::CharterKey {
        key: key(7).public(),
        name: "another".parse().unwrap(),
        roles: vec![ledger::record::Role::Operator],
    });
    two.thresholds.operator = 2;
    let mut world = World::under(two);
    let (one, two, agent) = (key(2), key(7), agent_key());
    let registration = world.registration("a", &agent);
    let record = world.record(Body::Manifest(registration.into()));
    world.offer(&record, &[&one, &two, &agent]).unwrap();
    if has(State) {
        let order = |to| {
            Body::Order(Order {
                agent: "a".parse().unwrap(),
                to,
                after: None,
                reason: "x".parse().unwrap(),
            })
        };
        let healing = [
            order(AgentState::Quarantined),
            Body::Lease(world.lease("a", HOUR).into()),
            order(AgentState::Autohealing),
        ];
        for body in healing {
            let record = world.record(body);
            world.offer(&record, &[&one, &two]).unwrap();
        }
        world.now += 1;
    }
    let mut lease: Lease = world.lease("a", HOUR);
    lease.parent = has(Fault::Lease).then_some(world.log);
    if has(Scope) {
        lease.allow.push("run:x".parse().unwrap());
    }
    if has(Agent) {
        lease.agent = "nobody".parse().unwrap();
    }
    let mut keys = vec![one];
    if !has(Threshold) {
        keys.push(two);
    }
    if has(Role) {
        keys.push(key(4));
    }
    let mut record = world.record(Body::Lease(lease.into()));
    if let (true, Body::Lease(lease)) = (has(After), &mut record.body) {
        lease.after = Some(world.log);
    }
    if has(Clock) {
        record.at_ms -= 25 * HOUR;
    }
    judge(&world, record, &keys, faults)
}

/// Makes the moment wrong: the lease is revoked, or the agent degraded.
fn disturb(world: &mut World, faults: &[Fault]) {
    if faults.contains(&State) {
        world.pass(30 * MINUTE);
        assert_eq!(world.agent().state(), AgentState::Degraded);
    }
    if faults.contains(&Fault::Lease) {
        let revocation = LeaseRevocation {
            lease: world.agent().lease().unwrap(),
            reason: "x".parse().unwrap(),
        };
        let record = world.record(Body::LeaseRevocation(revocation));
        // Nobody degrades the agent for it yet: its state is another fault.
        world.log_one(&record, &[&key(2)]).unwrap();
    }
}

fn misplace(chain: &mut ledger::record::Chain, faults: &[Fault]) {
    for fault in faults {
        match fault {
            Agent => chain.agent = "nobody".parse().unwrap(),
            Epoch => chain.epoch += 2,
            Instance => chain.instance = instance(9),
            Seq => chain.seq += 1,
            Prev => chain.prev = ledger::digest::RecordHash::new(digest()),
            _ => {}
        }
    }
}

/// Signs as the faults say, spoils the bytes as they say, and takes it as a service would.
fn judge(
    world: &World,
    mut record: Record,
    keys: &[PrivateKey],
    faults: &[Fault],
) -> Result<(), Code> {
    let has = |fault: Fault| faults.contains(&fault);
    if has(Fault::Log) {
        record.log = Some(ledger::digest::RecordHash::new(digest()));
    }
    if has(Clock) && !matches!(record.body, Body::Lease(_)) {
        record.at_ms += 2 * MINUTE + 1;
    }
    let mut keys = keys.to_vec();
    if has(NotItsKey) {
        keys[0] = key(4);
    }
    if has(Key) {
        keys[0] = key(99);
    }
    let mut payload = record.to_payload();
    if has(Payload) {
        payload.insert_str(payload.len() - 1, ",\"surplus\":1");
    }
    let keys: Vec<&PrivateKey> = keys.iter().collect();
    let envelope = Envelope::sign(record.body.kind(), payload.into_bytes(), &keys);
    let mut json = envelope.map_err(|refusal| refusal.code)?.to_json();
    if has(Signature) {
        json = forged(&json);
    }
    if has(Kind) {
        json = json.replace(".v1+json", ".v9+json");
    }
    if has(Json) {
        json.push(' ');
    }
    if has(Size) {
        json.push_str(&" ".repeat(MAX_ENVELOPE_BYTES));
    }
    let signed = SignedRecord::parse(json.as_bytes()).map_err(|refusal| refusal.code)?;
    let checked = signed.check(&|id| world.state.key(id));
    let admitted = world.state.admit(&checked, world.now);
    admitted.map(drop).map_err(|refusal| refusal.code)
}

/// The same envelope with signatures of something else.
fn forged(json: &str) -> String {
    let Value::Object(mut members) = Value::parse(json.as_bytes()).unwrap() else {
        unreachable!("an envelope is an object")
    };
    let other = key(1).sign(b"something else").to_string();
    for (_, value) in &mut members {
        let Value::Array(signatures) = value else {
            continue;
        };
        for signature in signatures {
            let Value::Object(parts) = signature else {
                unreachable!("a signature is an object")
            };
            parts
                .iter_mut()
                .filter(|(name, _)| name == "sig")
                .for_each(|(_, sig)| *sig = Value::from(other.as_str()));
        }
    }
    Value::Object(members).to_json()
}

/// A control plane that beats and does nothing else.
fn sleep(world: &mut World, ms: u64) {
    let end = world.now + ms;
    while world.now < end {
        world.now = end.min(world.now + MINUTE);
        let pulse = ledger::record::Pulse {
            n: world.state.pulses() + 1,
            agents: world.state.agent_count(),
            state: None,
            witnessed: None,
        };
        let record = world.record(Body::Pulse(pulse));
        world.log_one(&record, &[&key(3)]).unwrap();
    }
}

/// A heartbeat to which control does not react yet.
fn beat(world: &mut World, progress: u64, change: fn(&mut Heartbeat)) {
    let mut beat = world.heartbeat(world.chain(), progress);
    if world.agent().instance().is_none() {
        beat.chain.instance = instance(3);
    }
    change(&mut beat);
    let record = world.record(Body::Heartbeat(beat.into()));
    world.log_one(&record, &[&agent_key()]).unwrap();
}

fn as_is(_: &mut Heartbeat) {}

fn with_goal(world: &mut World) {
    world.goal().unwrap();
}

fn degrade(world: &mut World) {
    world.pass(30 * MINUTE);
    assert_eq!(world.agent().state(), AgentState::Degraded);
}

fn heal(world: &mut World) {
    world.pass(60 * MINUTE);
    assert_eq!(world.agent().state(), AgentState::Autohealing);
}

#[test]
fn duties_come_in_order() {
    use Rule::{
        Denials, Finished, HealDue, HealExhausted, HealRetry, LeaseEnded, ManifestDrift,
        ProgressLost, PulseLost, Recovered, Restarted,
    };
    type Happens = fn(&mut World);
    let cases: [(&str, Happens, &[Rule]); 12] = [
        (
            "drift before denials",
            |world| {
                let goal = world.goal().unwrap();
                for scope in ["run:one", "run:two"] {
                    deny(world, goal, scope);
                }
                beat(world, 9, |beat| beat.manifest_hash = digest());
            },
            &[ManifestDrift],
        ),
        (
            "denials before a goodbye",
            |world| {
                let goal = world.goal().unwrap();
                for scope in ["run:one", "run:two"] {
                    deny(world, goal, scope);
                }
                beat(world, 9, |beat| beat.r#final = true);
            },
            &[Denials],
        ),
        (
            "drift before a goodbye",
            |world| {
                beat(world, 9, |beat| {
                    beat.manifest_hash = digest();
                    beat.r#final = true;
                });
            },
            &[ManifestDrift],
        ),
        (
            "a goodbye before the end of the lease and of patience",
            |world| {
                beat(world, 9, |beat| beat.r#final = true);
                sleep(world, 26 * HOUR);
            },
            &[Finished],
        ),
        (
            "the end of the lease before that of patience",
            |world| sleep(world, 26 * HOUR),
            &[LeaseEnded, LeaseEnded],
        ),
        (
            "silence before standstill, and healing after both",
            |world| {
                with_goal(world);
                sleep(world, 61 * MINUTE);
            },
            &[PulseLost, HealDue],
        ),
        (
            "standstill in spite of beats",
            |world| {
                with_goal(world);
                for _ in 0..31 {
                    sleep(world, MINUTE);
                    beat(world, 1, as_is);
                }
            },
            &[ProgressLost],
        ),
        (
            "healing before recovery",
            |world| {
                degrade(world);
                beat(world, 9, as_is);
                sleep(world, 61 * MINUTE);
            },
            &[HealDue],
        ),
        (
            "recovery before a restart",
            |world| {
                degrade(world);
                restart(world);
            },
            &[Recovered, Restarted],
        ),
        (
            "the end of the lease before another attempt",
            |world| {
                heal(world);
                sleep(world, 24 * HOUR);
            },
            &[LeaseEnded, LeaseEnded],
        ),
        (
            "another attempt before success",
            |world| {
                heal(world);
                beat(world, 1, as_is);
                sleep(world, MINUTE);
                beat(world, 2, as_is);
                sleep(world, 10 * MINUTE);
            },
            &[HealRetry],
        ),
        (
            "the end of the attempts before success",
            |world| {
                heal(world);
                world.pass(20 * MINUTE);
                beat(world, 1, as_is);
                sleep(world, MINUTE);
                beat(world, 2, as_is);
                sleep(world, 10 * MINUTE);
            },
            &[HealExhausted],
        ),
    ];
    for (name, happens, want) in cases {
        let mut charter = charter();
        charter.limits.denials_max = 2;
        let mut world = World::leased_under(charter);
        world.grant(&world.lease("a", 25 * HOUR)).unwrap();
        world.beat(1).unwrap();
        happens(&mut world);
        let before = world.transitions.len();
        world.settle();
        assert_eq!(world.rules()[before..], *want, "{name}");
    }
}

/// A denial, to which control does not react yet.
fn deny(world: &mut World, goal: ledger::digest::RecordHash, scope: &str) {
    let refusal = world.denial(goal, scope);
    world.log_one(&refusal, &[&key(3)]).unwrap();
}

fn restart(world: &mut World) {
    let record = world.restarting(instance(2));
    world.log_one(&record, &[&agent_key()]).unwrap();
}

#[test]
fn what_is_due_is_late_and_then_lapses_with_its_cause() {
    let mut world = World::leased();
    world.grant(&world.lease("a", 24 * HOUR)).unwrap();
    world.beat(1).unwrap();
    sleep(&mut world, 30 * MINUTE);
    let due = world.state.next_duty(world.now).map(|duty| duty.rule);
    assert_eq!(due, Some(Rule::PulseLost));
    world.now += SECOND;
    beat(&mut world, 2, as_is);
    assert_eq!(world.state.next_duty(world.now), None);
}
