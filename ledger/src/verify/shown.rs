//! Entries as a page shows them: decoded, by the rules that the verifier reads them by, and with their hashes.
//!
//! Nothing here is verified. What an entry says may be false, and is beside a report that tells.

use std::str::from_utf8;

use tlog::proof::ProofFile;
use tlog::{Hash, LeafIndex, ProofError, TreeSize, inclusion, leaf_hash};

use crate::codes::{Code, Refusal};
use crate::json::{Value, object};
use crate::leaf::Leaf;
use crate::pack::Line;
use crate::state_proof::{self, StateProof};
use crate::verify::report::TraceStep;

/// Decodes the entry in a line of a pack, LF included.
///
/// # Errors
/// Those of [`Line::parse`] and [`Leaf::parse`]; `pack-order` for a line of another sort.
pub fn entry_of_line(line: &[u8]) -> Result<Value, Refusal> {
    match Line::parse(line)? {
        Line::Leaf(entry) => decode(entry.index, entry.leaf.as_bytes()),
        _ => Err(Code::PackOrder.because("the line holds no leaf")),
    }
}

/// Decodes the entry that a proof file has in `extra`, or the pulse of a state proof.
///
/// # Errors
/// `proof-malformed` if there is none, otherwise those of [`StateProof::parse`] and [`Leaf::parse`].
pub fn entry_of_proof(file: &[u8]) -> Result<Value, Refusal> {
    let text = from_utf8(file).map_err(|error| Code::ProofMalformed.because(error))?;
    if file.starts_with(state_proof::START) {
        let pulse = StateProof::parse(text)?.pulse;
        return decode(pulse.index, pulse.leaf.as_bytes());
    }
    let file = ProofFile::parse(text).map_err(|error| Code::ProofMalformed.because(error))?;
    let missing = || Code::ProofMalformed.because("the file does not hold the leaf");
    decode(file.index, &file.extra.ok_or_else(missing)?)
}

/// The steps that hashes lead to from an entry, whatever root they come to: for a way that leads elsewhere than to the
/// root that the log signed, and for an entry of which somebody changes a byte to see what follows.
///
/// # Errors
/// Those of [`inclusion::verify`] but a root mismatch.
pub fn path_from(
    leaf: &[u8],
    index: LeafIndex,
    size: TreeSize,
    hashes: &[Hash],
) -> Result<Vec<TraceStep>, ProofError> {
    let leaf = leaf_hash(leaf);
    let to = |root: &Hash| inclusion::verify(hashes, index, size, &leaf, root);
    let joins = match to(&leaf) {
        Err(ProofError::RootMismatch { computed, .. }) => to(&computed)?,
        joins => joins?,
    };
    let joins = joins.into_iter().map(TraceStep::Join);
    Ok([TraceStep::Leaf(leaf)].into_iter().chain(joins).collect())
}

fn decode(index: LeafIndex, bytes: &[u8]) -> Result<Value, Refusal> {
    let leaf = Leaf::parse(bytes)?;
    let envelope = leaf.envelope();
    Ok(object([
        ("index", index.get().into()),
        ("received_ms", leaf.received_ms().into()),
        ("record", envelope.record_hash().into()),
        ("kind", envelope.kind().as_str().into()),
        ("leaf_hash", leaf_hash(bytes).to_string().into()),
        ("payload", Value::parse(envelope.payload())?),
        ("envelope", envelope.to_value()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> serde_json::Value {
        serde_json::from_str(include_str!("../../tests/golden.json")).unwrap()
    }

    fn decoded(value: Result<Value, Refusal>) -> serde_json::Value {
        serde_json::from_str(&value.unwrap().to_json()).unwrap()
    }

    #[test]
    fn an_entry_is_the_same_from_a_pack_and_from_a_proof_file() {
        let golden = golden();
        let line = golden["pack"].as_str().unwrap().split_inclusive('\n');
        let line = line.skip(3).nth(6).unwrap();
        let of_line = decoded(entry_of_line(line.as_bytes()));
        let proof = golden["proof_file_of_6"].as_str().unwrap();
        assert_eq!(of_line, decoded(entry_of_proof(proof.as_bytes())));
        let record = &golden["records"][6];
        for member in ["index", "kind", "record", "leaf_hash"] {
            assert_eq!(of_line[member], record[member], "{member}");
        }
        let payload: serde_json::Value =
            serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
        assert_eq!(of_line["payload"], payload);
    }

    #[test]
    fn a_way_is_shown_wherever_it_leads() {
        let golden = golden();
        let file = ProofFile::parse(golden["proof_file_of_6"].as_str().unwrap()).unwrap();
        let leaf = file.extra.unwrap();
        let size = TreeSize::new(16);
        let steps = path_from(&leaf, file.index, size, &file.hashes).unwrap();
        let root = golden["roots"][16]["root"].as_str().unwrap();
        assert_eq!(steps.last().unwrap().hash().to_string(), root);
        let other = [&leaf[..], b" "].concat();
        let others = path_from(&other, file.index, size, &file.hashes).unwrap();
        let pairs = steps.iter().zip(&others);
        assert_eq!(steps.len(), others.len());
        assert!(
            pairs
                .into_iter()
                .all(|(one, other)| one.hash() != other.hash())
        );
        let beyond = LeafIndex::new(16);
        assert!(path_from(&leaf, beyond, size, &file.hashes).is_err());
    }

    #[test]
    fn what_holds_no_entry_is_refused() {
        let golden = golden();
        let head = golden["pack"]
            .as_str()
            .unwrap()
            .split_inclusive('\n')
            .next();
        let refused = entry_of_line(head.unwrap().as_bytes()).unwrap_err();
        assert_eq!(refused.code, Code::PackOrder);
        let refused = entry_of_proof(b"c2sp.org/tlog-proof@v1\n").unwrap_err();
        assert_eq!(refused.code, Code::ProofMalformed);
    }
}
