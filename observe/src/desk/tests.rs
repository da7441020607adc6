use watchdogs::config::Observe;

use super::*;
use crate::intake::Intake;
use crate::otlp::body;
use crate::otlp::{Encoding, Signal};

const RULES: &str = r#"
    [[map]]
    source = "otlp"
    where = { service.name = "claude-code" }
    agent = "coder"
"#;

const SPANS: &[u8] =
    include_bytes!("../../../tests/samples/otlp/claude-code-2.1.332-002-traces.json");
const EVENTS: &[u8] =
    include_bytes!("../../../tests/samples/otlp/claude-code-2.1.332-001-logs.json");

fn desk(rules: &str) -> Desk {
    let observe = Observe::parse(rules.as_bytes()).unwrap();
    let log = RecordHash::new(ledger::digest::Digest::of(&[b"log"]));
    Desk::new(observe.rules, log, Kept::default())
}

fn found(desk: &Desk, signal: Signal, bytes: &[u8]) -> Found {
    let intake = Intake::new("otlp".parse().unwrap(), &desk.rules);
    intake.read(&body::read(signal, Encoding::Json, bytes).unwrap())
}

/// Takes what was found, as a spool would. Gives what is to be logged.
fn take(desk: &mut Desk, found: Found) -> (Vec<Observation>, u64) {
    let plan = desk.plan(found, 1);
    plan.lines.iter().for_each(|line| desk.apply(line));
    let observations = plan.lines.iter().filter_map(|line| match line {
        Line::Observation { payload, .. } => line::observation(payload),
        _ => None,
    });
    (observations.collect(), plan.duplicates)
}

fn told(observations: &[Observation]) -> Vec<(&str, Event, Option<SeenStatus>)> {
    let told = observations.iter().map(|it| {
        let call = it.call.as_ref().map_or("", |call| call.as_str());
        (call, it.event, it.status)
    });
    told.collect()
}

#[test]
fn what_is_sent_twice_or_in_two_ways_is_logged_once() {
    let mut desk = desk(RULES);
    let spans = found(&desk, Signal::Traces, SPANS);
    let (first, duplicates) = take(&mut desk, spans);
    assert_eq!(
        told(&first),
        [
            ("toolu_0_0", Event::ToolEnded, Some(SeenStatus::Ok)),
            ("toolu_1_0", Event::ToolEnded, Some(SeenStatus::Error)),
            ("toolu_2_0", Event::ToolDenied, Some(SeenStatus::Denied)),
        ]
    );
    assert_eq!(duplicates, 0);
    let again = found(&desk, Signal::Traces, SPANS);
    assert_eq!(take(&mut desk, again), (vec![], 3));
    let events = found(&desk, Signal::Logs, EVENTS);
    assert_eq!(take(&mut desk, events), (vec![], 2));
}

#[test]
fn the_same_name_with_other_content_is_logged_too() {
    let mut desk = desk(RULES);
    let spans = found(&desk, Signal::Traces, SPANS);
    take(&mut desk, spans);
    let mut later = found(&desk, Signal::Traces, SPANS);
    later.sightings.truncate(1);
    later.sightings[0].notice.alert.opened_ms += 1;
    assert_eq!(take(&mut desk, later).0.len(), 1);
}

/// The spans of the sample in two requests: those of a kind, and the others.
fn parted(desk: &Desk, is_first: impl Fn(&str) -> bool) -> [Found; 2] {
    let part = |want: bool| {
        let mut body: serde_json::Value = serde_json::from_slice(SPANS).unwrap();
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
            .as_array_mut()
            .unwrap();
        spans.retain(|span| is_first(span["name"].as_str().unwrap()) == want);
        found(desk, Signal::Traces, body.to_string().as_bytes())
    };
    [part(true), part(false)]
}

#[test]
fn a_child_in_a_request_before_its_parent_says_what_became_of_it() {
    let mut desk = desk(RULES);
    let [children, tools] = parted(&desk, |name| name.starts_with("claude_code.tool."));
    assert_eq!(take(&mut desk, children).0, []);
    let (observations, _) = take(&mut desk, tools);
    let status: Vec<_> = observations.iter().map(|it| it.status).collect();
    let expected = [SeenStatus::Ok, SeenStatus::Error, SeenStatus::Denied].map(Some);
    assert_eq!(status, expected);
}

#[test]
fn a_child_in_a_request_after_its_parent_has_it_said_again() {
    let mut desk = desk(RULES);
    let [tools, children] = parted(&desk, |name| name == "claude_code.tool");
    assert_eq!(take(&mut desk, tools).0.len(), 3);
    let (observations, _) = take(&mut desk, children);
    let mut again = told(&observations);
    again.sort_unstable_by_key(|(call, _, _)| *call);
    assert_eq!(
        again,
        [
            ("toolu_1_0", Event::ToolEnded, Some(SeenStatus::Error)),
            ("toolu_2_0", Event::ToolDenied, Some(SeenStatus::Denied)),
        ]
    );
}

#[test]
fn what_no_rule_maps_is_listed_once_and_counted() {
    let mut desk = desk("");
    for duplicates in [0, 3] {
        let spans = found(&desk, Signal::Traces, SPANS);
        let plan = desk.plan(spans, 1);
        assert_eq!(plan.duplicates, duplicates);
        let unmapped = plan
            .lines
            .iter()
            .filter(|it| matches!(it, Line::Unmapped(_)));
        assert_eq!(unmapped.count() as u64, 3 - duplicates);
        plan.lines.iter().for_each(|line| desk.apply(line));
    }
    assert_eq!(desk.tally().unmapped["otlp"], 3);
}

#[test]
fn attributes_do_not_enter_a_line() {
    let desk = desk(RULES);
    let plan = desk.plan(found(&desk, Signal::Traces, SPANS), 1);
    let written = serde_json::to_string(&plan.lines).unwrap();
    for attribute in [
        "cat a.txt",
        "rm -rf b",
        "user.id",
        "f1d79e43",
        "claude-opus",
    ] {
        assert!(
            String::from_utf8_lossy(SPANS).contains(attribute),
            "{attribute}"
        );
        assert!(!written.contains(attribute), "{attribute}");
    }
}

#[test]
fn a_hole_in_a_counter_becomes_a_gap_of_the_source() {
    let mut desk = desk(RULES);
    let mut body: serde_json::Value = serde_json::from_slice(EVENTS).unwrap();
    let records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        .as_array_mut()
        .unwrap();
    records.drain(3..6);
    let events = found(&desk, Signal::Logs, body.to_string().as_bytes());
    take(&mut desk, events);
    assert!(desk.due(1).0.is_empty());
    let (gaps, plan) = desk.due(1 + crate::gap::PATIENCE_MS);
    let [Line::Observation { payload, .. }] = plan.lines.as_slice() else {
        panic!("{:?}", plan.lines);
    };
    let gap = line::observation(payload).unwrap();
    assert_eq!((gap.event, gap.agent.as_str()), (Event::SourceGap, "coder"));
    assert!(
        gap.source_id.as_str().ends_with("/3-5"),
        "{}",
        gap.source_id
    );
    assert!(
        gap.detail.as_str().starts_with("monitor=3+20missing"),
        "{}",
        gap.detail
    );
    plan.lines.iter().for_each(|line| desk.apply(line));
    desk.settle(&gaps);
    assert!(desk.due(1_000_000).0.is_empty());
}

#[test]
fn what_is_kept_is_known_again() {
    let mut one = desk(RULES);
    let spans = found(&one, Signal::Traces, SPANS);
    take(&mut one, spans);
    let kept = serde_json::to_string(&one.kept()).unwrap();
    let kept = serde_json::from_str(&kept).unwrap();
    let mut other = Desk::new(one.rules.clone(), one.log, kept);
    let spans = found(&other, Signal::Traces, SPANS);
    assert_eq!(take(&mut other, spans), (vec![], 3));
    assert_eq!(other.tally(), one.tally());
}

/// A webhook's body, as a spool would take it.
fn hooked(source: &str, form: watchdogs::import::Form, body: &str) -> Found {
    let source = source.parse().unwrap();
    crate::receive::found(form.read(&source, body.as_bytes()).unwrap())
}

#[test]
fn a_cycle_of_datadog_opens_once_and_its_end_does_not_say_when_it_began() {
    let mut desk = desk("[[map]]\nsource = \"datadog\"\nagent = \"worker\"");
    let mut say = |transition: &str, kind: &str, at_ms: u64| {
        let body = format!(
            r#"{{"cycle":"c-1","transition":"{transition}","type":"{kind}","monitor":"m","at_ms":{at_ms}}}"#
        );
        let form = watchdogs::import::Form::DatadogWebhook;
        let (told, duplicates) = take(&mut desk, hooked("datadog", form, &body));
        let told = told
            .iter()
            .map(|it| (it.event, it.began_ms, it.ended_ms))
            .collect::<Vec<_>>();
        (told, duplicates)
    };
    let opened = (Event::AlertOpened, Some(1_000), None);
    assert_eq!(say("Triggered", "error", 1_000), (vec![opened], 0));
    assert_eq!(say("Re-Triggered", "error", 2_000), (vec![], 1));
    let closed = (Event::AlertClosed, None, Some(3_000));
    assert_eq!(say("Recovered", "success", 3_000), (vec![closed], 1));
    assert_eq!(say("Recovered", "success", 3_000), (vec![], 2));
}

#[test]
fn a_cycle_that_was_open_before_anybody_listened_opens_when_it_is_heard_of() {
    let mut desk = desk("[[map]]\nsource = \"datadog\"\nagent = \"worker\"");
    let body =
        r#"{"cycle":"c-1","transition":"Recovered","type":"success","monitor":"m","at_ms":5}"#;
    let form = watchdogs::import::Form::DatadogWebhook;
    let (told, _) = take(&mut desk, hooked("datadog", form, body));
    let events: Vec<_> = told.iter().map(|it| (it.event, it.began_ms)).collect();
    let expected = [(Event::AlertOpened, Some(5)), (Event::AlertClosed, Some(5))];
    assert_eq!(events, expected);
}

#[test]
fn a_gap_of_nobody_concerns_every_agent_that_its_source_has_spoken_of() {
    let mut desk = desk(
        "[[map]]\nsource = \"alertmanager\"\nwhere = { alertname = \"AgentHeartbeatMissing\", agent = \"reconciler\" }\nagent = \"r\"\n\
         [[map]]\nsource = \"alertmanager\"\nwhere = { alertname = \"Stuck\" }\nagent = \"{agent}\"",
    );
    const FIRING: &str =
        include_str!("../../../tests/samples/alerts/alertmanager-0.25-webhook-1.json");
    let form = watchdogs::import::Form::AlertmanagerWebhook;
    take(&mut desk, hooked("alertmanager", form, FIRING));
    // Another group, of which no rule says the agent where one alone is meant by its labels.
    let cut = r#"{"version":"4","groupKey":"g","truncatedAlerts":2,"alerts":[{"status":"firing",
        "labels":{"alertname":"Stuck","agent":"payer"},"startsAt":"2026-11-29T20:00:00Z","fingerprint":"f"}]}"#;
    let (told, _) = take(&mut desk, hooked("alertmanager", form, cut));
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.agent.as_str(), it.event))
        .collect();
    let gap = Event::SourceGap;
    assert_eq!(
        told,
        [("payer", Event::AlertOpened), ("payer", gap), ("r", gap)]
    );
    assert_eq!(
        take(&mut desk, hooked("alertmanager", form, cut)),
        (vec![], 3)
    );
}

const CODEX: [&[u8]; 2] = [
    include_bytes!("../../../tests/samples/otlp/codex-0.171.0-001-logs.json"),
    include_bytes!("../../../tests/samples/otlp/codex-0.171.0-004-logs.json"),
];

#[test]
fn codex_numbers_its_results_and_a_number_that_is_missing_is_a_gap() {
    let rules =
        "[[map]]\nsource = \"otlp\"\nwhere = { service.name = \"codex_exec\" }\nagent = \"coder\"";
    let late = crate::gap::PATIENCE_MS + 1;
    let mut whole = desk(rules);
    for body in CODEX {
        let found = found(&whole, Signal::Logs, body);
        assert_eq!(found.counts.len(), 1);
        take(&mut whole, found);
    }
    assert_eq!(whole.due(late).0, []);
    // The second of them is the third, by its number.
    let mut holed = desk(rules);
    let first = found(&holed, Signal::Logs, CODEX[0]);
    take(&mut holed, first);
    let mut third = found(&holed, Signal::Logs, CODEX[1]);
    third.counts[0].number += 1;
    take(&mut holed, third);
    let (gaps, plan) = holed.due(late);
    assert_eq!((gaps.len(), gaps[0].from, gaps[0].to), (1, 2, 2));
    assert_eq!(gaps[0].agent.as_ref().map(Name::as_str), Some("coder"));
    assert!(matches!(plan.lines.as_slice(), [Line::Observation { .. }]));
}
