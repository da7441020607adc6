//! One lease: whether it is in force, and what is left of its budget.

use std::sync::Arc;

use rpds::RedBlackTreeSetSync;

use super::State;
use super::agent::Version;
use super::charter::Approval;
use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::key::KeyId;
use crate::record::{Amounts, Lease};
use crate::scope::Scope;

/// The most leases in a line of sub-leases, the first included.
pub const MAX_DEPTH: usize = 4;

/// A lease, as the log so far implies it.
#[derive(Clone, Debug)]
pub struct LeaseState {
    hash: RecordHash,
    terms: Arc<Lease>,
    pub(super) version: Arc<Version>,
    pub(super) approval: Approval,
    pub(super) expires_ms: u64,
    pub(super) ended: Option<Ended>,
    pub(super) spent: Spent,
    /// Sub-leases, which end with this one. There may be one for every job that an agent hands
    /// on, and each receipt changes the lease, so its copies share them.
    pub(super) children: RedBlackTreeSetSync<RecordHash>,
    /// Whether the agent made progress since the grant or the last renewal.
    pub(super) earned: bool,
}

/// Why a lease ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// An operator revoked it.
    Revoked,
    /// A later lease of the agent took its place.
    Superseded,
    /// An order stopped the agent.
    Stopped,
    /// An amendment of the charter distrusts who signed it, or the manifest that it names.
    Distrusted,
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
        terms: Lease,
        version: Arc<Version>,
        approval: Approval,
    ) -> Self {
        Self {
            hash,
            expires_ms: terms.expires_ms,
            terms: Arc::new(terms),
            version,
            approval,
            ended: None,
            spent: Spent::default(),
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

    /// What was reserved and used.
    pub const fn spent(&self) -> Spent {
        self.spent
    }

    /// The key that signs for the agent under this lease.
    pub(super) fn agent_key(&self) -> KeyId {
        self.version.key
    }

    /// Whether this lease alone is in force. Revocation beats expiry.
    fn standing(&self, t: u64) -> Result<(), Refusal> {
        let hash = self.hash;
        match self.ended {
            Some(Ended::Revoked) => return Err(Code::LeaseRevoked.because(hash)),
            Some(Ended::Stopped) => {
                return Err(Code::LeaseRevoked.because(format!("{hash} ended by an order")));
            }
            Some(Ended::Distrusted) => {
                let why = format!("{hash} ended by an amendment of the charter");
                return Err(Code::LeaseRevoked.because(why));
            }
            Some(Ended::Superseded) => return Err(Code::LeaseSuperseded.because(hash)),
            None => {}
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

    /// Whether one more action with this reserve fits into the budget of this lease alone.
    pub(super) fn affords(&self, reserve: &Amounts) -> Result<(), Refusal> {
        let (most, spent) = (self.terms.budget.actions, self.spent.actions);
        fits("actions", most, spent, 1)?;
        self.has_tokens(reserve)?;
        self.has_money(reserve)
    }

    /// Whether a result that used so much more than it had reserved stays within the budget. A
    /// budget that is overrun already is not overrun again by who needs no more of it.
    pub(super) fn bears(&self, more: &Amounts) -> Result<(), Refusal> {
        if more.tokens > 0 {
            self.has_tokens(more)?;
        }
        if more.cost_micros > 0 {
            self.has_money(more)?;
        }
        Ok(())
    }

    fn has_tokens(&self, more: &Amounts) -> Result<(), Refusal> {
        let (most, spent) = (self.terms.budget.tokens, self.spent.tokens);
        fits("tokens", most, spent, more.tokens)
    }

    fn has_money(&self, more: &Amounts) -> Result<(), Refusal> {
        let (most, spent) = (self.terms.budget.cost_micros, self.spent.cost_micros);
        fits("cost_micros", most, spent, more.cost_micros)
    }
}

fn fits(what: &str, most: Option<u64>, spent: u128, more: u64) -> Result<(), Refusal> {
    match most {
        Some(most) if spent + u128::from(more) > u128::from(most) => {
            let why = format!("{what}: {spent} spent and {more} wanted of {most}");
            Err(Code::BudgetExceeded.because(why))
        }
        _ => Ok(()),
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
        let settle =
            |sum: u128, out: u64, into: u64| sum - u128::from(out).min(sum) + u128::from(into);
        self.tokens = settle(self.tokens, reserved.tokens, used.tokens);
        self.cost_micros = settle(self.cost_micros, reserved.cost_micros, used.cost_micros);
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
        let lease_state = self
            .lease(&lease)
            .ok_or_else(|| Code::LeaseUnknown.because(lease))?;
        self.lineage(lease)
            .try_for_each(|lease| lease.standing(t))?;
        Ok(lease_state)
    }

    /// When a lease ends if nothing more is logged: its own end, or that of one above it.
    pub fn lease_ends_ms(&self, lease: RecordHash) -> Option<u64> {
        self.lineage(lease).map(|lease| lease.expires_ms).min()
    }
}
