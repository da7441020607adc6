//! A byte flips on the disk, in each table of the store: a start or `fsck` finds it, and nothing false is served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::key::PrivateKey;
use tests::{Service, dragonsd};

const TABLES: [&str; 6] = [
    "default",
    "leaves",
    "tiles",
    "records",
    "mentions",
    "checkpoints",
];

/// Within the first block of rows of a table's file.
const FIRST_BLOCK: usize = 20;

/// What is asked of each service, sound or damaged.
fn questions(service: &Service) -> Vec<String> {
    let mut paths: Vec<String> = (0..service.size())
        .step_by(17)
        .map(|index| format!("/v1/entries/{index}"))
        .collect();
    let entry = service.get("/v1/entries/1").json();
    let record = entry["record"].as_str().unwrap();
    paths.extend([
        format!("/v1/records/{record}"),
        "/tile/0/000".to_owned(),
        "/tile/entries/000".to_owned(),
        "/v1/checkpoints?limit=1000".to_owned(),
        "/v1/agents/a/timeline".to_owned(),
    ]);
    paths
}

/// What an answer says that does not change as the log grows.
fn said(path: &str, body: &[u8]) -> Vec<u8> {
    if path.starts_with("/v1/checkpoints") {
        let mut lines = body.split_inclusive(|byte| *byte == b'\n');
        return lines.next().unwrap_or_default().to_vec();
    }
    if path.ends_with("/timeline") {
        let told: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        return told["entries"].to_string().into_bytes();
    }
    body.to_vec()
}

/// The files of a store in which its rows are, once all of it was flushed.
fn files(service: &Service) -> Vec<PathBuf> {
    let files = fs::read_dir(service.data().join("store")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "sst"))
        .collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}

fn tables_in(bytes: &[u8]) -> Vec<&'static str> {
    let named = |table: &&str| {
        let name = table.as_bytes();
        bytes.windows(name.len()).any(|window| window == name)
    };
    TABLES.into_iter().filter(named).collect()
}

#[test]
fn a_flipped_byte_of_each_table_is_found_and_never_served() {
    let mut service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(600);
    let backups = service.scratch("backups");
    // A backup flushes what is in memory alone into files.
    let data = service.data();
    let words = ["backup", "create", "--data", data.to_str().unwrap(), "--to"];
    dragonsd().succeed(words.into_iter().chain([backups.to_str().unwrap()]));
    let paths = questions(&service);
    let truth: Vec<_> = paths
        .iter()
        .map(|path| said(path, &service.get(path).body))
        .collect();
    assert!(service.stop().success());
    let (store, sound) = (data.join("store"), service.scratch("sound"));
    copy(&store, &sound);

    let (mut found, mut started) = (Vec::new(), 0);
    for path in files(&service) {
        let bytes = fs::read(&path).unwrap();
        let mut broken = bytes.clone();
        broken[FIRST_BLOCK] ^= 0x10;
        fs::write(&path, &broken).unwrap();
        let fsck = dragonsd().run(["fsck", "--data", data.to_str().unwrap()]);
        assert_ne!(fsck.status.code(), Some(0), "{}", path.display());
        let command = service.serve_command();
        match service.try_start_by(command) {
            Err(status) => assert!(!status.success()),
            Ok(()) => {
                started += 1;
                for (path, truth) in paths.iter().zip(&truth) {
                    let answer = service.get(path);
                    let is_so = answer.status == 200 && said(path, &answer.body) == *truth;
                    assert!(is_so || answer.status >= 500, "{path}");
                }
                service.kill();
            }
        }
        // A start merges tables and removes what it has merged.
        fs::remove_dir_all(&store).unwrap();
        copy(&sound, &store);
        found.extend(tables_in(&bytes));
    }
    for table in TABLES {
        assert!(found.contains(&table), "no file of {table} was damaged");
    }
    let fsck = dragonsd().run(["fsck", "--data", data.to_str().unwrap()]);
    assert_eq!(fsck.status.code(), Some(0), "{}", tests::stderr(&fsck));
    println!(
        "{} files, of which {started} were served with what was sound",
        found.len()
    );
}
