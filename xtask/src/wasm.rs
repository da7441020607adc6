//! The verifier for browsers: compiled, bound to JavaScript, weighed, and put where the page takes it from.
//!
//! It is built twice: a small module for proof files, and one for everything, which is fast.
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

const TARGET: &str = "wasm32-unknown-unknown";
const CRATE: &str = "verifier-wasm";

/// The standard library is compiled with the verifier, so that what it would say when it panics is left out: a fifth
/// of the size, for texts that no reader of a page would see. Cargo has this for its nightly versions only.
const UNSTABLE: [&str; 4] = [
    "-Zbuild-std=std,panic_abort",
    "-Zbuild-std-features=optimize_for_size",
    "-Zpanic-immediate-abort",
    "--quiet",
];

/// No places of panics.
const FLAGS: [&str; 1] = ["-Zlocation-detail=none"];

/// A module that is built.
struct Module {
    /// What the files are called that the page imports.
    name: &'static str,
    profile: &'static str,
    features: &'static [&'static str],
    flags: &'static [&'static str],
    /// The most that it may weigh as a server sends it.
    max_gzipped_bytes: usize,
}

const MODULES: [Module; 2] = [
    // Less than a second on a connection of 2 Mbit/s. SHA-256 in a loop and not unrolled.
    Module {
        name: "proofs",
        profile: "wasm",
        features: &["--no-default-features"],
        flags: &["--cfg=sha2_backend_soft=\"compact\""],
        max_gzipped_bytes: 150 * 1024,
    },
    Module {
        name: "verifier",
        profile: "wasm-packs",
        features: &[],
        flags: &[],
        max_gzipped_bytes: 640 * 1024,
    },
];

/// Builds the modules of the workspace at `root` into `into`, and says how large they are.
///
/// # Errors
///
/// When cargo or the binding fails, or a module is too large.
pub(crate) fn build(root: &Path, into: &Path) -> anyhow::Result<()> {
    for module in &MODULES {
        let compiled = compile(root, module)?;
        Bindgen::new()
            .web(true)?
            .typescript(false)
            .remove_name_section(true)
            .remove_producers_section(true)
            .out_name(module.name)
            .input_path(&compiled)
            .generate(into)
            .context("wasm-bindgen cannot bind the verifier")?;
        weigh(&into.join(format!("{}_bg.wasm", module.name)), module)?;
    }
    Ok(())
}

fn compile(root: &Path, module: &Module) -> anyhow::Result<PathBuf> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo names its target folder")?;
    let workspace = metadata.workspace_root.as_std_path();
    let status = Command::new(env!("CARGO"))
        .args(UNSTABLE)
        .args(["--config", &panics(module)])
        .args(["build", "--locked", "--target", TARGET])
        .args(["--profile", module.profile, "--package", CRATE])
        .args(module.features)
        .current_dir(workspace)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            flags(workspace, module)?,
        )
        .status()
        .context("cargo cannot be run")?;
    ensure!(
        status.success(),
        "the verifier does not compile for {TARGET}"
    );
    let target = metadata.target_directory.as_std_path();
    let file = format!("{}.wasm", CRATE.replace('-', "_"));
    Ok(target.join(TARGET).join(module.profile).join(file))
}

fn panics(module: &Module) -> String {
    format!("profile.{}.panic=\"immediate-abort\"", module.profile)
}

/// Panics name the sources they come from: by names that are the same on every machine.
fn flags(workspace: &Path, module: &Module) -> anyhow::Result<String> {
    let cargo_home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()
            .context("there is no home folder")?
            .join(".cargo"),
    };
    let map = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let maps = [map(workspace, "dragons"), map(&cargo_home, "cargo")];
    let flags = FLAGS
        .iter()
        .chain(module.flags)
        .map(|flag| (*flag).to_owned());
    Ok(maps.into_iter().chain(flags).collect::<Vec<_>>().join(" "))
}

fn weigh(wasm: &Path, module: &Module) -> anyhow::Result<()> {
    let Module {
        name,
        max_gzipped_bytes: most,
        ..
    } = module;
    let bytes = std::fs::read(wasm)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let gzipped = encoder.finish()?.len();
    let raw = bytes.len();
    println!("{name}: {raw} bytes, {gzipped} gzipped of at most {most}");
    ensure!(
        gzipped <= *most,
        "the module {name} is {gzipped} bytes gzipped, {most} are the most"
    );
    Ok(())
}
