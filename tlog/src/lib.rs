//! A transparency log in the C2SP formats: the tree, its proofs, its tiles, and the signed text around them.
//!
//! The tree is the Merkle tree of RFC 6962 §2.1 over SHA-256. A log of `n` leaves `D[0:n]` has the root
//!
//! ```text
//! MTH(D[0:0]) = SHA-256("")
//! MTH(D[0:1]) = SHA-256(0x00 ‖ D[0])
//! MTH(D[0:n]) = SHA-256(0x01 ‖ MTH(D[0:k]) ‖ MTH(D[k:n]))      k the largest power of two below n
//! ```
//!
//! so a complete subtree never changes once its last leaf is there. Everything else follows from that: an
//! [`inclusion`] proof is the siblings on the way from a leaf to the root, a [`consistency`] proof is what two
//! trees share and what the newer one added, a [`subset`] proof is whatever the chosen leaves do not yield
//! themselves, and a [`tile`] is 256 neighbouring hashes of every eighth level, served as a plain file.
//!
//! A log says what its tree is with a [`checkpoint`], a signed [`note`]; witnesses add a [`cosignature`]; a
//! [`policy`] says whose signatures are enough; a [`proof`] file holds all that one leaf needs; a [`witness`] is asked
//! for its cosignature in a text of its own.
//!
//! In scope: those formats, made and verified. Out of scope: storage, networks, time, randomness, and what
//! the leaves mean. The crate does no I/O, so the same code runs in the service, in a command and in a browser.
//! Provers ask a [`HashReader`](tree::HashReader) for stored hashes, all of a proof in one call. Verifiers
//! are functions of their arguments, and what was verified has another type from what was only parsed.
//!
//! ```
//! use tlog::{LeafIndex, TreeSize, inclusion, leaf_hash, tree::MemoryTree};
//!
//! // Three leaves, so the tree is node(node(a, b), c).
//! let mut tree = MemoryTree::new();
//! for leaf in ["a", "b", "c"] {
//!     tree.push(leaf_hash(leaf.as_bytes()));
//! }
//! let (index, size) = (LeafIndex::new(1), TreeSize::new(3));
//!
//! // The log proves that leaf 1 is "b": the sibling "a", then the right half of the tree, "c".
//! let proof = inclusion::prove(index, size, &tree)?;
//! assert_eq!(proof, [leaf_hash(b"a"), leaf_hash(b"c")]);
//!
//! // Anyone who has the root from a signed checkpoint checks it, and sees each step.
//! let steps = inclusion::verify(&proof, index, size, &leaf_hash(b"b"), &tree.root())?;
//! assert_eq!(steps.len(), 2);
//! assert_eq!(steps[1].parent, tree.root());
//!
//! // The same proof does not hold for another leaf.
//! assert!(inclusion::verify(&proof, index, size, &leaf_hash(b"x"), &tree.root()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod base64;

pub mod checkpoint;
pub mod consistency;
pub mod cosignature;
mod count;
mod decimal;
mod error;
pub mod hash;
pub mod inclusion;

pub mod note;
pub mod policy;
pub mod proof;
mod span;
mod step;
pub mod subset;
pub mod tile;
pub mod tree;
pub mod witness;

pub use count::{LeafIndex, TreeSize};
pub use error::{ProofError, ProveError};
pub use hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
pub use step::{Side, Step};
