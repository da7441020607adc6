//! Subset proofs: the input chooses leaves of a small tree and one change to
//! their proof. The proof that the prover gives is accepted, a changed one never.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::tree::MemoryTree;
use tlog::{Hash, LeafIndex, leaf_hash, subset};

fuzz_target!(|input: (u8, Vec<u8>, u8, Option<u8>)| {
    let (size, chosen, at, change) = input;
    let tree = tree_of(size);
    let Some(leaves) = chosen_leaves(&tree, chosen) else {
        return;
    };
    let indices: Vec<LeafIndex> = leaves.iter().map(|(index, _)| *index).collect();
    let mut proof = subset::prove(&indices, tree.size(), &tree).expect("the leaves are there");
    if let Some(change) = change {
        alter(&mut proof, usize::from(at), change);
    }
    let accepted = root_of(&tree, proof, &leaves) == Some(tree.root());
    assert_eq!(accepted, change.is_none());
});

fn tree_of(size: u8) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for leaf in 0..size {
        tree.push(leaf_hash(&[leaf]));
    }
    tree
}

/// The leaves that `chosen` names, in order and each once; none is not a choice.
fn chosen_leaves(tree: &MemoryTree, mut chosen: Vec<u8>) -> Option<Vec<(LeafIndex, Hash)>> {
    chosen.retain(|leaf| tree.size().contains(LeafIndex::new(u64::from(*leaf))));
    chosen.sort_unstable();
    chosen.dedup();
    let leaf = |leaf: u8| (LeafIndex::new(u64::from(leaf)), leaf_hash(&[leaf]));
    (!chosen.is_empty()).then(|| chosen.into_iter().map(leaf).collect())
}

/// Flips a bit, or takes a hash out, or puts one in.
fn alter(proof: &mut Vec<Hash>, at: usize, change: u8) {
    match (proof.get_mut(at), change) {
        (Some(_), 0) => drop(proof.remove(at)),
        (Some(hash), bit) => {
            let mut bytes = *hash.as_bytes();
            bytes[usize::from(bit) / 8] ^= 1 << (bit % 8);
            *hash = Hash::from_bytes(bytes);
        }
        (None, bit) => proof.push(leaf_hash(&[bit])),
    }
}

fn root_of(tree: &MemoryTree, proof: Vec<Hash>, leaves: &[(LeafIndex, Hash)]) -> Option<Hash> {
    let mut verifier = subset::Verifier::new(tree.size(), proof);
    for (index, hash) in leaves {
        verifier.push(*index, *hash).ok()?;
    }
    verifier.finish().ok()
}
