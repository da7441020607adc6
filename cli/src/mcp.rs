//! The proxy of the Model Context Protocol, joined to the process that speaks for the agent, and to the server.

mod listing;
mod reports;
mod seat;
mod server;
mod spokesman;

pub(crate) use listing::{Listed, list};
pub(crate) use seat::{Own, Seat};
pub(crate) use server::Server;
pub(crate) use spokesman::Spokesman;
