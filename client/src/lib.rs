//! The agent's and the operator's side of Dragons: keys, manifests, signed records, and calls to the service.
//!
//! A client never takes the service's word. What it sends it has signed; that it was logged it believes when the
//! proof that comes back verifies, over the leaf that holds the record it signed, under a checkpoint signed by the
//! log that its [`trust`](identity) names. Where nobody gave it a trust file it says so, and goes by what the
//! service says about itself.
//!
//! Nothing here reads the environment or asks the clock, but to tell how long ago a file was written, and nothing but what passes a program's own output on
//! prints: whoever calls passes the time, and what to do with words for people.

pub mod agent;
pub mod amendment;
pub mod asking;
pub mod attend;
pub mod charters;
pub mod clock;
pub mod disclosure;
pub mod entry;
pub mod export;
pub mod http;
pub mod identity;
pub mod journal;
pub mod known;
pub mod log_time;
pub mod manifest;
pub mod memory;
pub mod operator;
pub mod permit;
pub mod program;
pub mod run;
pub mod shown;
pub mod socket;
pub mod speaker;
pub mod submission;
pub mod transport;
