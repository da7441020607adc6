//! The replay: a log from its first leaf on, judged by the rules that the service runs.
//!
//! Each leaf is judged in the state before it, at its own time. The record may be wrong; something may
//! have become due that is not there; and what agents and witnesses saw of the log is held against it.
//! Each finding names whose fault it is, and one bad record makes nobody else look guilty:
//!
//! - A record with a *problem* changes no state. Whatever is wrong only because of that has
//!   `rests-on-problem`, by whoever the problem is by, and counts otherwise.
//! - A record with a *breach* is applied in full.
//! - What the service should have refused and logged is a breach by control as well.
//! - A transition without cause is applied, and what the agent does in the state that it did not come to
//!   by itself is not held against it.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `fold.rs` | the state without, and with, what cannot be relied on |
//! | `entries.rs` | names, times and roots of all leaves |
//! | `heads.rs` | heads that agents and witnesses saw |
//! | `blind_spots.rs` | what the log's own problems make unknowable |
//! | `refused.rs` | refusals that show what was refused |
//! | `blame.rs` | whose fault something is |

mod blame;
mod blind_spots;
mod entries;
mod fold;
mod heads;
mod refused;

use tlog::policy::Policy;
use tlog::tree::Frontier;
use tlog::{Hash, LeafIndex, TreeSize};

use self::blame::{Blame, blame, check_of, signer};
use self::blind_spots::BlindSpots;
use self::entries::Entries;
use self::fold::{Histories, Judgement};
use self::heads::{Head, Witnessed};
use self::refused::check_refused;
use crate::codes::{Class, Code, Party, Refusal};
use crate::digest::RecordHash;
use crate::govern::{Agent, Duty, Missed, State};
use crate::record::{Body, CheckedRecord, Heartbeat, Pulse, RULES, Rule, SignedRecord};
use crate::table::Table;
use crate::text::Name;
use crate::verify::log_keys::LogKeys;
use crate::verify::report::{CheckId, Finding};

/// The most findings that wait for witnesses. A report lists no more of one check.
const MAX_IN_DOUBT: usize = 1000;

/// What the replay knows about an agent beyond the state.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// Whether a record of control, that has no ground, has brought the agent to where it is.
    is_wronged: bool,
    /// By whom the last problem about it was.
    problem: Option<Party>,
}

/// A leaf of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) index: LeafIndex,
    pub(super) received_ms: u64,
    pub(super) hash: Hash,
}

/// Something found, and the check that it belongs to.
pub(super) type Found = (CheckId, Finding);

/// A replay, as far as it has come.
#[derive(Debug)]
pub(super) struct Replay {
    policy: Policy,
    log_keys: LogKeys,
    histories: Histories,
    entries: Entries,
    standings: Table<Name, Standing>,
    /// By whom the last problem was that is about no agent.
    problem: Option<Party>,
    /// By whom the last problem was, whomever it is about: a sub-lease may rest on another agent's.
    last_problem: Option<Party>,
    blind_spots: BlindSpots,
    /// What agents' clocks show, until the witnesses have said that the log's own is right.
    in_doubt: Vec<Found>,
    heads: u64,
    earlier: u64,
    beyond: Option<String>,
    found: Vec<Found>,
}

impl Replay {
    /// Begins a replay. `root` is the verified root of the log that the leaves are of.
    pub(super) fn new(policy: Policy, root: &Hash) -> Self {
        Self::upon(policy, root, State::new(), Frontier::new())
    }

    /// Begins a replay behind leaves that led to a state, and to this edge of the tree.
    pub(super) fn upon(policy: Policy, root: &Hash, state: State, edge: Frontier) -> Self {
        Self {
            policy,
            log_keys: LogKeys::of(&state),
            histories: Histories::upon(state),
            entries: Entries::salted(root, edge),
            standings: Table::default(),
            problem: None,
            last_problem: None,
            blind_spots: BlindSpots::default(),
            in_doubt: Vec::new(),
            heads: 0,
            earlier: 0,
            beyond: None,
            found: Vec::new(),
        }
    }

    /// Why the rest of the log was not judged, if it was not.
    pub(super) fn beyond(&self) -> Option<&str> {
        self.beyond.as_deref()
    }

    /// The state that the log implies, as far as it can be relied on.
    pub(super) fn state(&self) -> &State {
        self.histories.state()
    }

    /// Whether the charter that the log begins with has come, without which there is nothing to go by.
    pub(super) fn has_charter(&self) -> bool {
        self.histories.taken().charter().is_some()
    }

    /// The keys of the log, by the charters that came into force.
    pub(super) const fn log_keys(&self) -> &LogKeys {
        &self.log_keys
    }

    /// The root of the tree of the first leaves, if so many have come.
    pub(super) fn root(&self, size: TreeSize) -> Option<Hash> {
        self.entries.root(size.get())
    }

    /// How many heads, that agents or witnesses saw, are of this log.
    pub(super) const fn heads(&self) -> u64 {
        self.heads
    }

    /// How many heads and references are from before the first leaf, and are held against nobody.
    pub(super) const fn earlier(&self) -> u64 {
        self.earlier
    }

    /// Takes a leaf without a record that can be read, or with one of another log.
    pub(super) fn skip(&mut self, leaf: Leaf) -> Vec<Found> {
        if self.beyond.is_none() {
            self.pass_time(leaf);
            self.histories.skip(leaf.index, leaf.received_ms);
            // Whatever it was that is not there: a result, a transition, a link of anybody's chain.
            self.problem = Some(Party::Log);
            self.blind_spots.gather(None, leaf.received_ms);
        }
        self.entries.push(leaf.hash, leaf.received_ms, None);
        std::mem::take(&mut self.found)
    }

    /// Takes a leaf with a record of this log. Gives what it shows.
    pub(super) fn take(&mut self, leaf: Leaf, record: SignedRecord) -> Vec<Found> {
        let hash = record.hash();
        if self.beyond.is_none() {
            if matches!(&record.record().body, Body::Pulse(pulse) if pulse.state.is_some()) {
                self.histories.note_roots();
            }
            self.pass_time(leaf);
            let record = record.check(&|id| self.histories.taken().key(id));
            if self.entries.before() > 0 && self.unknown_reference(&record).is_some() {
                self.earlier += 1;
            }
            self.judge(leaf, &record);
            self.follow_charter(leaf.index, &record);
        }
        self.entries.push(leaf.hash, leaf.received_ms, Some(hash));
        std::mem::take(&mut self.found)
    }

    /// Ends the log.
    pub(super) fn finish(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.in_doubt)
    }

    /// What became too late before this leaf came.
    fn pass_time(&mut self, leaf: Leaf) {
        let (state, now_ms) = (self.histories.state(), leaf.received_ms);
        let last_ms = state.last_received_ms();
        if state.size() > 0 && state.is_gap(now_ms) {
            let why = format!("nothing was logged for {} ms", now_ms - last_ms);
            self.find_about(leaf, Code::ControlGap.because(why), Party::Control, None);
        }
        for Missed { duty, since_ms } in self.histories.advance(now_ms) {
            if self.blind_spots.hide(since_ms) {
                continue;
            }
            let (what, agent) = match duty {
                Duty::Pulse => ("a pulse".to_owned(), None),
                Duty::Transition(agent, rule) => (rule.to_string(), Some(agent)),
            };
            let refusal = Code::DutyMissed.because(format!("{what} was due at {since_ms}"));
            self.find_about(leaf, refusal, Party::Control, agent);
        }
        for (intent, agent) in self.histories.take_unfinished(now_ms) {
            if self.is_open(&agent, &intent) {
                let refusal = Code::ActionUnfinished.because(format!("{intent} has no result"));
                self.find_about(leaf, refusal, Party::Agent, Some(agent));
            }
        }
    }

    /// Whether an intent has no result in either history.
    fn is_open(&self, agent: &Name, intent: &RecordHash) -> bool {
        let histories = [self.histories.state(), self.histories.taken()];
        histories.iter().all(|state| {
            let agent = state.agent(agent);
            agent.is_some_and(|agent| agent.open_intents().any(|(open, _)| open == intent))
        })
    }

    fn judge(&mut self, leaf: Leaf, record: &CheckedRecord) {
        let judgement = self.judgement(leaf, record);
        self.check_heads(leaf, record, &judgement);
        let is_sound = matches!(judgement, Judgement::Sound(_));
        self.look_at_clouds(record, &judgement);
        match judgement {
            Judgement::Sound(breach) => self.take_sound(leaf, record, breach),
            Judgement::Rests(refusal) => self.take_resting(leaf, record, &refusal),
            Judgement::Wrong(refusal) => self.take_wrong(leaf, record, refusal),
        }
        if is_sound {
            self.restore(record);
        }
    }

    fn judgement(&self, leaf: Leaf, record: &CheckedRecord) -> Judgement {
        if self.entries.knows(&record.hash()) {
            return Judgement::Wrong(repeated(record));
        }
        let judgement = self.histories.judge(record, leaf.received_ms);
        let judgement = match (judgement, self.unknown_reference(record)) {
            // It may well be in front of the first leaf.
            (judgement, Some(_)) if self.entries.before() > 0 => judgement,
            (Judgement::Sound(_) | Judgement::Rests(_), Some(refusal)) => Judgement::Wrong(refusal),
            (judgement, _) => judgement,
        };
        let about = self.histories.state().agent_of(record);
        let about = about.map(Agent::name).or_else(|| record.record().agent());
        match judgement {
            Judgement::Wrong(refusal) if self.blind_spots.explain(about, refusal.code) => {
                Judgement::Rests(refusal)
            }
            Judgement::Wrong(refusal) if self.miscounts_for_another(record, refusal.code) => {
                Judgement::Rests(refusal)
            }
            other => other,
        }
    }

    /// Whether a pulse counts wrong where nobody knows what it had to count: a record before it does not hold.
    fn miscounts_for_another(&self, record: &CheckedRecord, code: Code) -> bool {
        let Body::Pulse(pulse) = &record.record().body else {
            return false;
        };
        let is_dark = self.problem.or(self.last_problem).is_some();
        code == Code::PulseUnfounded
            && is_dark
            && self.histories.state().is_witnessed(pulse).is_ok()
    }

    /// What an agent says next tells whether anything of it is missing.
    fn look_at_clouds(&mut self, record: &CheckedRecord, judgement: &Judgement) {
        let (Body::Heartbeat(_) | Body::Receipt(_), Some(agent)) =
            (&record.record().body, record.record().agent())
        else {
            return;
        };
        match judgement {
            Judgement::Sound(_) => self.blind_spots.lift(agent),
            Judgement::Rests(_) => self.blind_spots.stay(agent),
            Judgement::Wrong(_) => {}
        }
    }

    /// What a receipt builds on, beyond what the rules follow, must be in the log before it.
    fn unknown_reference(&self, record: &CheckedRecord) -> Option<Refusal> {
        let references = record.record().references();
        let unknown = references.iter().find(|hash| !self.entries.knows(hash))?;
        Some(Code::ReferenceUnknown.because(unknown))
    }

    fn take_sound(&mut self, leaf: Leaf, record: &CheckedRecord, breach: Option<Refusal>) {
        if let Some(breach) = breach {
            self.find_in(leaf, record, breach, Class::Breach);
        } else if let Some(remark) = self.histories.state().remark(record, leaf.received_ms) {
            self.find_in(leaf, record, remark.refusal, remark.class);
        }
        if let Body::Refusal(refused) = &record.record().body
            && let Err(unfounded) = check_refused(&self.histories, refused, leaf.received_ms)
        {
            self.find_in(leaf, record, unfounded, Class::Breach);
            self.standings
                .change(&refused.agent, |it| it.is_wronged = true);
        }
        self.histories
            .apply_sound(leaf.index, leaf.received_ms, record);
    }

    /// A record that is wrong only for what came before it does what it says: the log went on from
    /// there.
    fn take_resting(&mut self, leaf: Leaf, record: &CheckedRecord, refusal: &Refusal) {
        let agent = blame(self.histories.taken(), record, refusal.code).agent;
        let standing = agent.as_ref().and_then(|agent| self.standings.get(agent));
        let own = standing.and_then(|it| it.problem);
        let by = own.or(self.problem).or(self.last_problem);
        let rests = Code::RestsOnProblem.because(refusal);
        self.find_about(leaf, rests, by.unwrap_or(Party::Log), agent.clone());
        if let (Body::Transition(_), Some(agent)) = (&record.record().body, agent) {
            self.standings.change(&agent, |it| it.is_wronged = true);
        }
        self.histories.apply(leaf.index, leaf.received_ms, record);
    }

    fn take_wrong(&mut self, leaf: Leaf, record: &CheckedRecord, refusal: Refusal) {
        if self.is_of_unknown_rules(leaf, record, &refusal) {
            return;
        }
        let is_void = refusal.code.voids();
        let Blame { by, agent } = self.blame(record, refusal.code);
        if is_void {
            self.last_problem = Some(by);
            match &agent {
                None => self.problem = Some(by),
                Some(agent) => self.standings.change(agent, |it| it.problem = Some(by)),
            }
            if by == Party::Log {
                self.blind_spots.gather(agent.clone(), leaf.received_ms);
            }
        }
        if !self.is_excused(agent.as_ref(), refusal.code) {
            let class = refusal.code.class();
            self.accuse_control(leaf, record, &refusal, by, agent);
            self.find_in(leaf, record, refusal, class);
        }
        if let Body::Transition(transition) = &record.record().body {
            let wronged = &transition.agent;
            self.standings.change(wronged, |it| it.is_wronged = true);
        }
        let (index, received_ms) = (leaf.index, leaf.received_ms);
        if is_void {
            self.histories.apply_problem(index, received_ms, record);
        } else {
            self.histories.apply(index, received_ms, record);
        }
    }

    /// Rules of a version that this verifier does not have judge all that follows.
    fn is_of_unknown_rules(&mut self, leaf: Leaf, record: &CheckedRecord, why: &Refusal) -> bool {
        let Body::Charter(charter) = &record.record().body else {
            return false;
        };
        let (version, index) = (charter.rules, leaf.index);
        if version <= RULES || why.code != Code::CharterInvalid {
            return false;
        }
        self.beyond = Some(format!(
            "from entry {index} on the rules are of version {version}, which this verifier does not have"
        ));
        true
    }

    /// What an agent does in a state to which control brought it without cause is not its fault.
    fn is_excused(&self, agent: Option<&Name>, code: Code) -> bool {
        let by_state = matches!(code, Code::StateForbids | Code::EpochFenced);
        let standing = agent.and_then(|agent| self.standings.get(agent));
        by_state && standing.is_some_and(|it| it.is_wronged)
    }

    /// Control signs what its own keys sign, and logs what it should refuse.
    fn accuse_control(
        &mut self,
        leaf: Leaf,
        record: &CheckedRecord,
        refusal: &Refusal,
        by: Party,
        agent: Option<Name>,
    ) {
        let is_own =
            by == Party::Control || signer(self.histories.state(), record) == Party::Control;
        if is_own && refusal.code.class() == Class::Breach {
            return;
        }
        let finding = Finding {
            refusal: refusal.clone(),
            class: Class::Breach,
            by: Party::Control,
            index: Some(leaf.index),
            agent,
        };
        self.push(finding);
    }

    /// A change of state that has its ground, and new authority, set right what was wrong.
    fn restore(&mut self, record: &CheckedRecord) {
        let restored = match &record.record().body {
            Body::Transition(transition) if restores(transition.rule) => &transition.agent,
            Body::Order(order) => &order.agent,
            Body::Lease(lease) => &lease.agent,
            _ => return,
        };
        if self.histories.state().agent(restored).is_some() {
            self.standings.change(restored, |it| it.is_wronged = false);
        }
    }

    fn follow_charter(&mut self, index: LeafIndex, record: &CheckedRecord) {
        if let Body::Charter(charter) = &record.record().body
            && self.histories.state().charter_hash() == Some(record.hash())
        {
            self.log_keys.take(index, charter);
        }
    }

    /// What agents and witnesses saw.
    fn check_heads(&mut self, leaf: Leaf, record: &CheckedRecord, judgement: &Judgement) {
        if matches!(judgement, Judgement::Wrong(refusal) if refusal.code.class() == Class::Problem)
        {
            return;
        }
        match &record.record().body {
            Body::Heartbeat(beat) => self.check_seen(leaf, record, beat, judgement),
            Body::Pulse(pulse) => self.check_witnessed(leaf, pulse),
            _ => {}
        }
    }

    fn check_seen(
        &mut self,
        leaf: Leaf,
        record: &CheckedRecord,
        beat: &Heartbeat,
        judgement: &Judgement,
    ) {
        let Some(seen) = &beat.seen else { return };
        // Of a beat that is out of its place for another reason nobody has looked at this yet.
        let was_looked_at = matches!(judgement, Judgement::Sound(_));
        let state = self.histories.state();
        if !was_looked_at && state.is_signed_by_the_log(record, seen).is_err() {
            return;
        }
        match heads::check_seen(seen, &self.entries) {
            Ok(head) => self.count_head(head),
            Err(refusal) => {
                let agent = beat.chain.agent.clone();
                self.find_about(leaf, refusal, Party::Log, Some(agent));
            }
        }
    }

    fn check_witnessed(&mut self, leaf: Leaf, pulse: &Pulse) {
        let Some(witnessed) = Witnessed::by(&self.policy, &self.log_keys, pulse) else {
            return;
        };
        match witnessed.check_head(&self.entries) {
            Ok(head) => self.count_head(head),
            Err(refusal) => self.find_about(leaf, refusal, Party::Log, None),
        }
        match witnessed.check_clock(&self.entries, leaf.received_ms) {
            Ok(()) => self.found.append(&mut self.in_doubt),
            Err(refusal) => {
                // It is the log's clock that is wrong: it says nothing of anybody else's.
                self.in_doubt.clear();
                self.find_about(leaf, refusal, Party::Log, None);
            }
        }
    }

    fn count_head(&mut self, head: Head) {
        match head {
            Head::Here => self.heads += 1,
            Head::Earlier => self.earlier += 1,
        }
    }

    fn blame(&self, record: &CheckedRecord, code: Code) -> Blame {
        let blame = blame(self.histories.state(), record, code);
        let is_repeated = matches!(code, Code::SequenceRepeated | Code::RecordRepeated);
        if is_repeated && self.entries.knows(&record.hash()) {
            // Whoever signed it did so once.
            let by = Party::Log;
            return Blame { by, ..blame };
        }
        blame
    }

    /// A finding in a record, and who is to blame for it.
    fn find_in(&mut self, leaf: Leaf, record: &CheckedRecord, refusal: Refusal, class: Class) {
        let Blame { by, agent } = self.blame(record, refusal.code);
        self.push(Finding {
            refusal,
            class,
            by,
            index: Some(leaf.index),
            agent,
        });
    }

    /// A finding that no record is behind, or one whose signer is not to blame.
    fn find_about(&mut self, leaf: Leaf, refusal: Refusal, by: Party, agent: Option<Name>) {
        self.push(Finding {
            class: refusal.code.class(),
            refusal,
            by,
            index: Some(leaf.index),
            agent,
        });
    }

    /// What compares a clock with the log's waits for the witnesses of the log's, if there are any.
    fn push(&mut self, finding: Finding) {
        let of_clocks = matches!(finding.refusal.code, Code::ClockAhead | Code::Stale);
        let found = (check_of(finding.refusal.code), finding);
        if !(of_clocks && self.policy.needs_witnesses()) {
            self.found.push(found);
        } else if self.in_doubt.len() < MAX_IN_DOUBT {
            self.in_doubt.push(found);
        }
    }
}

/// So many denials are a cause, whatever they are worth themselves; and a healing that was begun without a cause goes
/// on, and ends, by causes of its own.
const fn restores(rule: Rule) -> bool {
    !matches!(rule, Rule::Denials | Rule::HealRetry | Rule::HealExhausted)
}

/// An agent's record that is there twice has a number that was used; any other is just there twice.
fn repeated(record: &CheckedRecord) -> Refusal {
    let code = match &record.record().body {
        Body::Heartbeat(_) | Body::Receipt(_) => Code::SequenceRepeated,
        _ => Code::RecordRepeated,
    };
    code.because(format!("{} is in the log already", record.hash()))
}
