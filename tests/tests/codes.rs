//! Every code of the table is produced by something: a code that nothing produces is one that nobody has seen work.

use std::collections::BTreeSet;

use ledger::codes::{Code, Group};
use ledger::verify::{Trust, verify};
use tests::lies::all;

/// A new code belongs to a group; all but the service's own answers are found by a verification of evidence that is kept
/// in `tests::lies`. The wasm verifier is fed with the same evidence.
#[test]
fn every_code_is_found_in_some_evidence() {
    let mut found = BTreeSet::new();
    for sample in all() {
        let trust: Trust = sample.trust.parse().unwrap();
        let report = verify(&sample.evidence, &trust, None);
        let expected = sample.fault.map(|fault| fault.code);
        let codes = report.findings.iter().map(|finding| finding.refusal.code);
        // Only what a sample is about: what else is found beside it is nobody's promise.
        found.extend(codes.filter(|code| Some(*code) == expected));
    }
    let groups = Group::ALL.iter().filter(|group| **group != Group::Service);
    let all = groups.flat_map(|group| group.codes()).copied();
    let missed: Vec<Code> = all.filter(|code| !found.contains(code)).collect();
    assert_eq!(missed, []);
}
