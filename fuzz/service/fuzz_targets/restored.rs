//! Marks of restored folders, and the checkpoints that are shown to them: what is accepted is written in one way, which
//! is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use server::backup::restored::Marker;

fuzz_target!(|input: &[u8]| {
    let Ok(marker) = Marker::parse(input) else {
        return;
    };
    let written = marker.to_json();
    let again = Marker::parse(written.as_bytes()).expect("what is written is accepted");
    assert_eq!(again, marker);
    assert_eq!(again.to_json(), written);
});
