//! How much memory a process has used at most, by `/proc` (proc(5)).

use std::path::PathBuf;

/// A running process.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// The most that it has had in memory since its start or since [`Process::forget_peak`].
    ///
    /// # Panics
    /// If it is not running.
    pub fn peak_bytes(self) -> u64 {
        self.bytes("VmHWM:")
    }

    /// What it has in memory now.
    ///
    /// # Panics
    /// If it is not running.
    pub fn resident_bytes(self) -> u64 {
        self.bytes("VmRSS:")
    }

    /// How many files it has open.
    ///
    /// # Panics
    /// If it is not running.
    pub fn open_files(self) -> usize {
        let files = std::fs::read_dir(self.file("fd")).expect("a process of our own");
        files.count()
    }

    fn bytes(self, name: &str) -> u64 {
        let status = crate::read(&self.file("status"));
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib.and_then(|kib| kib.parse().ok()).expect("a number");
        kib * 1024
    }

    /// What it holds now that is no file: `RssAnon`.
    ///
    /// # Panics
    /// If it is not running.
    pub fn anonymous_bytes(self) -> u64 {
        self.bytes("RssAnon:")
    }

    /// Makes what it has in memory now its peak.
    ///
    /// # Panics
    /// If it is not running.
    pub fn forget_peak(self) {
        std::fs::write(self.file("clear_refs"), "5").expect("a process of our own");
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }
}
