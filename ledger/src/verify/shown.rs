//! Entries as a page shows them: decoded, by the rules that the verifier reads them by, and with their hashes.
//!
//! Nothing here is verified. What an entry says may be false, and stands beside a report that tells.

use std::str::from_utf8;

use tlog::LeafIndex;
use tlog::leaf_hash;
use tlog::proof::ProofFile;

use crate::codes::{Code, Refusal};
use crate::json::{Value, object};
use crate::leaf::Leaf;
use crate::pack::Line;
use crate::state_proof::{self, StateProof};

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
