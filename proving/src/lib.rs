//! The proving ground: logs in virtual time, with the real rules and real signatures.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`keys`] | keys that follow from their names |
//! | [`record`] | a record of every kind, ready to be varied |
//! | [`log`] | a log in memory that admits, appends, signs checkpoints and writes packs |
//! | [`speaker`] | one process of an agent and the chain that it writes |
//!
//! Nothing here reads a clock or draws from anything but a seed: the same arguments give the same bytes. Whatever
//! cannot happen in a log of one's own making panics, for a fixture that goes on regardless proves nothing.

pub mod keys;
pub mod log;
pub mod record;
pub mod speaker;

pub use keys::Keys;
pub use log::Log;
pub use speaker::{Identity, Speaker};
