//! Every case is told in its cell, and no other: fleets with faults of known truth, beside watchdogs with blind spots.

mod fleet;

use std::sync::LazyLock;

use fleet::Run;
use ledger::digest::Digest;
use proving::difference::{CLASSES, Cell, Score};
use proving::fleet::Size;
use report::document::{CaseView, Document};
use report::found::Found;
use report::inputs::Watch;
use report::watch::Gap;
use watchdogs::class::Class;

/// Enough agents for each class of fault to come up in every run.
const SIZE: Size = Size {
    days: 3,
    agents: 20,
};

const SEEDS: u64 = 8;

/// The runs, played once for all tests here.
static RUNS: LazyLock<Vec<Run>> = LazyLock::new(|| {
    let runs: Vec<_> = (1..=SEEDS)
        .map(|seed| std::thread::spawn(move || Run::of(seed, SIZE)))
        .collect();
    let runs = runs.into_iter().map(|run| run.join().expect("a run"));
    runs.collect()
});

#[test]
fn every_case_is_told_in_its_cell_and_no_other() {
    let scores = RUNS.iter().map(|run| run.score(&run.document()));
    let total = scores.fold(Score::default(), Score::and);
    let (missed, surplus) = (&total.missed, &total.surplus);
    assert!(
        total.is_perfect(),
        "{total}\nmissed {missed:#?}\nsurplus {surplus:#?}"
    );
    // There was something to be right about: each class, and each cell.
    let classes = total.classes();
    assert!(
        CLASSES.iter().all(|class| classes.contains(class)),
        "{total}"
    );
    let cells = [
        Cell::Both,
        Cell::Dragons,
        Cell::Watchdog,
        Cell::FalseDragons,
        Cell::FalseWatchdog,
    ];
    assert_eq!(total.cells(), cells, "{total}");
}

/// One run, wronged in every way: the score must notice each.
#[test]
fn a_wrong_report_is_noticed() {
    let run = &RUNS[0];
    let (terms, watch) = (run.terms(), run.watch());
    assert!(run.score(&run.document()).is_perfect());

    // The window is shifted by half a day: what came before it is gone.
    let mut shifted = terms.clone();
    shifted.from_ms += 12 * 3_600_000;
    let late = run.made(&shifted, &watch).document;
    assert!(!run.score(&late).missed.is_empty(), "a shifted window");

    // An alert is dropped: what both saw, one alone did.
    let honest = run.document();
    let of_both = |case: &&CaseView| case.by == "both";
    let both = honest.cases.iter().find(of_both);
    let both = both.expect("a case that both saw");
    let dropped = both.alerts[0].clone();
    let mut fewer = watch.clone();
    fewer.alerts.retain(|it| it.key() != dropped.key());
    assert_eq!(fewer.alerts.len() + 1, watch.alerts.len());
    let without = run.made(&terms, &fewer).document;
    assert!(!run.score(&without).missed.is_empty(), "a dropped alert");

    // A gap of the log is hidden: alerts of that time become false alarms.
    let mut played = run.played(&terms, &watch);
    assert!(!played.log_gaps.is_empty());
    played.log_gaps.clear();
    let digest = Digest::of(&[b"pack"]);
    let hidden = Document::of(&terms, &played, &watch, digest);
    assert!(!run.score(&hidden).is_perfect(), "a hidden gap");

    // An alert is moved by an hour.
    let mut moved = watch.clone();
    for alert in &mut moved.alerts {
        if alert.key() == dropped.key() {
            alert.opened_ms += 3_600_000;
            alert.closed_ms = alert.closed_ms.map(|ms| ms + 3_600_000);
        }
    }
    let moved = run.made(&terms, &moved).document;
    assert!(!run.score(&moved).is_perfect(), "a moved alert");
}

/// What somebody does to the inputs of a report.
type Wrong = fn(&mut Watch);

#[test]
fn inputs_that_say_something_else_are_noticed() {
    let run = &RUNS[0];
    let wrongs: [(&str, Wrong); 6] = [
        ("an alert about another agent", |watch| {
            watch.alerts[0].agent = "nobody".parse().unwrap();
        }),
        ("an alert that nobody raised", |watch| {
            let mut more = watch.alerts[0].clone();
            more.source_id.push('x');
            watch.alerts.push(more);
        }),
        ("alerts that are said to be of another class", |watch| {
            let class = |it: &mut report::watch::Alert| it.class = Some(Class::Drift);
            watch.alerts.iter_mut().for_each(class);
        }),
        ("a muted alert that is said to be told", |watch| {
            watch
                .alerts
                .iter_mut()
                .for_each(|it| it.muted = Some(false));
        }),
        ("a watchdog that is said to see nothing", |watch| {
            watch
                .sources
                .iter_mut()
                .for_each(|it| it.sees = Some(Vec::new()));
        }),
        ("rules that are said to be younger than they are", |watch| {
            let late = |it: &mut watchdogs::config::MapSource| it.rules_from_ms = Some(u64::MAX);
            watch.sources.iter_mut().for_each(late);
        }),
    ];
    for (what, wrong) in wrongs {
        let mut watch = run.watch();
        wrong(&mut watch);
        let told = run.made(&run.terms(), &watch).document;
        assert!(!run.score(&told).is_perfect(), "{what}");
    }
}

/// What somebody does to what the replay found.
type Twist = fn(&mut Vec<Found>);

#[test]
fn findings_that_are_left_out_or_turned_round_are_noticed() {
    let run = &RUNS[0];
    let (terms, watch) = (run.terms(), run.watch());
    let twists: [(&str, Twist); 5] = [
        ("an incident is left out", |found| {
            found.remove(0);
        }),
        (
            "a false alarm of the control plane is called an incident",
            |found| {
                let unfounded = found.iter_mut().find(|it| it.is_unfounded);
                unfounded.unwrap().is_unfounded = false;
            },
        ),
        ("an incident is called a false alarm", |found| {
            let founded = found.iter_mut().find(|it| !it.is_unfounded);
            founded.unwrap().is_unfounded = true;
        }),
        ("an incident is of another class", |found| {
            let stall = found.iter_mut().find(|it| it.class == Class::Stall);
            stall.unwrap().class = Class::Silence;
        }),
        ("an incident begins an hour later", |found| {
            found[0].began_ms += 3_600_000;
        }),
    ];
    for (what, twist) in twists {
        let mut played = run.played(&terms, &watch);
        twist(&mut played.found);
        let told = Document::of(&terms, &played, &watch, Digest::of(&[b"pack"]));
        assert!(!run.score(&told).is_perfect(), "{what}");
    }
}

/// What a source says that it has lost, nobody lays to it.
#[test]
fn a_gap_of_a_source_makes_what_it_missed_unknown() {
    let is_missed = |case: &&CaseView| {
        let told = (case.by, case.verdict, case.could_see);
        told == ("dragons", "incident", Some(true))
    };
    let mut runs = RUNS.iter();
    let missed = runs.find_map(|run| {
        let honest = run.document();
        let missed = honest.cases.iter().find(is_missed)?;
        let about = (missed.id.clone(), missed.began_ms);
        Some((run, about))
    });
    let (run, (id, began_ms)) = missed.expect("something that every watchdog missed");
    let (terms, watch) = (run.terms(), run.watch());
    let mut played = run.played(&terms, &watch);
    for source in ["cron", "prometheus", "events", "tracer"] {
        played.add_gap(Gap {
            source: source.to_owned(),
            from_ms: began_ms,
            to_ms: began_ms + 1,
            detail: "lost".to_owned(),
            entry: None,
        });
    }
    let told = Document::of(&terms, &played, &watch, Digest::of(&[b"pack"]));
    let same = told.cases.iter().find(|case| case.id == id);
    let same = same.expect("the same case");
    assert_eq!((same.by, same.could_see), ("dragons", None));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let size = Size { days: 1, agents: 5 };
    let (one, other) = (Run::of(3, size), Run::of(3, size));
    let made = |run: &Run| run.made(&run.terms(), &run.watch());
    let (one, other) = (made(&one), made(&other));
    assert_eq!(one.json, other.json);
    assert_eq!(one.files, other.files);
    assert_eq!(one.envelope(None), other.envelope(None));
}
