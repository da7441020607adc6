use std::fs;
use std::process::Command;

use super::*;

fn pem() -> String {
    PrivateKey::from_seed(&[7; 32]).to_pem().unwrap()
}

fn mistake(bytes: &[u8]) -> (Mistake, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a key.pem");
    fs::write(&path, bytes).unwrap();
    let error = read(&path).unwrap_err();
    let KeyFileError::NotAKey { mistake, .. } = error else {
        panic!("{error}");
    };
    (mistake, error.to_string())
}

#[test]
fn a_key_is_its_owners_alone_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator.pem");
    let key = draw().unwrap();
    assert_ne!(key.seed(), draw().unwrap().seed());
    create(&path, &key).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let file = read(&path).unwrap();
    assert_eq!(
        (file.key.seed(), file.readable_by_others),
        (key.seed(), false)
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(read(&path).unwrap().readable_by_others);
}

#[test]
fn nothing_is_ever_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("key.pem"), folder.path().join("link"));
    let key = PrivateKey::from_seed(&[1; 32]);
    create(&path, &key).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
    for taken in [&path, &link] {
        let error = create(taken, &PrivateKey::from_seed(&[2; 32])).unwrap_err();
        assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
    }
    assert_eq!(read(&path).unwrap().key.seed(), key.seed());
}

#[test]
fn each_mistake_is_named() {
    let key = pem();
    let public = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n";
    let labelled = |label: &str| format!("-----BEGIN {label}-----\nMC4C\n-----END {label}-----\n");
    let utf16 = std::iter::once(0xfeff).chain(key.encode_utf16());
    let utf16: Vec<u8> = utf16.flat_map(u16::to_le_bytes).collect();
    let cases: [(Vec<u8>, Mistake); 19] = [
        (vec![], Mistake::Empty),
        (b"\n \n".to_vec(), Mistake::Empty),
        (vec![b'x'; 1 << 20], Mistake::TooLong),
        (format!("\u{feff}{key}").into(), Mistake::ByteOrderMark),
        (utf16, Mistake::Utf16),
        (format!("\n{key}").into(), Mistake::Surrounded),
        (format!("  \n\n{key}").into(), Mistake::Surrounded),
        (key.replace('\n', "\n  ").into(), Mistake::Surrounded),
        (format!("{key}and more").into(), Mistake::Surrounded),
        (labelled("ENCRYPTED PRIVATE KEY").into(), Mistake::Encrypted),
        (labelled("OPENSSH PRIVATE KEY").into(), Mistake::OpenSsh),
        (public.into(), Mistake::Public),
        (b"ssh-ed25519 AAAA me@here\n".to_vec(), Mistake::Public),
        (labelled("CERTIFICATE").into(), Mistake::Certificate),
        (format!("{key}{key}").into(), Mistake::Several { count: 2 }),
        (labelled("RSA PRIVATE KEY").into(), Mistake::OtherAlgorithm),
        (labelled("PRIVATE KEY").into(), Mistake::OtherAlgorithm),
        (vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0xff], Mistake::Der),
        (b"secret words".to_vec(), Mistake::Other),
    ];
    for (bytes, expected) in cases {
        let (named, sentence) = mistake(&bytes);
        assert_eq!(named, expected, "{:?}", String::from_utf8_lossy(&bytes));
        assert!(!sentence.contains("secret") && !sentence.contains("MC4C"));
        let help = ["dragons keygen", "openssl", "sed -i", "iconv", "right file"];
        assert!(help.iter().any(|it| sentence.contains(it)), "{sentence}");
    }
}

#[test]
fn a_key_of_another_system_is_read_as_it_is() {
    let key = pem();
    for pem in [key.replace('\n', "\r\n"), format!("{key}\n")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        fs::write(&path, &pem).unwrap();
        assert_eq!(read(&path).unwrap().key.seed(), [7; 32], "{pem:?}");
    }
}

/// The command that a sentence names, run by a shell, leaves a file that is a key.
#[test]
fn the_command_that_is_named_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a key.pem");
    let key = pem();
    for broken in [
        format!("\u{feff}{key}"),
        format!("\n\n{key}"),
        format!("notes\n  {key}and more\n"),
    ] {
        fs::write(&path, &broken).unwrap();
        let sentence = read(&path).unwrap_err().to_string();
        let (_, command) = sentence.rsplit_once(": ").unwrap();
        let helped = Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(helped.success(), "{command}");
        assert_eq!(read(&path).unwrap().key.seed(), [7; 32], "{command}");
    }
}
