//! Leaves: what is accepted is written back unchanged, byte for byte.

#![no_main]

use ledger::leaf::Leaf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(leaf) = Leaf::parse(input) else { return };
    assert_eq!(leaf.to_bytes(), input);
});
