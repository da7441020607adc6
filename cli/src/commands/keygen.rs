//! `keygen`: a new private key in a file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use host::key_file;
use ledger::fingerprint::Fingerprint;
use ledger::json::object;
use ledger::text::Text;

use crate::output;
use crate::session::Session;

/// What key, and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The name of the person or service that holds the key
    #[arg(long)]
    name: Text,
    /// The file to write, readable by its owner alone; an existing file is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes the key and prints its public half.
///
/// # Errors
///
/// If the file is there already, or cannot be written.
pub(crate) fn run(session: &Session, options: &Options) -> Result<()> {
    let key = key_file::draw()?;
    key_file::create(&options.out, &key)?;
    let key = key.public();
    let made = object([
        ("name", (&options.name).into()),
        ("keyid", key.id().to_string().into()),
        ("key", key.to_string().into()),
        ("fingerprint", Fingerprint::of_key(&key).to_string().into()),
        ("file", options.out.display().to_string().into()),
    ]);
    output::object(session.json(), &made)
}
