//! What the control plane logs by itself: pulses, transitions, refusals, renewals.
//!
//! Each is signed with the control key and let in through the same door as everybody's record. What a record causes
//! stands directly behind it in the same group, so no crash can come between a cause and its transition.

use ledger::codes::{Code, Refusal};
use ledger::govern::Agent;
use ledger::record::{Body, CheckedRecord, LeaseRenewal, Pulse, Record, Refused, Rule, Transition};
use ledger::text::Name;

use super::Fatal;
use super::plan::Plan;
use super::refusals::Refusals;

/// A record of the service's own in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Its sign of life. At a start nothing was due, so none is late.
    Pulse { late_ms: Option<u64> },
    /// A change of an agent's state.
    Transition { rule: Rule, late_ms: u64 },
    /// Records that were not let in.
    Refusal { code: Code, count: u64 },
    /// More time for a lease.
    Renewal,
}

impl Plan {
    /// Adds the control plane's own sign of life, which names the state in front of it.
    pub(super) fn pulse(&mut self, due_ms: Option<u64>) -> Result<(), Fatal> {
        let pulse = Pulse {
            n: self.state().pulses() + 1,
            agents: self.state().agent_count(),
            state: Some(self.note_state()),
            witnessed: None,
        };
        let late_ms = due_ms.map(|due_ms| self.now_ms().saturating_sub(due_ms));
        self.own(Body::Pulse(pulse), Duty::Pulse { late_ms })
    }

    /// Adds every transition that is due, each judged in the state that the one before it left.
    pub(super) fn transitions(&mut self) -> Result<(), Fatal> {
        while let Some(transition) = self.state().next_duty(self.now_ms()) {
            let duty = Duty::Transition {
                rule: transition.rule,
                late_ms: self.lateness_ms(&transition),
            };
            self.own(Body::Transition(transition), duty)?;
        }
        Ok(())
    }

    /// Adds refusals, and behind each the transitions that it causes.
    pub(super) fn refusals(&mut self, refusals: Vec<Refused>) -> Result<(), Fatal> {
        for mut refused in refusals {
            // What was counted for a minute is logged in the epoch that is in force now.
            refused.epoch = self.epoch_of(&refused.agent);
            let (code, count) = (refused.code, refused.count);
            let duty = Duty::Refusal { code, count };
            self.own(Body::Refusal(Box::new(refused)), duty)?;
            self.transitions()?;
        }
        Ok(())
    }

    /// Notes that a record was refused, and adds what is to be told of it at once.
    pub(super) fn refused(
        &mut self,
        record: &CheckedRecord,
        refusal: &Refusal,
        refusals: &mut Refusals,
    ) -> Result<(), Fatal> {
        let Some(agent) = self.state().attributable(record) else {
            return Ok(());
        };
        if self.state().is_denied_already(record) {
            return Ok(());
        }
        let is_denial = self.state().is_denial(record, refusal.code);
        let refused = Refused {
            epoch: self.epoch_of(&agent),
            agent,
            kind: record.signed().kind(),
            phase: phase_of(record.record()),
            refused: record.hash(),
            code: refusal.code,
            count: 1,
            envelope: is_denial.then(|| record.signed().envelope().clone()),
        };
        let at_once = refusals.note(refused, self.now_ms());
        self.refusals(at_once)
    }

    /// Renews the lease of the agent that has just spoken, where the lease lets control do that, less than half of
    /// its term is left, and the agent has earned it. So a lease is renewed at most twice a term, and only for an
    /// agent that speaks: silence is answered by letting its authority end.
    pub(super) fn renewal(&mut self, spoken: &CheckedRecord) -> Result<(), Fatal> {
        let agent = match &spoken.record().body {
            Body::Heartbeat(beat) => &beat.chain.agent,
            Body::Receipt(receipt) => &receipt.chain.agent,
            _ => return Ok(()),
        };
        match self.earned_renewal(agent) {
            None => Ok(()),
            Some(renewal) => self.own(Body::LeaseRenewal(renewal), Duty::Renewal),
        }
    }

    fn earned_renewal(&self, agent: &Name) -> Option<LeaseRenewal> {
        let (state, now_ms) = (self.state(), self.now_ms());
        let lease = state.lease(&state.agent(agent)?.lease()?)?;
        let (terms, ends_ms) = (lease.terms(), lease.expires_ms());
        let renewable = terms.renew_until_ms.is_some_and(|until| until > ends_ms);
        let term_ms = lease.term_ms();
        let left_ms = ends_ms.saturating_sub(now_ms);
        if !renewable || left_ms >= term_ms / 2 {
            return None;
        }
        let expires_ms = state.renewable_until_ms(lease.hash(), now_ms).ok()?;
        (expires_ms > ends_ms).then_some(LeaseRenewal {
            lease: lease.hash(),
            from_ms: ends_ms,
            expires_ms,
        })
    }

    /// Signs a record of the control plane's own and lets it in.
    fn own(&mut self, body: Body, duty: Duty) -> Result<(), Fatal> {
        let kind = body.kind();
        let refused = |refusal| Fatal::OwnRecordRefused { kind, refusal };
        let record = Record {
            log: self.state().log(),
            at_ms: self.now_ms(),
            body,
            ext: None,
        };
        let signed = record.sign(&[&self.control]).map_err(refused)?;
        let checked = signed.check(&|id| self.state().key(id));
        self.admit(&checked).map(drop).map_err(refused)?;
        self.duties.push(duty);
        Ok(())
    }

    /// How long the cause of a transition has held.
    fn lateness_ms(&self, transition: &Transition) -> u64 {
        let agent = self.state().agent(&transition.agent);
        let due_ms = agent.and_then(Agent::deadline_ms);
        due_ms.map_or(0, |due_ms| self.now_ms().saturating_sub(due_ms))
    }

    fn epoch_of(&self, agent: &Name) -> u64 {
        self.state().agent(agent).map_or(0, Agent::epoch)
    }
}

fn phase_of(record: &Record) -> Option<String> {
    match &record.body {
        Body::Receipt(receipt) => Some(receipt.phase.as_str().to_owned()),
        _ => None,
    }
}
