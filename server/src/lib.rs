//! The service, a control plane whose only state is a transparency log.
//!
//! The log is the state: every decision is a pure function of the records before it ([`ledger::govern`]), so this
//! crate has only what must not be pure: who writes next ([`log`]), how it is asked ([`http`]), who is told by itself
//! ([`webhooks`]), and how a process is started and stopped ([`mod@serve`]). Where bytes are kept is the crate `store`;
//! which engine keeps them, the program says that is built of this.

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
