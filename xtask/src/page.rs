//! The verifier's page as it is served: the files of `web/` and the verifier, in one folder that needs nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::wasm;

/// Below `web/`: what git ignores, the server embeds and any host can serve.
const DIST: &str = "dist";

/// Where it is made, to be compared with the one before.
const NEW: &str = "dist.new";

/// What of `web/` is part of the page.
const PARTS: [&str; 4] = ["index.html", "css", "js", "samples"];

/// Where the page looks for the verifier.
const VERIFIER: &str = "verifier";

/// Builds the page of the workspace at `root` anew. One that is there and the same is left as it is: the times of its
/// files tell cargo whether the service, which embeds them, has to be built again.
///
/// # Errors
///
/// When a file cannot be copied, or the verifier cannot be built.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    let web = root.join("web");
    let (dist, new) = (web.join(DIST), web.join(NEW));
    remove(&new)?;
    for part in PARTS {
        copy(&web.join(part), &new.join(part))
            .with_context(|| format!("web/{part} cannot be copied"))?;
    }
    wasm::build(root, &new.join(VERIFIER))?;
    if dist.exists() && files(&dist)? == files(&new)? {
        return remove(&new);
    }
    remove(&dist)?;
    fs::rename(&new, &dist).context("the page cannot be put in its place")
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).context("a page from before cannot be removed"),
        false => Ok(()),
    }
}

/// The contents of all files below a folder, by their paths in it.
fn files(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.strip_prefix(folder)?.to_owned();
        if path.is_dir() {
            let below = files(&path)?.into_iter();
            found.extend(below.map(|(path, content)| (name.join(path), content)));
        } else {
            found.insert(name, fs::read(&path)?);
        }
    }
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_file() {
        to.parent().map_or(Ok(()), fs::create_dir_all)?;
        return fs::copy(from, to).map(drop);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_page_is_there() {
        for part in PARTS {
            assert!(
                crate::repository().join("web").join(part).exists(),
                "{part}"
            );
        }
    }
}
