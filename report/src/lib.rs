//! What a month beside a watchdog shows: a pack of the log, and what other tools said of the same agents in that time.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`replay`] | hears a pack once more, beside what its verifier found |
//! | [`found`] | the incidents that the replay finds, each from its first sign to its end |
//! | [`class`] | to which of the nine classes a code belongs |
//! | [`watch`] | alerts about one agent each, and what their sources have lost |
//! | [`inputs`] | the map and the files with alerts, as they were given |
//! | [`compare`] | which alerts are about which incidents, and what is left on either side |
//! | [`document`] | `report.json` |
//! | [`files`] | all files of a report directory |
//! | [`statement`] | the in-toto statement over pack and checkpoint |
//!
//! The same pack and the same inputs give the same bytes, so whoever has them can compute the report again and compare.
//! In scope: values. Out of scope: files, the network, the time of day; whoever calls this brings the bytes and the times.

mod acts;
mod alerts;
pub mod class;
pub mod compare;
pub mod document;
pub mod files;
pub mod found;
pub mod inputs;
mod ocsf;
mod page;
mod picture;
mod register;
pub mod replay;
mod skew;
pub mod statement;
pub mod watch;
