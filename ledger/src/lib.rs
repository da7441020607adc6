//! The records of the WorkLedger and the rules that govern agents.
//!
//! The log is the state: who may act, who is alive and what was done are all *records* in one
//! Merkle tree ([`tlog`]). This crate says how records are spelled ([`record`], [`envelope`],
//! [`leaf`]), what they do to the state ([`govern`]), and what can be wrong with them
//! ([`codes`]). The service admits records by it and a verifier replays them by it, so it is
//! pure: no I/O, no clock, no randomness. Time and randomness are arguments.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod codes;
pub mod commitment;
pub mod digest;
pub mod envelope;
pub mod escape;
pub mod fingerprint;
pub mod govern;
pub mod json;
pub mod key;
pub mod leaf;
pub mod pack;
pub mod record;
pub mod request;
pub mod scope;
pub mod state_proof;
mod table;
pub mod text;
pub mod verify;
