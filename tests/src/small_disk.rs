//! A really small file system, in a mount namespace that nobody else is in.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Mounts it, says so, and holds it until stdin ends.
const HOLD: &str = "mount -t tmpfs -o \"size=$2\" tmpfs \"$1\" && echo mounted && read -r _";

/// A file system of a few MiB, as long as this lives.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    _until: ChildStdin,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one over a folder, for those who are [`within`](Self::within).
    ///
    /// # Errors
    /// Why this machine does not permit it.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn over(folder: &Path, bytes: u64) -> Result<Self, String> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            HOLD,
            "sh",
        ]);
        unshare.arg(folder).arg(bytes.to_string());
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = unshare
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let (until, stdout) = (holder.stdin.take(), holder.stdout.take());
        let mut line = String::new();
        let _ = BufReader::new(stdout.expect("a pipe")).read_line(&mut line);
        if line != "mounted\n" {
            let mut why = String::new();
            let stderr = holder.stderr.as_mut().expect("a pipe");
            let _ = stderr.read_to_string(&mut why);
            let _ = holder.wait();
            return Err(why);
        }
        Ok(Self {
            holder,
            _until: until.expect("a pipe"),
            folder: folder.to_owned(),
        })
    }

    /// The same command, run where the file system is.
    pub fn within(&self, command: &Command) -> Command {
        let mut enter = Command::new("nsenter");
        enter.args(["--user", "--mount", "--preserve-credentials", "--target"]);
        enter.arg(self.holder.id().to_string());
        enter.arg("--").arg(command.get_program());
        enter.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => enter.env(name, value),
                None => enter.env_remove(name),
            };
        }
        enter
    }

    /// Runs a command of the shell there, in the folder.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, script: &str) -> String {
        self.try_run(script)
            .unwrap_or_else(|why| panic!("{script}: {why}"))
    }

    fn try_run(&self, script: &str) -> Result<String, String> {
        let mut shell = Command::new("sh");
        shell.arg("-euc").arg(format!("cd \"$0\"; {script}"));
        let output = self.within(shell.arg(&self.folder)).output();
        let output = output.expect("a shell");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(text(output.stderr)),
        }
    }

    /// Leaves so many bytes free, by a file that takes all else. A program that reserves room ahead may take it meanwhile
    /// and give it back, so this is tried again.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn leave(&self, bytes: u64) {
        while !self.has_left(bytes) {}
    }

    fn has_left(&self, bytes: u64) -> bool {
        self.run("rm -f ballast");
        let free = self.run("stat -f -c '%a %S' .");
        let mut numbers = free
            .split_whitespace()
            .map(|text| text.parse::<u64>().expect("a number"));
        let (blocks, size) = (
            numbers.next().expect("blocks"),
            numbers.next().expect("a size"),
        );
        let taken = (blocks * size).checked_sub(bytes).expect("that many");
        self.try_run(&format!("head -c {taken} /dev/zero > ballast"))
            .is_ok()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The end of its stdin would do; this does it now. The mount goes with the last process in the namespace.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
