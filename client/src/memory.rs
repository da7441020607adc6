//! A log in memory, for examples and for the tests of agents: the same rules, proofs and refusals as the service's,
//! without disk, network or clock.
//!
//! Its keys are known to everybody, so it guards nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ledger::codes::{Code, Refusal};
use ledger::digest::{Digest, RecordHash};
use ledger::envelope::Envelope;
use ledger::govern::{self, State};
use ledger::json::Value;
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::pack::{Disclosure, Entry, Header, Line, Range, Selection};
use ledger::record::{
    AgentState, Body, Budget, Charter, CharterKey, FileSet, Lease, Limits, Liveness, Manifest,
    Mode, RULES, Record, Registration, Role, SignedRecord, Thresholds,
};
use ledger::text::Name;
use ledger::verify::Trust;
use tlog::checkpoint::{self, Checkpoint, Origin, SignedCheckpoint};
use tlog::note::{KeyName, SigningKey};
use tlog::policy::Policy;
use tlog::proof::ProofFile;
use tlog::tree::MemoryTree;
use tlog::{LeafIndex, TreeSize, consistency, inclusion, leaf_hash};
use wire::{AgentAsOf, Ask, Consistency, Logged as LoggedAs, Place, Standing, Submitted};

use crate::identity::{LogIdentity, Source};
use crate::transport::{Problem, ServiceError, Transport};

/// The name of the log.
pub const ORIGIN: &str = "example.com/memory";

/// How long the leases of [`MemoryLog::lease`] last.
const LEASE_MS: u64 = 60 * 60 * 1000;

/// A log in memory.
#[derive(Debug)]
pub struct MemoryLog {
    contents: RefCell<Contents>,
    identity: LogIdentity,
    log_key: SigningKey,
}

#[derive(Debug)]
struct Contents {
    now_ms: u64,
    state: State,
    tree: MemoryTree,
    leaves: Vec<Vec<u8>>,
    places: BTreeMap<RecordHash, LeafIndex>,
}

/// A version of an agent without files.
///
/// # Panics
///
/// If the name or a capability is not valid: this is for examples and tests.
pub fn manifest(agent: &str, capabilities: &[&str], max_inflight_ms: u64) -> Manifest {
    let nothing = FileSet {
        root: Digest::of(&[]),
        files: 0,
        bytes: 0,
        ignore: Vec::new(),
    };
    Manifest {
        agent: parsed(agent),
        version: parsed("1"),
        code: nothing.clone(),
        config: nothing,
        models: Vec::new(),
        prompts: Vec::new(),
        tools: Vec::new(),
        capabilities: capabilities.iter().map(|one| parsed(one)).collect(),
        max_inflight_ms,
    }
}

impl MemoryLog {
    /// A log with only the default charter, at its own time.
    ///
    /// # Panics
    ///
    /// Never: its keys and its charter are fixed.
    pub fn new(now_ms: u64) -> Self {
        let name = KeyName::parse(ORIGIN).expect("a name");
        let log_key = SigningKey::new(name, &[1; 32]);
        let charter = charter(&log_key, now_ms);
        let policy = format!("log {}\nquorum none\n", log_key.verifier_key());
        let log = Self {
            contents: RefCell::new(Contents {
                now_ms,
                state: State::new(),
                tree: MemoryTree::new(),
                leaves: Vec::new(),
                places: BTreeMap::new(),
            }),
            identity: LogIdentity {
                log: charter.hash(),
                policy: Policy::parse(&policy).expect("a policy"),
                source: Source::Pinned,
            },
            log_key,
        };
        log.contents.borrow_mut().add(charter);
        log
    }

    /// Which log this is.
    pub fn identity(&self) -> LogIdentity {
        self.identity.clone()
    }

    /// What somebody needs to verify its evidence.
    pub fn trust(&self) -> Trust {
        Trust {
            policy: self.identity.policy.clone(),
            charter: self.identity.log,
            from: None,
        }
    }

    /// The whole log as an evidence pack, with values that open commitments in it.
    ///
    /// # Panics
    ///
    /// Never: there is a charter at least, and its leaves are JSON.
    pub fn pack(&self, disclosures: Vec<Disclosure>) -> String {
        let contents = self.contents.borrow();
        let size = contents.tree.size();
        let (first, end) = (LeafIndex::new(0), LeafIndex::new(size.get()));
        let range = Range::new(first, end, size).expect("a log with a charter");
        let header = Line::Header(Header {
            origin: ORIGIN.to_owned(),
            size,
            selection: Selection::Range(range),
            count: range.count(),
        });
        let checkpoint = self.checkpoint(&contents.tree, size);
        let checkpoint = checkpoint.expect("the tree has its size");
        let disclosures = Some(disclosures).filter(|values| !values.is_empty());
        let leaves = range.indices().zip(&contents.leaves).map(|(index, leaf)| {
            let leaf = String::from_utf8(leaf.clone()).expect("JSON");
            Line::Leaf(Entry { index, leaf })
        });
        [header, Line::Checkpoint(Box::new(checkpoint))]
            .into_iter()
            .chain(disclosures.map(Line::Disclosures))
            // Where all leaves are there, nothing else is needed to work out the root.
            .chain([Line::Proof(Vec::new())])
            .chain(leaves)
            .map(|line| line.to_string())
            .collect()
    }

    /// Its time, from now on.
    pub fn set_time(&self, now_ms: u64) {
        self.contents.borrow_mut().now_ms = now_ms;
    }

    /// How many entries it has.
    pub fn size(&self) -> u64 {
        self.contents.borrow().leaves.len() as u64
    }

    /// The records of a log, in their order.
    ///
    /// # Panics
    ///
    /// Never: its leaves were records when they came.
    pub fn records(&self) -> Vec<SignedRecord> {
        let read = |leaf: &Vec<u8>| {
            let leaf = Leaf::parse(leaf).expect("a leaf");
            SignedRecord::from_envelope(leaf.into_envelope()).expect("a record")
        };
        self.contents.borrow().leaves.iter().map(read).collect()
    }

    /// Registers a version of an agent and grants it a lease.
    ///
    /// # Panics
    ///
    /// If the rules refuse either.
    pub fn register_and_lease(&self, manifest: &Manifest, key: &PrivateKey, allow: &[&str]) {
        let replaces = self
            .contents
            .borrow()
            .state
            .agent(&manifest.agent)
            .map(govern::Agent::registration);
        let registration = Registration {
            agent: manifest.agent.clone(),
            key: key.public(),
            manifest: manifest.clone(),
            manifest_hash: manifest.hash(),
            replaces,
            reason: parsed("an example"),
        };
        self.by_operator(Body::Manifest(Box::new(registration)), &[key]);
        self.lease(manifest, allow);
    }

    /// Grants a lease of an hour.
    ///
    /// # Panics
    ///
    /// If the rules refuse it.
    pub fn lease(&self, manifest: &Manifest, allow: &[&str]) -> RecordHash {
        let now_ms = self.contents.borrow().now_ms;
        let lease = Lease {
            agent: manifest.agent.clone(),
            manifest_hash: manifest.hash(),
            allow: allow.iter().map(|one| parsed(one)).collect(),
            deny: Vec::new(),
            budget: Budget::default(),
            not_before_ms: now_ms,
            expires_ms: now_ms + LEASE_MS,
            renew_until_ms: None,
            parent: None,
            after: self
                .contents
                .borrow()
                .state
                .agent(&manifest.agent)
                .and_then(govern::Agent::after),
            purpose: parsed("an example"),
        };
        self.by_operator(Body::Lease(Box::new(lease)), &[])
    }

    /// Logs a record of the operator's.
    ///
    /// # Panics
    ///
    /// If the rules refuse it.
    pub fn by_operator(&self, body: Body, more_keys: &[&PrivateKey]) -> RecordHash {
        let operator = key_of(Role::Operator);
        let keys: Vec<&PrivateKey> = std::iter::once(&operator)
            .chain(more_keys.iter().copied())
            .collect();
        let record = Record {
            log: Some(self.identity.log),
            at_ms: self.contents.borrow().now_ms,
            body,
            ext: None,
        };
        let signed = record.sign(&keys).expect("a record");
        let hash = signed.hash();
        let admitted = self.contents.borrow_mut().admit(signed);
        admitted.expect("the rules let it in");
        hash
    }

    fn prove(&self, index: LeafIndex, size: Option<TreeSize>) -> Option<String> {
        let contents = self.contents.borrow();
        let size = size.unwrap_or(contents.tree.size());
        let leaf = contents.leaves.get(usize::try_from(index.get()).ok()?)?;
        let file = ProofFile {
            extra: Some(leaf.clone()),
            index,
            hashes: inclusion::prove(index, size, &contents.tree).ok()?,
            checkpoint: self.checkpoint(&contents.tree, size)?,
        };
        Some(file.to_string())
    }

    fn checkpoint(&self, tree: &MemoryTree, size: TreeSize) -> Option<SignedCheckpoint> {
        let root = tlog::tree::root(size, tree).ok()?;
        let origin = Origin::parse(ORIGIN).ok()?;
        let signed = checkpoint::sign(&self.log_key, &Checkpoint::new(origin, size, root));
        SignedCheckpoint::parse(&signed).ok()
    }
}

impl Contents {
    /// Judges a record as the service does; what it causes follows directly after it.
    fn admit(&mut self, signed: SignedRecord) -> Result<LeafIndex, Refusal> {
        let checked = signed.clone().check(&|id| self.state.key(id));
        self.state.admit(&checked, self.now_ms)?;
        let index = self.add(signed);
        while let Some(transition) = self.state.next_duty(self.now_ms) {
            let record = Record {
                log: self.state.log(),
                at_ms: self.now_ms,
                body: Body::Transition(transition),
                ext: None,
            };
            self.add(record.sign(&[&key_of(Role::Control)])?);
        }
        Ok(index)
    }

    fn add(&mut self, signed: SignedRecord) -> LeafIndex {
        let index = LeafIndex::new(self.leaves.len() as u64);
        let leaf = Leaf::new(self.now_ms, signed.envelope().clone())
            .expect("what was read before is short enough")
            .to_bytes();
        self.tree.push(leaf_hash(&leaf));
        self.leaves.push(leaf);
        self.places.insert(signed.hash(), index);
        let checked = signed.check(&|id| self.state.key(id));
        self.state.apply(index, self.now_ms, &checked);
        index
    }

    fn standing(&self, signed: &SignedRecord) -> Option<Standing> {
        let chain = crate::journal::chain(signed)?;
        let agent = self.state.agent(&chain.agent)?;
        let lease = agent.lease()?;
        let in_force = self.state.in_force(lease, self.now_ms).is_ok();
        let lease_ends_ms = in_force.then(|| self.state.lease_ends_ms(lease)).flatten();
        let is_down = matches!(agent.state(), AgentState::Stopped | AgentState::Quarantined);
        Some(Standing {
            state: agent.state(),
            epoch: agent.epoch(),
            next_seq: agent.next_seq(),
            lease_ends_ms,
            ask: match is_down || lease_ends_ms.is_none() {
                true => Ask::Stop,
                false if agent.opening() == agent.lease() => Ask::GoOn,
                false if agent.epoch() == chain.epoch => Ask::GoOn,
                false => Ask::Restart,
            },
        })
    }
}

impl Transport for MemoryLog {
    fn submit(&self, envelope: &Envelope) -> Result<Submitted, ServiceError> {
        let signed = SignedRecord::from_envelope(envelope.clone()).map_err(refused)?;
        let known = self.contents.borrow().places.get(&signed.hash()).copied();
        let (result, index) = match known {
            Some(index) => (LoggedAs::Duplicate, index),
            None => {
                let admitted = self.contents.borrow_mut().admit(signed.clone());
                (LoggedAs::Logged, admitted.map_err(refused)?)
            }
        };
        Ok(Submitted {
            index: index.get(),
            record: signed.hash(),
            received_ms: self.contents.borrow().now_ms,
            result,
            proof: Some(self.proof(index, None)?),
            breach: None,
            agent: self.contents.borrow().standing(&signed),
        })
    }

    fn place(&self, record: &RecordHash) -> Result<Place, ServiceError> {
        let place = self.contents.borrow().places.get(record).copied();
        let place = place.map(|index| Place { index: index.get() });
        place.ok_or_else(|| refused(Code::NotFound.because(record)))
    }

    fn proof(&self, index: LeafIndex, size: Option<TreeSize>) -> Result<String, ServiceError> {
        let proof = self.prove(index, size);
        proof.ok_or_else(|| refused(Code::NotFound.because(index)))
    }

    fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<Consistency, ServiceError> {
        let hashes = consistency::prove(old, new, &self.contents.borrow().tree);
        let hashes = hashes.map_err(|_| refused(Code::NotFound.because(new)))?;
        Ok(Consistency {
            old: old.get(),
            new: new.get(),
            hashes: hashes.iter().map(ToString::to_string).collect(),
        })
    }

    fn agent(&self, name: &Name) -> Result<AgentAsOf, ServiceError> {
        let contents = self.contents.borrow();
        let agent = contents.state.agent(name);
        let agent = agent.ok_or_else(|| refused(Code::NotFound.because(name)))?;
        let row = wire::Agent {
            agent: name.clone(),
            state: agent.state().to_string(),
            epoch: agent.epoch(),
            next_seq: agent.next_seq(),
            head: agent.head(),
            last: agent.last(),
            lease: agent.lease(),
            lease_ends_ms: agent.lease().and_then(|lease| {
                let in_force = contents.state.in_force(lease, contents.now_ms).is_ok();
                in_force.then(|| contents.state.lease_ends_ms(lease))?
            }),
            after: agent.after(),
            ask: Ask::GoOn,
            manifest_hash: agent.manifest_hash(),
            registration: agent.registration(),
            pulse_age_ms: contents.state.pulse_age_ms(agent, contents.now_ms),
            progress_age_ms: contents.state.progress_age_ms(agent, contents.now_ms),
        };
        Ok(AgentAsOf {
            as_of: contents.tree.size().get(),
            as_of_ms: contents.state.last_received_ms(),
            log_ms: contents.now_ms,
            agent: row,
            open_goals: agent.open_goals().copied().collect(),
            open_intents: agent.open_intents().map(|(intent, _)| *intent).collect(),
        })
    }

    fn charter(&self) -> Result<wire::Charter, ServiceError> {
        let contents = self.contents.borrow();
        let first = contents.leaves.first().map_or(&[][..], Vec::as_slice);
        let first = Leaf::parse(first).map_err(refused)?;
        Ok(wire::Charter {
            as_of: contents.tree.size().get(),
            log: self.identity.log,
            record: self.identity.log,
            index: 0,
            charter: Value::parse(first.envelope().payload()).map_err(refused)?,
        })
    }
}

fn charter(log_key: &SigningKey, now_ms: u64) -> SignedRecord {
    let holder = |role: &Role| CharterKey {
        key: key_of(*role).public(),
        name: parsed(role.as_str()),
        roles: vec![*role],
    };
    let charter = Charter {
        version: 1,
        rules: RULES,
        origin: ORIGIN.to_owned(),
        log_keys: vec![log_key.verifier_key()],
        previous: None,
        mode: Mode::Enforce,
        thresholds: Thresholds::default(),
        keys: Role::ALL.iter().map(holder).collect(),
        distrusted: Vec::new(),
        limits: Limits::default(),
        liveness: Liveness::default(),
    };
    let record = Record {
        log: None,
        at_ms: now_ms,
        body: Body::Charter(Box::new(charter)),
        ext: None,
    };
    let signed = record.sign(&[&key_of(Role::Root)]);
    signed.expect("the charter of defaults stands")
}

/// The key of its operator.
#[cfg(test)]
pub(crate) fn operator_key() -> PrivateKey {
    key_of(Role::Operator)
}

fn key_of(role: Role) -> PrivateKey {
    PrivateKey::from_seed(&[role as u8 + 101; 32])
}

fn parsed<T: std::str::FromStr<Err = Refusal>>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|refusal| panic!("{text:?}: {refusal}"))
}

fn refused(refusal: Refusal) -> ServiceError {
    Box::new(Problem {
        status: refusal.code.http_status().unwrap_or(500),
        code: Some(refusal.code),
        detail: refusal.detail,
        next_seq: None,
        head: None,
        retry_after_s: None,
    })
    .into()
}
