//! The governance rules, version 1: a fold over the log.
//!
//! [`State::apply`] takes one record after another; [`State::admit`] judges a record before it
//! is logged; [`State::next_duty`] names the transition that is due. The service and the
//! verifier call the same functions, the one with its clock, the other with each leaf's
//! `received_ms`. There is no other source of truth.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `state.rs` | the state, and how it goes on |
//! | `apply.rs` | what each kind of record does to it |
//! | `agent.rs` | one agent: chain, liveness, open work |
//! | `lease.rs` | one lease: validity, ancestors, budget |
//! | `over.rs` | leases that ended |
//! | `recent.rs` | what counts for a day |
//! | `heads.rs` | whose signature makes a head the log's |
//! | `admit.rs` | the order of checks |
//! | `charter.rs` | the charter and its amendments |
//! | `authority.rs` | what operators and control may sign |
//! | `action.rs` | what an agent may log |
//! | `remarks.rs` | breaches that are rightly logged |
//! | `duties.rs` | the clocks and the causes of transitions |
//! | `owed.rs` | what was due and is not logged |
//! | `entries.rs`, `restore.rs` | the state as canonical entries, and back |
//! | `tree.rs` | the root over the entries, and what is proven against it |
//!
//! What a whole log shows of everybody, the control plane among them, is found by the verifier,
//! which replays these functions: `verify/replay`.

mod action;
mod admit;
mod agent;
mod apply;
mod authority;
mod charter;
mod duties;
mod entries;
mod heads;
mod lease;
mod over;
mod owed;
mod recent;
mod remarks;
mod restore;
mod state;
mod tree;

pub use action::{MAX_AGE_MS, MAX_AHEAD_MS};
pub use admit::Admission;
pub use agent::{Agent, MAX_OPEN, OpenIntent};
pub use lease::{Ended, LeaseState, MAX_DEPTH, Over, Spent};
pub(crate) use owed::{Duty, Missed};
pub use remarks::Remark;
pub use restore::Restoring;
pub use state::State;
pub use tree::{Branches, PlacedEntry, StateTree};
