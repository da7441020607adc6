//! Whoever holds the keys of the golden log, and says with them what was never so.

use std::collections::BTreeMap;

use ledger::envelope::{Envelope, Signature};
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::pack::{Earlier, Entry, Header, Line, Range, Selection};
use ledger::record::{Kind, Record};
use serde_json::Value;
use tlog::checkpoint::{self, Checkpoint, Origin, SignedCheckpoint};
use tlog::cosignature::Cosigner;
use tlog::note::{KeyName, SigningKey};
use tlog::proof::ProofFile;
use tlog::tree::MemoryTree;
use tlog::{LeafIndex, TreeSize, consistency, inclusion, leaf_hash, subset};

/// The origin of the golden log.
pub const ORIGIN: &str = "example.com/workledger";

/// A log that signs whatever leaves it holds.
#[derive(Clone, Debug)]
pub struct Forger {
    /// Signs its checkpoints.
    pub key: SigningKey,
    /// What it holds.
    pub leaves: Vec<String>,
}

impl Forger {
    /// The golden log with its own key: sound as long as nobody changes it.
    ///
    /// # Panics
    /// If the golden history cannot be read.
    pub fn golden() -> Self {
        let leaf = |record: &Value| record["leaf"].as_str().expect("a leaf").to_owned();
        let golden = golden();
        let records = golden["records"].as_array().expect("records");
        Self {
            key: SigningKey::new(name(ORIGIN), &[6; 32]),
            leaves: records.iter().map(leaf).collect(),
        }
    }

    /// The golden log with one leaf changed.
    pub fn with_leaf(index: usize, change: impl FnOnce(&str) -> String) -> Self {
        let mut forger = Self::golden();
        forger.leaves[index] = change(&forger.leaves[index]);
        forger
    }

    /// The tree of the first leaves.
    pub fn tree(&self, size: usize) -> MemoryTree {
        let leaves = self.leaves.iter().take(size);
        leaves.map(|leaf| leaf_hash(leaf.as_bytes())).collect()
    }

    /// What the checkpoint of the first leaves says.
    pub fn head(&self, size: usize) -> Checkpoint {
        let tree = self.tree(size);
        Checkpoint::new(origin(ORIGIN), tree.size(), tree.root())
    }

    /// The checkpoint of the first leaves.
    pub fn checkpoint(&self, size: usize) -> SignedCheckpoint {
        signed(&self.key, &self.head(size))
    }

    /// An older checkpoint and its consistency proof.
    ///
    /// # Panics
    /// If the tree is not that large.
    pub fn earlier(&self, old: usize) -> Earlier {
        let tree = self.tree(self.leaves.len());
        let size = TreeSize::new(old as u64);
        Earlier {
            checkpoint: self.checkpoint(old),
            consistency: consistency::prove(size, tree.size(), &tree).expect("a smaller tree"),
        }
    }

    /// The lines of a pack of a range.
    ///
    /// # Panics
    /// If the log has no such range.
    pub fn lines(&self, from: u64, to: u64) -> Vec<Line> {
        let size = TreeSize::new(self.leaves.len() as u64);
        let range = Range::new(LeafIndex::new(from), LeafIndex::new(to), size);
        let range = range.expect("a range of the log");
        let indices: Vec<u64> = (from..to).collect();
        self.selected(Selection::Range(range), &indices)
    }

    /// The lines of a pack of any leaves.
    ///
    /// # Panics
    /// If the log does not have them.
    pub fn selected(&self, selection: Selection, indices: &[u64]) -> Vec<Line> {
        let tree = self.tree(self.leaves.len());
        let chosen: Vec<LeafIndex> = indices.iter().copied().map(LeafIndex::new).collect();
        let header = Header {
            origin: ORIGIN.to_owned(),
            size: tree.size(),
            selection,
            count: indices.len() as u64,
        };
        let proof = subset::prove(&chosen, tree.size(), &tree).expect("leaves of the tree");
        let checkpoint = Box::new(self.checkpoint(self.leaves.len()));
        let head = [
            Line::Header(header),
            Line::Checkpoint(checkpoint),
            Line::Proof(proof),
        ];
        let leaves = chosen.into_iter().map(|index| {
            let at = usize::try_from(index.get()).expect("an index in memory");
            let leaf = self.leaves[at].clone();
            Line::Leaf(Entry { index, leaf })
        });
        head.into_iter().chain(leaves).collect()
    }

    /// A pack of a range.
    pub fn pack(&self, from: u64, to: u64) -> String {
        self.pack_with(from, to, None)
    }

    /// All leaves as a pack.
    pub fn whole(&self) -> String {
        self.pack(0, self.leaves.len() as u64)
    }

    /// A pack of a range, with an older checkpoint.
    pub fn pack_with(&self, from: u64, to: u64, earlier: Option<Earlier>) -> String {
        let mut lines = self.lines(from, to);
        lines.splice(2..2, earlier.map(Box::new).map(Line::Earlier));
        text(&lines)
    }

    /// A proof file of one leaf.
    ///
    /// # Panics
    /// If the log does not have it.
    pub fn proof(&self, index: usize) -> ProofFile {
        let tree = self.tree(self.leaves.len());
        let at = LeafIndex::new(index as u64);
        ProofFile {
            extra: Some(self.leaves[index].clone().into_bytes()),
            index: at,
            hashes: inclusion::prove(at, tree.size(), &tree).expect("a leaf of the tree"),
            checkpoint: self.checkpoint(self.leaves.len()),
        }
    }
}

/// A pack from its lines.
pub fn text(lines: &[Line]) -> String {
    lines.iter().map(Line::to_string).collect()
}

/// A checkpoint with a signature of a key.
///
/// # Panics
/// If it does not read back.
pub fn signed(key: &SigningKey, head: &Checkpoint) -> SignedCheckpoint {
    SignedCheckpoint::parse(&checkpoint::sign(key, head)).expect("what was signed reads back")
}

/// A witness of this number.
pub fn witness(number: u8) -> Cosigner {
    Cosigner::new(
        name(&format!("witness.example.com/w{number}")),
        &[100 + number; 32],
    )
}

/// The name of a key that is written in code.
pub fn name(name: &str) -> KeyName {
    KeyName::parse(name).expect("a name of a key")
}

/// An origin that is written in code.
pub fn origin(origin: &str) -> Origin {
    Origin::parse(origin).expect("an origin")
}

/// The key of a role of the golden log, by its seed.
pub fn key(role: &str) -> PrivateKey {
    let seed = golden()["seeds"][role].as_str().map(str::to_owned);
    let byte = u8::from_str_radix(&seed.expect("a role"), 16).expect("a byte");
    PrivateKey::from_seed(&[byte; 32])
}

/// The payload of a golden record.
pub fn payload(index: usize) -> String {
    golden()["records"][index]["payload"]
        .as_str()
        .expect("a payload")
        .to_owned()
}

/// A leaf that holds a payload of any bytes, truly signed by those roles.
pub fn leaf(received_ms: u64, kind: Kind, payload: &str, roles: &[&str]) -> String {
    let keys: Vec<PrivateKey> = roles.iter().map(|role| key(role)).collect();
    let keys: Vec<&PrivateKey> = keys.iter().collect();
    let envelope = Envelope::sign(kind, payload.as_bytes().to_vec(), &keys).expect("an envelope");
    of_envelope(received_ms, envelope)
}

/// A leaf with an envelope.
pub fn of_envelope(received_ms: u64, envelope: Envelope) -> String {
    let leaf = Leaf::new(received_ms, envelope).expect("a leaf that is not too large");
    String::from_utf8(leaf.to_bytes()).expect("a leaf is text")
}

/// The envelope in a leaf.
pub fn envelope(leaf: &str) -> Envelope {
    let leaf = Leaf::parse(leaf.as_bytes()).expect("a sound leaf");
    leaf.into_envelope()
}

/// The record in a leaf.
pub fn record(leaf: &str) -> Record {
    let envelope = envelope(leaf);
    Record::parse(envelope.kind(), envelope.payload()).expect("a sound record")
}

/// The signatures in a leaf, by keyid.
pub fn signatures(leaf: &str) -> BTreeMap<String, Signature> {
    let envelope = envelope(leaf);
    let own = envelope.signatures().iter();
    own.map(|signature| (signature.keyid.to_string(), *signature))
        .collect()
}

fn golden() -> Value {
    let json = include_str!("../../../ledger/tests/golden.json");
    serde_json::from_str(json).expect("the golden history is JSON")
}
