//! The files of a data folder beside the store: copied into a backup, compared with its manifest, put back.

use std::fs;
use std::path::{Path, PathBuf};

use host::bounded;
use host::durable::{self, Readers};
use ledger::digest::Digest;

use super::manifest::MAX_FILE_BYTES;
use super::{BackupError, Copied, Manifest};
use crate::init::{self, TRUST_FILE};

/// The folders whose files come along, in a data folder and in a backup.
const KEYS: &str = "keys";
const WEBHOOKS: &str = "webhooks";

/// Copies the files into a folder, the keys only from a folder that is named.
pub(super) fn stage(
    data: &Path,
    keys: Option<&Path>,
    to: &Path,
) -> Result<Vec<Copied>, BackupError> {
    let mut found = vec![(TRUST_FILE.to_owned(), data.join(TRUST_FILE))];
    for name in names(&data.join(WEBHOOKS))? {
        let path = format!("{WEBHOOKS}/{name}");
        found.extend(files(&data.join(&path), &path)?);
    }
    if let Some(keys) = keys {
        found.extend(files(keys, KEYS)?);
    }
    let copied = found.into_iter().map(|(path, from)| {
        let bytes = read(&from, MAX_FILE_BYTES)?;
        write(&to.join(&path), &bytes)?;
        Ok(Copied {
            path,
            bytes: bytes.len() as u64,
            sha256: Digest::of(&[&bytes]),
        })
    });
    copied.collect()
}

/// Puts the files of a backup into a folder, each compared with the manifest, and gives the trust file, which is not
/// put there: it says that a folder is finished.
pub(super) fn unpack(
    backup: &Path,
    manifest: &Manifest,
    data: &Path,
) -> Result<Vec<u8>, BackupError> {
    let mut trust = None;
    for file in &manifest.files {
        let path = backup.join(&file.path);
        let bytes = read(&path, file.bytes)?;
        if bytes.len() as u64 != file.bytes || Digest::of(&[&bytes]) != file.sha256 {
            return Err(BackupError::FileChanged { path });
        }
        match file.path == TRUST_FILE {
            true => trust = Some(bytes),
            false => write(&data.join(&file.path), &bytes)?,
        }
    }
    trust.ok_or(BackupError::Absent { id: manifest.id })
}

/// The regular files in a folder, each with its path in a backup. A folder that is not there has none.
fn files(folder: &Path, path: &str) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let named = names(folder)?.into_iter();
    let named = named.map(|name| (format!("{path}/{name}"), folder.join(name)));
    Ok(named.filter(|(_, from)| from.is_file()).collect())
}

/// The names in a folder, sorted; those that begin with a dot are left out.
fn names(folder: &Path) -> Result<Vec<String>, BackupError> {
    let wrong = |error| BackupError::file(folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(wrong)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(wrong)?.file_name();
        let name = name.to_str().filter(|name| !name.starts_with('.'));
        names.extend(name.map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, BackupError> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    Ok(bounded::read(path, most)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    init::create_folder(durable::folder_of(path))?;
    let written = durable::create(path, bytes, Readers::Owner);
    written.map_err(|error| BackupError::file(path, error))
}
