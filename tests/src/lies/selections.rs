//! Packs of an agent or a goal that hold too much or too little, and values that were never committed to.

use ledger::codes::Code;
use ledger::digest::{Digest, RecordHash};
use ledger::pack::{Disclosure, Line, Selection, Side};
use ledger::record::{Body, Phase};
use ledger::verify::CheckId;

use super::forger::{Forger, envelope, record, text};
use super::{Group, Layer, Shelf};

const FORM: Group = Group::of(Layer::Log, CheckId::Form);
const MEMBERSHIP: Group = Group::of(Layer::Records, CheckId::Form);
const DISCLOSURES: Group = Group::of(Layer::Records, CheckId::Disclosures);

/// An intent, with a value that went in.
const INTENT: usize = 6;
/// The goal that it is for.
const GOAL: usize = 5;
/// What the agent of the golden log has to do with: all but the pulse at the end.
const OF_AGENT: [u64; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];

pub(super) fn fill(shelf: &mut Shelf) {
    agent(shelf);
    goal(shelf);
    disclosures(shelf);
}

fn of_agent(name: &str, indices: &[u64]) -> String {
    let agent = Selection::Agent(name.parse().expect("a name"));
    text(&Forger::golden().selected(agent, indices))
}

fn agent(shelf: &mut Shelf) {
    shelf.sound_part("sound-agent", of_agent("reconciler", &OF_AGENT));
    let whole: Vec<u64> = (0..16).collect();
    for (name, code, pack) in [
        (
            "agent-with-a-stranger",
            Code::PackSelection,
            of_agent("reconciler", &whole),
        ),
        (
            "agent-of-another-name",
            Code::PackSelection,
            of_agent("somebody", &OF_AGENT),
        ),
        (
            "agent-without-charter",
            Code::PackIncomplete,
            of_agent("reconciler", &OF_AGENT[1..]),
        ),
    ] {
        shelf.lie(MEMBERSHIP, name, code, pack);
    }
    let sound = of_agent("reconciler", &OF_AGENT);
    let dropped: String = sound.split_inclusive('\n').take(16).collect();
    for (name, code, pack) in [
        (
            "agent-claims-more",
            Code::PackCount,
            sound.replacen("\"count\":15", "\"count\":16", 1),
        ),
        (
            "agent-claims-less",
            Code::PackCount,
            sound.replacen("\"count\":15", "\"count\":14", 1),
        ),
        (
            "agent-claims-nothing",
            Code::PackCount,
            sound.replacen("\"count\":15", "\"count\":0", 1),
        ),
        ("agent-with-a-leaf-dropped", Code::PackCount, dropped),
        (
            "agent-in-html",
            Code::PackMalformed,
            sound.replacen("\"reconciler\"", "\"<script>\"", 1),
        ),
    ] {
        shelf.lie(FORM, name, code, pack);
    }
}

fn goal(shelf: &mut Shelf) {
    let golden = Forger::golden();
    let hash = envelope(&golden.leaves[GOAL]).record_hash();
    let of_goal = |goal, indices: &[u64]| text(&golden.selected(Selection::Goal(goal), indices));
    let sound = [0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 14];
    shelf.sound_part("sound-goal", of_goal(hash, &sound));
    let without: Vec<u64> = sound.into_iter().filter(|index| *index != 5).collect();
    let other = envelope(&golden.leaves[INTENT]).record_hash();
    for (name, code, pack) in [
        (
            "goal-with-a-heartbeat",
            Code::PackSelection,
            of_goal(hash, &[0, 1, 2, 3, 4, 5]),
        ),
        (
            "goal-left-out",
            Code::PackIncomplete,
            of_goal(hash, &without),
        ),
        (
            "goal-of-authority-alone",
            Code::PackIncomplete,
            of_goal(hash, &[0]),
        ),
        (
            "goal-that-is-none",
            Code::PackSelection,
            of_goal(other, &sound),
        ),
    ] {
        shelf.lie(MEMBERSHIP, name, code, pack);
    }
}

fn disclosures(shelf: &mut Shelf) {
    let golden = Forger::golden();
    let intent = record(&golden.leaves[INTENT]);
    let Body::Receipt(receipt) = intent.body else {
        panic!("entry {INTENT} is a receipt");
    };
    let Phase::Intent(intent) = receipt.phase else {
        panic!("entry {INTENT} is an intent");
    };
    let claim = Disclosure {
        record: envelope(&golden.leaves[INTENT]).record_hash(),
        side: Side::Inputs,
        name: intent.inputs[0].0.clone(),
        salt: [0; 32],
        value: b"never said".to_vec(),
    };
    let with = |change: &dyn Fn(&mut Disclosure)| {
        let mut claim = claim.clone();
        change(&mut claim);
        let mut lines = golden.lines(0, 16);
        lines.insert(2, Line::Disclosures(vec![claim]));
        text(&lines)
    };
    for (name, pack) in [
        ("disclosure-of-another-value", with(&|_| ())),
        (
            "disclosure-of-another-name",
            with(&|claim| claim.name = "unnamed".parse().expect("a name")),
        ),
        (
            "disclosure-of-another-side",
            with(&|claim| claim.side = Side::Outputs),
        ),
        (
            "disclosure-of-no-receipt",
            with(&|claim| claim.record = envelope(&golden.leaves[0]).record_hash()),
        ),
        (
            "disclosure-of-no-record",
            with(&|claim| {
                claim.record = RecordHash::new(Digest::of(&[b"none"]));
            }),
        ),
    ] {
        shelf.lie(DISCLOSURES, name, Code::DisclosureMismatch, pack);
    }
    let sound = with(&|_| ());
    let twice = |line: &str| sound.replacen(line, &line.repeat(2), 1);
    let line = sound.lines().nth(2).expect("the disclosures").to_owned() + "\n";
    shelf.lie(FORM, "disclosures-twice", Code::PackOrder, twice(&line));
    let none = sound.replacen(&line, "{\"disclosures\":[]}\n", 1);
    let records = Group {
        layer: Layer::Records,
        ..FORM
    };
    shelf.lie(records, "disclosures-of-nothing", Code::PackMalformed, none);
    let salted = sound.replacen("\"salt\":\"AAAA", "\"salt\":\"", 1);
    shelf.lie(
        records,
        "disclosure-with-a-short-salt",
        Code::PackMalformed,
        salted,
    );
}
