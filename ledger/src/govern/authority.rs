//! What operators, control and observers may sign.

use super::agent::Agent;
use super::lease::{Ended, LeaseState, MAX_DEPTH};
use super::state::State;
use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::key::KeyId;
use crate::record::{
    AgentState, Body, Charter, CheckedRecord, Lease, LeaseRenewal, LeaseRevocation, Mode,
    Observation, Order, Pulse, Refused, Registration, Role, Transition,
};
use crate::text::Name;

/// The most refusals that are counted together: 100,000 in each second of the minute, more than any service answers.
const MAX_REFUSED: u64 = 6_000_000;

impl State {
    pub(super) fn admit_registration(
        &self,
        record: &CheckedRecord,
        new: &Registration,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let charter = self.charter_in_force()?;
        let known = self.agent(&new.agent);
        let (key, old_key) = (new.key.id(), known.map(|agent| agent.version.key));
        let changes_key = old_key.is_some_and(|old| old != key);
        let counts = |id: &KeyId| {
            *id == key
                || charter.grants(Role::Operator, id)
                || changes_key && (Some(*id) == old_key || charter.grants(Role::Root, id))
        };
        self.is_free_key(&new.agent, key)?;
        let signers = self.signers(record, counts)?;
        meets_operators(charter, &signers)?;
        if !signers.contains(&key) {
            return Err(
                Code::ThresholdNotMet.because(format!("the agent's key {key} has not signed"))
            );
        }
        let roots = count(&signers, |id| charter.grants(Role::Root, id));
        let released = old_key.is_some_and(|old| signers.contains(&old));
        if changes_key && !released && roots < charter.thresholds.root {
            return Err(
                Code::ThresholdNotMet.because("neither the old key nor the roots have signed")
            );
        }
        self.is_fresh(record, received_ms)?;
        let hash = new.manifest.hash();
        if hash != new.manifest_hash {
            return Err(Code::ManifestHashMismatch.because(format!("it hashes to {hash}")));
        }
        let (got, most) = (new.manifest.max_inflight_ms, charter.limits.inflight_max_ms);
        if got > most {
            return Err(Code::Malformed.because(format!("max_inflight_ms {got}, at most {most}")));
        }
        let active = known.map(Agent::registration);
        if new.replaces != active {
            let active = active.map_or("none".to_owned(), |active| active.to_string());
            return Err(
                Code::ManifestNotActive.because(format!("the active registration is {active}"))
            );
        }
        Ok(())
    }

    /// An agent's key was never a key of a charter or of the log, and is not another agent's.
    fn is_free_key(&self, agent: &Name, key: KeyId) -> Result<(), Refusal> {
        if self.was_charter_key(&key) {
            return Err(Code::KeyNotAgents.because(format!("{key} is a key of the charter")));
        }
        if self.was_log_key(&key) {
            return Err(Code::KeyNotAgents.because(format!("{key} is a key of the log")));
        }
        match self.owner(&key) {
            Some(owner) if owner != agent => {
                Err(Code::KeyNotAgents.because(format!("{key} is a key of {owner}")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn admit_lease(
        &self,
        record: &CheckedRecord,
        lease: &Lease,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let agent = self.known_agent(&lease.agent)?;
        let charter = self.operators_signed(record, received_ms)?;
        names_the_active_manifest(agent, lease)?;
        self.is_in_bounds(charter, agent, lease, received_ms)?;
        let parent = lease
            .parent
            .map(|parent| self.may_be_parted(parent, lease, received_ms));
        let parent = parent.transpose()?;
        is_after(agent, lease.after)?;
        self.is_healed(agent)?;
        is_covered_by_capabilities(agent, lease)?;
        parent.map_or(Ok(()), |parent| is_within(lease, parent))
    }

    /// An agent that is healing gets no lease. In observe mode a state restricts nothing.
    fn is_healed(&self, agent: &Agent) -> Result<(), Refusal> {
        if agent.state == AgentState::Autohealing && self.mode() == Mode::Enforce {
            let why = format!("{} is {}: no lease", agent.name(), agent.state);
            return Err(Code::StateForbids.because(why));
        }
        Ok(())
    }

    /// When the lease begins and ends.
    fn is_in_bounds(
        &self,
        charter: &Charter,
        agent: &Agent,
        lease: &Lease,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let (from, to) = (lease.not_before_ms, lease.expires_ms);
        if from >= to {
            return Err(Code::Malformed.because(format!("it ends at {to}, begins at {from}")));
        }
        if received_ms >= to {
            let why = format!("it ended at {to} and came at {received_ms}");
            return Err(Code::LeaseExpired.because(why));
        }
        let limits = &charter.limits;
        let least = received_ms.saturating_sub(limits.authority_age_ms);
        if from < least {
            let why = format!("not_before_ms {from}, at least {least}");
            return Err(Code::LeaseWidened.because(why));
        }
        let most = received_ms + limits.lease_max_ms;
        let renewable = ("renew_until_ms", lease.renew_until_ms.unwrap_or(0));
        let ends = [("expires_ms", to), renewable];
        if let Some((name, ms)) = ends.into_iter().find(|(_, ms)| *ms > most) {
            return Err(Code::LeaseWidened.because(format!("{name} {ms}, at most {most}")));
        }
        let another = agent
            .lease
            .is_some_and(|lease| self.in_force(lease, received_ms).is_ok());
        if from > received_ms && another {
            let why = "it starts in the future while another lease is in force";
            return Err(Code::LeaseNotYetValid.because(why));
        }
        Ok(())
    }

    /// The parent of a sub-lease, if it is in force and another agent's, and not too deep.
    fn may_be_parted(
        &self,
        parent: RecordHash,
        lease: &Lease,
        received_ms: u64,
    ) -> Result<&LeaseState, Refusal> {
        let above = self.in_force(parent, received_ms)?;
        if above.terms().agent == lease.agent {
            return Err(Code::LeaseWidened.because("its parent is a lease of the same agent"));
        }
        if self.lineage(parent).count() >= MAX_DEPTH {
            return Err(Code::LeaseWidened.because(format!("more than {MAX_DEPTH} leases deep")));
        }
        Ok(above)
    }

    pub(super) fn admit_renewal(
        &self,
        record: &CheckedRecord,
        renewal: &LeaseRenewal,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let charter = self.charter_in_force()?;
        let by_control = |id: &KeyId| charter.grants(Role::Control, id);
        let counts = |id: &KeyId| by_control(id) || charter.grants(Role::Operator, id);
        let signers = self.signers(record, counts)?;
        let control = signers.iter().all(by_control);
        if !control {
            meets_operators(charter, &signers)?;
        }
        self.is_fresh(record, received_ms)?;
        let lease = self.in_force(renewal.lease, received_ms)?;
        let most = if control {
            self.renewable_until_ms(renewal.lease, received_ms)?
        } else {
            received_ms + charter.limits.lease_max_ms
        };
        let (got, now) = (renewal.expires_ms, lease.expires_ms());
        if got <= now || got > most {
            let why = format!("expires_ms {got}: it must be above {now} and at most {most}");
            return Err(Code::RenewalTooLong.because(why));
        }
        if renewal.from_ms != now {
            let why = format!("from_ms {}: it ends at {now}", renewal.from_ms);
            return Err(Code::AfterMismatch.because(why));
        }
        Ok(())
    }

    /// Until when control may renew a lease at `now_ms`: for its own length from then, within
    /// what the lease and the charter let control do, if its agent has earned it.
    ///
    /// # Errors
    /// Why the lease is not in force, or `renewal-unearned`.
    pub fn renewable_until_ms(&self, lease: RecordHash, now_ms: u64) -> Result<u64, Refusal> {
        let held = self.in_force(lease, now_ms)?;
        self.has_earned_renewal(lease)?;
        let most_ms = self.charter_in_force()?.limits.lease_max_ms;
        let until_ms = held.terms().renew_until_ms.unwrap_or(0);
        Ok((now_ms + held.term_ms().min(most_ms)).min(until_ms))
    }

    /// Control renews only for an agent that is running under its active manifest and has made
    /// progress since the grant or the last renewal.
    fn has_earned_renewal(&self, lease: RecordHash) -> Result<(), Refusal> {
        let unearned = |why: &str| Err(Code::RenewalUnearned.because(why));
        let state = self
            .lease(&lease)
            .ok_or_else(|| Code::LeaseUnknown.because(lease))?;
        let agent = self.known_agent(&state.terms().agent)?;
        if agent.state != AgentState::Running {
            return unearned("the agent is not running");
        }
        if agent.manifest_hash() != state.terms().manifest_hash {
            return unearned("the lease does not name the active manifest");
        }
        if !state.earned {
            return unearned("the agent made no progress since the grant or the last renewal");
        }
        Ok(())
    }

    pub(super) fn admit_revocation(
        &self,
        record: &CheckedRecord,
        revocation: &LeaseRevocation,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        self.operators_signed(record, received_ms)?;
        let unknown = || Code::LeaseUnknown.because(revocation.lease);
        match self.lease_end(&revocation.lease).ok_or_else(unknown)? {
            None => Ok(()),
            Some(Ended::Superseded) => Err(Code::LeaseSuperseded.because("it has ended already")),
            Some(Ended::Revoked | Ended::Stopped | Ended::Distrusted) => {
                Err(Code::LeaseRevoked.because("it has ended already"))
            }
        }
    }

    pub(super) fn admit_order(
        &self,
        record: &CheckedRecord,
        order: &Order,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let agent = self.known_agent(&order.agent)?;
        self.operators_signed(record, received_ms)?;
        if order.to != AgentState::Autohealing {
            // The kill switch needs no look first.
            return order.after.map_or(Ok(()), |_| is_after(agent, order.after));
        }
        let lease = agent
            .lease
            .ok_or_else(|| Code::LeaseUnknown.because("no lease to heal under"))?;
        self.in_force(lease, received_ms)?;
        is_after(agent, order.after)?;
        if agent.state != AgentState::Quarantined {
            let why = format!("{} is {}, not quarantined", agent.name(), agent.state);
            return Err(Code::StateForbids.because(why));
        }
        Ok(())
    }

    pub(super) fn admit_transition(
        &self,
        record: &CheckedRecord,
        transition: &Transition,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let agent = self.known_agent(&transition.agent)?;
        self.role_signed(record, Role::Control, received_ms)?;
        if transition.from != agent.state {
            let why = format!("{} is {}", agent.name(), agent.state);
            return Err(Code::TransitionIllegal.because(why));
        }
        let epoch = agent.epoch + u64::from(self.opens_epoch(transition.rule));
        let (n, want) = (transition.n, agent.transitions + 1);
        if n != want || transition.epoch != epoch {
            let why = format!(
                "n {n} and epoch {}: want {want} and {epoch}",
                transition.epoch
            );
            return Err(Code::TransitionNumber.because(why));
        }
        // Of several that are due only the first may come: it may well end the causes of the others.
        let due = self.due(agent, received_ms);
        if due.as_ref() != Some(transition) {
            let (rule, to) = (transition.rule, transition.to);
            let due = due.map_or("nothing".to_owned(), |due| due.rule.to_string());
            let why = format!("{rule} to {to} at {received_ms}, when {due} is due");
            return Err(Code::TransitionUnfounded.because(why));
        }
        Ok(())
    }

    pub(super) fn admit_refusal(
        &self,
        record: &CheckedRecord,
        refused: &Refused,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let agent = self.known_agent(&refused.agent)?;
        self.role_signed(record, Role::Control, received_ms)?;
        let unfounded = |why: String| Err(Code::RefusalUnfounded.because(why));
        if agent.denials.contains(&refused.refused) {
            return unfounded(format!("{} counts already", refused.refused));
        }
        let (epoch, count) = (agent.epoch, refused.count);
        match &refused.envelope {
            Some(_) if refused.epoch != epoch => unfounded(format!("the epoch is {epoch}")),
            Some(_) if count != 1 => unfounded(format!("{count} of one record")),
            Some(_) => Ok(()),
            // What brings no envelope moves nothing, whatever epoch it was refused in; but a denial brings one, and
            // nobody was refused what nobody can have sent.
            None if refused.is_of_an_intent() && is_always_told(refused.code) => {
                unfounded(format!("{} of an intent that is not shown", refused.code))
            }
            None if count > MAX_REFUSED => unfounded(format!("{count} within a minute")),
            None if refused.epoch > epoch => {
                unfounded(format!("epoch {}, in force is {epoch}", refused.epoch))
            }
            None => Ok(()),
        }
    }

    pub(super) fn admit_pulse(
        &self,
        record: &CheckedRecord,
        pulse: &Pulse,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        self.role_signed(record, Role::Control, received_ms)?;
        let (got, want) = (pulse.n, self.pulses + 1);
        if got != want {
            return Err(Code::TransitionNumber.because(format!("pulse {got}, want {want}")));
        }
        self.is_witnessed(pulse)?;
        let (got, want) = (pulse.agents, self.agent_count());
        if got != want {
            let why = format!("it counts {got} agents, {want} were registered");
            return Err(Code::PulseUnfounded.because(why));
        }
        // Who does not know the state says none.
        let here = pulse.state.map(|told| (told, self.root()));
        match here.filter(|(told, here)| told != here) {
            None => Ok(()),
            Some((told, here)) => {
                let why = format!("it tells the state {told}, here it is {here}");
                Err(Code::PulseUnfounded.because(why))
            }
        }
    }

    pub(super) fn admit_observation(
        &self,
        record: &CheckedRecord,
        seen: &Observation,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        self.known_agent(&seen.agent)?;
        self.role_signed(record, Role::Observer, received_ms)
            .map(drop)
    }

    pub(super) fn known_agent(&self, name: &Name) -> Result<&Agent, Refusal> {
        self.agent(name)
            .ok_or_else(|| Code::AgentUnknown.because(name))
    }

    pub(super) fn charter_in_force(&self) -> Result<&Charter, Refusal> {
        self.charter()
            .ok_or_else(|| Code::CharterMissing.because("the log is empty"))
    }

    /// Whether the operators' threshold of the charter in force has signed.
    fn operators_signed(&self, record: &CheckedRecord, now: u64) -> Result<&Charter, Refusal> {
        let charter = self.charter_in_force()?;
        let signers = self.signers(record, |id| charter.grants(Role::Operator, id))?;
        meets_operators(charter, &signers)?;
        self.is_fresh(record, now)?;
        Ok(charter)
    }

    /// Whether a key of a role has signed, and nobody else.
    fn role_signed(&self, record: &CheckedRecord, role: Role, now: u64) -> Result<(), Refusal> {
        let charter = self.charter_in_force()?;
        self.signers(record, |id| charter.grants(role, id))?;
        self.is_fresh(record, now)
    }

    /// Whether the signer's clock is near enough to the log's.
    fn is_fresh(&self, record: &CheckedRecord, received_ms: u64) -> Result<(), Refusal> {
        let most = self.charter_in_force()?.limits.authority_age_ms;
        let at_ms = record.record().at_ms;
        let apart = at_ms.abs_diff(received_ms);
        if apart > most {
            let why = format!("at_ms {at_ms} is {apart} ms from {received_ms}, at most {most}");
            return Err(Code::Stale.because(why));
        }
        Ok(())
    }

    /// The agent that a record is about, if it is about one.
    pub fn agent_of(&self, record: &CheckedRecord) -> Option<&Agent> {
        let name = match &record.record().body {
            Body::Manifest(body) => &body.agent,
            Body::Lease(body) => &body.agent,
            Body::LeaseRenewal(body) => self.holder(&body.lease)?,
            Body::LeaseRevocation(body) => self.holder(&body.lease)?,
            Body::Order(body) => &body.agent,
            Body::Heartbeat(body) => &body.chain.agent,
            Body::Receipt(body) => &body.chain.agent,
            Body::Transition(body) => &body.agent,
            Body::Refusal(body) => &body.agent,
            Body::Observation(body) => &body.agent,
            Body::Charter(_) | Body::Pulse(_) => return None,
        };
        self.agent(name)
    }
}

/// Whether it was signed in the knowledge of the newest lease, revocation or order about the agent.
fn is_after(agent: &Agent, after: Option<RecordHash>) -> Result<(), Refusal> {
    if after != agent.after {
        let told = |it: Option<RecordHash>| it.map_or("null".to_owned(), |it| it.to_string());
        let why = format!("after is {}, want {}", told(after), told(agent.after));
        return Err(Code::AfterMismatch.because(why));
    }
    Ok(())
}

/// Denials of these codes count whatever the agent's lease has left, so they are always logged with their envelope.
const fn is_always_told(code: Code) -> bool {
    matches!(code, Code::ScopeDenied | Code::CapabilityMissing)
}

fn meets_operators(charter: &Charter, signers: &[KeyId]) -> Result<(), Refusal> {
    let got = count(signers, |id| charter.grants(Role::Operator, id));
    let want = charter.thresholds.operator;
    if got < want {
        return Err(Code::ThresholdNotMet.because(format!("{got} operators of {want}")));
    }
    Ok(())
}

fn count(signers: &[KeyId], counts: impl Fn(&KeyId) -> bool) -> u64 {
    signers.iter().filter(|id| counts(id)).count() as u64
}

/// Each pattern that a lease allows is covered by one capability of the manifest.
fn names_the_active_manifest(agent: &Agent, lease: &Lease) -> Result<(), Refusal> {
    if !agent.is_registered {
        let why = "an amendment took back the trust in who signed the active registration";
        return Err(Code::ManifestNotActive.because(why));
    }
    if lease.manifest_hash != agent.manifest_hash() {
        let active = agent.manifest_hash();
        return Err(Code::ManifestNotActive.because(format!("the active manifest is {active}")));
    }
    Ok(())
}

fn is_covered_by_capabilities(agent: &Agent, lease: &Lease) -> Result<(), Refusal> {
    let capabilities = &agent.version.capabilities;
    let bare = |new: &&crate::scope::Pattern| !capabilities.iter().any(|held| held.covers(new));
    match lease.allow.iter().find(bare) {
        None => Ok(()),
        Some(new) => Err(Code::CapabilityMissing.because(format!("no capability covers {new}"))),
    }
}

/// Whether a sub-lease allows nothing that its parent does not.
fn is_within(lease: &Lease, parent: &LeaseState) -> Result<(), Refusal> {
    let allowed = &parent.terms().allow;
    let wider = |new: &&crate::scope::Pattern| !allowed.iter().any(|held| held.covers(new));
    match lease.allow.iter().find(wider) {
        None => Ok(()),
        Some(new) => {
            let parent = parent.hash();
            Err(Code::LeaseWidened.because(format!("{parent} does not allow {new}")))
        }
    }
}
