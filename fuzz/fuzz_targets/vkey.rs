//! Verifier keys: what is accepted is written back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::note::VerifierKey;

fuzz_target!(|text: &str| {
    let Ok(key) = VerifierKey::parse(text) else {
        return;
    };
    assert_eq!(key.to_string(), text);
});
