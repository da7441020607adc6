use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ledger::codes::Code;
use ledger::digest::Digest;
use ledger::key::PrivateKey;
use ledger::record::{Body, Chain, Heartbeat, Instance, Record, SignedRecord};

use super::*;
use crate::disclosure::{Secret, Side};

fn log() -> RecordHash {
    RecordHash::new(Digest::of(&[b"log"]))
}

fn name() -> Name {
    "greeter".parse().unwrap()
}

fn beat(seq: u64, prev: RecordHash) -> SignedRecord {
    let chain = Chain {
        agent: name(),
        epoch: 1,
        instance: Instance::from_bytes([1; 8]),
        seq,
        prev,
    };
    let record = Record {
        log: Some(log()),
        at_ms: 1_000 + seq,
        body: Body::Heartbeat(Box::new(Heartbeat {
            chain,
            progress: seq,
            r#final: false,
            manifest_hash: Digest::of(&[]),
            before: None,
            seen: None,
        })),
        ext: None,
    };
    record.sign(&[&PrivateKey::from_seed(&[7; 32])]).unwrap()
}

fn logged(record: &SignedRecord) -> Line {
    Line::Logged {
        record: record.hash(),
        index: 5,
        received_ms: 2_000,
    }
}

#[test]
fn what_was_written_is_there_again() {
    let state = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    assert_eq!(journal.book().tip(), None);
    let first = beat(0, log());
    let second = beat(1, first.hash());
    for line in [
        Line::Signed(Box::new(first.clone())),
        logged(&first),
        Line::Signed(Box::new(second.clone())),
    ] {
        journal.append(&line).unwrap();
        assert_eq!(Line::parse(line.to_json().as_bytes()), Ok(line));
    }
    let tip = journal.book().tip();
    drop(journal);
    let journal = Journal::open(state.path(), log(), &name()).unwrap();
    assert_eq!(journal.book().tip(), tip);
    let tip = tip.unwrap();
    assert_eq!(
        (tip.next_seq, tip.head, tip.at_ms),
        (2, second.hash(), 1_001)
    );
    assert_eq!(journal.book().last_logged(), Some(first.hash()));
    assert_eq!(
        journal.book().pending().iter().collect::<Vec<_>>(),
        [&second]
    );
}

#[test]
fn a_refused_record_leaves_no_place_in_the_chain() {
    let state = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    let (first, second) = (beat(0, log()), beat(1, log()));
    journal
        .append(&Line::Signed(Box::new(first.clone())))
        .unwrap();
    journal.append(&logged(&first)).unwrap();
    let tip = journal.book().tip();
    journal
        .append(&Line::Signed(Box::new(second.clone())))
        .unwrap();
    let record = second.hash();
    let refusal = Code::Stale.because("late");
    journal.append(&Line::Refused { record, refusal }).unwrap();
    assert_eq!(journal.book().tip(), tip);
}

#[test]
fn a_torn_line_is_cut_off_wherever_it_was_torn() {
    let state = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    let first = beat(0, log());
    journal
        .append(&Line::Signed(Box::new(first.clone())))
        .unwrap();
    let path = journal.directory().join(JOURNAL);
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let line = logged(&first).to_json();
    for torn in (1..=line.len()).step_by(7) {
        fs::write(&path, [&whole, &line.as_bytes()[..torn]].concat()).unwrap();
        let journal = Journal::open(state.path(), log(), &name()).unwrap();
        assert_eq!(journal.book().pending().len(), 1, "torn after {torn} bytes");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn what_a_file_system_leaves_behind_a_crash_is_cut_off() {
    let state = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    let first = beat(0, log());
    let line = Line::Signed(Box::new(first.clone()));
    journal.append(&line).unwrap();
    let (path, disclosures) = (
        journal.directory().join(JOURNAL),
        journal.directory().join(DISCLOSURES),
    );
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let long = vec![0; 3 * usize::try_from(MAX_LINE_BYTES).unwrap()];
    for tail in [
        b"\0\0\0".as_slice(),
        b"\0\0\0\n",
        b"\n",
        b"\n\n\0\n",
        b"{\"signed\":{\"pay\0\0\0\0\n",
        b"\0\0\0\0load\"}}\n\0",
        b"{\"signed\"",
        &long,
    ] {
        fs::write(&path, [&whole, tail].concat()).unwrap();
        fs::write(&disclosures, tail).unwrap();
        let seen = Journal::inspect(state.path(), log(), &name());
        assert_eq!(seen.unwrap().unwrap().torn_bytes, tail.len() as u64);
        let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
        assert_eq!(journal.book().pending().len(), 1, "{tail:?}");
        assert_eq!(fs::read(&path).unwrap(), whole);
        journal.append(&logged(&first)).unwrap();
        drop(journal);
        let journal = Journal::open(state.path(), log(), &name()).unwrap();
        assert_eq!(journal.book().last_logged(), Some(first.hash()));
    }
    let damaged = [&whole, b"\0\0\n".as_slice(), &whole].concat();
    fs::write(&path, &damaged).unwrap();
    let opened = Journal::open(state.path(), log(), &name());
    assert!(matches!(opened, Err(JournalError::Damaged { line: 2, .. })));
    assert_eq!(fs::read(&path).unwrap(), damaged, "nothing was cut off");
}

#[test]
fn nothing_that_was_there_first_is_followed() {
    let root = tempfile::tempdir().unwrap();
    let (state, other) = (root.path().join("state"), root.path().join("other"));
    fs::write(&other, "mine").unwrap();
    let journal = Journal::open(&state, log(), &name()).unwrap();
    let directory = journal.directory().to_owned();
    drop(journal);
    for file in [JOURNAL, DISCLOSURES] {
        let path = directory.join(file);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let refused = Journal::open(&state, log(), &name()).unwrap_err();
        assert!(matches!(refused, JournalError::NotPrivate(_)), "{refused}");
        fs::remove_file(&path).unwrap();
    }
    fs::remove_dir_all(&directory).unwrap();
    std::os::unix::fs::symlink(root.path(), &directory).unwrap();
    let refused = Journal::open(&state, log(), &name()).unwrap_err();
    assert!(matches!(refused, JournalError::NotPrivate(_)), "{refused}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
}

#[test]
fn a_damaged_line_is_not_passed_over() {
    let state = tempfile::tempdir().unwrap();
    let journal = Journal::open(state.path(), log(), &name()).unwrap();
    let path = journal.directory().join(JOURNAL);
    drop(journal);
    for line in [
        "{}",
        "{\"seen\":\"x\"}",
        "{\"logged\":{}}",
        "x",
        "{\"seen\":0}",
    ] {
        fs::write(&path, format!("{line}\n")).unwrap();
        let opened = Journal::open(state.path(), log(), &name());
        assert!(
            matches!(opened, Err(JournalError::Damaged { line: 1, .. })),
            "{line}"
        );
    }
}

#[test]
fn a_line_that_nobody_wrote_takes_nothing_with_it() {
    let state = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    journal
        .append(&Line::Signed(Box::new(beat(0, log()))))
        .unwrap();
    let path = journal.directory().join(JOURNAL);
    drop(journal);
    let line = fs::read(&path).unwrap();
    let long = vec![b'x'; usize::try_from(MAX_LINE_BYTES).unwrap()];
    let damaged = [long.as_slice(), b"\n", &line].concat();
    fs::write(&path, &damaged).unwrap();
    let opened = Journal::open(state.path(), log(), &name());
    assert!(matches!(opened, Err(JournalError::Damaged { line: 1, .. })));
    assert!(fs::read(&path).unwrap() == damaged, "nothing was cut off");
}

#[test]
fn a_journal_is_for_one_process_and_one_person() {
    let state = tempfile::tempdir().unwrap();
    let journal = Journal::open(state.path(), log(), &name()).unwrap();
    let again = Journal::open(state.path(), log(), &name());
    assert!(matches!(again, Err(JournalError::InUse { .. })));
    let other: Name = "other".parse().unwrap();
    Journal::open(state.path(), log(), &other).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(journal.directory()), 0o700);
    for file in [JOURNAL, DISCLOSURES] {
        assert_eq!(mode(&journal.directory().join(file)), 0o600, "{file}");
    }
}

#[test]
fn whoever_still_holds_a_copy_of_the_file_does_not_keep_it_locked() {
    let state = tempfile::tempdir().unwrap();
    let journal = Journal::open(state.path(), log(), &name()).unwrap();
    let copy = journal.file.try_clone().unwrap();
    drop(journal);
    Journal::open(state.path(), log(), &name()).unwrap();
    drop(copy);
}

#[test]
fn values_are_kept_beside_it() {
    let state = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    let secret = Secret::new("argv".parse().unwrap(), b"ls".to_vec()).unwrap();
    let disclosure = secret.disclosure(log(), Side::Inputs);
    journal.keep(std::slice::from_ref(&disclosure)).unwrap();
    drop(journal);
    let journal = Journal::open(state.path(), log(), &name()).unwrap();
    let place = |side| Place {
        record: log(),
        side,
        name: "argv".parse().unwrap(),
    };
    let found = journal.disclosure(&place(Side::Inputs)).unwrap();
    assert_eq!(found, Some(disclosure));
    assert_eq!(journal.disclosure(&place(Side::Outputs)).unwrap(), None);
}

/// All files below a directory, with what is in them.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_look_from_outside_sees_all_and_changes_nothing() {
    let state = tempfile::tempdir().unwrap();
    let inspect = || Journal::inspect(state.path(), log(), &name());
    assert!(inspect().unwrap().is_none());
    assert_eq!(contents(state.path()), [], "nothing was made");
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    let first = beat(0, log());
    let signed = Line::Signed(Box::new(first.clone()));
    journal.append(&signed).unwrap();
    let secret = Secret::new("argv".parse().unwrap(), b"ls".to_vec()).unwrap();
    let disclosure = secret.disclosure(log(), Side::Inputs);
    journal.keep(std::slice::from_ref(&disclosure)).unwrap();
    let found = inspect().unwrap().unwrap();
    assert!(found.is_in_use);
    assert_eq!((found.torn_bytes, found.disclosures), (0, 1));
    assert_eq!(found.book.pending().len(), 1);
    assert_eq!(found.directory, journal.directory());
    let path = journal.directory().join(JOURNAL);
    drop(journal);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole, &whole[..9]].concat()).unwrap();
    let before = contents(state.path());
    let found = inspect().unwrap().unwrap();
    assert!(!found.is_in_use);
    assert_eq!(found.torn_bytes, 9);
    assert_eq!(contents(state.path()), before, "what is torn stays");
    Journal::open(state.path(), log(), &name()).expect("nobody holds the lock");
    fs::write(&path, "{}\n").unwrap();
    let damaged = inspect().unwrap_err();
    assert!(matches!(damaged, JournalError::Damaged { line: 1, .. }));
}

/// A goal with an intent that stays open, a long life, and a record on its way.
fn long_life(journal: &mut Journal) {
    let mut prev = log();
    let mut sign = |journal: &mut Journal, seq: u64, is_answered: bool| {
        let record = beat(seq, prev);
        prev = record.hash();
        let signed = Line::Signed(Box::new(record.clone()));
        journal.append_with_next(&signed).unwrap();
        if is_answered {
            journal.append_with_next(&logged(&record)).unwrap();
        }
    };
    for seq in 0..400 {
        sign(journal, seq, true);
        let mode = if seq < 200 {
            Mode::Observe
        } else {
            Mode::Enforce
        };
        let charter = Line::Charter {
            record: log(),
            mode,
        };
        journal.append_with_next(&charter).unwrap();
    }
    sign(journal, 400, false);
}

#[test]
fn a_long_journal_is_shortened_when_it_is_opened_and_comes_to_the_same() {
    let state = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    long_life(&mut journal);
    let before = journal.book().clone();
    let path = journal.directory().join(JOURNAL);
    drop(journal);
    let whole = fs::read_to_string(&path).unwrap();
    let journal = Journal::open(state.path(), log(), &name()).unwrap();
    assert_eq!(*journal.book(), before);
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept.len() < 4_096, "{} bytes are left", kept.len());
    let past = fs::read_to_string(path.with_file_name("journal.past.jsonl")).unwrap();
    let mut parts: Vec<&str> = kept.lines().chain(past.lines()).collect();
    let mut lines: Vec<&str> = whole.lines().collect();
    parts.sort_unstable();
    lines.sort_unstable();
    assert_eq!(parts, lines, "no line is lost");
    let again = Journal::open(state.path(), log(), &name());
    assert!(matches!(again, Err(JournalError::InUse { .. })));
    drop(journal);
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    assert_eq!(*journal.book(), before);
    let pending = journal.book().pending()[0].clone();
    journal.append(&logged(&pending)).unwrap();
    drop(journal);
    let journal = Journal::open(state.path(), log(), &name()).unwrap();
    assert_eq!(journal.book().last_logged(), Some(pending.hash()));
}

#[test]
fn a_journal_that_was_replaced_while_it_was_waited_for_is_not_continued() {
    let state = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(state.path(), log(), &name()).unwrap();
    long_life(&mut journal);
    drop(journal);
    let folder = Folder::open(state.path(), &["dragons", &folder_of(log()), "greeter"]).unwrap();
    let early = folder.append(JOURNAL).unwrap();
    assert!(is_still_there(&early, &folder).unwrap());
    drop(Journal::open(state.path(), log(), &name()).unwrap());
    assert!(!is_still_there(&early, &folder).unwrap());
    assert!(is_still_there(&open_locked(&folder).unwrap(), &folder).unwrap());
}

/// The end of a long file tells the same as all of it.
#[test]
fn what_a_crash_tore_from_a_long_file_is_found_at_its_end() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("lines");
    let line = [vec![b'x'; 999], vec![b'\n']].concat();
    let lines = line.repeat(2 * TAIL_BYTES / line.len());
    let ends: [&[u8]; 9] = [
        b"",
        b"torn",
        b"\n",
        b"\0\0\0",
        b"\0\0\n",
        b"x\0\n\n\0",
        b"\n\n\n",
        b"\0\n\0torn",
        b"x\n\0\n",
    ];
    let long = [vec![b'y'; TAIL_BYTES + 1], vec![0; 3]].concat();
    for end in ends.into_iter().chain([&long[..]]) {
        fs::write(&path, [&lines, end].concat()).unwrap();
        let file = File::open(&path).unwrap();
        let whole = whole_bytes(&file, &path).unwrap();
        assert_eq!(whole, whole_from_start(&file, &path).unwrap(), "{end:?}");
    }
}
