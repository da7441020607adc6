//! Whether two descriptors are one open file, as those of `2>&1` are.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;

/// `KCMP_FILE` of linux/kcmp.h: compares open files, not what they are open on.
const KCMP_FILE: libc::c_int = 0;

/// Whether two descriptors are one open file. Where the kernel does not say, two on one file are taken for one unless
/// that is a regular file, of which each has its own place.
pub fn is_one_file(one: impl AsFd, other: impl AsFd) -> bool {
    let (one, other) = (one.as_fd(), other.as_fd());
    let pid = std::process::id();
    // SAFETY: kcmp(2) takes five numbers and touches no memory of ours.
    let order = unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            pid,
            pid,
            KCMP_FILE,
            one.as_raw_fd(),
            other.as_raw_fd(),
        )
    };
    if order >= 0 {
        return order == 0;
    }
    let file = |descriptor: std::os::fd::BorrowedFd<'_>| {
        let file = File::from(descriptor.try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok()?;
        (!metadata.is_file()).then(|| (metadata.dev(), metadata.ino()))
    };
    file(one).is_some_and(|found| file(other) == Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_is_one_file_and_a_second_opening_is_not() {
        let first = File::open("/proc/self/exe").unwrap();
        let second = File::open("/proc/self/exe").unwrap();
        assert!(is_one_file(&first, first.try_clone().unwrap()));
        assert!(!is_one_file(&first, &second));
    }
}
