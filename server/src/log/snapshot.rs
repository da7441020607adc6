//! Snapshots of the governance state: a cache beside the store, so that a start reads the newest and the tail behind it, and
//! not the whole log.
//!
//! ```text
//! {"snapshot":"dragons.snapshot/v1","size":…,"entries":…,"root":…,"edge":[[…],…],"refused":…}
//! the entries of the state, one a line
//! the records whose refusal is in the log, one a line
//! sha256:…                                                       over all lines before
//! ```
//!
//! A snapshot is at a pulse, which is in the log and names the root of the state. So a snapshot that is damaged,
//! older than this form, or another log's is found out, and ignored with a warning: then the log is read.
//!
//! A thread of its own writes them, one at a time. What comes while it writes is left out.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use ledger::codes::Refusal;
use ledger::digest::{Digest, RecordHash};
use ledger::govern::{Restoring, State};
use ledger::json::{Members, Value, integer, object, parsed, string};
use ledger::leaf::Leaf;
use ledger::record::{Body, SignedRecord, StateRoot};
use store::Store;
use tlog::tile::Edge;
use tlog::{Hash, TreeSize};

use super::recovery::Replay;

/// The name of this form. Another form has another name, and is ignored.
const FORMAT: &str = "dragons.snapshot/v1";

/// How a file of this sort ends.
const EXTENSION: &str = "snapshot";

/// What a file is called while it is written.
const UNFINISHED: &str = "unfinished";

/// How many are kept: the newest, and one in case that is damaged.
const KEPT: usize = 2;

/// How many leaves a log grows by before the next is worth its writing, unless told otherwise: some tenths of a second of
/// reading.
pub(super) const DEFAULT_EVERY: u64 = 5_000;

/// What a snapshot is of: the log in front of a pulse.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) edge: Edge,
    pub(super) state: State,
    /// Records whose refusal is in the log, oldest first.
    pub(super) refused: Vec<RecordHash>,
}

/// Where snapshots go.
#[derive(Debug)]
pub(super) struct Snapshots {
    every: u64,
    last: u64,
    writer: Option<SyncSender<Moment>>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Starts the thread that writes them into a folder; without one none are written. The newest is of this size.
    ///
    /// # Errors
    /// If the system gave no thread.
    pub(super) fn start(
        folder: Option<PathBuf>,
        every: u64,
        last: u64,
    ) -> Result<Self, std::io::Error> {
        let (mut writer, mut thread) = (None, None);
        if let Some(folder) = folder {
            let (sender, moments) = sync_channel(1);
            let named = std::thread::Builder::new().name("snapshots".to_owned());
            thread = Some(named.spawn(move || write_all(&folder, &moments))?);
            writer = Some(sender);
        }
        Ok(Self {
            every,
            last,
            writer,
            thread,
        })
    }

    /// Whether a snapshot of this size is worth its writing.
    pub(super) fn wants(&self, size: TreeSize) -> bool {
        self.writer.is_some() && size.get() >= self.last.saturating_add(self.every)
    }

    /// Hands on what is to be written, if nothing else is being written.
    pub(super) fn offer(&mut self, moment: Moment) {
        let size = moment.edge.size().get();
        let writer = self.writer.as_ref();
        if writer.is_some_and(|writer| writer.try_send(moment).is_ok()) {
            self.last = size;
        }
    }
}

/// What is being written is written to its end.
impl Drop for Snapshots {
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            // It writes a cache: that it panicked has been said, and is no reason to do anything else.
            let _ = thread.join();
        }
    }
}

fn write_all(folder: &Path, moments: &Receiver<Moment>) {
    for moment in moments {
        let size = moment.edge.size();
        let written = fs::create_dir_all(folder).and_then(|()| write(folder, &moment));
        match written {
            Ok(()) => tracing::debug!(%size, "a snapshot was written"),
            // It is a cache: the next start reads more of the log.
            Err(error) => tracing::warn!(%error, %size, "a snapshot was not written"),
        }
    }
}

fn write(folder: &Path, moment: &Moment) -> std::io::Result<()> {
    let path = folder.join(format!("{:020}.{EXTENSION}", moment.edge.size().get()));
    let unfinished = folder.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(text_of(moment).as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    for old in newest_first(folder).into_iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}

fn text_of(moment: &Moment) -> String {
    let Moment {
        edge,
        state,
        refused,
    } = moment;
    let level = |level: u8| edge.hashes(level).iter().map(Hash::to_string).collect();
    let levels: Vec<Value> = (0..levels_of(edge)).map(level).collect();
    let StateRoot { entries, root } = state.root();
    let header = object([
        ("snapshot", FORMAT.into()),
        ("size", edge.size().get().into()),
        ("entries", entries.into()),
        ("root", root.to_string().into()),
        ("edge", Value::Array(levels)),
        ("refused", (refused.len() as u64).into()),
    ]);
    let mut text = header.to_json();
    text.push('\n');
    let refused = refused.iter().map(ToString::to_string);
    for line in state.tree().entries().chain(refused) {
        text.push_str(&line);
        text.push('\n');
    }
    let digest = Digest::of(&[text.as_bytes()]);
    text + &format!("{digest}\n")
}

/// Up to the highest level that has a hash.
fn levels_of(edge: &Edge) -> u8 {
    (0..=u8::MAX)
        .rev()
        .find(|level| !edge.hashes(*level).is_empty())
        .map_or(0, |highest| highest + 1)
}

/// The files in a folder, the newest snapshot first. A folder that is not there has none.
fn newest_first(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_one = |path: &PathBuf| path.extension().is_some_and(|it| it == EXTENSION);
    let mut paths: Vec<PathBuf> = paths.filter(is_one).collect();
    paths.sort_unstable();
    paths.reverse();
    paths
}

/// The newest snapshot of a log up to a size that fits a pulse in the store.
pub(super) fn newest(folder: &Path, store: &dyn Store, size: TreeSize) -> Option<Replay> {
    newest_first(folder).into_iter().find_map(|path| {
        let read = read(&path, store, size);
        let warn = |error: &Unfit| {
            tracing::warn!(path = %path.display(), %error, "a snapshot is ignored");
        };
        read.inspect_err(warn).ok()
    })
}

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Form(#[from] Refusal),
    #[error("{0}")]
    Other(&'static str),
}

fn read(path: &Path, store: &dyn Store, size: TreeSize) -> Result<Replay, Unfit> {
    let text = fs::read_to_string(path)?;
    let body = text.trim_end_matches('\n').rsplit_once('\n');
    let (body, told) = body.ok_or(Unfit::Other("it has no end"))?;
    let body = &text[..=body.len()];
    if Digest::of(&[body.as_bytes()]).to_string() != told {
        return Err(Unfit::Other("its bytes are damaged"));
    }
    let mut lines = body.lines();
    let header = Header::read(lines.next().unwrap_or_default())?;
    let mut restoring = Restoring::default();
    for entry in lines
        .by_ref()
        .take(usize::try_from(header.state.entries).unwrap_or(0))
    {
        restoring.push(entry)?;
    }
    let state = restoring.finish()?;
    let refused = lines
        .map(str::parse)
        .collect::<Result<Vec<RecordHash>, _>>()?;
    if refused.len() as u64 != header.refused {
        return Err(Unfit::Other("it has another number of lines than it says"));
    }
    let at = header.edge.size();
    if state.root() != header.state || state.size() != at.get() {
        return Err(Unfit::Other("its entries do not lead to its root"));
    }
    if at >= size || state_of_pulse(store, at.get()) != Some(header.state) {
        return Err(Unfit::Other("no pulse of this log names its root"));
    }
    Ok(Replay::behind(header.edge, state, refused))
}

/// The state that the pulse at an index names.
pub(super) fn state_of_pulse(store: &dyn Store, index: u64) -> Option<StateRoot> {
    let leaf = store.leaves(index..index + 1).ok()?.pop()?;
    let record = SignedRecord::from_envelope(Leaf::parse(&leaf).ok()?.into_envelope()).ok()?;
    match &record.record().body {
        Body::Pulse(pulse) => pulse.state,
        _ => None,
    }
}

struct Header {
    edge: Edge,
    state: StateRoot,
    refused: u64,
}

impl Header {
    fn read(line: &str) -> Result<Self, Unfit> {
        let mut members = Members::open("", Value::parse(line.as_bytes())?)?;
        if members.required("snapshot", string)? != FORMAT {
            return Err(Unfit::Other(
                "it has a form that this program does not know",
            ));
        }
        let size = TreeSize::new(members.required("size", integer)?);
        let state = StateRoot {
            entries: members.required("entries", integer)?,
            root: members.required("root", parsed)?,
        };
        let levels = members.list("edge", hashes)?;
        let edge = Edge::from_levels(size, levels);
        Ok(Self {
            edge: edge.map_err(|_| Unfit::Other("its edge is not of its size"))?,
            state,
            refused: members.required("refused", integer)?,
        })
    }
}

fn hashes(path: &str, value: Value) -> Result<Vec<Hash>, Refusal> {
    match value {
        Value::Array(hashes) => hashes.into_iter().map(|hash| parsed(path, hash)).collect(),
        other => parsed(path, other).map(|hash| vec![hash]),
    }
}

#[cfg(test)]
mod tests;
