//! Every lie is refused, for its own reason, at the fault of who told it.

use std::collections::BTreeSet;

use ledger::codes::{Class, Party};
use ledger::pack::Selection;
use ledger::verify::{Headline, Question, Reply, Report, Status, Trust, Verdict, verify};
use tests::lies::{Fault, Forger, Sample, TRUST, all, forger, of_one_log, of_the_log};

fn report(sample: &Sample) -> Report {
    let trust: Trust = sample.trust.parse().unwrap();
    verify(&sample.evidence, &trust, None)
}

/// What is said wrong of a sample, if anything is.
fn complaint(sample: &Sample) -> Option<String> {
    let report = report(sample);
    let complain = |what: &str| Some(format!("{}: {what}: {}", sample.name, found(&report)));
    if report.verdict != sample.verdict {
        return complain(&format!("the verdict is not {}", sample.verdict));
    }
    match sample.fault {
        None if report.count(Class::Problem) > 0 => complain("there are problems"),
        None => None,
        Some(fault) if !is_found(&fault, &report) => complain(&format!("no {fault:?}")),
        Some(_) => None,
    }
}

/// What was found, in a line.
fn found(report: &Report) -> String {
    let findings = report.findings.iter().map(|finding| {
        let (code, class, by) = (
            finding.refusal.code,
            finding.class.as_str(),
            finding.by.as_str(),
        );
        format!("{class} {code} by {by}")
    });
    let findings: BTreeSet<String> = findings.collect();
    format!("{}, {findings:?}", report.verdict)
}

fn is_found(fault: &Fault, report: &Report) -> bool {
    let fails =
        |check: &ledger::verify::Check| check.id == fault.check && check.status == Status::Fail;
    let says = |finding: &ledger::verify::Finding| {
        finding.refusal.code == fault.code && finding.by == fault.by
    };
    report.checks.iter().any(fails) && report.findings.iter().any(says)
}

#[test]
fn every_lie_is_refused_for_its_own_reason() {
    let complaints: Vec<String> = all().iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_sample_has_a_name_of_its_own() {
    let samples = all();
    let names: BTreeSet<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    assert_eq!(names.len(), samples.len());
    let lies = samples.iter().filter(|sample| sample.fault.is_some());
    assert!(lies.count() >= 40);
}

/// Those whom evidence can accuse: what is lost, cut or changed on the way must never look like their doing.
fn accused(report: &Report) -> Vec<String> {
    let is_named = |by| !matches!(by, Party::Producer | Party::Unknown);
    let findings = report.findings.iter().filter(|it| is_named(it.by));
    findings
        .map(|it| format!("{it}, by {}", it.by.as_str()))
        .collect()
}

/// What is judged from a state that nobody here vouches for shows nobody out of bounds, in no sentence.
#[test]
fn by_an_unknown_state_nobody_is_out_of_bounds() {
    let samples = all();
    let of_name = |sample: &&Sample| sample.name == "state-unknown-and-breaches";
    let sample = samples.iter().find(of_name).unwrap();
    let report = report(sample);
    assert!(report.count(Class::Breach) > 0);
    assert_eq!(accused(&report), [""; 0]);
    let told = report.told();
    assert_eq!(told.headline, Headline::Incomplete);
    let because = told.because.concat();
    assert!(because.contains("if that state is wrong"), "{because}");
    let answers = report.answers(&sample.trust.parse().unwrap());
    let complete = answers.iter().find(|it| it.question == Question::Complete);
    assert_eq!(complete.unwrap().reply, Reply::No);
    for answer in answers {
        let is_of_the_tree = answer.question == Question::Logged;
        assert_eq!(answer.reply == Reply::Yes, is_of_the_tree, "{}", answer.why);
        assert!(!answer.why.contains("breach"), "{}", answer.why);
    }
}

/// What was not checked is said as well.
#[test]
fn the_report_of_a_pack_speaks_of_every_check() {
    for sample in all() {
        if sample.evidence.starts_with(b"{\"pack\":") {
            let checks = report(&sample).checks;
            let ids: Vec<_> = checks.iter().map(|check| check.id).collect();
            assert_eq!(ids, ledger::verify::CheckId::ALL, "{}", sample.name);
        }
    }
}

/// Whoever makes or passes on evidence changes it as they like, and makes nobody else look guilty.
#[test]
fn what_is_done_to_evidence_is_laid_to_nobody_in_the_log() {
    let is_of_the_evidence = |fault: &Fault| matches!(fault.by, Party::Producer | Party::Unknown);
    let samples = all();
    let of_evidence: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.fault.as_ref().is_some_and(is_of_the_evidence))
        .collect();
    assert!(of_evidence.len() >= 100, "{}", of_evidence.len());
    for sample in of_evidence {
        let report = report(sample);
        assert_eq!(accused(&report), [""; 0], "{}", sample.name);
    }
}

fn judged(evidence: &[u8]) -> Report {
    let trust: Trust = TRUST.parse().unwrap();
    verify(evidence, &trust, None)
}

#[test]
fn nothing_that_happens_on_the_way_is_laid_to_anybody_in_the_log() {
    for sample in of_the_log() {
        let sound = sample.evidence;
        assert_eq!(accused(&judged(&sound)), [""; 0], "{}", sample.name);
        let text = String::from_utf8(sound.clone()).unwrap();
        let mut damaged = vec![
            ("CRLF", text.replace('\n', "\r\n").into_bytes()),
            ("BOM", format!("\u{feff}{text}").into_bytes()),
            ("no last line end", text.trim_end().as_bytes().to_vec()),
            ("one more line end", format!("{text}\n").into_bytes()),
            ("spaces", text.replace(':', ": ").into_bytes()),
        ];
        damaged.extend(
            (0..sound.len())
                .step_by(101)
                .map(|at| ("cut", sound[..at].to_vec())),
        );
        damaged.extend((0..sound.len()).step_by(23).map(|at| {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 7);
            ("a bit", bytes)
        }));
        for (what, bytes) in damaged.into_iter().filter(|(_, bytes)| *bytes != sound) {
            let report = judged(&bytes);
            assert_eq!(accused(&report), [""; 0], "{what} in {}", sample.name);
            assert_ne!(
                report.verdict,
                Verdict::Verified,
                "{what} in {}",
                sample.name
            );
        }
    }
}

/// Lines of one sound pack in place of those of another, and the head of one over the leaves of another.
#[test]
fn nothing_that_is_moved_is_laid_to_anybody_in_the_log() {
    let packs = of_one_log();
    let lines = |sample: &Sample| -> Vec<String> {
        let text = String::from_utf8(sample.evidence.clone()).unwrap();
        text.split_inclusive('\n').map(str::to_owned).collect()
    };
    let leaf = |line: &str| {
        line.split_once("\"leaf\":")
            .map(|(_, leaf)| leaf.to_owned())
    };
    for (into, from) in packs
        .iter()
        .flat_map(|one| packs.iter().map(move |other| (one, other)))
    {
        let (sound, others) = (lines(into), lines(from));
        let mut moved = vec![[&others[..3], &sound[3..]].concat()];
        for (at, line) in sound.iter().enumerate().skip(3) {
            let (head, own) = line.split_once("\"leaf\":").unwrap();
            let other = others.iter().filter_map(|other| leaf(other));
            moved.extend(other.filter(|other| own != other).map(|other| {
                let mut moved = sound.clone();
                moved[at] = format!("{head}\"leaf\":{other}");
                moved
            }));
        }
        for pack in moved
            .into_iter()
            .filter(|pack| *pack != sound && *pack != others)
        {
            let sample = Sample {
                evidence: pack.concat().into_bytes(),
                ..into.clone()
            };
            let report = report(&sample);
            assert_eq!(
                accused(&report),
                [""; 0],
                "{} into {}",
                from.name,
                into.name
            );
            assert_ne!(report.verdict, Verdict::Verified);
        }
    }
}

#[test]
fn nothing_that_is_left_out_is_laid_to_anybody_in_the_log() {
    let golden = Forger::golden();
    for to in 1..=16 {
        for from in 0..to {
            let report = judged(golden.pack(from, to).as_bytes());
            assert_eq!(accused(&report), [""; 0], "{from} up to {to}");
            let is_whole = (from, to) == (0, 16);
            assert_eq!(
                report.verdict == Verdict::Verified,
                is_whole,
                "{from} up to {to}"
            );
        }
    }
    let agent = Selection::Agent("reconciler".parse().unwrap());
    for left_out in 1_u32..1 << 14 {
        // Every pair and every few of them.
        if left_out.count_ones() > 2 && left_out % 61 != 0 {
            continue;
        }
        let indices: Vec<u64> = (0..15)
            .filter(|index| *index == 0 || left_out & (1 << (index - 1)) == 0)
            .collect();
        let pack = forger::text(&golden.selected(agent.clone(), &indices));
        let report = judged(pack.as_bytes());
        assert_eq!(accused(&report), [""; 0], "{indices:?}");
        assert_ne!(report.verdict, Verdict::Verified, "{indices:?}");
    }
}

#[test]
fn a_later_head_makes_an_earlier_end_no_fresher() {
    let trust: Trust = TRUST.parse().unwrap();
    let golden = Forger::golden();
    let now = Some(1_764_000_020_000);
    let of = |pack: String| verify(pack.as_bytes(), &trust, now);
    let status = |report: &Report, id: &str| {
        let check = report.checks.iter().find(|check| check.id.as_str() == id);
        check.unwrap().status
    };
    let whole = of(golden.whole());
    assert_eq!(
        (whole.verdict, status(&whole, "freshness")),
        (Verdict::Verified, Status::Pass)
    );
    assert_eq!(whole.as_of.judged_to.map(|to| to.get()), Some(16));
    let beginning = of(golden.pack(0, 10));
    assert_eq!(beginning.verdict, Verdict::Incomplete);
    assert_eq!(beginning.as_of.judged_to.map(|to| to.get()), Some(10));
    for id in ["chains", "authority", "liveness", "outcomes", "freshness"] {
        assert_eq!(status(&beginning, id), Status::Skipped, "{id}");
    }
    let reply = |report: &Report, question| {
        let answers = report.answers(&trust);
        let answer = answers.iter().find(|it| it.question == question);
        answer.unwrap().reply
    };
    assert_eq!(reply(&beginning, Question::Complete), Reply::No);
    assert_eq!(reply(&beginning, Question::Allowed), Reply::NotChecked);
    let told = beginning.told();
    assert!(told.because.concat().contains("6 later"), "{told:?}");
    let window = of(golden.pack(3, 16));
    assert_eq!(
        (window.verdict, window.as_of.judged_to),
        (Verdict::Incomplete, None)
    );
    assert_eq!(reply(&window, Question::Complete), Reply::No);
    let late = verify(golden.whole().as_bytes(), &trust, Some(1_864_000_000_000));
    assert_eq!(status(&late, "freshness"), Status::Skipped);
}
