//! Ages, and the transitions that are due: each rule asked for each agent.

use std::collections::BTreeMap;

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::record::{AgentState, Body, Rule};
use ledger::text::Name;

use crate::history::{History, Leaf, Opener, begins_healing};

use AgentState::{Autohealing, Degraded, Quarantined, Running, Stopped};

/// The states of which a rule leads, and where it leads, in the order of duties.
const TABLE: [(Rule, &[AgentState], AgentState); 14] = [
    (
        Rule::ManifestDrift,
        &[Running, Degraded, Autohealing],
        Quarantined,
    ),
    (
        Rule::Denials,
        &[Running, Degraded, Autohealing],
        Quarantined,
    ),
    (Rule::Finished, &[Running, Degraded], Stopped),
    (Rule::LeaseEnded, &[Running, Autohealing], Degraded),
    (Rule::LeaseEnded, &[Degraded], Stopped),
    (Rule::PulseLost, &[Running], Degraded),
    (Rule::ProgressLost, &[Running], Degraded),
    (Rule::HealDue, &[Degraded], Autohealing),
    (Rule::HealExhausted, &[Autohealing], Quarantined),
    (Rule::HealRetry, &[Autohealing], Autohealing),
    (Rule::Healed, &[Autohealing], Running),
    (Rule::Recovered, &[Degraded], Running),
    (Rule::Restarted, &[Stopped, Running, Degraded], Running),
    (Rule::Started, &[Stopped], Running),
];

pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl<'a> History<'a> {
    /// The transitions of one agent that are due at `t`, in the order of duties.
    pub(crate) fn due(self, agent: &Name, t: u64) -> Vec<(Rule, AgentState)> {
        let mut due = Vec::new();
        for (rule, from, to) in TABLE {
            if from.contains(&self.state(agent)) && self.has_cause(agent, rule, to, t) {
                due.push((rule, to));
            }
        }
        due
    }

    /// Whether the cause that the table names is there; the state is looked at already.
    fn has_cause(self, agent: &Name, rule: Rule, to: AgentState, t: u64) -> bool {
        let clocks = &self.charter().liveness;
        let leased = self
            .lease_of(agent)
            .is_some_and(|lease| self.valid(lease, t));
        let pulse = self.pulse_age(agent, t);
        let progress = self.progress_age(agent, t);
        match rule {
            Rule::ManifestDrift => self.has_drifted(agent),
            Rule::Denials => self.denials(agent, t) >= self.charter().limits.denials_max.max(1),
            Rule::Finished => self.has_finished(agent),
            Rule::LeaseEnded if to == Stopped => !leased && pulse >= clocks.autoheal_after_ms,
            Rule::LeaseEnded => !leased,
            Rule::PulseLost => pulse >= clocks.degraded_after_ms,
            Rule::ProgressLost => progress >= clocks.degraded_after_ms,
            Rule::HealDue => leased && pulse.max(progress) >= clocks.autoheal_after_ms,
            Rule::HealExhausted => {
                self.attempt_is_over(agent, t) && self.attempt(agent) >= clocks.heal_attempts
                    || self.heals_in_a_day(agent, t) > clocks.heal_attempts
            }
            Rule::HealRetry => {
                self.attempt_is_over(agent, t) && self.attempt(agent) < clocks.heal_attempts
            }
            Rule::Healed => self.healing_beats(agent) >= clocks.heal_beats,
            Rule::Recovered => leased && self.shows_life_since_degrading(agent),
            Rule::Restarted => self.has_restarted(agent),
            Rule::Started => leased && self.has_begun_after_stop(agent),
        }
    }

    /// The end of the last span in which nothing was logged for too long; `t` itself, if such a
    /// span reaches up to it.
    pub(crate) fn gap_end(self, t: u64) -> u64 {
        let mut end = 0;
        for (at, leaf) in self.0.iter().enumerate().skip(1) {
            if self.before(at).is_gap(leaf.received_ms) {
                end = leaf.received_ms;
            }
        }
        if self.is_gap(t) { t } else { end }
    }

    pub(crate) fn is_gap(self, t: u64) -> bool {
        let clocks = &self.charter().liveness;
        let last = self.0.last().map_or(0, |leaf| leaf.received_ms);
        t - last > clocks.pulse_ms + clocks.tolerance_ms
    }

    /// Since when both ages count at least.
    fn base(self, agent: &Name, t: u64) -> u64 {
        let opened = self.openings(agent).pop();
        let opened = opened.map_or(0, |opening| opening.leaf.received_ms);
        opened.max(self.gap_end(t))
    }

    pub(crate) fn pulse_age(self, agent: &Name, t: u64) -> u64 {
        let mut since = self.base(agent, t);
        for (_, leaf) in self.own(agent) {
            if leaf.beat().is_some() {
                since = since.max(leaf.received_ms);
            }
        }
        t - since
    }

    pub(crate) fn progress_age(self, agent: &Name, t: u64) -> u64 {
        if self.open_goals(agent).is_empty() {
            return 0;
        }
        let mut since = self.base(agent, t);
        for (at, leaf) in self.own(agent) {
            if self.is_progress(at) {
                since = since.max(leaf.received_ms);
            }
        }
        for (at, leaf) in self.open_intents(agent) {
            since = since.max(t.min(leaf.received_ms + self.inflight_ms(at, agent)));
        }
        t - since
    }

    /// How long an intent may take: by the manifest that its lease names.
    fn inflight_ms(self, at: usize, agent: &Name) -> u64 {
        let lease = self
            .before(at)
            .lease_of(agent)
            .expect("an intent has a lease");
        self.version_of(lease).manifest.max_inflight_ms
    }

    /// Whether a record shows progress: a receipt, or a heartbeat whose counter rose in its epoch.
    pub(crate) fn is_progress(self, at: usize) -> bool {
        let leaf = &self.0[at];
        let Some(beat) = leaf.beat() else {
            return leaf.receipt().is_some();
        };
        let mut counter = 0;
        for (_, earlier) in self.before(at).own(&beat.chain.agent) {
            if let Some(earlier) = earlier.beat()
                && earlier.chain.epoch == beat.chain.epoch
            {
                counter = counter.max(earlier.progress);
            }
        }
        beat.progress > counter
    }

    /// A heartbeat of the epoch with another manifest than its lease's.
    fn has_drifted(self, agent: &Name) -> bool {
        let lease = self.lease_of_epoch(agent);
        let Some(lease) = lease.and_then(|lease| self.lease(lease)) else {
            return false;
        };
        let drifts = |leaf: &Leaf| {
            leaf.beat()
                .is_some_and(|beat| beat.manifest_hash != lease.manifest_hash)
        };
        self.in_epoch(agent).iter().any(|(_, leaf)| drifts(leaf))
    }

    /// Different refused intents that count, with when each was logged first: since operators last began healing by
    /// hand.
    fn denials_logged(self, agent: &Name) -> BTreeMap<RecordHash, u64> {
        let mut counted = BTreeMap::new();
        for (at, leaf) in self.0.iter().enumerate() {
            if leaf.moves(agent) == Some((Autohealing, None)) {
                counted.clear();
            }
            let Body::Refusal(refused) = &leaf.record.body else {
                continue;
            };
            let denies = matches!(
                refused.code,
                Code::ScopeDenied | Code::CapabilityMissing | Code::BudgetExceeded
            );
            let intent = refused.phase.as_deref() == Some("intent") && refused.envelope.is_some();
            let then = refused.epoch == self.before(at).epoch(agent);
            if refused.agent == *agent && denies && intent && then {
                counted.entry(refused.refused).or_insert(leaf.received_ms);
            }
        }
        counted
    }

    /// The records whose refusal counts already.
    pub(crate) fn denied(self, agent: &Name) -> Vec<RecordHash> {
        let kept = self.denials_kept(agent).into_iter();
        kept.map(|(hash, _)| hash).collect()
    }

    /// The same, with when each was logged. What is older than a day is forgotten when the next one is counted.
    pub(crate) fn denials_kept(self, agent: &Name) -> Vec<(RecordHash, u64)> {
        let logged = self.denials_logged(agent);
        let last_ms = logged.values().copied().max().unwrap_or(0);
        let is_kept = |(_, logged_ms): &(RecordHash, u64)| last_ms - logged_ms < DAY_MS;
        logged.into_iter().filter(is_kept).collect()
    }

    /// How many denials count at `t`.
    pub(crate) fn denials(self, agent: &Name, t: u64) -> u64 {
        let logged = self.denials_logged(agent);
        let of_a_day = |logged_ms: &&u64| t - **logged_ms < DAY_MS;
        logged.values().filter(of_a_day).count() as u64
    }

    /// The agent's last beat of the epoch says goodbye, and left nothing open.
    fn has_finished(self, agent: &Name) -> bool {
        let mut beats = self.in_epoch(agent);
        beats.retain(|(_, leaf)| leaf.beat().is_some());
        let Some((at, leaf)) = beats.pop() else {
            return false;
        };
        let goodbye = leaf.beat().is_some_and(|beat| beat.r#final);
        let left_nothing = self.before(at).open_intents(agent).is_empty();
        goodbye && left_nothing && !self.is_overtaken(agent, at)
    }

    /// Whether the agent has left for a state in which it does not run since this record: what the
    /// record caused then is over.
    fn is_overtaken(self, agent: &Name, at: usize) -> bool {
        let moves = self.moves(agent).into_iter();
        moves
            .filter(|(moved, ..)| *moved > at)
            .any(|(_, to, _)| to != Running)
    }

    /// The entry into autohealing that began this healing, and its retries.
    pub(crate) fn attempts(self, agent: &Name) -> Vec<usize> {
        let mut attempts = Vec::new();
        for (at, to, rule) in self.moves(agent) {
            if to == Autohealing && rule != Some(Rule::HealRetry) {
                attempts.clear();
            }
            if to == Autohealing {
                attempts.push(at);
            }
        }
        attempts
    }

    fn attempt(self, agent: &Name) -> u64 {
        self.attempts(agent).len() as u64
    }

    fn attempt_is_over(self, agent: &Name, t: u64) -> bool {
        let Some(began) = self.attempts(agent).pop() else {
            return false;
        };
        // Nobody is blamed for a gap: the attempt begins again at its end.
        let since = self.0[began].received_ms.max(self.gap_end(t));
        t - since >= self.charter().liveness.heal_timeout_ms
    }

    /// Entries into autohealing by the clock, since an operator last began it by hand.
    fn heals_in_a_day(self, agent: &Name, t: u64) -> u64 {
        let mut heals = 0;
        for (at, to, rule) in self.moves(agent) {
            match rule {
                None if to == Autohealing => heals = 0,
                Some(Rule::HealDue) if t - self.0[at].received_ms < DAY_MS => heals += 1,
                _ => {}
            }
        }
        heals
    }

    /// Heartbeats of this attempt that count: their progress rose, and they are apart.
    fn healing_beats(self, agent: &Name) -> u64 {
        let Some(began) = self.attempts(agent).pop() else {
            return 0;
        };
        let apart = self.charter().liveness.heartbeat_ms / 2;
        let (mut beats, mut last) = (0, None);
        for (at, leaf) in self.own(agent) {
            let counts = at > began && leaf.beat().is_some() && self.is_progress(at);
            let spaced = last.is_none_or(|last| leaf.received_ms - last >= apart);
            if counts && spaced {
                beats += 1;
                last = Some(leaf.received_ms);
            }
        }
        beats
    }

    /// A heartbeat, and progress if a goal is open, since the agent was degraded.
    fn shows_life_since_degrading(self, agent: &Name) -> bool {
        let Some((degraded, ..)) = self.moves(agent).pop() else {
            return false;
        };
        let (mut beat, mut progress) = (false, false);
        for (at, leaf) in self.own(agent) {
            if at > degraded {
                beat |= leaf.beat().is_some();
                progress |= self.is_progress(at);
            }
        }
        beat && (progress || self.open_goals(agent).is_empty())
    }

    /// The agent opened this epoch itself, out of a state that allows it, and nothing says so yet.
    fn has_restarted(self, agent: &Name) -> bool {
        let Some(opening) = self.openings(agent).pop() else {
            return false;
        };
        let from = self.before(opening.at).state(agent);
        let moves = self.moves(agent).into_iter();
        let mut since = moves.filter(|(at, ..)| *at > opening.at);
        let said = since.any(|(_, _, rule)| rule == Some(Rule::Restarted));
        opening.by == Opener::Agent
            && matches!(from, Stopped | Running | Degraded)
            && !said
            && !self.is_overtaken(agent, opening.at)
    }

    /// The first beat of an epoch that a lease opened after the agent stopped.
    fn has_begun_after_stop(self, agent: &Name) -> bool {
        let Some(opening) = self.openings(agent).pop() else {
            return false;
        };
        let stopped = self.moves(agent).pop().map_or(0, |(at, ..)| at);
        opening.by == Opener::Lease && opening.at > stopped && !self.in_epoch(agent).is_empty()
    }

    /// The epoch in force after a transition by this rule.
    pub(crate) fn epoch_after(self, agent: &Name, rule: Rule) -> u64 {
        self.epoch(agent) + u64::from(begins_healing(rule) && self.enforces())
    }
}
