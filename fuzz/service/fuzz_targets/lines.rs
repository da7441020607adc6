//! Bodies of many records. What is split into lines is joined to the same body again, but for a last line break, and each
//! line that is a record is the same record alone.

#![no_main]

use ledger::record::SignedRecord;
use libfuzzer_sys::fuzz_target;
use server::http::hostile;

fuzz_target!(|body: &[u8]| {
    let Some(lines) = hostile::lines(body) else {
        let lines = body.iter().filter(|byte| **byte == b'\n').count();
        assert!(body.is_empty() || lines >= 4_096, "a body was refused");
        return;
    };
    let joined = lines.join(&b'\n');
    assert_eq!(joined, body.strip_suffix(b"\n").unwrap_or(body));
    for line in lines {
        let Ok(record) = SignedRecord::parse(&line) else {
            continue;
        };
        let again = SignedRecord::parse(record.envelope().to_json().as_bytes());
        assert_eq!(again.expect("what is written is read").hash(), record.hash());
    }
});
