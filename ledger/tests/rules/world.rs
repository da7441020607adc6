//! A log in virtual time, with the real rules and real signatures.

use ledger::codes::Code;
use ledger::digest::{Digest, RecordHash};
use ledger::govern::{Agent, LeaseState, State};
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Amounts, Body, Budget, Chain, Charter, CharterKey, Check, FileSet, Goal, Heartbeat,
    Instance, Intent, Lease, Limits, Liveness, Manifest, Mode, Order, Outcome, Phase, Pulse,
    Receipt, Record, Refused, Registration, ResultOf, Role, Rule, Status, Thresholds, ToolUse,
    Verdict,
};
use tlog::LeafIndex;
use tlog::note::{KeyName, SigningKey};

pub(crate) const SECOND: u64 = 1000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// When every history begins.
pub(crate) const START: u64 = 1_764_000_000_000;

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: u64,
    pub(crate) log: RecordHash,
    pub(crate) operator: PrivateKey,
    /// Every transition logged so far.
    pub(crate) transitions: Vec<(u64, Rule, AgentState)>,
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

pub(crate) fn agent_key() -> PrivateKey {
    key(5)
}

pub(crate) fn instance(n: u8) -> Instance {
    Instance::from_bytes([n; 8])
}

pub(crate) fn digest() -> Digest {
    Digest::of(&[b"something"])
}

pub(crate) fn charter() -> Charter {
    let charter_key = |seed, role: Role| CharterKey {
        key: key(seed).public(),
        name: role.as_str().parse().unwrap(),
        roles: vec![role],
    };
    let log = SigningKey::new(KeyName::parse("example.com/log").unwrap(), &[6; 32]);
    Charter {
        version: 1,
        rules: 1,
        origin: "example.com/log".to_owned(),
        log_keys: vec![log.verifier_key()],
        previous: None,
        mode: Mode::Enforce,
        thresholds: Thresholds::default(),
        keys: vec![
            charter_key(1, Role::Root),
            charter_key(2, Role::Operator),
            charter_key(3, Role::Control),
            charter_key(4, Role::Observer),
        ],
        distrusted: vec![],
        limits: Limits::default(),
        liveness: Liveness::default(),
    }
}

impl World {
    /// A log with its charter and nothing else.
    pub(crate) fn new() -> Self {
        Self::under(charter())
    }

    pub(crate) fn under(charter: Charter) -> Self {
        let mut world = Self {
            state: State::new(),
            now: START,
            log: RecordHash::new(digest()),
            operator: key(2),
            transitions: vec![],
        };
        let record = Record {
            log: None,
            at_ms: START,
            body: Body::Charter(charter.into()),
            ext: None,
        };
        world.log = world.offer(&record, &[&key(1)]).expect("the charter");
        world
    }

    /// A log with an agent `a` that has a lease of an hour, and is not started yet.
    pub(crate) fn leased() -> Self {
        Self::leased_under(charter())
    }

    pub(crate) fn leased_under(charter: Charter) -> Self {
        let mut world = Self::under(charter);
        world.register("a", &agent_key()).unwrap();
        world.grant(&world.lease("a", HOUR)).unwrap();
        world
    }

    /// A log with an agent `a` that runs under a lease of an hour.
    pub(crate) fn running() -> Self {
        let mut world = Self::leased();
        world.beat(1).unwrap();
        assert_eq!(world.agent().state(), AgentState::Running);
        world
    }

    pub(crate) fn agent(&self) -> &Agent {
        self.state.agent(&"a".parse().unwrap()).unwrap()
    }

    /// What its signer says now who knows the log as it is.
    pub(crate) fn record(&self, body: Body) -> Record {
        Record {
            log: Some(self.log),
            at_ms: self.now,
            body: self.knowing(body),
            ext: None,
        }
    }

    fn knowing(&self, mut body: Body) -> Body {
        let newest = |name| self.state.agent(name).and_then(Agent::after);
        match &mut body {
            Body::Lease(lease) => lease.after = newest(&lease.agent),
            Body::Order(order) => order.after = newest(&order.agent),
            Body::LeaseRenewal(renewal) => {
                let lease = self.state.lease(&renewal.lease);
                renewal.from_ms = lease.map_or(0, LeaseState::expires_ms);
            }
            _ => {}
        }
        body
    }

    /// Signs and submits, as the service would take it: admit, apply, then whatever is due.
    pub(crate) fn offer(
        &mut self,
        record: &Record,
        keys: &[&PrivateKey],
    ) -> Result<RecordHash, Code> {
        let hash = self.log_one(record, keys)?;
        self.settle();
        Ok(hash)
    }

    /// As [`World::offer`], under a control plane that does nothing.
    pub(crate) fn log_one(
        &mut self,
        record: &Record,
        keys: &[&PrivateKey],
    ) -> Result<RecordHash, Code> {
        let signed = record.sign(keys).map_err(|refusal| refusal.code)?;
        let checked = signed.check(&|id| self.state.key(id));
        self.state
            .admit(&checked, self.now)
            .map_err(|refusal| refusal.code)?;
        self.state
            .apply(LeafIndex::new(self.state.size()), self.now, &checked);
        Ok(checked.hash())
    }

    /// Takes a record that no rule would let in, as a log may hold it all the same.
    pub(crate) fn apply_all_the_same(&mut self, body: Body, by: &PrivateKey) -> RecordHash {
        let signed = self.record(body).sign(&[by]).expect("a sound form");
        let checked = signed.check(&|id| self.state.key(id));
        let index = LeafIndex::new(self.state.size());
        self.state.apply(index, self.now, &checked);
        checked.hash()
    }

    /// Logs what is due now.
    pub(crate) fn settle(&mut self) {
        while let Some(transition) = self.state.next_duty(self.now) {
            self.transitions
                .push((self.now - START, transition.rule, transition.to));
            let record = self.record(Body::Transition(transition));
            self.log_one(&record, &[&key(3)])
                .expect("what is due is admitted");
        }
    }

    /// Lets time pass as a service does: a pulse when it is due, transitions when they are.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            let pulse = self.state.next_pulse_ms().unwrap().max(self.now);
            let duty = self.state.next_deadline_after(self.now).unwrap_or(u64::MAX);
            let next = pulse.min(duty);
            if next > end {
                break;
            }
            self.now = next;
            if next == pulse {
                self.pulse();
            }
            self.settle();
        }
        self.now = end;
    }

    /// Lets minutes pass in which the agent beats, each with or without progress.
    pub(crate) fn live(&mut self, minutes: u64, progress: bool) {
        for _ in 0..minutes {
            self.pass(MINUTE);
            let counter = if progress { self.progress() } else { 1 };
            self.beat(counter).expect("a beat a minute");
        }
    }

    pub(crate) fn pulse(&mut self) {
        let pulse = Pulse {
            n: self.state.pulses() + 1,
            agents: self.state.agent_count(),
            state: None,
            witnessed: None,
        };
        let record = self.record(Body::Pulse(pulse));
        self.offer(&record, &[&key(3)]).expect("a pulse");
    }

    pub(crate) fn registration(&self, agent: &str, key: &PrivateKey) -> Registration {
        let nothing = FileSet {
            root: Digest::of(&[]),
            files: 0,
            bytes: 0,
            ignore: vec![],
        };
        let manifest = Manifest {
            agent: agent.parse().unwrap(),
            version: "v1".parse().unwrap(),
            code: nothing.clone(),
            config: nothing,
            models: vec![],
            prompts: vec![],
            tools: vec![],
            capabilities: ["read:**", "write:repo/**"]
                .map(|c| c.parse().unwrap())
                .to_vec(),
            max_inflight_ms: 15 * MINUTE,
        };
        Registration {
            agent: manifest.agent.clone(),
            key: key.public(),
            manifest_hash: manifest.hash(),
            manifest,
            replaces: self
                .state
                .agent(&agent.parse().unwrap())
                .map(Agent::registration),
            reason: "test".parse().unwrap(),
        }
    }

    pub(crate) fn register(&mut self, agent: &str, key: &PrivateKey) -> Result<RecordHash, Code> {
        let registration = self.registration(agent, key);
        self.offer_registration(registration, key)
    }

    pub(crate) fn offer_registration(
        &mut self,
        registration: Registration,
        key: &PrivateKey,
    ) -> Result<RecordHash, Code> {
        let record = self.record(Body::Manifest(registration.into()));
        self.offer(&record, &[&self.operator.clone(), key])
    }

    pub(crate) fn lease(&self, agent: &str, for_ms: u64) -> Lease {
        Lease {
            agent: agent.parse().unwrap(),
            manifest_hash: self
                .state
                .agent(&agent.parse().unwrap())
                .unwrap()
                .manifest_hash(),
            allow: ["read:**", "write:repo/**"]
                .map(|s| s.parse().unwrap())
                .to_vec(),
            deny: vec!["write:repo/secrets/**".parse().unwrap()],
            budget: Budget::default(),
            not_before_ms: self.now,
            expires_ms: self.now + for_ms,
            renew_until_ms: Some(self.now + 24 * HOUR),
            parent: None,
            after: None,
            purpose: "test".parse().unwrap(),
        }
    }

    pub(crate) fn grant(&mut self, lease: &Lease) -> Result<RecordHash, Code> {
        let record = self.record(Body::Lease(lease.clone().into()));
        self.offer(&record, &[&self.operator.clone()])
    }

    pub(crate) fn order(&mut self, to: AgentState) -> Result<RecordHash, Code> {
        let order = Order {
            agent: "a".parse().unwrap(),
            to,
            after: None,
            reason: "test".parse().unwrap(),
        };
        let record = self.record(Body::Order(order));
        self.offer(&record, &[&self.operator.clone()])
    }

    /// Where the next record of agent `a` belongs.
    pub(crate) fn chain(&self) -> Chain {
        let agent = self.agent();
        Chain {
            agent: agent.name().clone(),
            epoch: agent.epoch(),
            instance: agent.instance().unwrap_or(instance(1)),
            seq: agent.next_seq(),
            prev: agent.head().unwrap_or(self.log),
        }
    }

    pub(crate) fn heartbeat(&self, chain: Chain, progress: u64) -> Heartbeat {
        Heartbeat {
            before: if chain.seq == 0 {
                self.agent().last()
            } else {
                None
            },
            chain,
            progress,
            r#final: false,
            manifest_hash: self.agent().manifest_hash(),
            seen: None,
        }
    }

    pub(crate) fn offer_beat(&mut self, beat: Heartbeat) -> Result<RecordHash, Code> {
        let record = self.record(Body::Heartbeat(beat.into()));
        self.offer(&record, &[&agent_key()])
    }

    pub(crate) fn beat(&mut self, progress: u64) -> Result<RecordHash, Code> {
        self.offer_beat(self.heartbeat(self.chain(), progress))
    }

    /// The heartbeat by which the agent opens its next epoch itself.
    pub(crate) fn restart(&mut self, as_instance: Instance) -> Result<RecordHash, Code> {
        let record = self.restarting(as_instance);
        self.offer(&record, &[&agent_key()])
    }

    pub(crate) fn restarting(&self, as_instance: Instance) -> Record {
        let chain = Chain {
            epoch: self.agent().epoch() + 1,
            instance: as_instance,
            seq: 0,
            prev: self.agent().lease().unwrap(),
            ..self.chain()
        };
        self.record(Body::Heartbeat(self.heartbeat(chain, 0).into()))
    }

    /// The heartbeat that begins an epoch which control has opened.
    pub(crate) fn begin(
        &mut self,
        as_instance: Instance,
        progress: u64,
    ) -> Result<RecordHash, Code> {
        let chain = Chain {
            instance: as_instance,
            ..self.chain()
        };
        self.offer_beat(self.heartbeat(chain, progress))
    }

    pub(crate) fn say_goodbye(&mut self) -> Result<RecordHash, Code> {
        let progress = self.progress();
        let beat = Heartbeat {
            r#final: true,
            ..self.heartbeat(self.chain(), progress)
        };
        self.offer_beat(beat)
    }

    /// A progress counter that never goes back.
    pub(crate) fn progress(&self) -> u64 {
        self.agent().next_seq() + 1
    }

    pub(crate) fn receipt(&mut self, phase: Phase) -> Result<RecordHash, Code> {
        let receipt = Receipt {
            chain: self.chain(),
            phase,
        };
        let record = self.record(Body::Receipt(receipt.into()));
        self.offer(&record, &[&agent_key()])
    }

    pub(crate) fn goal(&mut self) -> Result<RecordHash, Code> {
        let text = |text: &str| text.parse().unwrap();
        self.receipt(Phase::Goal(Goal {
            title: text("test"),
            requester: text("me"),
        }))
    }

    pub(crate) fn intent_of(goal: RecordHash, scope: &str) -> Intent {
        Intent {
            goal,
            scope: scope.parse().unwrap(),
            tool: ToolUse {
                name: "t".parse().unwrap(),
                digest: digest(),
            },
            inputs: vec![],
            parents: vec![],
            reserve: Amounts {
                tokens: 10,
                cost_micros: 100,
            },
        }
    }

    pub(crate) fn intent(&mut self, goal: RecordHash, scope: &str) -> Result<RecordHash, Code> {
        self.receipt(Phase::Intent(Self::intent_of(goal, scope).into()))
    }

    pub(crate) fn result(&mut self, intent: RecordHash, used: Amounts) -> Result<RecordHash, Code> {
        self.receipt(Phase::Result(ResultOf {
            intent,
            status: Status::Ok,
            outputs: vec![],
            duration_ms: 1,
            usage: used,
            refs: vec![],
        }))
    }

    pub(crate) fn outcome(&mut self, goal: RecordHash, checks: usize) -> Result<RecordHash, Code> {
        let check = Check {
            name: "test".parse().unwrap(),
            digest: digest(),
            record: None,
        };
        let checks = vec![check; checks];
        self.receipt(Phase::Outcome(Outcome {
            goal,
            verdict: Verdict::Accepted,
            checks,
        }))
    }

    /// Refuses an intent as the service does: a denial goes into the log, with its envelope.
    pub(crate) fn deny(&mut self, goal: RecordHash, scope: &str) -> Result<RecordHash, Code> {
        let record = self.denial(goal, scope);
        self.offer(&record, &[&key(3)])
    }

    /// The refusal of an intent that is out of bounds.
    pub(crate) fn denial(&self, goal: RecordHash, scope: &str) -> Record {
        let intent = Self::intent_of(goal, scope);
        let receipt = Receipt {
            chain: self.chain(),
            phase: Phase::Intent(intent.into()),
        };
        let signed = self
            .record(Body::Receipt(receipt.into()))
            .sign(&[&agent_key()])
            .unwrap();
        let checked = signed.clone().check(&|id| self.state.key(id));
        let refusal = self
            .state
            .admit(&checked, self.now)
            .expect_err("an intent out of bounds");
        assert!(self.state.is_denial(&checked, refusal.code));
        let refused = Refused {
            agent: "a".parse().unwrap(),
            epoch: self.agent().epoch(),
            kind: signed.kind(),
            phase: Some("intent".to_owned()),
            refused: signed.hash(),
            code: refusal.code,
            count: 1,
            envelope: Some(signed.envelope().clone()),
        };
        self.record(Body::Refusal(refused.into()))
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.transitions.iter().map(|(_, rule, _)| *rule).collect()
    }
}
