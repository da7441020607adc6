//! Every code of the table is produced by something: a code that nothing produces is one that nobody has seen work.

use std::collections::BTreeSet;

use ledger::codes::{Code, Group, Party};
use ledger::verify::{Finding, Trust, verify};
use tests::lies::{Fault, aftermaths, all};

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

/// One bad record makes nobody else look guilty: beside whoever did it is at most the control plane, that should have
/// refused it, and no other agent.
#[test]
fn nobody_else_is_blamed() {
    let samples = all();
    let histories = samples
        .iter()
        .filter(|sample| sample.name.starts_with("history-"));
    let mut wronged = Vec::new();
    for sample in histories {
        let trust: Trust = sample.trust.parse().unwrap();
        let report = verify(&sample.evidence, &trust, None);
        let Fault { by, code, .. } = sample.fault.unwrap();
        for finding in &report.findings {
            let same = finding.by == by;
            let what_they_did = |other: &Finding| {
                let same = other.refusal.code == finding.refusal.code;
                same && other.index == finding.index && other.by == by
            };
            let let_in = finding.by == Party::Control && report.findings.iter().any(what_they_did);
            let of_another = finding
                .agent
                .as_ref()
                .is_some_and(|agent| agent.as_str() == "b");
            if !(same || let_in) || of_another && code != Code::KeyNotAgents {
                wronged.push(format!("{}: {finding:?}", sample.name));
            }
        }
    }
    assert!(wronged.is_empty(), "{}", wronged.join("\n"));
}

/// After what operators, control, the log or another agent did, an honest agent lives on and is not blamed for anything.
#[test]
fn what_others_did_is_not_held_against_an_agent() {
    let mut wronged = Vec::new();
    for sample in aftermaths() {
        let trust: Trust = sample.trust.parse().unwrap();
        let report = verify(&sample.evidence, &trust, None);
        let own = |finding: &&Finding| {
            let about = finding
                .agent
                .as_ref()
                .is_some_and(|agent| agent.as_str() == "a");
            about && finding.by == Party::Agent
        };
        wronged.extend(
            report
                .findings
                .iter()
                .find(own)
                .map(|finding| format!("{}: {finding:?}", sample.name)),
        );
    }
    assert!(wronged.is_empty(), "{}", wronged.join("\n"));
}
