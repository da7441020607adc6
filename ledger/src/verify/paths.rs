//! The path from any leaf of a pack to the root, to show it.

use tlog::{Hash, LeafIndex, ProofError, TreeSize, subset};

use crate::verify::report::TraceStep;

/// What is needed to show the path of each leaf of a pack: 40 bytes per leaf.
///
/// There is one only if the log signed the checkpoint. Where the leaves are not in its tree, their ways lead to another root;
/// the report says which of the two it is.
#[derive(Clone, Debug)]
pub struct Paths {
    size: TreeSize,
    root: Hash,
    proof: Vec<Hash>,
    leaves: Vec<(LeafIndex, Hash)>,
}

impl Paths {
    /// The steps from a leaf to the root, as the verifier of all leaves took them.
    ///
    /// # Errors
    /// [`ProofError::IndexNotProven`] if the leaf is not of the pack.
    pub fn of(&self, index: LeafIndex) -> Result<Vec<TraceStep>, ProofError> {
        let at = self.leaves.binary_search_by_key(&index, |leaf| leaf.0);
        let leaf = at.ok().and_then(|at| self.leaves.get(at));
        let (_, leaf) = leaf.ok_or(ProofError::IndexNotProven { index })?;
        let steps = subset::path(&self.proof, self.size, &self.leaves, &self.root, index)?;
        let joins = steps.into_iter().map(TraceStep::Join);
        Ok([TraceStep::Leaf(*leaf)].into_iter().chain(joins).collect())
    }
}

/// The paths of a pack while its leaves stream by.
#[derive(Debug)]
pub(super) struct Keeper {
    size: TreeSize,
    proof: Vec<Hash>,
    leaves: Vec<(LeafIndex, Hash)>,
}

impl Keeper {
    pub(super) const fn new(size: TreeSize, proof: Vec<Hash>) -> Self {
        Self {
            size,
            proof,
            leaves: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, index: LeafIndex, leaf: Hash) {
        self.leaves.push((index, leaf));
    }

    /// The caller says that the proof leads from these leaves to this root.
    pub(super) fn leading_to(self, root: Hash) -> Paths {
        Paths {
            size: self.size,
            root,
            proof: self.proof,
            leaves: self.leaves,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{CheckId, Report, Status, Trust, Verifier};

    fn verified(pack: &str) -> (Report, Option<Paths>) {
        let trust: Trust = include_str!("golden/trust.json").parse().unwrap();
        let mut verifier = Verifier::keeping_paths(trust);
        verifier.push(pack.as_bytes());
        verifier.finish_with_paths()
    }

    fn golden() -> serde_json::Value {
        serde_json::from_str(include_str!("../../tests/golden.json")).unwrap()
    }

    #[test]
    fn the_path_of_each_leaf_leads_from_it_to_the_root() {
        let golden = golden();
        let paths = verified(golden["pack"].as_str().unwrap()).1.unwrap();
        for (at, record) in (0..).zip(golden["records"].as_array().unwrap()) {
            let steps = paths.of(LeafIndex::new(at)).unwrap();
            let first = steps.first().unwrap().hash().to_string();
            assert_eq!(first, record["leaf_hash"].as_str().unwrap());
            let last = steps.last().unwrap().hash().to_string();
            assert_eq!(last, golden["roots"][16]["root"].as_str().unwrap());
        }
        let index = LeafIndex::new(16);
        let error = paths.of(index).unwrap_err();
        assert_eq!(error, ProofError::IndexNotProven { index });
    }

    #[test]
    fn the_path_in_a_pack_is_the_trace_of_the_proof_file() {
        let golden = golden();
        let paths = verified(golden["pack"].as_str().unwrap()).1.unwrap();
        let (report, none) = verified(golden["proof_file_of_6"].as_str().unwrap());
        assert_eq!(report.trace, paths.of(LeafIndex::new(6)).ok());
        assert!(none.is_none());
    }

    #[test]
    fn leaves_that_are_not_in_the_tree_lead_to_another_root() {
        let golden = golden();
        let pack = golden["pack"].as_str().unwrap();
        let other = pack.replacen("1764000005005", "1764000005006", 1);
        assert_ne!(pack, other);
        let (report, paths) = verified(&other);
        let inclusion = report.check(CheckId::Inclusion).unwrap();
        assert_eq!(inclusion.status, Status::Fail);
        let steps = paths.unwrap().of(LeafIndex::new(6)).unwrap();
        let root = golden["roots"][16]["root"].as_str().unwrap();
        assert_ne!(steps.last().unwrap().hash().to_string(), root);
    }
}
