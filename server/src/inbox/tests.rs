use ledger::digest::Digest;
use ledger::record::{Budget, SignedRecord};
use ledger::request::LeaseRequest;
use tlog::LeafIndex;

use super::*;
use crate::log::testing::{START_MS, Speaker, charter, key, signed};
use crate::trust::Trust;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A clock in the test's hand, and what the log implies: agents, each with a version and, later, leases.
struct World {
    clock: Arc<crate::log::testing::ManualClock>,
    trust: Trust,
    state: State,
}

impl World {
    fn new() -> Self {
        let charter = signed(charter());
        let policy = tlog::policy::Policy::parse("quorum none\n").unwrap();
        let trust = Trust {
            policy,
            charter: charter.hash(),
        };
        let mut world = Self {
            clock: Arc::new(crate::log::testing::ManualClock::at(START_MS)),
            trust,
            state: State::new(),
        };
        world.apply(charter);
        world
    }

    fn apply(&mut self, record: SignedRecord) {
        let index = LeafIndex::new(self.state.size());
        self.state.apply(index, START_MS, &record.admitted_before());
    }

    /// Registers an agent and gives the lease that it may get later.
    fn register(&mut self, name: &str, seed: u8) -> SignedRecord {
        let (_, registration, lease) = Speaker::introduced(&self.trust, name, seed, START_MS);
        self.apply(registration);
        lease
    }

    fn inbox(&self) -> Inbox {
        Inbox::in_memory(Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn request(&self, name: &str, at_ms: u64) -> LeaseRequest {
        let agent = name.parse().unwrap();
        let manifest_hash = self
            .state
            .agent(&agent)
            .map(ledger::govern::Agent::manifest_hash);
        LeaseRequest {
            log: self.trust.charter,
            agent,
            manifest_hash: manifest_hash.unwrap_or(Digest::of(&[])),
            allow: vec!["read:**".parse().unwrap()],
            deny: vec![],
            budget: Budget::default(),
            for_ms: 60_000,
            renewable_ms: None,
            parent: None,
            purpose: "test".parse().unwrap(),
            at_ms,
        }
    }

    fn open(&self, inbox: &Inbox) -> Vec<SignedRequest> {
        let open = inbox.open_requests(&self.state, None, usize::MAX);
        open.into_iter().map(|received| received.request).collect()
    }
}

#[test]
fn a_request_waits_until_a_lease_is_granted() {
    let mut world = World::new();
    let lease = world.register("a", 5);
    let inbox = world.inbox();
    let request = world.request("a", START_MS).sign(&key(5)).unwrap();
    inbox.put(&world.state, request.clone()).unwrap();
    assert_eq!(world.open(&inbox), std::slice::from_ref(&request));
    world.apply(lease);
    assert_eq!(world.open(&inbox), []);
    inbox.put(&world.state, request).unwrap();
    assert_eq!(
        world.open(&inbox),
        [],
        "an answered one cannot be put in again"
    );
    let next = world.request("a", START_MS + 1).sign(&key(5)).unwrap();
    inbox.put(&world.state, next.clone()).unwrap();
    assert_eq!(world.open(&inbox), [next]);
}

#[test]
fn the_newest_of_an_agent_is_its_request() {
    let mut world = World::new();
    world.register("a", 5);
    let inbox = world.inbox();
    let sign = |at_ms| world.request("a", at_ms).sign(&key(5)).unwrap();
    let put = |at_ms| inbox.put(&world.state, sign(at_ms)).map(drop);
    put(START_MS).unwrap();
    put(START_MS + 1).unwrap();
    assert_eq!(world.open(&inbox), [sign(START_MS + 1)]);
    assert_eq!(put(START_MS).unwrap_err().code, Code::Stale);
}

#[test]
fn nobody_asks_in_the_name_of_another() {
    let mut world = World::new();
    world.register("a", 5);
    world.register("b", 7);
    let inbox = world.inbox();
    let now = START_MS;
    let other_log = LeaseRequest {
        log: RecordHash::new(Digest::of(&[])),
        ..world.request("a", now)
    };
    let other_version = LeaseRequest {
        manifest_hash: Digest::of(&[]),
        ..world.request("a", now)
    };
    let cases = [
        (world.request("a", now).sign(&key(7)), Code::KeyNotAgents),
        (world.request("a", now).sign(&key(2)), Code::KeyNotAgents),
        (world.request("c", now).sign(&key(5)), Code::AgentUnknown),
        (other_log.sign(&key(5)), Code::OriginMismatch),
        (other_version.sign(&key(5)), Code::ManifestNotActive),
        (
            world.request("a", now + MAX_AHEAD_MS + 1).sign(&key(5)),
            Code::ClockAhead,
        ),
        (
            world.request("a", now - DAY_MS - 1).sign(&key(5)),
            Code::Stale,
        ),
    ];
    for (request, code) in cases {
        let refused = inbox.put(&world.state, request.unwrap()).unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
    }
    assert_eq!(world.open(&inbox), []);
}

#[test]
fn a_request_grows_old() {
    let mut world = World::new();
    world.register("a", 5);
    let inbox = world.inbox();
    let request = world.request("a", START_MS).sign(&key(5)).unwrap();
    inbox.put(&world.state, request).unwrap();
    world.clock.advance(DAY_MS);
    assert_eq!(world.open(&inbox).len(), 1);
    world.clock.advance(1);
    assert_eq!(world.open(&inbox), []);
}

#[test]
fn there_is_room_for_so_many_and_old_ones_make_way() {
    let mut world = World::new();
    world.register("a", 5);
    world.register("z", 7);
    let inbox = world.inbox();
    let request = world.request("a", START_MS).sign(&key(5)).unwrap();
    let received = inbox.put(&world.state, request).unwrap();
    let crowd = (1..MAX_REQUESTS).map(|n| (format!("m{n}").parse().unwrap(), received.clone()));
    inbox.held().extend(crowd);
    let late = || world.request("z", START_MS).sign(&key(7)).unwrap();
    let refused = inbox.put(&world.state, late()).unwrap_err();
    assert_eq!(refused.code, Code::Overloaded);
    world.clock.advance(DAY_MS + 1);
    let late = world.request("z", START_MS + DAY_MS).sign(&key(7)).unwrap();
    inbox.put(&world.state, late.clone()).unwrap();
    assert_eq!(world.open(&inbox), [late]);
    assert_eq!(inbox.held().len(), 1);
}

#[test]
fn it_is_there_again_after_a_restart() {
    let mut world = World::new();
    world.register("a", 5);
    world.register("b", 7);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests");
    let open = || Inbox::open(path.clone(), Arc::clone(&world.clock) as Arc<dyn Clock>).unwrap();
    let old = world.request("a", START_MS).sign(&key(5)).unwrap();
    let new = world.request("a", START_MS + 1).sign(&key(5)).unwrap();
    open().put(&world.state, old).unwrap();
    open().put(&world.state, new.clone()).unwrap();
    // What somebody else has put there is no reason not to start.
    std::fs::write(path.join("b.json"), "{}").unwrap();
    std::fs::copy(path.join("a.json"), path.join("c.json")).unwrap();
    std::fs::write(path.join("notes.txt"), "notes").unwrap();
    let inbox = open();
    assert_eq!(world.open(&inbox), [new]);
    assert_eq!(inbox.held().len(), 1);
}
