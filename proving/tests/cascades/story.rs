//! A story: a log with an agent that runs, and whatever happens to it.

use std::collections::BTreeMap;

use ledger::codes::{Class, Code, Party};
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Body, Charter, Lease, Phase, Refused, Rule, SignedRecord, Status, Transition,
};
use ledger::verify::Report;
use proving::{Identity, Keys, Log, Speaker, record};

pub(crate) const START: u64 = 1_764_000_000_000;
pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// A log with an agent that runs, and the time in it.
pub(crate) struct Story {
    pub(crate) log: Log,
    pub(crate) now: u64,
    pub(crate) me: Speaker,
    pub(crate) goal: Option<RecordHash>,
}

pub(crate) type Found = BTreeMap<(&'static str, &'static str, &'static str), usize>;

impl Story {
    pub(crate) fn new() -> Self {
        Self::under(|_| {})
    }

    pub(crate) fn under(change: impl FnOnce(&mut Charter)) -> Self {
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
    pub(crate) fn live(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.now += MINUTE;
            self.pulse();
            self.beat();
        }
    }

    pub(crate) fn pulse(&mut self) {
        let body = self.log.pulse(None);
        let control = self.log.keys().control.clone();
        let signed = self.log.sign(body, self.now, &[&control]);
        self.hold(signed);
        self.settle();
    }

    pub(crate) fn beat(&mut self) {
        self.me.progress += 1;
        let signed = self.me.beat(&self.log, self.now);
        self.me.said(&signed);
        self.hold(signed);
        self.settle();
    }

    /// A heartbeat that the service takes without looking.
    pub(crate) fn beat_on(&mut self) {
        self.me.progress += 1;
        let signed = self.me.beat(&self.log, self.now);
        self.me.said(&signed);
        self.log.force_resting(signed, self.now);
    }

    pub(crate) fn work(&mut self, phase: Phase) -> RecordHash {
        let signed = self.me.receipt(phase, &self.log, self.now);
        self.me.said(&signed);
        self.hold(signed.clone());
        self.settle();
        signed.hash()
    }

    pub(crate) fn intent(&mut self, scope: &str) -> RecordHash {
        let intent = record::intent(self.goal.unwrap(), scope);
        self.work(Phase::Intent(Box::new(intent)))
    }

    pub(crate) fn result(&mut self, intent: RecordHash) {
        let result = record::result(intent, Status::Ok, 1);
        self.work(Phase::Result(result));
    }

    /// What the control plane owes by the state as the log has it.
    pub(crate) fn settle(&mut self) {
        self.log.settle(self.now);
    }

    pub(crate) fn hold(&mut self, signed: SignedRecord) {
        self.log.force(signed, self.now);
    }

    pub(crate) fn by_control(&mut self, body: Body) -> SignedRecord {
        let control = self.log.keys().control.clone();
        self.by(self.log.knowing(body), &control)
    }

    pub(crate) fn by_operators(&mut self, body: Body) -> SignedRecord {
        let operator = self.log.keys().operator.clone();
        self.by(self.log.knowing(body), &operator)
    }

    /// Somebody signs something, and it goes into the log.
    pub(crate) fn by(&mut self, body: Body, key: &PrivateKey) -> SignedRecord {
        let signed = self.log.sign(body, self.now, &[key]);
        self.hold(signed.clone());
        signed
    }

    /// Somebody signs something that cannot be relied on, and whoever keeps the log believes it.
    pub(crate) fn believed(&mut self, body: Body, key: &PrivateKey) -> SignedRecord {
        let signed = self.log.sign(body, self.now, &[key]);
        self.log.force_resting(signed.clone(), self.now);
        signed
    }

    pub(crate) fn transition(&mut self, rule: Rule, to: AgentState, opens: u64) {
        let body = self.transition_by(rule, to, opens);
        self.by_control(body);
    }

    /// The agent's next transition, with or without a cause.
    pub(crate) fn transition_by(&self, rule: Rule, to: AgentState, opens: u64) -> Body {
        let agent = self.log.state().agent(&self.me.identity.name).unwrap();
        Body::Transition(Transition {
            agent: agent.name().clone(),
            n: agent.transitions() + 1,
            from: agent.state(),
            to,
            rule,
            epoch: agent.epoch() + opens,
        })
    }

    /// The charter that would follow the one in force.
    pub(crate) fn next_charter(&self, change: impl FnOnce(&mut Charter)) -> Body {
        let mut next = self.log.state().charter().unwrap().clone();
        next.version += 1;
        next.previous = self.log.state().charter_hash();
        change(&mut next);
        Body::Charter(Box::new(next))
    }

    /// A lease for the agent, from now on.
    pub(crate) fn lease(&self, for_ms: u64) -> Lease {
        let Identity {
            name,
            manifest_hash,
            ..
        } = &self.me.identity;
        record::lease(name, *manifest_hash, self.now, self.now + for_ms)
    }

    /// The same process goes on in the epoch that its newest lease has opened.
    pub(crate) fn follow(&mut self) {
        let agent = self.log.state().agent(&self.me.identity.name).unwrap();
        let (epoch, lease, last) = (agent.epoch(), agent.lease().unwrap(), agent.last());
        self.me.follow(epoch, lease, last);
    }

    /// The refusal of a record of the agent, with what was refused.
    pub(crate) fn denial(&self, signed: &SignedRecord, code: Code) -> Refused {
        let epoch = self.me.chain.epoch;
        Refused {
            envelope: Some(signed.envelope().clone()),
            ..record::refused(&self.me.identity.name, epoch, signed, code)
        }
    }

    /// Minutes in which control beats and does its duties, and the agent is silent.
    pub(crate) fn sleep(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.now += MINUTE;
            self.pulse();
        }
    }

    pub(crate) fn state(&self) -> AgentState {
        let agent = self.log.state().agent(&self.me.identity.name);
        agent.unwrap().state()
    }

    pub(crate) fn report(&self) -> Report {
        self.log.report()
    }

    pub(crate) fn found(&self) -> Found {
        found(&self.report())
    }
}

pub(crate) fn found(report: &Report) -> Found {
    let mut found = Found::new();
    for it in &report.findings {
        let what = (it.refusal.code.as_str(), it.class.as_str(), it.by.as_str());
        *found.entry(what).or_default() += 1;
    }
    found
}

/// What is wrong with a record, and that control let it in.
pub(crate) fn let_in(code: Code, class: Class, by: Party) -> Found {
    Found::from([
        ((code.as_str(), class.as_str(), by.as_str()), 1),
        ((code.as_str(), "breach", "control"), 1),
    ])
}

pub(crate) fn one(code: Code, class: Class, by: Party) -> Found {
    Found::from([((code.as_str(), class.as_str(), by.as_str()), 1)])
}

pub(crate) fn with(mut found: Found, code: Code, by: Party, count: usize) -> Found {
    found.insert((code.as_str(), "problem", by.as_str()), count);
    found
}
