//! Records that the log forged, altered, or holds twice.

use ledger::codes::{Class, Code, Party};
use ledger::record::{AgentState, Body, SignedRecord, Verdict as Judged};
use ledger::verify::verify;
use proving::record;

use crate::story::{HOUR, MINUTE, Story, let_in, one, with};

#[test]
fn a_forged_heartbeat_is_the_log_s_and_the_agent_goes_on() {
    let mut story = Story::new();
    let mut forger = story.me.clone();
    forger.identity.key = story.log.keys().control.clone();
    let forged = forger.beat(&story.log, story.now);
    story.hold(forged);
    story.live(40);
    let control = one(Code::KeyNotAgents, Class::Breach, Party::Control);
    assert_eq!(story.found(), control);
}

#[test]
fn a_heartbeat_with_another_s_signature_bytes_is_the_log_s() {
    let mut story = Story::new();
    let (one_beat, other) = (story.me.beat(&story.log, story.now), {
        let mut later = story.me.clone();
        later.progress += 5;
        later.beat(&story.log, story.now)
    });
    let leaf = |signed: &SignedRecord| signed.envelope().to_json();
    let signature = |json: &str| {
        let (_, rest) = json.split_once("\"sig\":\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (from, to) = (leaf(&one_beat), leaf(&other));
    let forged = from.replace(&signature(&from), &signature(&to));
    story.hold(SignedRecord::parse(forged.as_bytes()).unwrap());
    story.live(40);
    let want = let_in(Code::SignatureInvalid, Class::Problem, Party::Log);
    assert_eq!(story.found(), want);
}

#[test]
fn a_replayed_heartbeat_is_the_log_s() {
    let mut story = Story::new();
    let beat = story.log.leaves().last().unwrap().record();
    story.live(5);
    story.hold(beat);
    story.live(40);
    let want = let_in(Code::SequenceRepeated, Class::Problem, Party::Log);
    assert_eq!(story.found(), want);
}

#[test]
fn a_replayed_order_stops_nobody() {
    let mut story = Story::new();
    let operator = story.log.keys().operator.clone();
    let name = story.me.identity.name.clone();
    let order = record::order(&name, AgentState::Quarantined);
    let order = story.log.sign(order, story.now, &[&operator]);
    story.hold(order.clone());
    let release = record::order(&name, AgentState::Stopped);
    let release = story.log.sign(release, story.now, &[&operator]);
    story.hold(release);
    let lease = story.me.identity.leased(&mut story.log, HOUR, story.now);
    let agent = story.log.state().agent(&name).unwrap();
    let (epoch, last) = (agent.epoch(), agent.last());
    story.me.follow(epoch, lease, last);
    story.beat();
    story.live(5);
    story.hold(order);
    story.live(5);
    let want = let_in(Code::RecordRepeated, Class::Problem, Party::Log);
    assert_eq!(story.found(), want);
}

#[test]
fn a_record_of_the_agent_that_the_log_altered_is_missed_by_nobody() {
    let mut story = Story::new();
    let mut altered = story.me.clone();
    altered.identity.key = proving::keys::key("nobody");
    let said = story.me.beat(&story.log, story.now);
    story.me.said(&said);
    let altered = altered.beat(&story.log, story.now - 1);
    story.log.force_resting(altered, story.now);
    story.beat_on();
    story.live(40);
    let alone = let_in(Code::KeyUnknown, Class::Problem, Party::Log);
    let want = with(alone, Code::RestsOnProblem, Party::Log, 1);
    assert_eq!(story.found(), want);
}

#[test]
fn a_leaf_that_was_changed_on_the_way_is_held_against_nobody_who_signed() {
    let story = Story::new();
    let pack = story.log.pack();
    let changed = pack.replacen("\\\"sig\\\":\\\"", "\\\"sig\\\":\\\"A", 1);
    assert_ne!(pack, changed);
    let report = verify(changed.as_bytes(), &story.log.trust(), None);
    let findings = report.findings.iter();
    let found: Vec<_> = findings.map(|it| (it.refusal.code, it.by)).collect();
    let unknown = [Code::RootMismatch, Code::Malformed].map(|code| (code, Party::Unknown));
    assert_eq!(found, unknown);
}

/// Another agent says goodbye, restarts and works in the agent's name: nothing of it is the agent's doing.
#[test]
fn what_another_says_in_an_agents_name_moves_nothing_of_it() {
    let mut story = Story::new();
    let other = proving::Identity::registered(&mut story.log, "other", story.now);
    let mut impostor = story.me.clone();
    impostor.identity.key = other.key.clone();
    let mut goodbye = impostor.heartbeat();
    goodbye.r#final = true;
    let mut restart = impostor.heartbeat();
    restart.chain.epoch += 1;
    restart.chain.seq = 0;
    for beat in [goodbye, restart] {
        let body = Body::Heartbeat(Box::new(beat));
        let signed = impostor.sign(body, &story.log, story.now);
        story.hold(signed);
        story.settle();
    }
    let outcome = record::outcome(story.goal.unwrap(), Judged::Abandoned);
    let outcome = impostor.receipt(outcome, &story.log, story.now);
    story.hold(outcome);
    story.live(3);
    let intent = story.intent("read:docs");
    story.result(intent);
    story.work(record::outcome(story.goal.unwrap(), Judged::Accepted));
    story.live(40);
    let report = story.report();
    let codes = report.findings.iter().map(|it| it.refusal.code);
    assert!(codes.into_iter().all(|code| code == Code::KeyNotAgents));
    let by_agent = report.findings.iter().filter(|it| it.by == Party::Agent);
    let mut names = by_agent.map(|it| it.agent.as_ref().unwrap().as_str());
    assert!(names.all(|name| name == "other"), "{report:?}");
    assert_eq!(report.findings.len(), 6);
}

/// A lease that is there twice opens no second epoch, and a transition that is there twice moves nobody.
#[test]
fn a_lease_and_a_transition_are_not_repeated_by_the_log() {
    let mut story = Story::new();
    let is_moved = |held: &&proving::log::Held| {
        let signed = held.record();
        matches!(
            signed.record().body,
            Body::Lease(_) | Body::Transition(_) | Body::Manifest(_)
        )
    };
    let earlier = story.log.leaves().iter().filter(is_moved);
    let earlier: Vec<SignedRecord> = earlier.map(proving::log::Held::record).collect();
    let count = earlier.len();
    for signed in earlier {
        story.log.force_void(signed, story.now);
        story.live(1);
    }
    story.live(40);
    let mut want = let_in(Code::RecordRepeated, Class::Problem, Party::Log);
    want.values_mut().for_each(|found| *found = count);
    assert_eq!(story.found(), want);
}

/// Where the log holds what nobody made, there may have been what was due.
#[test]
fn what_was_due_before_a_forgery_may_have_been_logged_in_its_place() {
    let forged_at = |minutes: u64| {
        let mut story = Story::new();
        for minute in 1..=34 {
            story.now += MINUTE;
            if minute == minutes {
                let observer = story.log.keys().observer.clone();
                story.by(record::pulse(1, 1, None), &observer);
            }
            story.by_control(story.log.pulse(None));
        }
        story.found()
    };
    let forgery = let_in(Code::RoleMissing, Class::Problem, Party::Log);
    assert_eq!(forged_at(31), forgery);
    let mut both = forgery;
    both.extend(one(Code::DutyMissed, Class::Breach, Party::Control));
    assert_eq!(forged_at(20), both, "it was not due then");
}
