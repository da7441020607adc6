//! Entry bundles: the first byte is the width, the rest the bundle. What is
//! accepted is written back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::tile::{Width, decode_bundle, encode_bundle};

fuzz_target!(|input: &[u8]| {
    let Some((first, bundle)) = input.split_first() else {
        return;
    };
    let width = Width::from_count(usize::from(*first) + 1).expect("1 to 256 leaves are a width");
    let Ok(leaves) = decode_bundle(bundle, width) else {
        return;
    };
    assert_eq!(leaves.len(), width.count());
    let written = encode_bundle(leaves).expect("each leaf was short enough");
    assert_eq!(written, bundle);
});
