//! Histories in which one rule is broken. The leaves are sound and truly signed, and the log holds them all: only replaying
//! the rules shows what is wrong, and who did it.
//!
//! Together with the other lies they produce every code that a verification can find; a test holds the list against the
//! table of codes.

use ledger::codes::{Class, Code, Party};
use ledger::digest::{Digest, RecordHash};
use ledger::envelope::Envelope;
use ledger::record::{
    AgentState, Body, Kind, Phase, Rule, Seen, StateRoot, Status, Verdict as Judged,
};
use ledger::verify::{CheckId, Verdict};
use proving::keys::{Keys, instance, key};
use proving::{Log, record};
use tlog::checkpoint::{self, Checkpoint};
use tlog::note::SigningKey;

use super::scene::{HOUR, MINUTE, SECOND, START, Scene};
use super::{Fault, Layer, Sample, Shelf};

/// One history: what it is called, what is found in it, and how it goes.
struct History {
    name: &'static str,
    code: Code,
    check: CheckId,
    by: Party,
    goes: fn(&mut Scene),
}

pub(super) fn fill(shelf: &mut Shelf) {
    let parts = [signing(), authority(), chain(), work(), control(), views()];
    for history in parts.into_iter().flatten() {
        let mut scene = Scene::begin();
        (history.goes)(&mut scene);
        shelf.samples.push(history.told(&scene.log));
    }
}

/// What others broke, and the agent that had no part in it goes on with its work: nothing of what follows is its fault.
pub fn aftermaths() -> Vec<Sample> {
    let parts = [signing(), authority(), chain(), work(), control(), views()];
    let others =
        |history: &History| history.by != Party::Agent || history.code == Code::KeyNotAgents;
    let histories = parts.into_iter().flatten().filter(others);
    let live_on = |history: History| {
        let mut scene = Scene::begin();
        (history.goes)(&mut scene);
        scene.live_on(20);
        history.told(&scene.log)
    };
    histories.map(live_on).collect()
}

impl History {
    fn told(&self, log: &Log) -> Sample {
        let trust = match self.code {
            Code::ClockImplausible => log.trust_witnessed(),
            _ => log.trust(),
        };
        let (code, by) = (self.code, self.by);
        Sample {
            name: format!("history-{}", self.name),
            layer: Layer::Records,
            evidence: whole(log, self.code).into(),
            trust: trust.to_json(),
            // A breach shows somebody out of bounds in a log that can be relied on.
            verdict: match code.class() {
                Class::Problem => Verdict::Failed,
                Class::Breach | Class::Late => Verdict::Verified,
            },
            fault: Some(Fault {
                check: self.check,
                code,
                by,
            }),
        }
    }
}

/// The whole log, cosigned where witnesses matter.
fn whole(log: &Log, code: Code) -> String {
    match code {
        Code::ClockImplausible => {
            let head = log.cosigned(log.size(), START / SECOND + 3600);
            log.pack_of(0, log.size().get(), &head)
        }
        _ => log.pack(),
    }
}

fn nothing() -> RecordHash {
    RecordHash::new(Digest::of(&[b"nothing"]))
}

macro_rules! histories {
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

fn signing() -> Vec<History> {
    histories! {
        "order-by-an-observer" RoleMissing Signatures Log |scene| {
            let observer = scene.keys().observer;
            let order = record::order(&record::name("a"), AgentState::Stopped);
            scene.say(order, &observer);
        };
        "order-of-the-day-before" Stale Signatures Operator |scene| {
            let order = record::order(&record::name("a"), AgentState::Stopped);
            let operator = scene.keys().operator;
            let signed = scene.log.sign(order, START - 25 * HOUR, &[&operator]);
            scene.hold(signed);
        };
        "order-by-one-of-two" ThresholdNotMet Signatures Operator |scene| {
            let root = scene.keys().root;
            scene.amend(
                |charter| {
                    let mut another = charter.keys[1].clone();
                    another.key = key("another operator").public();
                    charter.keys.push(another);
                    charter.thresholds.operator = 2;
                },
                &root,
            );
            scene.operators_say(record::order(&record::name("a"), AgentState::Stopped));
        };
        "charter-that-skips-a-version" CharterVersion Authority Operator |scene| {
            let root = scene.keys().root;
            scene.amend(|charter| charter.version += 1, &root);
        };
        "charter-that-contradicts-itself" CharterInvalid Authority Operator |scene| {
            let root = scene.keys().root;
            scene.amend(|charter| charter.liveness.heal_attempts = 0, &root);
        };
        "charter-without-a-control-key" CharterInvalid Authority Operator |scene| {
            let root = scene.keys().root;
            scene.amend(
                |charter| charter.distrusted.push(Keys::of("lies").control.public().id()),
                &root,
            );
        };
        "charter-with-the-agents-key" CharterInvalid Authority Operator |scene| {
            let root = scene.keys().root;
            scene.amend(
                |charter| {
                    let mut observer = charter.keys[3].clone();
                    observer.key = key("a").public();
                    charter.keys.push(observer);
                },
                &root,
            );
        };
        "charter-by-an-operator" CharterNotAuthorized Signatures Operator |scene| {
            let operator = scene.keys().operator;
            scene.amend(|_| {}, &operator);
        };
        "beat-by-another-agent" KeyNotAgents Authority Agent |scene| {
            let beat = Body::Heartbeat(Box::new(scene.agent.heartbeat()));
            scene.say(beat, &key("b"));
        };
        "action-by-another-agent" KeyNotAgents Authority Agent |scene| {
            let goal = scene.goal();
            let intent = Phase::Intent(Box::new(record::intent(goal, "read:x")));
            let forged = record::receipt(scene.agent.chain.clone(), intent);
            scene.say(forged, &key("b"));
        };
        "logged-twice" RecordRepeated Chains Log |scene| {
            let observer = scene.keys().observer;
            for _ in 0..2 {
                scene.say(record::observation(&record::name("a"), "one"), &observer);
            }
        };
    }
}

fn authority() -> Vec<History> {
    histories! {
        "lease-for-nobody" AgentUnknown Authority Operator |scene| {
            let mut lease = scene.lease();
            lease.agent = record::name("nobody");
            scene.grant(lease);
        };
        "manifest-edited" ManifestHashMismatch Authority Operator |scene| {
            let manifest = record::manifest(&record::name("c"), "v1");
            let mut registration = record::registration(manifest, key("c").public(), None);
            registration.manifest_hash = Digest::of(&[b"another"]);
            let operator = scene.keys().operator;
            let body = Body::Manifest(Box::new(registration));
            let signed = scene.log.sign(body, scene.now, &[&operator, &key("c")]);
            scene.hold(signed);
        };
        "lease-for-another-version" ManifestNotActive Authority Operator |scene| {
            let mut lease = scene.lease();
            lease.manifest_hash = Digest::of(&[b"another"]);
            scene.grant(lease);
        };
        "another-version-runs" ManifestDrift Authority Agent |scene| {
            scene.beat_with(|beat| beat.manifest_hash = Digest::of(&[b"another"]));
        };
        "renewal-of-nothing" LeaseUnknown Authority Operator |scene| {
            scene.operators_say(record::renewal(nothing(), START + HOUR));
        };
        "lease-for-later-beside-another" LeaseNotYetValid Authority Operator |scene| {
            let mut lease = scene.lease();
            lease.not_before_ms += MINUTE;
            scene.grant(lease);
        };
        "goal-after-the-lease" LeaseExpired Authority Agent |scene| {
            let lease = scene.lease();
            let lease = scene.grant(lease);
            scene.follow(lease);
            scene.pass(60, true);
            scene.goal();
        };
        "goal-after-revocation" LeaseRevoked Authority Agent |scene| {
            scene.operators_say(record::revocation(scene.lease));
            scene.goal();
        };
        "renewal-of-the-lease-before" LeaseSuperseded Authority Operator |scene| {
            let (before, lease) = (scene.lease, scene.lease());
            scene.grant(lease);
            scene.operators_say(record::renewal(before, START + 48 * HOUR));
        };
        "lease-of-two-years" LeaseWidened Authority Operator |scene| {
            let mut lease = scene.lease();
            lease.expires_ms += 2 * 365 * 24 * HOUR;
            scene.grant(lease);
        };
        "lease-dated-back" LeaseWidened Authority Operator |scene| {
            let mut lease = scene.lease();
            lease.not_before_ms -= 25 * HOUR;
            scene.grant(lease);
        };
        "lease-renewable-for-two-years" LeaseWidened Authority Operator |scene| {
            let mut lease = scene.lease();
            lease.renew_until_ms = Some(START + 2 * 365 * 24 * HOUR);
            scene.grant(lease);
        };
        "lease-that-was-lost-on-the-way" AfterMismatch Authority Control |scene| {
            let operator = scene.keys().operator;
            let lost = Body::Lease(Box::new(scene.lease()));
            let lost = scene.log.sign(scene.log.knowing(lost), scene.now, &[&operator]);
            scene.pass(1, true);
            let lease = scene.lease();
            let lease = scene.grant(lease);
            scene.follow(lease);
            scene.hold(lost);
        };
        "quarantine-that-was-kept" AfterMismatch Authority Control |scene| {
            let operator = scene.keys().operator;
            let order = record::order(&record::name("a"), AgentState::Quarantined);
            let kept = scene.log.sign(scene.log.knowing(order), scene.now, &[&operator]);
            scene.pass(1, true);
            let lease = scene.lease();
            let lease = scene.grant(lease);
            scene.follow(lease);
            scene.hold(kept);
        };
        "renewal-from-another-end" AfterMismatch Authority Control |scene| {
            let operator = scene.keys().operator;
            let renewal = record::renewal(scene.lease, START + 48 * HOUR);
            let lost = scene.log.sign(scene.log.knowing(renewal), scene.now, &[&operator]);
            scene.operators_say(record::renewal(scene.lease, START + 25 * HOUR));
            scene.hold(lost);
        };
        "renewal-by-two-years" RenewalTooLong Authority Operator |scene| {
            let two_years = START + 2 * 365 * 24 * HOUR;
            scene.operators_say(record::renewal(scene.lease, two_years));
        };
        "renewal-of-a-sleeper" RenewalUnearned Authority Control |scene| {
            scene.pass(31, false);
            scene.control_says(record::renewal(scene.lease, scene.now + 24 * HOUR));
        };
    }
}

fn chain() -> Vec<History> {
    histories! {
        "second-instance" EpochFenced Chains Agent |scene| {
            scene.beat_with(|beat| beat.chain.instance = instance("another"));
        };
        "beat-of-the-epoch-before" EpochSuperseded Chains Agent |scene| {
            let lease = scene.lease();
            scene.grant(lease);
            scene.beat();
        };
        "beat-of-an-epoch-to-come" EpochFuture Chains Agent |scene| {
            scene.beat_with(|beat| beat.chain.epoch += 3);
        };
        "number-skipped" SequenceGap Chains Agent |scene| {
            scene.beat_with(|beat| beat.chain.seq += 1);
        };
        "number-used-again" SequenceRepeated Chains Agent |scene| {
            scene.beat_with(|beat| beat.chain.seq -= 1);
        };
        "previous-left-out" PreviousMismatch Chains Agent |scene| {
            scene.beat_with(|beat| beat.chain.prev = nothing());
        };
        "before-left-out" BeforeMismatch Chains Agent |scene| {
            let lease = scene.lease();
            let lease = scene.grant(lease);
            scene.agent.follow(2, lease, None);
            scene.beat();
        };
        "clock-set-back" ClockRegressed Chains Agent |scene| {
            let signed = scene.agent.beat(&scene.log, scene.now - 1);
            scene.go_on(signed);
        };
        "problem-behind-a-thousand-breaches" SequenceGap Chains Agent |scene| {
            let most = ledger::verify::MAX_LISTED_FINDINGS as u64;
            for earlier in 1..=most {
                let signed = scene.agent.beat(&scene.log, scene.now - earlier);
                scene.go_on(signed);
            }
            scene.beat_with(|beat| beat.chain.seq += 1);
        };
        "clock-set-forward" ClockAhead Chains Agent |scene| {
            let signed = scene.agent.beat(&scene.log, scene.now + 3 * MINUTE);
            scene.go_on(signed);
        };
        "beat-behind-a-skipped-number" RestsOnProblem Chains Agent |scene| {
            scene.agent.chain.seq += 1;
            scene.beat();
            scene.beat();
        };
        "parent-unknown" ReferenceUnknown Chains Agent |scene| {
            let mut intent = record::intent(scene.goal(), "read:x");
            intent.parents.push(nothing());
            scene.step(Phase::Intent(Box::new(intent)));
        };
    }
}

fn work() -> Vec<History> {
    histories! {
        "no-capability" CapabilityMissing Authority Agent |scene| {
            let goal = scene.goal();
            scene.intent(goal, "run:x");
        };
        "scope-denied" ScopeDenied Authority Agent |scene| {
            let goal = scene.goal();
            scene.intent(goal, "write:repo/secrets/key");
        };
        "one-action-too-many" BudgetExceeded Authority Agent |scene| {
            let mut lease = scene.lease();
            lease.budget.actions = Some(1);
            let lease = scene.grant(lease);
            scene.follow(lease);
            let goal = scene.goal();
            scene.intent(goal, "read:x");
            scene.intent(goal, "read:x");
        };
        "goal-of-a-degraded-agent" StateForbids Authority Agent |scene| {
            scene.pass(30, false);
            scene.goal();
        };
        "intent-for-no-goal" GoalUnknown Outcomes Agent |scene| {
            scene.intent(nothing(), "read:x");
        };
        "result-of-no-intent" IntentUnknown Outcomes Agent |scene| {
            scene.step(Phase::Result(record::result(nothing(), Status::Ok, 1)));
        };
        "too-many-goals" TooManyOpen Outcomes Agent |scene| {
            for _ in 0..=ledger::govern::MAX_OPEN {
                scene.goal();
            }
        };
        "progress-undone" ProgressRegressed Authority Agent |scene| {
            scene.beat_with(|beat| beat.progress = 0);
        };
        "outcome-without-a-check" OutcomeUnbacked Outcomes Agent |scene| {
            let goal = scene.goal();
            let outcome = record::outcome(goal, Judged::Accepted);
            let Phase::Outcome(mut outcome) = outcome else {
                unreachable!("an outcome is one")
            };
            outcome.checks.clear();
            scene.step(Phase::Outcome(outcome));
        };
        "action-without-an-end" ActionUnfinished Outcomes Agent |scene| {
            let goal = scene.goal();
            scene.intent(goal, "read:x");
            scene.pass(16, true);
        };
    }
}

fn control() -> Vec<History> {
    histories! {
        "duty-forgotten" DutyMissed Liveness Control |scene| {
            for _ in 0..33 {
                scene.now += MINUTE;
                let control = scene.keys().control;
                let pulse = scene.log.sign(scene.log.pulse(None), scene.now, &[&control]);
                scene.log.force(pulse, scene.now);
            }
        };
        "control-asleep" ControlGap Liveness Control |scene| {
            scene.now += HOUR;
            scene.pulse();
        };
        "transition-from-elsewhere" TransitionIllegal Liveness Control |scene| {
            let mut transition = scene.transition(Rule::Recovered, AgentState::Running);
            transition.from = AgentState::Degraded;
            scene.control_says(Body::Transition(transition));
        };
        "transition-without-a-cause" TransitionUnfounded Liveness Control |scene| {
            let transition = scene.transition(Rule::PulseLost, AgentState::Degraded);
            scene.control_says(Body::Transition(transition));
        };
        "transition-of-another-number" TransitionNumber Liveness Control |scene| {
            let mut transition = scene.transition(Rule::PulseLost, AgentState::Degraded);
            transition.n += 1;
            scene.control_says(Body::Transition(transition));
        };
        "denial-of-what-is-allowed" RefusalUnfounded Liveness Control |scene| {
            let goal = scene.goal();
            let intent = record::intent(goal, "read:x");
            let signed = scene.agent.intent(intent, &scene.log, scene.now);
            let mut refused = record::refused(&record::name("a"), 1, &signed, Code::ScopeDenied);
            refused.envelope = Some(signed.envelope().clone());
            scene.control_says(Body::Refusal(Box::new(refused)));
        };
        "denial-that-shows-nothing" RefusalUnfounded Liveness Control |scene| {
            scene.refuse(|refused| refused.code = Code::ScopeDenied);
        };
        "denial-of-what-nobody-can-read" RefusalUnfounded Liveness Control |scene| {
            let stranger = key("stranger");
            let envelope = Envelope::sign(Kind::Receipt, b"{}".to_vec(), &[&stranger]);
            let envelope = envelope.expect("an envelope");
            scene.refuse(|refused| {
                refused.code = Code::Malformed;
                refused.refused = envelope.record_hash();
                refused.envelope = Some(envelope);
            });
        };
        "denials-without-number" RefusalUnfounded Liveness Control |scene| {
            scene.refuse(|refused| refused.count = 1_000_000_000_000_000);
        };
        "refusal-of-an-epoch-to-come" RefusalUnfounded Liveness Control |scene| {
            scene.refuse(|refused| refused.epoch += 1);
        };
        "pulse-that-counts-agents-who-never-were" PulseUnfounded Liveness Control |scene| {
            let n = scene.log.state().pulses() + 1;
            scene.control_says(record::pulse(n, 987_654, None));
        };
        "pulse-that-names-another-state" PulseUnfounded Liveness Control |scene| {
            if let Body::Pulse(mut pulse) = scene.log.pulse(None) {
                let root = tlog::EMPTY_ROOT;
                pulse.state = pulse.state.map(|state| StateRoot { root, ..state });
                scene.control_says(Body::Pulse(pulse));
            }
        };
        "pulse-with-a-head-that-nobody-signed" PulseUnfounded Liveness Control |scene| {
            let honest = scene.log.checkpoint(scene.log.size()).unverified().clone();
            let name = scene.keys().log.verifier_key().name().clone();
            let foreign = checkpoint::sign(&SigningKey::new(name, &[99; 32]), &honest);
            scene.control_says(scene.log.pulse(Some(foreign)));
        };
        "pulse-with-an-older-head" PulseUnfounded Liveness Control |scene| {
            let older = scene.log.checkpoint(scene.log.size()).to_string();
            scene.pass(1, true);
            let newer = scene.log.checkpoint(scene.log.size()).to_string();
            scene.control_says(scene.log.pulse(Some(newer)));
            scene.control_says(scene.log.pulse(Some(older)));
        };
    }
}

/// What agents and witnesses saw of the log.
fn views() -> Vec<History> {
    histories! {
        "another-log-was-shown" SplitView Consistency Log |scene| {
            let honest = scene.log.checkpoint(scene.log.size()).unverified().clone();
            let root = tlog::leaf_hash(b"another");
            let shown = Checkpoint::new(honest.origin, honest.size, root);
            let note = checkpoint::sign(&scene.keys().log, &shown);
            let sig = note.trim_end().rsplit(' ').next().expect("a signature line");
            let (size, sig) = (honest.size.get(), sig.to_owned());
            scene.beat_with(|beat| beat.seen = Some(Seen { size, root, sig }));
        };
        "clock-that-witnesses-contradict" ClockImplausible Leaves Log |scene| {
            scene.pass(60, true);
            let an_hour_ago = START / SECOND;
            let head = scene.log.cosigned(scene.log.size(), an_hour_ago);
            scene.control_says(scene.log.pulse(Some(head.to_string())));
        };
    }
}
