//! What the service makes is its owner's alone, whatever the umask.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::key::PrivateKey;
use tests::{ORIGIN, Service, dragonsd, stderr};

/// The same command under a umask.
fn under(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("umask {umask}; exec \"$@\""))
        .arg("sh");
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// A folder and all that is in it.
fn tree(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.is_dir() {
            found.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    found
}

fn assert_private(root: &Path) {
    for path in tree(root) {
        let (mode, path) = (mode(&path), path.display());
        assert_eq!(mode & 0o077, 0, "{mode:o} {path}");
    }
}

#[test]
fn keys_and_store_are_private_under_a_umask_of_0() {
    let mut service = Service::new();
    assert!(service.stop().success());
    fs::remove_dir_all(service.data()).unwrap();
    let mut init = dragonsd().command();
    init.args(["init", "--origin", ORIGIN, "--data"])
        .arg(service.data());
    let made = under("000", &init).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    // What says whom to trust is for whoever verifies the log, where the folder lets them.
    assert_eq!(mode(&service.trust()), 0o644);
    fs::set_permissions(service.trust(), fs::Permissions::from_mode(0o600)).unwrap();
    assert_private(&service.data());
    let serve = service.serve_command();
    service.start_by(under("000", &serve));
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    let mut backup = dragonsd().command();
    backup
        .args(["backup", "create", "--with-keys", "--data"])
        .arg(service.data());
    backup.arg("--to").arg(service.scratch("backups"));
    let made = under("000", &backup).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    assert_private(&service.data());
    assert_private(&service.scratch("backups"));
}

#[test]
fn a_store_that_was_open_to_all_is_made_private_by_a_start() {
    let mut service = Service::new();
    service.stop();
    let store = service.data().join("store");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o777)).unwrap();
    service.start();
    assert_eq!(mode(&store), 0o700);
}
