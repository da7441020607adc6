//! What each check means, in words for people, and what it leaves open: no check proves more than it says.

use crate::verify::report::{Check, CheckId};

impl Check {
    /// That it was not made, and why not, as a sentence.
    pub(super) fn not_made(&self) -> String {
        format!("It was not checked {}: {}.", self.id.asks(), self.detail)
    }
}

impl CheckId {
    /// What it decides, as the end of a sentence.
    const fn asks(self) -> &'static str {
        match self {
            Self::Form => "whether the file is well-formed",
            Self::Checkpoint => "whether the log signed the checkpoint",
            Self::Witnesses => "whether witnesses saw the same log",
            Self::Inclusion => "whether the entries are in the log",
            Self::Consistency => "whether the log only grew",
            Self::Leaves => "whether the entries are records of this log",
            Self::Signatures => "who signed",
            Self::Chains => "whether records of an agent are missing",
            Self::Authority => "whether everybody was allowed to do what they did",
            Self::Liveness => "whether the state of each agent changed when it should",
            Self::Outcomes => "whether everything that was begun was ended",
            Self::Disclosures => "whether the disclosed values are the right ones",
            Self::Freshness => "how old the evidence is",
        }
    }

    /// What is so when the check holds.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Form => {
                "the file reads, byte for byte, as the kind of evidence that it says it is"
            }
            Self::Checkpoint => "the log that the trust names signed this size and this root",
            Self::Witnesses => {
                "as many witnesses as the trust asks for have seen this tree grow out of the ones before"
            }
            Self::Inclusion => {
                "the entries lead to the signed root: they are in the log, in these places, unchanged"
            }
            Self::Consistency => {
                "the tree extends an earlier one: nothing in that was removed or changed"
            }
            Self::Leaves => {
                "each entry is a record in its one spelling, made for the log that the trust names"
            }
            Self::Signatures => "each record is signed by keys that the charter leads to",
            Self::Chains => {
                "the records of each agent follow one upon the other, and one left out between them would show"
            }
            Self::Authority => {
                "what everybody did was allowed to them at that moment, by the records before it"
            }
            Self::Liveness => {
                "every change of an agent's state has its cause, and came when it was due"
            }
            Self::Outcomes => "what was begun was ended, and what was accepted rests on a check",
            Self::Disclosures => "the values that are told are those that were committed to",
            Self::Freshness => {
                "the last entry is recent enough for a log that is running, by the time given"
            }
        }
    }

    /// What it does not show even then.
    pub const fn leaves_open(self) -> &'static str {
        match self {
            Self::Form => "that anything in it is true",
            Self::Checkpoint => "that the log shows everybody the same tree",
            Self::Witnesses => "what is in the tree: a witness sees a size and a root, no records",
            Self::Inclusion => "that they were allowed, or that what they say is so",
            Self::Consistency => "anything about a tree that is not in this evidence",
            Self::Leaves => "who made it",
            Self::Signatures => "that whoever held a key was allowed to sign, or had not lost it",
            Self::Chains => "what came after the last of them",
            Self::Authority => "that it was wise to allow it, or what was done without logging it",
            Self::Liveness => "that an agent did anything useful while it lived",
            Self::Outcomes => "that the check itself was right",
            Self::Disclosures => "anything about values that stay closed",
            Self::Freshness => "that nothing has been logged since",
        }
    }
}
