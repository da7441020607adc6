//! The verifier's page as it is served: the files of `web/` and the verifier, in one folder that needs nothing else.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::wasm;

/// Below `web/`: what git ignores, the server embeds and any host can serve.
const DIST: &str = "dist";

/// What of `web/` is part of the page.
const PARTS: [&str; 4] = ["index.html", "css", "js", "samples"];

/// Where the page looks for the verifier.
const VERIFIER: &str = "verifier";

/// Builds the page of the workspace at `root` anew.
///
/// # Errors
///
/// When a file cannot be copied, or the verifier cannot be built.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    let web = root.join("web");
    let dist = web.join(DIST);
    if dist.exists() {
        fs::remove_dir_all(&dist).context("the page that was built before cannot be removed")?;
    }
    for part in PARTS {
        copy(&web.join(part), &dist.join(part))
            .with_context(|| format!("web/{part} cannot be copied"))?;
    }
    wasm::build(root, &dist.join(VERIFIER))
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
