//! Every lie is refused, for its own reason, at the fault of who told it.

use std::collections::BTreeSet;

use ledger::codes::Class;
use ledger::verify::{Report, Status, Trust, verify};
use tests::lies::{Fault, Sample, all};

fn report(sample: &Sample) -> Report {
    let trust: Trust = sample.trust.parse().unwrap();
    verify(&sample.evidence, &trust, None)
}

/// What is said wrong of a sample, if anything is.
fn complaint(sample: &Sample) -> Option<String> {
    let report = report(sample);
    let complain = |what: &str| Some(format!("{}: {what}: {}", sample.name, found(&report)));
    if report.verdict != sample.verdict {
        return complain(&format!("the verdict is not {}", sample.verdict));
    }
    match sample.fault {
        None if report.count(Class::Problem) > 0 => complain("there are problems"),
        None => None,
        Some(fault) if !is_found(&fault, &report) => complain(&format!("no {fault:?}")),
        Some(_) => None,
    }
}

/// What was found, in a line.
fn found(report: &Report) -> String {
    let findings = report.findings.iter().map(|finding| {
        let (code, class, by) = (
            finding.refusal.code,
            finding.class.as_str(),
            finding.by.as_str(),
        );
        format!("{class} {code} by {by}")
    });
    let findings: BTreeSet<String> = findings.collect();
    format!("{}, {findings:?}", report.verdict)
}

fn is_found(fault: &Fault, report: &Report) -> bool {
    let fails =
        |check: &ledger::verify::Check| check.id == fault.check && check.status == Status::Fail;
    let says = |finding: &ledger::verify::Finding| {
        finding.refusal.code == fault.code && finding.by == fault.by
    };
    report.checks.iter().any(fails) && report.findings.iter().any(says)
}

#[test]
fn every_lie_is_refused_for_its_own_reason() {
    let complaints: Vec<String> = all().iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_sample_has_a_name_of_its_own() {
    let samples = all();
    let names: BTreeSet<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    assert_eq!(names.len(), samples.len());
    let lies = samples.iter().filter(|sample| sample.fault.is_some());
    assert!(lies.count() >= 40);
}
