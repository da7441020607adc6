//! However many threads or helpers verify: the report is the same, byte for byte.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use evidence::{Crew, Helped, Helper, Intake};
use ledger::verify::{Trust, Verifier, verify};
use proving::Log;
use proving::fleet::{Size, plan};
use proving::simulation::play;
use tests::dragons;
use tests::lies::all;

/// The numbers of threads that are tried: the caller's alone, one for each of two cores, and more than there are cores or work.
const THREADS: [usize; 3] = [1, 2, 5];

fn report(evidence: &[u8], trust: &Trust, threads: usize, piece_bytes: usize) -> String {
    let threads = NonZeroUsize::new(threads).unwrap();
    let crew = Crew::new(Verifier::new(trust.clone()), threads).in_pieces_of(piece_bytes);
    let mut intake = Intake::new(crew);
    for chunk in evidence.chunks(5000) {
        intake.push(chunk, &mut |_| {});
    }
    intake.finish(&mut |_| {}).0.to_json()
}

/// What becomes of the answers of helpers.
#[derive(Clone, Copy, Debug)]
enum Answers {
    InTime,
    /// In the reverse order, some never, and some from somebody who answers with nonsense.
    Odd,
}

fn report_of_helped(evidence: &[u8], trust: &Trust, piece_bytes: usize, how: Answers) -> String {
    let verifier = Verifier::new(trust.clone());
    let mut crew = Helped::with_helpers(verifier).in_pieces_of(piece_bytes);
    crew.helpers().invite();
    let mut intake = Intake::new(crew);
    let mut helpers = [Helper::default(), Helper::default()];
    for chunk in evidence.chunks(5000) {
        intake.push(chunk, &mut |_| {});
        for (number, found) in answers(intake.verifier(), &mut helpers, how) {
            intake.verifier().take_found(number, found);
        }
    }
    intake.finish(&mut |_| {}).0.to_json()
}

fn answers(crew: &mut Helped, helpers: &mut [Helper; 2], how: Answers) -> Vec<(u64, Vec<u8>)> {
    let keys = crew.helpers().keys().unwrap_or_default().to_vec();
    let mut answers = Vec::new();
    while let Some((number, lines)) = crew.helpers().hand_out() {
        let [first, second] = &mut *helpers;
        let (helper, other) = match number % 2 {
            0 => (first, second),
            _ => (second, first),
        };
        helper.learn(&keys);
        let read = helper.read(lines);
        other.learn(&read.keys);
        answers.push((number, read.found));
    }
    if let Answers::Odd = how {
        answers.reverse();
        answers.retain(|(number, _)| number % 7 != 3);
        let odd = answers.iter_mut().filter(|(number, _)| number % 5 == 2);
        odd.for_each(|(_, found)| found.truncate(found.len() / 2));
    }
    answers
}

/// Read ahead line by line, so that even short packs go to all threads, and in the pieces that long packs are read in.
#[test]
fn every_lie_has_the_same_report() {
    for sample in all() {
        let trust: Trust = sample.trust.parse().unwrap();
        let wanted = verify(&sample.evidence, &trust, None).to_json();
        for threads in THREADS {
            for piece_bytes in [1, 3000, 64 * 1024] {
                let report = report(&sample.evidence, &trust, threads, piece_bytes);
                assert_eq!(report, wanted, "{} with {threads} threads", sample.name);
            }
        }
        for how in [Answers::InTime, Answers::Odd] {
            for piece_bytes in [1, 3000] {
                let report = report_of_helped(&sample.evidence, &trust, piece_bytes, how);
                assert_eq!(report, wanted, "{} with helpers, {how:?}", sample.name);
            }
        }
    }
}

/// A fleet with every kind of fault in it, some megabytes of leaves.
fn fleet() -> Log {
    let plan = plan(7, Size { days: 1, agents: 8 });
    play(7, &plan.script, plan.end_ms)
}

fn pack(log: &Log) -> Vec<u8> {
    let signed = log.cosigned(log.size(), log.state().last_received_ms() / 1000);
    log.pack_of(0, log.size().get(), &signed).into_bytes()
}

/// The pack as it is, with each kind of damage that a reader can meet in the middle, and wrapped.
fn damaged(pack: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let middle = pack.len() / 2;
    let line_end = middle + pack[middle..].iter().position(|it| *it == b'\n').unwrap();
    let spliced = |bytes: &[u8]| [&pack[..=line_end], bytes, &pack[line_end + 1..]].concat();
    let mut flipped = pack.to_vec();
    flipped[middle] ^= 1;
    vec![
        ("sound", pack.to_vec()),
        ("flipped", flipped),
        ("cut in a line", pack[..middle].to_vec()),
        ("cut behind a line", pack[..=line_end].to_vec()),
        ("an empty line", spliced(b"\n")),
        ("a line without end", spliced(&vec![b'x'; 300_000])),
        ("a leaf twice", {
            let line = pack[..=line_end]
                .split_inclusive(|it| *it == b'\n')
                .next_back();
            spliced(line.unwrap())
        }),
    ]
}

#[test]
fn a_fleet_has_the_same_report_however_it_is_damaged() {
    let log = fleet();
    let trust = log.trust_witnessed();
    for (what, evidence) in damaged(&pack(&log)) {
        let wanted = verify(&evidence, &trust, None).to_json();
        for threads in THREADS {
            let report = report(&evidence, &trust, threads, 64 * 1024);
            assert!(report == wanted, "{what}, with {threads} threads");
        }
        for how in [Answers::InTime, Answers::Odd] {
            let report = report_of_helped(&evidence, &trust, 3000, how);
            assert!(report == wanted, "{what}, with helpers, {how:?}");
        }
    }
}

/// What the command prints, and how it exits.
fn printed(words: &[&str], pack: &Path, trust: &Path, threads: usize) -> (Option<i32>, String) {
    let mut command = dragons().command();
    let command = command.args(words).arg(pack).arg("--trust").arg(trust);
    let output = command.arg("--threads").arg(threads.to_string()).output();
    let output = output.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn the_commands_print_the_same() {
    let (log, folder) = (fleet(), tempfile::tempdir().unwrap());
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(at("trust.json"), log.trust_witnessed().to_json()).unwrap();
    for (what, evidence) in damaged(&pack(&log)).into_iter().take(3) {
        std::fs::write(at("pack"), &evidence).unwrap();
        for words in [
            &["verify"][..],
            &["verify", "--json"],
            &["replay", "--json"],
        ] {
            let print = |threads| printed(words, &at("pack"), &at("trust.json"), threads);
            let wanted = print(1);
            assert!(wanted.1.len() > 100, "{words:?}: {}", wanted.1);
            for threads in THREADS {
                assert!(
                    print(threads) == wanted,
                    "{words:?}, {what}, {threads} threads"
                );
            }
        }
    }
}
