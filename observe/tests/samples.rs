//! Bodies as the programs send them, and what is read from them.

use std::io::Read as _;

use ledger::record::{Event, SeenStatus};
use observe::check::{self, Checked};
use observe::intake::{Found, Intake};
use observe::otlp::body::{self, Batch};
use observe::otlp::message::Traces;
use observe::otlp::{Encoding, Signal};
use prost::Message as _;
use watchdogs::alert::Kind;
use watchdogs::config::Observe;

const VERCEL: &[u8] = include_bytes!("../../tests/samples/otlp/vercel-ai-sdk-001-traces.json");
const OPENLLMETRY: &[u8] =
    include_bytes!("../../tests/samples/otlp/openai-agents-openllmetry-001-traces.decoded.json");
const CLAUDE_EVENTS: &[u8] =
    include_bytes!("../../tests/samples/otlp/claude-code-2.1.332-004-logs.json");
const CLAUDE_RUN: &[u8] =
    include_bytes!("../../tests/samples/otlp/claude-code-2.1.332-003-traces.json");
const CODEX_SPANS: &[u8] =
    include_bytes!("../../tests/samples/otlp/codex-0.171.0-002-traces.json.gz");
const CODEX_EVENTS: &[u8] = include_bytes!("../../tests/samples/otlp/codex-0.171.0-001-logs.json");

const CONFIG: &str = r#"
    [[map]]
    source = "otlp"
    where = { "gen_ai.agent.name" = "payer", service.name = "treasury-agents" }
    agent = "payer"

    [[map]]
    source = "otlp"
    where = { service.name = "codex_exec" }
    agent = "codex"
"#;

fn read(signal: Signal, bytes: &[u8]) -> (Found, Batch) {
    let config = Observe::parse(CONFIG.as_bytes()).unwrap();
    let intake = Intake::new("otlp".parse().unwrap(), &config.rules);
    let batch = body::read(signal, Encoding::Json, bytes).unwrap();
    (intake.read(&batch), batch)
}

/// The monitor, the call, what happened and how it went.
fn told(found: &Found) -> Vec<(&str, &str, Event, Option<SeenStatus>)> {
    let alerts = found.sightings.iter().map(|it| &it.notice.alert);
    let told = alerts.map(|alert| match &alert.kind {
        Kind::Event {
            event,
            call,
            status,
        } => {
            let call = call.as_ref().map_or("", |call| call.as_str());
            (alert.monitor.as_str(), call, *event, *status)
        }
        Kind::Alert => panic!("{alert:?}"),
    });
    told.collect()
}

const OK: Option<SeenStatus> = Some(SeenStatus::Ok);
const ERROR: Option<SeenStatus> = Some(SeenStatus::Error);

#[test]
fn vercels_tools_have_their_calls() {
    let (found, _) = read(Signal::Traces, VERCEL);
    assert_eq!(found.items, 5);
    assert_eq!(
        told(&found),
        [
            ("wire_transfer", "call_2", Event::ToolEnded, ERROR),
            ("read_ledger", "call_1", Event::ToolEnded, OK),
            ("payer", "", Event::AgentRan, OK),
        ]
    );
    let alert = &found.sightings[0].notice.alert;
    assert_eq!(alert.source_id.as_str(), "conv-42/call_2");
    assert_eq!(
        (alert.opened_ms, alert.closed_ms),
        (1_795_982_221_526, Some(1_795_982_221_527))
    );
    assert_eq!(found.sightings[0].notice.labels["agent"], "payer");
}

#[test]
fn a_tool_is_its_agents_by_the_spans_above_it() {
    // As Python's protobuf prints it: ids in base64, where the wire has them in hexadecimal.
    let (found, batch) = read(Signal::Traces, OPENLLMETRY);
    assert_eq!(
        told(&found),
        [
            ("read_ledger", "", Event::ToolEnded, OK),
            ("wire_transfer", "", Event::ToolEnded, ERROR),
            ("payer", "", Event::AgentRan, OK),
        ]
    );
    for sighting in &found.sightings {
        assert_eq!(sighting.notice.labels["gen_ai.agent.name"], "payer");
    }
    // An exception that became a result is one also where the span says nothing of it.
    let Batch::Traces(mut traces) = batch else {
        panic!("spans")
    };
    for span in &mut traces.resource_spans[0].scope_spans[0].spans {
        span.status = None;
    }
    let unsaid = body::read(Signal::Traces, Encoding::Protobuf, &traces.encode_to_vec()).unwrap();
    let config = Observe::parse(CONFIG.as_bytes()).unwrap();
    let intake = Intake::new("otlp".parse().unwrap(), &config.rules);
    assert_eq!(told(&intake.read(&unsaid)), told(&found));
}

#[test]
fn claudes_events_say_what_was_denied_and_count() {
    let (found, _) = read(Signal::Logs, CLAUDE_EVENTS);
    let denied = Some(SeenStatus::Denied);
    assert_eq!(
        told(&found),
        [("Bash", "toolu_2_0", Event::ToolDenied, denied)]
    );
    let numbers: Vec<u64> = found.counts.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [11, 12, 13, 14]);
    let (found, _) = read(Signal::Traces, CLAUDE_RUN);
    assert_eq!(told(&found).len(), 1);
    assert_eq!(told(&found)[0].2, Event::AgentRan);
}

#[test]
fn one_call_of_codex_is_one_of_512_spans() {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(CODEX_SPANS)
        .read_to_end(&mut bytes)
        .unwrap();
    assert!(bytes.len() > 1_200_000);
    let (found, _) = read(Signal::Traces, &bytes);
    assert_eq!(found.items, 512);
    assert_eq!(
        told(&found),
        [("exec_command", "call_0", Event::ToolEnded, OK)]
    );
    let span = &found.sightings[0].notice.alert;
    let (found, _) = read(Signal::Logs, CODEX_EVENTS);
    assert_eq!(
        told(&found),
        [("exec_command", "call_0", Event::ToolEnded, OK)]
    );
    let event = &found.sightings[0].notice.alert;
    assert_eq!(span.source_id, event.source_id);
    assert_eq!(event.closed_ms, Some(1_796_032_583_350));
    let counts: Vec<u64> = found.counts.iter().map(|it| it.number).collect();
    assert_eq!(counts, [1]);
}

#[test]
fn protobuf_and_json_read_alike() {
    let (found, batch) = read(Signal::Traces, VERCEL);
    let Batch::Traces(traces) = batch else {
        panic!("spans")
    };
    let bytes = traces.encode_to_vec();
    assert_eq!(Traces::decode(bytes.as_slice()).unwrap(), traces);
    let batch = body::read(Signal::Traces, Encoding::Protobuf, &bytes).unwrap();
    let config = Observe::parse(CONFIG.as_bytes()).unwrap();
    let intake = Intake::new("otlp".parse().unwrap(), &config.rules);
    assert_eq!(intake.read(&batch).sightings, found.sightings);
    assert_eq!(check(&bytes).mapped.len(), 3);
}

fn check(bytes: &[u8]) -> Checked {
    let config = Observe::parse(CONFIG.as_bytes()).unwrap();
    check::file(&config, None, bytes).unwrap()
}

#[test]
fn a_check_says_what_no_rule_maps() {
    let checked = check(VERCEL);
    assert_eq!((checked.mapped.len(), checked.unmapped.len()), (3, 0));
    let checked = check(CLAUDE_EVENTS);
    assert_eq!((checked.mapped.len(), checked.unmapped.len()), (0, 1));
    let checked = check(CODEX_SPANS);
    assert_eq!((checked.items, checked.mapped.len()), (512, 1));
}

#[test]
fn hostile_bodies_are_refused() {
    let bomb = {
        use std::io::Write as _;
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(&vec![0; body::MAX_INFLATED_BYTES + 1])
            .unwrap();
        out.finish().unwrap()
    };
    assert!(body::inflate(&bomb).is_err());
    assert!(body::inflate(b"plain").is_err());
    for bad in [
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xx"}]}]}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":-1}]}]}]}"#,
        r#"{"resourceSpans":7}"#,
        "[]x",
    ] {
        let read = body::read(Signal::Traces, Encoding::Json, bad.as_bytes());
        assert!(read.is_err(), "{bad}");
    }
    assert!(body::read(Signal::Traces, Encoding::Protobuf, b"\x0a\xff").is_err());
    let no_ids =
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"},{"traceId":"00"}]}]}]}"#;
    let (found, _) = read(Signal::Traces, no_ids.as_bytes());
    assert_eq!((found.items, found.rejected), (2, 2));
}
