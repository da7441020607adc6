//! The governance rules, on histories in virtual time.

mod action;
mod authority;
mod boundaries;
mod budgets;
mod chain;
mod charter;
mod control;
mod form;
mod keys;
mod known;
mod leases;
mod liveness;
mod order;
mod quarantine;
mod random;
mod world;
