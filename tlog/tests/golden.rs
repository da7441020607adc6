//! Bytes that other implementations made: `golden/` holds a log of 16 entries, signed with a seed of 32 times 6, and
//! the constants here come from Go's note package. What is made here must be the same, and what is read must verify.

use tlog::checkpoint::{self, Checkpoint, Origin, SignedCheckpoint};
use tlog::cosignature::Cosigner;
use tlog::note::{KeyName, SigningKey, VerifierKey};
use tlog::policy::Policy;
use tlog::proof::ProofFile;
use tlog::tree::{Frontier, MemoryTree};
use tlog::{Hash, LeafIndex, TreeSize, consistency, inclusion, leaf_hash, subset};

const ORIGIN: &str = "example.com/workledger";
const VKEY: &str = "example.com/workledger+010682ba+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const SIGNED: &str = "example.com/workledger
1
iipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc=

— example.com/workledger AQaCugK2AY0jqDQRwmBGCAmog0jZHgKwHTfbeebOzkFa7eAabtOsLxPlEdNFnq0ls13qG8NkyAwYavI33flmHQzAhw4=
";
const WITNESS_VKEY: &str =
    "witness.example.com/w1+886a0481+BCFS+NGbeR0kRTJC4V8uq2y3z/p7al7TAJeWDgaYgdsS";
const COSIGNATURE: &str = "— witness.example.com/w1 iGoEgQAAAABlU/EAwu1yh8+z6gsZn3s7er9fo37at78r/y1zaplIBqap4u7oKOwl/+GiH3T7nAQ1Ijh5WhzWkFfhPLO/FCl06KnVCQ==
";
const COSIGNED_AT_S: u64 = 1_700_000_000;

fn name(name: &str) -> KeyName {
    KeyName::parse(name).unwrap()
}

fn hashes(lines: &str) -> Vec<Hash> {
    lines.lines().map(|line| line.parse().unwrap()).collect()
}

fn tree() -> MemoryTree {
    hashes(include_str!("golden/leaf-hashes.txt"))
        .into_iter()
        .collect()
}

fn leaf(index: usize) -> (LeafIndex, Hash) {
    let hash = hashes(include_str!("golden/leaf-hashes.txt"))[index];
    (LeafIndex::new(index as u64), hash)
}

fn root(size: usize) -> Hash {
    hashes(include_str!("golden/roots.txt"))[size]
}

fn go_key() -> SigningKey {
    let seed: Vec<u8> = (0..32).collect();
    SigningKey::new(name(ORIGIN), &seed.try_into().unwrap())
}

fn hello() -> Checkpoint {
    let origin = Origin::parse(ORIGIN).unwrap();
    Checkpoint::new(origin, TreeSize::new(1), leaf_hash(b"hello"))
}

#[test]
fn keys_are_written_as_go_writes_them() {
    assert_eq!(go_key().verifier_key().to_string(), VKEY);
    let witness = Cosigner::new(name("witness.example.com/w1"), &[0x42; 32]);
    assert_eq!(witness.verifier_key().to_string(), WITNESS_VKEY);
}

#[test]
fn a_checkpoint_is_signed_as_go_signs_it() {
    assert_eq!(checkpoint::sign(&go_key(), &hello()), SIGNED);
    let signed = SignedCheckpoint::parse(SIGNED).unwrap();
    let verified = signed.verify(&VerifierKey::parse(VKEY).unwrap()).unwrap();
    assert_eq!(verified.checkpoint(), &hello());
}

#[test]
fn a_witness_cosigns_the_same_bytes() {
    let witness = Cosigner::new(name("witness.example.com/w1"), &[0x42; 32]);
    let line = witness.cosign(&hello(), COSIGNED_AT_S).unwrap();
    assert_eq!(line.to_string(), COSIGNATURE);
    let policy = format!("log {VKEY}\nwitness w1 {WITNESS_VKEY}\nquorum w1\n");
    let policy = Policy::parse(&policy).unwrap();
    let cosigned = format!("{SIGNED}{COSIGNATURE}");
    let verified = policy
        .verify(&SignedCheckpoint::parse(&cosigned).unwrap())
        .unwrap();
    assert_eq!(verified.cosignatures()[0].time_s, COSIGNED_AT_S);
    assert_eq!(verified.to_string(), cosigned);
}

#[test]
fn every_root_of_the_log_is_the_same() {
    let mut frontier = Frontier::new();
    for size in 0..=16 {
        assert_eq!(frontier.root(), root(size), "{size}");
        if size < 16 {
            frontier.push(leaf(size).1);
        }
    }
}

#[test]
fn proofs_are_the_same_and_verify() {
    let (tree, size) = (tree(), TreeSize::new(16));
    let old = TreeSize::new(5);
    let proof = hashes(include_str!("golden/consistency-5-16.txt"));
    assert_eq!(consistency::prove(old, size, &tree), Ok(proof.clone()));
    consistency::verify(&proof, old, &root(5), size, &root(16)).unwrap();

    let chosen = [3, 7, 8].map(LeafIndex::new);
    let proof = hashes(include_str!("golden/subset-3-7-8.txt"));
    assert_eq!(subset::prove(chosen, size, &tree), Ok(proof.clone()));
    subset::verify(&proof, size, &[3, 7, 8].map(leaf), &root(16)).unwrap();
}

#[test]
fn checkpoints_are_the_same() {
    let key = SigningKey::new(name(ORIGIN), &[6; 32]);
    let at = |size| {
        let origin = Origin::from(name(ORIGIN));
        checkpoint::sign(
            &key,
            &Checkpoint::new(origin, TreeSize::new(size as u64), root(size)),
        )
    };
    assert_eq!(at(16), include_str!("golden/checkpoint-16.txt"));
    assert!(at(8).ends_with(&format!(
        "— {ORIGIN} {}",
        include_str!("golden/signature-8.txt")
    )));
}

#[test]
fn a_proof_file_is_the_same_and_verifies() {
    let text = include_str!("golden/entry-6.tlog-proof");
    let leaf = include_bytes!("golden/entry-6.leaf");
    let policy = Policy::parse(include_str!("golden/policy.txt")).unwrap();
    let file = ProofFile::parse(text).unwrap();
    assert_eq!(file.extra.as_deref(), Some(&leaf[..]));
    let verified = file.verify(leaf, &policy).unwrap();
    assert_eq!((verified.index().get(), verified.steps().len()), (6, 4));

    let (index, tree) = (LeafIndex::new(6), tree());
    let made = ProofFile {
        extra: Some(leaf.to_vec()),
        index,
        hashes: inclusion::prove(index, tree.size(), &tree).unwrap(),
        checkpoint: SignedCheckpoint::parse(include_str!("golden/checkpoint-16.txt")).unwrap(),
    };
    assert_eq!(made.to_string(), text);
}
