//! A control plane in virtual time: it does what the service does, unless the script says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{Body, CheckedRecord, Rule, SignedRecord, Transition};
use ledger::text::Name;

use crate::{Log, record};

/// A control plane and the log that it keeps.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) log: Log,
    known: BTreeSet<RecordHash>,
    down: bool,
    forgets_pulses: bool,
    forgotten: BTreeMap<Name, Rule>,
    lag_ms: u64,
    /// Until when it has looked what is due.
    looked_ms: u64,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Logged,
    Duplicate,
    Refused(Code),
}

impl Plane {
    pub(crate) const fn new(log: Log) -> Self {
        Self {
            log,
            known: BTreeSet::new(),
            down: false,
            forgets_pulses: false,
            forgotten: BTreeMap::new(),
            lag_ms: 0,
            looked_ms: 0,
        }
    }

    /// What the log's clock shows when a clock that is right shows `now_ms`. It never goes back.
    pub(crate) fn clock_ms(&self, now_ms: u64) -> u64 {
        (now_ms - self.lag_ms).max(self.log.state().last_received_ms())
    }

    /// Does what is due until now: a pulse when it is time, transitions when they have their cause.
    pub(crate) fn pass(&mut self, now_ms: u64) {
        while !self.down {
            let state = self.log.state();
            let at = state.last_received_ms().max(self.looked_ms);
            let pulse = state.next_pulse_ms().map(|pulse| pulse.max(at));
            let pulse = pulse.filter(|_| !self.forgets_pulses).unwrap_or(u64::MAX);
            let duty = state.next_deadline_after(at).unwrap_or(u64::MAX);
            let next = pulse.min(duty);
            if next > self.clock_ms(now_ms) {
                return;
            }
            self.looked_ms = next;
            if next == pulse {
                self.pulse(next);
            }
            self.settle(next);
        }
    }

    /// Takes in a record as the service does, with what it causes behind it.
    pub(crate) fn submit(&mut self, signed: &SignedRecord, now_ms: u64) -> Answer {
        assert!(
            !self.down,
            "nobody is asked while the control plane is down"
        );
        let at = self.clock_ms(now_ms);
        if self.known.contains(&signed.hash()) {
            return Answer::Duplicate;
        }
        match self.log.submit(signed.clone(), at) {
            Ok(_) => {
                self.known.insert(signed.hash());
                self.settle(at);
                Answer::Logged
            }
            Err(refusal) => {
                let record = self.log.check(signed.clone());
                self.refuse(&record, &refusal, at);
                Answer::Refused(refusal.code)
            }
        }
    }

    /// Lets in a record that is not to be let in.
    pub(crate) fn admit_regardless(&mut self, signed: &SignedRecord, now_ms: u64) {
        let at = self.clock_ms(now_ms);
        self.log.force(signed.clone(), at);
        self.settle(at);
    }

    /// Lets in a record that rests on one which is not in the log.
    pub(crate) fn admit_resting(&mut self, signed: &SignedRecord, now_ms: u64) {
        let at = self.clock_ms(now_ms);
        self.log.force_resting(signed.clone(), at);
        self.settle(at);
    }

    /// Signs something with the control key and logs it, whether the rules take it or not.
    pub(crate) fn assert(&mut self, body: Body, now_ms: u64) {
        let at = self.clock_ms(now_ms);
        let body = self.log.knowing(body);
        let signed = self.log.sign(body, at, &[&self.control()]);
        self.admit_regardless(&signed, now_ms);
    }

    pub(crate) fn go_down(&mut self) {
        self.down = true;
    }

    /// Comes back: first a pulse, then what is due.
    pub(crate) fn come_up(&mut self, now_ms: u64) {
        self.down = false;
        self.pulse(now_ms);
        self.settle(now_ms);
    }

    pub(crate) const fn forget_pulses(&mut self, forget: bool, now_ms: u64) {
        self.forgets_pulses = forget;
        self.looked_ms = now_ms;
    }

    pub(crate) const fn lag(&mut self, lag_ms: u64) {
        self.lag_ms = lag_ms;
    }

    /// Forgets a duty towards an agent, or thinks of it again.
    pub(crate) fn forget(&mut self, agent: &Name, rule: Option<Rule>, now_ms: u64) {
        match rule {
            Some(rule) => self.forgotten.insert(agent.clone(), rule),
            None => self.forgotten.remove(agent),
        };
        self.settle(self.clock_ms(now_ms));
    }

    /// Logs what is due now, but for what is forgotten.
    fn settle(&mut self, at_ms: u64) {
        while let Some(transition) = self.next_duty(at_ms) {
            self.own(Body::Transition(transition), at_ms);
        }
    }

    fn next_duty(&self, at_ms: u64) -> Option<Transition> {
        let forgotten = |due: &Transition| self.forgotten.get(&due.agent) == Some(&due.rule);
        self.log.state().duties(at_ms).find(|due| !forgotten(due))
    }

    /// A pulse with the newest checkpoint, which the witness cosigns by its own clock.
    fn pulse(&mut self, at_ms: u64) {
        let right_s = (at_ms + self.lag_ms) / 1000;
        let witnessed = self.log.cosigned(self.log.size(), right_s).to_string();
        self.own(self.log.pulse(Some(witnessed)), at_ms);
    }

    /// Logs a refusal, where one is to be logged. The script leaves a minute between two of a code, so there is
    /// nothing to count.
    fn refuse(&mut self, record: &CheckedRecord, refusal: &Refusal, at_ms: u64) {
        let state = self.log.state();
        let Some(agent) = state.attributable(record) else {
            return;
        };
        if state.is_denied_already(record) {
            return;
        }
        let is_denial = state.is_denial(record, refusal.code);
        let epoch = state.agent(&agent).map_or(0, ledger::govern::Agent::epoch);
        let mut refused = record::refused(&agent, epoch, record.signed(), refusal.code);
        refused.envelope = is_denial.then(|| record.signed().envelope().clone());
        self.own(Body::Refusal(Box::new(refused)), at_ms);
        self.settle(at_ms);
    }

    /// Signs a record of its own and lets it in through the same door as everybody's.
    fn own(&mut self, body: Body, at_ms: u64) {
        let signed = self.log.sign(body, at_ms, &[&self.control()]);
        let taken = self.log.submit(signed, at_ms);
        taken.expect("what an honest control plane logs is admitted");
    }

    fn control(&self) -> PrivateKey {
        self.log.keys().control.clone()
    }
}
