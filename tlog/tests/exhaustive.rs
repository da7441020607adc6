//! Every proof of every small tree, and random ones of larger trees.

use std::sync::LazyLock;

use proptest::prelude::*;
use tlog::tree::{self, MemoryTree};
use tlog::{Hash, LeafIndex, ProofError, ProveError, Side, Step, TreeSize};
use tlog::{consistency, inclusion, leaf_hash, node_hash, subset};

/// Up to this size, everything is tried.
const SMALL: u64 = 256;
/// Up to this size, some.
const LARGE: u64 = 5_000;

/// The leaves of all trees here. A smaller tree's nodes are among those of a larger one.
static TREE: LazyLock<MemoryTree> = LazyLock::new(|| (0..LARGE).map(leaf).collect());
static ROOTS: LazyLock<Vec<Hash>> = LazyLock::new(|| {
    let sizes = (0..=LARGE).map(TreeSize::new);
    sizes
        .map(|size| tree::root(size, &*TREE).unwrap())
        .collect()
});

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn root(size: u64) -> Hash {
    ROOTS[usize::try_from(size).unwrap()]
}

/// Each step joins what it says, and goes on from the one before.
fn check_steps(steps: &[Step], from: Hash, to: Hash) {
    let (mut hash, mut level) = (from, 0);
    for step in steps {
        let own = match step.sibling {
            Side::Left => step.right,
            Side::Right => step.left,
        };
        assert_eq!(own, hash);
        assert_eq!(step.parent, node_hash(&step.left, &step.right));
        assert!(step.level > level);
        (hash, level) = (step.parent, step.level);
    }
    assert_eq!(hash, to);
}

#[test]
fn every_leaf_of_every_small_tree_is_proven() {
    for size in 1..=SMALL {
        let (tree_size, root) = (TreeSize::new(size), root(size));
        for index in 0..size {
            let at = LeafIndex::new(index);
            let proof = inclusion::prove(at, tree_size, &*TREE).unwrap();
            let steps = inclusion::verify(&proof, at, tree_size, &leaf(index), &root).unwrap();
            check_steps(&steps, leaf(index), root);
            let other = LeafIndex::new((index + 1) % size);
            let moved = inclusion::verify(&proof, other, tree_size, &leaf(index), &root);
            assert_eq!(moved.is_ok(), size == 1, "{index} as {other} of {size}");
        }
    }
}

#[test]
fn every_small_tree_is_consistent_with_every_smaller_one() {
    for new in 0..=SMALL {
        for old in 0..=new {
            let (old_size, new_size) = (TreeSize::new(old), TreeSize::new(new));
            let proof = consistency::prove(old_size, new_size, &*TREE).unwrap();
            let (old_root, new_root) = (root(old), root(new));
            let steps =
                consistency::verify(&proof, old_size, &old_root, new_size, &new_root).unwrap();
            if let Some(first) = steps.new.first() {
                let shared = match first.sibling {
                    Side::Left => first.right,
                    Side::Right => first.left,
                };
                check_steps(&steps.new, shared, new_root);
                check_steps(&steps.old, shared, old_root);
            } else {
                assert!(old == 0 || old == new);
                assert_eq!(proof, []);
            }
        }
    }
}

#[test]
fn other_roots_are_inconsistent() {
    for new in 1..=32 {
        for old in 1..=new {
            let (old_size, new_size) = (TreeSize::new(old), TreeSize::new(new));
            let proof = consistency::prove(old_size, new_size, &*TREE).unwrap();
            let (old_root, new_root, wrong) = (root(old), root(new), leaf(u64::MAX));
            let verify = |old_root, new_root| {
                consistency::verify(&proof, old_size, &old_root, new_size, &new_root)
            };
            for result in [verify(wrong, new_root), verify(old_root, wrong)] {
                assert!(
                    matches!(result, Err(ProofError::RootMismatch { .. })),
                    "{old} {new}"
                );
            }
        }
    }
}

#[test]
fn the_empty_tree_has_one_root_and_no_leaf() {
    let (empty, one, wrong) = (TreeSize::EMPTY, TreeSize::new(1), leaf(7));
    let index = LeafIndex::new(0);
    let nothing =
        |old_root, new, new_root| consistency::verify(&[], empty, &old_root, new, &new_root);
    assert!(nothing(root(0), empty, root(0)).is_ok());
    assert!(nothing(root(0), one, root(1)).is_ok());
    assert!(nothing(wrong, one, root(1)).is_err());
    assert!(nothing(wrong, empty, wrong).is_err());
    assert!(consistency::verify(&[], one, &root(1), one, &wrong).is_err());
    let range = Err(ProofError::IndexOutOfRange { index, size: empty });
    assert_eq!(
        inclusion::verify(&[], index, empty, &wrong, &root(0)),
        range
    );
    assert!(subset::verify(&[], empty, &[], &root(0)).is_ok());
    assert!(subset::verify(&[root(0)], empty, &[], &root(0)).is_err());
}

#[test]
fn what_cannot_be_proven_is_refused_with_its_numbers() {
    let (small, large) = (TreeSize::new(3), TreeSize::new(5));
    let (index, inner) = (LeafIndex::new(3), LeafIndex::new(2));
    let range = ProveError::IndexOutOfRange { index, size: small };
    assert_eq!(inclusion::prove(index, small, &*TREE), Err(range.clone()));
    assert_eq!(subset::prove([inner, index], small, &*TREE), Err(range));
    let order = ProveError::NotAscending {
        previous: inner,
        index: inner,
    };
    assert_eq!(subset::prove([inner, inner], small, &*TREE), Err(order));
    let (old, new) = (large, small);
    assert_eq!(
        consistency::prove(old, new, &*TREE),
        Err(ProveError::SizesReversed { old, new })
    );
    let reversed = consistency::verify(&[], old, &root(5), new, &root(3));
    assert_eq!(reversed, Err(ProofError::SizesReversed { old, new }));
}

/// Proves these leaves and checks it, at once and streaming, with the path of each.
fn check_subset(chosen: &[u64], size: u64) {
    let (tree_size, root) = (TreeSize::new(size), root(size));
    let indices: Vec<LeafIndex> = chosen.iter().copied().map(LeafIndex::new).collect();
    let leaves: Vec<(LeafIndex, Hash)> = indices
        .iter()
        .map(|index| (*index, leaf(index.get())))
        .collect();
    let proof = subset::prove(&indices, tree_size, &*TREE).unwrap();
    let length = subset::proof_length(&indices, tree_size).unwrap();
    assert_eq!(length, proof.len() as u64);
    subset::verify(&proof, tree_size, &leaves, &root).unwrap();
    for (index, leaf) in leaves.iter().take(16) {
        let path = subset::path(&proof, tree_size, &leaves, &root, *index).unwrap();
        let single = inclusion::prove(*index, tree_size, &*TREE).unwrap();
        let steps = inclusion::verify(&single, *index, tree_size, leaf, &root).unwrap();
        assert_eq!(path, steps);
    }
}

#[test]
fn every_subset_of_every_tiny_tree_is_proven() {
    for size in 0..=10_u64 {
        for set in 0..1_u64 << size {
            let chosen: Vec<u64> = (0..size).filter(|index| set & (1 << index) != 0).collect();
            check_subset(&chosen, size);
        }
    }
}

#[test]
fn one_leaf_is_proven_by_the_hashes_of_its_inclusion_proof() {
    for size in 1..=64 {
        for index in (0..size).map(LeafIndex::new) {
            let size = TreeSize::new(size);
            let mut subset = subset::prove([index], size, &*TREE).unwrap();
            let mut single = inclusion::prove(index, size, &*TREE).unwrap();
            subset.sort();
            single.sort();
            assert_eq!(subset, single);
        }
    }
}

#[test]
fn the_path_of_a_leaf_that_is_not_proven_is_refused() {
    let (size, index) = (TreeSize::new(8), LeafIndex::new(5));
    let proof = subset::prove([LeafIndex::new(3)], size, &*TREE).unwrap();
    let leaves = [(LeafIndex::new(3), leaf(3))];
    let path = subset::path(&proof, size, &leaves, &root(8), index);
    assert_eq!(path, Err(ProofError::IndexNotProven { index }));
}

#[test]
fn a_verifier_stays_with_its_first_error() {
    let (size, index) = (TreeSize::new(8), LeafIndex::new(8));
    let mut verifier = subset::Verifier::new(size, vec![root(8)]);
    let range = Err(ProofError::IndexOutOfRange { index, size });
    assert_eq!(verifier.push(index, leaf(8)), range);
    assert_eq!(verifier.push(LeafIndex::new(0), leaf(0)), range);
    assert_eq!(verifier.finish().map(|_| ()), range);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_subsets_of_large_trees_are_proven(
        size in 1..=LARGE,
        picks in prop::collection::btree_set(0..LARGE, 0..200),
        window in 0..LARGE,
        width in 0..400_u64,
    ) {
        let scattered: Vec<u64> = picks.into_iter().filter(|index| *index < size).collect();
        check_subset(&scattered, size);
        let window: Vec<u64> = (window..window + width).filter(|index| *index < size).collect();
        check_subset(&window, size);
    }
}
