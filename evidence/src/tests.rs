//! What unwraps, what does not, and that it does not matter how it was cut.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What comes out, and what is found to be wrong.
fn unwrapped(bytes: &[u8], chunk: usize) -> (Vec<u8>, Option<Refusal>) {
    let (mut unwrapper, mut plain) = (Unwrapper::default(), Vec::new());
    let mut give = |bytes: &[u8]| plain.extend_from_slice(bytes);
    let mut refused = None;
    for chunk in bytes.chunks(chunk) {
        if let Err(refusal) = unwrapper.push(chunk, &mut give) {
            refused.get_or_insert(refusal);
        }
    }
    if let Err(refusal) = unwrapper.finish(&mut give) {
        refused.get_or_insert(refusal);
    }
    (plain, refused)
}

fn is_refused(bytes: &[u8], code: Code) -> bool {
    let (_, refusal) = unwrapped(bytes, 64 * 1024);
    refusal.is_some_and(|refusal| refusal.code == code)
}

/// Lines as a pack has them: some of it shrinks, some does not.
fn lines(count: u64) -> Vec<u8> {
    let line = |n: u64| {
        format!(
            "{{\"index\":{n},\"leaf\":\"{:x}\"}}\n",
            n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        )
    };
    (0..count).map(line).collect::<String>().into_bytes()
}

#[test]
fn what_is_not_gzip_passes_as_it_is() {
    for plain in [
        &b""[..],
        b"\x1f",
        b"\x1f\x8c",
        b"{",
        b"c2sp.org/tlog-proof@v1\n",
    ] {
        assert_eq!(unwrapped(plain, 1), (plain.to_vec(), None));
    }
}

#[test]
fn members_follow_one_another() {
    let plain = lines(5000);
    let (start, end) = plain.split_at(77_777);
    let members = [gzip(start), gzip(b""), gzip(end)].concat();
    assert_eq!(unwrapped(&members, 1000), (plain.clone(), None));
    let mut others = Vec::new();
    MultiGzDecoder::new(&*members)
        .read_to_end(&mut others)
        .unwrap();
    assert_eq!(others, plain, "another reader of gzip says the same");
}

#[test]
fn every_field_of_a_header_is_passed_over() {
    let plain = b"what is behind the header";
    let sound = gzip(plain);
    let rest = &sound[10..];
    let header = |flags: u8, fields: &[u8]| {
        let fixed = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255];
        [&fixed[..], fields].concat()
    };
    let named = header(8 | 16, b"a.pack\0why\0");
    let extra = header(4, b"\x03\x00abc");
    let mut checked = header(2 | 8, b"name\0");
    let mut crc = crc32::Crc32::default();
    crc.update(&checked);
    let [one, two, ..] = crc.take().to_le_bytes();
    checked.extend([one, two]);
    for header in [&named, &extra, &checked] {
        let member = [header, rest].concat();
        for chunk in [1, 7, member.len()] {
            assert_eq!(unwrapped(&member, chunk), (plain.to_vec(), None));
        }
    }
    *checked.last_mut().unwrap() ^= 1;
    let reserved = header(0x20, b"");
    for header in [&checked, &reserved] {
        assert!(is_refused(&[header, rest].concat(), Code::PackMalformed));
    }
}

#[test]
fn what_does_not_unwrap_is_malformed() {
    let whole = lines(300);
    let sound = gzip(&whole);
    for cut in [3, 10, sound.len() / 2, sound.len() - 9, sound.len() - 1] {
        assert!(
            is_refused(&sound[..cut], Code::PackMalformed),
            "cut at {cut}"
        );
    }
    // What is in the header beside its flags says nothing of the data, and the last bits of these are not used.
    for at in (0..sound.len()).filter(|at| !(4..10).contains(at)) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        let (plain, refusal) = unwrapped(&damaged, sound.len());
        let is_passed = plain == damaged || plain == whole;
        assert!(refusal.is_some() || is_passed, "byte {at}");
    }
    for behind in [&b"\0"[..], &[0; 512], b"more", b"\x1f\x8b", b"\r\n"] {
        let trailing = [sound.as_slice(), behind].concat();
        assert!(is_refused(&trailing, Code::PackMalformed), "{behind:?}");
    }
}

#[test]
fn what_grows_without_end_is_too_large() {
    let zeros = gzip(&vec![0; 65 * 1024 * 1024]);
    assert!(is_refused(&zeros, Code::TooLarge));
    let sound = vec![0; 64 * 1024 * 1024];
    assert_eq!(unwrapped(&gzip(&sound), 4096).1, None);
}

#[test]
fn it_is_unwrapped_once() {
    let once = gzip(b"{}");
    assert_eq!(unwrapped(&gzip(&once), 5), (once, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes in, sound or damaged: how it was cut changes nothing.
    #[test]
    fn how_it_is_cut_does_not_matter(
        count in 0_u64..1500,
        chunk in 1_usize..20_000,
        damage in proptest::option::of((0_usize..1 << 20, 1_u8..)),
        cut in proptest::option::of(0_usize..1 << 20),
        behind in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = [gzip(&lines(count)), behind].concat();
        if let Some((at, change)) = damage {
            let at = at % bytes.len();
            bytes[at] ^= change;
        }
        if let Some(at) = cut {
            bytes.truncate(at % bytes.len());
        }
        prop_assert_eq!(unwrapped(&bytes, chunk), unwrapped(&bytes, usize::MAX));
    }
}
