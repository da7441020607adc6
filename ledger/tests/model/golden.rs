//! A second golden history, which the model makes: it lets each record in, and says which transitions are due.
//!
//! `golden-2.json` lies beside the first one. The rules and the verifier are held against it in `tests/golden.rs`, and
//! here it is made again, so that the file and the model cannot part. `UPDATE_GOLDEN=1` writes it.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::leaf::Leaf as LogLeaf;
use ledger::pack::{Entry, Header, Line, Range, Selection};
use ledger::record::{
    AgentState, Body, Chain, Charter, Goal, Heartbeat, Instance, Intent, Lease, LeaseRenewal,
    Manifest, Order, Outcome, Phase, Pulse, Receipt, Record, Refused, Registration, Seen,
    SignedRecord, ToolUse, Transition, Verdict,
};
use ledger::text::Name;
use serde_json::{Value, json};
use tlog::checkpoint::{self, Checkpoint, SignedCheckpoint};
use tlog::note::{KeyName, SigningKey};
use tlog::tree::{self, MemoryTree};
use tlog::{LeafIndex, TreeSize, leaf_hash, subset};

use crate::acts::{manifest, patterns, text};
use crate::history::{History, Leaf};
use crate::world::{HOUR, MINUTE, SECOND, charter, digest, key};

const ORIGIN: &str = "example.com/workledger";
const FILE: &str = "tests/golden-2.json";
const START: u64 = 1_764_100_000_000;

/// How long after a record was made it is received.
const UNDER_WAY_MS: u64 = 5;

/// The seeds of the log's keys, the second from the amendment on.
const LOG_KEYS: [u8; 2] = [6, 40];

fn log_key(seed: u8) -> SigningKey {
    SigningKey::new(KeyName::parse(ORIGIN).unwrap(), &[seed; 32])
}

/// A history that is being written.
struct Writer {
    now: u64,
    leaves: Vec<Leaf>,
    records: Vec<Value>,
    tree: MemoryTree,
    lines: Vec<String>,
    instance: u8,
    progress: u64,
}

impl Writer {
    fn history(&self) -> History<'_> {
        History(&self.leaves)
    }

    fn agent() -> Name {
        "mender".parse().unwrap()
    }

    /// Logs a record a second after the one before it, if the model lets it in, and behind it what it causes.
    fn log(&mut self, note: &str, body: Body, seeds: &[u8]) -> RecordHash {
        self.now += SECOND;
        self.causes();
        let hash = self.append(note, body, seeds);
        self.causes();
        hash
    }

    /// The transitions that are due now, as the model names them.
    fn causes(&mut self) {
        let agent = Self::agent();
        while let Some((rule, to)) = self.due().first().copied() {
            let history = self.history();
            let transition = Transition {
                n: history.moves(&agent).len() as u64 + 1,
                from: history.state(&agent),
                to,
                rule,
                epoch: history.epoch_after(&agent, rule),
                agent: agent.clone(),
            };
            self.append("due", Body::Transition(transition), &[3]);
        }
    }

    fn due(&self) -> Vec<(ledger::record::Rule, AgentState)> {
        let agent = Self::agent();
        match self.history().0.is_empty() || self.history().registration(&agent).is_none() {
            true => Vec::new(),
            false => self.history().due(&agent, self.now + UNDER_WAY_MS),
        }
    }

    fn append(&mut self, note: &str, body: Body, seeds: &[u8]) -> RecordHash {
        let signed = self.sign(body, seeds);
        let leaf = Leaf {
            received_ms: self.now + UNDER_WAY_MS,
            hash: signed.hash(),
            record: signed.record().clone(),
            signers: signers(&signed),
        };
        assert_eq!(self.history().admit(&leaf), Ok(None), "{note}: {leaf:?}");
        self.keep(note, &signed, leaf);
        signed.hash()
    }

    fn sign(&self, body: Body, seeds: &[u8]) -> SignedRecord {
        let record = Record {
            log: self.history().log(),
            at_ms: self.now,
            body,
            ext: None,
        };
        let keys: Vec<PrivateKey> = seeds.iter().map(|seed| key(*seed)).collect();
        record.sign(&keys.iter().collect::<Vec<_>>()).unwrap()
    }

    fn keep(&mut self, note: &str, signed: &SignedRecord, leaf: Leaf) {
        let bytes = LogLeaf::new(leaf.received_ms, signed.envelope().clone());
        let bytes = String::from_utf8(bytes.unwrap().to_bytes()).unwrap();
        let hash = leaf_hash(bytes.as_bytes());
        self.records.push(json!({
            "index": self.leaves.len(),
            "kind": signed.kind().as_str(),
            "note": note,
            "payload": String::from_utf8(signed.envelope().payload().to_vec()).unwrap(),
            "record": signed.hash().to_string(),
            "leaf": bytes,
            "leaf_hash": hash.to_string(),
        }));
        self.lines.push(bytes);
        self.tree.push(hash);
        self.leaves.push(leaf);
    }

    fn chain(&self) -> Chain {
        let (history, agent) = (self.history(), Self::agent());
        Chain {
            epoch: history.epoch(&agent),
            instance: Instance::from_bytes([self.instance; 8]),
            seq: history.next_seq(&agent),
            prev: history.head(&agent).unwrap(),
            agent,
        }
    }

    fn beat(&mut self, note: &str, change: impl FnOnce(&Self, &mut Heartbeat)) {
        let (history, agent, chain) = (self.history(), Self::agent(), self.chain());
        let lease = history.lease(history.lease_of_epoch(&agent).unwrap());
        let before = history.last(&agent).filter(|_| chain.seq == 0);
        let mut beat = Heartbeat {
            chain,
            progress: self.progress,
            r#final: false,
            manifest_hash: lease.unwrap().manifest_hash,
            before,
            seen: None,
        };
        change(self, &mut beat);
        self.log(note, Body::Heartbeat(beat.into()), &[5]);
    }

    fn receipt(&self, phase: Phase) -> Body {
        let chain = self.chain();
        Body::Receipt(Receipt { chain, phase }.into())
    }

    fn lease(&self, note: &str) -> Body {
        let (history, agent) = (self.history(), Self::agent());
        let (_, active) = history.registration(&agent).unwrap();
        Body::Lease(
            Lease {
                manifest_hash: active.manifest_hash,
                allow: patterns(&["read:**", "write:repo/**"]),
                deny: patterns(&["write:repo/secrets/**"]),
                budget: ledger::record::Budget::default(),
                not_before_ms: self.now,
                expires_ms: self.now + HOUR,
                renew_until_ms: Some(self.now + 24 * HOUR),
                parent: None,
                after: history.newest_decision(&agent),
                purpose: text(note),
                agent,
            }
            .into(),
        )
    }

    fn order(&self, to: AgentState) -> Body {
        let agent = Self::agent();
        Body::Order(Order {
            after: self.history().newest_decision(&agent),
            agent,
            to,
            reason: text("drill"),
        })
    }

    fn version(&self, version: &str) -> Body {
        let agent = Self::agent();
        let replaces = self.history().registration(&agent).map(|(hash, _)| hash);
        let manifest = Manifest {
            version: text(version),
            max_inflight_ms: 15 * MINUTE,
            ..manifest(&agent, 1)
        };
        let registration = Registration {
            key: key(5).public(),
            manifest_hash: manifest.hash(),
            manifest,
            replaces,
            reason: text("mended"),
            agent,
        };
        Body::Manifest(registration.into())
    }

    fn pulse(&mut self) {
        let history = self.history();
        let pulse = Pulse {
            n: history.pulses() + 1,
            agents: history.agents(),
            state: None,
            witnessed: None,
        };
        self.log("control's own sign of life", Body::Pulse(pulse), &[3]);
    }

    /// The refusal of an intent that the model does not let in.
    fn denial(&self, goal: RecordHash) -> Body {
        let intent = Intent {
            goal,
            scope: "write:repo/secrets/key".parse().unwrap(),
            tool: ToolUse {
                name: "t".parse().unwrap(),
                digest: digest(),
            },
            inputs: vec![],
            parents: vec![],
            reserve: ledger::record::Amounts::default(),
        };
        let signed = self.sign(self.receipt(Phase::Intent(intent.into())), &[5]);
        let leaf = Leaf {
            received_ms: self.now + UNDER_WAY_MS,
            hash: signed.hash(),
            record: signed.record().clone(),
            signers: signers(&signed),
        };
        assert_eq!(self.history().admit(&leaf), Err(Code::ScopeDenied));
        assert!(self.history().denies(&leaf, Code::ScopeDenied));
        Body::Refusal(
            Refused {
                agent: Self::agent(),
                epoch: self.history().epoch(&Self::agent()),
                kind: signed.kind(),
                phase: Some("intent".to_owned()),
                refused: signed.hash(),
                code: Code::ScopeDenied,
                count: 1,
                envelope: Some(signed.envelope().clone()),
            }
            .into(),
        )
    }

    fn amendment(&self) -> Body {
        let mut charter: Charter = self.history().charter().clone();
        charter.version += 1;
        charter.previous = self.history().charter_hash();
        charter.log_keys = vec![log_key(LOG_KEYS[1]).verifier_key()];
        Body::Charter(charter.into())
    }

    fn head(&self, size: u64, seed: u8) -> String {
        let root = tree::root(TreeSize::new(size), &self.tree).unwrap();
        let origin = KeyName::parse(ORIGIN).unwrap().into();
        let head = Checkpoint::new(origin, TreeSize::new(size), root);
        checkpoint::sign(&log_key(seed), &head)
    }

    fn seen(&self, size: u64, seed: u8) -> Seen {
        let note = self.head(size, seed);
        let sig = note.trim_end().rsplit(' ').next().unwrap().to_owned();
        let root = tree::root(TreeSize::new(size), &self.tree).unwrap();
        Seen { size, root, sig }
    }

    fn pack(&self, size: u64, seed: u8) -> String {
        let (size, from) = (TreeSize::new(size), LeafIndex::new(0));
        let range = Range::new(from, LeafIndex::new(size.get()), size).unwrap();
        let all = (0..size.get()).map(LeafIndex::new);
        let head = self.head(size.get(), seed);
        let front = [
            Line::Header(Header {
                origin: ORIGIN.to_owned(),
                size,
                selection: Selection::Range(range),
                count: size.get(),
            }),
            Line::Checkpoint(Box::new(SignedCheckpoint::parse(&head).unwrap())),
            Line::Proof(subset::prove(all, size, &self.tree).unwrap()),
        ];
        let leaves = (0..).zip(&self.lines).map(|(index, leaf)| {
            Line::Leaf(Entry {
                index: LeafIndex::new(index),
                leaf: leaf.clone(),
            })
        });
        let leaves = leaves.take(usize::try_from(size.get()).unwrap());
        front
            .into_iter()
            .chain(leaves)
            .map(|line| line.to_string())
            .collect()
    }
}

fn signers(signed: &SignedRecord) -> Vec<(ledger::key::KeyId, bool)> {
    let signatures = signed.envelope().signatures().iter();
    signatures
        .map(|signature| (signature.keyid, true))
        .collect()
}

fn first_charter() -> Body {
    let charter = Charter {
        origin: ORIGIN.to_owned(),
        log_keys: vec![log_key(LOG_KEYS[0]).verifier_key()],
        ..charter()
    };
    Body::Charter(charter.into())
}

/// The history, and the size of the tree whose last leaf is the amendment of the log key.
fn written() -> (Writer, u64) {
    let mut writer = Writer {
        now: START,
        leaves: Vec::new(),
        records: Vec::new(),
        tree: MemoryTree::new(),
        lines: Vec::new(),
        instance: 1,
        progress: 0,
    };
    let w = &mut writer;
    w.append(
        "the constitution; its record hash is the trust fingerprint",
        first_charter(),
        &[1],
    );
    w.log("the first version", w.version("v1"), &[2, 5]);
    let lease = w.log(
        "no decision before it, so after is null",
        w.lease("first"),
        &[2],
    );
    w.beat("seq 0 of epoch 1", |_, _| {});
    let goal = Phase::Goal(Goal {
        title: text("Mend the ledger"),
        requester: text("ops@example.com"),
    });
    let goal = w.log("work, which earns the renewal", w.receipt(goal), &[5]);
    w.now += SECOND;
    w.log(
        "a denial, with the envelope that was refused",
        w.denial(goal),
        &[3],
    );
    w.now += 30 * SECOND;
    w.progress = 1;
    w.beat("its head is the log's", |w, beat| {
        beat.seen = Some(w.seen(6, LOG_KEYS[0]));
    });
    let ends_ms = w.history().expires_ms(lease);
    let renewal = LeaseRenewal {
        lease,
        from_ms: ends_ms,
        expires_ms: ends_ms + 10 * SECOND,
    };
    w.log(
        "by control, from the end that it extends",
        Body::LeaseRenewal(renewal),
        &[3],
    );
    w.log(
        "a second lease: after is the first, and the renewal does not count",
        w.lease("second"),
        &[2],
    );
    w.progress = 0;
    w.beat("the same instance goes on in epoch 2", |_, _| {});
    w.pulse();
    w.log(
        "after is the second lease",
        w.order(AgentState::Quarantined),
        &[2],
    );
    w.log("a mended version", w.version("v2"), &[2, 5]);
    w.log(
        "granted in quarantine: it opens no epoch",
        w.lease("mended"),
        &[2],
    );
    w.log(
        "the release opens epoch 3, under the mended lease",
        w.order(AgentState::Autohealing),
        &[2],
    );
    (w.instance, w.progress) = (2, 1);
    w.beat("another instance, as the mended version", |_, _| {});
    w.now += 40 * SECOND;
    w.pulse();
    w.progress = 2;
    w.beat("the second beat that heals", |_, _| {});
    let amendment = w.amendment();
    w.log(
        "another log key; the old one may sign the tree that ends here",
        amendment,
        &[1],
    );
    let amended = w.leaves.len() as u64;
    let outcome = Phase::Outcome(Outcome {
        goal,
        verdict: Verdict::Abandoned,
        checks: vec![],
    });
    w.log(
        "a goal of epoch 1 ends in epoch 3",
        w.receipt(outcome),
        &[5],
    );
    w.beat(
        "goodbye; it was shown the amended tree under the old key",
        |w, beat| {
            beat.r#final = true;
            beat.seen = Some(w.seen(amended, LOG_KEYS[0]));
        },
    );
    w.pulse();
    (writer, amended)
}

fn file() -> String {
    let (writer, amended) = written();
    let size = writer.leaves.len() as u64;
    let vkeys = LOG_KEYS.map(|seed| log_key(seed).verifier_key().to_string());
    let root = |size: u64| {
        let root = tree::root(TreeSize::new(size), &writer.tree).unwrap();
        json!({"size": size, "root": root.to_string()})
    };
    let json = json!({
        "about": "A valid history, complete from 0, that the model of the rules made. Keys: 32 times the byte named \
                  under seeds. received_ms is at_ms + 5. Tree hashes are base64. The trust names the first log key; the \
                  second is the log's from the amendment on.",
        "seeds": {"root": "01", "operator": "02", "control": "03", "observer": "04", "agent": "05", "log": "06", "log-2": "28"},
        "vkeys": vkeys,
        "trust": {
            "policy": format!("log {}\nquorum none\n", vkeys[0]),
            "charter": writer.history().log().unwrap().to_string(),
        },
        "records": writer.records,
        "roots": (0..=size).map(root).collect::<Vec<_>>(),
        "amended": amended,
        "pack_amended": writer.pack(amended, LOG_KEYS[0]),
        "checkpoint": writer.head(size, LOG_KEYS[1]),
        "pack": writer.pack(size, LOG_KEYS[1]),
    });
    format!("{json:#}\n")
}

#[test]
fn the_second_golden_history_is_the_models() {
    let made = file();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == made,
        "{FILE} is not what the model makes: UPDATE_GOLDEN=1 writes it"
    );
}
