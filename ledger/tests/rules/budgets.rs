//! What sub-leases pass up to the lease above them: no more than their own budgets.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::govern::Spent;
use ledger::record::{
    Amounts, Body, Budget, Chain, Goal, Heartbeat, Intent, Lease, Phase, Receipt, Record, ResultOf,
    Status,
};

use crate::world::{HOUR, World, instance, key};

/// One of two agents in a world: `a`, who has a lease, and `b`, who has a part of it.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    seed: u8,
}

const CHILD: Part = Part { name: "b", seed: 8 };
const GRANDCHILD: Part = Part {
    name: "c",
    seed: 10,
};

fn tokens(tokens: u64) -> Amounts {
    Amounts {
        tokens,
        cost_micros: 0,
    }
}

fn of_tokens(tokens: Option<u64>) -> Budget {
    Budget {
        tokens,
        ..Budget::default()
    }
}

impl Part {
    /// Registers it, and grants it a part of a lease.
    fn under(self, world: &mut World, parent: RecordHash, budget: Budget) -> RecordHash {
        world.register(self.name, &key(self.seed)).unwrap();
        let part = Lease {
            parent: Some(parent),
            budget,
            ..world.lease(self.name, HOUR)
        };
        let lease = world.grant(&part).unwrap();
        let agent = world.state.agent(&self.name.parse().unwrap()).unwrap();
        let beat = Heartbeat {
            before: None,
            manifest_hash: agent.manifest_hash(),
            ..world.heartbeat(self.chain(world), 1)
        };
        self.offer(world, Body::Heartbeat(beat.into())).unwrap();
        lease
    }

    fn chain(self, world: &World) -> Chain {
        let agent = world.state.agent(&self.name.parse().unwrap()).unwrap();
        Chain {
            agent: agent.name().clone(),
            epoch: agent.epoch(),
            instance: agent.instance().unwrap_or(instance(self.seed)),
            seq: agent.next_seq(),
            prev: agent.head().unwrap(),
        }
    }

    fn offer(self, world: &mut World, body: Body) -> Result<RecordHash, Code> {
        let record = world.record(body);
        world.offer(&record, &[&key(self.seed)])
    }

    fn says(self, world: &World, phase: Phase) -> Record {
        let chain = self.chain(world);
        world.record(Body::Receipt(Receipt { chain, phase }.into()))
    }

    fn does(self, world: &mut World, phase: Phase) -> Result<RecordHash, Code> {
        let record = self.says(world, phase);
        world.offer(&record, &[&key(self.seed)])
    }

    fn goal(self, world: &mut World) -> RecordHash {
        let text = |text: &str| text.parse().unwrap();
        let goal = Goal {
            title: text("part"),
            requester: text("me"),
        };
        self.does(world, Phase::Goal(goal)).unwrap()
    }

    /// An action that reserves so much, and uses so much.
    fn acts(self, world: &mut World, goal: RecordHash, reserve: u64, used: u64) -> Option<Code> {
        let intent = match self.does(world, intent(goal, reserve)) {
            Ok(intent) => intent,
            Err(code) => panic!("{}: {code}", self.name),
        };
        let result = Phase::Result(ResultOf {
            intent,
            status: Status::Ok,
            outputs: vec![],
            duration_ms: 1,
            usage: tokens(used),
            refs: vec![],
        });
        let signed = self.says(world, result.clone()).sign(&[&key(self.seed)]);
        let checked = signed.unwrap().check(&|id| world.state.key(id));
        let remark = world.state.remark(&checked, world.now);
        self.does(world, result).unwrap();
        remark.map(|remark| remark.refusal.code)
    }

    fn is_denied(self, world: &World, goal: RecordHash, reserve: u64) -> bool {
        let record = self.says(world, intent(goal, reserve));
        let signed = record.sign(&[&key(self.seed)]).unwrap();
        let checked = signed.check(&|id| world.state.key(id));
        let refusal = world.state.admit(&checked, world.now).unwrap_err();
        assert_eq!(refusal.code, Code::BudgetExceeded);
        world.state.is_denial(&checked, refusal.code)
    }
}

fn intent(goal: RecordHash, reserve: u64) -> Phase {
    Phase::Intent(
        Intent {
            reserve: tokens(reserve),
            ..World::intent_of(goal, "read:x")
        }
        .into(),
    )
}

const PARENT: Part = Part { name: "a", seed: 5 };

/// A parent with so many tokens, at work.
fn parent(most: Option<u64>) -> (World, RecordHash, RecordHash) {
    let mut world = World::running();
    let lease = Lease {
        budget: of_tokens(most),
        ..world.lease("a", HOUR)
    };
    let lease = world.grant(&lease).unwrap();
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    (world, lease, goal)
}

fn spent(world: &World, lease: RecordHash) -> (u128, u128) {
    let Spent {
        actions, tokens, ..
    } = world.state.lease(&lease).unwrap().spent();
    (actions, tokens)
}

/// A child that reports a usage beyond all bounds costs its parent what it was given, and is stopped itself.
#[test]
fn an_overrun_is_the_childs_and_its_parent_goes_on() {
    let (mut world, lease, goal) = parent(Some(1000));
    let part = CHILD.under(&mut world, lease, of_tokens(Some(100)));
    let work = CHILD.goal(&mut world);
    let found = CHILD.acts(&mut world, work, 10, (1 << 53) - 1);
    assert_eq!(found, Some(Code::BudgetExceeded), "a breach of the child's");
    assert_eq!(spent(&world, part), (1, (1 << 53) - 1));
    assert_eq!(spent(&world, lease), (1, 100));
    assert!(CHILD.is_denied(&world, work, 0), "even for nothing");
    assert_eq!(PARENT.acts(&mut world, goal, 900, 900), None);
    assert!(
        PARENT.is_denied(&world, goal, 901),
        "it used that up itself"
    );
    assert!(!PARENT.is_denied(&world, goal, 1) || spent(&world, lease).1 > 1000);
}

#[test]
fn what_a_part_does_not_limit_its_parent_does() {
    let (mut world, lease, goal) = parent(Some(1000));
    let part = CHILD.under(&mut world, lease, of_tokens(None));
    let work = CHILD.goal(&mut world);
    let found = CHILD.acts(&mut world, work, 10, 5000);
    assert_eq!(found, Some(Code::BudgetExceeded));
    assert_eq!(
        (spent(&world, part).1, spent(&world, lease).1),
        (5000, 1000)
    );
    assert!(CHILD.is_denied(&world, work, 0));
    assert!(!PARENT.is_denied(&world, goal, 1), "its child used it up");
    assert_eq!(
        PARENT.acts(&mut world, goal, 0, 0),
        None,
        "an action for nothing fits"
    );
}

#[test]
fn an_amount_is_passed_up_through_all_that_is_above() {
    let (mut world, lease, _) = parent(Some(1000));
    let part = CHILD.under(&mut world, lease, of_tokens(Some(300)));
    let below = GRANDCHILD.under(&mut world, part, of_tokens(Some(200)));
    let work = GRANDCHILD.goal(&mut world);
    let sums = |world: &World| [below, part, lease].map(|it| spent(world, it).1);
    assert_eq!(GRANDCHILD.acts(&mut world, work, 50, 50), None);
    assert_eq!(sums(&world), [50, 50, 50]);
    GRANDCHILD.acts(&mut world, work, 50, 900);
    assert_eq!(sums(&world), [950, 200, 200]);
    let own = CHILD.goal(&mut world);
    assert!(
        !CHILD.is_denied(&world, own, 101),
        "300, of which its child has 200"
    );
    assert!(CHILD.is_denied(&world, own, 301));
    assert_eq!(
        CHILD.acts(&mut world, own, 100, 500),
        Some(Code::BudgetExceeded)
    );
    assert_eq!(sums(&world), [950, 700, 300]);
}

/// Two children that are each within their parts can come to more than there is: who goes over it is in breach.
#[test]
fn what_a_child_uses_beyond_the_budget_above_is_its_breach() {
    let (mut world, lease, goal) = parent(Some(100));
    CHILD.under(&mut world, lease, of_tokens(Some(80)));
    let work = CHILD.goal(&mut world);
    assert_eq!(PARENT.acts(&mut world, goal, 50, 50), None);
    assert_eq!(
        CHILD.acts(&mut world, work, 10, 51),
        Some(Code::BudgetExceeded)
    );
    assert_eq!(spent(&world, lease).1, 101);
    let before = spent(&world, lease);
    assert!(!CHILD.is_denied(&world, work, 10), "its own part has room");
    assert_eq!(before, spent(&world, lease));
}

/// A result gives back what was reserved and not used, also where it had not been passed up.
#[test]
fn what_is_given_back_is_given_back_as_far_as_it_was_passed_up() {
    let (mut world, lease, _) = parent(Some(1000));
    let part = CHILD.under(&mut world, lease, of_tokens(Some(100)));
    let work = CHILD.goal(&mut world);
    assert_eq!(CHILD.acts(&mut world, work, 90, 5), None);
    assert_eq!((spent(&world, part).1, spent(&world, lease).1), (5, 5));
    CHILD.acts(&mut world, work, 90, 500);
    assert_eq!((spent(&world, part).1, spent(&world, lease).1), (505, 100));
    assert_eq!(spent(&world, lease).0, 2, "actions are passed up too");
}

#[test]
fn actions_are_limited_like_the_rest() {
    let mut world = World::running();
    let of_actions = |actions| Budget {
        actions: Some(actions),
        ..Budget::default()
    };
    let lease = Lease {
        budget: of_actions(3),
        ..world.lease("a", HOUR)
    };
    let lease = world.grant(&lease).unwrap();
    world.beat(1).unwrap();
    let goal = world.goal().unwrap();
    CHILD.under(&mut world, lease, of_actions(2));
    let work = CHILD.goal(&mut world);
    for _ in 0..2 {
        CHILD.acts(&mut world, work, 0, 0);
    }
    assert!(CHILD.is_denied(&world, work, 0));
    PARENT.acts(&mut world, goal, 0, 0);
    assert!(
        !PARENT.is_denied(&world, goal, 0),
        "two of three were its child's"
    );
}
