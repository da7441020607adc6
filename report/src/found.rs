//! The incidents that a replay finds, each from its first sign to its end.
//!
//! Two kinds of sign begin one: a transition or a refusal that the control plane logged, and a finding of the verifier.
//! What lasts (a silence, a standstill, a quarantine) ends when the agent runs again or is stopped. What happens at
//! moments (an attempt out of scope, a fenced process that speaks) is one incident as long as the next sign comes within
//! [`TOGETHER_MS`].
//!
//! An incident *begins* when its cause does, which is before anybody can know: a silence with the last heartbeat. It is
//! *noticed* at its first entry. What the replay shows to have no cause is a false alarm of the control plane. What only the
//! control plane says, without the record that it refused, is its claim: no replay can judge it.

use std::collections::{BTreeMap, BTreeSet};

use ledger::codes::{self, Code, Party};
use ledger::digest::RecordHash;
use ledger::govern::{Agent, State};
use ledger::record::{AgentState, Body, Order, Phase, Refused, Rule, Transition};
use ledger::text::Name;
use ledger::verify::Finding;
use timeline::entry::Entry;
use watchdogs::class::Class;

use crate::class::of_code;

/// How long after one sign the next still belongs to the same incident.
pub const TOGETHER_MS: u64 = 300_000;

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Of which kind.
    pub class: Class,
    /// The agent that it is about; `None` for the log as a whole.
    pub agent: Option<Name>,
    /// When its cause began.
    pub began_ms: u64,
    /// When the log first showed it.
    pub noticed_ms: u64,
    /// When it was over; `None` if it lasts.
    pub ended_ms: Option<u64>,
    /// The entries that show it, ascending.
    pub entries: Vec<u64>,
    /// Whether the replay shows that it had no cause: a false alarm of the control plane.
    pub is_unfounded: bool,
    /// Whether all that shows it is the control plane's claim: refusals without the records that were refused.
    pub is_claim: bool,
}

/// What the verifier found that belongs to no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unclassed {
    /// What it is.
    pub code: Code,
    /// At whose fault, or `None` for a refusal, which is nobody's finding.
    pub by: Option<Party>,
}

/// Hears entries with what was found at them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    found: Vec<Found>,
    /// What lasts until the agent runs again or is stopped.
    lasting: BTreeMap<Name, Vec<usize>>,
    /// The newest of those that happen at moments.
    newest: BTreeMap<(Option<Name>, Class), usize>,
    /// Actions without a result in their time, and the incident of each.
    unfinished: BTreeMap<RecordHash, usize>,
    intents: BTreeMap<RecordHash, u64>,
    unclassed: BTreeMap<Unclassed, Vec<u64>>,
    /// The refusals that do not bring what was refused.
    claims: BTreeSet<u64>,
}

/// An entry, what was found at it, and the state before it.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) findings: &'a [Finding],
    pub(crate) before: &'a State,
}

impl Moment<'_> {
    const fn index(&self) -> u64 {
        self.entry.index.get()
    }

    const fn at_ms(&self) -> u64 {
        self.entry.received_ms
    }

    fn has(&self, codes: &[Code]) -> bool {
        let mut found = self.findings.iter().map(|finding| finding.refusal.code);
        found.any(|code| codes.contains(&code))
    }

    fn agent(&self) -> Option<&Agent> {
        let name = self.entry.record.record().agent()?;
        self.before.agent(name)
    }
}

impl Finder {
    /// Hears the next entry.
    pub(crate) fn hear(&mut self, moment: Moment<'_>) {
        self.notice_silence(moment);
        match moment.entry.body() {
            Body::Transition(transition) => self.transition(transition, moment),
            Body::Order(order) => self.order(order, moment),
            Body::Refusal(refused) => self.refusal(refused, moment),
            Body::Heartbeat(_) => self.beat(moment),
            Body::Receipt(receipt) => self.receipt(&receipt.phase, moment),
            _ => {}
        }
        for finding in moment.findings {
            self.finding(finding, moment);
        }
    }

    /// What was found, by its beginning; and what belongs to no class, with its entries.
    pub(crate) fn told(mut self) -> (Vec<Found>, BTreeMap<Unclassed, Vec<u64>>) {
        self.found.iter_mut().for_each(|found| {
            found.entries.sort_unstable();
            found.entries.dedup();
            found.is_claim = found.entries.iter().all(|it| self.claims.contains(it));
        });
        let order = |found: &Found| (found.began_ms, found.class, found.noticed_ms);
        self.found.sort_by_key(order);
        (self.found, self.unclassed)
    }

    /// A silence that no transition of its own tells of: the agent was degraded for another reason already, or the
    /// control plane did not do what was due.
    fn notice_silence(&mut self, moment: Moment<'_>) {
        let Some((agent, charter)) = moment.agent().zip(moment.before.charter()) else {
            return;
        };
        let (clocks, at_ms) = (&charter.liveness, moment.at_ms());
        let limit_ms = match agent.state() {
            AgentState::Degraded => clocks.degraded_after_ms,
            AgentState::Running => clocks.degraded_after_ms + clocks.tolerance_ms + 1,
            _ => return,
        };
        let age_ms = moment.before.pulse_age_ms(agent, at_ms);
        let is_told =
            matches!(moment.entry.body(), Body::Transition(it) if it.rule == Rule::PulseLost);
        if age_ms < limit_ms || is_told || self.lasts(agent.name(), Class::Silence).is_some() {
            return;
        }
        let (name, began_ms) = (agent.name().clone(), at_ms - age_ms);
        self.begin_lasting(&name, Class::Silence, began_ms, moment);
    }

    fn transition(&mut self, it: &Transition, moment: Moment<'_>) {
        let at_ms = moment.at_ms();
        let age = |age: fn(&State, &Agent, u64) -> u64| {
            let agent = moment.agent();
            at_ms - agent.map_or(0, |agent| age(moment.before, agent, at_ms).min(at_ms))
        };
        let began = match it.rule {
            Rule::PulseLost => Some((Class::Silence, age(State::pulse_age_ms))),
            Rule::ProgressLost => Some((Class::Stall, age(State::progress_age_ms))),
            Rule::LeaseEnded if it.from == AgentState::Running => Some((Class::Authority, at_ms)),
            Rule::ManifestDrift => Some((Class::Drift, at_ms)),
            Rule::Denials => Some((Class::Scope, at_ms)),
            _ => None,
        };
        match began {
            Some((class, began_ms)) => self.begin_lasting(&it.agent, class, began_ms, moment),
            None => self.go_on(&it.agent, moment),
        }
        self.turn(&it.agent, it.to, at_ms);
    }

    fn order(&mut self, order: &Order, moment: Moment<'_>) {
        self.go_on(&order.agent, moment);
        self.turn(&order.agent, order.to, moment.at_ms());
    }

    /// A silence that the control plane never told of is over with the next heartbeat.
    fn beat(&mut self, moment: Moment<'_>) {
        let Some(agent) = moment.agent() else {
            return;
        };
        if agent.state() == AgentState::Running {
            let name = agent.name().clone();
            self.turn(&name, AgentState::Running, moment.at_ms());
        }
    }

    fn refusal(&mut self, refused: &Refused, moment: Moment<'_>) {
        match of_code(refused.code, Party::Agent) {
            Some(class) => {
                let is_unfounded = moment.has(&[Code::RefusalUnfounded]);
                if refused.envelope.is_none() && !is_unfounded {
                    self.claims.insert(moment.index());
                }
                let agent = Some(refused.agent.clone());
                let at_ms = moment.at_ms();
                self.happen(class, agent, at_ms, is_unfounded, moment);
            }
            None => {
                let unclassed = Unclassed {
                    code: refused.code,
                    by: None,
                };
                self.note(unclassed, moment);
            }
        }
    }

    fn receipt(&mut self, phase: &Phase, moment: Moment<'_>) {
        match phase {
            Phase::Intent(_) => {
                let hash = moment.entry.record.hash();
                self.intents.insert(hash, moment.index());
            }
            Phase::Result(result) => {
                self.intents.remove(&result.intent);
                let Some(at) = self.unfinished.remove(&result.intent) else {
                    return;
                };
                let is_last = !self.unfinished.values().any(|other| *other == at);
                if let Some(found) = self.found.get_mut(at) {
                    found.entries.push(moment.index());
                    found.ended_ms = is_last.then_some(moment.at_ms());
                }
            }
            Phase::Goal(_) | Phase::Outcome(_) => {}
        }
    }

    fn finding(&mut self, finding: &Finding, moment: Moment<'_>) {
        let (code, by, agent) = (finding.refusal.code, finding.by, finding.agent.clone());
        if finding.class == codes::Class::Late {
            return;
        }
        match (of_code(code, by), code) {
            (None, _) => self.note(Unclassed { code, by: Some(by) }, moment),
            (Some(Class::Unfinished), _) => self.unfinished(finding, moment),
            (Some(class), Code::ControlGap) => {
                let since_ms = moment.before.last_received_ms();
                self.happen(class, agent, since_ms, false, moment);
            }
            (Some(class), _) => self.happen(class, agent, moment.at_ms(), false, moment),
        }
    }

    /// The intent is named in the finding; the time that it had is in the state.
    fn unfinished(&mut self, finding: &Finding, moment: Moment<'_>) {
        let named = finding.refusal.detail.split(' ').next().unwrap_or_default();
        let (Ok(intent), Some(name)) = (named.parse::<RecordHash>(), &finding.agent) else {
            return;
        };
        let agent = moment.before.agent(name);
        let open = agent.and_then(|it| it.open_intents().find(|(hash, _)| **hash == intent));
        let lapsed_ms = open.map_or(moment.at_ms(), |(_, open)| open.lapses_ms());
        let key = (Some(name.clone()), Class::Unfinished);
        let at = self.near(&key, false, moment.at_ms()).unwrap_or_else(|| {
            self.begin(Class::Unfinished, key.0.clone(), lapsed_ms, false, moment)
        });
        self.newest.insert(key, at);
        let index = self.intents.get(&intent).copied();
        if let Some(found) = self.found.get_mut(at) {
            found.ended_ms = None;
            found.entries.extend(index);
            found.entries.push(moment.index());
        }
        self.unfinished.insert(intent, at);
    }

    /// Something that happens at a moment, or from `since_ms` up to this one.
    fn happen(
        &mut self,
        class: Class,
        agent: Option<Name>,
        since_ms: u64,
        is_unfounded: bool,
        moment: Moment<'_>,
    ) {
        let key = (agent, class);
        let lasting = key.0.as_ref().and_then(|agent| self.lasts(agent, class));
        let at = lasting
            .or_else(|| self.near(&key, is_unfounded, since_ms))
            .unwrap_or_else(|| self.begin(class, key.0.clone(), since_ms, is_unfounded, moment));
        if let Some(found) = self.found.get_mut(at) {
            found.entries.push(moment.index());
            if lasting.is_none() {
                found.ended_ms = Some(moment.at_ms());
            }
        }
        self.newest.insert(key, at);
    }

    /// Something that lasts until the agent runs again or is stopped. What led to it at moments is the same incident.
    fn begin_lasting(&mut self, agent: &Name, class: Class, began_ms: u64, moment: Moment<'_>) {
        let unfounded = [Code::TransitionUnfounded, Code::TransitionIllegal];
        let is_unfounded = moment.has(&unfounded);
        let key = (Some(agent.clone()), class);
        let at = self
            .lasts(agent, class)
            .or_else(|| self.near(&key, is_unfounded, moment.at_ms()))
            .unwrap_or_else(|| self.begin(class, key.0.clone(), began_ms, is_unfounded, moment));
        if let Some(found) = self.found.get_mut(at) {
            found.ended_ms = None;
        }
        self.newest.remove(&key);
        let lasting = self.lasting.entry(agent.clone()).or_default();
        if !lasting.contains(&at) {
            lasting.push(at);
        }
        self.go_on(agent, moment);
    }

    fn begin(
        &mut self,
        class: Class,
        agent: Option<Name>,
        began_ms: u64,
        is_unfounded: bool,
        moment: Moment<'_>,
    ) -> usize {
        self.found.push(Found {
            class,
            agent,
            began_ms,
            noticed_ms: moment.at_ms(),
            ended_ms: None,
            entries: Vec::new(),
            is_unfounded,
            is_claim: false,
        });
        self.found.len() - 1
    }

    /// The entry belongs to whatever lasts of the agent.
    fn go_on(&mut self, agent: &Name, moment: Moment<'_>) {
        for at in self.lasting.get(agent).into_iter().flatten() {
            if let Some(found) = self.found.get_mut(*at) {
                found.entries.push(moment.index());
            }
        }
    }

    /// Running, or stopped, the agent has nothing left that lasts.
    fn turn(&mut self, agent: &Name, to: AgentState, at_ms: u64) {
        if !matches!(to, AgentState::Running | AgentState::Stopped) {
            return;
        }
        for at in self.lasting.remove(agent).into_iter().flatten() {
            if let Some(found) = self.found.get_mut(at) {
                found.ended_ms = Some(at_ms);
            }
        }
    }

    fn lasts(&self, agent: &Name, class: Class) -> Option<usize> {
        let lasting = self.lasting.get(agent)?;
        let is_of = |at: &usize| self.found.get(*at).is_some_and(|it| it.class == class);
        lasting.iter().copied().find(is_of)
    }

    /// The newest of a kind, if its last sign is so near that the next one belongs to it.
    fn near(&self, key: &(Option<Name>, Class), is_unfounded: bool, at_ms: u64) -> Option<usize> {
        let at = self.newest.get(key).copied()?;
        let found = self.found.get(at)?;
        let last_ms = found.ended_ms.unwrap_or(u64::MAX);
        let is_near = at_ms <= last_ms.saturating_add(TOGETHER_MS);
        (is_near && found.is_unfounded == is_unfounded).then_some(at)
    }

    fn note(&mut self, unclassed: Unclassed, moment: Moment<'_>) {
        let entries = self.unclassed.entry(unclassed).or_default();
        entries.push(moment.index());
    }
}
