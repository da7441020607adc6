//! A directory that is there only when it is whole: its files are written beside it, and it takes its name at the end.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use host::durable;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// What a directory is open to before the user's mask, as for every program; of a file the system's default is that.
const DIRECTORY_MODE: u32 = 0o777;

/// The file with the fingerprints of the others, as `sha256sum -c` reads it.
const SUMS: &str = "SHA256SUMS";

/// A directory that is being made.
#[derive(Debug)]
pub(crate) struct Folder {
    out: PathBuf,
    beside: TempDir,
    written: Vec<Written>,
}

/// A file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// What it is called.
    pub(crate) name: String,
    /// How long it is.
    pub(crate) bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub(crate) sha256: String,
}

/// A file that is being written, and hashed on its way.
#[derive(Debug)]
pub(crate) struct Sink {
    name: String,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Folder {
    /// Begins a directory, which must not be there yet, or be empty.
    ///
    /// # Errors
    ///
    /// If it holds something, is where this program runs, or nothing can be written beside it.
    pub(crate) fn begin(out: &Path) -> Result<Self> {
        let unusable = || format!("{out:?} could not be made");
        let out = match fs::read_dir(out) {
            Ok(mut there) => {
                ensure!(there.next().is_none(), "{out:?} is not empty");
                let out = fs::canonicalize(out).with_context(unusable)?;
                // A new directory takes its place: whoever is in the old one would be in none.
                let is_here = std::env::current_dir().is_ok_and(|here| here == out);
                ensure!(
                    !is_here,
                    "{out:?} is where this runs: name a directory to make"
                );
                out
            }
            Err(error) if error.kind() == ErrorKind::NotFound => out.to_path_buf(),
            Err(error) => return Err(error).with_context(unusable),
        };
        let parent = durable::folder_of(&out);
        let beside = tempfile::Builder::new()
            .prefix(".dragons-")
            .permissions(Permissions::from_mode(DIRECTORY_MODE))
            .tempdir_in(parent);
        Ok(Self {
            beside: beside.with_context(unusable)?,
            out,
            written: Vec::new(),
        })
    }

    /// Begins a file of it, in a folder of it if the name has one in front.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub(crate) fn file(&self, name: &str) -> Result<Sink> {
        let path = self.path(name);
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        let file = folder.and_then(|()| File::create_new(path));
        let file = file.with_context(|| format!("{name} could not be made"))?;
        Ok(Sink {
            name: name.to_owned(),
            file: BufWriter::new(file),
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// Ends a file.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn end(&mut self, file: Sink) -> Result<()> {
        let name = file.name.clone();
        let written = file.finish();
        let written = written.with_context(|| format!("{name} could not be written"))?;
        if name.contains('/') {
            let folder = self.path(&name);
            let synced = File::open(durable::folder_of(&folder)).and_then(|it| it.sync_all());
            synced.with_context(|| format!("{name} could not be written"))?;
        }
        self.written.push(written);
        Ok(())
    }

    /// Writes a whole file.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn write(&mut self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let mut file = self.file(name)?;
        let written = file.write_all(content.as_ref());
        written.with_context(|| format!("{name} could not be written"))?;
        self.end(file)
    }

    /// Where a file of it is until then.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.beside.path().join(name)
    }

    /// The fingerprint of a file that has been written.
    pub(crate) fn sha256(&self, name: &str) -> Option<&str> {
        let written = self.written.iter().find(|it| it.name == name);
        written.map(|it| it.sha256.as_str())
    }

    /// Gives the directory its name, and tells what is in it.
    ///
    /// # Errors
    ///
    /// If something has come there meanwhile, or it cannot be written.
    pub(crate) fn finish(mut self) -> Result<Vec<Written>> {
        let line = |it: &Written| format!("{}  {}\n", it.sha256, it.name);
        let sums: String = self.written.iter().map(line).collect();
        self.write(SUMS, &sums)?;
        let Self {
            out,
            beside,
            written,
        } = self;
        let placed = place(beside, &out);
        placed.with_context(|| format!("{out:?} could not be made"))?;
        Ok(written)
    }
}

/// On the disk before it takes its name: a machine that stops must not leave half of it there.
fn place(beside: TempDir, out: &Path) -> io::Result<()> {
    durable::place_folder(beside.path(), out)?;
    // It is not there under that name any more, and not to be removed.
    let _ = beside.keep();
    Ok(())
}

impl Sink {
    fn finish(self) -> io::Result<Written> {
        let file = self.file.into_inner();
        file.map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let hash = self.hash.finalize();
        Ok(Written {
            name: self.name,
            bytes: self.bytes,
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.hash.update(&bytes[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let there = fs::read_dir(directory).unwrap();
        let names = there.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_directory_is_whole_or_not_there() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("out");
        let mut folder = Folder::begin(&out).unwrap();
        folder.write("a", "abc").unwrap();
        assert!(!out.exists());
        drop(folder);
        assert_eq!(names(parent.path()), [""; 0], "nothing is left behind");

        let mut folder = Folder::begin(&out).unwrap();
        folder.write("a", "abc").unwrap();
        let written = folder.finish().unwrap();
        // FIPS 180-2, B.1.
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((written[0].bytes, written[0].sha256.as_str()), (3, sha256));
        assert_eq!(names(parent.path()), ["out"]);
        assert_eq!(names(&out), ["SHA256SUMS", "a"]);
        let sums = fs::read_to_string(out.join(SUMS)).unwrap();
        assert_eq!(sums, format!("{sha256}  a\n"));
    }

    #[test]
    fn what_is_there_is_not_touched() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("out");
        fs::create_dir(&out).unwrap();
        let folder = Folder::begin(&out).unwrap();
        fs::write(out.join("mine"), "x").unwrap();
        assert!(folder.finish().is_err(), "it came meanwhile");
        assert!(Folder::begin(&out).is_err(), "it was there before");
        assert!(Folder::begin(&out.join("mine")).is_err(), "it is a file");
        assert_eq!(names(&out), ["mine"]);
        assert_eq!(names(parent.path()), ["out"]);
    }

    #[test]
    fn an_empty_directory_is_filled() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("out");
        fs::create_dir(&out).unwrap();
        Folder::begin(&out).unwrap().finish().unwrap();
        assert_eq!(names(&out), ["SHA256SUMS"]);
    }
}
