use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;

use ledger::codes::Code;
use ledger::envelope::Envelope;
use ledger::record::{AgentState, Order, Phase, Rule, Status, Verdict};
use tempfile::TempDir;
use tlog::{LeafIndex, TreeSize};

use super::*;
use crate::disclosure::Secret;
use crate::memory::{self, MemoryLog};
use wire::{AgentAsOf, Ask, Charter, Consistency, Place, Submitted};

mod opening;

const NOW_MS: u64 = 1_700_000_000_000;
const MINUTE_MS: u64 = 60_000;

/// A log, a state directory, and a line between that can be cut.
struct World {
    log: MemoryLog,
    state: TempDir,
    line: Cell<Wire>,
    kept: RefCell<Vec<Envelope>>,
    /// How many proofs were asked for.
    proofs: Cell<usize>,
}

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wire {
    Whole,
    /// Nothing gets through.
    Cut,
    /// The next record gets through, its answer does not; then nothing.
    LosesAnswer,
    /// Proofs are of another tree.
    Lies,
    /// Records are kept back, and are said to be refused with this code.
    Refuses(Code),
    /// Records get through, and are said to be refused.
    PassesAndRefuses,
    /// The next record is turned away for a second.
    IsBusyOnce,
}

impl World {
    fn new() -> Self {
        let log = MemoryLog::new(NOW_MS);
        log.register_and_lease(&version(), &key(), &["run:*", "read:**"]);
        Self {
            log,
            state: tempfile::tempdir().unwrap(),
            line: Cell::new(Wire::Whole),
            kept: RefCell::new(Vec::new()),
            proofs: Cell::new(0),
        }
    }

    /// Hands in what was kept back, by another way.
    fn deliver(&self) {
        self.line.set(Wire::Whole);
        for envelope in self.kept.take() {
            self.log.submit(&envelope).unwrap();
        }
    }

    fn agent(&self) -> Agent<&Self> {
        self.agent_at(&self.state)
    }

    fn agent_at(&self, state: &TempDir) -> Agent<&Self> {
        let identity = self.log.identity();
        let journal = Journal::open(state.path(), identity.log, &version().agent).unwrap();
        Agent::new(self, identity, key(), version(), journal).unwrap()
    }

    fn started(&self) -> Agent<&Self> {
        let mut agent = self.agent();
        agent.start(NOW_MS).unwrap();
        agent
    }

    /// The agent's receipts in the log, by phase, and a check that none is there twice.
    fn phases(&self) -> Vec<&'static str> {
        let records = self.log.records();
        let names: BTreeSet<_> = records.iter().map(SignedRecord::hash).collect();
        assert_eq!(names.len(), records.len());
        let phase = |record: &SignedRecord| match &record.record().body {
            Body::Receipt(receipt) => Some(receipt.phase.as_str()),
            _ => None,
        };
        records.iter().filter_map(phase).collect()
    }

    fn rules(&self) -> Vec<Rule> {
        let records = self.log.records();
        let rule = |record: &SignedRecord| match &record.record().body {
            Body::Transition(transition) => Some(transition.rule),
            _ => None,
        };
        records.iter().filter_map(rule).collect()
    }

    fn away(&self) -> ServiceError {
        ServiceError::BrokenOff {
            request: "a request".to_owned(),
            source: io::Error::other("the line is cut"),
        }
    }

    fn through<A>(
        &self,
        answer: impl FnOnce() -> Result<A, ServiceError>,
    ) -> Result<A, ServiceError> {
        match self.line.get() {
            Wire::Cut => Err(self.away()),
            _ => answer(),
        }
    }
}

impl Transport for World {
    fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError> {
        if let Wire::Refuses(code) = self.line.get() {
            self.kept.borrow_mut().push(envelope.clone());
            return Err(refused(code));
        }
        if self.line.get() == Wire::IsBusyOnce {
            self.line.set(Wire::Whole);
            return Err(refused_for(Code::RateLimited, Some(1)));
        }
        let answer = self.through(|| self.log.submit(envelope));
        if self.line.get() == Wire::PassesAndRefuses {
            return Err(refused(Code::ScopeDenied));
        }
        if self.line.get() == Wire::LosesAnswer {
            self.line.set(Wire::Cut);
            return Err(self.away());
        }
        answer
    }
    fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
        self.through(|| self.log.place(record))
    }
    fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError> {
        self.proofs.set(self.proofs.get() + 1);
        self.through(|| self.log.proof(index, size))
    }
    fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError> {
        let mut answer = self.through(|| self.log.consistency(old, new))?;
        if self.line.get() == Wire::Lies {
            answer.hashes = vec![tlog::EMPTY_ROOT.to_string(); answer.hashes.len()];
        }
        Ok(answer)
    }
    fn agent(&self, name: &Name) -> Result<AgentAsOf, ServiceError> {
        self.through(|| self.log.agent(name))
    }
    fn charter(&self) -> Result<Charter, ServiceError> {
        self.through(|| self.log.charter())
    }
}

fn refused(code: Code) -> ServiceError {
    refused_for(code, None)
}

fn refused_for(code: Code, retry_after_s: Option<u64>) -> ServiceError {
    Box::new(Problem {
        status: code.http_status().unwrap(),
        code: Some(code),
        detail: "nobody signed this".to_owned(),
        next_seq: None,
        head: None,
        retry_after_s,
    })
    .into()
}

fn version() -> Manifest {
    memory::manifest("greeter", &["run:*", "read:**"], MINUTE_MS)
}

fn key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

fn goal(agent: &mut Agent<&World>) -> RecordHash {
    let (title, requester) = ("greet".parse().unwrap(), "a test".parse().unwrap());
    agent.goal(title, requester, NOW_MS).unwrap().record()
}

fn run(goal: RecordHash) -> Action {
    Action::new(goal, "run:greet".parse().unwrap())
}

#[test]
fn a_life_from_the_first_beat_to_the_goodbye() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let permit = agent.intent(run(goal), NOW_MS).unwrap();
    assert_eq!(permit.lapses_ms(), NOW_MS + MINUTE_MS);
    agent
        .result(ActionResult::of(permit.intent(), Status::Ok), NOW_MS)
        .unwrap();
    agent
        .outcome(goal, Verdict::Rejected, vec![], NOW_MS)
        .unwrap();
    agent.beat(3, NOW_MS).unwrap();
    agent.goodbye(NOW_MS).unwrap();
    assert_eq!(world.phases(), ["goal", "intent", "result", "outcome"]);
    assert_eq!(world.rules(), [Rule::Started, Rule::Finished]);
    assert!(agent.book().open_goals().is_empty() && agent.book().open_intents().is_empty());
}

#[test]
fn a_permit_ends_with_the_lease() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let late_ms = NOW_MS + 60 * MINUTE_MS - 10;
    world.log.set_time(late_ms);
    // Ten milliseconds before its end the lease still stands, and the agent is degraded for its silence.
    agent.beat(1, late_ms).unwrap();
    let read = Action::new(goal, "read:a".parse().unwrap());
    let permit = agent.intent(read, late_ms).unwrap();
    assert_eq!(permit.lapses_ms(), late_ms + 10);
    assert!(permit.is_valid_at(late_ms + 9) && !permit.is_valid_at(late_ms + 10));
}

#[test]
fn a_refusal_has_its_code_and_takes_no_place() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let denied = Action::new(goal, "write:a".parse().unwrap());
    let error = agent.intent(denied, NOW_MS).unwrap_err();
    assert_eq!(error.code().unwrap().as_str(), "capability-missing");
    let _ = agent.intent(run(goal), NOW_MS).unwrap();
}

/// Whoever sits on the line keeps an intent back, says that it was refused, and hands it in later.
#[test]
fn a_refusal_that_nobody_signed_wedges_nobody() {
    for code in [Code::ScopeDenied, Code::Stale, Code::GoalUnknown] {
        let world = World::new();
        let mut agent = world.started();
        let goal = goal(&mut agent);
        world.line.set(Wire::Refuses(code));
        let error = agent.intent(run(goal), NOW_MS).unwrap_err();
        assert_eq!(error.code(), Some(code));
        world.deliver();
        // A millisecond later, or it would be the same record.
        let permit = agent.intent(run(goal), NOW_MS + 1).unwrap();
        assert_eq!(world.phases(), ["goal", "intent", "intent"]);
        let done = ActionResult::of(permit.intent(), Status::Ok);
        agent.result(done, NOW_MS).unwrap();
        assert_eq!(world.phases().len(), 5, "the first one is closed too");
        assert!(agent.book().open_intents().is_empty());
        assert!(agent.book().claimed_refused().is_empty());
        agent.goodbye(NOW_MS).unwrap();
    }
}

#[test]
fn what_is_said_to_be_refused_and_is_in_the_log_is_in_the_log() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    world.line.set(Wire::PassesAndRefuses);
    let permit = agent.intent(run(goal), NOW_MS).unwrap();
    agent
        .result(ActionResult::of(permit.intent(), Status::Ok), NOW_MS)
        .unwrap();
    assert_eq!(world.phases(), ["goal", "intent", "result"]);
}

/// A result that was kept back arrives when the next process has begun, or before a new lease is followed.
#[test]
fn what_turns_up_later_is_taken_up_wherever_the_agent_goes_on() {
    type GoOn = fn(&World, Agent<&World>) -> u64;
    let next_process: GoOn = |world, agent| {
        drop(agent);
        world.started().tip().unwrap().epoch
    };
    let next_lease: GoOn = |world, mut agent| {
        world.log.lease(&version(), &["run:*"]);
        agent.beat(1, NOW_MS).unwrap();
        agent.tip().unwrap().epoch
    };
    for go_on in [next_process, next_lease] {
        let world = World::new();
        let mut agent = world.started();
        let goal = goal(&mut agent);
        let permit = agent.intent(run(goal), NOW_MS).unwrap();
        world.line.set(Wire::Refuses(Code::StateForbids));
        let done = ActionResult::of(permit.intent(), Status::Ok);
        agent.result(done, NOW_MS).unwrap_err();
        assert_eq!(agent.book().unsaid().len(), 1);
        world.deliver();
        assert_eq!(go_on(&world, agent), 2);
        assert_eq!(world.phases(), ["goal", "intent", "result"]);
        let again = world.agent();
        assert!(again.book().unsaid().is_empty());
        assert!(again.book().open_intents().is_empty());
    }
}

#[test]
fn a_beginning_that_was_said_to_be_refused_is_taken_up() {
    let world = World::new();
    let mut agent = world.agent();
    world.line.set(Wire::Refuses(Code::LeaseExpired));
    agent.start(NOW_MS).unwrap_err();
    world.deliver();
    drop(agent);
    let mut agent = world.agent();
    agent.resume(NOW_MS).unwrap();
    assert_eq!(agent.tip().unwrap().epoch, 1);
    goal(&mut agent);
}

#[test]
fn an_answer_that_is_lost_doubles_nothing() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let permit = agent.intent(run(goal), NOW_MS).unwrap();
    world.line.set(Wire::LosesAnswer);
    let result = agent
        .result(ActionResult::of(permit.intent(), Status::Ok), NOW_MS)
        .unwrap();
    assert!(!result.is_logged());
    let outcome = agent
        .outcome(goal, Verdict::Rejected, vec![], NOW_MS)
        .unwrap();
    assert!(!outcome.is_logged(), "it waits behind the result");
    assert!(
        agent.beat(1, NOW_MS).unwrap_err().is_away(),
        "a beat does not wait"
    );
    assert_eq!(agent.book().pending().len(), 2);
    world.line.set(Wire::Whole);
    agent.settle(NOW_MS).unwrap();
    assert_eq!(world.phases(), ["goal", "intent", "result", "outcome"]);
    agent.goodbye(NOW_MS).unwrap();
}

#[test]
fn an_intent_whose_answer_is_lost_gives_no_leave_and_is_closed() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    world.line.set(Wire::LosesAnswer);
    assert!(agent.intent(run(goal), NOW_MS).unwrap_err().is_away());
    assert!(
        agent.intent(run(goal), NOW_MS).unwrap_err().is_away(),
        "nothing is signed behind it"
    );
    assert_eq!(agent.book().pending().len(), 1);
    world.line.set(Wire::Whole);
    agent.settle(NOW_MS).unwrap();
    assert_eq!(world.phases(), ["goal", "intent", "result"]);
    assert!(agent.book().open_intents().is_empty());
}

#[test]
fn a_process_that_died_is_succeeded() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let _ = agent.intent(run(goal), NOW_MS).unwrap();
    let instance = agent.tip().unwrap().instance;
    drop(agent);
    let agent = world.started();
    let tip = agent.tip().unwrap();
    assert!(tip.epoch == 2 && tip.instance != instance);
    assert_eq!(world.phases(), ["goal", "intent", "result"]);
    assert_eq!(
        world.rules(),
        [Rule::Started, Rule::Finished, Rule::Restarted]
    );
}

#[test]
fn a_new_lease_is_followed_by_the_same_process() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let permit = agent.intent(run(goal), NOW_MS).unwrap();
    let instance = agent.tip().unwrap().instance;
    world.log.lease(&version(), &["run:*"]);
    agent
        .result(ActionResult::of(permit.intent(), Status::Ok), NOW_MS)
        .unwrap();
    let tip = agent.tip().unwrap();
    assert_eq!((tip.epoch, tip.instance), (2, instance));
    assert_eq!(world.phases(), ["goal", "intent", "result"]);
}

/// While the line is cut a lease supersedes the epoch: what waits is refused there, and said again in the new one.
#[test]
fn what_waited_is_said_again_in_the_next_epoch() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let permit = agent.intent(run(goal), NOW_MS).unwrap();
    let secret = Secret::new("stdout".parse().unwrap(), b"hello".to_vec()).unwrap();
    let mut result = ActionResult::of(permit.intent(), Status::Ok);
    result.outputs = vec![secret];
    world.line.set(Wire::Cut);
    let result = agent.result(result, NOW_MS).unwrap().record();
    let check = ledger::record::Check {
        name: "it ran".parse().unwrap(),
        digest: *result.digest(),
        record: Some(result),
    };
    agent
        .outcome(goal, Verdict::Accepted, vec![check], NOW_MS)
        .unwrap();
    drop(agent);
    world.log.lease(&version(), &["run:*"]);
    world.line.set(Wire::Whole);
    let agent = world.started();
    assert_eq!(world.phases(), ["goal", "intent", "result", "outcome"]);
    let records = world.log.records();
    let named = |phase: &str| {
        let is = |record: &&SignedRecord| matches!(&record.record().body, Body::Receipt(receipt) if receipt.phase.as_str() == phase);
        records.iter().find(is).unwrap()
    };
    let said = named("result").hash();
    assert_ne!(said, result);
    let Body::Receipt(receipt) = &named("outcome").record().body else {
        panic!()
    };
    let Phase::Outcome(outcome) = &receipt.phase else {
        panic!()
    };
    assert_eq!(
        (outcome.checks[0].record, outcome.checks[0].digest),
        (Some(said), *said.digest())
    );
    let place = crate::disclosure::Place {
        record: said,
        side: crate::disclosure::Side::Outputs,
        name: "stdout".parse().unwrap(),
    };
    assert_eq!(
        agent.journal().disclosure(&place).unwrap().unwrap().value,
        b"hello"
    );
}

#[test]
fn a_lost_journal_is_made_up_for_by_what_the_own_key_signed() {
    let world = World::new();
    let mut agent = world.started();
    goal(&mut agent);
    agent.goodbye(NOW_MS).unwrap();
    drop(agent);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut agent = world.agent_at(&elsewhere);
    agent.start(NOW_MS).unwrap();
    assert_eq!(agent.tip().unwrap().epoch, 2);
    drop(agent);
    let mut late = world.agent();
    late.start(NOW_MS).unwrap_err();
}

#[test]
fn whoever_has_seen_less_than_another_process_looks_again_before_it_begins() {
    let world = World::new();
    world.started().goodbye(NOW_MS).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = world.agent_at(&elsewhere);
    other.start(NOW_MS).unwrap();
    for progress in 1..4 {
        other.beat(progress, NOW_MS).unwrap();
    }
    other.goodbye(NOW_MS).unwrap();
    drop(other);
    assert_eq!(world.started().tip().unwrap().epoch, 3);
}

#[test]
fn what_a_lost_journal_left_open_is_given_up() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    drop(agent.intent(run(goal), NOW_MS).unwrap());
    drop(agent);
    let later_ms = NOW_MS + 2 * MINUTE_MS;
    world.log.set_time(later_ms);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut agent = world.agent_at(&elsewhere);
    agent.start(later_ms).unwrap();
    let open = |world: &World| {
        let agent = Transport::agent(world, &version().agent).unwrap();
        (agent.open_goals.len(), agent.open_intents.len())
    };
    assert_eq!(open(&world), (1, 1));
    agent.give_up_what_is_open(later_ms).unwrap();
    assert_eq!(open(&world), (0, 0));
    agent.goodbye(later_ms).unwrap();
    assert_eq!(
        world.rules(),
        [Rule::Started, Rule::Restarted, Rule::Finished]
    );
    drop(agent);
    // Whoever has the first journal finds that there is nothing left to say, and says it once.
    for _ in 0..2 {
        let mut back = world.agent();
        back.start(later_ms).unwrap();
        assert!(back.book().open_intents().is_empty() && back.book().unsaid().is_empty());
        back.goodbye(later_ms).unwrap();
    }
}

#[test]
fn whoever_is_told_a_head_that_is_none_does_not_begin() {
    let world = World::new();
    let tells = |change: fn(&mut AgentAsOf)| {
        struct Teller<'a>(&'a World, fn(&mut AgentAsOf));
        impl Transport for Teller<'_> {
            fn submit(&self, _: &Envelope) -> Result<Submitted, ServiceError> {
                panic!("nothing may be signed")
            }
            fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
                self.0.place(record)
            }
            fn proof(
                &self,
                index: LeafIndex,
                size: Option<TreeSize>,
            ) -> Result<String, ServiceError> {
                self.0.proof(index, size)
            }
            fn consistency(&self, _: TreeSize, _: TreeSize) -> Result<Consistency, ServiceError> {
                Err(self.0.away())
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
        let state = tempfile::tempdir().unwrap();
        let identity = world.log.identity();
        let journal = Journal::open(state.path(), identity.log, &version().agent).unwrap();
        let teller = Teller(&world, change);
        let mut agent = Agent::new(teller, identity, key(), version(), journal).unwrap();
        agent.start(NOW_MS).unwrap_err()
    };
    let elsewhere = |claims: &mut AgentAsOf| claims.agent.head = Some(memory_charter());
    assert!(matches!(tells(elsewhere), AgentError::NotAnOpening { .. }));
    let no_lease = |claims: &mut AgentAsOf| claims.agent.lease = Some(memory_charter());
    assert!(matches!(tells(no_lease), AgentError::NotAnOpening { .. }));
    let anothers = |claims: &mut AgentAsOf| claims.agent.last = claims.agent.lease;
    assert!(matches!(tells(anothers), AgentError::ChainParted { .. }));
    let nowhere = |claims: &mut AgentAsOf| {
        claims.agent.head = format!("sha256:{}", "0".repeat(64)).parse().ok();
    };
    assert!(tells(nowhere).is_away(), "nothing is known of it");
}

fn memory_charter() -> RecordHash {
    MemoryLog::new(NOW_MS).identity().log
}

#[test]
fn a_fork_is_noticed_and_told() {
    let world = World::new();
    let mut agent = world.started();
    agent.beat(1, NOW_MS).unwrap();
    agent.beat(2, NOW_MS).unwrap();
    let seen = agent.seen().unwrap();
    world.line.set(Wire::Lies);
    let error = agent.beat(3, NOW_MS).unwrap_err();
    assert!(matches!(error, AgentError::SplitView { .. }), "{error}");
    assert_eq!(agent.seen().unwrap(), seen, "what was seen stays");
    assert_eq!(
        agent.tip().unwrap().progress,
        3,
        "the beat is in the log all the same"
    );
}

#[test]
fn another_version_is_not_covered_by_the_lease() {
    let world = World::new();
    let other = memory::manifest("greeter", &["run:*"], MINUTE_MS);
    let identity = world.log.identity();
    let journal = Journal::open(world.state.path(), identity.log, &other.agent).unwrap();
    let mut agent = Agent::new(&world, identity, key(), other, journal).unwrap();
    let error = agent.start(NOW_MS).unwrap_err();
    assert!(matches!(error, AgentError::OtherVersion { .. }), "{error}");
}

#[test]
fn an_order_ends_it() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let permit = agent.intent(run(goal), NOW_MS).unwrap();
    let order = Body::Order(Order {
        agent: version().agent,
        to: AgentState::Stopped,
        after: None,
        reason: "a test".parse().unwrap(),
    });
    world.log.by_operator(order, &[]);
    let error = agent.intent(run(goal), NOW_MS).unwrap_err();
    assert!(error.code().is_some(), "{error}");
    let result = agent
        .result(ActionResult::of(permit.intent(), Status::Cancelled), NOW_MS)
        .unwrap();
    assert!(result.is_logged());
    assert_eq!(agent.standing().unwrap().ask, Ask::Stop);
}

/// What goes wrong on the way of the last words, and they are said once all the same.
#[test]
fn last_words_are_said_once_whatever_becomes_of_them_on_the_way() {
    for (wire, is_superseded) in [
        (Wire::Whole, false),
        (Wire::LosesAnswer, false),
        (Wire::PassesAndRefuses, false),
        (Wire::Whole, true),
    ] {
        let world = World::new();
        let mut agent = world.started();
        let goal = goal(&mut agent);
        let permit = agent.intent(run(goal), NOW_MS).unwrap();
        if is_superseded {
            world.log.lease(&version(), &["run:*"]);
        }
        world.line.set(wire);
        let mut result = ActionResult::of(permit.intent(), Status::Ok);
        let secret = Secret::new("stdout".parse().unwrap(), b"hello".to_vec());
        result.outputs = vec![secret.unwrap()];
        let check = |result: RecordHash| ledger::record::Check {
            name: "it ran".parse().unwrap(),
            digest: *result.digest(),
            record: Some(result),
        };
        assert!(agent.has_said_all());
        let words = LastWords {
            result: &result,
            goal,
            verdict: &|result| (Verdict::Accepted, vec![check(result)]),
            progress: 7,
        };
        let said = agent.say_last_words(&words, NOW_MS).unwrap();
        let is_plain = matches!(wire, Wire::Whole | Wire::PassesAndRefuses) && !is_superseded;
        assert_eq!(said.left.is_none(), is_plain, "{wire:?}: {:?}", said.left);
        world.line.set(Wire::Whole);
        agent.settle(NOW_MS).unwrap();
        if !agent.has_said_goodbye() {
            agent.goodbye_at(7, NOW_MS).unwrap();
        }
        assert_eq!(world.phases(), ["goal", "intent", "result", "outcome"]);
        assert_eq!(world.rules(), [Rule::Started, Rule::Finished], "{wire:?}");
        assert_eq!(agent.progress(), 7);
        assert!(agent.has_said_all() && agent.has_said_goodbye());
        assert!(agent.book().open_intents().is_empty() && agent.book().open_goals().is_empty());
    }
}

/// A service that is away gets no goodbye that is old by the time that it comes back.
#[test]
fn last_words_are_not_signed_for_a_service_that_is_away() {
    let world = World::new();
    let mut agent = world.started();
    let goal = goal(&mut agent);
    let permit = agent.intent(run(goal), NOW_MS).unwrap();
    let result = ActionResult::of(permit.intent(), Status::Ok);
    let words = LastWords {
        result: &result,
        goal,
        verdict: &|_| (Verdict::Partial, vec![]),
        progress: 0,
    };
    world.line.set(Wire::Cut);
    let away = agent.say_last_words(&words, NOW_MS);
    assert!(away.is_err_and(|error| error.is_away()) && agent.has_said_all());
}
