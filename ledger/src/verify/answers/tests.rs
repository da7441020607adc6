//! What each kind of evidence answers.

use super::*;
use crate::verify::verify;

const TRUST: &str = include_str!("../golden/trust.json");
const ENTRY_6: &str = include_str!("../golden/entry-6.tlog-proof");

fn golden_pack() -> String {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/golden.json")).unwrap();
    golden["pack"].as_str().unwrap().to_owned()
}

fn answers(evidence: &[u8], now_ms: Option<u64>) -> Vec<Answer> {
    let trust: Trust = TRUST.parse().unwrap();
    verify(evidence, &trust, now_ms).answers(&trust)
}

/// A letter for each answer, in the order of the questions: `y`, `n`, or `-` where it was not checked.
fn letters(evidence: &[u8], now_ms: Option<u64>) -> String {
    let letter = |answer: Answer| match answer.reply {
        Reply::Yes => 'y',
        Reply::No => 'n',
        Reply::NotChecked => '-',
    };
    answers(evidence, now_ms).into_iter().map(letter).collect()
}

fn why(evidence: &[u8], question: Question) -> String {
    let mut answers = answers(evidence, None).into_iter();
    answers
        .find(|answer| answer.question == question)
        .unwrap()
        .why
}

#[test]
fn a_whole_log_answers_all_but_who_else_saw_it() {
    let pack = golden_pack();
    let last_ms = verify(pack.as_bytes(), &TRUST.parse().unwrap(), None)
        .as_of
        .received_ms
        .unwrap();
    assert_eq!(&letters(pack.as_bytes(), None)[..4], "yyyy");
    assert_eq!(&letters(pack.as_bytes(), None)[5..], "-");
    assert_eq!(&letters(pack.as_bytes(), Some(last_ms + 1))[5..], "y");
    let day_ms = 86_400_000;
    assert_eq!(
        &letters(pack.as_bytes(), Some(last_ms + 3 * day_ms))[5..],
        "n"
    );
    let old = &answers(pack.as_bytes(), Some(last_ms + 3 * day_ms))[5];
    assert!(
        old.why.starts_with("The last entry is 3 days old"),
        "{}",
        old.why
    );
}

#[test]
fn a_proof_of_one_record_answers_that_it_was_logged() {
    assert_eq!(letters(ENTRY_6.as_bytes(), None), "y-----");
    let why = why(ENTRY_6.as_bytes(), Question::Allowed);
    assert_eq!(
        why,
        "One record cannot show that: it follows from the records before it."
    );
}

#[test]
fn what_was_changed_is_not_in_the_log() {
    let changed = ENTRY_6.replacen("index 6", "index 7", 1);
    assert_eq!(letters(changed.as_bytes(), None), "n-----");
    let pack = golden_pack().replacen("\"index\":3,", "\"index\":4,", 1);
    assert_eq!(&letters(pack.as_bytes(), None)[..1], "n");
}

#[test]
fn a_line_that_was_left_out_is_missing() {
    let pack = golden_pack();
    let line = pack.split_inclusive('\n').nth(9).unwrap();
    let short = pack.replacen(line, "", 1);
    assert_eq!(&letters(short.as_bytes(), None)[3..4], "n");
    assert_eq!(
        why(short.as_bytes(), Question::Complete),
        "15 leaves of 16."
    );
}

#[test]
fn what_is_not_evidence_answers_nothing_and_says_what_it_is() {
    assert_eq!(letters(b"%PDF-1.7\n", None), "------");
    let why = why(b"%PDF-1.7\n", Question::Logged);
    assert_eq!(why, "This file is not evidence: it is a PDF document.");
    let trust = TRUST.parse().unwrap();
    assert_eq!(
        verify(b"%PDF-1.7\n", &trust, None).told().headline.title(),
        "Not evidence"
    );
}

#[test]
fn what_mail_has_altered_is_named_in_the_first_line() {
    let crlf = golden_pack().replace('\n', "\r\n");
    let bare = golden_pack();
    let cases = [
        (crlf.as_bytes(), "CR LF"),
        (bare.trim_end().as_bytes(), "lost the LF"),
    ];
    for (evidence, named) in cases {
        let report = verify(evidence, &TRUST.parse().unwrap(), None);
        let because = report.told().because;
        assert!(because[0].contains(named), "{because:?}");
        assert!(matches!(report.aside.reading, Reading::Altered(_)));
    }
}

#[test]
fn only_an_answer_that_is_not_yes_has_a_next_step() {
    for evidence in [golden_pack().as_bytes(), ENTRY_6.as_bytes(), b"%PDF-"] {
        for answer in answers(evidence, None) {
            assert_eq!(
                answer.next.is_empty(),
                answer.reply == Reply::Yes,
                "{answer:?}"
            );
        }
    }
}
