//! One lease: whether it is in force, and what is left of its budget.

use std::sync::Arc;

use rpds::RedBlackTreeSetSync;

use super::State;
use super::agent::Version;
use super::charter::Approval;
use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::key::KeyId;
use crate::record::{Amounts, Budget, Lease, words};
use crate::scope::Scope;
use crate::text::Name;

/// The most leases in a line of sub-leases, the first included.
pub const MAX_DEPTH: usize = 4;

/// A lease, as the log so far implies it.
#[derive(Clone, Debug)]
pub struct LeaseState {
    pub(super) hash: RecordHash,
    pub(super) terms: Arc<Lease>,
    pub(super) version: Arc<Version>,
    pub(super) approval: Arc<Approval>,
    pub(super) expires_ms: u64,
    pub(super) ended: Option<Ended>,
    /// When it ended before its time; 0 if it did not.
    pub(super) ended_ms: u64,
    /// Where it was logged.
    pub(super) index: u64,
    /// When it was logged.
    pub(super) received_ms: u64,
    /// What was reserved and used under this lease itself.
    pub(super) own: Spent,
    /// What its sub-leases pass up.
    pub(super) from_below: Spent,
    /// Sub-leases, which end with this one. There may be one for every job that an agent hands
    /// on, and each receipt changes the lease, so its copies share them.
    pub(super) children: RedBlackTreeSetSync<RecordHash>,
    /// Whether the agent made progress since the grant or the last renewal.
    pub(super) earned: bool,
}

words! {
    /// Why a lease ended before its time.
    Ended, "end of a lease" {
        /// An operator revoked it.
        Revoked = "revoked",
        /// A later lease of the agent took its place.
        Superseded = "superseded",
        /// An order stopped the agent.
        Stopped = "stopped",
        /// An amendment of the charter distrusts who signed it, or the manifest that it names.
        Distrusted = "distrusted",
    }
}

/// What is kept of a lease that ended and is not in use: enough to distinguish it from one that never existed.
#[derive(Clone, Debug)]
pub struct Over {
    pub(super) hash: RecordHash,
    pub(super) index: u64,
    pub(super) agent: Name,
    pub(super) why: Ended,
    pub(super) ended_ms: u64,
}

/// A lease, as far as it can still matter.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    Held(Arc<LeaseState>),
    Over(Arc<Over>),
}

/// What was reserved and used. Sums of 2^53 are far from the end of 128 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Intents.
    pub actions: u128,
    /// Tokens.
    pub tokens: u128,
    /// Millionths of the unit of money.
    pub cost_micros: u128,
}

impl LeaseState {
    pub(super) fn new(
        hash: RecordHash,
        (index, received_ms): (u64, u64),
        terms: Lease,
        version: Arc<Version>,
        approval: Approval,
    ) -> Self {
        Self {
            hash,
            expires_ms: terms.expires_ms,
            terms: Arc::new(terms),
            version,
            approval: Arc::new(approval),
            ended: None,
            ended_ms: 0,
            index,
            received_ms,
            own: Spent::default(),
            from_below: Spent::default(),
            children: RedBlackTreeSetSync::default(),
            earned: false,
        }
    }

    /// The record hash of the lease.
    pub const fn hash(&self) -> RecordHash {
        self.hash
    }

    /// The lease as it was granted.
    pub fn terms(&self) -> &Lease {
        &self.terms
    }

    /// The first millisecond after it, renewals counted in.
    pub const fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// Why it ended before its time, if it did.
    pub const fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// How long it was granted for, from when it could first be used.
    pub fn term_ms(&self) -> u64 {
        let begins_ms = self.terms.not_before_ms.max(self.received_ms);
        // A log may hold a lease that ends before it begins; nothing is granted by it.
        self.terms.expires_ms.saturating_sub(begins_ms)
    }

    /// What was reserved and used, by sub-leases too as far as they pass it up.
    pub const fn spent(&self) -> Spent {
        self.own.plus(&self.from_below)
    }

    /// The key that signs for the agent under this lease.
    pub(super) fn agent_key(&self) -> KeyId {
        self.version.key
    }

    /// Whether this lease alone is in force. Revocation beats expiry.
    fn standing(&self, t: u64) -> Result<(), Refusal> {
        let hash = self.hash;
        if let Some(ended) = self.ended {
            return Err(ended.refusal(hash));
        }
        let (begins, ends) = (self.terms.not_before_ms, self.expires_ms);
        if t < begins {
            return Err(
                Code::LeaseNotYetValid.because(format!("{hash} begins at {begins}, now {t}"))
            );
        }
        if t >= ends {
            return Err(Code::LeaseExpired.because(format!("{hash} ended at {ends}, now {t}")));
        }
        Ok(())
    }

    /// Whether this lease alone allows the scope: `deny` beats `allow`, and what neither names
    /// is denied.
    pub(super) fn permits(&self, scope: &Scope) -> Result<(), Refusal> {
        let hash = self.hash;
        if let Some(pattern) = self.terms.deny.iter().find(|deny| deny.permits(scope)) {
            return Err(Code::ScopeDenied.because(format!("{scope}: {hash} denies {pattern}")));
        }
        if !self.terms.allow.iter().any(|allow| allow.permits(scope)) {
            return Err(Code::ScopeDenied.because(format!("{scope}: {hash} does not allow it")));
        }
        Ok(())
    }
}

impl Ended {
    /// Why a lease that ended so is not in force.
    fn refusal(self, hash: RecordHash) -> Refusal {
        match self {
            Self::Revoked => Code::LeaseRevoked.because(hash),
            Self::Stopped => Code::LeaseRevoked.because(format!("{hash} ended by an order")),
            Self::Distrusted => {
                Code::LeaseRevoked.because(format!("{hash} ended by an amendment of the charter"))
            }
            Self::Superseded => Code::LeaseSuperseded.because(hash),
        }
    }
}

impl Slot {
    /// Where the lease was logged.
    pub(super) fn index(&self) -> u64 {
        match self {
            Self::Held(lease) => lease.index,
            Self::Over(over) => over.index,
        }
    }
}

impl Over {
    /// The record hash of the lease.
    pub const fn hash(&self) -> RecordHash {
        self.hash
    }

    /// The agent that it was granted to.
    pub const fn agent(&self) -> &Name {
        &self.agent
    }

    /// Why it ended.
    pub const fn ended(&self) -> Ended {
        self.why
    }
}

/// Whether so much fits into a budget; `None` is unlimited.
fn fits(budget: &Budget, spent: &Spent) -> Result<(), Refusal> {
    let amounts = [
        ("actions", budget.actions, spent.actions),
        ("tokens", budget.tokens, spent.tokens),
        ("cost_micros", budget.cost_micros, spent.cost_micros),
    ];
    let over = |(_, most, spent): &(&str, Option<u64>, u128)| {
        most.is_some_and(|most| *spent > u128::from(most))
    };
    match amounts.into_iter().find(over) {
        None => Ok(()),
        Some((what, most, spent)) => {
            let most = most.unwrap_or_default();
            Err(Code::BudgetExceeded.because(format!("{what}: {spent} wanted in all, of {most}")))
        }
    }
}

impl Spent {
    /// An intent reserves one action and what it may use up.
    pub(super) fn reserve(&mut self, reserve: &Amounts) {
        self.actions += 1;
        self.tokens += u128::from(reserve.tokens);
        self.cost_micros += u128::from(reserve.cost_micros);
    }

    /// A result commits what was used in place of what was reserved.
    pub(super) fn commit(&mut self, reserved: &Amounts, used: &Amounts) {
        let amounts = |of: &Amounts| Self {
            actions: 0,
            tokens: of.tokens.into(),
            cost_micros: of.cost_micros.into(),
        };
        self.replace(&amounts(reserved), &amounts(used));
    }

    /// Counts one thing in place of another.
    pub(super) fn replace(&mut self, out: &Self, into: &Self) {
        let settle = |sum: u128, out: u128, into: u128| sum.saturating_sub(out) + into;
        self.actions = settle(self.actions, out.actions, into.actions);
        self.tokens = settle(self.tokens, out.tokens, into.tokens);
        self.cost_micros = settle(self.cost_micros, out.cost_micros, into.cost_micros);
    }

    const fn plus(&self, other: &Self) -> Self {
        Self {
            actions: self.actions + other.actions,
            tokens: self.tokens + other.tokens,
            cost_micros: self.cost_micros + other.cost_micros,
        }
    }

    /// As much of it as a budget has.
    fn within(&self, budget: &Budget) -> Self {
        let least = |spent: u128, most: Option<u64>| most.map_or(spent, |it| spent.min(it.into()));
        Self {
            actions: least(self.actions, budget.actions),
            tokens: least(self.tokens, budget.tokens),
            cost_micros: least(self.cost_micros, budget.cost_micros),
        }
    }

    /// What of it is no more than was there before may well be over a budget: it is not what exceeds it.
    fn beyond(&self, before: &Self) -> Self {
        let more = |now: u128, then: u128| if now > then { now } else { 0 };
        Self {
            actions: more(self.actions, before.actions),
            tokens: more(self.tokens, before.tokens),
            cost_micros: more(self.cost_micros, before.cost_micros),
        }
    }
}

impl State {
    /// What a lease may use up. An amount that it does not limit is limited by the lease above it.
    fn budget_of(&self, lease: RecordHash) -> Budget {
        self.lineage(lease)
            .fold(Budget::default(), |budget, above| {
                let held = &above.terms.budget;
                Budget {
                    actions: budget.actions.or(held.actions),
                    tokens: budget.tokens.or(held.tokens),
                    cost_micros: budget.cost_micros.or(held.cost_micros),
                }
            })
    }

    /// What a lease passes up to the lease above it: what it and its sub-leases used, but no more than its budget.
    pub(super) fn passed_up(&self, lease: RecordHash) -> Spent {
        let spent = self.lease(&lease).map(LeaseState::spent);
        spent.unwrap_or_default().within(&self.budget_of(lease))
    }

    /// Whether one more action with this reserve fits into the budgets of a lease and of all above it.
    pub(super) fn affords(&self, lease: RecordHash, reserve: &Amounts) -> Result<(), Refusal> {
        self.lineage(lease).try_for_each(|held| {
            let mut spent = held.spent();
            spent.reserve(reserve);
            fits(&self.budget_of(held.hash), &spent)
        })
    }

    /// As [`State::affords`], of a lease alone and without what its sub-leases pass up: whether it is by the agent's own
    /// doing that there is not enough.
    pub(super) fn affords_alone(&self, lease: RecordHash, reserve: &Amounts) -> bool {
        self.lease(&lease).is_none_or(|held| {
            let mut own = held.own;
            own.reserve(reserve);
            fits(&self.budget_of(lease), &own).is_ok()
        })
    }

    /// Whether a result that used so much, where so much was reserved, stays within the budgets of its lease and of all
    /// above it. A budget that is overrun already is not overrun again by who needs no more of it.
    pub(super) fn bears(
        &self,
        lease: RecordHash,
        reserved: &Amounts,
        used: &Amounts,
    ) -> Result<(), Refusal> {
        let (mut out, mut into) = (Spent::default(), Spent::default());
        out.commit(&Amounts::default(), reserved);
        into.commit(&Amounts::default(), used);
        for held in self.lineage(lease) {
            let (before, budget) = (held.spent(), self.budget_of(held.hash));
            let mut after = before;
            after.replace(&out, &into);
            fits(&budget, &after.beyond(&before))?;
            (out, into) = (before.within(&budget), after.within(&budget));
        }
        Ok(())
    }
}

impl State {
    /// The lease and the leases above it, nearest first.
    pub(super) fn lineage(&self, lease: RecordHash) -> impl Iterator<Item = &LeaseState> {
        let first = self.lease(&lease);
        std::iter::successors(first, |lease| self.lease(&lease.terms.parent?)).take(MAX_DEPTH)
    }

    /// Whether a lease and all above it are in force at `t`.
    ///
    /// # Errors
    /// The code of the first, from the lease upwards, that is not.
    pub fn in_force(&self, lease: RecordHash, t: u64) -> Result<&LeaseState, Refusal> {
        let over = || match self.over(&lease) {
            Some(over) => over.why.refusal(lease),
            None => Code::LeaseUnknown.because(lease),
        };
        let lease_state = self.lease(&lease).ok_or_else(over)?;
        self.lineage(lease)
            .try_for_each(|lease| lease.standing(t))?;
        Ok(lease_state)
    }

    /// When a lease ends if nothing more is logged: its own end, or that of one above it.
    pub fn lease_ends_ms(&self, lease: RecordHash) -> Option<u64> {
        self.lineage(lease).map(|lease| lease.expires_ms).min()
    }
}
