//! The rules of the repository that a compiler does not hold.
//!
//! Each check is a function from text (or from a small graph) to faults, so
//! that its tests can show it failing on a bad sample. This module only reads
//! the repository and hands each file to the checks that concern it.

mod arrows;
mod prose;
mod purity;
mod source;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// The crates that must stay free of I/O, clocks, randomness and global state.
const CORES: [&str; 2] = ["tlog", "ledger"];

/// One place where the repository breaks one of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    file: String,
    spot: Spot,
}

/// A fault within a file whose name the check does not need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    /// Counted from 1; a fault of the whole file is shown at its first line.
    line: usize,
    what: String,
}

/// The tracked files that are text, by their path from the repository's root.
type Files = BTreeMap<String, String>;

/// Check the repository at `root`, and give every fault, ordered by file.
///
/// # Errors
///
/// When `git` or `cargo metadata` cannot be run there, or a file cannot be read.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Fault>> {
    let files = tracked_files(root)?;
    let mut faults = arrows::check(&arrows::Graph::of_workspace(root)?);
    for (file, content) in &files {
        faults.extend(in_file(file, check_file(file, content)));
    }
    for core in CORES {
        faults.extend(purity::check(&sources_of(core, &files)));
    }
    faults.sort_by(|a, b| (&a.file, a.spot.line).cmp(&(&b.file, b.spot.line)));
    Ok(faults)
}

fn check_file(file: &str, content: &str) -> Vec<Spot> {
    let mut spots = text::check(file, content);
    if file.ends_with(".md") {
        spots.extend(prose::check(content));
    }
    if file.ends_with(".rs") {
        spots.extend(source::check(file, content));
    }
    if file.ends_with("/Cargo.toml") && !file.starts_with("fuzz/") {
        spots.extend(source::check_manifest(file, content));
    }
    spots
}

fn in_file(file: &str, spots: Vec<Spot>) -> impl Iterator<Item = Fault> {
    spots.into_iter().map(move |spot| Fault {
        file: file.to_owned(),
        spot,
    })
}

fn sources_of(package: &str, files: &Files) -> Files {
    let folder = format!("{package}/src/");
    let in_folder = |(file, _): &(&String, &String)| file.starts_with(&folder);
    let rust = |(file, _): &(&String, &String)| file.ends_with(".rs");
    files
        .iter()
        .filter(in_folder)
        .filter(rust)
        .map(|(file, content)| (file.clone(), content.clone()))
        .collect()
}

/// What git tracks, and what it would track if asked: a new file is judged
/// before it is committed. Files that are not UTF-8 are not text, and left out.
fn tracked_files(root: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    for file in git_paths(root)? {
        let path = root.join(&file);
        // Deleted but not yet committed, or a link to a folder.
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {file}"))?;
        if let Ok(content) = String::from_utf8(bytes) {
            files.insert(file, content);
        }
    }
    Ok(files)
}

fn git_paths(root: &Path) -> anyhow::Result<Vec<String>> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others"])
        .arg("--exclude-standard")
        .current_dir(root)
        .output()
        .context("tidy asks git which files are tracked")?;
    ensure!(listing.status.success(), "git ls-files failed");
    let names = String::from_utf8(listing.stdout).context("a path is not UTF-8")?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

impl Spot {
    fn new(line: usize, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, spot } = self;
        write!(f, "{file}:{}: {}", spot.line, spot.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let faults = check(crate::repository()).expect("the repository can be read");
        let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn the_tracked_files_include_this_one() {
        let files = tracked_files(crate::repository()).expect("git lists the files");
        assert!(files.contains_key("xtask/src/tidy/mod.rs"));
        assert!(files.contains_key("Cargo.toml"));
    }

    #[test]
    fn a_file_is_handed_to_the_checks_that_concern_it() {
        assert_eq!(check_file("a/src/lib.rs", "fn f() {}\n").len(), 1);
        assert_eq!(check_file("a/Cargo.toml", "[package]\n").len(), 1);
        assert_eq!(check_file("a/notes.md", "fn f() {}\n").len(), 0);
    }

    #[test]
    fn the_sources_of_a_core_are_its_rust_files() {
        let names = ["tlog/src/a.rs", "tlog/src/a.txt", "tlog/tests/b.rs"];
        let files = names.map(|name| (name.to_owned(), String::new())).into();
        let sources = sources_of("tlog", &files);
        assert_eq!(sources.into_keys().collect::<Vec<_>>(), ["tlog/src/a.rs"]);
    }
}
