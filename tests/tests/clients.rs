//! A client that needs no program of ours: the shell scripts of `docs/clients.md`, taken out of the page as they stand.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ledger::key::PrivateKey;
use tempfile::TempDir;
use tests::{ORIGIN, Service, read};
use tlog::checkpoint::{Checkpoint, SignedCheckpoint};
use tlog::cosignature::Cosigner;
use tlog::note::KeyName;

const PROOF: &str = include_str!("../../ledger/src/verify/golden/entry-6.tlog-proof");
const LOG_KEY: &str =
    "example.com/workledger+83a157e8+AYqHX/8es4RRV3rNWv7kBUVlaN18ieCQhjoFV7x69J8X";
const RECORD: &str = "sha256:717933585bb4abf108c695cbba63a202e6480ddabc0f8e39cb09a86dc3bddc97";

/// A folder with the scripts of the page.
struct Scripts(TempDir);

impl Scripts {
    fn of_the_page() -> Self {
        let folder = TempDir::new().unwrap();
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients.md");
        let page = read(&page);
        let blocks = page.split("\n```sh ").skip(1);
        for block in blocks {
            let (name, script) = block.split_once('\n').unwrap();
            let (script, _) = script.split_once("\n```\n").unwrap();
            std::fs::write(folder.path().join(name), format!("{script}\n")).unwrap();
        }
        Self(folder)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("sh");
        command.arg(self.0.path().join(script)).args(arguments);
        command.output().unwrap()
    }

    /// What `check.sh` says of some evidence; `None` if it refuses it.
    fn check(&self, evidence: impl AsRef<[u8]>, keys: &[&str]) -> Option<String> {
        let file = self.file("evidence", evidence);
        let arguments = [&[file.to_str().unwrap()], keys].concat();
        let output = self.run("check.sh", &arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => Some(String::from_utf8(output.stdout).unwrap()),
            Some(1) if stderr.starts_with("FAILED: ") => None,
            other => panic!("{other:?}: {stderr}"),
        }
    }
}

/// The checkpoint at the end of the proof file.
fn checkpoint() -> &'static str {
    PROOF.split_once("\n\n").unwrap().1
}

#[test]
fn sound_evidence_holds() {
    let scripts = Scripts::of_the_page();
    let said = scripts.check(checkpoint(), &[LOG_KEY]);
    assert_eq!(
        said.as_deref(),
        Some("checked: example.com/workledger has 16 entries\n")
    );
    let said = scripts.check(PROOF, &[LOG_KEY]).unwrap();
    assert!(said.ends_with("checked: this is entry 6\n"), "{said}");
}

#[test]
fn every_line_that_is_changed_or_missing_is_refused() {
    let scripts = Scripts::of_the_page();
    let lines: Vec<&str> = PROOF.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let (mut changed, mut missing) = (lines.clone(), lines.clone());
        let flipped = flip_last_letter(lines[at]);
        changed[at] = &flipped;
        missing.remove(at);
        for lie in [changed, missing] {
            assert_eq!(scripts.check(lie.concat(), &[LOG_KEY]), None, "line {at}");
        }
    }
}

/// Another letter before the padding, which base64 gives another meaning, or a blank line's end.
fn flip_last_letter(line: &str) -> String {
    let end = line.trim_end_matches(['\n', '=']).len();
    let mut bytes = line.as_bytes().to_vec();
    let at = end.saturating_sub(2);
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn other_spellings_and_other_logs_are_refused() {
    let scripts = Scripts::of_the_page();
    let other_log = "example.com/workledger+010682ba+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
    for (lie, key) in [
        (PROOF.to_owned(), other_log),
        (PROOF.replace('\n', "\r\n"), LOG_KEY),
        (PROOF.trim_end().to_owned(), LOG_KEY),
        (format!("{PROOF}\n"), LOG_KEY),
        (format!("{PROOF}— x\n"), LOG_KEY),
        (PROOF.replace("index 6", "index 06"), LOG_KEY),
        (PROOF.replace("index 6", "index 16"), LOG_KEY),
        (
            PROOF.replace("index 6", "index 99999999999999999999"),
            LOG_KEY,
        ),
        (PROOF.replace("index 6", "index -1"), LOG_KEY),
        (PROOF.replace("knh4U=", "knh4V="), LOG_KEY),
        (PROOF.replace("knh4U=\n", "knh4U=\0\n"), LOG_KEY),
        (
            PROOF.replace(
                "knh4U=\n",
                "knh4U=\nw67KCpO1eqG5utoeNsjKg/pDX9TqwtRohLGtI6dCZh0=\n",
            ),
            LOG_KEY,
        ),
        (PROOF.replace("\n\n", "\n\n\n"), LOG_KEY),
        (String::new(), LOG_KEY),
    ] {
        assert_eq!(scripts.check(&lie, &[key]), None, "{lie}");
    }
    let misspelt = LOG_KEY.replace("83a157e8", "83a157e9");
    assert_eq!(scripts.check(PROOF, &[&misspelt]), None);
}

#[test]
fn every_witness_that_is_named_must_have_cosigned() {
    let scripts = Scripts::of_the_page();
    let witness = |number: u8| {
        let name = format!("witness.example.com/w{number}");
        Cosigner::new(KeyName::parse(&name).unwrap(), &[number; 32])
    };
    let signed = SignedCheckpoint::parse(checkpoint()).unwrap();
    let cosign = |checkpoint: &Checkpoint| witness(1).cosign(checkpoint, 1_764_000_000).unwrap();
    let other = Checkpoint::new(
        signed.unverified().origin.clone(),
        tlog::TreeSize::new(15),
        signed.unverified().root,
    );
    let (good, bad) = (cosign(signed.unverified()), cosign(&other));
    let cosigned = signed.clone().with_signature(good).unwrap().to_string();
    let forged = signed.with_signature(bad).unwrap().to_string();
    let (one, two) = (
        witness(1).verifier_key().to_string(),
        witness(2).verifier_key().to_string(),
    );
    assert!(scripts.check(&cosigned, &[LOG_KEY, &one]).is_some());
    assert_eq!(scripts.check(&cosigned, &[LOG_KEY, &one, &two]), None);
    assert_eq!(scripts.check(&cosigned, &[LOG_KEY, LOG_KEY]), None);
    assert_eq!(scripts.check(&forged, &[LOG_KEY, &one]), None);
    assert_eq!(scripts.check(checkpoint(), &[LOG_KEY, &one]), None);
}

#[test]
fn a_running_log_is_checked_at_every_head_that_is_kept() {
    let (scripts, service) = (Scripts::of_the_page(), Service::new());
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(11);
    let key = service.log_key().to_string();
    let said = scripts.check(service.get("/checkpoint").body, &[&key]);
    assert!(
        said.unwrap()
            .starts_with(&format!("checked: {ORIGIN} has "))
    );
    let heads = service.kept_sizes();
    assert!(heads.contains(&11), "{heads:?}");
    let cases = heads.iter().flat_map(|size| {
        let indices = [0, size / 2, size - 1];
        indices.map(|index| (index, *size))
    });
    for (index, size) in cases {
        let proof = service.get(&format!("/v1/entries/{index}/proof?size={size}"));
        let said = scripts.check(proof.body, &[&key]);
        let end = format!("has {size} entries\nchecked: this is entry {index}\n");
        assert!(
            said.is_some_and(|said| said.ends_with(&end)),
            "{index} of {size}"
        );
    }
}

#[test]
fn a_record_is_shown_with_its_name_and_who_signed_it() {
    let (scripts, service) = (Scripts::of_the_page(), Service::new());
    let show = |proof: &[u8], key: Option<&Path>| {
        let file = scripts.file("proof", proof);
        let mut arguments = vec![file.to_str().unwrap()];
        arguments.extend(key.map(|key| key.to_str().unwrap()));
        let output = scripts.run("record.sh", &arguments);
        let said = String::from_utf8(output.stdout).unwrap();
        output.status.success().then_some(said)
    };
    let said = show(PROOF.as_bytes(), None).unwrap();
    let payload = said.strip_prefix(&format!("{RECORD}\n")).unwrap();
    assert!(payload.contains("\"phase\":\"intent\""), "{payload}");

    let charter = service.get("/v1/entries/0/proof").body;
    let public = |name: &str| {
        let file = scripts.0.path().join(format!("{name}.pub"));
        let mut openssl = Command::new("openssl");
        openssl
            .args(["pkey", "-pubout", "-in"])
            .arg(service.key(name));
        assert!(openssl.arg("-out").arg(&file).status().unwrap().success());
        file
    };
    let said = show(&charter, Some(&public("root"))).unwrap();
    let trust: serde_json::Value = serde_json::from_str(&read(&service.trust())).unwrap();
    let name = trust["charter"].as_str().unwrap();
    assert!(
        said.starts_with("signed by ") && said.contains(name),
        "{said}"
    );
    assert_eq!(show(&charter, Some(&public("operator"))), None);
}
