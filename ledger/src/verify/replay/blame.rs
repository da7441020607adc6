//! At whose fault something in a log is, and to which check it belongs.

use crate::codes::{Code, Group, Party};
use crate::govern::State;
use crate::record::{Body, CheckedRecord, Role};
use crate::text::Name;
use crate::verify::report::CheckId;

/// Whom a finding speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blame {
    pub(super) by: Party,
    pub(super) agent: Option<Name>,
}

/// At whose fault it is that a record does not hold.
///
/// What nobody is shown to have signed is the log's: it took it in. What was signed is the signer's.
pub(super) fn blame(state: &State, record: &CheckedRecord, code: Code) -> Blame {
    let about = state.agent_of(record).map(|agent| agent.name().clone());
    let agent = about.or_else(|| record.record().agent().cloned());
    let by = match code {
        Code::SignatureInvalid
        | Code::KeyUnknown
        | Code::KeyRepeated
        | Code::RoleMissing
        | Code::OriginMismatch => Party::Log,
        Code::KeyNotAgents if signer(state, record) == Party::Agent => {
            return blame_holder(state, record, agent);
        }
        // Its signer said what was so then; who let it in afterwards had to look.
        Code::AfterMismatch => Party::Control,
        Code::CharterMissing
        | Code::CharterVersion
        | Code::CharterInvalid
        | Code::CharterNotAuthorized => Party::Operator,
        _ => signer(state, record),
    };
    Blame { by, agent }
}

/// Who signs records of this kind.
pub(super) fn signer(state: &State, record: &CheckedRecord) -> Party {
    match &record.record().body {
        Body::Heartbeat(_) | Body::Receipt(_) => Party::Agent,
        Body::Transition(_) | Body::Refusal(_) | Body::Pulse(_) => Party::Control,
        Body::Observation(_) => Party::Observer,
        Body::LeaseRenewal(_) if is_by_control(state, record) => Party::Control,
        Body::Charter(_)
        | Body::Manifest(_)
        | Body::Lease(_)
        | Body::LeaseRenewal(_)
        | Body::LeaseRevocation(_)
        | Body::Order(_) => Party::Operator,
    }
}

fn is_by_control(state: &State, record: &CheckedRecord) -> bool {
    let grants = |id| {
        state
            .charter()
            .is_some_and(|charter| charter.grants(Role::Control, id))
    };
    record.signatures().iter().all(|by| grants(&by.keyid))
}

/// A record that somebody else signed in an agent's name is that somebody's: another agent's, or
/// whoever holds a key of the charter.
fn blame_holder(state: &State, record: &CheckedRecord, claimed: Option<Name>) -> Blame {
    let stranger = record.signatures().iter().find_map(|by| {
        let owner = state.owner(&by.keyid);
        (owner != claimed.as_ref()).then_some((by.keyid, owner))
    });
    let Some((id, owner)) = stranger else {
        let by = signer(state, record);
        return Blame { by, agent: claimed };
    };
    let roles = |role| state.charter().is_some_and(|it| it.grants(role, &id));
    let by = match owner {
        Some(_) => Party::Agent,
        None if roles(Role::Control) => Party::Control,
        None if roles(Role::Observer) => Party::Observer,
        None => Party::Operator,
    };
    Blame {
        by,
        agent: owner.cloned().or(claimed),
    }
}

/// The check that does not hold when this is found in a record of the log.
pub(super) const fn check_of(code: Code) -> CheckId {
    match code {
        Code::ReferenceUnknown | Code::RecordRepeated => CheckId::Chains,
        Code::OriginMismatch | Code::CharterMissing => CheckId::Leaves,
        Code::CharterVersion | Code::CharterInvalid | Code::AfterMismatch => CheckId::Authority,
        Code::SplitView => CheckId::Consistency,
        Code::GoalUnknown
        | Code::IntentUnknown
        | Code::TooManyOpen
        | Code::OutcomeUnbacked
        | Code::ActionUnfinished => CheckId::Outcomes,
        _ => match code.group() {
            Group::Signature | Group::Charter => CheckId::Signatures,
            Group::Chain => CheckId::Chains,
            Group::Identity | Group::Lease | Group::Action => CheckId::Authority,
            Group::Control => CheckId::Liveness,
            Group::Form | Group::Log | Group::Passing | Group::Pack | Group::Service => {
                CheckId::Leaves
            }
        },
    }
}
