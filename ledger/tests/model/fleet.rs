//! Three agents whose log is kept twice: by the rules, and by the model. After every record both
//! are asked everything.

use ledger::codes::{Class, Code};
use ledger::digest::RecordHash;
use ledger::envelope::Envelope;
use ledger::govern::{Agent, Restoring, State};
use ledger::json::Value;
use ledger::key::PrivateKey;
use ledger::record::{
    Body, Charter, CheckedRecord, Liveness, Mode, Pulse, Record, Refused, Rule, SignedRecord,
};
use ledger::text::Name;
use tlog::LeafIndex;

use crate::entries::ELSEWHERE;
use crate::history::{History, Leaf};
use crate::owed::Owed;
use crate::steps::{Act, Step, Twist, Wait};
use crate::world::{SECOND, START, charter, digest, key};

/// Clocks so short that a few steps run through all of them.
pub(crate) fn short(mode: Mode) -> Charter {
    let mut charter = Charter { mode, ..charter() };
    charter.liveness = Liveness {
        heartbeat_ms: 10 * SECOND,
        pulse_ms: 13 * SECOND,
        degraded_after_ms: 30 * SECOND,
        autoheal_after_ms: 60 * SECOND,
        heal_attempts: 2,
        heal_timeout_ms: 20 * SECOND,
        heal_beats: 2,
        tolerance_ms: 10 * SECOND,
    };
    charter.limits.denials_max = 2;
    charter.limits.lease_max_ms = 130 * SECOND;
    charter
}

/// How many restored states are followed at once.
const TWINS: usize = 3;

pub(crate) struct Fleet {
    state: State,
    /// The state, restored from its entries at some sizes and followed since.
    twins: Vec<State>,
    pub(crate) leaves: Vec<Leaf>,
    /// What control owes, by the model.
    owed: Owed,
    pub(crate) now: u64,
    pub(crate) fresh: u8,
    /// Every code that refused something, for a test that looks whether all are reached.
    pub(crate) codes: Vec<Code>,
    /// Every code that was logged as a breach.
    pub(crate) breaches: Vec<Code>,
    /// Everything that was remarked on.
    pub(crate) remarks: Vec<(Code, Class)>,
    /// Every rule by which a transition was logged.
    pub(crate) rules: Vec<Rule>,
}

impl Fleet {
    /// A log in which the first two agents have leases.
    pub(crate) fn begin(charter: Charter) -> Self {
        let mut fleet = Self {
            state: State::new(),
            twins: Vec::new(),
            leaves: Vec::new(),
            owed: Owed::default(),
            now: START,
            fresh: 1,
            codes: Vec::new(),
            breaches: Vec::new(),
            remarks: Vec::new(),
            rules: Vec::new(),
        };
        let record = Record {
            log: None,
            at_ms: START,
            body: Body::Charter(charter.into()),
            ext: None,
        };
        fleet.offer(&record, &[key(1)], false);
        fleet.pulse();
        for agent in 0..2 {
            fleet.perform(agent, REGISTER, &[]);
            fleet.perform(agent, if agent == 0 { GRANT } else { SMALL_GRANT }, &[]);
        }
        fleet
    }

    /// Takes one step, and lets both say what they think of it.
    pub(crate) fn take(&mut self, step: &Step) {
        self.wait(step.wait);
        self.perform(step.agent, step.act, &step.twists);
        if step.settles {
            self.settle();
        }
    }

    pub(crate) fn history(&self) -> History<'_> {
        History(&self.leaves)
    }

    fn wait(&mut self, wait: Wait) {
        match wait {
            Wait::Ms(ms) => self.pass(ms),
            Wait::Deadline(off) => {
                let next = self.state.next_deadline_after(self.now);
                // Not further than a log with pulses would be followed by hand.
                let next = next.map_or(0, |next| (next - self.now).min(100 * SECOND));
                self.pass(next.saturating_add_signed(off));
            }
            Wait::Silence(ms) => {
                self.now += ms;
                self.pulse();
            }
        }
    }

    /// Lets time pass as a service does.
    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            let pulse = self.state.next_pulse_ms().unwrap_or(0).max(self.now);
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

    pub(crate) fn pulse(&mut self) {
        let pulse = Pulse {
            n: self.state.pulses() + 1,
            agents: self.state.agent_count(),
            state: Some(self.state.root()),
            witnessed: None,
        };
        let record = self.record(Body::Pulse(pulse));
        self.offer(&record, &[key(3)], false);
    }

    /// Logs what is due, and finds that both name the same.
    fn settle(&mut self) {
        while let Some(transition) = self.state.next_duty(self.now) {
            let due = self.history().due(&transition.agent, self.now);
            let named = (transition.rule, transition.to);
            assert_eq!(due.first(), Some(&named), "{transition:?}\n{self:?}");
            self.rules.push(transition.rule);
            let record = self.record(Body::Transition(transition));
            self.offer(&record, &[key(3)], false);
        }
        for agent in agents() {
            let due = self.history().due(&agent, self.now);
            assert_eq!(due, [], "{agent} has something due\n{self:?}");
        }
    }

    pub(crate) fn record(&self, body: Body) -> Record {
        Record {
            log: self.history().log(),
            at_ms: self.now,
            body,
            ext: None,
        }
    }

    fn perform(&mut self, agent: usize, act: Act, twists: &[Twist]) {
        let Some((body, mut keys)) = self.make(agent, act, twists) else {
            return;
        };
        let mut record = self.record(body);
        let mut forged = false;
        for twist in twists {
            match twist {
                Twist::OtherLog => record.log = Some(RecordHash::new(digest())),
                Twist::Key(seed) => keys = vec![key(*seed)],
                Twist::Forged => forged = true,
                Twist::Unsigned if keys.len() > 1 => drop(keys.pop()),
                Twist::At(off) => record.at_ms = record.at_ms.saturating_add_signed(*off),
                _ => {}
            }
        }
        self.offer(&record, &keys, forged);
    }

    /// Signs and offers to both. What is admitted goes into both.
    fn offer(&mut self, record: &Record, keys: &[PrivateKey], forged: bool) {
        let keys: Vec<&PrivateKey> = keys.iter().collect();
        let signed = record.sign(&keys).expect("a sound form");
        let signed = if forged { forge(&signed) } else { signed };
        if self.history().find(signed.hash()).is_some() {
            return;
        }
        let signers = signed.envelope().signatures().iter();
        let leaf = Leaf {
            received_ms: self.now,
            hash: signed.hash(),
            record: record.clone(),
            signers: signers
                .map(|signature| (signature.keyid, !forged))
                .collect(),
        };
        let checked = signed.clone().check(&|id| self.state.key(id));
        let ours = self.history().admit(&leaf);
        let theirs = self.state.admit(&checked, self.now);
        let code = |breach: &ledger::codes::Refusal| breach.code;
        let same = theirs
            .as_ref()
            .map(|admission| admission.breach.as_ref().map(code));
        let same = same.map_err(|refusal| refusal.code);
        assert_eq!(
            same, ours,
            "rules, then model, of {leaf:?}: {theirs:?}\n{self:?}"
        );
        for twin in &self.twins {
            let same = twin.admit(&checked, self.now) == theirs;
            assert!(same, "a restored state of {leaf:?}\n{self:?}");
        }
        if ours == Ok(None) {
            let theirs = self.state.remark(&checked, self.now);
            let theirs = theirs.map(|remark| (remark.refusal.code, remark.class));
            let ours = self.history().remark(&leaf);
            assert_eq!(theirs, ours, "remarks on {leaf:?}\n{self:?}");
            self.remarks.extend(ours);
        }
        match ours {
            Ok(breach) => {
                self.breaches.extend(breach);
                let index = LeafIndex::new(self.state.size());
                self.state.apply(index, self.now, &checked);
                for twin in &mut self.twins {
                    twin.apply(index, self.now, &checked);
                }
                self.leaves.push(leaf);
                self.owed.take(History(&self.leaves), &agents());
                self.agree();
                self.restore();
            }
            Err(code) => {
                self.codes.push(code);
                let denies = self.history().denies(&leaf, code);
                self.log_denial(&signed, &checked, code, denies);
            }
        }
    }

    /// A state that was restored at whatever size says the same as the one that all records led to.
    fn restore(&mut self) {
        let (now, root) = (self.now, self.state.root());
        for twin in &self.twins {
            let size = self.leaves.len();
            assert_eq!(twin.root(), root, "restored before {size}\n{self:?}");
            let duties = |state: &State| state.duties(now).collect::<Vec<_>>();
            assert_eq!(duties(twin), duties(&self.state), "{self:?}");
            let next = |state: &State| (state.next_deadline_after(now), state.next_pulse_ms());
            assert_eq!(next(twin), next(&self.state), "{self:?}");
        }
        let mut restoring = Restoring::default();
        let entries: Vec<String> = self.state.tree().entries().collect();
        assert_eq!(entries.len() as u64, root.entries);
        for entry in entries {
            restoring.push(&entry).expect("an entry as it was written");
        }
        self.agree_on_entries();
        let twin = restoring.finish().expect("all entries");
        assert_eq!(twin.root(), root, "{self:?}");
        // One from each stage of the history, and the newest.
        if self.twins.len() > TWINS {
            self.twins.remove(self.leaves.len() % TWINS);
        }
        self.twins.push(twin);
    }

    /// The entries are what a look through the whole log says.
    fn agree_on_entries(&self) {
        let history = self.history();
        let mut leases = history.lease_entries().into_iter();
        for entry in self.state.tree().entries() {
            let mut told: serde_json::Value = serde_json::from_str(&entry).expect("JSON");
            let members = told.as_object_mut().expect("an object");
            let model = match () {
                () if members.contains_key("log") => {
                    // The charter is held against its record.
                    members.remove("terms");
                    let mut entry = history.log_entry();
                    entry["missed_pulse"] = self.owed.missed_pulse().into();
                    entry
                }
                () if entry.starts_with("{\"agent\"") => {
                    members.remove(ELSEWHERE);
                    let name = members["agent"].as_str().and_then(|name| name.parse().ok());
                    let name = name.expect("a name");
                    let mut entry = history.agent_entry(&name);
                    let members = entry.as_object_mut().expect("an object");
                    members.extend(self.owed.to(&name));
                    entry
                }
                () => {
                    members.remove("terms");
                    leases.next().expect("a lease of the log")
                }
            };
            assert_eq!(told, model, "rules, then model\n{self:?}");
        }
        assert_eq!(leases.next(), None, "{self:?}");
    }

    /// A denial is logged at once, with its envelope.
    fn log_denial(
        &mut self,
        signed: &SignedRecord,
        checked: &CheckedRecord,
        code: Code,
        denies: bool,
    ) {
        let Body::Receipt(receipt) = &signed.record().body else {
            return;
        };
        let agent = receipt.chain.agent.clone();
        let counts = self.history().denied(&agent).contains(&signed.hash());
        let denies = denies && !counts;
        assert_eq!(self.state.is_denial(checked, code), denies, "{self:?}");
        if !denies {
            return;
        }
        let refused = Refused {
            agent,
            epoch: receipt.chain.epoch,
            kind: signed.kind(),
            phase: Some("intent".to_owned()),
            refused: signed.hash(),
            code,
            count: 1,
            envelope: Some(signed.envelope().clone()),
        };
        let record = self.record(Body::Refusal(refused.into()));
        self.offer(&record, &[key(3)], false);
    }

    /// Both say the same of every agent and every lease.
    fn agree(&self) {
        for name in agents() {
            let Some(agent) = self.state.agent(&name) else {
                assert!(self.history().registration(&name).is_none());
                continue;
            };
            self.agree_on(&name, agent);
        }
        for leaf in self.leaves.iter().filter(|leaf| leaf.lease().is_some()) {
            self.agree_on_lease(leaf.hash);
        }
    }

    fn agree_on(&self, name: &Name, agent: &Agent) {
        let history = self.history();
        macro_rules! same {
            ($what:literal, $rules:expr, $model:expr) => {
                assert_eq!(
                    $rules, $model,
                    "{} of {name}: rules, then model\n{self:?}",
                    $what
                );
            };
        }
        same!("state", agent.state(), history.state(name));
        same!("epoch", agent.epoch(), history.epoch(name));
        same!("next_seq", agent.next_seq(), history.next_seq(name));
        same!("head", agent.head(), history.head(name));
        same!("last", agent.last(), history.last(name));
        same!("instance", agent.instance(), history.instance(name));
        same!("lease", agent.lease(), history.lease_of(name));
        same!("after", agent.after(), history.newest_decision(name));
        same!(
            "transitions",
            agent.transitions(),
            history.moves(name).len() as u64
        );
        let mut goals = history.open_goals(name);
        goals.sort_unstable();
        same!(
            "open goals",
            agent.open_goals().copied().collect::<Vec<_>>(),
            goals
        );
        let mut intents: Vec<_> = history
            .open_intents(name)
            .iter()
            .map(|(_, i)| i.hash)
            .collect();
        intents.sort_unstable();
        let open: Vec<_> = agent.open_intents().map(|(hash, _)| *hash).collect();
        same!("open intents", open, intents);
        if agent.epoch() > 0 {
            let (pulse, progress) = (
                self.state.pulse_age_ms(agent, self.now),
                self.state.progress_age_ms(agent, self.now),
            );
            same!("pulse age", pulse, history.pulse_age(name, self.now));
            same!(
                "progress age",
                progress,
                history.progress_age(name, self.now)
            );
        }
    }

    fn agree_on_lease(&self, hash: RecordHash) {
        let history = self.history();
        for t in [self.now, self.now + 7 * SECOND] {
            let rules = self
                .state
                .in_force(hash, t)
                .err()
                .map(|refusal| refusal.code);
            assert_eq!(rules, history.not_valid(hash, t), "{hash} at {t}\n{self:?}");
        }
        let held = history.ended(hash).is_none() || history.matters(hash);
        assert_eq!(self.state.lease(&hash).is_some(), held, "{hash}\n{self:?}");
        let kept = held || !history.is_forgotten(hash);
        assert_eq!(self.state.lease_end(&hash).is_some(), kept, "{hash}");
        let Some(lease) = self.state.lease(&hash) else {
            return;
        };
        let spent = lease.spent();
        let ours = history.spent(hash);
        assert_eq!(
            (spent.actions, spent.tokens, spent.cost_micros),
            (ours.actions, ours.tokens, ours.cost_micros),
            "spent of {hash}\n{self:?}"
        );
    }

    /// Nothing is due before the next deadline, if nothing is due now.
    pub(crate) fn deadline_is_no_later_than_a_cause(&self) {
        if self.state.next_duty(self.now).is_some() {
            return;
        }
        let next = self.state.next_deadline_after(self.now);
        let clocks = &self.history().charter().liveness;
        let silence = self.state.last_received_ms() + clocks.pulse_ms + clocks.tolerance_ms;
        for t in [
            self.now + 1,
            self.now.midpoint(next.unwrap_or(self.now)),
            next.unwrap_or(0),
        ] {
            if t <= self.now || t > silence {
                continue;
            }
            for agent in agents() {
                let due = self.history().due(&agent, t);
                let early = next.is_none_or(|next| t < next);
                assert!(
                    !early || due.is_empty(),
                    "{agent} has {due:?} at {t}\n{self:?}"
                );
            }
        }
    }
}

/// The log as a person reads it, when the two disagree.
impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, leaf) in self.leaves.iter().enumerate() {
            let after_ms = leaf.received_ms - START;
            let short = &leaf.hash.to_string()[7..15];
            let Record { at_ms, body, .. } = &leaf.record;
            let at_ms = at_ms.cast_signed() - START.cast_signed();
            write!(f, "{index} {short} +{after_ms} at {at_ms} ")?;
            match body {
                Body::Charter(charter) => writeln!(f, "charter {}", charter.version)?,
                Body::Manifest(version) => writeln!(f, "manifest of {}", version.agent)?,
                body => writeln!(f, "{body:?}")?,
            }
        }
        write!(f, "now +{}", self.now - START)
    }
}

pub(crate) fn agents() -> [Name; 3] {
    ["a", "b", "c"].map(|name| name.parse().unwrap())
}

const REGISTER: Act = Act::Register {
    change_key: false,
    by_old_key: false,
};

const GRANT: Act = Act::Grant {
    parent: None,
    from_s: 0,
    for_s: 120,
    allow: 0,
    actions: None,
};

const SMALL_GRANT: Act = Act::Grant {
    parent: None,
    from_s: 0,
    for_s: 120,
    allow: 0,
    actions: Some(1),
};

/// The same record with signatures over something else.
fn forge(signed: &SignedRecord) -> SignedRecord {
    let json = signed.envelope().to_json();
    let Value::Object(mut members) = Value::parse(json.as_bytes()).unwrap() else {
        unreachable!("an envelope is an object")
    };
    let nothing: Value = key(1).sign(b"something else").to_string().into();
    for (name, value) in &mut members {
        let Value::Array(signatures) = value else {
            continue;
        };
        assert_eq!(name, "signatures");
        for signature in signatures {
            let Value::Object(parts) = signature else {
                continue;
            };
            for (name, value) in parts {
                if name == "sig" {
                    *value = nothing.clone();
                }
            }
        }
    }
    let envelope = Envelope::from_value(Value::Object(members)).unwrap();
    SignedRecord::from_envelope(envelope).unwrap()
}
