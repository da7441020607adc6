//! What is asked of witnesses: what is accepted is written back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::witness::AddCheckpoint;

fuzz_target!(|text: &str| {
    let Ok(request) = AddCheckpoint::parse(text) else {
        return;
    };
    assert_eq!(request.to_string(), text);
});
