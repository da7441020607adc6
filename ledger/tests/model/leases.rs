//! Leases: valid or not at a time, and what was spent under them.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::key::KeyId;
use ledger::record::{AgentState, Amounts, Body, Budget, Charter, Lease, Phase, Role};
use ledger::text::Name;

use crate::clocks::DAY_MS;
use crate::history::{History, Leaf, has_role};

/// What was reserved and committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) actions: u128,
    pub(crate) tokens: u128,
    pub(crate) cost_micros: u128,
}

impl<'a> History<'a> {
    pub(crate) fn lease(self, hash: RecordHash) -> Option<&'a Lease> {
        self.0[self.find(hash)?].lease()
    }

    /// The lease and those above it.
    pub(crate) fn lineage(self, hash: RecordHash) -> Vec<RecordHash> {
        let mut line = Vec::new();
        let mut next = Some(hash);
        while let Some(hash) = next {
            line.push(hash);
            next = self.lease(hash).and_then(|lease| lease.parent);
        }
        line
    }

    pub(crate) fn expires_ms(self, hash: RecordHash) -> u64 {
        let mut expires_ms = self.lease(hash).expect("a lease").expires_ms;
        for leaf in self.0 {
            if let Body::LeaseRenewal(renewal) = &leaf.record.body
                && renewal.lease == hash
            {
                expires_ms = renewal.expires_ms;
            }
        }
        expires_ms
    }

    /// What ended the lease before its time.
    pub(crate) fn ended(self, hash: RecordHash) -> Option<Code> {
        Some(match self.end_of(hash)?.0 {
            "superseded" => Code::LeaseSuperseded,
            _ => Code::LeaseRevoked,
        })
    }

    /// How and when the lease ended before its time: by whatever came first.
    pub(crate) fn end_of(self, hash: RecordHash) -> Option<(&'static str, u64)> {
        let granted = self.find(hash)?;
        let holder = &self.lease(hash)?.agent;
        for (at, leaf) in self.0.iter().enumerate().skip(granted + 1) {
            let ends = |why| Some((why, leaf.received_ms));
            match &leaf.record.body {
                Body::Charter(charter) => {
                    let version = self.before(granted).registered_at(holder)?;
                    if self.is_felled(granted, charter) || self.is_felled(version, charter) {
                        return ends("distrusted");
                    }
                }
                Body::LeaseRevocation(revocation) if revocation.lease == hash => {
                    return ends("revoked");
                }
                Body::Lease(lease) if lease.agent == *holder => return ends("superseded"),
                Body::Order(order)
                    if order.agent == *holder
                        && order.to == AgentState::Stopped
                        && self.before(at).lease_of(holder) == Some(hash) =>
                {
                    return ends("stopped");
                }
                _ => {}
            }
        }
        None
    }

    /// Whether the agent may still act, speak or owe a result under a lease, or somebody under a part of it.
    pub(crate) fn matters(self, hash: RecordHash) -> bool {
        let Some(lease) = self.lease(hash) else {
            return false;
        };
        let agent = &lease.agent;
        let intents = self.open_intents(agent);
        let mut of_intents = intents
            .iter()
            .map(|(at, _)| self.before(*at).lease_of(agent));
        let named = [self.lease_of(agent), self.lease_of_epoch(agent)];
        let mut parts = self.0.iter().filter(|leaf| {
            let parent = leaf.lease().and_then(|lease| lease.parent);
            parent == Some(hash)
        });
        named.contains(&Some(hash))
            || of_intents.any(|lease| lease == Some(hash))
            || parts.any(|part| self.matters(part.hash))
    }

    /// Whether a lease has been over for a day, and nothing is under it.
    pub(crate) fn is_forgotten(self, hash: RecordHash) -> bool {
        let last_ms = self.0.last().map_or(0, |leaf| leaf.received_ms);
        let over = self
            .end_of(hash)
            .is_some_and(|(_, ms)| ms + DAY_MS <= last_ms);
        over && !self.matters(hash)
    }

    /// Whether too few operators stand behind a lease or a manifest, without those that an
    /// amendment distrusts.
    fn is_felled(self, at: usize, amendment: &Charter) -> bool {
        let then = self.before(at).charter();
        let signers = self.0[at].signers.iter().map(|(id, _)| *id);
        let operators = signers.filter(|id| has_role(then, *id, Role::Operator));
        let (lost, left): (Vec<KeyId>, Vec<KeyId>) =
            operators.partition(|id| amendment.distrusted.contains(id));
        !lost.is_empty() && (left.len() as u64) < then.thresholds.operator
    }

    /// Where the active registration lies.
    fn registered_at(self, agent: &Name) -> Option<usize> {
        self.find(self.registration(agent)?.0)
    }

    /// Whether the active registration still has the operators' trust.
    pub(crate) fn is_registered(self, agent: &Name) -> bool {
        let Some(at) = self.registered_at(agent) else {
            return false;
        };
        let felled = |leaf: &Leaf| match &leaf.record.body {
            Body::Charter(charter) => self.is_felled(at, charter),
            _ => false,
        };
        !self.0.iter().skip(at).any(felled)
    }

    /// Why a lease is not valid at a time: itself, or one above it.
    pub(crate) fn not_valid(self, hash: RecordHash, t: u64) -> Option<Code> {
        for hash in self.lineage(hash) {
            let Some(lease) = self.lease(hash).filter(|_| !self.is_forgotten(hash)) else {
                return Some(Code::LeaseUnknown);
            };
            if let Some(code) = self.ended(hash) {
                return Some(code);
            }
            if t < lease.not_before_ms {
                return Some(Code::LeaseNotYetValid);
            }
            if t >= self.expires_ms(hash) {
                return Some(Code::LeaseExpired);
            }
        }
        None
    }

    pub(crate) fn valid(self, hash: RecordHash, t: u64) -> bool {
        self.not_valid(hash, t).is_none()
    }

    /// What the intents under a lease cost it, and what its sub-leases pass up.
    pub(crate) fn spent(self, hash: RecordHash) -> Spent {
        let (mut spent, below) = (self.spent_alone(hash), self.spent_below(hash));
        spent.actions += below.actions;
        spent.tokens += below.tokens;
        spent.cost_micros += below.cost_micros;
        spent
    }

    /// What its sub-leases pass up.
    pub(crate) fn spent_below(self, hash: RecordHash) -> Spent {
        let mut spent = Spent::default();
        let parts = self.0.iter().filter(|leaf| {
            let parent = leaf.lease().and_then(|lease| lease.parent);
            parent == Some(hash)
        });
        for part in parts {
            let (used, budget) = (self.spent(part.hash), self.budget(part.hash));
            let least =
                |used: u128, most: Option<u64>| most.map_or(used, |most| used.min(most.into()));
            spent.actions += least(used.actions, budget.actions);
            spent.tokens += least(used.tokens, budget.tokens);
            spent.cost_micros += least(used.cost_micros, budget.cost_micros);
        }
        spent
    }

    /// What the intents under a lease itself cost it.
    pub(crate) fn spent_alone(self, hash: RecordHash) -> Spent {
        let mut spent = Spent::default();
        for (at, leaf) in self.0.iter().enumerate() {
            let Some(Phase::Intent(intent)) = leaf.receipt().map(|receipt| &receipt.phase) else {
                continue;
            };
            let agent = &leaf.chain().expect("a receipt").agent;
            let charged = self.before(at).lease_of(agent) == Some(hash);
            if !charged || self.before(at).open_intents(agent).len() >= 64 {
                continue;
            }
            let amounts = self.used(leaf).unwrap_or(intent.reserve);
            spent.actions += 1;
            spent.tokens += u128::from(amounts.tokens);
            spent.cost_micros += u128::from(amounts.cost_micros);
        }
        spent
    }

    /// What a lease may use up: where it says nothing, what the nearest above it says.
    pub(crate) fn budget(self, hash: RecordHash) -> Budget {
        let line = self.lineage(hash).into_iter();
        let budgets: Vec<Budget> = line
            .filter_map(|lease| Some(self.lease(lease)?.budget))
            .collect();
        Budget {
            actions: budgets.iter().find_map(|budget| budget.actions),
            tokens: budgets.iter().find_map(|budget| budget.tokens),
            cost_micros: budgets.iter().find_map(|budget| budget.cost_micros),
        }
    }

    /// What the first result of an intent says that it used.
    fn used(self, intent: &Leaf) -> Option<Amounts> {
        let agent = &intent.chain()?.agent;
        self.own(agent).into_iter().find_map(|(_, leaf)| {
            match leaf.receipt().map(|receipt| &receipt.phase) {
                Some(Phase::Result(result)) if result.intent == intent.hash => Some(result.usage),
                _ => None,
            }
        })
    }

    /// Whether the agent showed progress since its lease was granted or renewed.
    pub(crate) fn earned(self, hash: RecordHash) -> bool {
        let Some(granted) = self.find(hash) else {
            return false;
        };
        let mut since = granted;
        for (at, leaf) in self.0.iter().enumerate() {
            if let Body::LeaseRenewal(renewal) = &leaf.record.body
                && renewal.lease == hash
            {
                since = at;
            }
        }
        let holder = &self.lease(hash).expect("a lease").agent;
        let own = self.own(holder).into_iter();
        own.filter(|(at, _)| *at > since)
            .any(|(at, _)| self.is_progress(at))
    }
}
