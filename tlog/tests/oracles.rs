//! The same roots, proofs and tiles as two implementations that others wrote.

use rs_merkle::{Hasher, MerkleTree};
use tlog::tile::{self, Edge, Tile, Width};
use tlog::tree::{MemoryTree, Node};
use tlog::{Hash, LeafIndex, TreeSize, consistency, inclusion, leaf_hash, node_hash, tree};

const SIZES: std::ops::RangeInclusive<u64> = 1..=300;

fn data(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

fn leaf(index: u64) -> Hash {
    leaf_hash(&data(index))
}

/// RFC 6962 for `rs_merkle`: an odd node is promoted as it is.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        *leaf_hash(data).as_bytes()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        let node = |right: &[u8; 32]| {
            let (left, right) = (Hash::from_bytes(*left), Hash::from_bytes(*right));
            *node_hash(&left, &right).as_bytes()
        };
        right.map_or(*left, node)
    }
}

#[test]
fn roots_and_single_proofs_are_those_of_rs_merkle() {
    let tree: MemoryTree = (0..*SIZES.end()).map(leaf).collect();
    for size in SIZES {
        let leaves: Vec<[u8; 32]> = (0..size).map(|index| Rfc6962::hash(&data(index))).collect();
        let other = MerkleTree::<Rfc6962>::from_leaves(&leaves);
        let root = tree::root(TreeSize::new(size), &tree).unwrap();
        assert_eq!(other.root(), Some(*root.as_bytes()));
        for index in 0..size {
            let position = usize::try_from(index).unwrap();
            let want = other.proof(&[position]);
            let proof =
                inclusion::prove(LeafIndex::new(index), TreeSize::new(size), &tree).unwrap();
            let proof: Vec<[u8; 32]> = proof.iter().map(|hash| *hash.as_bytes()).collect();
            assert_eq!(proof, want.proof_hashes());
        }
    }
}

/// Our tree, read as `tlog_tiles` reads stored hashes.
struct Stored<'a>(&'a MemoryTree);

impl tlog_tiles::HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let node = |stored: &u64| {
            let (level, index) = tlog_tiles::split_stored_hash_index(*stored);
            self.0.node(Node { level, index }).unwrap()
        };
        Ok(indexes.iter().map(node).map(theirs).collect())
    }
}

fn theirs(hash: Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash.as_bytes())
}

#[test]
fn proofs_are_those_of_tlog_tiles() {
    let tree: MemoryTree = (0..*SIZES.end()).map(leaf).collect();
    let stored = Stored(&tree);
    let root = |size| tree::root(TreeSize::new(size), &tree).unwrap();
    for new in SIZES {
        assert_eq!(
            tlog_tiles::tree_hash(new, &stored).unwrap(),
            theirs(root(new))
        );
        for old in 1..=new {
            let want = tlog_tiles::prove_tree(new, old, &stored).unwrap();
            let proof = consistency::prove(TreeSize::new(old), TreeSize::new(new), &tree).unwrap();
            let proof: Vec<_> = proof.into_iter().map(theirs).collect();
            assert_eq!(proof, want, "{old} to {new}");
            tlog_tiles::check_tree(&proof, new, theirs(root(new)), old, theirs(root(old))).unwrap();
        }
        for index in (0..new).step_by(7) {
            let want = tlog_tiles::prove_record(new, index, &stored).unwrap();
            let proof = inclusion::prove(LeafIndex::new(index), TreeSize::new(new), &tree).unwrap();
            assert_eq!(proof.into_iter().map(theirs).collect::<Vec<_>>(), want);
        }
    }
}

/// What a log with this edge has to serve beside its full tiles: the partial ones.
fn partial_tiles(edge: &Edge) -> Vec<(Tile, Vec<Hash>)> {
    let levels = (0..8).filter(|level| !edge.hashes(*level).is_empty());
    let partial = levels.map(|level| {
        let hashes = edge.hashes(level).to_vec();
        let width = Width::from_count(hashes.len()).unwrap();
        let index = edge.size().get() >> (8 * (u32::from(level) + 1));
        (
            Tile {
                level,
                index,
                width,
            },
            hashes,
        )
    });
    partial.collect()
}

#[test]
fn tiles_are_those_of_tlog_tiles() {
    let (mut edge, mut tree) = (Edge::new(), MemoryTree::new());
    let mut tiles = Vec::new();
    for index in 0..66_000 {
        tree.push(leaf(index));
        tiles.extend(edge.push(leaf(index)));
    }
    tiles.extend(partial_tiles(&edge));
    let mut want = tlog_tiles::Tile::new_tiles(8, 0, edge.size().get());
    assert_eq!(tiles.len(), want.len());
    tiles.sort_by_key(|(tile, _)| (tile.level, tile.index));
    want.sort_by_key(|tile| (tile.level(), tile.level_index()));
    for ((tile, hashes), want) in tiles.iter().zip(&want) {
        assert_eq!(tile.level, want.level());
        assert_eq!(tile.index, want.level_index());
        assert_eq!(u32::try_from(tile.width.count()).unwrap(), want.width());
        assert_eq!(
            tile::encode_hashes(hashes),
            want.read_data(&Stored(&tree)).unwrap()
        );
        assert!(tile.covered_by(edge.size()));
    }
}

#[test]
fn paths_are_those_of_tlog_tiles() {
    for (level, index, count) in [
        (0, 0, 256),
        (1, 999, 1),
        (5, 1_000, 255),
        (63, 123_456_789, 17),
    ] {
        let width = Width::from_count(count).unwrap();
        let path = Tile {
            level,
            index,
            width,
        }
        .to_string();
        let want = tlog_tiles::Tile::new(8, level, index, u32::try_from(count).unwrap(), false);
        // Theirs names the height, as Go's does: tile/8/<L>/…
        let theirs = want.path();
        let tail = |path: &str| {
            path.trim_start_matches('/')
                .trim_start_matches("tile/")
                .to_owned()
        };
        assert_eq!(
            tail(&path),
            tail(&theirs).trim_start_matches("8/"),
            "{theirs}"
        );
    }
}
