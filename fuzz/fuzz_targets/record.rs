//! Payloads: the first byte chooses the kind, the rest is the payload. What is
//! accepted is written in one way, which is read as the same record.

#![no_main]

use ledger::record::{Kind, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, payload)) = input.split_first() else {
        return;
    };
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    let Ok(record) = Record::parse(kind, payload) else {
        return;
    };
    let written = record.to_payload();
    let again = Record::parse(kind, written.as_bytes()).expect("what is written is accepted");
    assert_eq!(again, record);
    assert_eq!(again.to_payload(), written);
});
