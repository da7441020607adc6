//! The commands that need no service, as files: what is typed, what is printed, how it ends.

#[test]
fn commands_do_what_their_files_say() {
    trycmd::TestCases::new()
        .case("tests/cmd/*.trycmd")
        .case("tests/cmd/*.toml");
}

/// Completions and man pages are made from the types that parse: that they can be made is what is tested.
#[test]
fn completions_and_man_pages_are_made() {
    let dragons = || std::process::Command::new(env!("CARGO_BIN_EXE_dragons"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = dragons().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && script.contains("consistency"),
            "{shell}"
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let status = dragons().arg("man").arg(directory.path()).status().unwrap();
    assert!(status.success());
    for page in ["dragons.1", "dragons-verify.1", "dragons-lease-grant.1"] {
        assert!(directory.path().join(page).is_file(), "{page}");
    }
}
