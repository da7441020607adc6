//! Go's own `golang.org/x/mod/sumdb` packages read our log: its checkpoint, its tiles, inclusion
//! and consistency over them.

use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::key::PrivateKey;
use tests::Service;

/// Sizes on both sides of a full tile, and past a second one.
const SIZES: [u64; 4] = [3, 255, 257, 600];

fn build(service: &Service) -> PathBuf {
    let program = service.scratch("interop");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOFLAGS", "")
        .status()
        .expect("Go is installed");
    assert!(built.success());
    program
}

#[test]
fn go_reads_the_log() {
    let service = Service::new();
    service.log(
        &service
            .signer()
            .registration("a", &PrivateKey::from_seed(&[5; 32])),
    );
    let program = build(&service);
    let mut past: Vec<String> = Vec::new();
    for size in SIZES {
        service.fill(size);
        let head = service.checkpoint();
        let output = Command::new(&program)
            .args([
                "-url",
                service.url(),
                "-vkey",
                &service.log_key().to_string(),
            ])
            .args(&past)
            .output()
            .expect("the program runs");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "at {size}:\n{stdout}");
        assert!(stdout.contains("ok   inclusion"), "{stdout}");
        past.push(format!("{}:{}", head.size(), head.root()));
    }
    let lie = format!("{}:{}", 3, service.checkpoint().root());
    let output = Command::new(&program)
        .args([
            "-url",
            service.url(),
            "-vkey",
            &service.log_key().to_string(),
            &lie,
        ])
        .output()
        .expect("the program runs");
    assert!(!output.status.success(), "a false root is found out");
}
