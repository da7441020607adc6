//! Every way a record, a log or a piece of evidence can be wrong: one enum, in one table.
//!
//! A code says three things: of which *class* it is (a problem makes a record unreliable, a
//! breach shows somebody out of bounds in a sound record), at whose *fault*, and which HTTP
//! status carries it. Pages, reports, refusals and problem documents all take it from here.

use std::fmt;
use std::str::FromStr;

/// Why something was refused: a code, and a sentence with the numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// What was found, and what was wanted.
    pub detail: String,
}

impl Refusal {
    /// The same refusal, with the place where it happened in front.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.detail = format!("{place}: {}", self.detail);
        self
    }
}

/// What a finding does to the record it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The record cannot be relied on.
    Problem,
    /// The record is sound and shows somebody out of bounds.
    Breach,
    /// A breach of time whose record was made in time and logged late (observe mode).
    Late,
}

/// At whose fault something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// The agent that signed the record.
    Agent,
    /// The operators.
    Operator,
    /// The control plane.
    Control,
    /// The log itself.
    Log,
    /// An observer.
    Observer,
    /// Whoever made the pack or the proof file.
    Producer,
}

impl Class {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Breach => "breach",
            Self::Late => "late",
        }
    }
}

impl Party {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Control => "control",
            Self::Log => "log",
            Self::Observer => "observer",
            Self::Producer => "producer",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $text:literal $class:ident $party:ident ($status:expr) $sentence:literal;)*) => {
        /// What is wrong. The text of each is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $sentence] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Whether it spoils the record or shows somebody out of bounds.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class),* }
            }

            /// At whose fault it is, unless the record at hand says otherwise.
            pub const fn party(self) -> Party {
                match self { $(Self::$variant => Party::$party),* }
            }

            /// The HTTP status that carries it; `None` for what only a verifier finds.
            pub const fn http_status(self) -> Option<u16> {
                match self { $(Self::$variant => $status),* }
            }

            /// One sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence),* }
            }
        }
    };
}

codes! {
    // Form.
    Malformed "malformed" Problem Producer (Some(400)) "A member is missing, of the wrong type, or does not parse.";
    TooLarge "too-large" Problem Producer (Some(413)) "It is larger than the limit.";
    UnknownKind "unknown-kind" Problem Producer (Some(400)) "The payload type names no kind of record.";
    UnknownMember "unknown-member" Problem Producer (Some(400)) "An object has a member that its kind does not have.";
    NotStrictJson "not-strict-json" Problem Producer (Some(400)) "The bytes are not JSON of the strict subset.";
    LeafNotCanonical "leaf-not-canonical" Problem Log (Some(400)) "A leaf is not spelled the one way a leaf is spelled.";
    ReferenceUnknown "reference-unknown" Problem Agent (Some(400)) "A record refers to one that is not in the log before it.";
    // Signature.
    OriginMismatch "origin-mismatch" Problem Producer (Some(403)) "The record was made for another log.";
    KeyUnknown "key-unknown" Problem Producer (Some(403)) "A signature is by a key that nobody here has.";
    KeyRepeated "key-repeated" Problem Producer (Some(403)) "Two signatures are by the same key.";
    SignatureInvalid "signature-invalid" Problem Producer (Some(403)) "A signature does not verify.";
    RoleMissing "role-missing" Problem Producer (Some(403)) "A signing key does not have the role that this kind needs.";
    ThresholdNotMet "threshold-not-met" Problem Operator (Some(403)) "Too few of the keys that count have signed.";
    Stale "stale" Problem Producer (Some(403)) "The time of the record is too far from that of its receipt.";
    // Charter.
    CharterMissing "charter-missing" Problem Operator (Some(422)) "The log does not begin with a charter.";
    CharterVersion "charter-version" Problem Operator (Some(422)) "A charter does not follow the one before it.";
    CharterInvalid "charter-invalid" Problem Operator (Some(422)) "A charter contradicts itself.";
    CharterNotAuthorized "charter-not-authorized" Problem Operator (Some(422)) "A charter is not signed by the roots that it needs.";
    // Identity.
    AgentUnknown "agent-unknown" Breach Agent (Some(403)) "No manifest has registered this agent.";
    ManifestHashMismatch "manifest-hash-mismatch" Breach Operator (Some(403)) "The manifest hash is not the hash of the manifest.";
    ManifestNotActive "manifest-not-active" Breach Operator (Some(403)) "The manifest named is not the agent's active one.";
    ManifestDrift "manifest-drift" Breach Agent (Some(403)) "The agent runs another version than its lease names.";
    CapabilityMissing "capability-missing" Breach Agent (Some(403)) "No capability of the manifest covers the scope.";
    KeyNotAgents "key-not-agents" Breach Agent (Some(403)) "The signing key is not the agent's.";
    // Lease.
    LeaseUnknown "lease-unknown" Breach Agent (Some(403)) "There is no such lease.";
    LeaseNotYetValid "lease-not-yet-valid" Breach Agent (Some(403)) "The lease has not begun.";
    LeaseExpired "lease-expired" Breach Agent (Some(403)) "The lease has expired.";
    LeaseRevoked "lease-revoked" Breach Agent (Some(403)) "The lease was revoked.";
    LeaseSuperseded "lease-superseded" Breach Agent (Some(403)) "A later lease took this one's place.";
    LeaseWidened "lease-widened" Breach Operator (Some(403)) "The lease allows more than its parent or its manifest.";
    RenewalTooLong "renewal-too-long" Breach Operator (Some(403)) "The renewal goes beyond what may be granted, or not forward.";
    RenewalUnearned "renewal-unearned" Breach Control (Some(403)) "Control renewed a lease that did not qualify for it.";
    // Chain.
    EpochFenced "epoch-fenced" Breach Agent (Some(409)) "Another instance or a later epoch has taken over.";
    EpochSuperseded "epoch-superseded" Breach Agent (Some(409)) "A later lease has opened the next epoch.";
    EpochFuture "epoch-future" Breach Agent (Some(409)) "Nothing has opened this epoch.";
    SequenceGap "sequence-gap" Problem Agent (Some(409)) "The sequence number skips some.";
    SequenceRepeated "sequence-repeated" Problem Agent (Some(409)) "The sequence number was used before.";
    PreviousMismatch "previous-mismatch" Problem Agent (Some(409)) "prev is not the record before this one.";
    BeforeMismatch "before-mismatch" Problem Agent (Some(409)) "before is not the agent's last record of an earlier epoch.";
    ClockRegressed "clock-regressed" Breach Agent (Some(409)) "The agent's clock went back within its chain.";
    ClockAhead "clock-ahead" Breach Agent (Some(409)) "The record is dated in the future.";
    RestsOnProblem "rests-on-problem" Problem Agent (Some(409)) "The record rests on one that has a problem.";
    // Action.
    ScopeDenied "scope-denied" Breach Agent (Some(403)) "The lease, or one above it, does not allow the scope.";
    BudgetExceeded "budget-exceeded" Breach Agent (Some(403)) "The budget of the lease, or of one above it, is used up.";
    StateForbids "state-forbids" Breach Agent (Some(403)) "The agent's state does not allow this.";
    GoalUnknown "goal-unknown" Breach Agent (Some(403)) "There is no such open goal.";
    IntentUnknown "intent-unknown" Breach Agent (Some(403)) "There is no such open intent.";
    TooManyOpen "too-many-open" Breach Agent (Some(403)) "Too many goals or intents are open.";
    ProgressRegressed "progress-regressed" Breach Agent (Some(403)) "The progress counter went back within its epoch.";
    OutcomeUnbacked "outcome-unbacked" Breach Agent (Some(403)) "An outcome is accepted without a check.";
    ActionUnfinished "action-unfinished" Breach Agent (Some(403)) "An intent has no result in its time.";
    // Control: found by replay.
    DutyMissed "duty-missed" Breach Control (None) "A transition or pulse that was due was not logged in time.";
    ControlGap "control-gap" Breach Control (None) "Nothing at all was logged for a while.";
    TransitionIllegal "transition-illegal" Breach Control (None) "A transition does not start from the agent's state.";
    TransitionUnfounded "transition-unfounded" Breach Control (None) "A transition has no cause.";
    TransitionNumber "transition-number" Breach Control (None) "A transition has the wrong number or epoch.";
    RefusalUnfounded "refusal-unfounded" Breach Control (None) "A refused record was not to be refused.";
    // Log: found by verification.
    RootMismatch "root-mismatch" Problem Log (None) "The hashes do not lead to the root of the checkpoint.";
    ProofMalformed "proof-malformed" Problem Log (None) "The proof does not have the form of one.";
    ProofSurplus "proof-surplus" Problem Log (None) "The proof has hashes that it does not need.";
    IndexOutOfRange "index-out-of-range" Problem Log (None) "The index is not in a tree of this size.";
    CheckpointMalformed "checkpoint-malformed" Problem Log (None) "The checkpoint does not have the form of one.";
    CheckpointSignatureInvalid "checkpoint-signature-invalid" Problem Log (None) "The log's signature on the checkpoint is missing or does not verify.";
    OriginUnknown "origin-unknown" Problem Log (None) "The checkpoint is of a log that the policy does not name.";
    QuorumNotMet "quorum-not-met" Problem Log (None) "Too few witnesses have cosigned the checkpoint.";
    Inconsistent "inconsistent" Problem Log (None) "Two checkpoints are not of one history.";
    TimeRegressed "time-regressed" Problem Log (None) "A leaf was received before the one in front of it.";
    ClockImplausible "clock-implausible" Problem Log (None) "The log's time contradicts its witnesses.";
    SplitView "split-view" Problem Log (None) "An agent was shown another log than this one.";
    // Pack: found by verification.
    PackMalformed "pack-malformed" Problem Producer (None) "The evidence cannot be read.";
    PackCount "pack-count" Problem Producer (None) "The pack does not hold as many leaves as it says.";
    PackOrder "pack-order" Problem Producer (None) "The lines of the pack are out of order.";
    PackSelection "pack-selection" Problem Producer (None) "A leaf is not of the selection that the pack claims.";
    PackIncomplete "pack-incomplete" Problem Producer (None) "The pack lacks records that it rests on.";
    TrustMismatch "trust-mismatch" Problem Producer (None) "The charter is not the one that the trust pins.";
    DisclosureMismatch "disclosure-mismatch" Problem Producer (None) "A disclosure does not open its commitment.";
    // Service.
    NotFound "not-found" Problem Producer (Some(404)) "There is nothing here.";
    MethodNotAllowed "method-not-allowed" Problem Producer (Some(405)) "This method is not for this path.";
    NotAcceptable "not-acceptable" Problem Producer (Some(406)) "No form of this is one that you accept.";
    UnsupportedMediaType "unsupported-media-type" Problem Producer (Some(415)) "The body is not of a type that this path takes.";
    Overloaded "overloaded" Problem Control (Some(503)) "The queue is full; try again later.";
    Stopping "stopping" Problem Control (Some(503)) "The service is stopping; try again later.";
    DiskFull "disk-full" Problem Control (Some(507)) "The disk is nearly full; nothing more is logged.";
    Internal "internal" Problem Control (Some(500)) "Something failed inside the service.";
}

impl Code {
    /// A refusal by this code, with its reason in numbers or names.
    pub fn because(self, detail: impl fmt::Display) -> Refusal {
        Refusal {
            code: self,
            detail: detail.to_string(),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let known = Self::ALL.iter().find(|code| code.as_str() == text);
        known
            .copied()
            .ok_or_else(|| Self::Malformed.because(format!("no code {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back_and_differ() {
        let texts: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.as_str().parse::<Code>().unwrap(), *code);
            assert!(code.sentence().ends_with('.'));
        }
        assert!("no-such-code".parse::<Code>().is_err());
    }
}
