//! Paths of tiles and bundles: what is accepted is written back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::tile::TilePath;

fuzz_target!(|text: &str| {
    let Ok(path) = TilePath::parse(text) else {
        return;
    };
    assert_eq!(path.to_string(), text);
});
