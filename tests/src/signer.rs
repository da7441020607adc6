//! Records as an operator, an agent and an observer sign them.

use std::time::{SystemTime, UNIX_EPOCH};

use ledger::digest::{Digest, RecordHash};
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Body, Budget, Chain, Event, FileSet, Goal, Heartbeat, Instance, Lease, Manifest,
    Observation, Order, Phase, Receipt, Record, Registration, SignedRecord,
};
use serde_json::Value;

use crate::{Service, read};

/// An hour, in milliseconds.
pub const HOUR_MS: u64 = 60 * 60 * 1000;

/// Whoever holds the keys that `init` made.
#[derive(Debug)]
pub struct Signer {
    log: RecordHash,
    operator: PrivateKey,
    control: PrivateKey,
    observer: PrivateKey,
}

impl Signer {
    pub(crate) fn of(service: &Service) -> Self {
        let trust: Value = serde_json::from_str(&read(&service.trust())).expect("JSON");
        let key = |name| PrivateKey::from_pem(&read(&service.key(name))).expect("a key");
        Self {
            log: trust["charter"]
                .as_str()
                .expect("a charter")
                .parse()
                .expect("its hash"),
            operator: key("operator"),
            control: key("control"),
            observer: key("observer"),
        }
    }

    /// A record of this log, made now.
    pub fn record(&self, body: Body) -> Record {
        Record {
            log: Some(self.log),
            at_ms: now_ms(),
            body,
            ext: None,
        }
    }

    /// What an observer saw of an agent.
    pub fn observation(&self, agent: &str, source_id: &str) -> SignedRecord {
        let text = |text: &str| text.parse().expect("free text");
        let body = Body::Observation(Box::new(Observation {
            source: agent.parse().expect("a name"),
            source_id: text(source_id),
            agent: agent.parse().expect("a name"),
            event: Event::AlertOpened,
            call: None,
            status: None,
            began_ms: None,
            ended_ms: None,
            digest: None,
            detail: text("by a test"),
        }));
        sign(&self.record(body), &[&self.observer])
    }

    /// The registration of a first version.
    pub fn registration(&self, agent: &str, key: &PrivateKey) -> SignedRecord {
        let body = Body::Manifest(Box::new(registration(agent, key)));
        sign(&self.record(body), &[&self.operator, key])
    }

    /// A lease of an hour on everything that the first version can do.
    pub fn lease(&self, agent: &str, key: &PrivateKey) -> SignedRecord {
        let now = now_ms();
        let body = Body::Lease(Box::new(Lease {
            agent: agent.parse().expect("a name"),
            manifest_hash: registration(agent, key).manifest_hash,
            allow: capabilities(),
            deny: vec![],
            budget: Budget::default(),
            not_before_ms: now - HOUR_MS,
            expires_ms: now + HOUR_MS,
            renew_until_ms: None,
            parent: None,
            after: None,
            purpose: "a test".parse().expect("free text"),
        }));
        sign(&self.record(body), &[&self.operator])
    }

    /// An order to stop, of an agent that has no lease yet.
    pub fn stop(&self, agent: &str) -> SignedRecord {
        self.stop_after(agent, None)
    }

    /// An order to stop, knowing the newest lease or order about the agent.
    pub fn stop_after(&self, agent: &str, after: Option<RecordHash>) -> SignedRecord {
        let agent = agent.parse().expect("a name");
        let reason = "a test".parse().expect("free text");
        let body = Body::Order(Order {
            agent,
            to: AgentState::Stopped,
            after,
            reason,
        });
        sign(&self.record(body), &[&self.operator])
    }

    /// A heartbeat that begins the epoch which a lease has opened.
    pub fn first_beat(
        &self,
        agent: &str,
        key: &PrivateKey,
        epoch: u64,
        lease: RecordHash,
    ) -> SignedRecord {
        let chain = Chain {
            agent: agent.parse().expect("a name"),
            epoch,
            instance: Instance::from_bytes([7; 8]),
            seq: 0,
            prev: lease,
        };
        self.beat(chain, registration(agent, key).manifest_hash, key)
    }

    /// A heartbeat anywhere in a chain.
    pub fn beat(&self, chain: Chain, manifest_hash: Digest, key: &PrivateKey) -> SignedRecord {
        let progress = chain.seq;
        let body = Body::Heartbeat(Box::new(Heartbeat {
            chain,
            progress,
            r#final: false,
            manifest_hash,
            before: None,
            seen: None,
        }));
        sign(&self.record(body), &[key])
    }

    /// The record of an agent that follows `before` in its chain: a goal.
    pub fn goal_after(&self, before: &SignedRecord, key: &PrivateKey) -> SignedRecord {
        let text = |text: &str| text.parse().expect("free text");
        let goal = Goal {
            title: text("a goal"),
            requester: text("a test"),
        };
        let chain = next(before);
        let body = Body::Receipt(Box::new(Receipt {
            chain,
            phase: Phase::Goal(goal),
        }));
        sign(&self.record(body), &[key])
    }

    /// Signs a record with the control key.
    pub fn by_control(&self, body: Body) -> SignedRecord {
        sign(&self.record(body), &[&self.control])
    }

    /// Signs a record with the operator's key.
    pub fn by_operator(&self, body: Body) -> SignedRecord {
        sign(&self.record(body), &[&self.operator])
    }
}

/// Signs a record.
///
/// # Panics
/// If it could not be logged.
pub fn sign(record: &Record, keys: &[&PrivateKey]) -> SignedRecord {
    record.sign(keys).expect("a record of sound form")
}

/// The place in a chain that follows a record.
///
/// # Panics
/// If the record is not of a chain.
pub fn next(before: &SignedRecord) -> Chain {
    let chain = match &before.record().body {
        Body::Heartbeat(beat) => &beat.chain,
        Body::Receipt(receipt) => &receipt.chain,
        other => panic!("a {:?} is not of a chain", other.kind()),
    };
    Chain {
        seq: chain.seq + 1,
        prev: before.hash(),
        ..chain.clone()
    }
}

/// Now, by this machine's clock.
///
/// # Panics
/// If that clock stands before 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a clock before the end of time")
}

fn capabilities() -> Vec<ledger::scope::Pattern> {
    vec!["read:**".parse().expect("a pattern")]
}

fn registration(agent: &str, key: &PrivateKey) -> Registration {
    let nothing = FileSet {
        root: Digest::of(&[]),
        files: 0,
        bytes: 0,
        ignore: vec![],
    };
    let manifest = Manifest {
        agent: agent.parse().expect("a name"),
        version: "v1".parse().expect("free text"),
        code: nothing.clone(),
        config: nothing,
        models: vec![],
        prompts: vec![],
        tools: vec![],
        capabilities: capabilities(),
        max_inflight_ms: 60_000,
    };
    Registration {
        agent: manifest.agent.clone(),
        key: key.public(),
        manifest_hash: manifest.hash(),
        manifest,
        replaces: None,
        reason: "a test".parse().expect("free text"),
    }
}
