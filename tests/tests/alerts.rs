//! The alert rules of docs/operations.md: they are rules, each says what to do, and each metric in them is exported.

use std::collections::BTreeSet;
use std::path::Path;

use tests::{World, read};
use yaml_rust2::{Yaml, YamlLoader};

/// What Prometheus makes of a histogram.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

fn document() -> String {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md"))
}

/// The rules: their names and expressions.
fn rules(document: &str) -> Vec<(String, String)> {
    let (_, rest) = document.split_once("```yaml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let yaml = YamlLoader::load_from_str(text).unwrap().remove(0);
    let groups = yaml["groups"].as_vec().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().unwrap());
    rules.map(rule).collect()
}

fn rule(rule: &Yaml) -> (String, String) {
    let severity = rule["labels"]["severity"].as_str().unwrap();
    assert!(["page", "ticket"].contains(&severity), "{severity}");
    let text = |member: &str| rule[member].as_str().unwrap().to_owned();
    (text("alert"), text("expr"))
}

/// The metrics of ours that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("dragonsd_")).collect()
}

/// A metric without what Prometheus adds for a histogram.
fn base(name: &str) -> &str {
    let whole = PARTS.iter().find_map(|part| name.strip_suffix(part));
    whole.unwrap_or(name)
}

/// A service in which everything that is measured has happened once.
fn scrape() -> String {
    let mut world = World::new();
    let key = world.service.key("webhook");
    std::fs::copy(world.service.scratch("agent.pem"), key).unwrap();
    // Nobody listens there, so an attempt fails.
    let settings =
        "[[webhooks]]\nname = \"ops\"\nurl = \"http://127.0.0.1:9/\"\nallow_private = true\n";
    let file = world.service.scratch("dragonsd.toml");
    std::fs::write(&file, settings).unwrap();
    world.service.stop();
    let mut command = world.service.serve_command();
    command.arg("--config").arg(file);
    let anchor = world.service.scratch("anchor");
    command.arg("--anchor").arg(anchor);
    world.service.start_by(command);
    world.succeed(world.shell(r#"dragons tell '{"intent":{"scope":"read:secrets"}}'; true"#));
    let until = |name: &str| {
        let mut metrics = world.service.metrics();
        while !metrics.contains(name) {
            std::thread::yield_now();
            metrics = world.service.metrics();
        }
        metrics
    };
    until("dragonsd_agents{");
    until("dragonsd_duty_lateness_seconds_bucket");
    until("dragonsd_anchor_size_leaves");
    until("dragonsd_webhook_deliveries_total")
}

#[test]
fn each_rule_is_one_and_is_explained() {
    let document = document();
    let rules = rules(&document);
    assert!(rules.len() >= 10);
    let (_, table) = document.split_once("| alert | what to do |").unwrap();
    let rows: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let names: BTreeSet<&str> = rules.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, rows);
    assert_eq!(names.len(), rules.len());
}

#[test]
fn each_metric_that_is_documented_is_exported() {
    let document = document();
    let metrics = scrape();
    let exported: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let documented: BTreeSet<&str> = named(&document).into_iter().map(base).collect();
    let missing: Vec<&&str> = documented.difference(&exported).collect();
    assert!(missing.is_empty(), "{missing:?} of:\n{metrics}");
    for (name, expression) in rules(&document) {
        let is_known = |metric: &str| documented.contains(base(metric));
        assert!(named(&expression).into_iter().all(is_known), "{name}");
    }
}
