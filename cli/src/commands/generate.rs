//! `completions`, `man`: made from the same types that parse the command line.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::options::Cli;
use crate::output;

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsOptions {
    /// The shell
    shell: Shell,
}

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// The directory, which is there already
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints the completions.
///
/// # Errors
///
/// If stdout is closed.
pub(crate) fn completions(options: &CompletionsOptions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "dragons", &mut script);
    output::verbatim(&String::from_utf8(script)?)
}

/// Writes a man page for each command.
///
/// # Errors
///
/// If one cannot be written.
pub(crate) fn man(options: &ManOptions) -> Result<()> {
    let directory = &options.directory;
    clap_mangen::generate_to(Cli::command(), directory)
        .with_context(|| format!("the man pages could not be written to {directory:?}"))
}
