//! Whatever comes in, parsers answer; and what they take, they write back byte for byte.

use std::fmt::Display;

use proptest::prelude::*;
use tlog::checkpoint::SignedCheckpoint;
use tlog::note::{Note, VerifierKey};
use tlog::policy::Policy;
use tlog::proof::ProofFile;
use tlog::tile::{self, TilePath, Width};
use tlog::witness::AddCheckpoint;

const CHECKPOINT: &str = include_str!("golden/checkpoint-16.txt");
const PROOF: &str = include_str!("golden/entry-6.tlog-proof");
const POLICY: &str = include_str!("golden/policy.txt");
const PATH: &str = "/tile/2/x012/x345/067.p/89";

fn check<T: Display, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) {
    if let Ok(parsed) = parse(text) {
        assert_eq!(parsed.to_string(), text);
    }
}

fn check_all(text: &str) {
    check(text, Note::parse);
    check(text, SignedCheckpoint::parse);
    check(text, ProofFile::parse);
    check(text, AddCheckpoint::parse);
    check(text, VerifierKey::parse);
    check(text, TilePath::parse);
    if let Ok(policy) = Policy::parse(text) {
        assert_eq!(policy.text(), text);
    }
}

/// A text with one character put in, taken out or replaced.
fn changed(text: &str, at: usize, with: &str, skip: usize) -> String {
    let mut boundary = at % (text.len() + 1);
    while !text.is_char_boundary(boundary) {
        boundary -= 1;
    }
    let (before, after) = text.split_at(boundary);
    let rest: String = after.chars().skip(skip).collect();
    format!("{before}{with}{rest}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        check_all(&text);
    }

    #[test]
    fn nearly_right_texts_are_answered(
        which in 0..5_usize, at: usize, with in "[\\x00-\\x7f —=+/0]{0,2}", skip in 0..3_usize,
    ) {
        let request = format!("old 0\n\n{CHECKPOINT}");
        let text = [CHECKPOINT, PROOF, POLICY, PATH, &request][which];
        check_all(&changed(text, at, &with, skip));
    }

    #[test]
    fn any_bytes_of_a_bundle_are_answered(bytes in prop::collection::vec(0..4_u8, 0..64), count in 1..9_usize) {
        let width = Width::from_count(count).unwrap();
        if let Ok(leaves) = tile::decode_bundle(&bytes, width) {
            prop_assert_eq!(leaves.len(), count);
            prop_assert_eq!(tile::encode_bundle(leaves), Ok(bytes));
        }
    }
}
