//! The short history that the samples show, and the log that signs it.

use ledger::envelope::Envelope;
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::pack::{Earlier, Entry, Header, Line, Range, Selection};
use ledger::verify::Trust;
use serde_json::Value;
use tlog::checkpoint::{self, Checkpoint, Origin, SignedCheckpoint};
use tlog::cosignature::Cosigner;
use tlog::note::{KeyName, SigningKey};
use tlog::policy::Policy;
use tlog::proof::ProofFile;
use tlog::tree::MemoryTree;
use tlog::{LeafIndex, TreeSize, consistency, inclusion, leaf_hash, subset};

/// Where the history comes from: made by another implementation, with keys that everybody knows.
const GOLDEN: &str = include_str!("../../../ledger/tests/golden.json");

const ORIGIN: &str = "example.com/workledger";
/// The golden keys are 32 times a byte.
const LOG_SEED: [u8; 32] = [6; 32];
const AGENT_SEED: [u8; 32] = [5; 32];
const WITNESS: &str = "witness.example/w1";
const WITNESS_SEED: [u8; 32] = [0x42; 32];
/// When the witness cosigned: a minute after the last entry.
const WITNESSED_S: u64 = 1_764_000_120;

/// A log that holds some leaves.
#[derive(Clone, Debug)]
pub struct History {
    origin: &'static str,
    seed: [u8; 32],
    leaves: Vec<String>,
}

impl History {
    /// The golden history.
    ///
    /// # Panics
    /// If the golden file is not one.
    pub fn golden() -> Self {
        let golden: Value = serde_json::from_str(GOLDEN).expect("the golden file is JSON");
        let records = golden["records"].as_array().expect("it has records");
        let leaf = |record: &Value| record["leaf"].as_str().expect("each has a leaf").to_owned();
        Self {
            origin: ORIGIN,
            seed: LOG_SEED,
            leaves: records.iter().map(leaf).collect(),
        }
    }

    /// The same leaves in a log of another name.
    pub fn of_origin(mut self, origin: &'static str) -> Self {
        self.origin = origin;
        self
    }

    /// The same leaves, their checkpoints signed by another key under the same name.
    pub fn signed_by(mut self, seed: [u8; 32]) -> Self {
        self.seed = seed;
        self
    }

    /// With one leaf changed, in a tree that is built and signed again: what a log could do that lies from the start.
    pub fn with_leaf(mut self, index: usize, change: impl FnOnce(&str) -> String) -> Self {
        self.leaves[index] = change(&self.leaves[index]);
        self
    }

    /// With the payload of an agent's record changed and signed again by that agent.
    ///
    /// # Panics
    /// If that leaf is not a record.
    pub fn with_payload(self, index: usize, change: impl FnOnce(&str) -> String) -> Self {
        let key = PrivateKey::from_seed(&AGENT_SEED);
        self.with_leaf(index, |leaf| {
            let leaf = Leaf::parse(leaf.as_bytes()).expect("a golden leaf reads");
            let envelope = leaf.envelope();
            let payload = std::str::from_utf8(envelope.payload()).expect("JSON is text");
            let changed = change(payload).into_bytes();
            let envelope = Envelope::sign(envelope.kind(), changed, &[&key]);
            let leaf = Leaf::new(leaf.received_ms(), envelope.expect("a payload that fits"));
            String::from_utf8(leaf.expect("a leaf that fits").to_bytes()).expect("JSON is text")
        })
    }

    /// Who trusts the golden log trusts this.
    ///
    /// # Panics
    /// If the golden trust is none.
    pub fn trust(&self) -> Trust {
        let golden: Value = serde_json::from_str(GOLDEN).expect("the golden file is JSON");
        let trust = &golden["trust"];
        trust.to_string().parse().expect("the golden trust reads")
    }

    /// The same trust, and a witness.
    ///
    /// # Panics
    /// If the policy does not read.
    pub fn trust_witnessed(&self) -> Trust {
        let Trust {
            policy,
            charter,
            from,
        } = self.trust();
        let witness = witness().verifier_key();
        let lines = format!("witness w1 {witness}\nquorum w1\n");
        let policy = policy.text().replace("quorum none\n", &lines);
        let policy = Policy::parse(&policy).expect("a policy of two keys");
        Trust {
            policy,
            charter,
            from,
        }
    }

    /// The proof file of an entry.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn proof(&self, index: u64) -> String {
        self.proof_file(index, self.checkpoint(self.size()))
            .to_string()
    }

    /// The proof file of an entry, under a checkpoint that the witness has cosigned.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn proof_witnessed(&self, index: u64) -> String {
        let signed = self.checkpoint(self.size());
        let cosignature = witness().cosign(signed.unverified(), WITNESSED_S);
        let signed = signed.with_signature(cosignature.expect("a time of this century"));
        self.proof_file(index, signed.expect("two signatures are few"))
            .to_string()
    }

    /// What a proof file of an entry holds.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn proof_file(&self, index: u64, checkpoint: SignedCheckpoint) -> ProofFile {
        let at = position(index);
        let (index, tree) = (LeafIndex::new(index), self.tree(self.size()));
        ProofFile {
            extra: Some(self.leaves[at].clone().into_bytes()),
            index,
            hashes: inclusion::prove(index, tree.size(), &tree).expect("an entry of the tree"),
            checkpoint,
        }
    }

    /// All of it, as a pack.
    pub fn pack(&self) -> String {
        self.window(0, self.size())
    }

    /// The entries from one index up to another, which is not among them, as a pack.
    pub fn window(&self, from: u64, to: u64) -> String {
        self.lines(from, to).concat()
    }

    /// All of it, with an earlier checkpoint of a history that may be another.
    ///
    /// # Panics
    /// If that was never so short.
    pub fn pack_since(&self, earlier: &Self, size: u64) -> String {
        let tree = self.tree(self.size());
        let proof = consistency::prove(TreeSize::new(size), tree.size(), &tree);
        let earlier = Line::Earlier(Box::new(Earlier {
            checkpoint: earlier.checkpoint(size),
            consistency: proof.expect("a size that it had"),
        }));
        let mut lines = self.lines(0, self.size());
        lines.insert(2, earlier.to_string());
        lines.concat()
    }

    /// The consistency proof from the first `size` entries to all of them, as the service gives it.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn consistency(&self, size: u64) -> String {
        let tree = self.tree(self.size());
        let hashes = consistency::prove(TreeSize::new(size), tree.size(), &tree);
        let hashes = hashes.expect("a size that it had").into_iter();
        let hashes: Vec<String> = hashes.map(|hash| hash.to_string()).collect();
        serde_json::json!({ "old": size, "new": self.size(), "hashes": hashes }).to_string()
    }

    /// The lines of a pack.
    ///
    /// # Panics
    /// If that is not a range of entries.
    pub fn lines(&self, from: u64, to: u64) -> Vec<String> {
        let tree = self.tree(self.size());
        let range = Range::new(LeafIndex::new(from), LeafIndex::new(to), tree.size());
        let range = range.expect("entries of the tree");
        let chosen: Vec<_> = range.indices().collect();
        let proof = subset::prove(&chosen, tree.size(), &tree).expect("entries of the tree");
        let head = [
            Line::Header(Header {
                origin: self.origin.to_owned(),
                size: tree.size(),
                selection: Selection::Range(range),
                count: range.count(),
            }),
            Line::Checkpoint(Box::new(self.checkpoint(self.size()))),
            Line::Proof(proof),
        ];
        let leaves = chosen.iter().zip(&self.leaves[position(from)..]);
        let entry = |(index, leaf): (&LeafIndex, &String)| {
            Line::Leaf(Entry {
                index: *index,
                leaf: leaf.clone(),
            })
        };
        let lines = head.into_iter().chain(leaves.map(entry));
        lines.map(|line| line.to_string()).collect()
    }

    /// The checkpoint of the first `size` entries.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let name = KeyName::parse(self.origin).expect("the name of a log");
        let key = SigningKey::new(name, &self.seed);
        let origin = Origin::parse(self.origin).expect("the name of a log");
        let tree = self.tree(size);
        let checkpoint = Checkpoint::new(origin, tree.size(), tree.root());
        SignedCheckpoint::parse(&checkpoint::sign(&key, &checkpoint))
            .expect("what was signed reads back")
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    fn tree(&self, size: u64) -> MemoryTree {
        let leaves = self.leaves.iter().take(position(size));
        leaves.map(|leaf| leaf_hash(leaf.as_bytes())).collect()
    }
}

fn witness() -> Cosigner {
    let name = KeyName::parse(WITNESS).expect("the name of a witness");
    Cosigner::new(name, &WITNESS_SEED)
}

fn position(index: u64) -> usize {
    usize::try_from(index).expect("an index in memory")
}
