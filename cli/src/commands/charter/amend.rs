//! `charter amend`, `sign` and `submit`: the next charter, from a proposal through its signatures into the log.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use client::amendment::{Change, MAX_PROPOSAL_BYTES, Proposal, Tally};
use client::http::Service;
use client::identity::LogIdentity;
use client::log_time;
use client::submission::hand_in;
use host::bounded;
use host::durable::{self, Readers};
use ledger::fingerprint::Fingerprint;
use ledger::json::{Value, object};
use ledger::key::{KeyId, PublicKey};
use ledger::record::{Charter, Mode};
use tlog::note::{KeyName, VerifierKey};

use super::{charter_of, in_force};
use crate::commands::logged;
use crate::output;
use crate::session::{Session, now_ms};

/// What to change.
#[derive(Debug, Args)]
pub(crate) struct AmendOptions {
    /// A JSON file with the members to change: objects are merged, lists are replaced
    #[arg(long, value_name = "FILE")]
    members: Option<PathBuf>,
    /// What the log does with records that break a rule: enforce or observe
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// How many root keys must sign a charter
    #[arg(long, value_name = "N")]
    root_threshold: Option<u64>,
    /// How many operator keys must sign a lease, an order or a manifest
    #[arg(long, value_name = "N")]
    operator_threshold: Option<u64>,
    /// Add a key: its roles, its public half in base64 as `keygen` prints it, and a name; may be repeated
    #[arg(long, value_name = "ROLE[,ROLE]:KEY:NAME")]
    add_key: Vec<NewKey>,
    /// Remove the key with this id; may be repeated
    #[arg(long, value_name = "KEYID")]
    remove_key: Vec<KeyId>,
    /// Remove the key with this id, and void what it signed; may be repeated
    #[arg(long, value_name = "KEYID")]
    distrust: Vec<KeyId>,
    /// Let this key sign the log's heads, instead of those before: its public half in base64 as `keygen` prints it; may be
    /// repeated. The service ends with the amendment, and starts again with the new key
    #[arg(long, value_name = "KEY")]
    log_key: Vec<PublicKey>,
    /// The file to write, such as next.charter.json
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

/// Which proposal.
#[derive(Debug, Args)]
pub(crate) struct SignOptions {
    /// The proposal; it gets the signature
    file: PathBuf,
}

/// Which proposal.
#[derive(Debug, Args)]
pub(crate) struct SubmitOptions {
    /// The proposal
    file: PathBuf,
}

/// A key to add.
#[derive(Clone, Debug)]
struct NewKey(Value);

impl FromStr for NewKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let mut part = || {
            parts
                .next()
                .ok_or("roles, a key and a name, with : between them")
        };
        let (roles, key, name) = (part()?, part()?, part()?);
        Ok(Self(object([
            ("key", key.into()),
            ("name", name.into()),
            ("roles", roles.split(',').collect()),
        ])))
    }
}

/// Writes a proposal.
///
/// # Errors
///
/// If there can be no such charter, or the file cannot be written.
pub(super) fn amend(session: &Session, options: AmendOptions) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let entry = in_force(&service, &log)?;
    let before = charter_of(&entry)?;
    let out = options.out.clone();
    let changes = changes(options, before)?;
    let previous = entry.record().hash();
    let at_ms = log_time::later(&service, &log, now_ms()?);
    let proposal = Proposal::amending(log.log, before, previous, changes, at_ms)?;
    let json = proposal.to_json() + "\n";
    durable::create(&out, json.as_bytes(), Readers::Anybody)
        .with_context(|| format!("{out:?} could not be written"))?;
    print(session, &proposal, &entry)
}

/// Shows what a proposal changes, and signs it.
///
/// # Errors
///
/// If it is not a proposal for the charter in force, or the key has signed it already.
pub(super) fn sign(session: &Session, options: &SignOptions) -> Result<()> {
    let service = session.service()?;
    let log = session.log_to_sign_for(&service)?;
    let (mut proposal, entry) = read(&service, &log, &options.file)?;
    for key in session.keys(&[])? {
        proposal = proposal.sign(&key)?;
    }
    // A signature that counts for nothing is said now, not when it is too late.
    proposal.tallies(charter_of(&entry)?)?;
    let file = &options.file;
    output::file(file, &(proposal.to_json() + "\n"))?;
    print(session, &proposal, &entry)
}

/// Hands a proposal in.
///
/// # Errors
///
/// If signatures are missing, or the log refuses it.
pub(super) fn submit(session: &Session, options: &SubmitOptions) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let (proposal, entry) = read(&service, &log, &options.file)?;
    for Tally { version, got, want } in proposal.tallies(charter_of(&entry)?)? {
        let missing = want.saturating_sub(got);
        ensure!(
            missing == 0,
            "{missing} more must sign: {got} of {want} roots of version {version} have"
        );
    }
    let logged = hand_in(&service, &log, &proposal.signed()?)?;
    let fingerprint = Fingerprint::of_charter(&logged.record()).to_string();
    let members = [
        ("version", proposal.charter().version.into()),
        ("fingerprint", fingerprint.into()),
    ];
    logged::print(session, &logged, members)
}

fn read(
    service: &Service,
    log: &LogIdentity,
    file: &Path,
) -> Result<(Proposal, client::entry::Entry)> {
    let bytes = bounded::read(file, MAX_PROPOSAL_BYTES)?;
    let proposal = Proposal::parse(&bytes).with_context(|| format!("{file:?}"))?;
    let entry = in_force(service, log)?;
    let (got, want) = (proposal.charter().previous, entry.record().hash());
    ensure!(
        got == Some(want),
        "it was not made for the charter in force, {want}: propose it again"
    );
    Ok((proposal, entry))
}

fn changes(options: AmendOptions, before: &Charter) -> Result<Value> {
    let mut changes = match &options.members {
        None => object([]),
        Some(path) => {
            let bytes = bounded::read(path, MAX_PROPOSAL_BYTES)?;
            Value::parse(bytes.trim_ascii()).with_context(|| format!("{path:?} is not JSON"))?
        }
    };
    if let Some(mode) = options.mode {
        changes.merge(object([("mode", mode.as_str().into())]));
    }
    let thresholds = [
        ("root", options.root_threshold),
        ("operator", options.operator_threshold),
    ];
    for (name, threshold) in thresholds {
        if let Some(threshold) = threshold {
            let threshold = object([(name, threshold.into())]);
            changes.merge(object([("thresholds", threshold)]));
        }
    }
    let out: Vec<KeyId> = [options.remove_key, options.distrust.clone()].concat();
    if let Some(unknown) = out
        .iter()
        .find(|id| before.keys.iter().all(|key| key.key.id() != **id))
    {
        anyhow::bail!("the charter in force has no key {unknown}");
    }
    if !out.is_empty() || !options.add_key.is_empty() {
        let kept = before
            .keys
            .iter()
            .filter(|key| !out.contains(&key.key.id()));
        let added = options.add_key.into_iter().map(|NewKey(key)| key);
        let keys = kept.map(ledger::record::CharterKey::to_value).chain(added);
        changes.merge(object([("keys", Value::Array(keys.collect()))]));
    }
    if !options.log_key.is_empty() {
        let name = KeyName::parse(&before.origin)?;
        let vkey = |key: &PublicKey| VerifierKey::ed25519(name.clone(), key.as_bytes());
        let vkeys: Result<Vec<_>, _> = options.log_key.iter().map(vkey).collect();
        let vkeys = vkeys?.iter().map(ToString::to_string).collect();
        changes.merge(object([("log_keys", vkeys)]));
    }
    if !options.distrust.is_empty() {
        let distrusted = before.distrusted.iter().chain(&options.distrust);
        let distrusted = distrusted.map(ToString::to_string).collect();
        changes.merge(object([("distrusted", distrusted)]));
    }
    Ok(changes)
}

/// What it changes, and who has signed it so far.
fn print(session: &Session, proposal: &Proposal, before: &client::entry::Entry) -> Result<()> {
    let old = Value::parse(before.record().envelope().payload())?;
    let changes = proposal.changes(&old)?;
    let [old_roots, new_roots] = proposal.tallies(charter_of(before)?)?;
    let signed = |tally: Tally| format!("{} of {}", tally.got, tally.want);
    let fingerprint = Fingerprint::of_charter(&proposal.hash()?).to_string();
    let shown = object([
        ("version", proposal.charter().version.into()),
        ("fingerprint", fingerprint.into()),
        ("signed_by_old_roots", signed(old_roots).into()),
        ("signed_by_new_roots", signed(new_roots).into()),
    ]);
    if session.json() {
        let change = |change: &Change| {
            object([
                ("path", change.path.as_str().into()),
                ("old", change.old.clone()),
                ("new", change.new.clone()),
            ])
        };
        let changes = object([("changes", changes.iter().map(change).collect())]);
        return output::json(&output::joined(shown, changes));
    }
    output::object(false, &shown)?;
    for Change { path, old, new } in &changes {
        output::line(&format!(
            "{path}: {} becomes {}",
            output::plain(old),
            output::plain(new)
        ))?;
    }
    Ok(())
}
