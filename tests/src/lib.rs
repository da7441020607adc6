//! What the black-box tests share: real processes on temporary directories, and records signed
//! as an operator or an agent would sign them.
//!
//! Everything here panics when something is off: it is test code, and a panic is a failed test.

mod attended;
mod causes;
mod clock;
mod events;
pub mod lies;
mod line;
mod loopback;
mod memory;
mod program;
mod pulses;
pub mod samples;
mod screen;
mod service;
mod shell;
mod signer;
mod small_disk;
mod strace;
mod tools;
mod world;

pub use attended::{Attended, Talk, hook, recorded};
pub use clock::SetClock;
pub use events::{Event, Events};
pub use line::{HeldLine, Meddling};
pub use loopback::own_address;
pub use memory::Process;
pub use program::{Program, dragons, dragonsd};
pub use pulses::pack_of_pulses;
pub use screen::Screen;
pub use service::{Answer, Service};
pub use shell::Shell;
pub use signer::{HOUR_MS, Signer, next, now_ms, sign};
pub use small_disk::SmallDisk;
pub use strace::{Injection, Trace};
pub use tools::{
    ToolClient, direct, grant_tools, proxied, proxy, runtime, scopes, tool_server, tools_world,
};
pub use world::{Run, World, stderr};

use std::io::Write as _;
use std::path::Path;

/// The name of every test's log.
pub const ORIGIN: &str = "example.com/test-log";

/// Reads a whole file as text.
///
/// # Panics
/// If it cannot be read.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Says that something was not tested here, and why: past what keeps a test's words back until it fails.
pub fn skipped(why: &str) {
    // Nobody is left to be told who does not hear that.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
