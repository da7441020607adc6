//! What the service and its clients say to each other in JSON, as types that both are compiled with.
//!
//! The service writes these types and a client reads them, so neither can change alone. With the feature `openapi` each
//! type also has the schema that the description of the interface is made of.
//!
//! A reader skips members that it does not know: a newer service may say more. What it reads are claims: nothing
//! here checks a proof or a signature.

mod agents;
mod entries;
mod heads;
mod health;
mod json;
mod leases;
pub mod media;
mod problem;
#[cfg(feature = "openapi")]
pub mod schema;
mod text;

pub use agents::{Agent, AgentAsOf, Agents, Charter};
pub use entries::{Ask, Entry, EventBody, Logged, Place, Standing, Submitted};
pub use heads::{Consistency, Head};
pub use health::{Alive, Ready};
pub use leases::{Lease, LeaseRequest, LeaseRequests, Spent};
pub use problem::Problem;

/// The most elements in one page of a list.
pub const MAX_PAGE: usize = 1_000;

/// The elements in one page of a list if nobody says how many.
pub const DEFAULT_PAGE: usize = 100;
