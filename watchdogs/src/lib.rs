//! What other tools said of agents: alerts in one normal form, the rules that say whom each is about, and a reader for
//! the files that each tool exports.
//!
//! ```text
//! a file, a webhook's body ──▶ import ──▶ Notice { alert, labels } ──▶ rules ──▶ agent, class
//! ```
//!
//! Nothing here opens a file, asks for the time or speaks to a network: bytes come in, alerts come out. What a tool
//! wrote is hostile until it is read.

pub mod alert;
pub mod class;
pub mod config;
pub mod import;
pub mod rules;
pub mod time;
