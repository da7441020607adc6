//! Sealed cases: evidence with the page that verifies it, and whether a page is the one that is meant.
//!
//! It needs the page that `make web` builds, so it is a step of `make browser`.

use std::path::Path;
use std::process::Command;

use tests::{Service, dragons};

/// The session of `tests/cmd/page.trycmd`, in a folder of its own.
#[test]
fn cases_are_made_and_compared_as_their_file_says() {
    let service = Service::new();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("page.in");
    std::fs::create_dir_all(&here).unwrap();
    std::fs::copy(service.trust(), here.join("trust.json")).unwrap();
    write_changed_case(&service, &here);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("cmd/page.trycmd");
    let session = folder.path().join("page.trycmd");
    std::fs::copy(cases, &session).unwrap();
    let state = service.scratch("state");
    trycmd::TestCases::new()
        .register_bin("dragons", dragons().path().to_owned())
        .env("DRAGONS_SERVER", service.url())
        .env("XDG_STATE_HOME", state.to_str().unwrap())
        .case(session.to_str().unwrap())
        .run();
}

/// A case in which one word of the page is another.
fn write_changed_case(service: &Service, here: &Path) {
    let case = here.join("sound.html");
    run(service, &["export", "--page", case.to_str().unwrap()]);
    let sound = std::fs::read_to_string(&case).unwrap();
    let changed = sound.replacen("has not started", "has started", 1);
    assert_ne!(changed, sound);
    std::fs::write(here.join("changed.html"), changed).unwrap();
}

/// What the service serves is the page of the command as well, with all its parts.
#[test]
fn the_page_that_is_served_is_the_page_of_the_command() {
    let service = Service::new();
    let address = format!("{}/verify/", service.url());
    run(&service, &["page", "check", &address]);
}

/// Which page, and of which commit.
#[test]
fn a_command_says_which_page_it_has() {
    let command = Command::new(dragons().path())
        .args(["--version", "--verbose"])
        .output();
    let told = String::from_utf8(command.unwrap().stdout).unwrap();
    for name in [
        "dragons ",
        "commit ",
        "page.html ",
        "index.html ",
        "verifier ",
    ] {
        assert!(
            told.lines().any(|line| line.starts_with(name)),
            "{name}: {told}"
        );
    }
}

fn run(service: &Service, arguments: &[&str]) {
    let state = service.scratch("state-of-run");
    let output = Command::new(dragons().path())
        .args(arguments)
        .args(["--trust", service.trust().to_str().unwrap()])
        .env("DRAGONS_SERVER", service.url())
        .env("XDG_STATE_HOME", state)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}
