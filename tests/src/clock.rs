//! Clocks of a process that a test sets, by a small library that is loaded before the C library.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("clock.c");

/// The clocks of one process, in the hand of a test.
#[derive(Debug)]
pub struct SetClock {
    library: PathBuf,
    offsets: PathBuf,
}

impl SetClock {
    /// Clocks that go right until they are set, with their files in a folder.
    ///
    /// # Panics
    /// If there is no C compiler.
    pub fn new(folder: &Path) -> Self {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        std::fs::write(&source, SOURCE).expect("a file");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
        let compiled = compiler.arg(&library).arg(&source).status();
        assert!(compiled.expect("a C compiler").success());
        let clock = Self {
            library,
            offsets: folder.join("offsets"),
        };
        clock.set(0, 0);
        clock
    }

    /// Sets both clocks off by so many milliseconds. The monotonic one is to be set forward only.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn set(&self, wall_ms: i64, monotonic_ms: i64) {
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).truncate(false).write(true);
        let file = file.open(&self.offsets).expect("a file");
        let bytes = [wall_ms.to_ne_bytes(), monotonic_ms.to_ne_bytes()].concat();
        file.write_all_at(&bytes, 0).expect("a write");
    }

    /// Gives a process these clocks.
    pub fn wind(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("CLOCK_OFFSETS", &self.offsets);
    }
}
