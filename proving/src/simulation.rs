//! Plays a script: the fleet signs, the control plane keeps the log, nobody looks at the truth.

use ledger::digest::RecordHash;
use ledger::govern::{Agent, State};
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Body, Budget, Charter, CharterKey, Lease, Role, Rule, SignedRecord, Transition,
};
use ledger::text::Name;

use crate::keys::{Keys, key};
use crate::plane::{Answer, Plane};
use crate::script::{Act, Deed, HOUR_MS, Line, START_MS, Trick, Wrong, charter};
use crate::speaker::Identity;
use crate::worker::Worker;
use crate::{Log, record};

/// A fleet and its control plane, in the middle of a script.
#[derive(Debug)]
struct Simulation {
    plane: Plane,
    workers: Vec<Worker>,
    operator: PrivateKey,
}

/// Plays a script, sorted by time, and gives the log that comes of it.
///
/// # Panics
/// If a record that the script calls good is refused, or one that it calls bad is not: then the script and the rules
/// disagree, and nothing that is measured by either means anything.
pub fn play(seed: u64, script: &[Line], end_ms: u64) -> Log {
    let keys = Keys::of(&format!("fleet {seed}"));
    let operator = keys.operator.clone();
    let charter = charter(&keys);
    let mut simulation = Simulation {
        plane: Plane::new(Log::found(keys, charter, START_MS)),
        workers: Vec::new(),
        operator,
    };
    for line in script {
        simulation.plane.pass(line.at_ms);
        simulation.perform(line);
    }
    simulation.plane.pass(end_ms);
    simulation.plane.log
}

/// What an agent is called.
pub fn agent_name(agent: usize) -> Name {
    record::name(&format!("agent-{agent:03}"))
}

impl Simulation {
    fn perform(&mut self, line: &Line) {
        let now = line.at_ms;
        match &line.act {
            Act::Agent(agent, deed) => self.agent(*agent, deed, now),
            Act::Down => self.plane.go_down(),
            Act::Up => self.plane.come_up(now),
            Act::ForgetPulses(forget) => self.plane.forget_pulses(*forget, now),
            Act::Lag(lag_ms) => self.plane.lag(*lag_ms),
            Act::Amend => self.amend(now),
        }
    }

    fn agent(&mut self, agent: usize, deed: &Deed, now: u64) {
        match deed {
            Deed::Enrol { for_ms, parent } => self.enrol(agent, *for_ms, *parent, now),
            Deed::Lease { for_ms, tokens } => self.lease(agent, *for_ms, *tokens, now),
            Deed::Renew {
                by_control,
                expires_ms,
            } => self.renew(agent, *by_control, *expires_ms, now),
            Deed::Revoke => self.by_operator(record::revocation(self.lease_of(agent)), now),
            Deed::Order(to) => self.by_operator(record::order(&agent_name(agent), *to), now),
            Deed::Forget(rule) => self.plane.forget(&agent_name(agent), *rule, now),
            Deed::Transition(wrong) => self.wrong_transition(agent, *wrong, now),
            Deed::ForgeRefusal => self.forge_refusal(agent, now),
            Deed::ForgeLease => self.forge_lease(agent, now),
            Deed::Offer(trick, code) => {
                let signed = self.workers[agent].trick(*trick, &self.plane.log, now);
                let want = match trick {
                    Trick::Replay => Answer::Duplicate,
                    _ => Answer::Refused(*code),
                };
                let got = self.plane.submit(&signed, now);
                assert_eq!(got, want, "{trick:?} of agent {agent} at {now}");
            }
            Deed::Admit(trick) => {
                let signed = self.workers[agent].trick(*trick, &self.plane.log, now);
                self.plane.admit_regardless(&signed, now);
                if let Trick::Intent { .. } | Trick::Goal = trick {
                    self.workers[agent].said(&signed);
                }
            }
            Deed::Hide | Deed::AdmitGap | Deed::AdmitResting => {
                let worker = &mut self.workers[agent];
                let signed = worker.beat(&self.plane.log, 1, false, now);
                worker.said(&signed);
                match deed {
                    Deed::AdmitGap => self.plane.admit_regardless(&signed, now),
                    Deed::AdmitResting => self.plane.admit_resting(&signed, now),
                    _ => {}
                }
            }
            _ => self.work(agent, deed, now),
        }
    }

    /// What an agent does by the rules: it is logged.
    fn work(&mut self, agent: usize, deed: &Deed, now: u64) {
        let (log, worker) = (&self.plane.log, &mut self.workers[agent]);
        let signed = match deed {
            Deed::Begin | Deed::Restart => {
                worker.start(log, matches!(deed, Deed::Restart));
                worker.beat(log, 0, false, now)
            }
            Deed::Follow => {
                let known = log.state().agent(&worker.identity().name);
                let lease = known.and_then(Agent::lease).expect("it has a lease");
                worker.follow(log, lease);
                worker.beat(log, 0, false, now)
            }
            Deed::Beat { steps, seen } => worker.beat(log, *steps, *seen, now),
            Deed::Goodbye => worker.goodbye(log, now),
            Deed::Goal => worker.goal(log, now),
            Deed::Intent => worker.intent(log, now),
            Deed::Result { tokens } => worker.result(log, *tokens, now),
            Deed::Outcome => worker.outcome(log, now),
            Deed::BeatOfFork => worker.beat_of_fork(log, now),
            Deed::BeatOfDrift => worker.beat_of_drift(log, now),
            other => unreachable!("{other:?} is nothing that an agent signs by the rules"),
        };
        let answer = self.plane.submit(&signed, now);
        assert_eq!(answer, Answer::Logged, "{deed:?} of agent {agent} at {now}");
        self.workers[agent].said(&signed);
    }

    fn enrol(&mut self, agent: usize, for_ms: u64, parent: Option<usize>, now: u64) {
        assert_eq!(
            agent,
            self.workers.len(),
            "agents are enrolled in their order"
        );
        let name = agent_name(agent);
        let manifest = record::manifest(&name, "v1");
        let key = key(name.as_str());
        let registration = record::registration(manifest, key.public(), None);
        let identity = Identity {
            name,
            key,
            manifest_hash: registration.manifest_hash,
        };
        let body = Body::Manifest(Box::new(registration));
        let keys = [&self.operator, &identity.key];
        let signed = self.plane.log.sign(body, now, &keys);
        self.take(&signed, now);
        self.workers.push(Worker::new(identity));
        let parent = parent.map(|parent| self.lease_of(parent));
        self.grant(agent, now, |lease| Lease {
            expires_ms: now + for_ms,
            renew_until_ms: Some(now + 2 * for_ms),
            parent,
            ..lease
        });
    }

    fn lease(&mut self, agent: usize, for_ms: u64, tokens: Option<u64>, now: u64) {
        self.grant(agent, now, |lease| Lease {
            expires_ms: now + for_ms,
            renew_until_ms: Some(now + 2 * for_ms),
            budget: Budget {
                tokens,
                ..Budget::default()
            },
            ..lease
        });
    }

    fn grant(&mut self, agent: usize, now: u64, terms: impl FnOnce(Lease) -> Lease) {
        let identity = self.workers[agent].identity();
        // From now on by the log's clock, which is the one that counts.
        let from_ms = self.plane.clock_ms(now);
        let lease = record::lease(
            &identity.name,
            identity.manifest_hash,
            from_ms,
            now + HOUR_MS,
        );
        self.by_operator(Body::Lease(Box::new(terms(lease))), now);
    }

    fn renew(&mut self, agent: usize, by_control: bool, expires_ms: u64, now: u64) {
        let body = record::renewal(self.lease_of(agent), expires_ms);
        match by_control {
            // Control may be wrong about it; whether it is, the truth says.
            true => self.plane.assert(body, now),
            false => self.by_operator(body, now),
        }
    }

    /// A new key for the operators; what the old one had signed stands.
    fn amend(&mut self, now: u64) {
        let state = self.plane.log.state();
        let charter = state.charter().expect("every log has one").clone();
        let operator = key("the operators' second key");
        let keys = charter.keys.iter().map(|held| match held.roles[..] {
            [Role::Operator] => CharterKey {
                key: operator.public(),
                ..held.clone()
            },
            _ => held.clone(),
        });
        let amended = Charter {
            version: charter.version + 1,
            previous: state.charter_hash(),
            keys: keys.collect(),
            ..charter
        };
        let root = self.plane.log.keys().root.clone();
        let body = Body::Charter(Box::new(amended));
        let signed = self.plane.log.sign(body, now, &[&root]);
        self.take(&signed, now);
        self.operator = operator;
    }

    fn wrong_transition(&mut self, agent: usize, wrong: Wrong, now: u64) {
        let known = self.known(agent);
        let right = Transition {
            agent: agent_name(agent),
            n: known.transitions() + 1,
            from: AgentState::Running,
            to: AgentState::Degraded,
            rule: Rule::PulseLost,
            epoch: known.epoch(),
        };
        let transition = match wrong {
            Wrong::Cause => right,
            Wrong::Number => Transition {
                n: right.n + 1,
                ..right
            },
            Wrong::State => Transition {
                from: AgentState::Degraded,
                to: AgentState::Running,
                rule: Rule::Recovered,
                ..right
            },
        };
        self.plane.assert(Body::Transition(transition), now);
    }

    /// Refuses the next good intent of the agent for its scope. Nothing of it is in the log but the refusal.
    fn forge_refusal(&mut self, agent: usize, now: u64) {
        let signed = self.workers[agent].intent(&self.plane.log, now);
        let epoch = self.known(agent).epoch();
        let code = ledger::codes::Code::ScopeDenied;
        let mut refused = record::refused(&agent_name(agent), epoch, &signed, code);
        refused.envelope = Some(signed.envelope().clone());
        self.plane.assert(Body::Refusal(Box::new(refused)), now);
    }

    fn forge_lease(&mut self, agent: usize, now: u64) {
        let identity = self.workers[agent].identity();
        let lease = record::lease(&identity.name, identity.manifest_hash, now, now + HOUR_MS);
        self.plane.assert(Body::Lease(Box::new(lease)), now);
    }

    fn by_operator(&mut self, body: Body, now: u64) {
        let log = &self.plane.log;
        let signed = log.sign(log.knowing(body), now, &[&self.operator]);
        self.take(&signed, now);
    }

    fn take(&mut self, signed: &SignedRecord, now: u64) {
        let answer = self.plane.submit(signed, now);
        assert_eq!(
            answer,
            Answer::Logged,
            "{:?} at {now}",
            signed.record().body
        );
    }

    fn lease_of(&self, agent: usize) -> RecordHash {
        self.known(agent).lease().expect("it was enrolled")
    }

    fn known(&self, agent: usize) -> &Agent {
        let state: &State = self.plane.log.state();
        state.agent(&agent_name(agent)).expect("it was enrolled")
    }
}
