//! Envelopes: what is accepted keeps its name and content when it is written.

#![no_main]

use ledger::envelope::Envelope;
use ledger::record::SignedRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(envelope) = Envelope::parse(input) else {
        return;
    };
    let written = envelope.to_json();
    let again = Envelope::parse(written.as_bytes()).expect("what is written is accepted");
    assert!(again == envelope);
    assert_eq!(again.to_json(), written);
    assert_eq!(again.record_hash(), envelope.record_hash());
    // Its payload may still be refused, but never by a panic.
    let _ = SignedRecord::from_envelope(envelope);
});
