//! One bad record makes nobody look guilty who is not.
//!
//! Each story is a healthy log in which one thing goes wrong, after which everybody goes on as if nothing were. What the
//! verifier finds is compared whole: the thing itself, by whoever did it, and what rests on it, by nobody else.

mod agents;
mod authority;
mod claims;
mod control;
mod records;
mod story;
mod times;
