//! A receiver beside an existing stack. What agents do is seen by other tools first: this takes what those tools send,
//! keeps what is about agents, and puts it into the log as observations, signed by the observer's key.
//!
//! ```text
//! OTLP ──▶ otlp ──▶ intake, by profile ─┐
//!                                        ├─▶ desk, by rules ─▶ spool (synced, then answered) ─▶ post ─▶ the log
//! webhooks ──▶ watchdogs::import ────────┘
//! ```
//!
//! It is a process of its own, so that a flood of spans slows no permit. What it answered is on the disk first. What it
//! has no room for is refused, or where another tool answers, counted and logged as a `source-gap`.

pub mod check;
mod desk;
mod gap;
pub mod intake;
pub mod otlp;
mod post;
mod profile;
mod receive;
pub mod serve;
mod spool;
