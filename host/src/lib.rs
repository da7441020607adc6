//! What the programs of Dragons share on the machine that they run on: key files, durable writes, bounded reads,
//! private folders, clocks.
//!
//! Each of these is written once, here, so that each has one strength: a file that was written is on the disk, under
//! its name, whole; a private one is its owner's alone, whatever the umask; a read has a limit. Nothing here speaks
//! to a network.

pub mod bounded;
pub mod clock;
pub mod durable;
pub mod key_file;
pub mod output;
pub mod private;
