//! Two checkpoints: grown, not shown to have grown, split, of strangers.

use ledger::codes::{Code, Party};
use ledger::json::{Value, object};
use ledger::verify::{Headline, Report, TraceStep, Trust, Verdict};
use tlog::checkpoint::{self, Checkpoint, Origin};
use tlog::note::{KeyName, SigningKey};
use tlog::tree::MemoryTree;
use tlog::{TreeSize, consistency, leaf_hash};

const ORIGIN: &str = "example.com/workledger";

fn key() -> SigningKey {
    SigningKey::new(KeyName::parse(ORIGIN).unwrap(), &[77; 32])
}

/// A trust that names the log by this key.
fn trust() -> Trust {
    let policy = format!("log {}\nquorum none\n", key().verifier_key());
    let charter = format!("sha256:{}", "0".repeat(64));
    let file = object([("policy", policy.into()), ("charter", charter.into())]);
    Trust::parse(file.to_json().as_bytes()).unwrap()
}

fn tree(size: u64, word: &str) -> MemoryTree {
    (0..size)
        .map(|leaf| leaf_hash(format!("{word} {leaf}").as_bytes()))
        .collect()
}

fn signed_by(key: &SigningKey, tree: &MemoryTree) -> String {
    let origin = Origin::parse(ORIGIN).unwrap();
    checkpoint::sign(key, &Checkpoint::new(origin, tree.size(), tree.root()))
}

fn head(tree: &MemoryTree) -> String {
    signed_by(&key(), tree)
}

/// The proof as the service serves it.
fn proof(old: u64, new: u64, tree: &MemoryTree) -> String {
    let hashes = consistency::prove(TreeSize::new(old), TreeSize::new(new), tree).unwrap();
    let hashes: Value = hashes.iter().map(ToString::to_string).collect();
    object([("old", old.into()), ("new", new.into()), ("hashes", hashes)]).to_json()
}

fn judged(evidence: &str) -> Report {
    ledger::verify::verify(evidence.as_bytes(), &trust(), None)
}

fn came_to(report: &Report) -> (Verdict, Headline, Vec<(Code, Party)>) {
    let found = report
        .findings
        .iter()
        .map(|finding| (finding.refusal.code, finding.by));
    (report.verdict, report.told().headline, found.collect())
}

#[test]
fn a_tree_that_grew_is_shown_to_have_grown_whatever_comes_first() {
    for (old, new) in (1..20).flat_map(|old| (old..20).map(move |new| (old, new))) {
        let (older, newer) = (tree(old, "entry"), tree(new, "entry"));
        let proof = proof(old, new, &newer);
        for (one, other) in [(&older, &newer), (&newer, &older)] {
            let report = judged(&[head(one), head(other), proof.clone()].concat());
            assert_eq!(
                came_to(&report),
                (Verdict::Verified, Headline::Consistent, vec![])
            );
            assert_eq!(report.as_of.size, Some(TreeSize::new(new)));
            let Some(growth) = &report.growth else {
                assert_eq!(old, new, "only equal trees need no steps");
                continue;
            };
            let [to_old, to_new] = growth.ways();
            assert_eq!(to_new.last().unwrap().hash(), newer.root());
            let old_end = to_old.last().map_or(growth.seed().0, TraceStep::hash);
            assert_eq!(old_end, older.root());
            assert_eq!(growth.seed().1, to_old.is_empty());
        }
    }
}

#[test]
fn without_the_proof_it_says_how_to_get_it() {
    let report = judged(&[head(&tree(5, "entry")), head(&tree(9, "entry"))].concat());
    assert_eq!(
        came_to(&report),
        (Verdict::Incomplete, Headline::Incomplete, vec![])
    );
    let because = report.told().because.concat();
    assert!(
        because.contains("dragons consistency 5 9 --json"),
        "{because}"
    );
    assert!(because.contains("/v1/consistency?old=5&new=9"), "{because}");
    assert!(report.growth.is_none());
}

#[test]
fn two_roots_of_one_size_are_a_split_view_by_the_log() {
    let report = judged(&[head(&tree(9, "entry")), head(&tree(9, "other"))].concat());
    let found = vec![(Code::Inconsistent, Party::Log)];
    assert_eq!(
        came_to(&report),
        (Verdict::Failed, Headline::SplitView, found)
    );
    let because = report.told().because.concat();
    assert!(
        because.contains(ORIGIN) && because.contains("two trees of 9 entries"),
        "{because}"
    );
}

#[test]
fn a_proof_of_the_newer_tree_that_contradicts_the_older_is_a_split_view() {
    let newer = tree(11, "entry");
    let evidence = [head(&tree(6, "other")), head(&newer), proof(6, 11, &newer)].concat();
    let found = vec![(Code::Inconsistent, Party::Log)];
    let report = judged(&evidence);
    assert_eq!(
        came_to(&report),
        (Verdict::Failed, Headline::SplitView, found)
    );
    assert!(
        report.growth.is_some(),
        "it is drawn where it leads elsewhere"
    );
}

#[test]
fn what_somebody_else_can_have_changed_is_laid_to_nobody() {
    let (older, newer) = (tree(6, "entry"), tree(11, "entry"));
    let stranger = SigningKey::new(KeyName::parse(ORIGIN).unwrap(), &[66; 32]);
    let cases = [
        (
            signed_by(&stranger, &older),
            head(&newer),
            proof(6, 11, &newer),
            Code::CheckpointSignatureInvalid,
        ),
        (
            head(&older),
            signed_by(&stranger, &newer),
            proof(6, 11, &newer),
            Code::CheckpointSignatureInvalid,
        ),
        (
            head(&older),
            head(&newer),
            proof(6, 11, &tree(11, "other")),
            Code::RootMismatch,
        ),
        (
            head(&older),
            head(&newer),
            proof(5, 11, &newer),
            Code::ProofMalformed,
        ),
        (
            head(&older),
            head(&newer),
            "{\"old\":6}".to_owned(),
            Code::ProofMalformed,
        ),
        (
            head(&older),
            head(&newer),
            head(&newer),
            Code::PackMalformed,
        ),
    ];
    for (one, other, proof, code) in cases {
        let report = judged(&[one, other, proof].concat());
        let found = vec![(code, Party::Unknown)];
        assert_eq!(came_to(&report), (Verdict::Failed, Headline::Failed, found));
    }
}

#[test]
fn the_proof_of_the_command_is_read_as_well() {
    let (older, newer) = (tree(6, "entry"), tree(11, "entry"));
    let sized =
        |tree: &MemoryTree| format!("{{\"size\":{},\"root\":\"{}\"}}", tree.size(), tree.root());
    let served = proof(6, 11, &newer);
    let told = served.replacen(
        "\"old\":6",
        &format!("\"consistent\":true,\"old\":{}", sized(&older)),
        1,
    );
    let told = told.replacen("\"new\":11", &format!("\"new\":{}", sized(&newer)), 1);
    let report = judged(&[head(&older), head(&newer), told, "\n".to_owned()].concat());
    assert_eq!(came_to(&report).1, Headline::Consistent);
}

#[test]
fn what_mail_does_to_checkpoints_is_named() {
    let sound = [head(&tree(5, "entry")), head(&tree(5, "entry"))].concat();
    let cases = [
        (sound.replace('\n', "\r\n"), "CR LF"),
        (sound.trim_end().to_owned(), "lost the LF"),
    ];
    for (altered, what) in cases {
        let report = judged(&altered);
        assert_eq!(report.verdict, Verdict::Failed);
        let because = report.told().because.concat();
        assert!(because.contains(what), "{because}");
    }
    let report = judged(&head(&tree(5, "entry")));
    assert_eq!(report.told().headline, Headline::NotEvidence);
}
