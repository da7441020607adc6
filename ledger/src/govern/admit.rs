//! The order of checks: the first that fails names the code.
//!
//! The parsers check form, and whoever keeps the log checks duplicates; here follow log,
//! agent, key, signature, role and threshold, epoch, instance, `seq`, `prev` and `before`,
//! clock, lease, state, scope, budget, and the rest.

use super::state::State;
use crate::codes::{Code, Refusal};
use crate::envelope::{Checked, Validity};
use crate::key::KeyId;
use crate::record::{Body, CheckedRecord, Mode};
use crate::text::Name;

/// A record that may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The rule that it breaks, in observe mode: it is logged all the same.
    pub breach: Option<Refusal>,
}

impl State {
    /// Judges a record that would be logged next, at `received_ms`. Nothing changes.
    ///
    /// # Errors
    /// The first code, in the order of checks, by which the record must not be logged.
    pub fn admit(&self, record: &CheckedRecord, received_ms: u64) -> Result<Admission, Refusal> {
        self.is_of_this_log(record)?;
        let at_ms = record.record().at_ms;
        match &record.record().body {
            Body::Charter(charter) => self.admit_charter(record, charter)?,
            Body::Manifest(registration) => {
                self.admit_registration(record, registration, received_ms)?;
            }
            Body::Lease(lease) => self.admit_lease(record, lease, received_ms)?,
            Body::LeaseRenewal(renewal) => self.admit_renewal(record, renewal, received_ms)?,
            Body::LeaseRevocation(revocation) => {
                self.admit_revocation(record, revocation, received_ms)?;
            }
            Body::Order(order) => self.admit_order(record, order, received_ms)?,
            Body::Transition(transition) => {
                self.admit_transition(record, transition, received_ms)?;
            }
            Body::Refusal(refused) => self.admit_refusal(record, refused, received_ms)?,
            Body::Pulse(pulse) => self.admit_pulse(record, pulse, received_ms)?,
            Body::Observation(seen) => self.admit_observation(record, seen, received_ms)?,
            Body::Heartbeat(beat) => {
                let place = self.place_of_beat(record, beat, received_ms)?;
                return self.in_mode(self.judge_beat(&place, beat, at_ms, received_ms));
            }
            Body::Receipt(receipt) => {
                let place = self.place_of_receipt(record, receipt, received_ms)?;
                return self.in_mode(self.judge_receipt(&place, receipt, at_ms, received_ms));
            }
        }
        Ok(Admission { breach: None })
    }

    /// What breaks a rule is refused in enforce mode, and logged as a breach in observe mode.
    fn in_mode(&self, judged: Result<(), Refusal>) -> Result<Admission, Refusal> {
        match (judged, self.mode()) {
            (Ok(()), _) => Ok(Admission { breach: None }),
            (Err(breach), Mode::Observe) => Ok(Admission {
                breach: Some(breach),
            }),
            (Err(refusal), Mode::Enforce) => Err(refusal),
        }
    }

    fn is_of_this_log(&self, record: &CheckedRecord) -> Result<(), Refusal> {
        let named = record.record().log;
        match (self.log(), &record.record().body) {
            (None, Body::Charter(_)) if named.is_none() => Ok(()),
            (None, Body::Charter(_)) => Err(Code::OriginMismatch.because("charter 1 names no log")),
            (None, _) => Err(Code::CharterMissing.because("the log is empty")),
            (Some(log), _) if named == Some(log) => Ok(()),
            (Some(_), Body::Charter(_)) if named.is_none() => {
                Err(Code::CharterVersion.because("the log has its charter 1"))
            }
            (Some(log), _) => Err(Code::OriginMismatch.because(format!("this log is {log}"))),
        }
    }

    /// The agent that is responsible for a refused record: a valid signature on it is by a key that
    /// the agent has or had.
    pub fn attributable(&self, record: &CheckedRecord) -> Option<Name> {
        let name = match &record.record().body {
            Body::Heartbeat(beat) => &beat.chain.agent,
            Body::Receipt(receipt) => &receipt.chain.agent,
            _ => return None,
        };
        let agent = self.agent(name)?;
        let by_agent = |checked: &Checked| {
            agent.has_key(&checked.keyid) && self.validity(record, checked) == Validity::Valid
        };
        record
            .signatures()
            .iter()
            .any(by_agent)
            .then(|| name.clone())
    }

    /// The keys that signed, when each of them is known, counts, and made its signature.
    pub(super) fn signers(
        &self,
        record: &CheckedRecord,
        counts: impl Fn(&KeyId) -> bool,
    ) -> Result<Vec<KeyId>, Refusal> {
        let ids = self.valid_signatures(record)?;
        match ids.iter().find(|id| !counts(id)) {
            None => Ok(ids),
            Some(id) => Err(Code::RoleMissing.because(format!("{id} does not count here"))),
        }
    }

    /// The keys that signed, when each of them is known and made its signature.
    fn valid_signatures(&self, record: &CheckedRecord) -> Result<Vec<KeyId>, Refusal> {
        let checked = record.signatures();
        let validities = || {
            checked
                .iter()
                .map(|checked| (checked.keyid, self.validity(record, checked)))
        };
        if let Some((id, _)) = validities().find(|(_, validity)| *validity == Validity::Unknown) {
            return Err(Code::KeyUnknown.because(id));
        }
        if let Some((id, _)) = validities().find(|(_, validity)| *validity == Validity::Invalid) {
            return Err(Code::SignatureInvalid.because(id));
        }
        Ok(checked.iter().map(|checked| checked.keyid).collect())
    }

    /// Whether one signature is good, looking for the key here if it was not known before.
    pub(super) fn validity(&self, record: &CheckedRecord, checked: &Checked) -> Validity {
        if checked.validity != Validity::Unknown {
            return checked.validity;
        }
        let Some(key) = self.key(&checked.keyid) else {
            return Validity::Unknown;
        };
        let envelope = record.signed().envelope();
        let again = envelope.check_signatures(&|id| (*id == checked.keyid).then_some(key));
        let same = |other: &&Checked| other.keyid == checked.keyid;
        again
            .iter()
            .find(same)
            .map_or(Validity::Unknown, |checked| checked.validity)
    }
}
