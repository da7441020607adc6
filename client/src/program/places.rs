//! Directories whose programs are what their names say: those of the system, and those that an agent adds.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where the system keeps its programs.
pub const SYSTEM: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

/// Which of the places holds the file, as its path has it: a link that is there counts, for it was put there by whoever
/// may write there.
pub(super) fn holder_of(file: &Path, places: &[PathBuf]) -> Option<PathBuf> {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = std::fs::canonicalize(parent).ok()?;
    let mut places = places.iter().filter(|place| place.is_absolute());
    let is_it = |place: &&PathBuf| std::fs::canonicalize(place).is_ok_and(|place| place == parent);
    places.find(is_it).cloned()
}

/// That nobody but their owners can change what is found there: neither the directory, nor the file, nor where a link
/// leads.
pub(super) fn is_guarded(place: &Path, file: &Path) -> Result<(), String> {
    let end = std::fs::canonicalize(file).map_err(|error| format!("{file:?}: {error}"))?;
    let beside_end = end.parent().unwrap_or(&end).to_owned();
    for path in [place, &end, &beside_end] {
        let metadata = std::fs::metadata(path).map_err(|error| format!("{path:?}: {error}"))?;
        if is_open(&metadata) {
            return Err(format!("{path:?} can be written by others than its owner"));
        }
        if !is_ours_or_roots(&metadata) {
            return Err(format!("{path:?} belongs to another user"));
        }
    }
    Ok(())
}

fn is_open(metadata: &Metadata) -> bool {
    const OTHERS_WRITE: u32 = 0o002;
    metadata.mode() & OTHERS_WRITE != 0
}

fn is_ours_or_roots(metadata: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_place_that_others_can_write_guards_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("bin");
        fs::create_dir(&place).unwrap();
        let file = place.join("tool");
        fs::write(&file, "").unwrap();
        let places = [place.clone()];
        assert_eq!(holder_of(&file, &places), Some(place.clone()));
        assert_eq!(is_guarded(&place, &file), Ok(()));
        let set =
            |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(&file, 0o777);
        assert!(is_guarded(&place, &file).unwrap_err().contains("tool"));
        set(&file, 0o755);
        set(&place, 0o1777);
        assert!(is_guarded(&place, &file).unwrap_err().contains("bin"));
        set(&place, 0o755);
        // A link is as good as where it leads.
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("real"), "").unwrap();
        symlink("../elsewhere/real", place.join("link")).unwrap();
        let link = place.join("link");
        assert_eq!(holder_of(&link, &places), Some(place.clone()));
        assert_eq!(is_guarded(&place, &link), Ok(()));
        set(&elsewhere, 0o777);
        assert!(is_guarded(&place, &link).unwrap_err().contains("elsewhere"));
        // One that lies elsewhere and leads there does not.
        symlink(&file, elsewhere.join("tool")).unwrap();
        assert_eq!(holder_of(&elsewhere.join("tool"), &places), None);
    }
}
