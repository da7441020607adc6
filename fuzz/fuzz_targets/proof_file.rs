//! Proof files: what is accepted is written back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::proof::ProofFile;

fuzz_target!(|text: &str| {
    let Ok(proof) = ProofFile::parse(text) else {
        return;
    };
    assert_eq!(proof.to_string(), text);
});
