//! What is true of a log that is made here: written down when a fault is planned, before any rule has seen it.

use ledger::codes::{Code, Party};
use ledger::record::Rule;

macro_rules! classes {
    ($($variant:ident $text:literal $sentence:literal;)*) => {
        /// The kinds of fault that are planned. The sentence says what happens.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class {
            $(#[doc = $sentence] $variant,)*
        }

        impl Class {
            /// Every class, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in the table.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// What happens, in a sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),* }
            }
        }
    };
}

classes! {
    // Agents, under a control plane that keeps to the rules.
    SilentStall "silent-stall" "A process hangs for good; its supervisor starts the next one when healing begins.";
    ShortStall "short-stall" "A process is silent for 40 minutes and goes on.";
    NoProgress "no-progress" "A process sends heartbeats but makes no progress.";
    Zombie "zombie" "A process that a heal has fenced wakes and sends a heartbeat.";
    NeverHealed "never-healed" "No attempt at healing works; an operator releases the agent.";
    LeaseLapsed "lease-lapsed" "Nobody renews a lease, and the agent goes on.";
    LeaseRevoked "lease-revoked" "An operator revokes a lease, and the agent goes on.";
    OutOfScope "out-of-scope" "An agent asks for what its lease or its manifest does not allow.";
    TooManyDenials "too-many-denials" "An agent asks until it is quarantined.";
    Overrun "overrun" "A call uses more than the budget.";
    Drift "drift" "A process runs another version than its lease names.";
    SkippedNumber "skipped-number" "A process skips sequence numbers.";
    BrokenChain "broken-chain" "A record names the wrong predecessor.";
    ForgedBeat "forged-beat" "Somebody without the agent's key sends a heartbeat in its name.";
    ReplayedBeat "replayed-beat" "An old heartbeat is sent again.";
    Backdated "backdated" "Records are dated too early, out of order, or in the future.";
    AbandonedCall "abandoned-call" "A process dies in a call, and nobody closes it in time.";
    SecondInstance "second-instance" "A second process speaks at the same time as the first.";
    ForkShown "fork-shown" "The log shows an agent another history than this one.";
    // A control plane that breaks its rules.
    DutyForgotten "duty-forgotten" "A transition that is due is logged 20 minutes late.";
    NoCause "no-cause" "A healthy agent is called silent.";
    WrongState "wrong-state" "A transition starts from a state that the agent is not in.";
    WrongNumber "wrong-number" "A transition has the number of a later one.";
    ForgedRefusal "forged-refusal" "An allowed intent is refused as a denial.";
    AdmittedScope "admitted-scope" "An intent out of scope is admitted.";
    AdmittedZombie "admitted-zombie" "A fenced process is admitted.";
    AdmittedForgery "admitted-forgery" "A heartbeat by somebody else's key is admitted.";
    AdmittedReplay "admitted-replay" "An old heartbeat is logged again.";
    AdmittedLapse "admitted-lapse" "A goal is admitted under a lease that has ended.";
    HiddenRecords "hidden-records" "Records of an agent are left out, and its later ones are admitted.";
    Unearned "unearned" "Control renews a lease for an agent that has done nothing since.";
    Loosened "loosened" "Control renews a lease beyond what the lease permits.";
    ForgedLease "forged-lease" "Control grants a lease itself.";
    PulseForgotten "pulse-forgotten" "The control plane forgets its own pulses.";
    Silence "silence" "The control plane admits nothing for a while.";
    Outage "outage" "The control plane is down for an hour.";
    SlowClock "slow-clock" "The log's clock runs behind that of its witness.";
}

/// Something that must be seen in a log, and who planned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The fault that it belongs to.
    pub class: Class,
    /// The agent that it is about; `None` for the log as a whole.
    pub agent: Option<usize>,
    /// Where it must be seen.
    pub when: When,
    /// What must be seen.
    pub what: What,
}

/// Where something must be seen, by the log's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At a leaf that was received exactly then.
    At(u64),
    /// At the first leaf that was received later than this.
    FirstAfter(u64),
    /// At the first leaf by which it is too late for what is due from the first leaf at this time or later.
    TooLate(u64),
}

/// What can be seen in a log: its own record of a transition or a refusal, or what a verifier finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A transition that healthy agents do not go through.
    Transition(Rule),
    /// A refusal.
    Refusal(Code),
    /// A finding, and at whose fault.
    Finding(Code, Party),
}

/// What happened, in the words of a report that sets a log beside a watchdog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The fault that it belongs to.
    pub fault: Class,
    /// Of which kind it is: a class of incident, by its name.
    pub class: &'static str,
    /// The agent that it is about; `None` for the log as a whole.
    pub agent: Option<usize>,
    /// When its cause began.
    pub began_ms: u64,
    /// When it was over.
    pub ended_ms: u64,
    /// Whether it did not happen, and the control plane said that it did.
    pub is_false: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_tells_of_every_class() {
        let page = include_str!("../../docs/proving-ground.md");
        for class in Class::ALL {
            let row = format!("| `{}` | {} |", class.as_str(), class.sentence());
            assert!(page.contains(&row), "{row}");
        }
    }
}
