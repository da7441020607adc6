//! What the service says about its interface, held against what it does, by a tester that others wrote: schemathesis
//! makes requests that `/openapi.json` allows, and requests that it forbids. `make openapi` installs it and runs this.
//!
//! It fails if a request that the description allows is refused for its form, if one that it forbids is taken, if an
//! answer is not described, and if the service fails.

use std::path::Path;
use std::process::{Command, Stdio};

use ledger::key::PrivateKey;
use tests::Service;

/// The same requests in every run.
const SEED: &str = "20261130";

/// How many requests are made at random for each operation, beside those at the bounds of its schemas.
const MAX_EXAMPLES: &str = "30";

#[test]
fn the_service_does_what_its_description_says() {
    let program = std::env::var("SCHEMATHESIS").expect("SCHEMATHESIS names the program");
    let service = Service::unlimited(&[]);
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(300);
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/schemathesis.toml");
    let output = Command::new(program)
        .current_dir(service.data())
        .arg("--config-file")
        .arg(config)
        .args(["run", &format!("{}/openapi.json", service.url())])
        .args(["--seed", SEED, "--max-examples", MAX_EXAMPLES])
        .args(["--no-color", "--request-timeout", "30"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{told}");
    assert!(output.status.success(), "{told}{errors}");
}
