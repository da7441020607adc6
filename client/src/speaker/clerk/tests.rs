use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc;

use ledger::digest::RecordHash;
use ledger::envelope::Envelope;
use ledger::json::{Members, Value};
use ledger::key::PrivateKey;
use ledger::record::{Body, Phase, Record, ResultOf, ToolUse, Verdict};
use ledger::text::Name;
use tlog::{LeafIndex, TreeSize};

use super::*;
use crate::agent::Action;
use crate::journal::Journal;
use crate::memory::{MemoryLog, manifest};
use crate::speaker::Program;
use crate::transport::{Problem, ServiceError};
use wire::{AgentAsOf, Charter, Consistency, Place, Submitted};

const NOW_MS: u64 = 1_700_000_000_000;

/// A service that refuses what it is sent, and may not say where an agent stands.
struct Moody {
    log: MemoryLog,
    refuses: Cell<bool>,
    says: Cell<bool>,
}

fn problem(status: u16, code: Option<Code>) -> ServiceError {
    ServiceError::Refused(Box::new(Problem {
        status,
        code,
        detail: "a mood".to_owned(),
        next_seq: None,
        head: None,
        retry_after_s: None,
    }))
}

impl Transport for Moody {
    fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError> {
        match self.refuses.get() {
            true => Err(problem(403, Some(Code::Stale))),
            false => self.log.submit(envelope),
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
        match self.says.get() {
            true => self.log.agent(name),
            false => Err(problem(503, None)),
        }
    }

    fn charter(&self) -> Result<Charter, ServiceError> {
        self.log.charter()
    }
}

#[test]
fn beats_that_are_refused_end_the_program_where_nobody_says_how_the_agent_stands() {
    let service = Moody {
        log: MemoryLog::new(NOW_MS),
        refuses: Cell::new(false),
        says: Cell::new(true),
    };
    let key = PrivateKey::from_seed(&[7; 32]);
    let version = manifest("beater", &["run:*"], 60_000);
    service.log.register_and_lease(&version, &key, &["run:*"]);
    let state = tempfile::tempdir().unwrap();
    let identity = service.log.identity();
    let journal = Journal::open(state.path(), identity.log, &version.agent).unwrap();
    let mut agent = Agent::new(&service, identity, key, version, journal).unwrap();
    agent.start(NOW_MS).unwrap();
    let words: Text = "beat".parse().unwrap();
    let goal = agent.goal(words.clone(), words.clone(), NOW_MS).unwrap();
    let goal = goal.record();
    let action = Action::new(goal, "run:sh".parse().unwrap());
    let permit = agent.intent(action, NOW_MS).unwrap();
    let tool = ToolUse {
        name: "sh".parse().unwrap(),
        digest: ledger::digest::Digest::of(&[b"sh"]),
    };
    let program = Program {
        goal,
        intent: permit.intent(),
        tool,
    };
    let mut life = Life::new(Some(program), Arc::default(), Arc::default(), 0);
    let (told, news) = mpsc::channel();
    let mut clerk = Clerk {
        standing: None,
        agent: &mut agent,
        life: &mut life,
        requester: words,
        heartbeat: Duration::from_secs(60),
        is_away: false,
        left_alone_until: Instant::now(),
        was_refused: false,
        refused_beats: 0,
        waiting: VecDeque::new(),
        roots: Roots::default(),
        prompt: None,
        unlogged: Unlogged::default(),
        service: None,
        stall: Stall::after(Duration::from_secs(60)),
        news: Box::new(move |news| told.send(news).unwrap()),
        caller: Caller {
            now_ms: || NOW_MS,
            notice: |_| (),
        },
    };
    let mut is_fenced_after = |says: bool| {
        service.says.set(says);
        clerk.beat();
        news.try_iter().any(|one| matches!(one, News::Fenced(_)))
    };
    service.refuses.set(true);
    // An answer to the question where it stands is as good as a beat that is taken.
    for says in [false, false, true, false, false] {
        assert!(!is_fenced_after(says));
    }
    assert!(is_fenced_after(false), "the third in a row");
}

/// A clerk on a log in memory, with lines that are said to it.
struct Desk<'a> {
    clerk: Clerk<'a, &'a MemoryLog>,
    log: &'a MemoryLog,
}

impl Desk<'_> {
    fn say(&mut self, connection: Connection, line: &str) -> Value {
        let answer = self.ask(connection, line);
        Value::parse(answer.try_recv().unwrap().trim_end().as_bytes()).unwrap()
    }

    fn ask(&mut self, connection: Connection, line: &str) -> Receiver<String> {
        let (outbox, answer) = mpsc::channel();
        let members = Members::open("", Value::parse(line.as_bytes()).unwrap()).unwrap();
        let request = Request::read(members).unwrap();
        self.clerk.serve(request, connection, Reply::to(&outbox));
        answer
    }

    /// The receipts of a phase, as the log has them.
    fn receipts(&self, is_meant: fn(&Phase) -> bool) -> Vec<Record> {
        let records = self.log.records().into_iter();
        let records = records.map(|signed| signed.record().clone());
        let is_meant = |record: &Record| matches!(&record.body, Body::Receipt(receipt) if is_meant(&receipt.phase));
        records.filter(is_meant).collect()
    }

    fn results(&self) -> Vec<ResultOf> {
        let results = self.receipts(|phase| matches!(phase, Phase::Result(_)));
        let result = |record: Record| match record.body {
            Body::Receipt(receipt) => match receipt.phase {
                Phase::Result(result) => Some(result),
                _ => None,
            },
            _ => None,
        };
        results.into_iter().filter_map(result).collect()
    }
}

fn at_a_desk(max_inflight_ms: u64, act: impl FnOnce(Desk<'_>)) {
    let log = MemoryLog::new(NOW_MS);
    let key = PrivateKey::from_seed(&[7; 32]);
    let version = manifest("clerk", &["read:**"], max_inflight_ms);
    log.register_and_lease(&version, &key, &["read:**"]);
    let state = tempfile::tempdir().unwrap();
    let journal = Journal::open(state.path(), log.identity().log, &version.agent).unwrap();
    let mut agent = Agent::new(&log, log.identity(), key, version, journal).unwrap();
    agent.start(NOW_MS).unwrap();
    let mut life = Life::new(None, Arc::default(), Arc::default(), 0);
    let clerk = Clerk {
        standing: None,
        agent: &mut agent,
        life: &mut life,
        requester: "a test".parse().unwrap(),
        heartbeat: Duration::from_secs(60),
        is_away: false,
        left_alone_until: Instant::now(),
        was_refused: false,
        refused_beats: 0,
        waiting: VecDeque::new(),
        roots: Roots::default(),
        prompt: None,
        unlogged: Unlogged::default(),
        service: None,
        stall: Stall::after(Duration::from_secs(60)),
        news: Box::new(|_| ()),
        caller: Caller {
            now_ms: || NOW_MS,
            notice: |_| (),
        },
    };
    act(Desk { clerk, log: &log });
}

fn member<'a>(answer: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Object(members) = answer else {
        return None;
    };
    members
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

fn is_ok(answer: &Value) -> bool {
    member(answer, "ok") == Some(&Value::Bool(true))
}

const MINUTE_MS: u64 = 60_000;

#[test]
fn a_session_has_one_goal_which_opens_with_its_first_action_and_ends_with_its_turn() {
    at_a_desk(MINUTE_MS, |mut desk| {
        let intent = r#"{"intent":{"scope":"read:a","call":"c1","session":"s","host":"codex"}}"#;
        let first = desk.say(1, intent);
        assert!(is_ok(&first), "{first:?}");
        let again = desk.say(2, intent);
        assert_eq!(member(&again, "intent"), member(&first, "intent"));
        assert_eq!(member(&again, "same"), Some(&Value::Bool(true)));
        let proxy = desk.say(3, r#"{"intent":{"scope":"read:a","call":"c1"}}"#);
        assert_eq!(
            member(&proxy, "intent"),
            member(&first, "intent"),
            "a proxy sees it too"
        );
        let second = r#"{"intent":{"scope":"read:b","call":"c2","session":"s","host":"codex"}}"#;
        assert!(is_ok(&desk.say(1, second)));
        let turn = r#"{"session":{"session":"s","host":"codex","end":"turn"}}"#;
        assert!(member(&desk.say(4, turn), "goal").is_some_and(|goal| *goal != Value::Null));
        // Out of order, and by whoever knows the name.
        for (call, known) in [("c2", false), ("c1", false), ("c1", true)] {
            let line = format!(r#"{{"result":{{"call":"{call}","refs":{{"trace":"t"}}}}}}"#);
            let answer = desk.say(9, &line);
            assert!(is_ok(&answer), "{answer:?}");
            assert_eq!(member(&answer, "again").is_some(), known);
        }
        assert_eq!(member(&desk.say(4, turn), "goal"), Some(&Value::Null));
        let results = desk.results();
        assert_eq!(
            results.len(),
            2,
            "the second result of one action is not logged"
        );
        let named = |(name, text): &(Name, Text)| format!("{name}={text}");
        let refs: Vec<String> = results[0].refs.iter().map(named).collect();
        for part in ["trace=t", "call=c2", "session=s", "host=codex"] {
            assert!(refs.contains(&part.to_owned()), "{part}: {refs:?}");
        }
        let goals = |desk: &Desk<'_>| desk.receipts(|phase| matches!(phase, Phase::Goal(_))).len();
        assert_eq!(goals(&desk), 1);
        assert!(is_ok(&desk.say(1, second)));
        assert_eq!(goals(&desk), 2, "the next action opens another");
        let partial = |phase: &Phase| matches!(phase, Phase::Outcome(outcome) if outcome.verdict == Verdict::Partial);
        assert_eq!(desk.receipts(partial).len(), 1);
    });
}

#[test]
fn what_outlasts_its_permit_ends_as_a_timeout_and_what_is_heard_later_is_late() {
    at_a_desk(1, |mut desk| {
        let first = desk.say(
            1,
            r#"{"intent":{"scope":"read:a","call":"c","session":"s"}}"#,
        );
        while desk.clerk.life.open.len() > 0 {
            desk.clerk.look_after_what_is_open();
        }
        let results = desk.results();
        assert_eq!(results[0].status, Status::Timeout);
        let late = desk.say(2, r#"{"result":{"call":"c","session":"s"}}"#);
        assert_eq!(member(&late, "late"), Some(&Value::Bool(true)), "{late:?}");
        let intents = desk.receipts(|phase| matches!(phase, Phase::Intent(_)));
        let Body::Receipt(receipt) = &intents[1].body else {
            panic!("an intent");
        };
        let Phase::Intent(intent) = &receipt.phase else {
            panic!("an intent");
        };
        assert_eq!(Some(&intent.parents[0].into()), member(&first, "intent"));
        assert_eq!(
            intents[1].ext.as_ref().unwrap().to_json(),
            r#"{"late":true}"#
        );
        assert_eq!(desk.results()[1].status, Status::Ok);
        let again = desk.say(2, r#"{"result":{"call":"c","session":"s"}}"#);
        assert!(is_ok(&again) && desk.results().len() == 2, "{again:?}");
    });
}

#[test]
fn the_65th_action_waits_for_a_place_and_is_never_denied_for_want_of_one() {
    at_a_desk(MINUTE_MS, |mut desk| {
        let line =
            |n: usize| format!(r#"{{"intent":{{"scope":"read:a","call":"c{n}","session":"s"}}}}"#);
        for n in 0..64 {
            assert!(is_ok(&desk.say(1, &line(n))));
        }
        let size = desk.log.size();
        let waits = desk.ask(2, &line(64));
        assert!(waits.try_recv().is_err(), "it waits");
        assert_eq!(desk.log.size(), size, "and nothing is refused");
        assert!(is_ok(&desk.say(3, r#"{"result":{"call":"c9"}}"#)));
        assert!(waits.try_recv().unwrap().contains(r#""ok":true"#));
        let hasty = line(65).replace("\"call\"", "\"deadline_ms\":0,\"call\"");
        let answer = desk.say(2, &hasty);
        assert_eq!(member(&answer, "code"), Some(&"too-many-open".into()));
        assert_eq!(member(&answer, "by"), Some(&"speaker".into()));
    });
}

#[test]
fn a_permit_that_nobody_read_is_cancelled_and_what_a_host_did_not_carry_out_too() {
    at_a_desk(MINUTE_MS, |mut desk| {
        desk.say(
            1,
            r#"{"intent":{"scope":"read:a","call":"c1","session":"s"}}"#,
        );
        desk.clerk.hear(Job::Unheard(1));
        desk.say(
            2,
            r#"{"intent":{"scope":"read:a","call":"c2","session":"s"}}"#,
        );
        desk.say(
            2,
            r#"{"intent":{"scope":"read:b","call":"c3","session":"s"}}"#,
        );
        desk.clerk.hear(Job::Unheard(2));
        let cancel = r#"{"session":{"session":"s","cancel":"calls","calls":["c1","c2"]}}"#;
        assert!(is_ok(&desk.say(3, cancel)));
        let results = desk.results();
        assert!(
            results
                .iter()
                .all(|result| result.status == Status::Cancelled)
        );
        assert_eq!(results.len(), 3);
    });
}

#[test]
fn a_denial_is_by_the_log_and_a_wrong_line_is_not() {
    at_a_desk(MINUTE_MS, |mut desk| {
        for (line, code, by) in [
            (
                r#"{"intent":{"scope":"write:a"}}"#,
                "capability-missing",
                "log",
            ),
            (r#"{"result":{"call":"x"}}"#, "intent-unknown", "line"),
            (
                r#"{"outcome":{"verdict":"partial","session":"s"}}"#,
                "goal-unknown",
                "line",
            ),
        ] {
            let answer = desk.say(1, line);
            assert_eq!(member(&answer, "code"), Some(&code.into()), "{line}");
            assert_eq!(member(&answer, "by"), Some(&by.into()), "{line}");
        }
        let hello = desk.say(1, r#"{"hello":{"protocol":1}}"#);
        assert_eq!(member(&hello, "agent"), Some(&"clerk".into()));
        assert_eq!(member(&hello, "mode"), Some(&"enforce".into()));
        let members = member(&hello, "members").unwrap();
        assert!(member(members, "intent").is_some(), "{hello:?}");
    });
}

#[test]
fn what_is_paired_by_order_says_so() {
    at_a_desk(MINUTE_MS, |mut desk| {
        let line = r#"{"intent":{"scope":"read:a","pair":"p","session":"s"}}"#;
        let first = desk.say(1, line);
        let second = desk.say(2, line);
        assert_ne!(
            member(&first, "intent"),
            member(&second, "intent"),
            "two actions"
        );
        assert!(is_ok(
            &desk.say(3, r#"{"result":{"pair":"p","session":"s"}}"#)
        ));
        let result = &desk.results()[0];
        assert_eq!(Some(&result.intent.into()), member(&first, "intent"));
        let paired =
            |(name, text): &(Name, Text)| (name.as_str(), text.as_str()) == ("paired", "by-order");
        assert!(result.refs.iter().any(paired), "{:?}", result.refs);
    });
}
