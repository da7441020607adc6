//! The governance rules, on histories in virtual time.

mod action;
mod authority;
mod chain;
mod charter;
mod form;
mod liveness;
mod random;
mod world;
