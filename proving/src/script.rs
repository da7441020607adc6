//! The script of a run: who does what when, written before the log exists.

use ledger::codes::Code;
use ledger::record::{AgentState, Charter, Limits, Liveness, Rule};

use crate::keys::Keys;
use crate::record;

/// A minute, in milliseconds.
pub const MINUTE_MS: u64 = 60_000;
/// An hour, in milliseconds.
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
/// A day, in milliseconds.
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// When every run begins: midnight, so that nights are nights.
pub const START_MS: u64 = 1_763_942_400_000;

/// The clocks of the fleet. Beats and pulses each five minutes, so that a run of days is quick; all else as the
/// defaults are, and a longer attempt at healing to match.
pub const CLOCKS: Liveness = Liveness {
    heartbeat_ms: 5 * MINUTE_MS,
    pulse_ms: 5 * MINUTE_MS,
    degraded_after_ms: 30 * MINUTE_MS,
    autoheal_after_ms: 60 * MINUTE_MS,
    heal_attempts: 3,
    heal_timeout_ms: 20 * MINUTE_MS,
    heal_beats: 2,
    tolerance_ms: MINUTE_MS,
};

/// How long a call may take, by every manifest here.
pub const INFLIGHT_MS: u64 = 15 * MINUTE_MS;

/// How far the slow clock is behind: more than witnesses bear with, less than agents would be refused for.
pub const LAG_MS: u64 = 100_000;

/// The charter of the fleet.
pub fn charter(keys: &Keys) -> Charter {
    Charter {
        liveness: CLOCKS,
        ..record::charter(keys)
    }
}

/// How many denials in an epoch quarantine an agent.
pub fn denials_max() -> u64 {
    Limits::default().denials_max
}

/// One line of the script.
#[derive(Clone, Debug)]
pub struct Line {
    /// When, by a clock that is right.
    pub at_ms: u64,
    /// What.
    pub act: Act,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Act {
    /// Something that an agent does, or that is done to it.
    Agent(usize, Deed),
    /// The control plane takes nothing in and logs nothing.
    Down,
    /// The control plane is back.
    Up,
    /// The control plane forgets its pulses, or thinks of them again.
    ForgetPulses(bool),
    /// The log's clock runs late by so much.
    Lag(u64),
    /// An amendment: the operators' key is another from now on.
    Amend,
}

/// What an agent does, or what is done to it.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Operators register it and grant its first lease; a sub-lease, if another agent's is named.
    Enrol {
        /// How long the lease is.
        for_ms: u64,
        /// Whose lease is the parent.
        parent: Option<usize>,
    },
    /// Operators grant the next lease.
    Lease {
        /// How long it is.
        for_ms: u64,
        /// How many tokens it has.
        tokens: Option<u64>,
    },
    /// Operators, or control, renew the lease.
    Renew {
        /// Whether by control.
        by_control: bool,
        /// Until when.
        expires_ms: u64,
    },
    /// Operators revoke the lease.
    Revoke,
    /// An operator orders a state.
    Order(AgentState),
    /// A new process begins the epoch in force.
    Begin,
    /// The process goes on in the epoch that the newest lease has opened.
    Follow,
    /// A new process opens the next epoch.
    Restart,
    /// A heartbeat after so many steps that no receipt tells of; with the newest checkpoint, or without.
    Beat {
        /// How many steps.
        steps: u64,
        /// Whether it tells which checkpoint was seen.
        seen: bool,
    },
    /// The last heartbeat of a process that ends.
    Goodbye,
    /// A goal.
    Goal,
    /// An intent within bounds.
    Intent,
    /// The result of the open intent, with so many tokens used.
    Result {
        /// How many tokens.
        tokens: u64,
    },
    /// The outcome of the open goal.
    Outcome,
    /// A heartbeat with a checkpoint of another history, signed by the log.
    BeatOfFork,
    /// A heartbeat with another manifest's hash.
    BeatOfDrift,
    /// A record out of bounds, which is refused by this code.
    Offer(Trick, Code),
    /// A record out of bounds, which the control plane lets in.
    Admit(Trick),
    /// A heartbeat that never reaches the log.
    Hide,
    /// A heartbeat after one that is not in the log, which is let in.
    AdmitGap,
    /// A heartbeat that rests on such a one.
    AdmitResting,
    /// The control plane forgets this duty towards the agent, or thinks of it again.
    Forget(Option<Rule>),
    /// A transition with something wrong about it.
    Transition(Wrong),
    /// A good intent that is refused as a denial.
    ForgeRefusal,
    /// A lease by the control key.
    ForgeLease,
}

/// A record that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// A goal, at a time when there may be none.
    Goal,
    /// An intent of this scope, the `n`th of them.
    Intent {
        /// The scope.
        scope: &'static str,
        /// Tells it from others of the same time.
        n: u64,
    },
    /// A heartbeat some numbers on.
    SkippedNumber,
    /// A heartbeat with another `prev`.
    OtherPrevious,
    /// A heartbeat so much older than it should be.
    Old(u64),
    /// A result dated before the record in front of it.
    OutOfOrder,
    /// A heartbeat dated so far in the future.
    Ahead(u64),
    /// A heartbeat signed by a key that nobody has.
    ForeignKey,
    /// The last heartbeat that was logged, once more.
    Replay,
    /// The next heartbeat of the process that was fenced.
    Zombie,
    /// A heartbeat of another process in the same epoch.
    SecondInstance,
    /// A restart beside a process that lives.
    EarlyRestart,
}

/// What is wrong about a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing has caused it.
    Cause,
    /// It starts from another state.
    State,
    /// Its number; the rest is due.
    Number,
}
