//! Times and evidence that end where others begin: windows with nothing in them, evidence that ends too early, alerts
//! that open before and never close, packs that begin at a pulse.

mod fleet;

use fleet::Run;
use ledger::digest::Digest;
use ledger::govern::State;
use ledger::pack::Line;
use ledger::record::Body;
use ledger::verify::{Trust, verify};
use proving::Log;
use proving::fleet::Size;
use report::document::{Document, Terms};
use report::inputs::{File, Watch};
use report::replay::Replay;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use timeline::words::utc;
use tlog::LeafIndex;

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// A day of a fleet, played once.
static DAY: LazyLock<Run> = LazyLock::new(|| {
    let size = Size {
        days: 1,
        agents: 12,
    };
    Run::of(3, size)
});

fn terms(from_ms: u64, to_ms: u64) -> Terms {
    Terms {
        from_ms,
        to_ms,
        ..DAY.terms()
    }
}

fn of(pack: &str, trust: &Trust, terms: &Terms, watch: &Watch) -> Document {
    let report = verify(pack.as_bytes(), trust, None);
    let mut replay = Replay::new(report, terms.from_ms..terms.to_ms, watch);
    replay.push(pack.as_bytes(), &mut |_| {}).unwrap();
    let played = replay.finish().unwrap();
    Document::of(terms, &played, watch, Digest::of(&[b"pack"]))
}

fn alerts(rows: &str) -> Watch {
    let file = File {
        name: "csv.csv".to_owned(),
        bytes: rows.as_bytes().to_vec(),
    };
    Watch::read(b"[[source]]\nname = \"csv\"\nslack_ms = 1000\n", &[file]).unwrap()
}

/// The hours of all agents together, to the second.
fn hours(document: &Document) -> String {
    let agents = document.agents.iter();
    let hours: f64 = agents.flat_map(|it| it.hours.values()).sum();
    format!("{hours:.3}")
}

/// A window before the log begins, and one behind its end: nothing is told, and nothing is held against anybody.
#[test]
fn a_window_with_nothing_in_it_tells_nothing() {
    let (begins_ms, ends_ms) = (DAY.terms().from_ms, DAY.log.state().last_received_ms());
    for (from_ms, to_ms) in [
        (begins_ms - 9 * HOUR_MS, begins_ms - HOUR_MS),
        (ends_ms + HOUR_MS, ends_ms + 9 * HOUR_MS),
    ] {
        let row = format!("{},agent-000,silence\n", utc(from_ms + HOUR_MS));
        let told = DAY.made(&terms(from_ms, to_ms), &alerts(&row)).document;
        assert_eq!((told.coverage.entries, told.mtboi.running_ms), (0, 0));
        assert_eq!(hours(&told), "0.000");
        let cases: Vec<_> = told.cases.iter().map(|it| (it.by, it.verdict)).collect();
        assert_eq!(cases, [("watchdog", "incident")], "the log can't judge it");
    }
}

#[test]
fn hours_end_with_the_evidence_and_not_with_the_window() {
    let from_ms = DAY.terms().from_ms;
    let up_to = |to_ms: u64| DAY.made(&terms(from_ms, to_ms), &DAY.watch()).document;
    let whole = up_to(DAY.log.state().last_received_ms() + 1);
    let longer = up_to(DAY.terms().to_ms + 30 * 24 * HOUR_MS);
    assert_eq!(hours(&longer), hours(&whole));
    assert_eq!(longer.mtboi.running_ms, whole.mtboi.running_ms);
    assert_eq!(longer.cases.len(), whole.cases.len());
}

#[test]
fn an_alert_belongs_to_the_time_in_which_it_opened_and_one_that_never_closes_counts_there() {
    let from_ms = DAY.terms().from_ms + 6 * HOUR_MS;
    let to_ms = from_ms + 6 * HOUR_MS;
    // No agent of the fleet is called so: no incident takes them.
    let row = |at_ms: u64, until: &str| format!("{},nobody,silence,,{until}\n", utc(at_ms));
    let rows = [
        row(from_ms - 1, &utc(from_ms + HOUR_MS)),
        row(from_ms - 1, ""),
        row(from_ms, ""),
        row(to_ms - 1, &utc(to_ms + HOUR_MS)),
        row(to_ms, ""),
    ];
    let head = "ts,agent,event,id,until\n";
    let watch = alerts(&format!("{head}{}", rows.concat()));
    assert_eq!(watch.alerts.len(), rows.len());
    let told = DAY.made(&terms(from_ms, to_ms), &watch).document;
    let alone = told.cases.iter().filter(|it| it.by == "watchdog");
    let began: Vec<_> = alone.map(|it| (it.began_ms, it.ended_ms)).collect();
    assert_eq!(began, [(from_ms, None), (to_ms - 1, Some(to_ms + HOUR_MS))]);
    assert_eq!(told.coverage.sources[0].alerts, 2);
}

/// The state in front of the first pulse behind a time that names it.
fn state_behind(log: &Log, ms: u64) -> State {
    let mut state = State::new();
    for (index, held) in (0..).zip(log.leaves()) {
        let record = held.record();
        let names =
            matches!(&record.record().body, Body::Pulse(it) if it.state == Some(state.root()));
        if names && held.received_ms >= ms {
            return state;
        }
        let record = record.check(&|id| state.key(id));
        let index = LeafIndex::new(index);
        match state.admit(&record, held.received_ms) {
            Err(refusal) if refusal.code.voids() => state.skip(index, held.received_ms),
            _ => state.apply(index, held.received_ms, &record),
        }
    }
    panic!("no pulse behind {ms}");
}

/// All leaves behind a state, with its entries, as the log gives them away.
fn pack_behind(log: &Log, state: &State) -> String {
    let (size, signed) = (log.size().get(), log.checkpoint(log.size()));
    let mut lines: Vec<String> = log.pack_lines(state.size(), size, &signed).collect();
    let entries = state.tree().entries().map(Line::StateEntry);
    let brought = std::iter::once(Line::State(state.at())).chain(entries);
    lines.splice(2..2, brought.map(|line| line.to_string()));
    lines.concat()
}

#[test]
fn a_pack_that_begins_at_a_pulse_tells_what_the_whole_log_tells_of_the_time_behind_it() {
    let log = &DAY.log;
    let state = state_behind(log, DAY.terms().from_ms + 6 * HOUR_MS);
    let pack = pack_behind(log, &state);
    let trust = Trust {
        from: Some(state.at()),
        ..log.trust()
    };
    let terms = terms(state.last_received_ms() + 3 * HOUR_MS, DAY.terms().to_ms);
    let told = of(&pack, &trust, &terms, &DAY.watch());
    let whole = of(&log.pack(), &log.trust(), &terms, &DAY.watch());
    assert!(!told.coverage.whole_log && whole.coverage.whole_log);
    let cases = |document: &Document| {
        let behind = document.cases.iter();
        let behind = behind.filter(|it| it.began_ms > state.last_received_ms() + MINUTE_MS);
        let told = behind.map(|it| serde_json::to_string(it).unwrap());
        told.collect::<Vec<_>>()
    };
    assert!(!cases(&whole).is_empty());
    assert_eq!(cases(&told), cases(&whole));
    assert_eq!(hours(&told), hours(&whole));
    // Without the trust in that state nothing is called verified, and nothing that a replay found is laid to anybody.
    let untrusted = of(&pack, &log.trust(), &terms, &DAY.watch());
    assert_eq!(
        (told.verdict, untrusted.verdict),
        ("verified", "incomplete")
    );
    let ours = |document: &Document| -> BTreeSet<String> {
        let cases = document.cases.iter().filter(|it| it.by != "watchdog");
        cases.map(|it| it.id.clone()).collect()
    };
    assert!(ours(&untrusted).is_subset(&ours(&told)));
    assert!(ours(&untrusted).len() < ours(&told).len());
}

/// A pack whose state is another one is judged from nothing, as any part of a log is.
#[test]
fn a_state_that_is_not_the_one_that_is_named_is_let_go() {
    let log = &DAY.log;
    let state = state_behind(log, DAY.terms().from_ms + 6 * HOUR_MS);
    let pack = pack_behind(log, &state);
    let lease = pack
        .lines()
        .find(|line| line.starts_with("{\"entry\":{\"lease\""));
    let pack = pack.replacen(&format!("{}\n", lease.unwrap()), "", 1);
    let trust = Trust {
        from: Some(state.at()),
        ..log.trust()
    };
    let told = of(&pack, &trust, &DAY.terms(), &DAY.watch());
    assert_eq!(told.verdict, "failed");
    let false_alarms =
        |it: &&report::document::CaseView| it.verdict == "false-alarm" && it.by == "watchdog";
    assert_eq!(told.cases.iter().filter(false_alarms).count(), 0);
}
