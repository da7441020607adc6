//! A directory that is checked more than once: files that have not changed are not read again.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ignored::Ignored;
use super::{Listings, ManifestError, Reading, Version, read_config, version};

/// A directory, and the version that it held when it was looked at last.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    first: Version,
    reading: Reading,
}

impl Directory {
    /// Reads the version in a directory.
    ///
    /// # Errors
    ///
    /// [`ManifestError`].
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let reading = Reading::of(path, &mut |_, _| {})?;
        Ok(Self {
            path: path.to_owned(),
            first: reading.version.clone(),
            reading,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version that it held when it was read first.
    pub const fn first(&self) -> &Version {
        &self.first
    }

    /// Takes the version that it held when it was looked at last for the first.
    pub fn begin_anew(&mut self) {
        self.first = self.reading.version.clone();
    }

    /// The version that it held when it was looked at last.
    pub const fn version(&self) -> &Version {
        &self.reading.version
    }

    /// Looks again, and gives the version that the directory holds now.
    ///
    /// # Errors
    ///
    /// [`ManifestError`].
    pub fn look_again(&mut self) -> Result<&Version, ManifestError> {
        let begun = SystemTime::now();
        match self.untouched()? {
            Some(version) => {
                self.reading.version = version;
                self.reading.begun = begun;
            }
            None => self.reading = Reading::of(&self.path, &mut |_, _| {})?,
        }
        Ok(&self.reading.version)
    }

    /// The version, if no file of the two sets was touched. Tools and prompts are digested from their files each time.
    fn untouched(&self) -> Result<Option<Version>, ManifestError> {
        let before = &self.reading;
        let config = read_config(&self.path)?;
        if config != before.config {
            return Ok(None);
        }
        let ignored = Ignored::of(&config.ignore)?;
        let now = Listings::of(&self.path, &config, &ignored, &mut |_| {})?;
        let is_same = now
            .code
            .is_untouched_since(&before.listings.code, before.begun)
            && now
                .config
                .is_untouched_since(&before.listings.config, before.begun);
        if !is_same {
            return Ok(None);
        }
        let (code, files) = (before.version.code.clone(), before.version.config.clone());
        version(&self.path, &config, &ignored, code, files).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const AGENT: &str = "agent = 'a'\nversion = '1'\ncode = ['src']\ncapabilities = []\n\
        [[prompts]]\nname = 'p'\nfile = 'prompt'\n";

    #[test]
    fn whatever_changes_is_seen_and_what_was_not_touched_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        fs::create_dir(directory.path().join("src")).unwrap();
        for (name, text) in [("agent.toml", AGENT), ("src/a", "1"), ("prompt", "x")] {
            write(name, text);
        }
        let mut known = Directory::read(directory.path()).unwrap();
        // As if it had been read long after the last change.
        known.reading.begun = SystemTime::now() + Duration::from_secs(60);
        let first = known.version().manifest.hash();
        assert_eq!(known.look_again().unwrap().manifest.hash(), first);
        let mut hashes = vec![first];
        let edits: [&dyn Fn(); 5] = [
            // As long as before, and with its old time.
            &|| {
                let path = directory.path().join("src/a");
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                write("src/a", "2");
                File::open(path).unwrap().set_modified(modified).unwrap();
            },
            &|| write("prompt", "y"),
            &|| write("src/b", ""),
            &|| {
                fs::rename(
                    directory.path().join("src/b"),
                    directory.path().join("src/c"),
                )
                .unwrap();
            },
            &|| write("agent.toml", &AGENT.replace("'1'", "'2'")),
        ];
        for edit in edits {
            known.reading.begun = UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 2);
            edit();
            let hash = known.look_again().unwrap().manifest.hash();
            assert!(!hashes.contains(&hash));
            hashes.push(hash);
        }
    }
}
