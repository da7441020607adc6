//! The strict reader: what it accepts is written in one way, which it reads as
//! the same value; and a reader written by others reads it too.

#![no_main]

use ledger::json::Value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(value) = Value::parse(input) else {
        return;
    };
    let written = value.to_json();
    assert_eq!(Value::parse(written.as_bytes()), Ok(value));
    let theirs: serde_json::Value = serde_json::from_slice(input).expect("strict JSON is JSON");
    let again: serde_json::Value = serde_json::from_str(&written).expect("so is what we write");
    assert_eq!(theirs, again);
});
