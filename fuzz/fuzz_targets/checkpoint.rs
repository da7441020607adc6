//! Checkpoints, signed and not: what is accepted is written back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};

fuzz_target!(|text: &str| {
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(signed) = SignedCheckpoint::parse(text) {
        assert_eq!(signed.to_string(), text);
        assert_eq!(signed.unverified().to_string(), signed.note().text());
    }
});
