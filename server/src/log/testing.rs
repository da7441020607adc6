//! A small log for tests: known keys, a clock in the test's hand, a memory store, one agent.

use std::sync::Arc;

use ledger::codes::{Code, Party};
use ledger::digest::{Digest, RecordHash};
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::pack::{Entry, Header, Line, Range, Selection};
use ledger::record::{
    Amounts, Body, Budget, Chain, Charter, CharterKey, FileSet, Goal, Heartbeat, Instance, Intent,
    Kind, Lease, Limits, Liveness, Manifest, Mode, Phase, RULES, Receipt, Record, Registration,
    Role, SignedRecord, Thresholds, ToolUse,
};
use ledger::verify::{Finding, Report, verify};
use store::Store;
use store::memory::MemoryStore;
use tlog::LeafIndex;
use tlog::checkpoint::SignedCheckpoint;
use tlog::note::{KeyName, SigningKey};
use tlog::policy::Policy;

pub(crate) use super::clock::ManualClock;
use super::{LogKeys, Options, found};
use crate::fsck;
use crate::trust::Trust;

/// When every test log begins.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// The longest lease that a test grants, in milliseconds.
pub(crate) const LEASE_MS: u64 = 3_600_000;

const ORIGIN: &str = "log.example/test";

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

pub(crate) fn log_key() -> SigningKey {
    SigningKey::new(KeyName::parse(ORIGIN).unwrap(), &[6; 32])
}

pub(crate) fn keys() -> LogKeys {
    LogKeys {
        log: log_key(),
        control: key(3),
    }
}

pub(crate) fn options(clock: &Arc<ManualClock>) -> Options {
    let clock: Arc<ManualClock> = Arc::clone(clock);
    Options {
        clock,
        ..Options::default()
    }
}

pub(crate) fn charter() -> Charter {
    let charter_key = |seed, role: Role| CharterKey {
        key: key(seed).public(),
        name: role.as_str().parse().unwrap(),
        roles: vec![role],
    };
    Charter {
        version: 1,
        rules: RULES,
        origin: ORIGIN.to_owned(),
        log_keys: vec![log_key().verifier_key()],
        previous: None,
        mode: Mode::Enforce,
        thresholds: Thresholds::default(),
        keys: vec![
            charter_key(1, Role::Root),
            charter_key(2, Role::Operator),
            charter_key(3, Role::Control),
            charter_key(4, Role::Observer),
        ],
        distrusted: vec![],
        limits: Limits::default(),
        liveness: Liveness::default(),
    }
}

pub(crate) fn signed(charter: Charter) -> SignedRecord {
    let body = Body::Charter(Box::new(charter));
    Record {
        log: None,
        at_ms: START_MS,
        body,
        ext: None,
    }
    .sign(&[&key(1)])
    .unwrap()
}

/// A store with a charter, and how it is trusted.
pub(crate) fn founded(charter: Charter) -> (Arc<MemoryStore>, Trust) {
    let store = Arc::new(MemoryStore::new());
    let charter = signed(charter);
    let hash = charter.hash();
    found(Arc::clone(&store), &keys(), charter, START_MS).unwrap();
    let policy = format!("log {}\nquorum none\n", log_key().verifier_key());
    (
        store,
        Trust {
            policy: Policy::parse(&policy).unwrap(),
            charter: hash,
        },
    )
}

/// Checks the whole log, and that nothing is wrong with it.
pub(crate) fn check_log(store: &dyn Store, trust: &Trust) {
    let report = fsck::check(store, trust, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    let mut findings = replayed(store, trust).findings;
    // Agents do what a test wants of them, and time passes in which nothing is logged.
    let by_tests = |finding: &Finding| matches!(finding.by, Party::Agent | Party::Operator);
    findings.retain(|finding| !by_tests(finding) && finding.refusal.code != Code::ControlGap);
    assert_eq!(
        findings,
        Vec::<Finding>::new(),
        "what agents did, the service did its duty"
    );
}

/// What an auditor finds who has the whole log.
fn replayed(store: &dyn Store, trust: &Trust) -> Report {
    let head = store.head().unwrap().unwrap();
    let range = Range::new(
        LeafIndex::new(0),
        LeafIndex::new(head.size.get()),
        head.size,
    );
    let header = Header {
        origin: ORIGIN.to_owned(),
        size: head.size,
        selection: Selection::Range(range.unwrap()),
        count: head.size.get(),
    };
    let checkpoint = SignedCheckpoint::parse(&head.checkpoint).unwrap();
    let mut pack = vec![
        Line::Header(header),
        Line::Checkpoint(Box::new(checkpoint)),
        Line::Proof(vec![]),
    ];
    let leaves = (0..).zip(store.leaves(0..head.size.get()).unwrap());
    pack.extend(leaves.map(|(index, leaf)| {
        let leaf = String::from_utf8(leaf).unwrap();
        let index = LeafIndex::new(index);
        Line::Leaf(Entry { index, leaf })
    }));
    let pack: String = pack.iter().map(ToString::to_string).collect();
    let trust = ledger::verify::Trust {
        from: None,
        policy: trust.policy.clone(),
        charter: trust.charter,
    };
    verify(pack.as_bytes(), &trust, None)
}

/// The kinds of all leaves, in order.
pub(crate) fn kinds(store: &dyn Store) -> Vec<Kind> {
    records(store).iter().map(SignedRecord::kind).collect()
}

pub(crate) fn records(store: &dyn Store) -> Vec<SignedRecord> {
    let size = store.head().unwrap().unwrap().size.get();
    let record = |leaf: Vec<u8>| {
        SignedRecord::from_envelope(Leaf::parse(&leaf).unwrap().into_envelope()).unwrap()
    };
    store
        .leaves(0..size)
        .unwrap()
        .into_iter()
        .map(record)
        .collect()
}

/// An agent that signs its records ahead of any answer, as one that pipelines does.
pub(crate) struct Speaker {
    log: RecordHash,
    name: String,
    key: PrivateKey,
    epoch: u64,
    instance: Instance,
    seq: u64,
    prev: RecordHash,
    /// Its last record of any epoch.
    last: Option<RecordHash>,
    /// What its next record says the time is.
    pub(crate) at_ms: u64,
}

impl Speaker {
    /// An agent and the two records that make it one: its registration and its lease.
    pub(crate) fn introduced(
        trust: &Trust,
        name: &str,
        seed: u8,
        at_ms: u64,
    ) -> (Self, SignedRecord, SignedRecord) {
        let mut speaker = Self {
            log: trust.charter,
            name: name.to_owned(),
            key: key(seed),
            epoch: 1,
            instance: Instance::from_bytes([seed; 8]),
            seq: 0,
            prev: trust.charter,
            last: None,
            at_ms,
        };
        let registration = speaker.registration();
        let lease = speaker.lease(|_| {});
        (speaker, registration, lease)
    }

    /// Goes on as another process in the epoch that a record has opened.
    pub(crate) fn reborn(&mut self, epoch: u64, opening: RecordHash) {
        self.instance = Instance::from_bytes(epoch.to_be_bytes());
        (self.epoch, self.seq, self.prev) = (epoch, 0, opening);
    }

    pub(crate) fn beat(&mut self, progress: u64) -> SignedRecord {
        self.beat_with(progress, |_| {})
    }

    /// A heartbeat that says goodbye.
    pub(crate) fn goodbye(&mut self, progress: u64) -> SignedRecord {
        self.beat_with(progress, |beat| beat.r#final = true)
    }

    /// A heartbeat of another version than the lease is for.
    pub(crate) fn drifted(&mut self, progress: u64) -> SignedRecord {
        self.beat_with(progress, |beat| {
            beat.manifest_hash = Digest::of(&[b"other"]);
        })
    }

    fn beat_with(&mut self, progress: u64, change: impl FnOnce(&mut Heartbeat)) -> SignedRecord {
        let mut beat = Heartbeat {
            chain: self.chain(),
            progress,
            r#final: false,
            manifest_hash: self.manifest().hash(),
            before: self.last.filter(|_| self.seq == 0),
            seen: None,
        };
        change(&mut beat);
        self.say(Body::Heartbeat(Box::new(beat)))
    }

    pub(crate) fn goal(&mut self) -> SignedRecord {
        let goal = Goal {
            title: "test".parse().unwrap(),
            requester: "me".parse().unwrap(),
        };
        let receipt = Receipt {
            chain: self.chain(),
            phase: Phase::Goal(goal),
        };
        self.say(Body::Receipt(Box::new(receipt)))
    }

    /// An intent. One that is to be refused leaves the chain where it is.
    pub(crate) fn intent(&self, goal: RecordHash, scope: &str) -> SignedRecord {
        self.intent_upon(goal, scope, vec![])
    }

    /// An intent that builds on other records.
    pub(crate) fn intent_upon(
        &self,
        goal: RecordHash,
        scope: &str,
        parents: Vec<RecordHash>,
    ) -> SignedRecord {
        let intent = Intent {
            goal,
            scope: scope.parse().unwrap(),
            tool: ToolUse {
                name: "t".parse().unwrap(),
                digest: Digest::of(&[b"t"]),
            },
            inputs: vec![],
            parents,
            reserve: Amounts::default(),
        };
        let receipt = Receipt {
            chain: self.chain(),
            phase: Phase::Intent(Box::new(intent)),
        };
        self.record(Body::Receipt(Box::new(receipt)))
            .sign(&[&self.key])
            .unwrap()
    }

    /// A heartbeat that skips a sequence number: every log refuses it, each `n` is another one.
    pub(crate) fn gap(&self, n: u64) -> SignedRecord {
        let chain = Chain {
            seq: self.seq + 7,
            ..self.chain()
        };
        let beat = Heartbeat {
            chain,
            progress: n,
            r#final: false,
            manifest_hash: self.manifest().hash(),
            before: None,
            seen: None,
        };
        self.record(Body::Heartbeat(Box::new(beat)))
            .sign(&[&self.key])
            .unwrap()
    }

    fn say(&mut self, body: Body) -> SignedRecord {
        let signed = self.record(body).sign(&[&self.key]).unwrap();
        self.seq += 1;
        self.prev = signed.hash();
        self.last = Some(signed.hash());
        signed
    }

    fn record(&self, body: Body) -> Record {
        Record {
            log: Some(self.log),
            at_ms: self.at_ms,
            body,
            ext: None,
        }
    }

    fn chain(&self) -> Chain {
        Chain {
            agent: self.name.parse().unwrap(),
            epoch: self.epoch,
            instance: self.instance,
            seq: self.seq,
            prev: self.prev,
        }
    }

    fn manifest(&self) -> Manifest {
        let nothing = FileSet {
            root: Digest::of(&[]),
            files: 0,
            bytes: 0,
            ignore: vec![],
        };
        Manifest {
            agent: self.name.parse().unwrap(),
            version: "v1".parse().unwrap(),
            code: nothing.clone(),
            config: nothing,
            models: vec![],
            prompts: vec![],
            tools: vec![],
            capabilities: vec!["read:**".parse().unwrap()],
            max_inflight_ms: 60_000,
        }
    }

    fn registration(&self) -> SignedRecord {
        let manifest = self.manifest();
        let registration = Registration {
            agent: manifest.agent.clone(),
            key: self.key.public(),
            manifest_hash: manifest.hash(),
            manifest,
            replaces: None,
            reason: "test".parse().unwrap(),
        };
        let record = self.record(Body::Manifest(Box::new(registration)));
        record.sign(&[&key(2), &self.key]).unwrap()
    }

    /// The lease that opens the epoch in which it speaks, of an hour unless `change` says otherwise.
    pub(crate) fn lease(&mut self, change: impl FnOnce(&mut Lease)) -> SignedRecord {
        let mut lease = Lease {
            agent: self.name.parse().unwrap(),
            manifest_hash: self.manifest().hash(),
            allow: vec!["read:**".parse().unwrap()],
            deny: vec!["read:secrets/**".parse().unwrap()],
            budget: Budget::default(),
            not_before_ms: self.at_ms,
            expires_ms: self.at_ms + LEASE_MS,
            renew_until_ms: None,
            parent: None,
            after: None,
            purpose: "test".parse().unwrap(),
        };
        change(&mut lease);
        let lease = self.record(Body::Lease(Box::new(lease)));
        let lease = lease.sign(&[&key(2)]).unwrap();
        self.prev = lease.hash();
        lease
    }
}
