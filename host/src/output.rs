//! Where a command writes its output: one function for every command that writes a file.
//!
//! It looks first. A regular file, and one that is not there yet, is put in place whole, once all is written; a link is
//! followed to what it leads to, and stays a link; a device, a pipe or a descriptor is written into as it is, and
//! never replaced; `-` is stdout.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};

use crate::durable::{self, Draft, Readers};

/// The name of stdout.
pub const STDOUT: &str = "-";

/// What the links of /dev/stdout come to.
const OUR_STDOUT: [&str; 3] = ["/proc/self/fd/1", "/dev/fd/1", "/proc/thread-self/fd/1"];

/// How many links are followed, one leading to the next: as many as Linux follows itself.
const MAX_LINKS: usize = 40;

/// Something that is being written.
#[derive(Debug)]
pub struct Output(To);

#[derive(Debug)]
enum To {
    Stdout(Stdout),
    /// It takes its name at the end.
    File(Draft),
    /// A device, a pipe: what was written is gone.
    Stream(File),
}

impl Output {
    /// Looks at what is there, and begins.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn to(path: &Path) -> io::Result<Self> {
        if path == Path::new(STDOUT) {
            return Ok(Self(To::Stdout(io::stdout())));
        }
        let path = followed(path)?;
        if OUR_STDOUT.iter().any(|name| path == Path::new(name)) {
            return Ok(Self(To::Stdout(io::stdout())));
        }
        match fs::metadata(&path) {
            Ok(there) if there.is_file() && !is_descriptor(&path) => {
                Self::in_place_of(&path, &there)
            }
            Ok(_) => {
                let stream = OpenOptions::new().append(true).open(&path)?;
                Ok(Self(To::Stream(stream)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self(To::File(Draft::of(&path, Readers::Anybody)?)))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether stdout is taken by this, so that nothing else is to be printed there.
    #[must_use]
    pub const fn is_stdout(&self) -> bool {
        matches!(self.0, To::Stdout(_))
    }

    /// Ends it: on the disk, under its name.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        match self.0 {
            To::File(draft) => draft.place(),
            To::Stdout(_) | To::Stream(_) => Ok(()),
        }
    }

    /// A file that its owner may not write to is not replaced either, though its folder would let it be.
    fn in_place_of(path: &Path, there: &Metadata) -> io::Result<Self> {
        OpenOptions::new().write(true).open(path)?;
        let draft = Draft::of(path, Readers::Anybody)?;
        Ok(Self(To::File(draft.as_was(there)?)))
    }
}

/// Writes a whole file, or whatever else the path leads to.
///
/// # Errors
///
/// As [`Output::to`] and [`Output::finish`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut output = Output::to(path)?;
    output.write_all(bytes)?;
    output.finish()
}

/// Where the links end. One that leads to nothing names the file that is to be made.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if is_descriptor(&path) {
            return Ok(path);
        }
        match fs::read_link(&path) {
            Ok(target) => path = durable::folder_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links, one leading to the next"))
}

/// The kernel's own links to open files: what they lead to is in somebody's hands, and its name says little.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/dev/fd")
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            To::Stdout(stdout) => stdout.write(bytes),
            To::File(draft) => draft.write(bytes),
            To::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            To::Stdout(stdout) => stdout.flush(),
            To::File(draft) => draft.flush(),
            To::Stream(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    #[test]
    fn a_regular_file_is_replaced_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mut begun = Output::to(&path).unwrap();
        begun.write_all(b"tw").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one", "not before it is whole");
        begun.write_all(b"o").unwrap();
        begun.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (there, link) = (folder.path().join("there"), folder.path().join("link"));
        let far = folder.path().join("far");
        fs::write(&there, "old").unwrap();
        symlink("there", &link).unwrap();
        symlink("nowhere yet", &far).unwrap();
        write(&link, b"new").unwrap();
        write(&far, b"made").unwrap();
        for link in [&link, &far] {
            assert!(fs::symlink_metadata(link).unwrap().is_symlink());
        }
        assert_eq!(fs::read(&there).unwrap(), b"new");
        let made = fs::read(folder.path().join("nowhere yet")).unwrap();
        assert_eq!(made, b"made");
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        symlink(&a, &b).unwrap();
        symlink(&b, &a).unwrap();
        write(&a, b"x").unwrap_err();
    }

    #[test]
    fn devices_and_pipes_are_written_into() {
        write(Path::new("/dev/null"), b"gone").unwrap();
        let null = fs::metadata("/dev/null").unwrap().file_type();
        assert!(null.is_char_device());
        let error = write(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut text = String::new();
                File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        write(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }

    #[test]
    fn an_open_file_is_written_into_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "before\n").unwrap();
        let open = OpenOptions::new().append(true).open(&path).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        write(Path::new(&format!("/dev/fd/{number}")), b"after\n").unwrap();
        (&open).write_all(b"end\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\nend\n");
        for stdout in ["-", "/dev/stdout", "/dev/fd/1"] {
            assert!(Output::to(Path::new(stdout)).unwrap().is_stdout());
        }
    }

    #[test]
    fn what_is_no_file_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), b"x").unwrap_err();
        assert!(folder.path().is_dir());
        write(&folder.path().join("absent/x"), b"x").unwrap_err();
    }
}
