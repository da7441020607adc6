//! How a run begins: what is said in a row, and what need not be asked for again.

use std::time::{Duration, Instant};

use super::*;

fn set_out(
    agent: &mut Agent<&World>,
    action: &dyn Fn(RecordHash) -> Action,
    now_ms: u64,
) -> Result<SetOut, AgentError> {
    let words = FirstWords {
        title: "greet".parse().unwrap(),
        requester: "a test".parse().unwrap(),
        action,
    };
    agent.set_out(&words, now_ms)
}

fn write(goal: RecordHash) -> Action {
    Action::new(goal, "write:a".parse().unwrap())
}

#[test]
fn a_goal_and_its_first_intent_are_said_together() {
    let world = World::new();
    let mut agent = world.started();
    let SetOut { goal, permit } = set_out(&mut agent, &run, NOW_MS).unwrap();
    let done = ActionResult::of(permit.unwrap().intent(), Status::Ok);
    agent.result(done, NOW_MS).unwrap();
    agent
        .outcome(goal, Verdict::Partial, vec![], NOW_MS)
        .unwrap();
    agent.goodbye(NOW_MS).unwrap();
    assert_eq!(world.phases(), ["goal", "intent", "result", "outcome"]);
}

#[test]
fn an_intent_that_is_refused_leaves_its_goal() {
    let world = World::new();
    let mut agent = world.started();
    let SetOut { goal, permit } = set_out(&mut agent, &write, NOW_MS).unwrap();
    assert_eq!(permit.unwrap_err().code(), Some(Code::CapabilityMissing));
    assert_eq!(world.phases(), ["goal"]);
    let _ = agent.intent(run(goal), NOW_MS).unwrap();
    assert_eq!(world.phases(), ["goal", "intent"]);
}

/// What nobody has heard of is asked for again by itself, and is in the log once.
#[test]
fn an_answer_that_is_lost_at_the_beginning_doubles_nothing() {
    let world = World::new();
    let mut agent = world.started();
    world.line.set(Wire::LosesAnswer);
    assert!(set_out(&mut agent, &run, NOW_MS).is_err_and(|error| error.is_away()));
    assert_eq!(world.phases(), ["goal"]);
    world.line.set(Wire::Whole);
    agent.settle(NOW_MS).unwrap();
    // Nobody acted upon the permit, so it is closed.
    assert_eq!(world.phases(), ["goal", "intent", "result"]);
    assert!(agent.book().open_intents().is_empty());
}

#[test]
fn a_busy_service_is_left_alone_as_long_as_it_asks() {
    let world = World::new();
    let mut agent = world.started().patient(Patience {
        span: Duration::from_secs(60),
        say: |_| (),
        is_over: std::sync::Arc::default(),
    });
    world.line.set(Wire::IsBusyOnce);
    let begun = Instant::now();
    let SetOut { permit, .. } = set_out(&mut agent, &run, NOW_MS).unwrap();
    let _ = permit.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(world.phases(), ["goal", "intent"]);
}

#[test]
fn a_goal_that_is_said_to_be_refused_takes_its_intent_with_it() {
    let world = World::new();
    let mut agent = world.started();
    world.line.set(Wire::Refuses(Code::StateForbids));
    let refused = set_out(&mut agent, &run, NOW_MS).map(|_| ());
    assert_eq!(refused.unwrap_err().code(), Some(Code::StateForbids));
    assert!(agent.book().pending().is_empty());
    // Whoever kept the goal back hands it in now; it is found, and the next goal is set out for behind it. A millisecond
    // later, or it would be the same record.
    world.deliver();
    let SetOut { permit, .. } = set_out(&mut agent, &run, NOW_MS + 1).unwrap();
    let _ = permit.unwrap();
    assert_eq!(world.phases(), ["goal", "goal", "intent"]);
}

#[test]
fn what_was_proven_once_is_not_asked_for_again() {
    let world = World::new();
    let begin = || {
        world.proofs.set(0);
        let mut agent = world.agent();
        agent.charter().unwrap();
        agent.start(NOW_MS).unwrap();
        agent.goodbye(NOW_MS).unwrap();
        world.proofs.get()
    };
    assert_eq!(begin(), 2, "of the charter and of the lease");
    assert_eq!(begin(), 0);
    // A file that proves nothing, or something else, is as good as none.
    let folder = world.agent().journal().directory().to_owned();
    let lease = folder.join("lease.tlog-proof");
    let kept = std::fs::read(&lease).unwrap();
    for damaged in [&kept[..kept.len() / 2], b"", b"\xff"] {
        std::fs::write(&lease, damaged).unwrap();
        assert_eq!(begin(), 1);
        assert_eq!(begin(), 0);
    }
    std::fs::copy(folder.join("charter.tlog-proof"), &lease).unwrap();
    assert_eq!(begin(), 1);
    world.log.lease(&version(), &["run:*"]);
    assert_eq!(begin(), 1, "of the new lease");
}
