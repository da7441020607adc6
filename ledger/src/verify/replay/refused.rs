//! Refusals, judged again: what control did not let in was not to be let in.

use crate::codes::{Code, Refusal};
use crate::record::{Body, CheckedRecord, Refused, SignedRecord};
use crate::verify::replay::fold::{Histories, Judgement};

/// Whether a refusal that shows what was refused has its ground: the agent signed that, it is what the refusal
/// calls it, and the rules refuse it by the same code.
pub(super) fn check_refused(
    histories: &Histories,
    refused: &Refused,
    received_ms: u64,
) -> Result<(), Refusal> {
    let Some(envelope) = &refused.envelope else {
        return Ok(());
    };
    let unfounded = |why: String| Err(Code::RefusalUnfounded.because(why));
    let record = match SignedRecord::from_envelope(envelope.clone()) {
        Ok(record) => record.check(&|id| histories.taken().key(id)),
        // Who signed what nobody can read, nobody can say.
        Err(refusal) => return unfounded(format!("it is {refusal}")),
    };
    if histories.state().attributable(&record).as_ref() != Some(&refused.agent) {
        return unfounded(format!("{} has not signed it", refused.agent));
    }
    if !is_called_what_it_is(refused, &record) {
        return unfounded("it is of another kind or phase".to_owned());
    }
    match histories.judge(&record, received_ms) {
        Judgement::Wrong(refusal) if refusal.code == refused.code => {
            is_by_its_own_doing(histories, refused, &record)
        }
        Judgement::Rests(_) => Ok(()),
        Judgement::Wrong(refusal) => unfounded(format!("it is {refusal}")),
        Judgement::Sound(_) => unfounded(format!("{} was to be logged", refused.refused)),
    }
}

/// That there is no budget left is held against an agent only where it used it up itself.
fn is_by_its_own_doing(
    histories: &Histories,
    refused: &Refused,
    record: &CheckedRecord,
) -> Result<(), Refusal> {
    let counts = refused.code != Code::BudgetExceeded
        || !refused.is_of_an_intent()
        || histories.state().is_denial(record, refused.code);
    match counts {
        true => Ok(()),
        false => Err(Code::RefusalUnfounded.because("its sub-leases used up the budget")),
    }
}

/// Its kind and phase are what make it count as a denial.
fn is_called_what_it_is(refused: &Refused, record: &CheckedRecord) -> bool {
    let phase = match &record.record().body {
        Body::Receipt(receipt) => Some(receipt.phase.as_str()),
        _ => None,
    };
    record.signed().kind() == refused.kind && phase == refused.phase.as_deref()
}
