//! The nine classes of incident: to which of them a code belongs, and what each is in a sentence.

use ledger::codes::{Code, Party};
use watchdogs::class::Class;

/// The class that a code belongs to, by whose fault it is. `None` for what is wrong with the form of a record, with its
/// place in a chain, or with a clock: that is told apart from incidents.
pub fn of_code(code: Code, by: Party) -> Option<Class> {
    match by {
        Party::Control | Party::Log => return Some(Class::Control),
        Party::Observer | Party::Producer | Party::Unknown => return None,
        Party::Agent | Party::Operator => {}
    }
    Some(match code {
        Code::ScopeDenied | Code::CapabilityMissing => Class::Scope,
        Code::ManifestDrift => Class::Drift,
        Code::EpochFenced => Class::Zombie,
        Code::BudgetExceeded => Class::Overrun,
        Code::ActionUnfinished => Class::Unfinished,
        Code::LeaseUnknown
        | Code::LeaseNotYetValid
        | Code::LeaseExpired
        | Code::LeaseRevoked
        | Code::LeaseSuperseded
        | Code::LeaseWidened
        | Code::RenewalTooLong
        | Code::StateForbids
        | Code::AgentUnknown
        | Code::KeyNotAgents
        | Code::ManifestNotActive
        | Code::ThresholdNotMet => Class::Authority,
        _ => return None,
    })
}

/// What happens, in a sentence.
pub const fn sentence(class: Class) -> &'static str {
    match class {
        Class::Stall => "The agent beats and makes no progress towards an open goal.",
        Class::Silence => "No heartbeat comes.",
        Class::Authority => {
            "The agent goes on without a lease in force, asks for what its state forbids, or a lease is widened."
        }
        Class::Scope => "The agent asks for what its lease or its manifest does not name.",
        Class::Drift => "The agent runs another version than its lease names.",
        Class::Zombie => "A process that was fenced, or a second one, speaks for the agent.",
        Class::Overrun => "The agent uses more than its budget has.",
        Class::Unfinished => "An action has no result in its time.",
        Class::Control => "The control plane or the log breaks a rule of its own.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_fault_it_is_decides_before_the_code() {
        for (code, by, class) in [
            (Code::ScopeDenied, Party::Agent, Some(Class::Scope)),
            (Code::ScopeDenied, Party::Control, Some(Class::Control)),
            (Code::SplitView, Party::Log, Some(Class::Control)),
            (
                Code::RenewalTooLong,
                Party::Operator,
                Some(Class::Authority),
            ),
            (Code::SequenceGap, Party::Agent, None),
            (Code::EpochSuperseded, Party::Agent, None),
            (Code::PackCount, Party::Producer, None),
        ] {
            assert_eq!(of_code(code, by), class, "{code} by {by:?}");
        }
    }
}
