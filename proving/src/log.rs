//! A log in memory: it admits by the rules or holds whatever it is given, and shows what it holds.

use std::collections::BTreeSet;

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::govern::{Agent, LeaseState, State};
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::pack::{Entry, Header, Line, Range, Selection};
use ledger::record::{Body, Charter, CheckedRecord, Kind, Pulse, Record, SignedRecord, Transition};
use ledger::text::Name;
use ledger::verify::{Report, Trust, verify};
use tlog::checkpoint::{self, Checkpoint, Origin, SignedCheckpoint};
use tlog::policy::Policy;
use tlog::tree::{self, MemoryTree};
use tlog::{Hash, LeafIndex, TreeSize, inclusion, leaf_hash, subset};

use crate::keys::Keys;
use crate::record;

/// A log in memory.
#[derive(Debug)]
pub struct Log {
    keys: Keys,
    name: RecordHash,
    state: State,
    tree: MemoryTree,
    leaves: Vec<Held>,
    names: BTreeSet<RecordHash>,
    /// Whether everything that counts here counts for a verifier too.
    is_clear: bool,
}

/// A leaf as the log holds it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The exact bytes that the log hashes.
    pub bytes: String,
    /// When the log says that it received it.
    pub received_ms: u64,
}

impl Held {
    /// The record in the leaf.
    ///
    /// # Panics
    /// If the bytes are not those of a leaf.
    pub fn record(&self) -> SignedRecord {
        let leaf = Leaf::parse(self.bytes.as_bytes()).expect("a leaf of the log's own making");
        SignedRecord::from_envelope(leaf.into_envelope()).expect("a record that was read before")
    }
}

impl Log {
    /// Founds a log with a charter that the root has signed.
    ///
    /// # Panics
    /// If the rules do not take the charter.
    pub fn found(keys: Keys, charter: Charter, now_ms: u64) -> Self {
        let record = Record {
            log: None,
            at_ms: now_ms,
            body: Body::Charter(Box::new(charter)),
            ext: None,
        };
        let signed = record
            .sign(&[&keys.root])
            .expect("a charter that reads back");
        let mut log = Self {
            keys,
            name: signed.hash(),
            state: State::new(),
            tree: MemoryTree::new(),
            leaves: Vec::new(),
            names: BTreeSet::new(),
            is_clear: true,
        };
        log.submit(signed, now_ms).expect("a charter by the rules");
        log
    }

    /// The keys of the log.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The name of the log: the record hash of its charter 1.
    pub const fn name(&self) -> RecordHash {
        self.name
    }

    /// The state that the log implies.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The leaves, in their order.
    pub fn leaves(&self) -> &[Held] {
        &self.leaves
    }

    /// The leaves that hold records of a kind. That is seen from their bytes, so the others are not read.
    pub fn leaves_of(&self, kind: Kind) -> impl Iterator<Item = &Held> {
        let named = format!("\"envelope\":{{\"payloadType\":\"{}\"", kind.payload_type());
        let is_of = move |held: &&Held| held.bytes.contains(&named);
        self.leaves.iter().filter(is_of)
    }

    /// How many leaves there are.
    pub fn size(&self) -> TreeSize {
        self.tree.size()
    }

    /// Signs a record that is made for this log.
    ///
    /// # Panics
    /// If what is said could not be read back.
    pub fn sign(&self, body: Body, at_ms: u64, keys: &[&PrivateKey]) -> SignedRecord {
        let record = Record {
            log: Some(self.name),
            at_ms,
            body,
            ext: None,
        };
        record.sign(keys).expect("a record that reads back")
    }

    /// What its signer says who knows the log as it is now: the newest decision about the agent that it is about, the end
    /// that it extends.
    pub fn knowing(&self, mut body: Body) -> Body {
        let newest = |name| self.state.agent(name).and_then(Agent::after);
        match &mut body {
            Body::Lease(lease) => lease.after = newest(&lease.agent),
            Body::Order(order) => order.after = newest(&order.agent),
            Body::LeaseRenewal(renewal) => {
                let lease = self.state.lease(&renewal.lease);
                renewal.from_ms = lease.map_or(0, LeaseState::expires_ms);
            }
            _ => {}
        }
        body
    }

    /// The pulse that comes next, with the state in front of it and what was witnessed. Where something counts here that
    /// rests on what cannot be relied on, nobody knows the state, and it tells none.
    pub fn pulse(&self, witnessed: Option<String>) -> Body {
        let (n, agents) = (self.state.pulses() + 1, self.state.agent_count());
        let state = self.is_clear.then(|| self.state.root());
        match record::pulse(n, agents, witnessed) {
            Body::Pulse(pulse) => Body::Pulse(Pulse { state, ..pulse }),
            other => other,
        }
    }

    /// Lets a record in as the service does, if the rules do.
    ///
    /// # Errors
    /// The rule that the record breaks.
    pub fn submit(&mut self, signed: SignedRecord, now_ms: u64) -> Result<LeafIndex, Refusal> {
        let record = self.check(signed);
        self.state.admit(&record, now_ms)?;
        Ok(self.append(record, now_ms))
    }

    /// Takes a record that the rules may not let in, as a log can hold it all the same. One that cannot be relied on
    /// changes no state.
    pub fn force(&mut self, signed: SignedRecord, received_ms: u64) -> LeafIndex {
        let record = self.check(signed);
        let judged = self.state.admit(&record, received_ms);
        let is_repeated = self.names.contains(&record.hash());
        if is_repeated || judged.is_err_and(|refusal| refusal.code.voids()) {
            return self.hold_void(record, received_ms);
        }
        self.append(record, received_ms)
    }

    /// Takes a record that is wrong only for one before it, which is not there or not to be relied on: it counts.
    pub fn force_resting(&mut self, signed: SignedRecord, received_ms: u64) -> LeafIndex {
        self.is_clear = false;
        let record = self.check(signed);
        self.append(record, received_ms)
    }

    /// Takes a record that nobody goes by, whatever the rules say about it.
    pub fn force_void(&mut self, signed: SignedRecord, received_ms: u64) -> LeafIndex {
        let record = self.check(signed);
        self.hold_void(record, received_ms)
    }

    /// Finds out who signed a record, with the keys that the log knows.
    pub fn check(&self, signed: SignedRecord) -> CheckedRecord {
        signed.check(&|id| self.state.key(id))
    }

    /// Logs every transition that is due, and gives them back.
    ///
    /// # Panics
    /// If the rules do not take what they call due.
    pub fn settle(&mut self, now_ms: u64) -> Vec<Transition> {
        let mut logged = Vec::new();
        while let Some(transition) = self.state.next_duty(now_ms) {
            let body = Body::Transition(transition.clone());
            let signed = self.sign(body, now_ms, &[&self.keys.control]);
            self.submit(signed, now_ms)
                .expect("what is due is admitted");
            logged.push(transition);
        }
        logged
    }

    fn append(&mut self, record: CheckedRecord, received_ms: u64) -> LeafIndex {
        let index = LeafIndex::new(self.tree.size().get());
        self.state.apply(index, received_ms, &record);
        self.hold(record, received_ms)
    }

    fn hold_void(&mut self, record: CheckedRecord, received_ms: u64) -> LeafIndex {
        let index = LeafIndex::new(self.tree.size().get());
        self.state.skip(index, received_ms);
        self.hold(record, received_ms)
    }

    fn hold(&mut self, record: CheckedRecord, received_ms: u64) -> LeafIndex {
        self.names.insert(record.hash());
        let leaf = Leaf::new(received_ms, record.into_signed().envelope().clone());
        let bytes = leaf.expect("a leaf of a size that fits").to_bytes();
        let index = LeafIndex::new(self.tree.size().get());
        self.tree.push(leaf_hash(&bytes));
        self.leaves.push(Held {
            bytes: String::from_utf8(bytes).expect("a leaf is JSON, so it is text"),
            received_ms,
        });
        index
    }

    /// The checkpoint of the first `size` leaves, signed by the log.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn checkpoint(&self, size: TreeSize) -> SignedCheckpoint {
        let root = tree::root(size, &self.tree).expect("a size that the log has had");
        let origin = Origin::from(self.keys.log.verifier_key().name().clone());
        let text = checkpoint::sign(&self.keys.log, &Checkpoint::new(origin, size, root));
        SignedCheckpoint::parse(&text).expect("what was signed reads back")
    }

    /// The checkpoint of the first `size` leaves, cosigned by the witness at a time.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn cosigned(&self, size: TreeSize, time_s: u64) -> SignedCheckpoint {
        let signed = self.checkpoint(size);
        let cosignature = self.keys.witness.cosign(signed.unverified(), time_s);
        let cosignature = cosignature.expect("a time that this century has");
        signed
            .with_signature(cosignature)
            .expect("two signatures are few")
    }

    /// The whole log as a pack, under its newest checkpoint.
    pub fn pack(&self) -> String {
        self.pack_of(0, self.size().get(), &self.checkpoint(self.size()))
    }

    /// The leaves from one index up to another, which is not among them, under a checkpoint of this log.
    ///
    /// # Panics
    /// If that is not a range of leaves of the tree of the checkpoint.
    pub fn pack_of(&self, from: u64, to: u64, signed: &SignedCheckpoint) -> String {
        self.pack_lines(from, to, signed).collect()
    }

    /// The lines of such a pack, one by one: a long log need not be held twice.
    ///
    /// # Panics
    /// If that is not a range of leaves of the tree of the checkpoint.
    pub fn pack_lines(
        &self,
        from: u64,
        to: u64,
        signed: &SignedCheckpoint,
    ) -> impl Iterator<Item = String> {
        let size = signed.unverified().size;
        let range = Range::new(LeafIndex::new(from), LeafIndex::new(to), size);
        let range = range.expect("a range of leaves that the log has");
        self.lines(Selection::Range(range), range.indices().collect(), signed)
    }

    /// What the log holds about an agent, and what that rests on.
    ///
    /// # Panics
    /// If the agent's lease is a part of another's: then it rests on more than this gathers.
    pub fn pack_of_agent(&self, agent: &Name, signed: &SignedCheckpoint) -> String {
        let is_about = |held: &Held| {
            let signed = held.record();
            match &signed.record().body {
                Body::Charter(_) => true,
                Body::LeaseRenewal(renewal) => self.is_lease_of(renewal.lease, agent),
                Body::LeaseRevocation(revocation) => self.is_lease_of(revocation.lease, agent),
                _ => signed.record().agent() == Some(agent),
            }
        };
        let held = (0..).map(LeafIndex::new).zip(&self.leaves);
        let chosen = held.filter(|(_, held)| is_about(held));
        let chosen = chosen.map(|(index, _)| index).collect();
        self.lines(Selection::Agent(agent.clone()), chosen, signed)
            .collect()
    }

    fn is_lease_of(&self, lease: RecordHash, agent: &Name) -> bool {
        // The state forgets what is over.
        let mut records = self.leaves.iter().map(Held::record);
        let granted = records.find(|record| record.hash() == lease);
        let granted = granted.as_ref().map(|record| &record.record().body);
        let Some(Body::Lease(lease)) = granted else {
            return false;
        };
        let is_own = lease.agent == *agent;
        assert!(!is_own || lease.parent.is_none());
        is_own
    }

    fn lines(
        &self,
        selection: Selection,
        chosen: Vec<LeafIndex>,
        signed: &SignedCheckpoint,
    ) -> impl Iterator<Item = String> {
        let size = signed.unverified().size;
        let header = Line::Header(Header {
            origin: signed.unverified().origin.to_string(),
            size,
            selection,
            count: chosen.len() as u64,
        });
        let proof = subset::prove(&chosen, size, &self.tree).expect("the whole tree is in memory");
        let head = [
            header,
            Line::Checkpoint(Box::new(signed.clone())),
            Line::Proof(proof),
        ];
        let leaf = |index: LeafIndex| {
            let at = usize::try_from(index.get()).expect("an index in memory");
            let leaf = self.leaves[at].bytes.clone();
            Line::Leaf(Entry { index, leaf })
        };
        let lines = head.into_iter().chain(chosen.into_iter().map(leaf));
        lines.map(|line| line.to_string())
    }

    /// What somebody trusts who trusts this log without a witness.
    pub fn trust(&self) -> Trust {
        self.trust_by("quorum none\n")
    }

    /// What somebody trusts who asks for the cosignature of the witness.
    pub fn trust_witnessed(&self) -> Trust {
        let witness = self.keys.witness.verifier_key();
        self.trust_by(&format!("witness w1 {witness}\nquorum w1\n"))
    }

    fn trust_by(&self, rest: &str) -> Trust {
        let policy = format!("log {}\n{rest}", self.keys.log.verifier_key());
        Trust {
            policy: Policy::parse(&policy).expect("a policy of two keys"),
            charter: self.name,
            from: None,
        }
    }

    /// The inclusion proof of a leaf.
    ///
    /// # Panics
    /// If the log does not have it.
    pub fn inclusion(&self, index: LeafIndex) -> Vec<Hash> {
        inclusion::prove(index, self.size(), &self.tree).expect("a leaf of the log")
    }

    /// What a verifier says about the whole log.
    pub fn report(&self) -> Report {
        verify(self.pack().as_bytes(), &self.trust(), None)
    }
}
