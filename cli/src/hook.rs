//! Hooks of coding agents: what a host tells before and after each action becomes an intent and a result.
//!
//! ```text
//!   host ── event as JSON on stdin ──▶ event ──▶ scope ──▶ telling ── the agent's socket ──▶ whoever speaks for it
//!        ◀── exit 2 and a line on stderr: denied; exit 0 and nothing: go on
//! ```
//!
//! A host goes on when its hook fails, or does not: that is the host's own setting. So what is the hook's own failure
//! (nobody speaks, no answer in time, an event that makes no sense) is exit 0 unless `--enforce` was asked for, and exit 2
//! is for events before a tool alone: after one it would force another turn, and before a prompt it would drop that.

mod event;
mod hosts;
mod patch;
mod path;
mod scope;
pub(crate) mod settings;
mod shell;
mod telling;

pub(crate) use event::{Event, Kind, kind_of};
pub(crate) use hosts::Host;
pub(crate) use telling::{Decision, Telling};
