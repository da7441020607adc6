//! Backups of a log: made while it is served, checked as a whole, restored into a folder that signs nothing by itself.
//!
//! ```text
//! BACKUPS/store/…              every store, by the engine's own backups: what several share is there once
//! BACKUPS/ID/manifest.json     what the backup is of, and a digest of each file beside the store
//! BACKUPS/ID/trust.json        and keys/…, webhooks/… as in the data folder
//! BACKUPS/.unfinished-…        what is being made, and what was when somebody killed it
//! ```
//!
//! A backup is a sound log that ends too early as soon as the service goes on. So whatever is restored is marked
//! ([`restored`]), and is not signed for until somebody shows that nothing was published behind it.

pub mod command;
mod error;
mod files;
mod manifest;
pub mod restored;
mod scratch;
pub mod snapshot;

use std::fs::{self, File, Permissions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use host::durable::{self, Draft, Readers};
use store::{Copies, Counts, Engine};

pub use error::BackupError;
pub use manifest::{Copied, Manifest, ManifestError};

use crate::anchor::{Place, lies_in};
use crate::fsck;
use crate::init::{self, TRUST_FILE};
use crate::trust::Trust;
use restored::Marker;
use scratch::{Purpose, Scratch};

/// The folder of the engine's backups, in a folder of backups.
const STORE: &str = "store";

/// The file that says what a backup is of.
const MANIFEST: &str = "manifest.json";

/// Held by whoever adds a backup.
const LOCK: &str = ".lock";

/// The longest manifest: some thousand files.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// What `create` is told.
#[derive(Clone, Debug)]
pub struct Create {
    /// The data folder.
    pub data: PathBuf,
    /// The folder of backups; made if it is not there.
    pub to: PathBuf,
    /// The folder of the keys that come along, if any do.
    pub keys: Option<PathBuf>,
    /// How many backups stay; all if nothing is said.
    pub keep: Option<usize>,
    /// When it is made: milliseconds since the epoch.
    pub now_ms: u64,
}

/// Makes a backup, of the running service if there is one.
///
/// # Errors
/// [`BackupError`]; the backups that were there before are there as they were.
pub fn create(engine: &dyn Engine, request: &Create) -> Result<Manifest, BackupError> {
    let trust = Trust::read(&request.data)?;
    must_lie_elsewhere(&request.to, &request.data)?;
    fs::create_dir_all(&request.to).map_err(|error| BackupError::file(&request.to, error))?;
    let _alone = lock(&request.to)?;
    let mut shelf = Shelf::tidied(engine, &request.to)?;
    shelf.must_be_of(&trust)?;
    let draft = Scratch::make(&request.to, Purpose::Making)?;
    // Before the store: a webhook that goes on too early tells something twice, one too late leaves something out.
    let files = files::stage(&request.data, request.keys.as_deref(), draft.path())?;
    let source = snapshot::take(&request.data)?;
    let (id, head) = shelf.copies.add(source.path())?;
    drop(source);
    let manifest = Manifest::of(id, request.now_ms, trust.charter, &head.checkpoint, files)?;
    let path = draft.path().join(MANIFEST);
    durable::create(&path, manifest.to_json().as_bytes(), Readers::Owner)
        .map_err(|error| BackupError::file(&path, error))?;
    let place = shelf.place(id);
    durable::place_folder(&draft.into_path(), &place)
        .map_err(|error| BackupError::file(&place, error))?;
    if let Some(keep) = request.keep {
        shelf.thin(keep)?;
    }
    Ok(manifest)
}

/// A backup that is there.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is of.
    pub manifest: Manifest,
    /// The bytes of its store, those that it shares with others counted again.
    pub bytes: u64,
}

/// The backups in a folder, the oldest first.
///
/// # Errors
/// [`BackupError`].
pub fn list(engine: &dyn Engine, from: &Path) -> Result<Vec<Listed>, BackupError> {
    let shelf = Shelf::open(engine, from)?;
    let bytes = |id| {
        let copy = shelf.copies.all().into_iter().find(|copy| copy.id == id);
        copy.map(|copy| copy.bytes)
    };
    let listed = shelf.ids()?.into_iter().map(|id| {
        Ok(Listed {
            manifest: shelf.manifest(id)?,
            bytes: bytes(id).ok_or(BackupError::Absent { id })?,
        })
    });
    listed.collect()
}

/// What a check of backups found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The backups that were checked, each with the rows of its store.
    pub checked: Vec<(u32, Counts)>,
    /// What does not fit.
    pub findings: Vec<String>,
}

/// Reads backups whole, one or all, and checks of each what `fsck` checks of a data folder.
///
/// # Errors
/// [`BackupError`] if nothing can be decided.
pub fn verify(
    engine: &dyn Engine,
    from: &Path,
    only: Option<u32>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, BackupError> {
    let mut shelf = Shelf::open(engine, from)?;
    let mut report = Report::default();
    let ids = match only {
        Some(id) => vec![id],
        None => shelf.ids()?,
    };
    if ids.is_empty() {
        return Err(BackupError::Empty {
            folder: from.to_owned(),
        });
    }
    if let Some(id) = only.filter(|_| !shelf.place(ids[0]).is_dir()) {
        return Err(BackupError::Absent { id });
    }
    for id in ids {
        let (counts, findings) = shelf.check(id, progress)?;
        report.checked.push((id, counts));
        let named = findings.into_iter();
        let named = named.map(|finding| format!("backup {id}: {finding}"));
        report.findings.extend(named);
    }
    Ok(report)
}

/// What `restore` is told.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The folder of backups.
    pub from: PathBuf,
    /// Which backup; the newest if nothing is said.
    pub id: Option<u32>,
    /// The folder to make; absent or empty.
    pub data: PathBuf,
}

/// Restores a backup. What was restored signs nothing until [`resume`].
///
/// # Errors
/// [`BackupError`]. A folder without `trust.json` was not restored to its end.
pub fn restore(
    engine: &dyn Engine,
    request: &Restore,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, BackupError> {
    let Restore { from, id, data } = request;
    let mut shelf = Shelf::open(engine, from)?;
    let id = match id {
        Some(id) => *id,
        None => shelf.newest()?,
    };
    let manifest = shelf.manifest(id)?;
    if !init::is_vacant(data)? {
        return Err(BackupError::NotEmpty { data: data.clone() });
    }
    init::create_folder(data)?;
    // Before there is anything that could be served.
    Marker::of(&manifest).write(data)?;
    let trust = shelf.restore(&manifest, data, progress)?;
    write_trust(data, &trust)?;
    Ok(manifest)
}

/// The last file: a folder that has it is finished.
fn write_trust(data: &Path, trust: &[u8]) -> Result<(), BackupError> {
    let path = data.join(TRUST_FILE);
    let write = || {
        let mut draft = Draft::of(&path, Readers::Anybody)?;
        draft.write_all(trust)?;
        draft.place_new()?;
        fs::set_permissions(&path, Permissions::from_mode(init::TRUST_MODE))
    };
    write().map_err(|error| BackupError::file(&path, error))
}

/// Lets a restored log go on, if it ends where this checkpoint does: the newest one that was published.
///
/// # Errors
/// [`BackupError`], with everything as it was.
pub fn resume(
    engine: &dyn Engine,
    data: &Path,
    shown: &str,
    now_ms: u64,
) -> Result<Marker, BackupError> {
    let marker = Marker::read(data)?;
    let marker = marker.ok_or_else(|| BackupError::NotRestored {
        data: data.to_owned(),
    })?;
    let trust = Trust::read(data)?;
    let store = engine.open(&init::store_path(data))?.store;
    restored::judge(store.as_ref(), &trust, shown)?;
    let marker = marker.resumed(shown, now_ms);
    marker.write(data)?;
    Ok(marker)
}

/// Reads the checkpoint that somebody shows, at a path or an address.
///
/// # Errors
/// [`BackupError`] if there is none.
pub fn shown(place: &str, data: &Path) -> Result<String, BackupError> {
    let place = Place::parse(place, data).map_err(BackupError::Place)?;
    let text = place.read()?;
    text.ok_or_else(|| BackupError::NothingShown {
        place: place.to_string(),
    })
}

/// The backups in one folder.
struct Shelf<'a> {
    engine: &'a dyn Engine,
    folder: PathBuf,
    copies: Box<dyn Copies>,
}

impl<'a> Shelf<'a> {
    fn make(engine: &'a dyn Engine, folder: &Path) -> Result<Self, BackupError> {
        let store = folder.join(STORE);
        init::create_folder(&store)?;
        Ok(Self {
            engine,
            folder: folder.to_owned(),
            copies: engine.copies(&store)?,
        })
    }

    /// Opens it for a further backup, without what others left behind who were killed.
    fn tidied(engine: &'a dyn Engine, folder: &Path) -> Result<Self, BackupError> {
        scratch::sweep(folder)?;
        let store = folder.join(STORE);
        init::create_folder(&store)?;
        let of_none = |id: u32| !folder.join(id.to_string()).is_dir();
        Ok(Self {
            engine,
            folder: folder.to_owned(),
            copies: engine.copies_without(&store, &of_none)?,
        })
    }

    fn open(engine: &'a dyn Engine, folder: &Path) -> Result<Self, BackupError> {
        // The engine would make what is not there.
        match folder.join(STORE).is_dir() {
            true => Self::make(engine, folder),
            false => Err(BackupError::Empty {
                folder: folder.to_owned(),
            }),
        }
    }

    fn place(&self, id: u32) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// The numbers of the backups that were made to their end, ascending.
    fn ids(&self) -> Result<Vec<u32>, BackupError> {
        let wrong = |error| BackupError::file(&self.folder, error);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name();
            let id: Option<u32> = name.to_str().and_then(|name| name.parse().ok());
            ids.extend(id.filter(|id| name.to_str() == Some(&id.to_string())));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    fn newest(&self) -> Result<u32, BackupError> {
        let empty = || BackupError::Empty {
            folder: self.folder.clone(),
        };
        self.ids()?.last().copied().ok_or_else(empty)
    }

    fn manifest(&self, id: u32) -> Result<Manifest, BackupError> {
        let path = self.place(id).join(MANIFEST);
        if !self.place(id).is_dir() {
            return Err(BackupError::Absent { id });
        }
        let bytes = host::bounded::read(&path, MAX_MANIFEST_BYTES)?;
        let manifest = Manifest::parse(&bytes)?;
        match manifest.id == id {
            true => Ok(manifest),
            false => Err(BackupError::Absent { id }),
        }
    }

    /// One folder keeps the backups of one log.
    fn must_be_of(&self, trust: &Trust) -> Result<(), BackupError> {
        for id in self.ids()? {
            if self.manifest(id)?.charter != trust.charter {
                return Err(BackupError::OtherLog {
                    folder: self.folder.clone(),
                });
            }
        }
        Ok(())
    }

    /// Keeps the newest, and forgets the others. A store without a folder is nothing to anybody, so the folders go first.
    fn thin(&mut self, keep: usize) -> Result<(), BackupError> {
        let ids = self.ids()?;
        let (old, kept) = ids.split_at(ids.len().saturating_sub(keep.max(1)));
        for id in old {
            scratch::remove(&self.folder, *id)?;
        }
        Ok(self
            .copies
            .keep_from(kept.first().copied().unwrap_or_default())?)
    }

    /// Restores a backup into a folder of its own, and tells all that is wrong with it.
    fn check(
        &mut self,
        id: u32,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Counts, Vec<String>), BackupError> {
        let manifest = match self.manifest(id) {
            Err(error) if error.is_damage() => return Ok(damaged(&error)),
            manifest => manifest?,
        };
        let scratch = Scratch::make(&self.folder, Purpose::Verifying)?;
        let restored = self.unpack(&manifest, scratch.path());
        let trust = match restored {
            Err(error) if error.is_damage() => return Ok(damaged(&error)),
            trust => trust?,
        };
        let report = judge(self.engine, &manifest, &trust, scratch.path(), progress);
        match report {
            Err(error) if error.is_damage() => Ok(damaged(&error)),
            report => report.map(|report| (report.checked, report.findings)),
        }
    }

    /// Restores a backup into an empty folder, and gives the trust file that belongs in it.
    fn restore(
        &mut self,
        manifest: &Manifest,
        data: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<u8>, BackupError> {
        let trust = self.unpack(manifest, data)?;
        let report = judge(self.engine, manifest, &trust, data, progress)?;
        match report.findings.into_iter().next() {
            None => Ok(trust),
            Some(finding) => Err(BackupError::Damaged {
                id: manifest.id,
                finding,
            }),
        }
    }

    fn unpack(&mut self, manifest: &Manifest, data: &Path) -> Result<Vec<u8>, BackupError> {
        self.copies.restore(manifest.id, &init::store_path(data))?;
        files::unpack(&self.place(manifest.id), manifest, data)
    }
}

fn damaged(error: &BackupError) -> (Counts, Vec<String>) {
    let error = anyhow::anyhow!("{error}").context("it is damaged");
    (Counts::default(), vec![format!("{error:#}")])
}

/// Checks a store that was just restored, and that it is the manifest's.
fn judge(
    engine: &dyn Engine,
    manifest: &Manifest,
    trust: &[u8],
    data: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<fsck::Report, BackupError> {
    let trust = Trust::parse(trust, &data.join(TRUST_FILE))?;
    let store = engine.open(&init::store_path(data))?.store;
    let mut report = fsck::check(store.as_ref(), &trust, progress)?;
    let head = store.head()?.map(|head| head.checkpoint);
    if head != Some(manifest.checkpoint.to_string()) {
        let finding = "its store does not end at the checkpoint that its manifest names";
        report.findings.push(finding.to_owned());
    }
    if trust.charter != manifest.charter {
        let finding = "its trust file is another log's than its manifest names";
        report.findings.push(finding.to_owned());
    }
    Ok(report)
}

fn must_lie_elsewhere(to: &Path, data: &Path) -> Result<(), BackupError> {
    match lies_in(to, data).map_err(|error| BackupError::file(to, error))? {
        true => Err(BackupError::Inside { to: to.to_owned() }),
        false => Ok(()),
    }
}

/// The engine's folder has one writer at a time.
fn lock(folder: &Path) -> Result<File, BackupError> {
    let path = folder.join(LOCK);
    let wrong = |error| BackupError::file(&path, error);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::Locked {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(wrong(error)),
    }
}
