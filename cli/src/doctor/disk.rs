//! Room on the disk.

use std::io;
use std::path::{Path, PathBuf};

use super::report::{Check, Missing};

const MIB: u64 = 1024 * 1024;

/// Below this a service logs nothing more, unless its settings say otherwise.
pub(super) const SERVICE_BYTES: u64 = 256 * MIB;

/// What a journal should be able to grow by: an action costs it some 8 KiB, so this is room for 2,000 of them.
pub(super) const JOURNAL_BYTES: u64 = 16 * MIB;

/// How many times what is needed there should be, so that somebody has time to act.
const COMFORTABLE: u64 = 4;

/// Looks at the disk that a folder is on, or will be.
pub(super) fn examine(
    name: &'static str,
    folder: &Path,
    needed_bytes: u64,
    without: &str,
) -> Check {
    match free_bytes(folder) {
        Ok((place, free_bytes)) => judge(name, &place, free_bytes, needed_bytes, without),
        Err(error) => {
            let missing = Missing::new(format!("{folder:?}: {error}"), "Make it readable for you.");
            Check::not_checked(name, &missing)
        }
    }
}

fn judge(
    name: &'static str,
    place: &Path,
    free_bytes: u64,
    needed_bytes: u64,
    without: &str,
) -> Check {
    let detail = format!("{} MiB free at {place:?}", free_bytes / MIB);
    let advice = format!(
        "Make room: {} MiB are comfortable.",
        needed_bytes * COMFORTABLE / MIB
    );
    if free_bytes < needed_bytes {
        return Check::problem(name, detail, without, advice);
    }
    if free_bytes < needed_bytes * COMFORTABLE {
        let soon = format!("At less than {} MiB: {without}", needed_bytes / MIB);
        return Check::warning(name, detail, soon, advice);
    }
    Check::ok(name, detail)
}

/// What somebody without privileges can still write, at the nearest folder that is there.
fn free_bytes(folder: &Path) -> io::Result<(PathBuf, u64)> {
    let mut error = io::Error::from(io::ErrorKind::NotFound);
    for place in folder.ancestors().filter(|place| *place != Path::new("")) {
        match rustix::fs::statvfs(place) {
            Ok(disk) => {
                return Ok((
                    place.to_owned(),
                    disk.f_bavail.saturating_mul(disk.f_frsize),
                ));
            }
            Err(rustix::io::Errno::NOENT) => {}
            Err(other) => {
                error = other.into();
                break;
            }
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_judged_by_what_is_needed() {
        for (free_bytes, result) in [
            (0, "problem"),
            (MIB - 1, "problem"),
            (MIB, "warning"),
            (4 * MIB, "ok"),
        ] {
            let check = judge(
                "disk",
                Path::new("."),
                free_bytes,
                MIB,
                "Nothing is written.",
            );
            assert_eq!(check.result(), result, "{free_bytes}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let (place, _) = free_bytes(&folder.path().join("a/b")).unwrap();
        assert_eq!(place, folder.path());
    }
}
