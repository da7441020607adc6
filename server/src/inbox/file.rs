//! The folder that the inbox keeps its requests in: a file an agent, named after it, each replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ledger::request::MAX_ENVELOPE_BYTES;
use ledger::text::Name;

use super::{MAX_REQUESTS, Received};

/// The longest file: an envelope as JSON, and what is said about it.
const MAX_FILE_BYTES: u64 = MAX_ENVELOPE_BYTES as u64 + 1_024;

/// What files of requests end with. A name of an agent has no slash and does not begin with a dot.
const SUFFIX: &str = ".json";

/// What a file is called while it is written. No agent can be called so.
const UNFINISHED: &str = ".unfinished";

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Reads what is there. A file that is not a request was not written by this program, and is not a reason not to start.
    pub(super) fn read(&self) -> io::Result<BTreeMap<Name, Received>> {
        let mut held = BTreeMap::new();
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            let Some(name) = agent(&path) else {
                continue;
            };
            match read(&path) {
                Ok(received)
                    if received.request.request().agent == name && held.len() < MAX_REQUESTS =>
                {
                    held.insert(name, received);
                }
                Ok(_) => {
                    tracing::warn!(path = %path.display(), "this request is in the wrong place or one too many");
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "this is not a request");
                }
            }
        }
        Ok(held)
    }

    /// Writes a request so that after a crash the old file or the new one is there.
    pub(super) fn write(&self, agent: &Name, received: &Received) -> io::Result<()> {
        let unfinished = self.0.join(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(received.to_value().to_json().as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, self.path(agent))?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes a request that nobody needs; one that stays behind is read and passed over at the next start.
    pub(super) fn remove(&self, agent: &Name) {
        let path = self.path(agent);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "an old request was not removed");
        }
    }

    fn path(&self, agent: &Name) -> PathBuf {
        self.0.join(format!("{}{SUFFIX}", agent.as_str()))
    }
}

fn agent(path: &Path) -> Option<Name> {
    path.file_name()?
        .to_str()?
        .strip_suffix(SUFFIX)?
        .parse()
        .ok()
}

fn read(path: &Path) -> io::Result<Received> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)?;
    Received::parse(&bytes).map_err(io::Error::other)
}
