//! `fingerprint`: short forms of what is in a file, for people to compare aloud.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use ledger::fingerprint::Fingerprint;
use ledger::json::{Value, object};
use ledger::key::PrivateKey;
use ledger::verify::{MAX_TRUST_BYTES, Trust};

use crate::output;
use crate::session::{Session, read_bounded};

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
    let bytes = read_bounded(&options.file, MAX_TRUST_BYTES)?;
    let shown = key(&bytes).or_else(|| Some(trust(&Trust::parse(&bytes).ok()?)));
    let Some(shown) = shown else {
        // A file that was meant to hold a key is not quoted, nor is what is wrong with it.
        bail!(
            "{:?} holds neither a private key nor the trust in a log",
            options.file
        );
    };
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

fn key(bytes: &[u8]) -> Option<Vec<Shown>> {
    let pem = std::str::from_utf8(bytes).ok()?;
    let key = PrivateKey::from_pem(pem).ok()?.public();
    Some(vec![Shown {
        what: "key",
        fingerprint: Fingerprint::of_key(&key),
        name: key.id().to_string(),
    }])
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
