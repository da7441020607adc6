//! What operators, control and observers may sign, one kind after another.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::key::KeyId;
use ledger::record::{
    AgentState, Body, Charter, Lease, LeaseRenewal, LeaseRevocation, Order, Refused, Registration,
    Role, StateRoot, Transition,
};
use ledger::scope::Pattern;
use ledger::text::Name;

use crate::admit::{Judged, refuse_if};
use crate::history::{History, Leaf, brings_key, has_role, is_log_key};

use AgentState::{Autohealing, Quarantined, Running};

const MAX_DEPTH: usize = 4;

/// The state of no log. What states are in truth is told by [`entries`](crate::entries).
pub(crate) fn no_state() -> StateRoot {
    StateRoot {
        entries: 1,
        root: tlog::EMPTY_ROOT,
    }
}

impl History<'_> {
    pub(crate) fn admit_authority(self, leaf: &Leaf) -> Judged {
        match &leaf.record.body {
            Body::Manifest(registration) => self.admit_manifest(leaf, registration),
            Body::Lease(lease) => self.admit_lease(leaf, lease),
            Body::LeaseRenewal(renewal) => self.admit_renewal(leaf, renewal),
            Body::LeaseRevocation(revocation) => self.admit_revocation(leaf, revocation),
            Body::Order(order) => self.admit_order(leaf, order),
            Body::Transition(transition) => self.admit_transition(leaf, transition),
            Body::Refusal(refused) => {
                let agent = &refused.agent;
                refuse_if(self.registration(agent).is_none(), Code::AgentUnknown)?;
                self.signed_by(leaf, &[Role::Control])?;
                refuse_if(!self.may_be_so(refused), Code::RefusalUnfounded)
            }
            Body::Pulse(pulse) => {
                self.signed_by(leaf, &[Role::Control])?;
                refuse_if(pulse.n != self.pulses() + 1, Code::TransitionNumber)?;
                refuse_if(pulse.agents != self.agents(), Code::PulseUnfounded)?;
                refuse_if(pulse.state == Some(no_state()), Code::PulseUnfounded)
            }
            Body::Observation(seen) => {
                refuse_if(self.registration(&seen.agent).is_none(), Code::AgentUnknown)?;
                self.signed_by(leaf, &[Role::Observer])
            }
            Body::Charter(_) | Body::Heartbeat(_) | Body::Receipt(_) => {
                unreachable!("judged elsewhere")
            }
        }
    }

    /// Whether what control says that it refused can be so.
    fn may_be_so(self, refused: &Refused) -> bool {
        let epoch = self.epoch(&refused.agent);
        let of_intent = refused.phase.as_deref() == Some("intent");
        let always_shown = matches!(refused.code, Code::ScopeDenied | Code::CapabilityMissing);
        if self.denied(&refused.agent).contains(&refused.refused) {
            return false;
        }
        match &refused.envelope {
            Some(_) => refused.epoch == epoch && refused.count == 1,
            None => {
                !(of_intent && always_shown) && refused.epoch <= epoch && refused.count <= 6_000_000
            }
        }
    }

    /// Signed by the roots' threshold, old and new, and one more than the charter in force.
    pub(crate) fn admit_amendment(self, leaf: &Leaf, charter: &Charter) -> Judged {
        self.signatures(leaf)?;
        let old = self.charter();
        let roots = |of: &Charter| {
            let signers = leaf.signers.iter();
            signers
                .filter(|(id, _)| has_role(of, *id, Role::Root))
                .count() as u64
        };
        for (id, _) in &leaf.signers {
            let counts = has_role(old, *id, Role::Root) || has_role(charter, *id, Role::Root);
            refuse_if(!counts, Code::CharterNotAuthorized)?;
        }
        let follows = charter.version == old.version + 1;
        let names = charter.previous == self.charter_hash();
        refuse_if(!follows || !names, Code::CharterVersion)?;
        refuse_if(charter.origin != old.origin, Code::CharterInvalid)?;
        let clocks = &charter.liveness;
        let contradicts = clocks.degraded_after_ms >= clocks.autoheal_after_ms
            || clocks.tolerance_ms > clocks.degraded_after_ms / 2
            || clocks.heal_attempts < 1;
        refuse_if(contradicts, Code::CharterInvalid)?;
        let trusted = |role: Role| {
            let held = charter.keys.iter().map(|key| key.key.id());
            held.filter(|id| has_role(charter, *id, role)).count() as u64
        };
        let enough_left = (1..=trusted(Role::Root)).contains(&charter.thresholds.root)
            && (1..=trusted(Role::Operator)).contains(&charter.thresholds.operator)
            && trusted(Role::Control) > 0;
        refuse_if(!enough_left, Code::CharterInvalid)?;
        let people: Vec<KeyId> = charter.keys.iter().map(|key| key.key.id()).collect();
        for id in &people {
            let is_anothers =
                self.was_an_agents(*id) || self.was_the_logs(*id) || is_log_key(charter, *id);
            refuse_if(is_anothers, Code::CharterInvalid)?;
        }
        for key in &charter.log_keys {
            let id = KeyId::of(key.key_bytes());
            let is_anothers = self.was_an_agents(id) || self.was_in_a_charter(id);
            refuse_if(is_anothers, Code::CharterInvalid)?;
        }
        let enough = roots(old) >= old.thresholds.root && roots(charter) >= charter.thresholds.root;
        refuse_if(!enough, Code::CharterNotAuthorized)
    }

    /// Each signature is known and good.
    pub(crate) fn signatures(self, leaf: &Leaf) -> Judged {
        let known = |id: KeyId| self.knows_key(id) || brings_key(&leaf.record, id);
        refuse_if(
            leaf.signers.iter().any(|(id, _)| !known(*id)),
            Code::KeyUnknown,
        )?;
        refuse_if(
            leaf.signers.iter().any(|(_, good)| !good),
            Code::SignatureInvalid,
        )
    }

    fn has_role(self, id: KeyId, role: Role) -> bool {
        has_role(self.charter(), id, role)
    }

    /// Signed by keys of one of the roles, as many as the charter asks for, and in time.
    fn signed_by(self, leaf: &Leaf, roles: &[Role]) -> Judged {
        self.signatures(leaf)?;
        let of = |id: KeyId, roles: &[Role]| roles.iter().any(|role| self.has_role(id, *role));
        let strange = leaf.signers.iter().any(|(id, _)| !of(*id, roles));
        refuse_if(strange, Code::RoleMissing)?;
        let enough = roles.iter().any(|role| self.reaches(leaf, *role));
        refuse_if(!enough, Code::ThresholdNotMet)?;
        self.is_timely(leaf)
    }

    fn reaches(self, leaf: &Leaf, role: Role) -> bool {
        let thresholds = &self.charter().thresholds;
        let wanted = match role {
            Role::Root => thresholds.root,
            Role::Operator => thresholds.operator,
            Role::Control | Role::Observer => 1,
        };
        let count = leaf
            .signers
            .iter()
            .filter(|(id, _)| self.has_role(*id, role));
        count.count() as u64 >= wanted
    }

    fn is_timely(self, leaf: &Leaf) -> Judged {
        let apart = leaf.received_ms.abs_diff(leaf.record.at_ms);
        refuse_if(apart > self.charter().limits.authority_age_ms, Code::Stale)
    }

    fn admit_manifest(self, leaf: &Leaf, registration: &Registration) -> Judged {
        let active = self.registration(&registration.agent);
        let new = registration.key.id();
        let in_charter = self.was_in_a_charter(new) || self.was_the_logs(new);
        let of_another = self
            .0
            .iter()
            .filter_map(Leaf::registration)
            .any(|other| other.key.id() == new && other.agent != registration.agent);
        refuse_if(in_charter || of_another, Code::KeyNotAgents)?;
        self.signatures(leaf)?;
        let old = active.map(|(_, active)| active.key.id());
        let signed = |id: KeyId| leaf.signers.iter().any(|(signer, _)| *signer == id);
        let changes = old.is_some_and(|old| old != new);
        for (id, _) in &leaf.signers {
            let counts = *id == new
                || self.has_role(*id, Role::Operator)
                || changes && (old == Some(*id) || self.has_role(*id, Role::Root));
            refuse_if(!counts, Code::RoleMissing)?;
        }
        let handed_over = !changes || old.is_some_and(signed) || self.reaches(leaf, Role::Root);
        let enough = self.reaches(leaf, Role::Operator) && signed(new) && handed_over;
        refuse_if(!enough, Code::ThresholdNotMet)?;
        self.is_timely(leaf)?;
        let hash = registration.manifest.hash();
        refuse_if(
            registration.manifest_hash != hash,
            Code::ManifestHashMismatch,
        )?;
        let replaces = active.map(|(hash, _)| hash);
        refuse_if(registration.replaces != replaces, Code::ManifestNotActive)
    }

    fn admit_lease(self, leaf: &Leaf, lease: &Lease) -> Judged {
        let active = self.registration(&lease.agent);
        let (_, registration) = active.ok_or(Code::AgentUnknown)?;
        self.signed_by(leaf, &[Role::Operator])?;
        let t = leaf.received_ms;
        refuse_if(
            lease.manifest_hash != registration.manifest_hash || !self.is_registered(&lease.agent),
            Code::ManifestNotActive,
        )?;
        refuse_if(lease.not_before_ms >= lease.expires_ms, Code::Malformed)?;
        refuse_if(lease.expires_ms <= t, Code::LeaseExpired)?;
        let limits = &self.charter().limits;
        let longest = t + limits.lease_max_ms;
        let until = lease.expires_ms.max(lease.renew_until_ms.unwrap_or(0));
        let begins_too_early = lease.not_before_ms + limits.authority_age_ms < t;
        refuse_if(until > longest || begins_too_early, Code::LeaseWidened)?;
        let current = self.lease_of(&lease.agent);
        let another = current.is_some_and(|current| self.valid(current, t));
        refuse_if(lease.not_before_ms > t && another, Code::LeaseNotYetValid)?;
        if let Some(parent) = lease.parent {
            let above = self.lease(parent).ok_or(Code::LeaseUnknown)?;
            self.not_valid(parent, t).map_or(Ok(()), Err)?;
            let too_deep = self.lineage(parent).len() > MAX_DEPTH;
            refuse_if(above.agent == lease.agent || too_deep, Code::LeaseWidened)?;
        }
        self.is_after(&lease.agent, lease.after)?;
        let heals = self.state(&lease.agent) == Autohealing;
        refuse_if(heals && self.enforces(), Code::StateForbids)?;
        let within = |allowed: &Pattern, by: &[Pattern]| by.iter().any(|one| one.covers(allowed));
        let capabilities = &registration.manifest.capabilities;
        for allowed in &lease.allow {
            refuse_if(!within(allowed, capabilities), Code::CapabilityMissing)?;
        }
        for allowed in &lease.allow {
            let above = lease.parent.and_then(|parent| self.lease(parent));
            let outside = above.is_some_and(|above| !within(allowed, &above.allow));
            refuse_if(outside, Code::LeaseWidened)?;
        }
        Ok(())
    }

    fn admit_renewal(self, leaf: &Leaf, renewal: &LeaseRenewal) -> Judged {
        let t = leaf.received_ms;
        self.signed_by(leaf, &[Role::Operator, Role::Control])?;
        let operates = |id: KeyId| self.has_role(id, Role::Operator);
        let by_control = !leaf.signers.iter().any(|(id, _)| operates(*id));
        let lease = self.lease(renewal.lease).ok_or(Code::LeaseUnknown)?;
        self.not_valid(renewal.lease, t).map_or(Ok(()), Err)?;
        if by_control {
            let active = self
                .registration(&lease.agent)
                .map(|(_, r)| r.manifest_hash);
            let runs = self.state(&lease.agent) == Running && active == Some(lease.manifest_hash);
            refuse_if(!runs || !self.earned(renewal.lease), Code::RenewalUnearned)?;
        }
        let longest = if by_control {
            let granted = self.find(renewal.lease).expect("a lease that was logged");
            let usable_from = lease.not_before_ms.max(self.0[granted].received_ms);
            let bounds = [
                t + (lease.expires_ms - usable_from),
                lease.renew_until_ms.unwrap_or(0),
                t + self.charter().limits.lease_max_ms,
            ];
            bounds.into_iter().min().expect("three of them")
        } else {
            t + self.charter().limits.lease_max_ms
        };
        let ends = self.expires_ms(renewal.lease);
        refuse_if(
            renewal.expires_ms <= ends || renewal.expires_ms > longest,
            Code::RenewalTooLong,
        )?;
        refuse_if(renewal.from_ms != ends, Code::AfterMismatch)
    }

    /// Signed by somebody who knew the newest decision about the agent.
    fn is_after(self, agent: &Name, after: Option<RecordHash>) -> Judged {
        refuse_if(after != self.newest_decision(agent), Code::AfterMismatch)
    }

    fn admit_revocation(self, leaf: &Leaf, revocation: &LeaseRevocation) -> Judged {
        self.signed_by(leaf, &[Role::Operator])?;
        self.lease(revocation.lease)
            .filter(|_| !self.is_forgotten(revocation.lease))
            .ok_or(Code::LeaseUnknown)?;
        self.ended(revocation.lease).map_or(Ok(()), Err)
    }

    fn admit_order(self, leaf: &Leaf, order: &Order) -> Judged {
        refuse_if(
            self.registration(&order.agent).is_none(),
            Code::AgentUnknown,
        )?;
        self.signed_by(leaf, &[Role::Operator])?;
        if order.to != Autohealing {
            return match order.after {
                None => Ok(()),
                after => self.is_after(&order.agent, after),
            };
        }
        let lease = self.lease_of(&order.agent).ok_or(Code::LeaseUnknown)?;
        self.not_valid(lease, leaf.received_ms)
            .map_or(Ok(()), Err)?;
        self.is_after(&order.agent, order.after)?;
        refuse_if(self.state(&order.agent) != Quarantined, Code::StateForbids)
    }

    fn admit_transition(self, leaf: &Leaf, transition: &Transition) -> Judged {
        let (agent, rule) = (&transition.agent, transition.rule);
        refuse_if(self.registration(agent).is_none(), Code::AgentUnknown)?;
        self.signed_by(leaf, &[Role::Control])?;
        refuse_if(
            transition.from != self.state(agent),
            Code::TransitionIllegal,
        )?;
        let n = self.moves(agent).len() as u64 + 1;
        let numbered = transition.n == n && transition.epoch == self.epoch_after(agent, rule);
        refuse_if(!numbered, Code::TransitionNumber)?;
        let due = self.due(agent, leaf.received_ms);
        refuse_if(
            due.first() != Some(&(rule, transition.to)),
            Code::TransitionUnfounded,
        )
    }
}
