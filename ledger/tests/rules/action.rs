//! Goals, intents, results, outcomes: scope, budget, state.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::govern::MAX_OPEN;
use ledger::record::{
    AgentState, Amounts, Body, Budget, LeaseRevocation, Outcome, Phase, Receipt, Refused, Rule,
    Verdict,
};

use crate::world::{HOUR, MINUTE, World, agent_key, charter, digest, key};

#[test]
fn from_goal_to_outcome() {
    let mut world = World::running();
    let goal = world.goal().unwrap();
    let intent = world.intent(goal, "write:repo/books").unwrap();
    world.result(intent, Amounts::default()).unwrap();
    assert_eq!(
        world.result(intent, Amounts::default()),
        Err(Code::IntentUnknown)
    );
    assert_eq!(world.outcome(goal, 0), Err(Code::OutcomeUnbacked));
    for verdict in [Verdict::Rejected, Verdict::Partial, Verdict::Abandoned] {
        let other = world.goal().unwrap();
        let outcome = Outcome {
            goal: other,
            verdict,
            checks: vec![],
        };
        let closed = world.receipt(Phase::Outcome(outcome));
        assert!(closed.is_ok(), "only acceptance needs a check");
    }
    world.outcome(goal, 1).unwrap();
    assert_eq!(world.outcome(goal, 1), Err(Code::GoalUnknown));
    assert_eq!(world.intent(goal, "read:x"), Err(Code::GoalUnknown));
}

#[test]
fn scope_is_capability_then_deny_then_allow() {
    let mut world = World::running();
    let goal = world.goal().unwrap();
    let cases = [
        ("run:x", Err(Code::CapabilityMissing)),
        ("write:other", Err(Code::CapabilityMissing)),
        ("write:repo/secrets/key", Err(Code::ScopeDenied)),
        ("write:repo/secrets", Err(Code::ScopeDenied)),
        ("write:repo/x", Ok(())),
        ("read:anything/at/all", Ok(())),
    ];
    for (scope, want) in cases {
        assert_eq!(world.intent(goal, scope).map(drop), want, "{scope}");
    }
    let mut narrow = world.lease("a", HOUR);
    narrow.allow = vec!["read:docs".parse().unwrap()];
    world.grant(&narrow).unwrap();
    world.beat(1).unwrap();
    assert_eq!(world.intent(goal, "read:other"), Err(Code::ScopeDenied));
    assert!(
        world.intent(goal, "read:docs").is_ok(),
        "a goal stays open across epochs"
    );
}

#[test]
fn a_budget_is_reserved_then_committed() {
    let mut world = World::leased();
    let mut lease = world.lease("a", HOUR);
    lease.budget = Budget {
        actions: Some(3),
        tokens: Some(25),
        cost_micros: None,
    };
    let hash = world.grant(&lease).unwrap();
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    let first = world.intent(goal, "read:x").unwrap();
    world.intent(goal, "read:x").unwrap();
    assert_eq!(
        world.intent(goal, "read:x"),
        Err(Code::BudgetExceeded),
        "20 of 25 tokens are reserved"
    );
    world
        .result(
            first,
            Amounts {
                tokens: 2,
                cost_micros: 1,
            },
        )
        .unwrap();
    let third = world.intent(goal, "read:x").unwrap();
    assert_eq!(
        world.intent(goal, "read:x"),
        Err(Code::BudgetExceeded),
        "three actions"
    );
    world
        .result(
            third,
            Amounts {
                tokens: 1 << 52,
                cost_micros: 0,
            },
        )
        .unwrap();
    let spent = world.state.lease(&hash).unwrap().spent();
    assert_eq!(
        (spent.actions, spent.tokens),
        (3, (1 << 52) + 12),
        "an overrun is committed"
    );
}

#[test]
fn a_sub_lease_is_charged_to_its_parent() {
    let mut world = World::running();
    world.register("b", &key(8)).unwrap();
    let mut above = world.lease("b", HOUR);
    above.budget.actions = Some(1);
    above.deny = vec!["read:b/**".parse().unwrap()];
    let parent = world.grant(&above).unwrap();
    let mut below = world.lease("a", HOUR);
    below.parent = Some(parent);
    world.grant(&below).unwrap();
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    assert_eq!(world.intent(goal, "read:b/x"), Err(Code::ScopeDenied));
    world.intent(goal, "read:a").unwrap();
    assert_eq!(world.state.lease(&parent).unwrap().spent().actions, 1);
    assert_eq!(world.intent(goal, "read:a"), Err(Code::BudgetExceeded));
}

#[test]
fn what_each_state_allows() {
    let mut world = World::running();
    let goal = world.goal().unwrap();
    let [one, two, three] = [0; 3].map(|_| world.intent(goal, "read:x").unwrap());
    let used = Amounts::default();
    world.pass(30 * MINUTE);
    assert_eq!(world.agent().state(), AgentState::Degraded);
    assert_eq!(world.goal(), Err(Code::StateForbids));
    assert_eq!(world.intent(goal, "write:repo/x"), Err(Code::StateForbids));
    world.intent(goal, "read:x").unwrap();
    world.result(one, used).unwrap();
    world.order(AgentState::Quarantined).unwrap();
    assert_eq!(world.intent(goal, "read:x"), Err(Code::StateForbids));
    assert_eq!(world.outcome(goal, 1), Err(Code::StateForbids));
    assert_eq!(world.beat(99), Err(Code::StateForbids));
    world.result(two, used).unwrap();
    world.order(AgentState::Stopped).unwrap();
    world.result(three, used).unwrap();
    assert_eq!(world.goal(), Err(Code::LeaseRevoked));
}

#[test]
fn without_a_lease_only_what_is_open_is_closed() {
    let mut world = World::running();
    let goal = world.goal().unwrap();
    let intent = world.intent(goal, "read:x").unwrap();
    let lease = world.agent().lease().unwrap();
    let revocation = LeaseRevocation {
        lease,
        reason: "x".parse().unwrap(),
    };
    let record = world.record(Body::LeaseRevocation(revocation));
    world.offer(&record, &[&key(2)]).unwrap();
    assert_eq!(world.rules(), [Rule::Started, Rule::LeaseEnded]);
    assert_eq!(world.goal(), Err(Code::LeaseRevoked));
    assert_eq!(world.intent(goal, "read:x"), Err(Code::LeaseRevoked));
    world.beat(9).unwrap();
    world.result(intent, Amounts::default()).unwrap();
    world.outcome(goal, 1).unwrap();
}

#[test]
fn not_everything_may_be_open_at_once() {
    let mut world = World::running();
    let goals: Vec<RecordHash> = (0..MAX_OPEN).map(|_| world.goal().unwrap()).collect();
    assert_eq!(world.goal(), Err(Code::TooManyOpen));
    for _ in 0..MAX_OPEN {
        world.intent(goals[0], "read:x").unwrap();
    }
    assert_eq!(world.intent(goals[0], "read:x"), Err(Code::TooManyOpen));
    assert_eq!(
        world.intent(RecordHash::new(digest()), "read:x"),
        Err(Code::GoalUnknown)
    );
}

#[test]
fn progress_does_not_go_back_within_an_epoch() {
    let mut world = World::running();
    world.beat(5).unwrap();
    assert_eq!(world.beat(4), Err(Code::ProgressRegressed));
    world.beat(5).unwrap();
    world.grant(&world.lease("a", HOUR)).unwrap();
    world.beat(0).unwrap();
}

#[test]
fn denials_quarantine_each_hash_once() {
    let mut charter = charter();
    charter.limits.denials_max = 3;
    let mut world = World::leased_under(charter);
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    let one = {
        let intent = Phase::Intent(World::intent_of(goal, "run:one").into());
        let chain = world.chain();
        let record = world.record(Body::Receipt(
            Receipt {
                chain,
                phase: intent,
            }
            .into(),
        ));
        let signed = record.sign(&[&agent_key()]).unwrap();
        signed.check(&|id| world.state.key(id))
    };
    assert!(world.state.is_denial(&one, Code::CapabilityMissing));
    assert!(!world.state.is_denial(&one, Code::GoalUnknown));
    world.deny(goal, "run:one").unwrap();
    assert!(
        !world.state.is_denial(&one, Code::CapabilityMissing),
        "each counts once"
    );
    world.deny(goal, "write:repo/secrets/x").unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
    world.deny(goal, "run:three").unwrap();
    assert_eq!(world.rules(), [Rule::Started, Rule::Denials]);
    assert_eq!(world.agent().state(), AgentState::Quarantined);
}

#[test]
fn only_a_refused_intent_is_a_denial() {
    let mut charter = charter();
    charter.limits.denials_max = 1;
    let mut world = World::leased_under(charter);
    world.beat(1).unwrap();
    let beat = world.record(Body::Heartbeat(world.heartbeat(world.chain(), 2).into()));
    let signed = beat.sign(&[&agent_key()]).unwrap();
    let refused = Refused {
        agent: "a".parse().unwrap(),
        epoch: world.agent().epoch(),
        kind: signed.kind(),
        phase: None,
        refused: signed.hash(),
        code: Code::ScopeDenied,
        count: 1,
        envelope: Some(signed.envelope().clone()),
    };
    let record = world.record(Body::Refusal(refused.into()));
    world.offer(&record, &[&key(3)]).unwrap();
    assert_eq!(world.agent().state(), AgentState::Running);
}

#[test]
fn a_refused_record_is_laid_to_an_agent_only_by_its_own_key() {
    let world = World::running();
    let beat = world.heartbeat(world.chain(), 0);
    let signed = |seed: u8| {
        let record = world.record(Body::Heartbeat(beat.clone().into()));
        record
            .sign(&[&key(seed)])
            .unwrap()
            .check(&|id| world.state.key(id))
    };
    assert!(world.state.attributable(&signed(5)).is_some());
    assert!(world.state.attributable(&signed(2)).is_none());
    assert!(world.state.attributable(&signed(9)).is_none());
    assert_eq!(agent_key().seed(), [5; 32]);
}
