//! Backups: made while the service runs, read whole, restored into a folder that signs nothing until it is known where
//! the log ended.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ledger::key::PrivateKey;
use tests::{Answer, Service, dragonsd, stderr};
use tlog::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};

fn service() -> Service {
    let service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service
}

fn see(service: &Service, id: &str) -> u64 {
    service.log(&service.signer().observation("a", id))
}

/// `dragonsd backup …`, where a few words stand for folders of the test.
fn backup(service: &Service, words: &[&str]) -> Output {
    let mut command = dragonsd().command();
    command.arg("backup");
    for word in words {
        match *word {
            "DATA" => command.arg(service.data()),
            "BACKUPS" => command.arg(service.scratch("backups")),
            "RESTORED" => command.arg(restored(service)),
            word => command.arg(word),
        };
    }
    command.output().unwrap()
}

fn succeed(service: &Service, words: &[&str]) -> String {
    let output = backup(service, words);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{words:?}\n{said}");
    String::from_utf8(output.stdout).unwrap() + &said
}

fn create(service: &Service) -> String {
    succeed(service, &["create", "--data", "DATA", "--to", "BACKUPS"])
}

fn restored(service: &Service) -> PathBuf {
    service.scratch("restored")
}

fn restore(service: &Service) -> String {
    let words = ["restore", "--from", "BACKUPS", "--data", "RESTORED"];
    succeed(service, &words)
}

/// Shows a checkpoint to the restored folder: the exit code, and what is said.
fn show(service: &Service, checkpoint: &str) -> (Option<i32>, String) {
    let file = service.scratch("shown");
    fs::write(&file, checkpoint).unwrap();
    let file = file.to_str().unwrap();
    let words = ["restore", "--data", "RESTORED", "--resume-after", file];
    let output = backup(service, &words);
    (output.status.code(), stderr(&output))
}

/// Serves the restored folder with the log's own keys.
fn serve_restored(service: &mut Service) {
    let mut command = dragonsd().command();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
    ]);
    command.arg("--data").arg(restored(service));
    command.arg("--keys").arg(service.data().join("keys"));
    service.start_by(command);
}

fn checkpoint(service: &Service) -> String {
    service.get("/checkpoint").text()
}

fn size_of(checkpoint: &str) -> u64 {
    let signed = SignedCheckpoint::parse(checkpoint).unwrap();
    signed.unverified().size.get()
}

fn verified(service: &Service, checkpoint: &str) -> VerifiedCheckpoint {
    let signed = SignedCheckpoint::parse(checkpoint).unwrap();
    signed.verify(&service.log_key()).unwrap()
}

/// It is read, and nothing is signed.
fn assert_withheld(service: &Service, size: u64) {
    let newest = checkpoint(service);
    let record = service.signer().observation("a", "withheld");
    let answer = service.post(record.envelope().to_json());
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert!(answer.text().contains("was restored"), "{}", answer.text());
    let stop = service.signer().stop_after("a", None);
    assert_eq!(service.post(stop.envelope().to_json()).status, 503);
    let ready = service.get("/readyz");
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(
        service.get(&format!("/v1/entries/{}", size - 1)).status,
        200
    );
    assert_eq!(checkpoint(service), newest);
    assert_eq!(size_of(&newest), size);
}

#[test]
fn a_backup_is_made_under_load_and_what_is_restored_signs_nothing() {
    let mut service = service();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                see(&service, &format!("load {n}"));
            }
        });
        for number in ["1", "2", "3"] {
            let said = create(&service);
            assert_eq!(said.lines().next(), Some(number), "{said}");
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(!service.data().join("backup.store").exists());
    let said = succeed(&service, &["verify", "--from", "BACKUPS"]);
    assert!(
        said.contains("backup 3: ") && said.contains("0 findings"),
        "{said}"
    );
    let listed = succeed(&service, &["list", "--from", "BACKUPS"]);
    assert_eq!(listed.lines().count(), 4, "{listed}");
    restore(&service);
    let newest = checkpoint(&service);
    service.stop();
    serve_restored(&mut service);
    assert!(service.stderr().contains("nothing is signed until"));
    let size = size_of(&checkpoint(&service));
    assert!(size > 2 && size < size_of(&newest));
    assert_withheld(&service, size);
    assert!(service.stop().success());
    let folder = restored(&service);
    dragonsd().succeed(["fsck", "--data", folder.to_str().unwrap()]);
    // It remembers, however often it is started.
    serve_restored(&mut service);
    assert_withheld(&service, size);
}

#[test]
fn a_restored_log_goes_on_behind_the_newest_checkpoint_and_behind_no_other() {
    let mut service = service();
    let earlier = checkpoint(&service);
    see(&service, "before");
    service.stop();
    // Without a service the store itself is copied.
    create(&service);
    let listed = succeed(&service, &["list", "--from", "BACKUPS"]);
    let row = listed.lines().nth(1).unwrap();
    let size: u64 = row.split_whitespace().nth(2).unwrap().parse().unwrap();
    restore(&service);
    serve_restored(&mut service);
    let last = checkpoint(&service);
    assert_withheld(&service, size);
    service.stop();
    // The log went on elsewhere: a start logs a pulse, and this an observation.
    service.start();
    see(&service, "after");
    let later = checkpoint(&service);
    service.stop();

    let (code, said) = show(&service, &later);
    assert_eq!(code, Some(1), "{said}");
    let last_missing = size_of(&later) - 1;
    let missing = format!("entries {size} to {last_missing} are missing");
    assert!(
        said.contains(&missing) && said.contains("Restore a newer backup"),
        "{said}"
    );
    let (code, said) = show(&service, &earlier);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("something newer was published"), "{said}");
    let forged = last.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size + 5), 1);
    let (code, said) = show(&service, &forged);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("no key that the restored log names"),
        "{said}"
    );
    let other = Service::new();
    let (code, said) = show(&service, &checkpoint(&other));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("no key") || said.contains("another log"),
        "{said}"
    );
    assert_eq!(show(&service, "hello\n").0, Some(1));
    serve_restored(&mut service);
    assert_withheld(&service, size);
    service.stop();

    let (code, said) = show(&service, &last);
    assert_eq!(code, Some(0), "{said}");
    serve_restored(&mut service);
    see(&service, "resumed");
    let newest = service.checkpoint();
    let last = verified(&service, &last);
    let path = format!("/v1/consistency?old={}&new={}", last.size(), newest.size());
    let answer = service.get(&path).json();
    let hashes = answer["hashes"].as_array().unwrap().iter();
    let proof: Vec<tlog::Hash> = hashes
        .map(|hash| hash.as_str().unwrap().parse().unwrap())
        .collect();
    let (old, new) = ((last.size(), last.root()), (newest.size(), newest.root()));
    tlog::consistency::verify(&proof, old.0, old.1, new.0, new.1).unwrap();
}

#[test]
fn a_fork_is_not_resumed() {
    let mut service = service();
    service.stop();
    create(&service);
    restore(&service);
    service.start();
    while service.size() < 6 {
        see(&service, "one way");
        see(&service, "and on");
    }
    let size = service.size();
    service.stop();
    // The backup is given other entries up to the same size, as if somebody had made it sign.
    let copied = service.scratch("copied");
    cp(&restored(&service), &copied);
    fs::remove_file(copied.join("restored.json")).unwrap();
    let mut command = dragonsd().command();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
    ]);
    command
        .arg("--data")
        .arg(&copied)
        .arg("--keys")
        .arg(service.data().join("keys"));
    service.start_by(command);
    let mut n = 0;
    while service.size() < size {
        see(&service, &format!("another way {n}"));
        n += 1;
    }
    let other = checkpoint(&service);
    assert_eq!(size_of(&other), size);
    service.stop();
    fs::remove_dir_all(restored(&service)).unwrap();
    fs::remove_dir_all(service.scratch("backups")).unwrap();
    create(&service);
    restore(&service);
    let (code, said) = show(&service, &other);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another history"), "{said}");
}

fn cp(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}

#[test]
fn keys_are_in_a_backup_only_when_that_is_said_and_all_of_it_is_private() {
    let mut service = service();
    create(&service);
    assert!(!service.scratch("backups/1/keys").exists());
    restore(&service);
    assert!(!restored(&service).join("keys").exists());
    fs::remove_dir_all(restored(&service)).unwrap();
    let words = ["create", "--data", "DATA", "--to", "BACKUPS", "--with-keys"];
    let said = succeed(&service, &words);
    assert!(said.contains("with its keys"), "{said}");
    restore(&service);
    for key in ["log", "control"] {
        let name = format!("keys/{key}.pem");
        let (one, other) = (service.data().join(&name), restored(&service).join(&name));
        assert_eq!(fs::read(one).unwrap(), fs::read(other).unwrap());
    }
    for root in [service.scratch("backups"), restored(&service)] {
        for path in tree(&root) {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            let is_trust = path.ends_with("trust.json");
            assert!(mode & 0o077 == 0 || is_trust, "{mode:o} {}", path.display());
        }
    }
    let socket = service.data().join("backup.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(service.stop().success());
    assert!(!socket.exists());
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

#[test]
fn a_byte_that_flips_anywhere_in_a_backup_is_found() {
    let service = service();
    service.fill(300);
    create(&service);
    succeed(&service, &["verify", "--from", "BACKUPS"]);
    let root = service.scratch("backups");
    let mut flipped = 0;
    for path in tree(&root).into_iter().filter(|path| path.is_file()) {
        let bytes = fs::read(&path).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let mut broken = bytes.clone();
        let middle = bytes.len() / 2;
        broken[middle] ^= 1;
        fs::write(&path, &broken).unwrap();
        let output = backup(&service, &["verify", "--from", "BACKUPS"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{}\n{said}", path.display());
        assert!(said.contains("backup 1: "), "{}\n{said}", path.display());
        let words = ["restore", "--from", "BACKUPS", "--data", "RESTORED"];
        assert_ne!(backup(&service, &words).status.code(), Some(0));
        assert!(
            !restored(&service).join("trust.json").exists(),
            "it can be served"
        );
        let _ = fs::remove_dir_all(restored(&service));
        fs::write(&path, &bytes).unwrap();
        flipped += 1;
    }
    assert!(flipped > 8, "tables, manifests, the trust: {flipped}");
    succeed(&service, &["verify", "--from", "BACKUPS"]);
}

#[test]
fn a_snapshot_goes_with_whoever_asked_and_with_a_service_that_was_killed() {
    let mut service = service();
    let snapshot = service.data().join("backup.store");
    let ask = |service: &Service| {
        let stream = UnixStream::connect(service.data().join("backup.sock")).unwrap();
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).unwrap();
        assert!(answer.starts_with("{\"snapshot\":\""), "{answer}");
        assert!(snapshot.join("CURRENT").exists());
        stream
    };
    let first = ask(&service);
    drop(first);
    // The next one waits until the one before is gone.
    let second = ask(&service);
    see(&service, "meanwhile");
    service.kill();
    drop(second);
    assert!(snapshot.exists(), "it was killed");
    service.start();
    assert!(!snapshot.exists());
    create(&service);
    // The service removes it once it sees that whoever asked is gone.
    while snapshot.exists() {
        see(&service, "meanwhile");
    }
    let words = ["create", "--data", "DATA", "--to", "BACKUPS", "--keep", "2"];
    for number in ["2", "3"] {
        assert!(succeed(&service, &words).starts_with(number));
    }
    let listed = succeed(&service, &["list", "--from", "BACKUPS"]);
    let numbers = listed.lines().skip(1).map(|line| &line[..1]);
    assert_eq!(numbers.collect::<Vec<_>>(), ["2", "3"], "{listed}");
    succeed(&service, &["verify", "--from", "BACKUPS"]);
}

#[test]
fn what_would_mix_or_overwrite_something_is_refused() {
    let service = service();
    let refused = |words: &[&str], why: &str| {
        let output = backup(&service, words);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?}\n{said}");
        assert!(said.contains(why), "{words:?}\n{said}");
    };
    let inside = service.data().join("backups");
    let inside = inside.to_str().unwrap();
    refused(
        &["create", "--data", "DATA", "--to", inside],
        "is in the data folder",
    );
    refused(&["list", "--from", "BACKUPS"], "there is no backup");
    create(&service);
    refused(
        &["restore", "--from", "BACKUPS", "--data", "DATA"],
        "not empty",
    );
    refused(
        &["verify", "--from", "BACKUPS", "--id", "7"],
        "does not exist",
    );
    let file = service.scratch("shown");
    fs::write(&file, checkpoint(&service)).unwrap();
    let file = file.to_str().unwrap();
    let words = ["restore", "--data", "DATA", "--resume-after", file];
    refused(&words, "was not restored from a backup");
    refused(&["restore", "--data", "RESTORED"], "--from");
    let other = Service::new();
    let output = dragonsd()
        .command()
        .args(["backup", "create", "--data"])
        .arg(other.data())
        .arg("--to")
        .arg(service.scratch("backups"))
        .output()
        .unwrap();
    assert!(
        stderr(&output).contains("another log"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_checkpoint_is_shown_at_an_address_as_well() {
    let mut service = service();
    service.stop();
    create(&service);
    restore(&service);
    serve_restored(&mut service);
    let last = checkpoint(&service);
    service.stop();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/checkpoint", listener.local_addr().unwrap());
    let answered = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", last.len());
        stream.write_all((head + &last).as_bytes()).unwrap();
    });
    succeed(
        &service,
        &["restore", "--data", "RESTORED", "--resume-after", &url],
    );
    answered.join().unwrap();
    serve_restored(&mut service);
    see(&service, "resumed");
    // Nobody answers there any more.
    let request = service.request("GET", "/healthz");
    assert_eq!(Answer::of(request).status, 200);
    let output = backup(
        &service,
        &["restore", "--data", "RESTORED", "--resume-after", &url],
    );
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
