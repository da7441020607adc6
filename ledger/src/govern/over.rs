//! What becomes of a lease that ended: while something is under it, all of it is kept; then, for a day, that it ended.

use std::sync::Arc;

use super::lease::{Ended, LeaseState, Over, Slot};
use super::recent::DAY_MS;
use super::state::State;
use crate::digest::RecordHash;

impl State {
    /// Ends a lease early. The first reason stays.
    pub(super) fn end_lease(&mut self, lease: RecordHash, why: Ended) {
        let now_ms = self.last_received_ms;
        self.change_lease(lease, |lease| {
            if lease.ended.is_none() {
                (lease.ended, lease.ended_ms) = (Some(why), now_ms);
            }
        });
        self.requeue_holders(lease);
        self.retire(lease);
    }

    /// Keeps of a lease that has ended, and that nothing is under any more, what tells that it has ended; and likewise
    /// of those above it.
    pub(super) fn retire(&mut self, lease: RecordHash) {
        let mut next = Some(lease);
        while let Some(hash) = next {
            let lease = self.lease(&hash).filter(|lease| !self.matters(lease));
            let Some((lease, why)) = lease.and_then(|lease| Some((lease, lease.ended?))) else {
                return;
            };
            let (index, ended_ms, parent) = (lease.index, lease.ended_ms, lease.terms.parent);
            let agent = lease.terms.agent.clone();
            let over = Over {
                hash,
                index,
                agent,
                why,
                ended_ms,
            };
            self.leases.insert_mut(hash, Slot::Over(Arc::new(over)));
            self.over.insert_mut((ended_ms, index));
            if let Some(parent) = parent {
                self.change_lease(parent, |parent| {
                    parent.children.remove_mut(&hash);
                });
            }
            next = parent;
        }
    }

    /// Whether its agent names a lease, or another is under it.
    fn matters(&self, lease: &LeaseState) -> bool {
        let agent = self.agent(&lease.terms.agent);
        !lease.children.is_empty() || agent.is_some_and(|agent| agent.names_lease(lease.hash))
    }

    /// Forgets the leases that have been over for a day.
    pub(super) fn forget_leases(&mut self) {
        while let Some((ended_ms, index)) = self.over.first().copied() {
            if ended_ms + DAY_MS > self.last_received_ms {
                return;
            }
            self.over.remove_mut(&(ended_ms, index));
            if let Some(hash) = self.lease_order.get(&index) {
                self.leases.remove_mut(hash);
            }
            self.lease_order.remove_mut(&index);
        }
    }

    pub(super) fn insert_lease(&mut self, lease: LeaseState) {
        if let Some(before) = self.leases.get(&lease.hash) {
            self.lease_order.remove_mut(&before.index());
        }
        self.lease_order.insert_mut(lease.index, lease.hash);
        self.leases
            .insert_mut(lease.hash, Slot::Held(Arc::new(lease)));
    }
}
