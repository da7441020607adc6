//! Histories of a log that holds back, leaves out and takes off what honest people gave it: they look out of bounds by what
//! the log made of it, and are blamed for nothing.

use ledger::codes::{Code, Party};
use ledger::record::{AgentState, Body, Phase, SignedRecord, Status};
use ledger::verify::CheckId;
use proving::record;

use super::histories::History;
use super::scene::{HOUR, MINUTE, SECOND, START, Scene};

macro_rules! held_back {
    ($($name:literal $code:ident $check:ident $by:ident $goes:expr;)*) => {
        vec![$(History {
            name: $name,
            code: Code::$code,
            check: CheckId::$check,
            by: Party::$by,
            goes: $goes,
        }),*]
    };
}

pub(super) fn histories() -> Vec<History> {
    let mut histories = of_operators();
    histories.extend(of_agents());
    histories
}

fn of_operators() -> Vec<History> {
    held_back! {
        "renewal-held-back-over-an-amendment" RenewalTooLong Authority Unknown |scene| {
            let renewal = record::renewal(scene.lease, START + 48 * HOUR);
            let renewal = by_operators(scene, renewal);
            scene.now += SECOND;
            let root = scene.keys().root;
            scene.amend(|charter| charter.limits.lease_max_ms = 25 * HOUR, &root);
            scene.hold(renewal);
        };
        "lease-held-back-over-an-amendment" LeaseWidened Authority Unknown |scene| {
            let mut lease = scene.lease();
            lease.expires_ms = START + 48 * HOUR;
            let lease = by_operators(scene, Body::Lease(Box::new(lease)));
            scene.now += SECOND;
            let root = scene.keys().root;
            scene.amend(|charter| charter.limits.lease_max_ms = 25 * HOUR, &root);
            scene.hold(lease);
        };
        "renewal-before-its-time" RenewalTooLong Authority Unknown |scene| {
            let most = scene.log.state().charter().expect("a charter").limits.lease_max_ms;
            let ahead = scene.now + MINUTE;
            let renewal = scene.log.knowing(record::renewal(scene.lease, ahead + most));
            let operator = scene.keys().operator;
            let renewal = scene.log.sign(renewal, ahead, &[&operator]);
            scene.hold(renewal);
        };
        "lease-held-back-until-it-was-over" LeaseExpired Authority Unknown |scene| {
            let lease = scene.lease();
            let lease = by_operators(scene, Body::Lease(Box::new(lease)));
            scene.pass(61, true);
            scene.hold(lease);
        };
        "renewal-held-back-over-another-lease" LeaseSuperseded Authority Unknown |scene| {
            let renewal = record::renewal(scene.lease, START + 48 * HOUR);
            let renewal = by_operators(scene, renewal);
            scene.now += SECOND;
            let lease = scene.lease();
            let lease = scene.grant(lease);
            scene.follow(lease);
            scene.hold(renewal);
        };
    }
}

fn of_agents() -> Vec<History> {
    held_back! {
        "goal-held-back-over-a-revocation" LeaseRevoked Authority Unknown |scene| {
            let goal = scene.agent.receipt(record::goal("a goal"), &scene.log, scene.now);
            scene.now += SECOND;
            scene.operators_say(record::revocation(scene.lease));
            scene.go_on(goal);
        };
        "beat-held-back-over-a-lease" EpochSuperseded Chains Unknown |scene| {
            let beat = scene.agent.beat(&scene.log, scene.now);
            scene.now += SECOND;
            let lease = scene.lease();
            let lease = scene.grant(lease);
            scene.hold(beat);
            scene.follow(lease);
        };
        "goal-held-back-over-a-stop" StateForbids Authority Unknown |scene| {
            let goal = scene.agent.receipt(record::goal("a goal"), &scene.log, scene.now);
            scene.now += SECOND;
            scene.operators_say(record::order(&record::name("a"), AgentState::Quarantined));
            scene.go_on(goal);
        };
        "goal-held-back-over-the-end" LeaseExpired Authority Unknown |scene| {
            let mut lease = scene.lease();
            lease.expires_ms = scene.now + MINUTE;
            let lease = scene.grant(lease);
            scene.follow(lease);
            let goal = scene.agent.receipt(record::goal("a goal"), &scene.log, scene.now);
            scene.now += MINUTE;
            scene.go_on(goal);
        };
        "goal-left-out" SequenceGap Chains Unknown |scene| {
            let goal = scene.agent.receipt(record::goal("a goal"), &scene.log, scene.now);
            scene.agent.said(&goal);
            let intent = scene.intent(goal.hash(), "read:x");
            scene.step(Phase::Result(record::result(intent, Status::Ok, 1)));
        };
        "result-held-back" ActionUnfinished Outcomes Unknown |scene| {
            let goal = scene.goal();
            let intent = scene.intent(goal, "read:x");
            scene.pass(14, true);
            let result = Phase::Result(record::result(intent, Status::Ok, 1));
            let result = scene.agent.receipt(result, &scene.log, scene.now);
            scene.pass(2, false);
            scene.go_on(result);
        };
    }
}

/// What the operators sign now, knowing the log as it is.
fn by_operators(scene: &Scene, body: Body) -> SignedRecord {
    let operator = scene.keys().operator;
    scene
        .log
        .sign(scene.log.knowing(body), scene.now, &[&operator])
}
