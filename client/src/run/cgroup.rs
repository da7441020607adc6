//! A control group for CMD, where this process may make one: all that CMD starts is in it, whatever becomes of parents,
//! and the kernel ends all of it at once.
//!
//! It is a child of the group that this process is in (cgroups(7), version 2). Limits stay those of the parent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;

/// A group, removed when it is dropped.
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one, or nothing: most users may not.
    pub(super) fn make() -> Option<Self> {
        let group = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let parent = own_directory(&group, &mounts)?;
        let path = parent.join(format!("dragons-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let made = Self { path };
        // A kernel before 5.14 cannot end a group as one.
        made.path.join("cgroup.kill").exists().then_some(made)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its directory, open: by that a process is started in it.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        Ok(fs::File::open(&self.path)?.into())
    }
}

/// Kills all that is in a group. Whether the kernel did.
pub(super) fn kill(group: &Path) -> bool {
    fs::write(group.join("cgroup.kill"), "1").is_ok()
}

/// Removes a group; what still runs in it goes to the group above.
pub(super) fn remove(group: &Path) {
    if fs::remove_dir(group).is_ok() {
        return;
    }
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    if let Some(parent) = group.parent() {
        for member in members.lines() {
            // One that has ended meanwhile needs no place.
            let _ = fs::write(parent.join("cgroup.procs"), member);
        }
    }
    // One that cannot go now is empty and in nobody's way.
    let _ = fs::remove_dir(group);
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The directory of the group that this process is in.
fn own_directory(group: &str, mounts: &str) -> Option<PathBuf> {
    let path = group.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, mount) = mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        kind.starts_with("cgroup2 ")
            .then_some((place.next()?, place.next()?))
    })?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some(Path::new(mount).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_where_it_is_mounted() {
        let mounts = "30 23 0:26 / /sys rw - sysfs sysfs rw\n\
                      31 30 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let found = own_directory("1:name=x:/y\n0::/user.slice/a\n", mounts);
        assert_eq!(found.unwrap(), Path::new("/sys/fs/cgroup/user.slice/a"));
        assert_eq!(
            own_directory("0::/\n", mounts).unwrap(),
            Path::new("/sys/fs/cgroup")
        );
        let inside = mounts.replace("0:27 / ", "0:27 /docker/b ");
        let found = own_directory("0::/docker/b/c\n", &inside).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/c"));
        assert_eq!(own_directory("0::/else\n", &inside), None);
        assert_eq!(own_directory("4:memory:/\n", mounts), None);
        assert_eq!(own_directory("0::/\n", ""), None);
    }
}
