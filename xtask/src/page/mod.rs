//! The verifier's page, in the two forms in which it goes out: `index.html` with its parts beside it, for hosts; and
//! `page.html` with everything inside, which opens from a disk and which a sealed case is made of.
//!
//! Both have the same style, script, worker and verifier, each under the name of its digest: what has such a name never
//! changes, and a browser refuses whatever has another digest. The same sources give the same bytes anywhere.

mod forms;
mod join;
mod origin;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::wasm;
use forms::Parts;

/// Below `web/`: what git ignores, the programs embed and any host can serve.
const DIST: &str = "dist";

/// Where it is made, to be compared with the one before.
const NEW: &str = "dist.new";

/// The style sheets, in their order.
const STYLES: [&str; 6] = [
    "base.css",
    "panels.css",
    "report.css",
    "bench.css",
    "certificate.css",
    "print.css",
];

/// Where programs find the verifier that do not come for the page.
const VERIFIER: &str = "verifier";

/// Builds the page of the workspace at `root` again. One that is there and the same is left as it is: the times of its
/// files tell cargo whether the programs, which embed them, have to be built again.
///
/// # Errors
///
/// When a file cannot be read or written, or the verifier cannot be built.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    let web = root.join("web");
    let (dist, new) = (web.join(DIST), web.join(NEW));
    remove(&new)?;
    copy(&web.join("samples"), &new.join("samples")).context("the samples cannot be copied")?;
    wasm::build(root, &new.join(VERIFIER))?;
    for (name, content) in parts(root, &web, &new)?.files(&read(&web.join("index.html"))?)? {
        fs::write(new.join(name), content)?;
    }
    say_digests(&new)?;
    if dist.exists() && files(&dist)? == files(&new)? {
        return remove(&new);
    }
    remove(&dist)?;
    fs::rename(&new, &dist).context("the page cannot be put in its place")
}

fn parts(root: &Path, web: &Path, new: &Path) -> anyhow::Result<Parts> {
    let scripts = web.join("js");
    let module = |name: &str| match name.starts_with(VERIFIER) && name.contains('/') {
        true => read(&new.join(name)),
        false => read(&scripts.join(name)),
    };
    let wasm = |name: &str| fs::read(new.join(VERIFIER).join(name));
    let styles: anyhow::Result<Vec<String>> = STYLES
        .iter()
        .map(|name| read(&web.join("css").join(name)))
        .collect();
    Ok(Parts {
        style: styles?.concat(),
        script: join::join("main.js", &module)?,
        worker: join::join("worker.js", &module)?,
        wasm: wasm("verifier_bg.wasm")?,
        proofs: wasm("proofs_bg.wasm")?,
        origin: origin::of(root)?,
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The digests that people compare: those of the page in both its forms, and of the verifier.
fn say_digests(dist: &Path) -> anyhow::Result<()> {
    let names = [
        "index.html",
        "page.html",
        "verifier/verifier_bg.wasm",
        "verifier/proofs_bg.wasm",
    ];
    let mut sums = String::new();
    for name in names {
        let digest = ledger::digest::Digest::of(&[&fs::read(dist.join(name))?]);
        println!("{digest} {name}");
        let hex = digest.to_string().replace("sha256:", "");
        sums.push_str(&format!("{hex}  {name}\n"));
    }
    Ok(fs::write(dist.join("SHA256SUMS"), sums)?)
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
