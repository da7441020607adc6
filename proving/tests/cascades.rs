//! One bad record makes nobody look guilty who is not.
//!
//! Each story is a healthy log in which one thing goes wrong, after which everybody goes on as if nothing were. What the
//! verifier finds is compared whole: the thing itself, by whoever did it, and what rests on it, by nobody else.

use std::collections::BTreeMap;

use ledger::codes::{Class, Code, Party};
use ledger::digest::RecordHash;
use ledger::record::{
    AgentState, Amounts, Body, Charter, Mode, Phase, Refused, Rule, SignedRecord, Status,
    Transition,
};
use ledger::verify::{Report, Verdict, verify};
use proving::{Identity, Keys, Log, Speaker, record};

const START: u64 = 1_764_000_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// A log with an agent that runs, and the time in it.
struct Story {
    log: Log,
    now: u64,
    me: Speaker,
    goal: Option<RecordHash>,
}

type Found = BTreeMap<(&'static str, &'static str, &'static str), usize>;

impl Story {
    fn new() -> Self {
        Self::under(|_| {})
    }

    fn under(change: impl FnOnce(&mut Charter)) -> Self {
        let keys = Keys::of("cascades");
        let mut charter = record::charter(&keys);
        change(&mut charter);
        let mut log = Log::found(keys, charter, START);
        let identity = Identity::registered(&mut log, "worker", START);
        identity.leased(&mut log, 10 * HOUR, START);
        let me = Speaker::beginning(identity, "first", &log);
        let mut story = Self {
            log,
            now: START,
            me,
            goal: None,
        };
        story.beat();
        story.goal = Some(story.work(record::goal("something")));
        story.live(3);
        story
    }

    /// Minutes in which everybody does what they should.
    fn live(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.now += MINUTE;
            self.pulse();
            self.beat();
        }
    }

    fn pulse(&mut self) {
        let body = record::pulse(self.log.state().pulses() + 1, 1, None);
        let control = self.log.keys().control.clone();
        let signed = self.log.sign(body, self.now, &[&control]);
        self.hold(signed);
        self.settle();
    }

    fn beat(&mut self) {
        self.me.progress += 1;
        let signed = self.me.beat(&self.log, self.now);
        self.me.said(&signed);
        self.hold(signed);
        self.settle();
    }

    /// A heartbeat that the service takes without looking.
    fn beat_on(&mut self) {
        self.me.progress += 1;
        let signed = self.me.beat(&self.log, self.now);
        self.me.said(&signed);
        self.log.force_resting(signed, self.now);
    }

    fn work(&mut self, phase: Phase) -> RecordHash {
        let signed = self.me.receipt(phase, &self.log, self.now);
        self.me.said(&signed);
        self.hold(signed.clone());
        self.settle();
        signed.hash()
    }

    fn intent(&mut self, scope: &str) -> RecordHash {
        let intent = record::intent(self.goal.unwrap(), scope);
        self.work(Phase::Intent(Box::new(intent)))
    }

    fn result(&mut self, intent: RecordHash) {
        let result = record::result(intent, Status::Ok, 1);
        self.work(Phase::Result(result));
    }

    /// What the control plane owes by the state as the log has it.
    fn settle(&mut self) {
        self.log.settle(self.now);
    }

    fn hold(&mut self, signed: SignedRecord) {
        self.log.force(signed, self.now);
    }

    fn by_control(&mut self, body: Body) -> SignedRecord {
        let control = self.log.keys().control.clone();
        let signed = self.log.sign(body, self.now, &[&control]);
        self.hold(signed.clone());
        signed
    }

    fn transition(&mut self, rule: Rule, to: AgentState, opens: u64) {
        let agent = self.log.state().agent(&self.me.identity.name).unwrap();
        let body = Body::Transition(Transition {
            agent: agent.name().clone(),
            n: agent.transitions() + 1,
            from: agent.state(),
            to,
            rule,
            epoch: agent.epoch() + opens,
        });
        self.by_control(body);
    }

    fn report(&self) -> Report {
        self.log.report()
    }

    fn found(&self) -> Found {
        found(&self.report())
    }
}

fn found(report: &Report) -> Found {
    let mut found = Found::new();
    for it in &report.findings {
        let what = (it.refusal.code.as_str(), it.class.as_str(), it.by.as_str());
        *found.entry(what).or_default() += 1;
    }
    found
}

/// What is wrong with a record, and that control let it in.
fn let_in(code: Code, class: Class, by: Party) -> Found {
    Found::from([
        ((code.as_str(), class.as_str(), by.as_str()), 1),
        ((code.as_str(), "breach", "control"), 1),
    ])
}

fn one(code: Code, class: Class, by: Party) -> Found {
    Found::from([((code.as_str(), class.as_str(), by.as_str()), 1)])
}

fn with(mut found: Found, code: Code, by: Party, count: usize) -> Found {
    found.insert((code.as_str(), "problem", by.as_str()), count);
    found
}

#[test]
fn a_healthy_log_shows_nothing() {
    let mut story = Story::new();
    let intent = story.intent("read:docs");
    story.live(2);
    story.result(intent);
    story.live(90);
    let report = story.report();
    assert_eq!(found(&report), Found::new());
    assert_eq!(report.verdict, Verdict::Verified);
}

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
fn a_lease_with_too_few_signatures_is_not_held_against_who_follows_it() {
    let mut story = Story::under(|charter| {
        let mut second = charter.keys[1].clone();
        second.key = proving::keys::key("second-operator").public();
        charter.keys.push(second);
    });
    // From now on it takes two.
    let mut stricter = story.log.state().charter().unwrap().clone();
    stricter.version = 2;
    stricter.previous = story.log.state().charter_hash();
    stricter.thresholds.operator = 2;
    let (root, operator) = (
        story.log.keys().root.clone(),
        story.log.keys().operator.clone(),
    );
    let amendment = story
        .log
        .sign(Body::Charter(Box::new(stricter)), story.now, &[&root]);
    story.hold(amendment);
    let me = story.me.identity.clone();
    let lease = record::lease(&me.name, me.manifest_hash, story.now, story.now + HOUR);
    let lease = story
        .log
        .sign(Body::Lease(Box::new(lease)), story.now, &[&operator]);
    story.hold(lease.clone());
    let last = story.log.state().agent(&me.name).unwrap().last();
    story.me.follow(2, lease.hash(), last);
    story.me.progress = 1;
    let beat = story.me.beat(&story.log, story.now);
    story.me.said(&beat);
    story.hold(beat);
    let found = story.found();
    let alone = let_in(Code::ThresholdNotMet, Class::Problem, Party::Operator);
    let want = with(alone, Code::RestsOnProblem, Party::Operator, 1);
    assert_eq!(found, want);
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
fn a_skipped_number_is_the_agent_s_and_said_once() {
    let mut story = Story::new();
    story.me.chain.seq += 1;
    let skipping = story.me.beat(&story.log, story.now);
    story.me.said(&skipping);
    story.log.force_resting(skipping, story.now);
    story.beat_on();
    story.live(40);
    let alone = let_in(Code::SequenceGap, Class::Problem, Party::Agent);
    let want = with(alone, Code::RestsOnProblem, Party::Agent, 1);
    assert_eq!(story.found(), want);
}

#[test]
fn what_an_agent_does_in_a_state_it_was_put_into_without_cause_is_not_its_fault() {
    let rules = [
        (Rule::PulseLost, AgentState::Degraded, 0),
        (Rule::ManifestDrift, AgentState::Quarantined, 0),
        (Rule::Finished, AgentState::Stopped, 0),
    ];
    for (rule, to, opens) in rules {
        let mut story = Story::new();
        story.transition(rule, to, opens);
        let intent = record::intent(story.goal.unwrap(), "write:repo/a");
        let signed = story.me.intent(intent, &story.log, story.now);
        story.me.said(&signed);
        story.hold(signed);
        let want = one(Code::TransitionUnfounded, Class::Breach, Party::Control);
        assert_eq!(story.found(), want, "{rule}");
    }
}

#[test]
fn a_fence_without_cause_makes_no_zombie() {
    let mut story = Story::new();
    story.transition(Rule::HealDue, AgentState::Autohealing, 1);
    let beat = story.me.beat(&story.log, story.now);
    story.hold(beat);
    let found = story.found();
    let agent = found.keys().filter(|(_, _, by)| *by == "agent");
    assert_eq!(agent.count(), 0, "{found:?}");
    assert!(found.contains_key(&("transition-unfounded", "breach", "control")));
}

#[test]
fn refusals_without_ground_quarantine_nobody_by_their_fault() {
    let mut story = Story::under(|charter| charter.limits.denials_max = 2);
    for n in 0..2 {
        let intent = record::intent(story.goal.unwrap(), "read:docs");
        let intent = story.me.intent(intent, &story.log, story.now + n);
        let refused = Refused {
            envelope: Some(intent.envelope().clone()),
            ..record::refused(&story.me.identity.name, 1, &intent, Code::ScopeDenied)
        };
        story.by_control(Body::Refusal(Box::new(refused)));
    }
    story.settle();
    let name = &story.me.identity.name;
    let state = story.log.state().agent(name).unwrap().state();
    assert_eq!(state, AgentState::Quarantined);
    let beat = story.me.beat(&story.log, story.now);
    story.hold(beat);
    let want = Found::from([(("refusal-unfounded", "breach", "control"), 2)]);
    assert_eq!(story.found(), want);
}

#[test]
fn a_denial_is_judged_again() {
    let mut story = Story::new();
    let intent = record::intent(story.goal.unwrap(), "write:repo/secrets/key");
    let intent = story.me.intent(intent, &story.log, story.now);
    let refused = Refused {
        envelope: Some(intent.envelope().clone()),
        ..record::refused(&story.me.identity.name, 1, &intent, Code::ScopeDenied)
    };
    story.by_control(Body::Refusal(Box::new(refused)));
    story.live(3);
    assert_eq!(story.found(), Found::new(), "a denial with its ground");
}

#[test]
fn a_zombie_does_not_disturb_its_successor() {
    let mut story = Story::new();
    let zombie = story.me.clone();
    for _ in 0..3 {
        story.now += MINUTE;
        story.pulse();
    }
    story.me = Speaker::restarting(story.me.identity.clone(), "second", &story.log);
    story.beat();
    story.live(2);
    let late = zombie.beat(&story.log, story.now);
    story.hold(late);
    story.live(40);
    let want = let_in(Code::EpochFenced, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);
}

#[test]
fn a_wrong_transition_number_is_one() {
    let mut story = Story::new();
    for _ in 0..31 {
        story.now += MINUTE;
        let body = record::pulse(story.log.state().pulses() + 1, 1, None);
        story.by_control(body);
    }
    let agent = story.log.state().agent(&story.me.identity.name).unwrap();
    let n = agent.transitions() + 3;
    let body = Body::Transition(Transition {
        agent: agent.name().clone(),
        n,
        from: AgentState::Running,
        to: AgentState::Degraded,
        rule: Rule::PulseLost,
        epoch: agent.epoch(),
    });
    story.by_control(body);
    story.live(3);
    let want = one(Code::TransitionNumber, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn a_forgotten_transition_is_missed_once() {
    let mut story = Story::new();
    for _ in 0..50 {
        story.now += MINUTE;
        let body = record::pulse(story.log.state().pulses() + 1, 1, None);
        story.by_control(body);
    }
    story.live(3);
    let want = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn a_cause_that_passes_in_time_is_no_duty() {
    let mut story = Story::new();
    for _ in 0..30 {
        story.now += MINUTE;
        let body = record::pulse(story.log.state().pulses() + 1, 1, None);
        story.by_control(body);
    }
    story.now += MINUTE / 2;
    story.me.progress += 1;
    let signed = story.me.beat(&story.log, story.now);
    story.me.said(&signed);
    story.hold(signed);
    story.live(3);
    assert_eq!(story.found(), Found::new());
}

#[test]
fn pulses_that_are_missing_between_other_leaves_are_missed_once() {
    let mut story = Story::new();
    for _ in 0..10 {
        story.now += MINUTE;
        story.beat();
    }
    story.live(3);
    let want = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn a_gap_is_control_s_and_nobody_else_s() {
    let mut story = Story::new();
    let intent = story.intent("read:docs");
    story.now += 5 * HOUR;
    story.live(5);
    story.result(intent);
    story.live(40);
    let want = one(Code::ControlGap, Class::Breach, Party::Control);
    assert_eq!(story.found(), want);
}

#[test]
fn an_action_without_a_result_is_the_agent_s() {
    let mut story = Story::new();
    story.intent("read:docs");
    story.live(60);
    let want = one(Code::ActionUnfinished, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);
}

#[test]
fn drift_and_overruns_are_the_agent_s_alone() {
    let mut story = Story::new();
    let mut other = story.me.clone();
    other.identity.manifest_hash = ledger::digest::Digest::of(&[b"v2"]);
    let beat = other.beat(&story.log, story.now);
    story.hold(beat);
    story.settle();
    let want = one(Code::ManifestDrift, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);

    let mut story = Story::new();
    let me = story.me.identity.clone();
    let mut lease = record::lease(&me.name, me.manifest_hash, story.now, story.now + HOUR);
    lease.budget.tokens = Some(15);
    let operator = story.log.keys().operator.clone();
    let lease = story
        .log
        .sign(Body::Lease(Box::new(lease)), story.now, &[&operator]);
    let last = story.log.state().agent(&me.name).unwrap().last();
    story.hold(lease.clone());
    story.me.follow(2, lease.hash(), last);
    story.beat();
    let intent = story.intent("read:docs");
    let mut result = record::result(intent, Status::Ok, 1);
    result.usage = Amounts {
        tokens: 20,
        cost_micros: 0,
    };
    story.work(Phase::Result(result));
    story.live(3);
    let want = one(Code::BudgetExceeded, Class::Breach, Party::Agent);
    assert_eq!(story.found(), want);
}

#[test]
fn observing_lays_breaches_to_the_agent_alone_and_tells_what_was_only_late() {
    let mut story = Story::under(|charter| charter.mode = Mode::Observe);
    story.intent("write:repo/secrets/key");
    let want = one(Code::ScopeDenied, Class::Breach, Party::Agent);
    assert_eq!(
        story.found().get(&("scope-denied", "breach", "agent")),
        Some(&1)
    );
    assert_eq!(story.found(), want);

    let mut story = Story::under(|charter| charter.mode = Mode::Observe);
    story.live(10 * 60 - 5);
    story.now = START + 10 * HOUR - 1000;
    story.pulse();
    let made_in_time = story
        .me
        .receipt(record::goal("late"), &story.log, story.now);
    story.me.said(&made_in_time);
    story.now += 2000;
    story.hold(made_in_time);
    let late = one(Code::LeaseExpired, Class::Late, Party::Agent);
    assert_eq!(story.found(), late);
    assert_eq!(story.report().verdict, Verdict::Verified);
}

#[test]
fn a_leaf_that_the_producer_changed_is_the_producer_s() {
    let story = Story::new();
    let pack = story.log.pack();
    let changed = pack.replacen("\\\"sig\\\":\\\"", "\\\"sig\\\":\\\"A", 1);
    assert_ne!(pack, changed);
    let report = verify(changed.as_bytes(), &story.log.trust(), None);
    let others = |by: Party| !matches!(by, Party::Producer | Party::Log);
    assert!(!report.findings.iter().any(|it| others(it.by)));
    let by_log: Vec<Code> = report
        .findings
        .iter()
        .filter(|it| it.by == Party::Log)
        .map(|it| it.refusal.code)
        .collect();
    assert_eq!(by_log, [Code::RootMismatch], "{:?}", report.findings);
}

#[test]
fn rules_of_a_later_version_are_not_judged() {
    let mut story = Story::new();
    let mut later = story.log.state().charter().unwrap().clone();
    later.version = 2;
    later.rules = 2;
    later.previous = story.log.state().charter_hash();
    let root = story.log.keys().root.clone();
    let later = story
        .log
        .sign(Body::Charter(Box::new(later)), story.now, &[&root]);
    story.hold(later);
    let report = story.report();
    assert_eq!(found(&report), Found::new());
    assert_eq!(report.verdict, Verdict::Incomplete);
}

#[test]
fn a_charter_that_no_root_signed_changes_nothing() {
    let mut story = Story::new();
    let mut usurped = story.log.state().charter().unwrap().clone();
    usurped.version = 2;
    usurped.previous = story.log.state().charter_hash();
    let thief = proving::keys::key("thief");
    usurped.keys[0].key = thief.public();
    let usurped = story
        .log
        .sign(Body::Charter(Box::new(usurped)), story.now, &[&thief]);
    story.hold(usurped);
    story.live(40);
    let want = let_in(Code::CharterNotAuthorized, Class::Problem, Party::Operator);
    assert_eq!(story.found(), want);
}

#[test]
fn a_forged_lease_is_no_alibi_for_what_control_does_later() {
    let mut story = Story::new();
    let me = story.me.identity.clone();
    let lease = record::lease(&me.name, me.manifest_hash, story.now, story.now + HOUR);
    story.by_control(Body::Lease(Box::new(lease)));
    story.live(60);
    story.transition(Rule::PulseLost, AgentState::Degraded, 0);
    let mut want = let_in(Code::RoleMissing, Class::Problem, Party::Log);
    want.extend(one(
        Code::TransitionUnfounded,
        Class::Breach,
        Party::Control,
    ));
    assert_eq!(story.found(), want);
}
