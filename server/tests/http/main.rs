//! The whole HTTP side over a log in memory, without sockets: every route, every refusal.

mod batch;
mod bounds;
mod conversation;
mod events;
mod hostile;
mod packs;
mod pages;
mod refused;
mod requests;
mod routes;
mod world;
