//! The proving ground: logs in virtual time, with the real rules and real signatures.
//!
//! The first half is a world that signs, for any test that needs a log:
//!
//! | module | what it is |
//! | --- | --- |
//! | [`keys`] | keys that follow from their names |
//! | [`record`] | a record of every kind, ready to be varied |
//! | [`log`] | a log in memory that admits, appends, signs checkpoints and writes packs |
//! | [`speaker`] | one process of an agent and the chain that it writes |
//!
//! The second half is the proof that a replay finds what it should and nothing else. A [`fleet`] is planned with
//! faults, and the [`truth`] of them is written down before there is a log; the [`simulation`] plays the
//! [`script`]; the [`score`] compares what the log and its verifier show with the truth. A [`watchdog`] looks at the same
//! fleet from outside, and the [`difference`] says what a report must make of both.
//!
//! Nothing here reads a clock or draws from anything but a seed: the same arguments give the same bytes. Whatever
//! cannot happen in a log of one's own making panics, for a fixture that goes on regardless proves nothing.

mod diary;
pub mod difference;
mod fault;
pub mod fleet;
pub mod keys;
pub mod log;
mod plane;
pub mod record;
pub mod score;
pub mod script;
pub mod simulation;
pub mod speaker;
pub mod truth;
pub mod watchdog;
mod worker;

pub use keys::Keys;
pub use log::Log;
pub use speaker::{Identity, Speaker};
