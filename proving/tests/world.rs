//! A log that is made here is one that the verifier reads.

use ledger::record::{AgentState, Rule, Status, Verdict};
use proving::{Identity, Keys, Log, Speaker, record};

const START_MS: u64 = 1_764_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// A log in which an agent has reached a goal.
fn log_with_work() -> Log {
    let keys = Keys::of("world");
    let charter = record::charter(&keys);
    let mut log = Log::found(keys, charter, START_MS);
    let agent = Identity::registered(&mut log, "a", START_MS);
    agent.leased(&mut log, HOUR_MS, START_MS);
    let mut speaker = Speaker::beginning(agent, "first", &log);
    let say = |log: &mut Log, record: ledger::record::SignedRecord| {
        let hash = record.hash();
        log.submit(record, START_MS).expect("a step by the rules");
        (hash, log.settle(START_MS))
    };
    let beat = speaker.beat(&log, START_MS);
    let (_, transitions) = say(&mut log, beat.clone());
    assert_eq!(transitions[0].rule, Rule::Started);
    speaker.said(&beat);
    let goal = speaker.receipt(record::goal("test"), &log, START_MS);
    let (goal_hash, _) = say(&mut log, goal.clone());
    speaker.said(&goal);
    let intent = speaker.intent(record::intent(goal_hash, "read:a"), &log, START_MS);
    let (intent_hash, _) = say(&mut log, intent.clone());
    speaker.said(&intent);
    let result = ledger::record::Phase::Result(record::result(intent_hash, Status::Ok, 1));
    let result = speaker.receipt(result, &log, START_MS);
    say(&mut log, result.clone());
    speaker.said(&result);
    let outcome = record::outcome(goal_hash, Verdict::Accepted);
    let outcome = speaker.receipt(outcome, &log, START_MS);
    say(&mut log, outcome);
    log
}

#[test]
fn a_log_is_made_again_to_the_byte() {
    let (log, again) = (log_with_work(), log_with_work());
    assert_eq!(log.pack(), again.pack());
    let agent = log.state().agents().next().expect("one agent");
    assert_eq!(agent.state(), AgentState::Running);
}

#[test]
fn nothing_is_found_in_a_log_by_the_rules() {
    let log = log_with_work();
    let report = log.report();
    assert_eq!(report.findings, [], "{}", report.to_json());
    assert_eq!(report.as_of.size, Some(log.size()));
}

#[test]
fn a_window_and_a_cosigned_checkpoint_hold() {
    let log = log_with_work();
    let signed = log.cosigned(log.size(), START_MS / 1000);
    let window = log.pack_of(2, 5, &signed);
    let report = ledger::verify::verify(window.as_bytes(), &log.trust_witnessed(), None);
    assert_eq!(report.findings, [], "{}", report.to_json());
    assert_eq!(report.as_of.witnessed_ms, Some(START_MS / 1000 * 1000));
    let unwitnessed = log.pack_of(2, 5, &log.checkpoint(log.size()));
    let report = ledger::verify::verify(unwitnessed.as_bytes(), &log.trust_witnessed(), None);
    assert_eq!(report.verdict, ledger::verify::Verdict::Failed);
}
