//! The governance rules, on histories in virtual time.

mod action;
mod authority;
mod boundaries;
mod chain;
mod charter;
mod form;
mod leases;
mod liveness;
mod order;
mod random;
mod world;
