//! `web/samples/` is what its generator makes, and each sample comes to what it says.
//!
//! After a change of the generator, `WRITE_SAMPLES=1 cargo test -p tests --test samples` writes the files again.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use ledger::codes::Class;
use ledger::verify::{Report, Verdict, verify};
use tests::samples::{self, Sample};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../web/samples"))
}

fn report(sample: &Sample) -> Report {
    verify(sample.evidence.as_bytes(), &sample.trust.trust(), None)
}

#[test]
fn the_files_are_what_the_generator_makes() {
    let files = samples::files();
    if std::env::var_os("WRITE_SAMPLES").is_some() {
        for (name, content) in &files {
            fs::write(folder().join(name), content).unwrap();
        }
    }
    for (name, content) in &files {
        let there = fs::read_to_string(folder().join(name)).unwrap_or_default();
        assert!(
            there == *content,
            "web/samples/{name} is not what the generator makes"
        );
    }
    let there: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        there,
        files.keys().map(Into::into).collect(),
        "the files of web/samples"
    );
}

#[test]
fn what_holds_has_no_problem() {
    for sample in samples::all().iter().filter(|sample| sample.code.is_none()) {
        let report = report(sample);
        assert_eq!(
            report.count(Class::Problem),
            0,
            "{}: {:?}",
            sample.file,
            report.findings
        );
        assert_ne!(report.verdict, Verdict::Failed, "{}", sample.file);
    }
}

#[test]
fn what_is_broken_fails_for_its_own_reason() {
    let broken: Vec<Sample> = samples::all()
        .into_iter()
        .filter(|sample| sample.code.is_some())
        .collect();
    for sample in &broken {
        let report = report(sample);
        assert_eq!(report.verdict, Verdict::Failed, "{}", sample.file);
        let codes: Vec<_> = report
            .findings
            .iter()
            .map(|finding| finding.refusal.code.as_str())
            .collect();
        assert!(
            codes.contains(&sample.code.unwrap()),
            "{}: {codes:?}",
            sample.file
        );
    }
    let reasons: BTreeSet<_> = broken.iter().map(|sample| sample.code).collect();
    assert_eq!(
        reasons.len(),
        broken.len(),
        "two samples are broken in the same way"
    );
}
