//! What the agents, operators and control say: records made of acts, right or twisted.

use ledger::codes::Code;
use ledger::digest::{Digest, RecordHash};
use ledger::key::PrivateKey;
use ledger::record::{
    AgentState, Amounts, Body, Budget, Chain, Check, Event, FileSet, Goal, Heartbeat, Instance,
    Intent, Kind, Lease, LeaseRenewal, LeaseRevocation, Manifest, Observation, Order, Outcome,
    Phase, Pulse, Receipt, Refused, Registration, ResultOf, Role, Status, ToolUse, Transition,
    Verdict,
};
use ledger::text::Name;

use crate::authority::no_state;
use crate::fleet::{Fleet, agents};
use crate::history::{Opener, has_role};
use crate::remarks::seen;
use crate::steps::{Act, Twist};
use crate::world::{SECOND, digest, instance, key};

/// Seeds of the keys that become operators', one after another.
pub(crate) const OPERATOR_SEEDS: [u8; 6] = [2, 30, 31, 32, 33, 34];

/// Seeds of the keys that become the log's, one after another.
pub(crate) const LOG_SEEDS: [u8; 3] = [6, 40, 41];

/// Seeds of the agents' keys, first and second.
pub(crate) const AGENT_SEEDS: [(u8, u8); 3] = [(5, 15), (8, 18), (10, 20)];

const SCOPES: [&str; 7] = [
    "read:docs/a",
    "read:other",
    "read:docs",
    "write:repo/x",
    "write:repo/secrets/x",
    "write:elsewhere",
    "run:x",
];

/// What leases allow, by number.
const ALLOWS: [&[&str]; 5] = [
    &["read:**", "write:repo/**"],
    &["read:**", "write:repo/**"],
    &["read:docs/**"],
    &["read:docs/a", "write:repo/*"],
    &["run:x"],
];

impl Fleet {
    /// What the act says, and who signs it; `None` where there is nothing to say.
    pub(crate) fn make(
        &mut self,
        agent: usize,
        act: Act,
        twists: &[Twist],
    ) -> Option<(Body, Vec<PrivateKey>)> {
        let name = agents()[agent].clone();
        let operators = self.operators();
        let unknown = twists.contains(&Twist::Names);
        let any_lease = |n| {
            let lease = self.any_lease(n);
            lease.map(|lease| {
                if unknown {
                    RecordHash::new(digest())
                } else {
                    lease
                }
            })
        };
        Some(match act {
            Act::Beat { .. } | Act::Restart => {
                let beat = self.heartbeat(&name, act, twists)?;
                (Body::Heartbeat(beat.into()), vec![self.key_of(agent)])
            }
            Act::Goal | Act::Intent { .. } | Act::Result { .. } | Act::Outcome { .. } => {
                let phase = self.phase(&name, act, twists);
                let chain = self.chain(&name, twists)?;
                let body = Body::Receipt(Receipt { chain, phase }.into());
                (body, vec![self.key_of(agent)])
            }
            Act::Register {
                change_key,
                by_old_key,
            } => self.registration(agent, change_key, by_old_key, twists),
            Act::Grant { .. } => {
                let lease = self.lease(&name, act, twists);
                (Body::Lease(lease.into()), operators)
            }
            Act::Amend(amendment) => {
                let charter = self.amended(amendment, twists);
                let by_roots = !twists.contains(&Twist::Unsigned);
                let keys = if by_roots { vec![key(1)] } else { operators };
                (Body::Charter(charter.into()), keys)
            }
            Act::Renew {
                lease,
                by_control,
                for_s,
            } => {
                let lease = any_lease(lease)?;
                let ends_ms = self
                    .history()
                    .find(lease)
                    .map(|_| self.history().expires_ms(lease));
                let renewal = LeaseRenewal {
                    lease,
                    from_ms: match ends_ms {
                        Some(ends_ms) if !twists.contains(&Twist::After) => ends_ms,
                        _ => 1,
                    },
                    expires_ms: self.now + for_s * SECOND,
                };
                let by = if by_control { vec![key(3)] } else { operators };
                (Body::LeaseRenewal(renewal), by)
            }
            Act::Revoke { lease } => {
                let revocation = LeaseRevocation {
                    lease: any_lease(lease)?,
                    reason: text("x"),
                };
                (Body::LeaseRevocation(revocation), operators)
            }
            Act::Order(to) => {
                let order = Order {
                    after: self.after(&name, to != AgentState::Autohealing, twists),
                    agent: name,
                    to,
                    reason: text("x"),
                };
                (Body::Order(order), operators)
            }
            Act::Transition(rule, to) => {
                let mut transition = Transition {
                    n: self.history().moves(&name).len() as u64 + 1,
                    from: self.history().state(&name),
                    to,
                    rule,
                    epoch: self.history().epoch_after(&name, rule),
                    agent: name,
                };
                for twist in twists {
                    match twist {
                        Twist::Names => transition.from = to,
                        Twist::Seq(off) => {
                            transition.n = transition.n.saturating_add_signed(*off);
                        }
                        Twist::Epoch(off) => {
                            transition.epoch = transition.epoch.saturating_add_signed(*off);
                        }
                        _ => {}
                    }
                }
                (Body::Transition(transition), vec![key(3)])
            }
            Act::Pulse => {
                let mut n = self.history().pulses() + 1;
                for twist in twists {
                    if let Twist::Seq(off) = twist {
                        n = n.saturating_add_signed(*off);
                    }
                }
                let miscounts = twists.contains(&Twist::Names);
                let lies = twists.contains(&Twist::Prev);
                let pulse = Pulse {
                    n,
                    agents: self.history().agents() + u64::from(miscounts),
                    state: lies.then(no_state),
                    witnessed: None,
                };
                (Body::Pulse(pulse), vec![key(3)])
            }
            Act::Refuse { is_told } => {
                let refused = self.refused(agent, is_told, twists)?;
                (Body::Refusal(refused.into()), vec![key(3)])
            }
            Act::Observe => {
                let observation = Observation {
                    source: name.clone(),
                    source_id: text("x"),
                    agent: name,
                    event: Event::AlertOpened,
                    call: None,
                    status: None,
                    began_ms: None,
                    ended_ms: None,
                    digest: None,
                    detail: text("x"),
                };
                (Body::Observation(observation.into()), vec![key(4)])
            }
        })
    }

    /// The refusal of an intent that nobody has offered, with what it was or without.
    fn refused(&mut self, agent: usize, is_told: bool, twists: &[Twist]) -> Option<Refused> {
        let name = agents()[agent].clone();
        let act = Act::Intent {
            goal: 0,
            scope: SCOPES.len() - 1,
            tokens: 0,
        };
        let phase = self.phase(&name, act, &[]);
        let chain = self.chain(&name, &[])?;
        let (mut epoch, mut count) = (chain.epoch, 1);
        for twist in twists {
            match twist {
                Twist::Epoch(off) => epoch = epoch.saturating_add_signed(*off),
                Twist::Seq(off) => count = 6_000_000u64.saturating_add_signed(*off),
                _ => {}
            }
        }
        let code = match twists.contains(&Twist::Names) {
            true => Code::CapabilityMissing,
            false => Code::BudgetExceeded,
        };
        let record = self.record(Body::Receipt(Receipt { chain, phase }.into()));
        let signed = record.sign(&[&self.key_of(agent)]).expect("a sound form");
        Some(Refused {
            agent: name,
            epoch,
            kind: Kind::Receipt,
            phase: Some("intent".to_owned()),
            refused: signed.hash(),
            code,
            count,
            envelope: is_told.then(|| signed.envelope().clone()),
        })
    }

    /// The operators that the charter in force trusts.
    pub(crate) fn operators(&self) -> Vec<PrivateKey> {
        let charter = self.history().charter();
        let trusted = OPERATOR_SEEDS.map(key).into_iter();
        trusted
            .filter(|key| has_role(charter, key.public().id(), Role::Operator))
            .collect()
    }

    /// The key that the agent signs with: that of its lease's version, or of its active one.
    fn key_of(&self, agent: usize) -> PrivateKey {
        let (first, second) = AGENT_SEEDS[agent];
        let history = self.history();
        let name = &agents()[agent];
        let version = match history.lease_of_epoch(name) {
            Some(lease) => Some(history.version_of(lease)),
            None => history
                .registration(name)
                .map(|(_, registration)| registration),
        };
        let is_second = version.is_some_and(|version| version.key == key(second).public());
        key(if is_second { second } else { first })
    }

    fn chain(&mut self, name: &Name, twists: &[Twist]) -> Option<Chain> {
        let history = self.history();
        let opened_by = history.openings(name).pop()?.by;
        let last = history.own(name).pop().and_then(|(_, leaf)| leaf.chain());
        let current = history.instance(name);
        let goes_on = current.or_else(|| {
            let last = last.map(|chain| chain.instance);
            last.filter(|_| opened_by == Opener::Lease)
        });
        let mut chain = Chain {
            agent: name.clone(),
            epoch: history.epoch(name),
            instance: goes_on.unwrap_or(instance(0)),
            seq: history.next_seq(name),
            prev: history.head(name)?,
        };
        if goes_on.is_none() {
            chain.instance = self.fresh_instance();
        }
        twist(&mut chain, twists);
        Some(chain)
    }

    fn fresh_instance(&mut self) -> Instance {
        self.fresh += 1;
        instance(self.fresh)
    }

    fn heartbeat(&mut self, name: &Name, act: Act, twists: &[Twist]) -> Option<Heartbeat> {
        let mut chain = self.chain(name, &[])?;
        let (mut progress, mut last, mut drifts) = (0, false, false);
        match act {
            Act::Beat {
                progress: p,
                last: l,
                drifts: d,
            } => (progress, last, drifts) = (p, l, d),
            _ => {
                chain.epoch += 1;
                chain.seq = 0;
                chain.prev = self.history().lease_of(name)?;
                chain.instance = self.fresh_instance();
            }
        }
        let history = self.history();
        let lease = history
            .lease_of(name)
            .and_then(|lease| history.lease(lease));
        let counter = history.in_epoch(name).into_iter().rev();
        let counter = counter.filter_map(|(_, leaf)| leaf.beat()).next();
        let counter = counter.map_or(0, |beat| beat.progress);
        let begins = chain.seq == 0;
        let mut before = if begins { history.last(name) } else { None };
        if twists.contains(&Twist::Before) {
            before = Some(RecordHash::new(digest()));
        }
        if matches!(act, Act::Beat { .. }) {
            let steps_back = twists.contains(&Twist::Names);
            progress = if steps_back {
                counter.saturating_sub(1)
            } else {
                counter + progress
            };
        }
        let manifest_hash = match lease {
            Some(lease) if !drifts => lease.manifest_hash,
            _ => digest(),
        };
        twist(&mut chain, twists);
        let shown = twists.iter().find_map(|twist| match twist {
            Twist::Seen { size, by } => Some(seen(*size, *by)),
            _ => None,
        });
        Some(Heartbeat {
            chain,
            progress,
            r#final: last,
            manifest_hash,
            before,
            seen: shown,
        })
    }

    fn phase(&self, name: &Name, act: Act, twists: &[Twist]) -> Phase {
        let history = self.history();
        let unknown = twists.contains(&Twist::Names);
        let pick_goal = |n: usize| {
            let goals = history.open_goals(name);
            match goals.get(n % goals.len().max(1)) {
                Some(goal) if !unknown => *goal,
                _ => RecordHash::new(digest()),
            }
        };
        match act {
            Act::Intent {
                goal,
                scope,
                tokens,
            } => Phase::Intent(
                Intent {
                    goal: pick_goal(goal),
                    scope: SCOPES[scope].parse().unwrap(),
                    tool: ToolUse {
                        name: "t".parse().unwrap(),
                        digest: digest(),
                    },
                    inputs: vec![],
                    parents: vec![],
                    reserve: amounts(tokens),
                }
                .into(),
            ),
            Act::Result { intent, tokens } => {
                let open = history.open_intents(name);
                let open = open.get(intent % open.len().max(1));
                Phase::Result(ResultOf {
                    intent: match open {
                        Some((_, leaf)) if !unknown => leaf.hash,
                        _ => RecordHash::new(digest()),
                    },
                    status: Status::Ok,
                    outputs: vec![],
                    duration_ms: 1,
                    usage: amounts(tokens),
                    refs: vec![],
                })
            }
            Act::Outcome { goal, backed } => Phase::Outcome(Outcome {
                goal: pick_goal(goal),
                verdict: Verdict::Accepted,
                checks: if backed { vec![check()] } else { vec![] },
            }),
            _ => Phase::Goal(Goal {
                title: text("goal"),
                requester: text("me"),
            }),
        }
    }

    fn registration(
        &self,
        agent: usize,
        change_key: bool,
        by_old_key: bool,
        twists: &[Twist],
    ) -> (Body, Vec<PrivateKey>) {
        let (first, second) = AGENT_SEEDS[agent];
        let name = agents()[agent].clone();
        let active = self.history().registration(&name);
        let old = active.map_or(first, |(_, active)| {
            if active.key == key(second).public() {
                second
            } else {
                first
            }
        });
        let new = match (change_key, old == first) {
            (false, _) => old,
            (true, true) => second,
            (true, false) => first,
        };
        let manifest = manifest(&name, self.leaves.len() as u64);
        let mut registration = Registration {
            agent: name,
            key: key(new).public(),
            manifest_hash: manifest.hash(),
            manifest,
            replaces: active.map(|(hash, _)| hash),
            reason: text("x"),
        };
        if twists.contains(&Twist::Names) {
            registration.manifest_hash = digest();
        }
        if twists.contains(&Twist::Prev) {
            registration.replaces = Some(RecordHash::new(digest()));
        }
        let mut keys = self.operators();
        keys.push(key(new));
        if old != new {
            keys.push(key(if by_old_key { old } else { 1 }));
        }
        (Body::Manifest(registration.into()), keys)
    }

    fn lease(&self, name: &Name, act: Act, twists: &[Twist]) -> Lease {
        let Act::Grant {
            parent,
            from_s,
            for_s,
            allow,
            actions,
        } = act
        else {
            unreachable!("only grants make leases")
        };
        let active = self.history().registration(name);
        let mut not_before_ms = self.now + from_s * SECOND;
        let mut expires_ms = not_before_ms + for_s * SECOND;
        let age_ms = self.history().charter().limits.authority_age_ms;
        for twist in twists {
            match twist {
                Twist::Before => not_before_ms = self.now - age_ms - for_s % 2,
                Twist::Seq(off) => {
                    not_before_ms = self.now - SECOND;
                    expires_ms = self.now.saturating_add_signed(*off);
                }
                _ => {}
            }
        }
        let renewable_s = if for_s % 10 == 4 { 300 } else { 128 };
        Lease {
            agent: name.clone(),
            manifest_hash: match active {
                Some((_, active)) if !twists.contains(&Twist::Names) => active.manifest_hash,
                _ => digest(),
            },
            allow: patterns(ALLOWS[allow]),
            deny: patterns(&["write:repo/secrets/**"]),
            budget: Budget {
                actions,
                tokens: actions.map(|actions| actions * 10),
                cost_micros: None,
            },
            not_before_ms,
            expires_ms,
            renew_until_ms: (for_s % 2 == 0).then_some(self.now + renewable_s * SECOND),
            parent: match parent.and_then(|parent| self.any_lease(parent)) {
                Some(_) if twists.contains(&Twist::Prev) => Some(RecordHash::new(digest())),
                parent => parent,
            },
            after: self.after(name, false, twists),
            purpose: text("x"),
        }
    }

    /// The newest decision about the agent, or none where it may be left out and the twist says so, or another.
    fn after(&self, name: &Name, may_be_null: bool, twists: &[Twist]) -> Option<RecordHash> {
        let newest = self.history().newest_decision(name);
        match twists.contains(&Twist::After) {
            false => newest,
            true if may_be_null && self.leaves.len().is_multiple_of(2) => None,
            true => Some(RecordHash::new(digest())),
        }
    }

    /// The lease of one of the agents; now and then one that it had before.
    fn any_lease(&self, n: usize) -> Option<RecordHash> {
        let leases = self
            .leaves
            .iter()
            .rev()
            .filter(|leaf| leaf.lease().is_some());
        leases.map(|leaf| leaf.hash).nth(n)
    }
}

fn twist(chain: &mut Chain, twists: &[Twist]) {
    for twist in twists {
        match twist {
            Twist::Agent => chain.agent = "nobody".parse().unwrap(),
            Twist::Epoch(off) => chain.epoch = chain.epoch.saturating_add_signed(*off),
            Twist::Instance(n) => chain.instance = instance(*n),
            Twist::Seq(off) => chain.seq = chain.seq.saturating_add_signed(*off),
            Twist::Prev => chain.prev = RecordHash::new(digest()),
            _ => {}
        }
    }
}

pub(crate) fn manifest(name: &Name, version: u64) -> Manifest {
    let nothing = FileSet {
        root: Digest::of(&[]),
        files: 0,
        bytes: 0,
        ignore: vec![],
    };
    Manifest {
        agent: name.clone(),
        version: text(&version.to_string()),
        code: nothing.clone(),
        config: nothing,
        models: vec![],
        prompts: vec![],
        tools: vec![],
        capabilities: patterns(&["read:**", "write:repo/**"]),
        max_inflight_ms: (15 + version % 3) * SECOND,
    }
}

pub(crate) fn patterns(texts: &[&str]) -> Vec<ledger::scope::Pattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(crate) fn text(text: &str) -> ledger::text::Text {
    text.parse().unwrap()
}

fn amounts(tokens: u64) -> Amounts {
    Amounts {
        tokens,
        cost_micros: 3 * tokens,
    }
}

fn check() -> Check {
    Check {
        name: text("test"),
        digest: digest(),
        record: None,
    }
}
