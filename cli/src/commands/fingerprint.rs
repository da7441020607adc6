//! `fingerprint`: short forms of what is in a file, for people to compare aloud.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use host::bounded;
use host::key_file::{self, KeyFileError, Mistake};
use ledger::fingerprint::Fingerprint;
use ledger::json::{Value, object};
use ledger::key::PublicKey;
use ledger::verify::{MAX_TRUST_BYTES, Trust};

use crate::output;
use crate::session::Session;

/// Of what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A private key, of which only the public half is shown, or a trust file
    file: PathBuf,
}

/// Shows them, one a line.
///
/// # Errors
///
/// If the file is none of these.
pub(crate) fn run(session: &Session, options: &Options) -> Result<()> {
    let bytes = bounded::read(&options.file, MAX_TRUST_BYTES)?;
    let shown = shown(&options.file, &bytes)?;
    if session.json() {
        return shown
            .iter()
            .try_for_each(|one| output::json(&one.to_value()));
    }
    let row = |one: &Shown| {
        [
            one.what.to_owned(),
            one.fingerprint.to_string(),
            one.name.clone(),
        ]
    };
    output::table(&shown.iter().map(row).collect::<Vec<_>>())
}

struct Shown {
    what: &'static str,
    fingerprint: Fingerprint,
    name: String,
}

/// A file that was meant to hold a key is not quoted.
fn shown(path: &Path, bytes: &[u8]) -> Result<Vec<Shown>> {
    match (key_file::parse(bytes), Trust::parse(bytes)) {
        (Ok(key), _) => Ok(vec![of_key(&key.public())]),
        (Err(_), Ok(given)) => Ok(trust(&given)),
        (Err(Mistake::Other), Err(_)) => {
            bail!("{path:?} holds neither a private key nor the trust in a log")
        }
        (Err(mistake), Err(_)) => Err(KeyFileError::NotAKey {
            path: path.to_owned(),
            mistake,
        }
        .into()),
    }
}

fn of_key(key: &PublicKey) -> Shown {
    Shown {
        what: "key",
        fingerprint: Fingerprint::of_key(key),
        name: key.id().to_string(),
    }
}

fn trust(trust: &Trust) -> Vec<Shown> {
    let charter = Shown {
        what: "charter",
        fingerprint: Fingerprint::of_charter(&trust.charter),
        name: trust.charter.to_string(),
    };
    let logs = trust.policy.logs().iter().map(|log| ("log", &log.key));
    let witnesses = trust.policy.witnesses().iter();
    let keys = logs.chain(witnesses.map(|witness| ("witness", &witness.key)));
    let keys = keys.map(|(what, key)| Shown {
        what,
        fingerprint: Fingerprint::of_note_key(key),
        name: key.name().to_string(),
    });
    std::iter::once(charter).chain(keys).collect()
}

impl Shown {
    fn to_value(&self) -> Value {
        object([
            ("what", self.what.into()),
            ("fingerprint", self.fingerprint.to_string().into()),
            ("name", self.name.as_str().into()),
        ])
    }
}
