//! What a process has used of memory and of the cores, by `/proc` (proc(5)).

use std::path::{Path, PathBuf};
use std::time::Duration;

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

    /// How long cores have worked for it, in all its threads, to a hundredth of a second.
    ///
    /// # Panics
    /// If it is not running.
    pub fn worked(self) -> Duration {
        of_stat(&self.file("stat"), [11, 12])
    }

    /// How long cores have worked for the processes that this one has started, and which have ended.
    pub fn children_worked() -> Duration {
        of_stat(Path::new("/proc/self/stat"), [13, 14])
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

/// The sum of two fields of `stat`, counted behind the name, which are in ticks: a hundred a second on every Linux.
fn of_stat(file: &Path, fields: [usize; 2]) -> Duration {
    let stat = crate::read(file);
    let (_, behind_the_name) = stat.rsplit_once(") ").expect("a name in brackets");
    let numbers: Vec<&str> = behind_the_name.split_whitespace().collect();
    let ticks = |field: usize| -> u64 { numbers[field].parse().expect("a number") };
    Duration::from_millis(fields.map(ticks).into_iter().sum::<u64>() * 10)
}
