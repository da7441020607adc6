//! Starting a program just as its caller would have started it, had this process not come between them.
//!
//! Five things need `unsafe`, and no safe library offers them:
//!
//! - what this process was started with, before the runtime of Rust has changed it ([`Inherited`]);
//! - a child that begins in a control group, and what it does between its fork and its exec: its signals, its group, its
//!   terminal, its end with its parent ([`Start`]);
//! - signals as a file that tells who has sent them ([`Held`]), and sending those that have no names ([`send_signal`]);
//! - a process that stands by in the same group, and tells which signals went to all of it ([`Bystander`]);
//! - whether two descriptors are one open file ([`is_one_file`]).
//!
//! Nothing else is here, so that an audit of `unsafe` code has to read only these few pages.

mod bystander;
mod file;
mod fork;
mod inherited;
mod namespace;
mod session;
mod signal;
mod start;

pub use bystander::Bystander;
pub use file::is_one_file;
pub use inherited::Inherited;
pub use signal::{Held, Sent, keep_children, send_signal};
pub use start::{Place, Start, Started};
