//! A fleet's log can be judged from any of its pulses on: the state there, as its entries tell it, is as good as all leaves
//! that led to it.

use ledger::codes::Party;
use ledger::govern::{Restoring, State};
use ledger::pack::Line;
use ledger::record::{Body, StateAt};
use ledger::verify::{Finding, Report, Trust, Verdict, verify};
use proving::Log;
use proving::fleet::{Size, plan};
use proving::simulation::play;
use tlog::LeafIndex;

/// How many pulses a log is judged from.
const STARTS: usize = 6;

fn fleet() -> Log {
    let size = Size {
        days: 1,
        agents: 12,
    };
    let plan = plan(3, size);
    play(3, &plan.script, plan.end_ms)
}

/// The state in front of each pulse that names it, as a fold over all leaves leads to it.
fn states(log: &Log) -> Vec<State> {
    let mut state = State::new();
    let mut states = Vec::new();
    for (index, held) in (0..).zip(log.leaves()) {
        let record = held.record();
        if let Body::Pulse(pulse) = &record.record().body
            && pulse.state == Some(state.root())
        {
            states.push(state.clone());
        }
        let record = record.check(&|id| state.key(id));
        match state.admit(&record, held.received_ms) {
            Err(refusal) if refusal.code.voids() => {
                state.skip(LeafIndex::new(index), held.received_ms);
            }
            _ => state.apply(LeafIndex::new(index), held.received_ms, &record),
        }
    }
    states
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

fn judged(pack: &str, log: &Log, from: Option<StateAt>) -> Report {
    let trust = Trust {
        from,
        ..log.trust()
    };
    verify(pack.as_bytes(), &trust, None)
}

/// What is found behind an index. Whose fault something is that rests on what came before, a later start cannot know.
fn behind(report: &Report, index: u64) -> Vec<&Finding> {
    let is_behind = |it: &&Finding| it.index.is_some_and(|it| it.get() >= index);
    report.findings.iter().filter(is_behind).collect()
}

#[test]
fn a_fleet_is_judged_from_any_pulse_as_from_the_first_leaf() {
    let log = fleet();
    let whole = log.report();
    let states = states(&log);
    assert!(states.len() > 100);
    for state in states.iter().step_by(states.len() / STARTS) {
        let pack = pack_behind(&log, state);
        let report = judged(&pack, &log, Some(state.at()));
        assert_eq!(behind(&report, 0), behind(&whole, state.size()));
        assert_eq!(report.state, whole.state);
        assert_eq!(report.as_of.judged_to, Some(log.size()));
        // Judged from a state that the trust does not name, the findings are the same, but only the log is blamed.
        let unknown = judged(&pack, &log, None);
        let laid_to_nobody = behind(&whole, state.size()).into_iter().cloned();
        let laid_to_nobody = laid_to_nobody.map(|finding| Finding {
            by: match finding.by {
                Party::Log => Party::Log,
                _ => Party::Unknown,
            },
            ..finding
        });
        let found: Vec<Finding> = behind(&unknown, 0).into_iter().cloned().collect();
        assert_eq!(found, laid_to_nobody.collect::<Vec<_>>());
        assert_eq!((unknown.state, unknown.as_of.judged_to), (None, None));
        assert_ne!(unknown.verdict, Verdict::Verified);
    }
}

#[test]
fn a_state_is_restored_from_its_entries_anywhere_in_a_fleet() {
    let log = fleet();
    let states = states(&log);
    for state in states.iter().step_by(states.len() / 100) {
        let mut restoring = Restoring::default();
        for entry in state.tree().entries() {
            restoring.push(&entry).expect("an entry as it was written");
        }
        let restored = restoring.finish().expect("all entries");
        assert_eq!(restored.at(), state.at());
    }
}

#[test]
fn a_state_does_not_grow_with_what_is_over() {
    let log = fleet();
    let states = states(&log);
    let (first, last) = (&states[states.len() / 4], &states[states.len() - 1]);
    let bytes = |state: &State| state.tree().entries().map(|it| it.len()).sum::<usize>();
    let (first, last) = (bytes(first), bytes(last));
    assert!(
        last < 2 * first,
        "{first} bytes in the morning, {last} in the evening"
    );
}

#[test]
fn a_fleet_has_something_to_find_behind_its_pulses() {
    let log = fleet();
    let by_agents = log.report().findings;
    let by_agents = by_agents.iter().filter(|it| it.by == Party::Agent);
    assert!(by_agents.count() > 0);
}
