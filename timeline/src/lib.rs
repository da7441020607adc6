//! A log in words for people.
//!
//! | module | what it tells |
//! | --- | --- |
//! | [`entry`] | an entry in a line: its kind, what it says in a few words, the state that it brings |
//! | [`leases`] | who gave an agent its authority, for what, and from when to when |
//! | [`life`] | an agent over a span of time: states, leases, heartbeats, actions, refusals |
//! | [`goal`] | a goal from its start through its actions to its outcome |
//! | [`difference`] | what two versions of a charter or a manifest say differently |
//! | [`drawing`] | a life as a picture (SVG) |
//! | [`words`] | times and spans of time in words; hostile characters made visible |
//!
//! [`Life`](life::Life) and [`Goals`](goal::Goals) hear entries one after another, oldest first, in one pass. What was
//! before a span is told to them in the same way: entries received before it set the scene, and of those the last change
//! of state and the last lease with its changes are enough.
//!
//! ```
//! use ledger::text::Name;
//! use timeline::entry::Entry;
//! use timeline::life::Life;
//!
//! /// The life of an agent in a whole hour, as a picture.
//! fn draw(agent: Name, entries: &[Entry], from_ms: u64) -> String {
//!     let mut life = Life::of(agent, from_ms..from_ms + 3_600_000);
//!     entries.iter().for_each(|entry| life.hear(entry));
//!     timeline::drawing::svg(&life.told())
//! }
//! # assert!(draw("a".parse().unwrap(), &[], 0).starts_with("<svg"));
//! ```
//!
//! In scope: what the records themselves say. Out of scope: whether they are true, and whether they were allowed. A
//! verifier says so, and what it found belongs beside what is told here. No I/O and no clock: times are arguments. What
//! is told serialises as JSON with serde; its strings are raw, and whoever shows one to people calls
//! [`words::visible`] and escapes it.

pub mod difference;
pub mod drawing;
pub mod entry;
pub mod goal;
mod json;
pub mod leases;
pub mod life;
pub mod words;
