//! A log of one agent, told step by step: what is said goes into it, whatever the rules say.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Body, Charter, Heartbeat, Lease, Phase, Refused, Rule, SignedRecord, Status,
    Transition, Verdict,
};
use proving::keys::Keys;
use proving::speaker::{Identity, Speaker};
use proving::{Log, record};

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;

/// When every history begins.
pub(super) const START: u64 = 1_764_000_000_000;

/// A log with an agent that has begun to run, under a lease of a day.
pub(super) struct Scene {
    pub(super) log: Log,
    pub(super) now: u64,
    pub(super) lease: RecordHash,
    pub(super) agent: Speaker,
}

impl Scene {
    pub(super) fn begin() -> Self {
        let keys = Keys::of("lies");
        let charter = record::charter(&keys);
        let mut log = Log::found(keys, charter, START);
        let identity = Identity::registered(&mut log, "a", START);
        Identity::registered(&mut log, "b", START);
        let lease = identity.leased(&mut log, 24 * HOUR, START);
        let agent = Speaker::beginning(identity, "first", &log);
        let mut scene = Self {
            log,
            now: START,
            lease,
            agent,
        };
        scene.pulse();
        scene.beat();
        scene
    }

    pub(super) fn keys(&self) -> Keys {
        self.log.keys().clone()
    }

    /// Whatever is said goes into the log; control does its duties.
    pub(super) fn hold(&mut self, signed: SignedRecord) -> RecordHash {
        let hash = signed.hash();
        self.log.force(signed, self.now);
        self.log.settle(self.now);
        hash
    }

    pub(super) fn say(&mut self, body: Body, key: &PrivateKey) -> RecordHash {
        let signed = self.log.sign(body, self.now, &[key]);
        self.hold(signed)
    }

    pub(super) fn operators_say(&mut self, body: Body) -> RecordHash {
        let operator = self.keys().operator;
        self.say(self.log.knowing(body), &operator)
    }

    pub(super) fn control_says(&mut self, body: Body) -> RecordHash {
        let control = self.keys().control;
        self.say(self.log.knowing(body), &control)
    }

    /// The agent's next record, whatever it is.
    pub(super) fn go_on(&mut self, signed: SignedRecord) -> RecordHash {
        self.agent.said(&signed);
        self.hold(signed)
    }

    pub(super) fn beat(&mut self) {
        self.agent.progress += 1;
        let signed = self.agent.beat(&self.log, self.now);
        self.go_on(signed);
    }

    /// The next heartbeat with one thing changed.
    pub(super) fn beat_with(&mut self, change: impl FnOnce(&mut Heartbeat)) {
        self.agent.progress += 1;
        let mut beat = self.agent.heartbeat();
        change(&mut beat);
        let signed = self
            .agent
            .sign(Body::Heartbeat(Box::new(beat)), &self.log, self.now);
        self.go_on(signed);
    }

    pub(super) fn step(&mut self, phase: Phase) -> RecordHash {
        let signed = self.agent.receipt(phase, &self.log, self.now);
        self.go_on(signed)
    }

    pub(super) fn goal(&mut self) -> RecordHash {
        self.step(record::goal("a goal"))
    }

    pub(super) fn intent(&mut self, goal: RecordHash, scope: &str) -> RecordHash {
        self.step(Phase::Intent(Box::new(record::intent(goal, scope))))
    }

    pub(super) fn pulse(&mut self) {
        self.control_says(self.log.pulse(None));
    }

    /// Lets minutes pass. The agent beats, or is silent.
    pub(super) fn pass(&mut self, minutes: u64, beats: bool) {
        for _ in 0..minutes {
            self.now += MINUTE;
            self.pulse();
            if beats {
                self.beat();
            }
        }
    }

    /// Lets minutes pass in which the agent does what an honest one does: it beats, works, and follows its lease into the
    /// next epoch.
    pub(super) fn live_on(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.now += MINUTE;
            self.pulse();
            let agent = self.log.state().agent(&self.agent.identity.name);
            let agent = agent.expect("a registered agent");
            let in_force = agent.lease().expect("an agent with a lease");
            let (state, epoch) = (agent.state(), agent.epoch());
            let valid = self.log.state().in_force(in_force, self.now).is_ok();
            if matches!(state, AgentState::Stopped | AgentState::Quarantined) || !valid {
                continue;
            }
            if epoch == self.agent.chain.epoch {
                self.beat();
            } else {
                self.follow(in_force);
            }
            let agent = self.log.state().agent(&self.agent.identity.name);
            if agent.is_some_and(|agent| agent.state() == AgentState::Running) {
                self.work();
            }
        }
    }

    /// A goal from its beginning to its outcome.
    fn work(&mut self) {
        let goal = self.goal();
        let intent = self.intent(goal, "read:x");
        self.step(Phase::Result(record::result(intent, Status::Ok, 1)));
        self.step(record::outcome(goal, Verdict::Accepted));
    }

    pub(super) fn lease(&self) -> Lease {
        let Identity {
            name,
            manifest_hash,
            ..
        } = &self.agent.identity;
        record::lease(name, *manifest_hash, self.now, self.now + HOUR)
    }

    pub(super) fn grant(&mut self, lease: Lease) -> RecordHash {
        self.operators_say(Body::Lease(Box::new(lease)))
    }

    /// The same process goes on under a new lease.
    pub(super) fn follow(&mut self, lease: RecordHash) {
        let agent = self.log.state().agent(&self.agent.identity.name);
        let agent = agent.expect("a registered agent");
        let (epoch, last) = (agent.epoch(), agent.last());
        self.agent.follow(epoch, lease, last);
        self.lease = lease;
        self.beat();
    }

    pub(super) fn amend(&mut self, change: fn(&mut Charter), by: &PrivateKey) {
        let mut charter = self.log.state().charter().expect("a charter").clone();
        charter.version += 1;
        charter.previous = self.log.state().charter_hash();
        change(&mut charter);
        self.say(Body::Charter(Box::new(charter)), by);
    }

    /// Control says that it refused something, and does not show what.
    pub(super) fn refuse(&mut self, change: impl FnOnce(&mut Refused)) {
        let goal = record::receipt(self.agent.chain.clone(), record::goal("refused"));
        let key = &self.agent.identity.key;
        let signed = self.log.sign(goal, self.now, &[key]);
        let agent = &self.agent.identity.name;
        let epoch = self.agent.chain.epoch;
        let mut refused = record::refused(agent, epoch, &signed, Code::StateForbids);
        refused.phase = Some("intent".to_owned());
        change(&mut refused);
        self.control_says(Body::Refusal(Box::new(refused)));
    }

    pub(super) fn transition(&self, rule: Rule, to: AgentState) -> Transition {
        let agent = self.log.state().agent(&self.agent.identity.name);
        let agent = agent.expect("a registered agent");
        Transition {
            agent: agent.name().clone(),
            n: agent.transitions() + 1,
            from: agent.state(),
            to,
            rule,
            epoch: agent.epoch(),
        }
    }
}
