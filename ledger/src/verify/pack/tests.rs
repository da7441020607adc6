//! Packs that hold as far as this version looks, and every way in which they do not.

mod selections;

use tlog::checkpoint::{self, Checkpoint, Origin, SignedCheckpoint};
use tlog::note::{KeyName, SigningKey};
use tlog::tree::MemoryTree;
use tlog::{LeafIndex, TreeSize, consistency, leaf_hash};

use super::*;
use crate::digest::{Digest, RecordHash};
use crate::pack::Range;
use crate::verify::report::{Status, Verdict};
use crate::verify::{Verifier, verify};

const TRUST: &str = include_str!("../golden/trust.json");
const ORIGIN: &str = "example.com/workledger";

fn golden() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../tests/golden.json")).unwrap()
}

fn golden_pack() -> String {
    golden()["pack"].as_str().unwrap().to_owned()
}

fn golden_leaves() -> Vec<String> {
    let json = golden();
    let leaf = |record: &serde_json::Value| record["leaf"].as_str().unwrap().to_owned();
    json["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(leaf)
        .collect()
}

fn trust() -> Trust {
    TRUST.parse().unwrap()
}

fn report(pack: &str) -> Report {
    verify(pack.as_bytes(), &trust(), None)
}

fn codes(report: &Report) -> Vec<Code> {
    let codes = report.findings.iter().map(|finding| finding.refusal.code);
    codes.collect()
}

fn status(report: &Report, id: CheckId) -> Status {
    let check = report.checks.iter().find(|check| check.id == id);
    check.unwrap().status
}

/// A log with leaves of its own, that signs with the key of the golden one, and a trust that believes it.
struct OwnLog {
    key: SigningKey,
    leaves: Vec<String>,
    trust: Trust,
}

impl OwnLog {
    fn of(leaves: Vec<String>) -> Self {
        let key = SigningKey::new(KeyName::parse(ORIGIN).unwrap(), &[6; 32]);
        let policy = format!("log {}\nquorum none\n", key.verifier_key());
        let policy = tlog::policy::Policy::parse(&policy).unwrap();
        let trust = Trust { policy, ..trust() };
        Self { key, leaves, trust }
    }

    fn golden() -> Self {
        Self::of(golden_leaves())
    }

    /// The golden leaves under a key that nobody named.
    fn stolen() -> Self {
        Self {
            key: SigningKey::new(KeyName::parse(ORIGIN).unwrap(), &[77; 32]),
            ..Self::golden()
        }
    }

    fn tree(&self, size: usize) -> MemoryTree {
        let leaves = self.leaves.iter().take(size);
        leaves.map(|leaf| leaf_hash(leaf.as_bytes())).collect()
    }

    fn checkpoint(&self, size: usize) -> SignedCheckpoint {
        let tree = self.tree(size);
        let origin = Origin::parse(ORIGIN).unwrap();
        let checkpoint = Checkpoint::new(origin, tree.size(), tree.root());
        SignedCheckpoint::parse(&checkpoint::sign(&self.key, &checkpoint)).unwrap()
    }

    fn earlier(&self, old: usize) -> Earlier {
        let tree = self.tree(self.leaves.len());
        let old_size = TreeSize::new(old as u64);
        Earlier {
            checkpoint: self.checkpoint(old),
            consistency: consistency::prove(old_size, tree.size(), &tree).unwrap(),
        }
    }

    fn lines(&self, from: u64, to: u64, earlier: Option<Earlier>) -> Vec<Line> {
        let size = TreeSize::new(self.leaves.len() as u64);
        let range = Range::new(LeafIndex::new(from), LeafIndex::new(to), size).unwrap();
        let indices: Vec<LeafIndex> = range.indices().collect();
        self.selected(Selection::Range(range), indices, earlier)
    }

    fn selected(
        &self,
        selection: Selection,
        indices: Vec<LeafIndex>,
        earlier: Option<Earlier>,
    ) -> Vec<Line> {
        let tree = self.tree(self.leaves.len());
        let size = tree.size();
        let mut lines = vec![
            Line::Header(Header {
                origin: ORIGIN.to_owned(),
                size,
                selection,
                count: indices.len() as u64,
            }),
            Line::Checkpoint(Box::new(self.checkpoint(self.leaves.len()))),
        ];
        lines.extend(earlier.map(Box::new).map(Line::Earlier));
        lines.push(Line::Proof(subset::prove(&indices, size, &tree).unwrap()));
        lines.extend(indices.into_iter().map(|index| {
            let leaf = self.leaves[usize::try_from(index.get()).unwrap()].clone();
            Line::Leaf(Entry { index, leaf })
        }));
        lines
    }

    fn report(&self, lines: &[Line]) -> Report {
        let pack: String = lines.iter().map(Line::to_string).collect();
        verify(pack.as_bytes(), &self.trust, None)
    }
}

#[test]
fn the_golden_pack_is_verified() {
    let report = report(&golden_pack());
    assert_eq!(codes(&report), []);
    assert_eq!(report.verdict, Verdict::Verified);
    let not_asked_for = [
        CheckId::Witnesses,
        CheckId::Consistency,
        CheckId::Disclosures,
        CheckId::Freshness,
    ];
    for check in CheckId::ALL {
        let want = match not_asked_for.contains(check) {
            true => Status::Skipped,
            false => Status::Pass,
        };
        assert_eq!(status(&report, *check), want, "{check}");
    }
    let ids: Vec<CheckId> = report.checks.iter().map(|check| check.id).collect();
    assert_eq!(ids, CheckId::ALL);
    assert_eq!(report.as_of.size, Some(TreeSize::new(16)));
    assert_eq!(report.summary.records.values().sum::<u64>(), 16);
}

#[test]
fn chunks_of_any_length_give_the_same_report() {
    let pack = golden_pack();
    let whole = report(&pack);
    for length in [1, 3, 8, 1000] {
        let mut verifier = Verifier::new(trust());
        pack.as_bytes()
            .chunks(length)
            .for_each(|chunk| verifier.push(chunk));
        assert_eq!(verifier.finish(), whole, "chunks of {length}");
    }
}

#[test]
fn every_window_holds_and_its_keys_are_known_from_the_start_alone() {
    let log = OwnLog::golden();
    for from in 0..16 {
        for to in from + 1..=16 {
            let report = log.report(&log.lines(from, to, None));
            assert_eq!(codes(&report), [], "{from} up to {to}");
            assert_eq!(status(&report, CheckId::Inclusion), Status::Pass);
            let (verdict, signatures, judged_to) = match (from, to) {
                (0, 16) => (Verdict::Verified, Status::Pass, Some(to)),
                (0, _) => (Verdict::Incomplete, Status::Pass, Some(to)),
                _ => (Verdict::Incomplete, Status::Skipped, None),
            };
            assert_eq!(report.verdict, verdict, "{from} up to {to}");
            assert_eq!(status(&report, CheckId::Signatures), signatures);
            assert_eq!(report.as_of.judged_to.map(TreeSize::get), judged_to);
        }
    }
}

#[test]
fn every_changed_byte_fails() {
    let pack = golden_pack();
    let trust = trust();
    for at in (0..pack.len()).step_by(37) {
        let mut bytes = pack.as_bytes().to_vec();
        bytes[at] ^= 1;
        let report = verify(&bytes, &trust, None);
        assert_eq!(report.verdict, Verdict::Failed, "byte {at}");
        assert!(!report.findings.is_empty());
    }
}

#[test]
fn a_line_out_of_its_place_is_the_only_finding() {
    let text = golden_pack();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for at in 3..lines.len() {
        let (mut dropped, mut doubled) = (lines.clone(), lines.clone());
        doubled.insert(at, dropped.remove(at));
        assert_eq!(codes(&report(&dropped.concat())), [Code::PackCount]);
        assert_eq!(codes(&report(&doubled.concat())), [Code::PackOrder]);
        let cut = lines[..at].concat();
        assert_eq!(codes(&report(&cut)), [Code::PackCount]);
    }
    let endless = text.trim_end_matches('\n');
    assert_eq!(codes(&report(endless)), [Code::PackMalformed]);
}

#[test]
fn a_checkpoint_that_is_not_the_log_s_fails() {
    let log = OwnLog::golden();
    let lines = log.lines(0, 16, None);
    let forged = log.report(&OwnLog::stolen().lines(0, 16, None));
    assert_eq!(codes(&forged), [Code::CheckpointSignatureInvalid]);
    assert_eq!(status(&forged, CheckId::Inclusion), Status::Skipped);

    let other = golden_pack().replace("\"example.com/workledger\\n16", "\"example.com/other\\n16");
    assert_eq!(codes(&report(&other)), [Code::OriginUnknown]);

    let mut smaller = lines;
    smaller[1] = Line::Checkpoint(Box::new(log.checkpoint(15)));
    assert_eq!(codes(&log.report(&smaller)), [Code::PackMalformed]);
}

#[test]
fn a_proof_that_does_not_fit_fails() {
    let log = OwnLog::golden();
    let Line::Proof(sound) = log.lines(3, 9, None).remove(2) else {
        panic!("the third line is the proof");
    };
    let with = |change: &dyn Fn(&mut Vec<Hash>)| {
        let (mut lines, mut proof) = (log.lines(3, 9, None), sound.clone());
        change(&mut proof);
        lines[2] = Line::Proof(proof);
        codes(&log.report(&lines))
    };
    let swap = |proof: &mut Vec<Hash>| proof.swap(0, 1);
    let surplus = |proof: &mut Vec<Hash>| proof.push(proof[0]);
    let missing = |proof: &mut Vec<Hash>| proof.truncate(1);
    assert_eq!(with(&|_| {}), []);
    assert_eq!(with(&swap), [Code::RootMismatch]);
    assert_eq!(with(&surplus), [Code::ProofSurplus]);
    assert_eq!(with(&missing), [Code::ProofMalformed]);
}

#[test]
fn an_earlier_checkpoint_is_of_the_same_history_or_fails() {
    let log = OwnLog::golden();
    for old in 0..=16 {
        let report = log.report(&log.lines(0, 16, Some(log.earlier(old))));
        assert_eq!(status(&report, CheckId::Consistency), Status::Pass, "{old}");
    }
    let with = |change: &dyn Fn(&mut Earlier)| {
        let mut earlier = log.earlier(5);
        change(&mut earlier);
        codes(&log.report(&log.lines(0, 16, Some(earlier))))
    };
    let mut other = golden_leaves();
    other.swap(1, 2);
    let fork = OwnLog::of(other).checkpoint(5);
    let stolen = OwnLog::stolen().checkpoint(5);
    assert_eq!(with(&|e| e.checkpoint = fork.clone()), [Code::Inconsistent]);
    assert_eq!(
        with(&|e| e.checkpoint = stolen.clone()),
        [Code::CheckpointSignatureInvalid]
    );
    assert_eq!(with(&|e| e.consistency.truncate(1)), [Code::ProofMalformed]);
    assert_eq!(
        with(&|e| e.consistency.push(e.consistency[0])),
        [Code::ProofSurplus]
    );
}

#[test]
fn another_log_s_records_are_none_of_this_log() {
    let other = RecordHash::new(Digest::of(&[b"other"]));
    let trust = Trust {
        charter: other,
        ..trust()
    };
    let report = verify(golden_pack().as_bytes(), &trust, None);
    let mut want = vec![Code::TrustMismatch];
    want.resize(16, Code::OriginMismatch);
    assert_eq!(codes(&report), want);
    assert_eq!(status(&report, CheckId::Leaves), Status::Fail);
    assert_eq!(status(&report, CheckId::Signatures), Status::Skipped);
}

#[test]
fn what_a_log_should_never_have_taken_is_found_in_it() {
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut leaves = golden_leaves();
        change(&mut leaves);
        let log = OwnLog::of(leaves);
        let size = log.leaves.len() as u64;
        let report = log.report(&log.lines(0, size, None));
        assert_eq!(status(&report, CheckId::Inclusion), Status::Pass);
        codes(&report)
    };
    // What hangs on a record that cannot be read is not at its own fault.
    let unread = |code: Code| vec![code, Code::RestsOnProblem, Code::RestsOnProblem];
    let spaced = |leaf: &str| leaf.replacen(":{", ": {", 1);
    let zeroed = |leaf: &str| leaf.replacen("_ms\":1", "_ms\":0", 1);
    let earlier = |leaf: &str| leaf.replacen("_ms\":17", "_ms\":16", 1);
    assert_eq!(
        changed(&|leaves| leaves[5] = "hello".to_owned()),
        unread(Code::NotStrictJson)
    );
    assert_eq!(
        changed(&|leaves| leaves[5] = spaced(&leaves[5])),
        unread(Code::LeafNotCanonical)
    );
    assert_eq!(
        changed(&|leaves| leaves[5] = zeroed(&leaves[5])),
        unread(Code::NotStrictJson)
    );
    assert_eq!(
        changed(&|leaves| leaves[5] = earlier(&leaves[5])),
        [Code::TimeRegressed]
    );
    assert_eq!(
        changed(&|leaves| leaves.truncate(3)),
        [],
        "a shorter history is one"
    );
    assert!(changed(&|leaves| drop(leaves.remove(0))).starts_with(&[Code::CharterMissing]));
    let unregistered = changed(&|leaves| drop(leaves.remove(1)));
    assert!(!unregistered.is_empty());
    // The pulse counts the agent that is not there.
    let follows = |code: &Code| {
        matches!(
            code,
            Code::AgentUnknown | Code::LeaseUnknown | Code::PulseUnfounded
        )
    };
    assert!(unregistered.iter().all(follows), "{unregistered:?}");
}

#[test]
fn a_signature_that_is_another_record_s_does_not_verify() {
    let signature = |leaf: &str| {
        let (_, rest) = leaf.rsplit_once("\"sig\":\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let mut leaves = golden_leaves();
    leaves[2] = leaves[2].replace(&signature(&leaves[2]), &signature(&leaves[1]));
    let log = OwnLog::of(leaves);
    let report = log.report(&log.lines(0, 16, None));
    let (forged, resting) = report.findings.split_at(2);
    let by = |finding: &Finding| (finding.refusal.code, finding.by, finding.index);
    let here = Some(LeafIndex::new(2));
    assert_eq!(
        by(&forged[0]),
        (Code::SignatureInvalid, Party::Control, here)
    );
    assert_eq!(by(&forged[1]), (Code::SignatureInvalid, Party::Log, here));
    let rests = |it: &Finding| it.refusal.code == Code::RestsOnProblem && it.by == Party::Log;
    assert!(resting.iter().all(rests), "the agent is not to blame");
    assert!(!resting.is_empty());
    assert_eq!(report.verdict, Verdict::Failed);
}

#[test]
fn a_report_lists_so_many_findings_and_counts_all() {
    let most = crate::verify::MAX_LISTED_FINDINGS;
    let log = OwnLog::of(vec!["hello".to_owned(); most + 1]);
    let report = log.report(&log.lines(0, most as u64 + 1, None));
    assert_eq!(report.findings.len(), most);
    let leaves = report.checks.iter().find(|c| c.id == CheckId::Leaves);
    assert!(leaves.unwrap().detail.starts_with("1001 findings"));
    assert_eq!(report.count(crate::codes::Class::Problem), 1001);
}

#[test]
fn after_a_line_that_cannot_be_read_nothing_more_is() {
    let mut verifier = Verifier::new(trust());
    verifier.push(b"{\"pack\":");
    assert!(!verifier.is_settled());
    verifier.push(b"\n");
    assert!(verifier.is_settled());
    verifier.push(golden_pack().as_bytes());
    assert_eq!(codes(&verifier.finish()), [Code::PackMalformed]);
}

/// What cannot be unwrapped is wrong with the file, and with nobody whom it names.
#[test]
fn evidence_that_grows_without_end_is_laid_to_nobody_by_name() {
    for held in [0, 2000] {
        let mut verifier = Verifier::new(trust());
        verifier.push(&golden_pack().as_bytes()[..held]);
        verifier.refuse(Code::TooLarge.because("it grows"));
        let report = verifier.finish();
        let found: Vec<_> = report
            .findings
            .iter()
            .map(|finding| (finding.refusal.code, finding.by))
            .collect();
        assert_eq!(found, [(Code::TooLarge, Party::Unknown)], "{held}");
        assert_eq!(report.verdict, Verdict::Failed);
    }
}
