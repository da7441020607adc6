//! A report keeps to its published schema, and the schema lets nothing else pass.

mod fleet;

use fleet::Run;
use proving::fleet::Size;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../docs/report.schema.json");

fn faults(report: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let errors = validator.iter_errors(report);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn a_report_keeps_to_its_schema() {
    let run = Run::of(1, Size { days: 1, agents: 8 });
    let made = run.made(&run.terms(), &run.watch());
    let report: Value = serde_json::from_str(&made.json).expect("a report is JSON");
    assert_eq!(faults(&report), [""; 0]);
    assert!(!report["cases"].as_array().expect("cases").is_empty());

    for (pointer, wrong) in [
        ("/verdict", json!("fine")),
        ("/from_ms", json!(-1)),
        ("/cases/0/by", json!("nobody")),
        ("/cases/0/class", json!("boredom")),
        ("/cases/0/entries", json!("1, 2")),
        ("/difference/0/both", json!(0.5)),
        ("/mtboi", json!({})),
    ] {
        let mut changed = report.clone();
        *changed.pointer_mut(pointer).expect(pointer) = wrong;
        assert!(!faults(&changed).is_empty(), "{pointer}");
    }
    let mut more = report;
    more["made_ms"] = json!(1);
    assert!(!faults(&more).is_empty(), "a member that is not in it");
}
