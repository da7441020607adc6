use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc;

use ledger::envelope::Envelope;
use ledger::key::PrivateKey;
use ledger::text::Name;
use tlog::{LeafIndex, TreeSize};

use super::*;
use crate::http::{self, Consistency, Place, Problem, ServiceError, Submitted};
use crate::journal::Journal;
use crate::memory::{MemoryLog, manifest};

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

    fn agent(&self, name: &Name) -> Result<http::Agent, ServiceError> {
        match self.says.get() {
            true => self.log.agent(name),
            false => Err(problem(503, None)),
        }
    }

    fn charter(&self) -> Result<http::Charter, ServiceError> {
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
    let mut life = Life::new(goal, &permit, tool, Arc::default(), Arc::default(), 0);
    let (told, news) = mpsc::channel();
    let mut clerk = Clerk {
        standing: None,
        agent: &mut agent,
        life: &mut life,
        requester: words,
        heartbeat: Duration::from_secs(60),
        is_away: false,
        was_refused: false,
        refused_beats: 0,
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
