//! Every bit flip, insertion, deletion and swap in the proofs of small trees is rejected.

use tlog::tree::{self, MemoryTree};
use tlog::{Hash, LeafIndex, ProofError, TreeSize, consistency, inclusion, leaf_hash, subset};

const SIZES: std::ops::RangeInclusive<u64> = 1..=16;

/// Trees up to this size are tried with all their subsets, larger ones with all windows and all pairs.
const ALL_SUBSETS: u64 = 9;

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn tree() -> MemoryTree {
    (0..*SIZES.end()).map(leaf).collect()
}

fn flip(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

/// Tries every change of the proof, and demands the error that tells it.
fn check_rejected(proof: &[Hash], verify: impl Fn(&[Hash]) -> Result<(), ProofError>) {
    verify(proof).unwrap();
    let got = proof.len();
    for at in 0..got {
        for bit in 0..256 {
            let mut forged = proof.to_vec();
            forged[at] = flip(&proof[at], bit);
            assert!(matches!(
                verify(&forged),
                Err(ProofError::RootMismatch { .. })
            ));
        }
        let mut forged = proof.to_vec();
        forged.remove(at);
        let missing = verify(&forged);
        assert!(
            matches!(missing, Err(ProofError::MissingHashes { got: left, .. }) if left == got - 1)
        );
        for other in 0..at {
            let mut forged = proof.to_vec();
            forged.swap(at, other);
            assert!(matches!(
                verify(&forged),
                Err(ProofError::RootMismatch { .. })
            ));
        }
    }
    for at in 0..=got {
        // The hash that is put in may be a new one, or one that belongs there.
        for hash in proof.iter().copied().chain([leaf(u64::MAX)]) {
            let mut forged = proof.to_vec();
            forged.insert(at, hash);
            let surplus = ProofError::SurplusHashes {
                got: got + 1,
                want: got,
            };
            assert_eq!(verify(&forged), Err(surplus));
        }
    }
}

#[test]
fn forged_inclusion_proofs_are_rejected() {
    let tree = tree();
    for size in SIZES.map(TreeSize::new) {
        let root = tree::root(size, &tree).unwrap();
        for index in 0..size.get() {
            let (at, leaf) = (LeafIndex::new(index), leaf(index));
            let proof = inclusion::prove(at, size, &tree).unwrap();
            check_rejected(&proof, |proof| {
                inclusion::verify(proof, at, size, &leaf, &root).map(|_| ())
            });
            for bit in 0..256 {
                assert!(inclusion::verify(&proof, at, size, &flip(&leaf, bit), &root).is_err());
                assert!(inclusion::verify(&proof, at, size, &leaf, &flip(&root, bit)).is_err());
            }
        }
    }
}

#[test]
fn forged_consistency_proofs_are_rejected() {
    let tree = tree();
    for new in SIZES.map(TreeSize::new) {
        let new_root = tree::root(new, &tree).unwrap();
        for old in (0..=new.get()).map(TreeSize::new) {
            let old_root = tree::root(old, &tree).unwrap();
            let proof = consistency::prove(old, new, &tree).unwrap();
            check_rejected(&proof, |proof| {
                consistency::verify(proof, old, &old_root, new, &new_root).map(|_| ())
            });
            for bit in 0..256 {
                let forged = flip(&old_root, bit);
                assert!(consistency::verify(&proof, old, &forged, new, &new_root).is_err());
                // Of the newer root, an empty tree says nothing.
                let forged = flip(&new_root, bit);
                let verified = consistency::verify(&proof, old, &old_root, new, &forged);
                assert_eq!(verified.is_ok(), old == TreeSize::EMPTY);
            }
        }
    }
}

/// The subsets to try in a tree of this size.
fn subsets(size: u64) -> Vec<Vec<u64>> {
    if size <= ALL_SUBSETS {
        let members = |set: u64| {
            (0..size)
                .filter(move |index| set & (1 << index) != 0)
                .collect()
        };
        return (0..1_u64 << size).map(members).collect();
    }
    let ends = |from| (from + 1..=size).map(move |to| (from, to));
    let bounds: Vec<(u64, u64)> = (0..size).flat_map(ends).collect();
    let windows = bounds.iter().map(|(from, to)| (*from..*to).collect());
    let pairs = bounds
        .iter()
        .filter(|(_, to)| *to < size)
        .map(|(from, to)| vec![*from, *to]);
    windows.chain(pairs).collect()
}

#[test]
fn forged_subset_proofs_are_rejected() {
    let tree = tree();
    for size in SIZES.map(TreeSize::new) {
        let root = tree::root(size, &tree).unwrap();
        for chosen in subsets(size.get()) {
            let leaves: Vec<(LeafIndex, Hash)> = chosen
                .iter()
                .map(|i| (LeafIndex::new(*i), leaf(*i)))
                .collect();
            let indices: Vec<LeafIndex> = leaves.iter().map(|(index, _)| *index).collect();
            let proof = subset::prove(&indices, size, &tree).unwrap();
            check_rejected(&proof, |proof| subset::verify(proof, size, &leaves, &root));
            check_leaves_rejected(&proof, size, &leaves, &root);
        }
    }
}

/// Leaves that are changed, left out, repeated, swapped or moved do not verify either.
fn check_leaves_rejected(
    proof: &[Hash],
    size: TreeSize,
    leaves: &[(LeafIndex, Hash)],
    root: &Hash,
) {
    for at in 0..leaves.len() {
        let mut forged = leaves.to_vec();
        forged[at].1 = flip(&forged[at].1, at % 256);
        assert!(subset::verify(proof, size, &forged, root).is_err());

        let mut forged = leaves.to_vec();
        forged.remove(at);
        assert!(subset::verify(proof, size, &forged, root).is_err());

        let mut forged = leaves.to_vec();
        forged.insert(at, leaves[at]);
        let repeated = subset::verify(proof, size, &forged, root);
        assert!(matches!(repeated, Err(ProofError::NotAscending { .. })));

        for other in 0..at {
            let mut forged = leaves.to_vec();
            (forged[at].1, forged[other].1) = (leaves[other].1, leaves[at].1);
            assert!(subset::verify(proof, size, &forged, root).is_err());
            forged = leaves.to_vec();
            forged.swap(at, other);
            assert!(subset::verify(proof, size, &forged, root).is_err());
        }
        for index in (0..=size.get()).map(LeafIndex::new) {
            let mut forged = leaves.to_vec();
            forged[at].0 = index;
            let moved = subset::verify(proof, size, &forged, root);
            assert_eq!(moved.is_ok(), index == leaves[at].0);
        }
    }
}
