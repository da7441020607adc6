//! The service, a control plane whose only state is a transparency log.
//!
//! The log is the state: every decision is a pure function of the records before it ([`ledger::govern`]), so this
//! crate has only what cannot be pure: who writes next ([`log`]), how it is asked ([`http`]), what it sends unasked
//! ([`webhooks`]), and how a process starts and stops ([`mod@serve`]). The crate `store` says where bytes are kept; the
//! program that is built from this crate chooses the engine that keeps them.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these macros panic when nobody reads, and wait for whoever does not"
)]

pub mod anchor;
pub mod backup;
pub mod bounds;
pub mod config;
pub mod files;
pub mod fsck;
pub mod history;
pub mod http;
pub mod inbox;
pub mod init;
pub mod keys;
pub mod log;
pub mod messages;
pub mod metrics;
pub mod rates;
pub mod serve;
pub mod signals;
pub mod trust;
pub mod webhooks;
