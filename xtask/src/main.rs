//! What `make` calls: the checks that hold the architecture, what is generated, and the page that is built.
//!
//! `cargo xtask tidy` reads the whole repository and says where it breaks the
//! rules that `ARCHITECTURE.md` and `CONTRIBUTING.md` state. The same check
//! runs as a unit test, so nobody has to remember to call it.
//!
//! `cargo run -p xtask --features web -- web` builds the verifier's page into `web/dist`; `make web` calls it.

mod codes;
#[cfg(feature = "web")]
mod page;
mod tidy;
#[cfg(feature = "web")]
mod wasm;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

/// The tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
enum Task {
    /// Check the dependency arrows, the purity of the cores and every tracked file
    Tidy,
    /// Write docs/codes.md from the table of codes
    Codes,
    /// Build the verifier's page, with the verifier, into web/dist
    #[cfg(feature = "web")]
    Web,
}

fn main() -> anyhow::Result<ExitCode> {
    match Task::parse() {
        Task::Tidy => report_faults(),
        Task::Codes => codes::write(repository()).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "web")]
        Task::Web => page::build(repository()).map(|()| ExitCode::SUCCESS),
    }
}

fn report_faults() -> anyhow::Result<ExitCode> {
    let faults = tidy::check(repository())?;
    for fault in &faults {
        println!("{fault}");
    }
    Ok(match faults.len() {
        0 => ExitCode::SUCCESS,
        count => {
            eprintln!("tidy: {count} faults");
            ExitCode::FAILURE
        }
    })
}

/// The folder that holds the workspace: this package lies directly in it.
fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
