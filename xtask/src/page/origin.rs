//! Which version and commit a page is of: the last commit that changed what the page is made of, so that a commit elsewhere
//! leaves the page as it is.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use cargo_metadata::MetadataCommand;

/// What the page is made of.
const SOURCES: [&str; 8] = [
    "web/index.html",
    "web/css",
    "web/js",
    "verifier-wasm",
    "ledger/src",
    "tlog/src",
    "evidence/src",
    "Cargo.lock",
];

/// Where a page comes from.
pub(super) struct Origin {
    pub(super) version: String,
    /// The commit; `unknown` outside a clone, with `, changed` behind it where files differ from it.
    pub(super) commit: String,
}

/// Where the page of the workspace at `root` comes from.
///
/// # Errors
///
/// When cargo does not say which version it is.
pub(super) fn of(root: &Path) -> anyhow::Result<Origin> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("verifier-wasm/Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo names the version")?;
    let mut packages = metadata.packages.into_iter();
    let package = packages.find(|package| package.name.as_str() == "verifier-wasm");
    Ok(Origin {
        version: package.context("there is a verifier")?.version.to_string(),
        commit: commit(root).unwrap_or_else(|| "unknown".to_owned()),
    })
}

fn commit(root: &Path) -> Option<String> {
    let commit = git(root, &["log", "-1", "--format=%H", "--"])?;
    let changed = git(root, &["status", "--porcelain", "--"])?;
    match (commit.is_empty(), changed.is_empty()) {
        (true, _) => None,
        (false, true) => Some(commit),
        (false, false) => Some(format!("{commit}, changed")),
    }
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(arguments)
        .args(SOURCES)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
