//! Manifests of backups: what is accepted is written in one way, which is read as the same, and leads nowhere else than
//! into the folder that is restored.

#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use server::backup::Manifest;

fuzz_target!(|input: &[u8]| {
    let Ok(manifest) = Manifest::parse(input) else {
        return;
    };
    let written = manifest.to_json();
    let again = Manifest::parse(written.as_bytes()).expect("what is written is accepted");
    assert_eq!(again, manifest);
    assert_eq!(again.to_json(), written);
    for file in &manifest.files {
        let mut parts = Path::new(&file.path).components();
        assert!(parts.all(|part| matches!(part, Component::Normal(_))));
        assert!(!file.path.starts_with("store"));
    }
});
