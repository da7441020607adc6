//! Whether a record may be logged, and the first code if not: checks in their order, one by one.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::key::KeyId;
use ledger::record::{AgentState, Body, Phase, Rule, Verdict};
use ledger::scope::{Pattern, Scope};
use ledger::text::Name;

use crate::history::{History, Leaf, Opener};
use crate::leases::Spent;

use AgentState::{Autohealing, Degraded, Quarantined, Running, Stopped};

const MINUTE_MS: u64 = 60_000;
const AHEAD_MS: u64 = 2 * MINUTE_MS;
const BEHIND_MS: u64 = 5 * MINUTE_MS;
const MAX_OPEN: usize = 64;

pub(crate) type Judged = Result<(), Code>;

/// Refuses by a code where it is so.
pub(crate) fn refuse_if(wrong: bool, code: Code) -> Judged {
    if wrong { Err(code) } else { Ok(()) }
}

impl History<'_> {
    /// `Ok` with the breach that observe mode logs, or the code of the refusal.
    pub(crate) fn admit(self, leaf: &Leaf) -> Result<Option<Code>, Code> {
        let first_charter = self.0.is_empty() && matches!(leaf.record.body, Body::Charter(_));
        if first_charter {
            return Ok(None);
        }
        refuse_if(leaf.record.log != self.log(), Code::OriginMismatch)?;
        if let Body::Charter(charter) = &leaf.record.body {
            return self.admit_amendment(leaf, charter).map(|()| None);
        }
        if leaf.chain().is_none() {
            return self.admit_authority(leaf).map(|()| None);
        }
        self.admit_place(leaf)?;
        match self.admit_rules(leaf) {
            Err(breach) if !self.enforces() => Ok(Some(breach)),
            judged => judged.map(|()| None),
        }
    }

    /// Agent, key, signature, epoch, instance, seq, prev, before, clock: what is refused in both
    /// modes.
    fn admit_place(self, leaf: &Leaf) -> Judged {
        let chain = leaf.chain().expect("an agent's record");
        let agent = &chain.agent;
        let (_, active) = self.registration(agent).ok_or(Code::AgentUnknown)?;
        let openings = self.openings(agent);
        let epoch = openings.len() as u64;
        let restarts = self.restarts(leaf);
        let lease = self.lease_of(agent);
        let speaks_under = if restarts {
            lease
        } else {
            self.lease_of_epoch(agent)
        };
        let key = speaks_under
            .map_or(active.key, |lease| self.version_of(lease).key)
            .id();
        let is_of_now = restarts || chain.epoch == epoch;
        refuse_if(
            leaf.signers.iter().any(|(id, _)| !self.knows_key(*id)),
            Code::KeyUnknown,
        )?;
        for (id, _) in &leaf.signers {
            let counts = if is_of_now {
                *id == key
            } else {
                self.had_key(agent, *id)
            };
            refuse_if(!counts, Code::KeyNotAgents)?;
        }
        self.signatures(leaf)?;

        if chain.epoch < epoch {
            // `openings[n]` opened epoch n + 1.
            let next = openings[usize::try_from(chain.epoch).expect("a small epoch")].by;
            let superseded = next == Opener::Lease;
            return Err(if superseded {
                Code::EpochSuperseded
            } else {
                Code::EpochFenced
            });
        }
        refuse_if(chain.epoch > epoch && !restarts, Code::EpochFuture)?;
        refuse_if(epoch == 0, Code::EpochFuture)?;
        refuse_if(self.is_fenced(leaf, restarts), Code::EpochFenced)?;

        let next = if restarts { 0 } else { self.next_seq(agent) };
        refuse_if(chain.seq > next, Code::SequenceGap)?;
        refuse_if(chain.seq < next, Code::SequenceRepeated)?;
        let begins = next == 0;
        refuse_if(begins && leaf.beat().is_none(), Code::SequenceGap)?;
        let prev = if restarts { lease } else { self.head(agent) };
        refuse_if(Some(chain.prev) != prev, Code::PreviousMismatch)?;
        if let Some(beat) = leaf.beat() {
            let before = if begins { self.last(agent) } else { None };
            refuse_if(beat.before != before, Code::BeforeMismatch)?;
        }
        self.admit_clock(leaf)?;
        self.admit_seen(leaf)
    }

    fn had_key(self, agent: &Name, id: KeyId) -> bool {
        let registrations = self.0.iter().filter_map(Leaf::registration);
        registrations
            .into_iter()
            .any(|registration| registration.agent == *agent && registration.key.id() == id)
    }

    /// A heartbeat that opens the next epoch itself.
    pub(crate) fn restarts(self, leaf: &Leaf) -> bool {
        let next = self.epoch(&leaf.chain().expect("an agent's").agent) + 1;
        leaf.beat()
            .is_some_and(|beat| beat.chain.epoch == next && beat.chain.seq == 0)
    }

    /// Another instance has the epoch, or this one may not begin it.
    fn is_fenced(self, leaf: &Leaf, restarts: bool) -> bool {
        let chain = leaf.chain().expect("an agent's record");
        if let (Some(instance), false) = (self.instance(&chain.agent), restarts) {
            return chain.instance != instance;
        }
        let own = self.own(&chain.agent);
        let Some((last, speaker)) = own.last() else {
            return false;
        };
        let instance_of = |leaf: &Leaf| leaf.chain().map(|chain| chain.instance);
        let used = own
            .iter()
            .any(|(_, leaf)| instance_of(leaf) == Some(chain.instance));
        // Leases fence nobody: if only they opened epochs since, who spoke last goes on.
        let openings = self.openings(&chain.agent);
        let since = openings.iter().filter(|opening| opening.at > *last);
        let only_leases = since.into_iter().all(|opening| opening.by == Opener::Lease);
        let goes_on = !restarts && only_leases && instance_of(speaker) == Some(chain.instance);
        used && !goes_on
    }

    fn admit_clock(self, leaf: &Leaf) -> Judged {
        let chain = leaf.chain().expect("an agent's record");
        let (t, at) = (leaf.received_ms, leaf.record.at_ms);
        refuse_if(at > t + AHEAD_MS, Code::ClockAhead)?;
        let earlier = self.in_epoch(&chain.agent);
        let earlier = if self.restarts(leaf) {
            Vec::new()
        } else {
            earlier
        };
        let last = earlier.last().map(|(_, leaf)| leaf.record.at_ms);
        refuse_if(last.is_some_and(|last| at < last), Code::ClockRegressed)?;
        let is_intent = leaf
            .receipt()
            .is_some_and(|receipt| matches!(receipt.phase, Phase::Intent(_)));
        let may_not_be_old = leaf.beat().is_some() || is_intent;
        refuse_if(may_not_be_old && at + BEHIND_MS < t, Code::Stale)
    }

    /// Lease, state, scope, budget, the rest: what observe mode lets in as a breach.
    fn admit_rules(self, leaf: &Leaf) -> Judged {
        self.admit_by_lease(leaf)?;
        if self.enforces() {
            self.admit_by_state(leaf)?;
        } else if self.restarts(leaf) {
            self.may_restart(leaf)?;
        }
        match leaf.receipt().map(|receipt| &receipt.phase) {
            None => self.admit_progress(leaf),
            Some(phase) => self.admit_work(leaf, phase),
        }
    }

    /// Goals, intents and whatever starts the agent need a valid lease. In observe mode, a breach
    /// of time is none if the record was made in time.
    pub(crate) fn admit_by_lease(self, leaf: &Leaf) -> Judged {
        let agent = &leaf.chain().expect("an agent's record").agent;
        if !self.needs_lease(leaf) {
            return Ok(());
        }
        let lease = self.lease_of(agent).ok_or(Code::LeaseUnknown)?;
        let Some(code) = self.not_valid(lease, leaf.received_ms) else {
            return Ok(());
        };
        let of_time = matches!(code, Code::LeaseExpired | Code::LeaseNotYetValid);
        let in_time = self.valid(lease, leaf.record.at_ms);
        refuse_if(self.enforces() || !of_time || !in_time, code)
    }

    pub(crate) fn needs_lease(self, leaf: &Leaf) -> bool {
        let agent = &leaf.chain().expect("an agent's record").agent;
        match leaf.receipt().map(|receipt| &receipt.phase) {
            Some(Phase::Goal(_) | Phase::Intent(_)) => true,
            Some(Phase::Result(_) | Phase::Outcome(_)) => false,
            None => {
                leaf.chain().is_some_and(|chain| chain.seq == 0)
                    && (self.restarts(leaf) || self.state(agent) == Stopped)
            }
        }
    }

    /// The first beat in an epoch that a lease opened.
    fn starts(self, leaf: &Leaf) -> bool {
        let agent = &leaf.chain().expect("an agent's record").agent;
        let by_lease = self
            .openings(agent)
            .pop()
            .is_some_and(|o| o.by == Opener::Lease);
        leaf.beat().is_some() && by_lease && self.in_epoch(agent).is_empty()
    }

    fn admit_by_state(self, leaf: &Leaf) -> Judged {
        if self.restarts(leaf) {
            return self.may_restart(leaf);
        }
        let state = self.state(&leaf.chain().expect("an agent's record").agent);
        let allowed = match leaf.receipt().map(|receipt| &receipt.phase) {
            None => match state {
                Running | Degraded | Autohealing => true,
                Quarantined => false,
                Stopped => self.starts(leaf),
            },
            Some(Phase::Goal(_)) => state == Running,
            Some(Phase::Intent(intent)) => {
                state == Running || state == Degraded && intent.scope.verb() == "read"
            }
            Some(Phase::Result(_)) => true,
            Some(Phase::Outcome(_)) => matches!(state, Running | Degraded | Autohealing),
        };
        refuse_if(!allowed, Code::StateForbids)
    }

    /// Stopped by its own goodbye, or silent for two beats.
    fn may_restart(self, leaf: &Leaf) -> Judged {
        let agent = &leaf.chain().expect("an agent's record").agent;
        let silent =
            self.pulse_age(agent, leaf.received_ms) >= 2 * self.charter().liveness.heartbeat_ms;
        let allowed = match self.state(agent) {
            Stopped => matches!(self.moves(agent).pop(), Some((_, _, Some(Rule::Finished)))),
            Running | Degraded => silent,
            Autohealing | Quarantined => false,
        };
        refuse_if(!allowed, Code::StateForbids)
    }

    fn admit_progress(self, leaf: &Leaf) -> Judged {
        let beat = leaf.beat().expect("a heartbeat");
        let own = self.own(&beat.chain.agent);
        let counter = own
            .iter()
            .filter_map(|(_, leaf)| leaf.beat())
            .filter(|earlier| earlier.chain.epoch == beat.chain.epoch)
            .map(|earlier| earlier.progress)
            .max();
        let regressed = counter.is_some_and(|counter| beat.progress < counter);
        refuse_if(regressed, Code::ProgressRegressed)
    }

    fn admit_work(self, leaf: &Leaf, phase: &Phase) -> Judged {
        let agent = &leaf.chain().expect("an agent's record").agent;
        let goals = self.open_goals(agent);
        match phase {
            Phase::Goal(_) => refuse_if(goals.len() >= MAX_OPEN, Code::TooManyOpen),
            Phase::Intent(intent) => {
                let lease = self.lease_of(agent).expect("looked at already");
                self.admit_scope(lease, &intent.scope)?;
                self.admit_budget(lease, intent.reserve.tokens, intent.reserve.cost_micros)?;
                refuse_if(!goals.contains(&intent.goal), Code::GoalUnknown)?;
                refuse_if(
                    self.open_intents(agent).len() >= MAX_OPEN,
                    Code::TooManyOpen,
                )
            }
            Phase::Result(result) => refuse_if(
                !self.is_open_intent(agent, result.intent),
                Code::IntentUnknown,
            ),
            Phase::Outcome(outcome) => {
                refuse_if(!goals.contains(&outcome.goal), Code::GoalUnknown)?;
                let accepted = outcome.verdict == Verdict::Accepted;
                refuse_if(accepted && outcome.checks.is_empty(), Code::OutcomeUnbacked)
            }
        }
    }

    fn is_open_intent(self, agent: &Name, intent: RecordHash) -> bool {
        self.open_intents(agent)
            .iter()
            .any(|(_, leaf)| leaf.hash == intent)
    }

    fn admit_scope(self, lease: RecordHash, scope: &Scope) -> Judged {
        let names = |patterns: &[Pattern]| patterns.iter().any(|one| one.permits(scope));
        let capabilities = &self.version_of(lease).manifest.capabilities;
        refuse_if(!names(capabilities), Code::CapabilityMissing)?;
        for lease in self.lineage(lease) {
            let lease = self.lease(lease).expect("a lease of the lineage");
            let denied = names(&lease.deny) || !names(&lease.allow);
            refuse_if(denied, Code::ScopeDenied)?;
        }
        Ok(())
    }

    fn admit_budget(self, lease: RecordHash, tokens: u64, cost_micros: u64) -> Judged {
        for lease in self.lineage(lease) {
            let fits = self.fits(lease, self.spent(lease), tokens, cost_micros);
            refuse_if(!fits, Code::BudgetExceeded)?;
        }
        Ok(())
    }

    /// Whether one more action fits into what a lease may use up, after so much was spent.
    fn fits(self, lease: RecordHash, spent: Spent, tokens: u64, cost_micros: u64) -> bool {
        let budget = self.budget(lease);
        let sums = [
            (spent.actions + 1, budget.actions),
            (spent.tokens + u128::from(tokens), budget.tokens),
            (
                spent.cost_micros + u128::from(cost_micros),
                budget.cost_micros,
            ),
        ];
        let within =
            |(sum, most): &(u128, Option<u64>)| most.is_none_or(|most| *sum <= most.into());
        sums.iter().all(within)
    }

    /// Whether a refusal of this record by this code counts towards quarantine: the budget is the agent's own doing.
    pub(crate) fn denies(self, leaf: &Leaf, code: Code) -> bool {
        let Some(Phase::Intent(intent)) = leaf.receipt().map(|receipt| &receipt.phase) else {
            return false;
        };
        let agent = &leaf.chain().expect("a receipt").agent;
        match code {
            Code::ScopeDenied | Code::CapabilityMissing => true,
            Code::BudgetExceeded => {
                let lease = self.lease_of(agent).expect("looked at already");
                let (tokens, cost) = (intent.reserve.tokens, intent.reserve.cost_micros);
                !self.fits(lease, self.spent_alone(lease), tokens, cost)
            }
            _ => false,
        }
    }
}
