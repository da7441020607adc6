//! Evidence without end is refused as soon as it can be, in memory that does not grow with it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tests::dragons;
use tests::lies::{Forger, TRUST};

/// What the command may take of memory, addresses and all, in KiB: much less than the evidence has.
const MEMORY_KIB: &str = "400000";

/// How long the files are, in bytes.
const GIBIBYTE: u64 = 1 << 30;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("trust.json"), TRUST).unwrap();
        Self(folder)
    }

    /// A file of 1 GiB that begins so and goes on in zeros; it takes no room on the disk.
    fn gibibyte(&self, start: &str) -> PathBuf {
        let path = self.0.path().join("evidence");
        let mut file = File::create(&path).unwrap();
        file.write_all(start.as_bytes()).unwrap();
        file.set_len(GIBIBYTE).unwrap();
        path
    }

    /// `dragons verify`, with no more memory than it may have.
    fn verify(&self, file: &Path, memory_kib: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v $0 && exec \"$@\"", memory_kib]);
        command.arg(dragons().path()).arg("verify").arg(file);
        command.arg("--trust").arg(self.0.path().join("trust.json"));
        command.arg("--json");
        command
    }
}

fn codes(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect()
}

/// The first lines of a sound pack.
fn lines(count: usize) -> String {
    Forger::golden()
        .whole()
        .split_inclusive('\n')
        .take(count)
        .collect()
}

#[test]
fn a_line_of_a_gibibyte_is_refused_wherever_it_stands() {
    let folder = Folder::new();
    for start in [
        "".to_owned(),
        "c2sp.org/tlog-proof@v1\n".to_owned(),
        "{\"pack\":\"".to_owned(),
        lines(1) + "{\"checkpoint\":\"",
        lines(2) + "{\"disclosures\":[\"",
        lines(2) + "{\"proof\":[\"",
        lines(8) + "{\"index\":5,\"leaf\":\"",
        lines(19),
    ] {
        let file = folder.gibibyte(&start);
        let output = folder.verify(&file, MEMORY_KIB).output().unwrap();
        assert_eq!(codes(&output), ["pack-malformed"], "{start}");
    }
}

/// The writer never ends by itself: if the command read on, this test would not end either.
#[test]
fn a_line_that_never_ends_is_not_waited_for() {
    let folder = Folder::new();
    for start in ["".to_owned(), lines(2) + "{\"proof\":[\"", lines(12)] {
        let mut command = folder.verify(Path::new("/dev/stdin"), MEMORY_KIB);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(start.as_bytes()).unwrap();
        while stdin.write_all(&[b'x'; 4096]).is_ok() {}
        assert_eq!(
            codes(&process.wait_with_output().unwrap()),
            ["pack-malformed"],
            "{start}"
        );
    }
}

#[test]
fn many_small_values_in_one_line_cost_little_more_than_their_text() {
    let folder = Folder::new();
    let many = lines(2) + "{\"disclosures\":[" + &"0,".repeat(6_000_000) + "0]}\n";
    let file = folder.0.path().join("evidence");
    std::fs::write(&file, many).unwrap();
    // Whole as values it would take some 200 MB.
    let output = folder.verify(&file, "120000").output().unwrap();
    assert_eq!(codes(&output), ["pack-malformed"]);
}

/// `yes` and `gzip` never end by themselves either: a few bytes on the wire are many megabytes of text.
#[test]
fn gzip_that_grows_without_end_is_not_unwrapped_to_it() {
    let folder = Folder::new();
    let mut writer = Command::new("sh");
    writer.args(["-c", "yes '{\"pack\":0,' | tr -d '\\n' | gzip -9"]);
    let mut writer = writer.stdout(Stdio::piped()).spawn().unwrap();
    let mut command = folder.verify(Path::new("-"), MEMORY_KIB);
    let output = command
        .stdin(writer.stdout.take().unwrap())
        .output()
        .unwrap();
    drop(command);
    writer.wait().unwrap();
    assert_eq!(codes(&output), ["pack-malformed"]);
}
