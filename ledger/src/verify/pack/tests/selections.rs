//! Packs of an agent or a goal, and values that are disclosed.

use super::*;
use crate::commitment::SALT_BYTES;
use crate::pack::{Disclosure, Side};

/// Leaves of the golden log: its last is a pulse, which is about no agent.
const ABOUT_AGENT: std::ops::Range<u64> = 0..15;
/// Charter, manifest, lease, `started`; goal, intent, result, outcome; renewal, revocation, `lease-ended`, order.
const OF_GOAL: [u64; 12] = [0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 14];
const GOAL: usize = 5;
const INTENT: usize = 6;

fn hash(index: usize) -> RecordHash {
    let hash = golden()["records"][index]["record"].clone();
    hash.as_str().unwrap().parse().unwrap()
}

fn agent() -> Selection {
    Selection::Agent("reconciler".parse().unwrap())
}

fn goal() -> Selection {
    Selection::Goal(hash(GOAL))
}

fn pack(selection: Selection, indices: impl IntoIterator<Item = u64>) -> Report {
    let (log, indices) = (OwnLog::golden(), indices.into_iter().map(LeafIndex::new));
    log.report(&log.selected(selection, indices.collect(), None))
}

#[test]
fn the_records_of_an_agent_or_a_goal_hold_and_are_not_all_that_there_is() {
    for (selection, indices) in [
        (agent(), ABOUT_AGENT.collect::<Vec<u64>>()),
        (goal(), OF_GOAL.to_vec()),
    ] {
        let report = pack(selection.clone(), indices);
        assert_eq!(codes(&report), [], "{selection}");
        assert_eq!(report.verdict, Verdict::Incomplete, "{selection}");
        for id in [CheckId::Form, CheckId::Inclusion, CheckId::Signatures] {
            assert_eq!(status(&report, id), Status::Pass, "{selection}: {id}");
        }
        assert_eq!(status(&report, CheckId::Authority), Status::Skipped);
    }
}

#[test]
fn what_does_not_belong_is_refused_and_what_is_missing_is_seen() {
    let other = Selection::Agent("another".parse().unwrap());
    let without = |index: u64| OF_GOAL.into_iter().filter(move |each| *each != index);
    for (selection, indices, code) in [
        (agent(), (0..16).collect::<Vec<u64>>(), Code::PackSelection),
        (other, ABOUT_AGENT.collect(), Code::PackSelection),
        (goal(), ABOUT_AGENT.collect(), Code::PackSelection),
        (agent(), (1..15).collect(), Code::PackIncomplete),
        // A renewal of a lease that is not there is nobody's.
        (goal(), without(2).collect(), Code::PackSelection),
        (goal(), without(GOAL as u64).collect(), Code::PackIncomplete),
        (
            goal(),
            without(INTENT as u64).collect(),
            Code::PackSelection,
        ),
        (goal(), vec![0, 5], Code::KeyUnknown),
    ] {
        let report = pack(selection.clone(), indices.clone());
        assert_eq!(report.verdict, Verdict::Failed, "{selection} {indices:?}");
        let codes = codes(&report);
        assert!(codes.contains(&code), "{selection} {indices:?}: {codes:?}");
    }
}

#[test]
fn leaves_beyond_the_count_or_out_of_order_are_refused() {
    let log = OwnLog::golden();
    let lines = log.selected(goal(), OF_GOAL.map(LeafIndex::new).to_vec(), None);
    let mut more = lines.clone();
    let leaf = log.leaves[15].clone();
    let index = LeafIndex::new(15);
    more.push(Line::Leaf(Entry { index, leaf }));
    assert_eq!(codes(&log.report(&more)), [Code::PackCount]);
    let mut swapped = lines.clone();
    swapped.swap(4, 5);
    assert_eq!(codes(&log.report(&swapped)), [Code::PackOrder]);
    assert_eq!(
        codes(&log.report(&lines[..lines.len() - 1])),
        [Code::PackCount]
    );
}

/// The golden intent commits to this value, with a salt of zeros.
fn disclosure() -> Disclosure {
    Disclosure {
        record: hash(INTENT),
        side: Side::Inputs,
        name: "file".parse().unwrap(),
        salt: [0; SALT_BYTES],
        value: b"s3://books/2026-11.csv".to_vec(),
    }
}

fn disclosing(disclosures: Vec<Disclosure>) -> Report {
    let log = OwnLog::golden();
    let mut lines = log.lines(0, 16, None);
    lines.insert(2, Line::Disclosures(disclosures));
    log.report(&lines)
}

#[test]
fn a_value_that_was_committed_to_opens_its_commitment() {
    let report = disclosing(vec![disclosure()]);
    assert_eq!(codes(&report), []);
    assert_eq!(status(&report, CheckId::Disclosures), Status::Pass);
}

#[test]
fn every_other_value_is_a_mismatch_by_the_producer() {
    let salt = std::array::from_fn(|at| u8::from(at == 31));
    let name = "files".parse().unwrap();
    let (side, record) = (Side::Outputs, hash(7));
    for broken in [
        Disclosure {
            value: vec![],
            ..disclosure()
        },
        Disclosure {
            salt,
            ..disclosure()
        },
        Disclosure {
            name,
            ..disclosure()
        },
        Disclosure {
            side,
            ..disclosure()
        },
        Disclosure {
            record,
            ..disclosure()
        },
        Disclosure {
            record: hash(3),
            ..disclosure()
        },
        Disclosure {
            record: RecordHash::new(Digest::of(&[])),
            ..disclosure()
        },
    ] {
        let report = disclosing(vec![disclosure(), broken.clone()]);
        assert_eq!(codes(&report), [Code::DisclosureMismatch], "{broken:?}");
        assert_eq!(report.findings[0].by, Party::Producer);
        assert_eq!(status(&report, CheckId::Disclosures), Status::Fail);
        assert_eq!(report.verdict, Verdict::Failed);
    }
}

#[test]
fn disclosures_stand_before_the_proof_and_say_something() {
    let log = OwnLog::golden();
    let line = Line::Disclosures(vec![disclosure()]);
    for at in [1, 3, 4] {
        let mut lines = log.lines(0, 16, None);
        lines.insert(at, line.clone());
        assert_eq!(codes(&log.report(&lines)), [Code::PackOrder], "at {at}");
    }
    let mut lines = log.lines(0, 16, Some(log.earlier(8)));
    lines.insert(3, line.clone());
    assert_eq!(codes(&log.report(&lines)), []);
    lines.swap(2, 3);
    assert_eq!(codes(&log.report(&lines)), [Code::PackOrder]);
    assert_eq!(Line::parse(line.to_string().as_bytes()).unwrap(), line);
    assert_eq!(codes(&disclosing(vec![])), [Code::PackMalformed]);
}
