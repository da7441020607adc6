//! The governance rules, version 1: a fold over the log.
//!
//! [`State::apply`] takes one record after another; [`State::admit`] judges a record before it
//! is logged; [`State::next_duty`] names the transition that is due. The service and the
//! verifier call the same functions, the one with its clock, the other with each leaf's
//! `received_ms`. There is no other source of truth.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `state.rs` | the state, and how a record changes it |
//! | `agent.rs` | one agent: chain, liveness, open work |
//! | `lease.rs` | one lease: validity, ancestors, budget |
//! | `admit.rs` | the order of checks |
//! | `authority.rs` | what operators and control may sign |
//! | `action.rs` | what an agent may log |
//! | `duties.rs` | the clocks and the causes of transitions |
//!
//! In scope today: charter 1, manifests, leases and sub-leases, renewals, revocations, chains
//! with epochs and instances, budgets, all causes of transitions, orders, refusals, pulses.
//! Not yet: amendments of the charter (refused), and the findings of a replay.

mod action;
mod admit;
mod agent;
mod authority;
mod duties;
mod lease;
mod state;

pub use admit::Admission;
pub use agent::{Agent, MAX_OPEN, OpenIntent};
pub use lease::{Ended, LeaseState, MAX_DEPTH, Spent};
pub use state::State;
