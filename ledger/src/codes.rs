//! Every way a record, a log or a piece of evidence can be wrong: one enum, in one table.
//!
//! A code says three things: of which *class* it is (a problem makes a record unreliable, a
//! breach shows somebody out of bounds in a sound record), at whose *fault*, and which HTTP
//! status carries it. Pages, reports, refusals, problem documents and `docs/codes.md` all take
//! it from here.

use std::fmt;
use std::str::FromStr;

use crate::text::quoted;

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
    /// Whoever made the evidence or passed it on: nothing that anybody signed covers what is wrong.
    Unknown,
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
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Agent,
        Self::Operator,
        Self::Control,
        Self::Log,
        Self::Observer,
        Self::Producer,
        Self::Unknown,
    ];

    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Control => "control",
            Self::Log => "log",
            Self::Observer => "observer",
            Self::Producer => "producer",
            Self::Unknown => "unknown",
        }
    }

    /// In words for people.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Agent => "the agent",
            Self::Operator => "the operators",
            Self::Control => "the control plane",
            Self::Log => "the log",
            Self::Observer => "an observer",
            Self::Producer => "whoever made this evidence",
            Self::Unknown => "whoever made it or passed it on",
        }
    }
}

macro_rules! codes {
    ($($group:ident $name:literal $about:literal {
        $($variant:ident $text:literal $class:ident $party:ident ($status:expr) $sentence:literal $example:literal;)*
    })*) => {
        /// What a code is about: the sections of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Group {
            $(#[doc = $about] $group,)*
        }

        impl Group {
            /// Every group, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$group),*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$group => $name),* }
            }

            /// What its codes have in common, in words for people.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$group => $about),* }
            }

            /// Its codes, in the order of the table.
            pub const fn codes(self) -> &'static [Code] {
                match self { $(Self::$group => &[$(Code::$variant),*]),* }
            }
        }

        /// What is wrong. The text of each is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $sentence] $variant,)*)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$($(Self::$variant),*),*];

            /// The stable text.
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$variant => $text),*),* }
            }

            /// What it is about.
            pub const fn group(self) -> Group {
                match self { $($(Self::$variant => Group::$group),*),* }
            }

            /// Whether the record cannot be relied on, or shows somebody out of bounds.
            pub const fn class(self) -> Class {
                match self { $($(Self::$variant => Class::$class),*),* }
            }

            /// At whose fault it is, unless the record at hand says otherwise.
            pub const fn party(self) -> Party {
                match self { $($(Self::$variant => Party::$party),*),* }
            }

            /// The HTTP status that carries it; `None` for what only a verifier finds.
            pub const fn http_status(self) -> Option<u16> {
                match self { $($(Self::$variant => $status),*),* }
            }

            /// One sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self { $($(Self::$variant => $sentence),*),* }
            }

            /// A case of it, for people.
            pub const fn example(self) -> &'static str {
                match self { $($(Self::$variant => $example),*),* }
            }
        }
    };
}

codes! {
    Form "form" "What cannot be read, or could be read in two ways." {
        Malformed "malformed" Problem Log (Some(400)) "A member is missing, of the wrong type, or does not parse."
            "`expires_ms` is the text `\"tomorrow\"`.";
        TooLarge "too-large" Problem Log (Some(413)) "It is larger than the limit."
            "A payload of 32,769 bytes, where 32,768 is the most.";
        UnknownKind "unknown-kind" Problem Log (Some(400)) "The payload type names no kind of record."
            "The payload type ends in `heartbeet.v1+json`.";
        UnknownMember "unknown-member" Problem Log (Some(400)) "An object has a member that its kind does not have."
            "A lease says `alow` beside `allow`.";
        NotStrictJson "not-strict-json" Problem Log (Some(400)) "The bytes are not JSON of the strict subset."
            "The member `agent` stands twice in one object.";
        LeafNotCanonical "leaf-not-canonical" Problem Log (Some(400)) "A leaf is not spelled the one way a leaf is spelled."
            "The leaf has a space after a colon, or its signatures out of order.";
        ReferenceUnknown "reference-unknown" Problem Agent (Some(400)) "A record refers to one that is not in the log before it."
            "An intent names a parent that no record of the log has.";
    }
    Signature "signature" "Who signed, for which log, and when." {
        OriginMismatch "origin-mismatch" Problem Log (Some(403)) "The record was made for another log."
            "A heartbeat signed for the staging log is sent to the production log.";
        KeyUnknown "key-unknown" Problem Log (Some(403)) "A signature is by a key that nobody here has."
            "An order is signed by a key that no charter and no manifest names.";
        KeyRepeated "key-repeated" Problem Log (Some(403)) "Two signatures are by the same key."
            "One operator signs twice, to reach a threshold of two.";
        SignatureInvalid "signature-invalid" Problem Log (Some(403)) "A signature does not verify."
            "One byte of the payload was changed after it had been signed.";
        RoleMissing "role-missing" Problem Log (Some(403)) "A signing key does not have the role that this kind needs."
            "A lease is signed by an observer's key.";
        ThresholdNotMet "threshold-not-met" Problem Operator (Some(403)) "Too few of the keys that count have signed."
            "One operator signs a lease, and the charter asks for two.";
        Stale "stale" Problem Operator (Some(403)) "The time of the record is too far from that of its receipt."
            "A heartbeat arrives six minutes after the time in it.";
    }
    Charter "charter" "The constitution of the log." {
        CharterMissing "charter-missing" Problem Operator (Some(422)) "The log does not begin with a charter."
            "The first leaf of the log is a lease.";
        CharterVersion "charter-version" Problem Operator (Some(422)) "A charter does not follow the one before it."
            "Version 4 names version 2 as the charter before it.";
        CharterInvalid "charter-invalid" Problem Operator (Some(422)) "A charter contradicts itself."
            "A key has both the roles `control` and `operator`.";
        CharterNotAuthorized "charter-not-authorized" Problem Operator (Some(422)) "A charter is not signed by the roots that it needs."
            "An amendment is signed by the new roots alone, without the old.";
    }
    Identity "identity" "Who an agent is, and which version of it." {
        AgentUnknown "agent-unknown" Breach Agent (Some(403)) "No manifest has registered this agent."
            "A lease for `reporter`, for which no manifest was registered.";
        ManifestHashMismatch "manifest-hash-mismatch" Breach Operator (Some(403)) "The manifest hash is not the hash of the manifest."
            "The manifest was edited, and its hash was not computed again.";
        ManifestNotActive "manifest-not-active" Breach Operator (Some(403)) "The manifest named is not the agent's active one."
            "A lease for version 1.3, one day after 1.4 was registered.";
        ManifestDrift "manifest-drift" Breach Agent (Some(403)) "The agent runs another version than its lease names."
            "A heartbeat with the hash of 1.4 under a lease for 1.3.";
        CapabilityMissing "capability-missing" Breach Agent (Some(403)) "No capability of the manifest covers the scope."
            "The intent `write:billing/x` of an agent whose manifest has only `read:**`.";
        KeyNotAgents "key-not-agents" Breach Agent (Some(403)) "The signing key is not the agent's."
            "A receipt in the name of `reporter`, signed with the key of `writer`.";
    }
    Lease "lease" "Authority, and for how long." {
        LeaseUnknown "lease-unknown" Breach Agent (Some(403)) "There is no such lease."
            "A renewal of a lease that the log does not have.";
        LeaseNotYetValid "lease-not-yet-valid" Breach Agent (Some(403)) "The lease has not begun."
            "A goal at 08:59 under a lease from 09:00.";
        LeaseExpired "lease-expired" Breach Agent (Some(403)) "The lease has expired."
            "An intent at 17:00:00.000 under a lease until 17:00:00.000.";
        LeaseRevoked "lease-revoked" Breach Agent (Some(403)) "The lease was revoked."
            "An intent one second after the operators took the lease back.";
        LeaseSuperseded "lease-superseded" Breach Agent (Some(403)) "A later lease took this one's place."
            "A renewal of the lease that the agent had before its present one.";
        LeaseWidened "lease-widened" Breach Operator (Some(403)) "The lease allows more than its parent or its manifest."
            "A sub-lease allows `read:**`, and its parent `read:docs/**`.";
        RenewalTooLong "renewal-too-long" Breach Operator (Some(403)) "The renewal goes beyond what may be granted, or not forward."
            "A renewal by two years, where the charter allows one.";
        RenewalUnearned "renewal-unearned" Breach Control (Some(403)) "Control renewed a lease that did not qualify for it."
            "Control renews the lease of an agent that beats and makes no progress.";
    }
    Chain "chain" "The order of an agent's own records." {
        EpochFenced "epoch-fenced" Breach Agent (Some(409)) "Another instance or a later epoch has taken over."
            "A process that was taken for dead sends on, after its successor was let in.";
        EpochSuperseded "epoch-superseded" Breach Agent (Some(409)) "A later lease has opened the next epoch."
            "A heartbeat in epoch 3, after a lease has opened epoch 4.";
        EpochFuture "epoch-future" Breach Agent (Some(409)) "Nothing has opened this epoch."
            "A receipt in epoch 7 of an agent that is in epoch 5.";
        SequenceGap "sequence-gap" Problem Agent (Some(409)) "The sequence number skips some."
            "`seq` 12 follows 10.";
        SequenceRepeated "sequence-repeated" Problem Agent (Some(409)) "The sequence number was used before."
            "Two different records with `seq` 10 in one epoch.";
        PreviousMismatch "previous-mismatch" Problem Agent (Some(409)) "prev is not the record before this one."
            "`prev` names the record before the last.";
        BeforeMismatch "before-mismatch" Problem Agent (Some(409)) "before is not the agent's last record of an earlier epoch."
            "The first beat of an epoch leaves out the agent's last record.";
        ClockRegressed "clock-regressed" Breach Agent (Some(409)) "The agent's clock went back within its chain."
            "A receipt is dated one minute before the record in front of it.";
        ClockAhead "clock-ahead" Breach Agent (Some(409)) "The record is dated in the future."
            "A heartbeat is dated three minutes after its receipt.";
        RestsOnProblem "rests-on-problem" Problem Agent (Some(409)) "The record rests on one that has a problem."
            "A sound receipt whose `prev` is a record with a gap in front of it.";
    }
    Action "action" "What an agent does." {
        ScopeDenied "scope-denied" Breach Agent (Some(403)) "The lease, or one above it, does not allow the scope."
            "The intent `write:repo/secrets/key`, with `write:repo/secrets/**` in `deny`.";
        BudgetExceeded "budget-exceeded" Breach Agent (Some(403)) "The budget of the lease, or of one above it, is used up."
            "The fourth intent under a lease of three actions.";
        StateForbids "state-forbids" Breach Agent (Some(403)) "The agent's state does not allow this."
            "An intent to write by an agent that is degraded.";
        GoalUnknown "goal-unknown" Breach Agent (Some(403)) "There is no such open goal."
            "An intent for a goal whose outcome was already told.";
        IntentUnknown "intent-unknown" Breach Agent (Some(403)) "There is no such open intent."
            "A second result of one intent.";
        TooManyOpen "too-many-open" Breach Agent (Some(403)) "Too many goals or intents are open."
            "The 65th goal while 64 are open.";
        ProgressRegressed "progress-regressed" Breach Agent (Some(403)) "The progress counter went back within its epoch."
            "`progress` 7 after 8, in one epoch.";
        OutcomeUnbacked "outcome-unbacked" Breach Agent (Some(403)) "An outcome is accepted without a check."
            "The verdict `accepted` with an empty list of checks.";
        ActionUnfinished "action-unfinished" Breach Agent (Some(403)) "An intent has no result in its time."
            "Fifteen minutes after an intent that may take fifteen, there is no result.";
    }
    Control "control" "What the control plane did, or left undone, as a replay of the log shows." {
        DutyMissed "duty-missed" Breach Control (None) "A transition or pulse that was due was not logged in time."
            "An agent is silent for 32 minutes, and nothing says that it is degraded.";
        ControlGap "control-gap" Breach Control (None) "Nothing at all was logged for a while."
            "No leaf at all between 02:10 and 03:15.";
        TransitionIllegal "transition-illegal" Breach Control (None) "A transition does not start from the agent's state."
            "A transition from `degraded`, of an agent that is running.";
        TransitionUnfounded "transition-unfounded" Breach Control (None) "A transition has no cause, or another was due first."
            "`pulse-lost` of an agent that has beaten a minute ago.";
        TransitionNumber "transition-number" Breach Control (None) "A transition has the wrong number or epoch."
            "The agent's fifth transition says that it is the sixth.";
        RefusalUnfounded "refusal-unfounded" Breach Control (None) "A refused record was not to be refused."
            "`scope-denied` for an intent that the lease allows.";
        PulseUnfounded "pulse-unfounded" Breach Control (None) "A pulse says what is not so."
            "A pulse counts 12 agents, and 3 were ever registered.";
        AfterMismatch "after-mismatch" Breach Control (Some(409)) "The record rests on what is no longer so; it does nothing."
            "A lease that was lost on the way arrives after the agent was stopped.";
    }
    Log "log" "What the log shows of itself: its tree, its checkpoints, its clock." {
        Inconsistent "inconsistent" Problem Log (None) "Two checkpoints are not of one history."
            "The tree of size 90 is not the beginning of the tree of size 100.";
        TimeRegressed "time-regressed" Problem Log (None) "A leaf was received before the one in front of it."
            "Leaf 41 was received one second before leaf 40.";
        ClockImplausible "clock-implausible" Problem Log (None) "The log's time contradicts its witnesses."
            "A leaf says 12:00, and witnesses had cosigned it at 11:00.";
        RecordRepeated "record-repeated" Problem Log (None) "A record is in the log twice."
            "An order to stop that was carried out yesterday is logged again today.";
        SplitView "split-view" Problem Log (None) "An agent was shown another log than this one."
            "A heartbeat carries the log's signature on another root at size 90.";
        CheckpointNotInCharter "checkpoint-not-in-charter" Problem Log (None) "The checkpoint is signed by a key that the charter does not name."
            "The log signs on with a key that an amendment has taken away.";
    }
    Passing "passing on" "What may have happened on the way: nothing that the log has signed covers it." {
        RootMismatch "root-mismatch" Problem Unknown (None) "The hashes do not lead to the root of the checkpoint."
            "One hash of an inclusion proof was changed.";
        ProofMalformed "proof-malformed" Problem Unknown (None) "The proof does not have the form of one."
            "A hash of 31 bytes in a proof file.";
        ProofSurplus "proof-surplus" Problem Unknown (None) "The proof has hashes that it does not need."
            "A proof with one hash more than the path from leaf to root has.";
        IndexOutOfRange "index-out-of-range" Problem Unknown (None) "The index is not in a tree of this size."
            "A proof for index 100 in a tree of size 100.";
        CheckpointMalformed "checkpoint-malformed" Problem Unknown (None) "The checkpoint does not have the form of one."
            "The size of a checkpoint is `007`.";
        CheckpointSignatureInvalid "checkpoint-signature-invalid" Problem Unknown (None) "The log's signature on the checkpoint is missing or does not verify."
            "A checkpoint whose root was changed after it had been signed.";
        OriginUnknown "origin-unknown" Problem Unknown (None) "The checkpoint is of a log that the policy does not name."
            "A checkpoint of `example.org/log`, and the policy names `example.com/log`.";
        QuorumNotMet "quorum-not-met" Problem Unknown (None) "Too few witnesses have cosigned the checkpoint."
            "Two witnesses have cosigned, and the policy asks for three.";
        TrustMismatch "trust-mismatch" Problem Unknown (None) "The charter is not the one that the trust pins."
            "The charter at index 0 has another hash than the one in the trust.";
        PackMalformed "pack-malformed" Problem Unknown (None) "The evidence cannot be read."
            "A line of the pack is not the one spelling of what it says.";
    }
    Pack "pack" "What is wrong with a file of evidence, whatever the log says." {
        PackCount "pack-count" Problem Producer (None) "The pack does not hold as many leaves as it says."
            "The pack says 20 leaves and holds 19.";
        PackOrder "pack-order" Problem Producer (None) "The lines of the pack are out of order."
            "Index 8 stands before index 7.";
        PackSelection "pack-selection" Problem Producer (None) "A leaf is not of the selection that the pack claims."
            "A leaf of `writer`, in a pack of the agent `reporter`.";
        PackIncomplete "pack-incomplete" Problem Producer (None) "The pack lacks records that it rests on."
            "A receipt is there, and the lease that it was made under is not.";
        DisclosureMismatch "disclosure-mismatch" Problem Producer (None) "A disclosure does not open its commitment."
            "The value that is told does not have the digest that was logged.";
    }
    Service "service" "What the service answers beside all this. Nothing of it is ever in evidence." {
        NotFound "not-found" Problem Producer (Some(404)) "There is nothing here."
            "`GET /v1/entries/900` in a log of 800.";
        MethodNotAllowed "method-not-allowed" Problem Producer (Some(405)) "This method is not for this path."
            "`DELETE /v1/entries`.";
        NotAcceptable "not-acceptable" Problem Producer (Some(406)) "No form of this is one that you accept."
            "`Accept: image/png` for an entry.";
        UnsupportedMediaType "unsupported-media-type" Problem Producer (Some(415)) "The body is not of a type that this path takes."
            "An envelope sent as `text/plain`.";
        HostUnknown "host-unknown" Problem Producer (Some(421)) "The service does not have this name."
            "A page of `evil.example` has its name point at the service, and its reader's browser asks for it.";
        RateLimited "rate-limited" Problem Producer (Some(429)) "Too much in too short a time; try again later."
            "An agent sends its 1,001st record within a second.";
        Overloaded "overloaded" Problem Control (Some(503)) "The service cannot take this now; try again later."
            "More records wait than the queue holds, or the service's clock is not believed.";
        Stopping "stopping" Problem Control (Some(503)) "The service is stopping; try again later."
            "A record arrives after the service was told to stop.";
        DiskFull "disk-full" Problem Control (Some(507)) "The disk is nearly full; no record of this kind is logged."
            "Less free space is left than the service keeps in reserve for records of that kind.";
        Internal "internal" Problem Control (Some(500)) "Something failed inside the service."
            "The store could not be read. The reason stands in the service's own log.";
    }
}

impl Code {
    /// Whether a record that this is wrong with does nothing of what it says: it has a problem, it
    /// is nobody's whose record it claims to be, or it was overtaken. Other breaches are breaches because they did it.
    pub fn voids(self) -> bool {
        self.class() == Class::Problem || matches!(self, Self::KeyNotAgents | Self::AfterMismatch)
    }

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
            .ok_or_else(|| Self::Malformed.because(format!("no code {}", quoted(text))))
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
            assert!(code.example().ends_with('.'));
        }
        assert!("no-such-code".parse::<Code>().is_err());
    }
}
