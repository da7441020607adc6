//! `get`, `prove`, `prove-state`, `checkpoint`, `consistency`: the log itself, held to its proofs.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use client::entry::Entry;
use client::http::Service;
use client::identity::LogIdentity;
use host::output::STDOUT;
use ledger::digest::RecordHash;
use ledger::json::{Value, object};
use ledger::state_proof::StateProof;
use ledger::text::Name;
use ledger::verify::{Trust, Verdict, verify};
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::{EMPTY_ROOT, Hash, LeafIndex, TreeSize};

use crate::exit::DoesNotHold;
use crate::options::EntryName;
use crate::output::{self, WrittenTo};
use crate::session::Session;

/// Which entry.
#[derive(Debug, Args)]
pub(crate) struct GetOptions {
    /// The entry: its index, or the hash of its record
    #[arg(value_name = "INDEX|RECORD")]
    entry: EntryName,
}

/// Which proof, and where it goes.
#[derive(Debug, Args)]
pub(crate) struct ProveOptions {
    /// The entry: its index, or the hash of its record
    #[arg(value_name = "INDEX|RECORD")]
    entry: EntryName,
    /// The file to write, such as entry.tlog-proof; defaults to stdout
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The log size to prove it for; defaults to the newest
    #[arg(long)]
    size: Option<u64>,
}

/// Of which agent, when, and where the proof goes.
#[derive(Debug, Args)]
pub(crate) struct ProveStateOptions {
    /// The agent; of one that was not registered, the proof shows that
    #[arg(value_name = "AGENT")]
    agent: Name,
    /// An entry: the newest pulse up to it is proven; if left out, the newest of all
    #[arg(long, value_name = "INDEX")]
    at: Option<u64>,
    /// The file to write, such as agent.state-proof.jsonl; stdout if left out
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Between which sizes.
#[derive(Debug, Args)]
pub(crate) struct ConsistencyOptions {
    /// The smaller size
    old: u64,
    /// The larger size
    new: u64,
}

/// Shows an entry.
///
/// # Errors
///
/// If it is not there, or its proof does not hold.
pub(crate) fn get(session: &Session, options: &GetOptions) -> Result<()> {
    let service = session.service()?;
    let entry = find(&service, &session.log(&service)?, options.entry)?;
    output::object(session.json(), &entry.to_value())
}

/// Fetches a proof, checks it, and writes it down.
///
/// # Errors
///
/// If it cannot be had, does not hold, or cannot be written.
pub(crate) fn prove(session: &Session, options: &ProveOptions) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let index = index_of(&service, options.entry)?;
    let proof = service.proof(index, options.size.map(TreeSize::new))?;
    let entry = Entry::open(&proof, index, &log)?;
    let path = options.out.as_deref().unwrap_or(Path::new(STDOUT));
    if output::file(path, &proof)? == WrittenTo::ToStdout {
        return Ok(());
    }
    let written = object([
        ("file", path.display().to_string().into()),
        ("index", index.get().into()),
        ("record", entry.record().hash().into()),
        ("size", entry.checkpoint().size().get().into()),
    ]);
    output::object(session.json(), &written)
}

/// Fetches what a pulse says about an agent, checks it, and writes it to a file.
///
/// # Errors
///
/// If it cannot be had, does not hold, or cannot be written.
pub(crate) fn prove_state(session: &Session, options: &ProveStateOptions) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let text = service.state_proof(&options.agent, options.at.map(LeafIndex::new))?;
    let proof = StateProof::parse(&text)?;
    ensure!(
        proof.agent == options.agent,
        "the service sent a proof about agent {}",
        proof.agent
    );
    let trust = Trust {
        policy: log.policy,
        charter: log.log,
        from: None,
    };
    let report = verify(text.as_bytes(), &trust, None);
    let told = report.told().because.join(" ");
    ensure!(report.verdict != Verdict::Failed, DoesNotHold(told));
    let path = options.out.as_deref().unwrap_or(Path::new(STDOUT));
    if output::file(path, &text)? == WrittenTo::ToStdout {
        return Ok(());
    }
    let written = object([
        ("file", path.display().to_string().into()),
        ("agent", (&proof.agent).into()),
        ("pulse", proof.pulse.index.get().into()),
        ("size", proof.size().get().into()),
        ("told", told.into()),
    ]);
    output::object(session.json(), &written)
}

/// Shows the newest checkpoint.
///
/// # Errors
///
/// If it cannot be had, or is not signed by the log.
pub(crate) fn checkpoint(session: &Session) -> Result<()> {
    let service = session.service()?;
    let log = session.log(&service)?;
    let text = service.checkpoint()?;
    let signed = SignedCheckpoint::parse(&text)?;
    let verified = log.policy.verify(&signed)?;
    if !session.json() {
        return output::verbatim(&text);
    }
    let Checkpoint {
        origin, size, root, ..
    } = verified.checkpoint();
    output::json(&object([
        ("origin", origin.as_str().into()),
        ("size", size.get().into()),
        ("root", root.to_string().into()),
        ("checkpoint", text.as_str().into()),
    ]))
}

/// Checks that one tree of the log extends another.
///
/// # Errors
///
/// If the proof cannot be had, or does not hold.
pub(crate) fn consistency(session: &Session, options: &ConsistencyOptions) -> Result<()> {
    ensure!(
        options.old <= options.new,
        "OLD is {}, which is above NEW, {}",
        options.old,
        options.new
    );
    let service = session.service()?;
    let log = session.log(&service)?;
    let (old, new) = (TreeSize::new(options.old), TreeSize::new(options.new));
    let (old_root, new_root) = (
        proven_root(&service, &log, old)?,
        proven_root(&service, &log, new)?,
    );
    let hashes = service.consistency_hashes(old, new)?;
    tlog::consistency::verify(&hashes, old, &old_root, new, &new_root)?;
    let tree = |size: TreeSize, root: Hash| {
        object([
            ("size", size.get().into()),
            ("root", root.to_string().into()),
        ])
    };
    let hashes: Value = hashes.iter().map(ToString::to_string).collect();
    output::object(
        session.json(),
        &object([
            ("consistent", true.into()),
            ("old", tree(old, old_root)),
            ("new", tree(new, new_root)),
            ("hashes", hashes),
        ]),
    )
}

/// An entry that was checked.
///
/// # Errors
///
/// If it is not there, or its proof does not hold.
pub(crate) fn find(service: &Service, log: &LogIdentity, name: EntryName) -> Result<Entry> {
    let index = index_of(service, name)?;
    let entry = Entry::open(&service.proof(index, None)?, index, log)?;
    if let EntryName::Record(want) = name {
        check_record(&entry, want)?;
    }
    Ok(entry)
}

fn index_of(service: &Service, name: EntryName) -> Result<LeafIndex> {
    Ok(match name {
        EntryName::Index(index) => index,
        EntryName::Record(record) => LeafIndex::new(service.place(&record)?.index),
    })
}

fn check_record(entry: &Entry, want: RecordHash) -> Result<()> {
    let (index, got) = (entry.index(), entry.record().hash());
    ensure!(
        got == want,
        "the service says that {want} is entry {index}, but that is {got}"
    );
    Ok(())
}

/// The root of a size, by the proof of its last entry: a head of exactly this size is not needed.
fn proven_root(service: &Service, log: &LogIdentity, size: TreeSize) -> Result<Hash> {
    let Some(last) = size.get().checked_sub(1).map(LeafIndex::new) else {
        return Ok(EMPTY_ROOT);
    };
    let entry = Entry::open(&service.proof(last, None)?, last, log)?;
    Ok(entry.root_behind())
}
