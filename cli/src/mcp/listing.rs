//! Which tools a server has, asked of the server itself.

use std::ffi::OsString;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context as _, Result};
use mcp::http::{Upstream, tools_by_http};
use mcp::{Definition, tools_by_stdio};

use super::server::command_of;

/// A server that is asked.
#[derive(Clone, Copy)]
pub(crate) enum Listed<'a> {
    /// A program that is started for it, and ended.
    Program(&'a [OsString]),
    /// One that is reached at an address.
    Url(&'a str),
}

impl Listed<'_> {
    /// What the server is called, where nobody has given it a name: the file name of the program, or the host.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub(crate) fn name(self) -> Result<String> {
        let program = match self {
            Self::Url(url) => return Ok(Upstream::at(url)?.host().to_owned()),
            Self::Program(command) => command.first().map(Path::new).and_then(Path::file_name),
        };
        let program = program.context("SERVER has no file name: --name gives it a name")?;
        Ok(program.to_string_lossy().into_owned())
    }
}

/// Asks for the list.
///
/// # Errors
///
/// If the server cannot be run or reached, or does not answer.
pub(crate) fn list(server: Listed<'_>) -> Result<Vec<Definition>> {
    match server {
        Listed::Url(url) => Ok(tools_by_http(&Upstream::at(url)?)?),
        Listed::Program(command) => by_program(command),
    }
}

fn by_program(command: &[OsString]) -> Result<Vec<Definition>> {
    let (program, arguments) = command.split_first().context("there is no SERVER")?;
    let mut child = command_of(program, arguments)
        .spawn()
        .with_context(|| format!("{program:?} cannot be run"))?;
    let streams = child.stdin.take().zip(child.stdout.take());
    let (stdin, stdout) = streams.context("the server has no stdin and stdout")?;
    let found = tools_by_stdio(stdin, BufReader::new(stdout));
    // It has said what it was asked, or will not.
    let _ = child.kill();
    let _ = child.wait();
    Ok(found?)
}
