use std::cell::{Cell, RefCell};

use ledger::envelope::Envelope;
use tempfile::TempDir;
use tlog::{LeafIndex, TreeSize};

use super::*;
use crate::memory::{self, MemoryLog};
use wire::{AgentAsOf, Charter, Consistency, Place, Submitted};

const NOW_MS: u64 = 1_700_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// A log, an operator's state directory, and a line that may lose things.
struct World {
    log: MemoryLog,
    state: TempDir,
    line: Cell<Wire>,
    sent: RefCell<Vec<Envelope>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Whole,
    /// Records are lost.
    Loses,
    /// Records get through, answers do not.
    LosesAnswer,
    /// Records are kept back, and said to be refused.
    Refuses,
}

impl World {
    fn new() -> Self {
        let world = Self {
            log: MemoryLog::new(NOW_MS),
            state: tempfile::tempdir().unwrap(),
            line: Cell::new(Wire::Whole),
            sent: RefCell::new(Vec::new()),
        };
        world
            .log
            .register_and_lease(&version(), &agent_key(), &["run:*"]);
        world
    }

    fn by<T>(&self, now_ms: u64, deed: impl FnOnce(&Operator<'_>) -> T) -> T {
        self.log.set_time(now_ms);
        let log = self.log.identity();
        let journal = OperatorJournal::open(self.state.path(), log.log).unwrap();
        let keys = [memory::operator_key()];
        deed(&Operator {
            service: self,
            log: &log,
            journal: &journal,
            keys: &keys,
            now_ms,
        })
    }

    fn grant(&self, now_ms: u64, allow: &str) -> Result<Logged, OperatorError> {
        let grant = Grant {
            agent: version().agent,
            allow: vec![allow.parse().unwrap()],
            deny: Vec::new(),
            budget: Budget::default(),
            for_ms: HOUR_MS,
            renewable_ms: None,
            parent: None,
            purpose: "a test".parse().unwrap(),
        };
        self.by(now_ms, |operator| operator.grant(grant))
    }

    fn quarantine(&self, now_ms: u64) -> Result<Logged, OperatorError> {
        let reason = "a test".parse().unwrap();
        let to = AgentState::Quarantined;
        self.by(now_ms, |operator| {
            operator.order(version().agent, to, reason)
        })
    }

    fn unsettled(&self) -> Vec<Unsettled> {
        OperatorJournal::look(self.state.path(), self.log.identity().log).unwrap()
    }

    fn epoch(&self) -> u64 {
        self.log.agent(&version().agent).unwrap().agent.epoch
    }
}

impl Transport for World {
    fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError> {
        self.sent.borrow_mut().push(envelope.clone());
        let away = || ServiceError::Malformed {
            request: "a request".to_owned(),
            reason: "the line is cut".to_owned(),
        };
        match self.line.get() {
            Wire::Whole => self.log.submit(envelope),
            Wire::Loses => Err(away()),
            Wire::LosesAnswer => self.log.submit(envelope).and_then(|_| Err(away())),
            Wire::Refuses => Err(ServiceError::Refused(Box::new(Problem {
                status: 403,
                code: Some(Code::RoleMissing),
                detail: "nobody signed this".to_owned(),
                next_seq: None,
                head: None,
                retry_after_s: None,
            }))),
        }
    }
    fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
        self.log.place(record)
    }
    fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError> {
        self.log.proof(index, size)
    }
    fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError> {
        self.log.consistency(old, new)
    }
    fn agent(&self, name: &Name) -> Result<AgentAsOf, ServiceError> {
        self.log.agent(name)
    }
    fn charter(&self) -> Result<Charter, ServiceError> {
        self.log.charter()
    }
}

fn version() -> Manifest {
    memory::manifest("greeter", &["run:*"], 60_000)
}

fn agent_key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

#[test]
fn what_was_lost_is_sent_again_as_it_was() {
    for wire in [Wire::Loses, Wire::LosesAnswer] {
        let world = World::new();
        world.line.set(wire);
        let lost = world.grant(NOW_MS, "run:a").unwrap_err();
        assert!(matches!(lost, OperatorError::Unanswered { .. }), "{lost}");
        assert_eq!(world.unsettled().len(), 1);
        world.line.set(Wire::Whole);
        let logged = world.grant(NOW_MS + 1_000, "run:a").unwrap();
        let sent = world.sent.borrow();
        assert!(sent[0] == sent[1], "the same bytes");
        assert_eq!(logged.is_duplicate, wire == Wire::LosesAnswer);
        assert_eq!(world.epoch(), 2, "one lease, not two");
        assert!(world.unsettled().is_empty());
    }
}

#[test]
fn what_is_another_wish_is_signed_anew() {
    type Wish = fn(&World) -> Result<Logged, OperatorError>;
    let another_scope: Wish = |world| world.grant(NOW_MS, "run:b");
    let much_later: Wish = |world| world.grant(NOW_MS + HOUR_MS / 2, "run:a");
    let after_a_decision: Wish = |world| {
        world.quarantine(NOW_MS).unwrap();
        world.grant(NOW_MS, "run:a")
    };
    for wish in [another_scope, much_later, after_a_decision] {
        let world = World::new();
        world.line.set(Wire::Loses);
        world.grant(NOW_MS, "run:a").unwrap_err();
        world.line.set(Wire::Whole);
        wish(&world).unwrap();
        let lost = world.sent.borrow()[0].clone();
        let came_later = world.log.submit(&lost).unwrap_err();
        let is_overtaken = |error: &ServiceError| matches!(error, ServiceError::Refused(problem) if problem.code == Some(Code::AfterMismatch));
        assert!(is_overtaken(&came_later), "{came_later}");
        assert_eq!(world.unsettled().len(), 1, "it was never answered");
    }
}

#[test]
fn a_refusal_that_nobody_signed_is_remembered_until_the_log_shows_otherwise() {
    let world = World::new();
    world.line.set(Wire::Refuses);
    world.grant(NOW_MS, "run:a").unwrap_err();
    let unsettled = world.unsettled();
    assert_eq!(unsettled.len(), 1);
    assert_eq!(
        unsettled[0].refused.as_ref().unwrap().code,
        Code::RoleMissing
    );
    world.line.set(Wire::Whole);
    let kept = world.sent.borrow()[0].clone();
    world.log.submit(&kept).unwrap();
    let found = world.by(NOW_MS, |operator| operator.settle().unwrap());
    assert_eq!(found.len(), 1);
    assert!(world.unsettled().is_empty());
}

/// Somebody decides something between the look and the order.
#[test]
fn a_kill_switch_waits_for_nobody() {
    struct Late<'a>(&'a World);
    impl Transport for Late<'_> {
        fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError> {
            self.0.submit(envelope)
        }
        fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
            self.0.place(record)
        }
        fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError> {
            self.0.proof(index, size)
        }
        fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError> {
            self.0.consistency(old, new)
        }
        fn agent(&self, name: &Name) -> Result<AgentAsOf, ServiceError> {
            let agent = Transport::agent(self.0, name)?;
            self.0.log.lease(&version(), &["run:*"]);
            Ok(agent)
        }
        fn charter(&self) -> Result<Charter, ServiceError> {
            self.0.charter()
        }
    }
    let world = World::new();
    let (log, keys) = (world.log.identity(), [memory::operator_key()]);
    let journal = OperatorJournal::open(world.state.path(), log.log).unwrap();
    let late = Late(&world);
    let operator = Operator {
        service: &late,
        log: &log,
        journal: &journal,
        keys: &keys,
        now_ms: NOW_MS,
    };
    let order = |to| operator.order(version().agent, to, "a test".parse().unwrap());
    let logged = order(AgentState::Quarantined).unwrap();
    let Body::Order(logged) = &logged.entry.record().record().body else {
        panic!()
    };
    assert_eq!(logged.after, None);
    let overtaken = order(AgentState::Autohealing).unwrap_err();
    assert!(
        overtaken.says(Code::AfterMismatch),
        "a release looks: {overtaken}"
    );
}

#[test]
fn nothing_is_signed_about_what_is_not_shown() {
    struct Teller<'a>(&'a World, fn(&mut AgentAsOf));
    impl Transport for Teller<'_> {
        fn submit(&self, _: &Envelope) -> Result<Submitted, ServiceError> {
            panic!("nothing may be signed")
        }
        fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
            self.0.place(record)
        }
        fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError> {
            self.0.proof(index, size)
        }
        fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError> {
            self.0.consistency(old, new)
        }
        fn agent(&self, name: &Name) -> Result<AgentAsOf, ServiceError> {
            let mut agent = Transport::agent(self.0, name)?;
            self.1(&mut agent);
            Ok(agent)
        }
        fn charter(&self) -> Result<Charter, ServiceError> {
            self.0.charter()
        }
    }
    let world = World::new();
    let lies: [fn(&mut AgentAsOf); 3] = [
        |claims| claims.agent.registration = claims.agent.lease.unwrap(),
        |claims| claims.agent.registration = MemoryLog::new(NOW_MS).identity().log,
        |claims| claims.agent.after = Some(claims.agent.registration),
    ];
    let (log, keys) = (world.log.identity(), [memory::operator_key()]);
    let journal = OperatorJournal::open(world.state.path(), log.log).unwrap();
    for lie in lies {
        let teller = Teller(&world, lie);
        let operator = Operator {
            service: &teller,
            log: &log,
            journal: &journal,
            keys: &keys,
            now_ms: NOW_MS,
        };
        let grant = Grant {
            agent: version().agent,
            allow: vec!["run:a".parse().unwrap()],
            deny: Vec::new(),
            budget: Budget::default(),
            for_ms: HOUR_MS,
            renewable_ms: None,
            parent: None,
            purpose: "a test".parse().unwrap(),
        };
        let refused = operator.grant(grant).unwrap_err();
        assert!(matches!(refused, OperatorError::NotShown(_)), "{refused}");
    }
    assert!(world.unsettled().is_empty());
}
