//! The verifier for browsers: compiled, bound to JavaScript, weighed, and put where the page takes it from.
//!
//! `wasm-bindgen` is used as a library, so its version is that of the crate, always. The bytes are those of the
//! compiler: paths of the machine are mapped away, so the same sources and tools give the same file anywhere.
//!
//! No optimiser comes after the compiler. Binaryen's takes a tenth off the file and adds a tenth to what a server sends:
//! code that was folded compresses worse.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use cargo_metadata::MetadataCommand;
use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_bindgen_cli_support::Bindgen;

/// The most that the verifier may weigh as a server sends it: less than a second on a connection of 2 Mbit/s.
const MAX_GZIPPED_BYTES: usize = 224 * 1024;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "wasm";
const CRATE: &str = "verifier-wasm";

/// The standard library is compiled with the verifier, so that what it would say when it panics is left out: a fifth
/// of the size, for texts that no reader of a page would see. Cargo has this for its nightly versions only.
const UNSTABLE: [&str; 6] = [
    "-Zbuild-std=std,panic_abort",
    "-Zbuild-std-features=optimize_for_size",
    "-Zpanic-immediate-abort",
    "--config",
    "profile.wasm.panic=\"immediate-abort\"",
    "--quiet",
];

/// SHA-256 in a loop and not unrolled, and no places of panics.
const FLAGS: [&str; 2] = [
    "--cfg=sha2_backend_soft=\"compact\"",
    "-Zlocation-detail=none",
];

/// What the files are called that the page imports.
const NAME: &str = "verifier";

/// Builds the verifier of the workspace at `root` into `into`, and says how large it is.
///
/// # Errors
///
/// When cargo or the binding fails, or the result is larger than [`MAX_GZIPPED_BYTES`].
pub(crate) fn build(root: &Path, into: &Path) -> anyhow::Result<()> {
    let compiled = compile(root)?;
    Bindgen::new()
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .out_name(NAME)
        .input_path(&compiled)
        .generate(into)
        .context("wasm-bindgen cannot bind the verifier")?;
    let wasm = into.join(format!("{NAME}_bg.wasm"));
    weigh(&wasm)
}

fn compile(root: &Path) -> anyhow::Result<PathBuf> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo names its target folder")?;
    let workspace = metadata.workspace_root.as_std_path();
    let status = Command::new(env!("CARGO"))
        .args(UNSTABLE)
        .args(["build", "--locked", "--target", TARGET])
        .args(["--profile", PROFILE, "--package", CRATE])
        .current_dir(workspace)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            flags(workspace)?,
        )
        .status()
        .context("cargo cannot be run")?;
    ensure!(
        status.success(),
        "the verifier does not compile for {TARGET}"
    );
    let target = metadata.target_directory.as_std_path();
    let file = format!("{}.wasm", CRATE.replace('-', "_"));
    Ok(target.join(TARGET).join(PROFILE).join(file))
}

/// Panics name the sources they come from: by names that are the same on every machine.
fn flags(workspace: &Path) -> anyhow::Result<String> {
    let cargo_home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()
            .context("there is no home folder")?
            .join(".cargo"),
    };
    let map = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let maps = [map(workspace, "dragons"), map(&cargo_home, "cargo")];
    Ok([&maps[..], &FLAGS.map(str::to_owned)].concat().join(" "))
}

fn weigh(wasm: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(wasm)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let gzipped = encoder.finish()?.len();
    let raw = bytes.len();
    println!("wasm: {raw} bytes, {gzipped} gzipped of at most {MAX_GZIPPED_BYTES}");
    ensure!(
        gzipped <= MAX_GZIPPED_BYTES,
        "the verifier is {gzipped} bytes gzipped, {MAX_GZIPPED_BYTES} are the most"
    );
    Ok(())
}
