//! gzip around evidence: the first byte is the length of the pieces that the rest comes in. What is unwrapped does not
//! depend on the pieces, and is what another implementation unwraps.

#![no_main]

use std::io::Read as _;

use evidence::Unwrapper;
use flate2::read::MultiGzDecoder;
use ledger::codes::Code;
use libfuzzer_sys::fuzz_target;

/// The most that is compared.
const MOST: u64 = 16 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((piece, wrapped)) = input.split_first() else {
        return;
    };
    let whole = unwrap(wrapped, wrapped.len().max(1));
    let pieces = unwrap(wrapped, usize::from(*piece).max(1));
    assert_eq!(whole, pieces);
    let is_gzip = wrapped.starts_with(&[0x1f, 0x8b]);
    match whole {
        Ok(plain) if !is_gzip => assert_eq!(plain, wrapped),
        Ok(plain) => assert_eq!(Some(plain), unwrap_elsewhere(wrapped)),
        // What grows without end is refused here and not there.
        Err(Code::TooLarge) => {}
        Err(_) => assert!(is_gzip),
    }
});

fn unwrap(wrapped: &[u8], piece: usize) -> Result<Vec<u8>, Code> {
    let (mut unwrapper, mut plain) = (Unwrapper::default(), Vec::new());
    let mut give = |bytes: &[u8]| plain.extend_from_slice(bytes);
    for piece in wrapped.chunks(piece) {
        let pushed = unwrapper.push(piece, &mut give);
        pushed.map_err(|refusal| refusal.code)?;
    }
    let finished = unwrapper.finish(&mut give);
    finished.map_err(|refusal| refusal.code)?;
    Ok(plain)
}

fn unwrap_elsewhere(wrapped: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(wrapped).take(MOST);
    decoder.read_to_end(&mut plain).ok().map(|_| plain)
}
