//! What is told of a log with work in it: by the rules, with a denial, a stop and a second lease.

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::record::{AgentState, Body, Phase, Refused, Rule, SignedRecord, Status, Verdict};
use proving::{Identity, Keys, Log, Speaker, record};
use serde_json::{Value, json};
use timeline::drawing;
use timeline::entry::Entry;
use timeline::goal::{GoalStory, Goals};
use timeline::leases::Why;
use timeline::life::{Life, LifeView, Span};
use tlog::LeafIndex;

const START_MS: u64 = 1_764_000_000_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// A log, the process that works in it, and what it did.
struct World {
    log: Log,
    speaker: Speaker,
    lease: RecordHash,
    goal: RecordHash,
}

impl World {
    /// An agent runs from the first minute, under a lease of an hour.
    fn running() -> Self {
        let keys = Keys::of("told");
        let mut log = Log::found(keys.clone(), record::charter(&keys), START_MS);
        let agent = Identity::registered(&mut log, "a", START_MS);
        Identity::registered(&mut log, "b", START_MS);
        let lease = agent.leased(&mut log, HOUR_MS, START_MS);
        let speaker = Speaker::beginning(agent, "first", &log);
        let mut world = Self {
            log,
            speaker,
            lease,
            goal: lease,
        };
        let beat = world.speaker.beat(&world.log, START_MS + MINUTE_MS);
        world.says(beat, START_MS + MINUTE_MS);
        world
    }

    fn says(&mut self, signed: SignedRecord, now_ms: u64) -> RecordHash {
        self.speaker.said(&signed);
        let hash = signed.hash();
        self.log.submit(signed, now_ms).expect("by the rules");
        self.log.settle(now_ms);
        hash
    }

    fn does(&mut self, phase: Phase, minute: u64) -> RecordHash {
        let now_ms = START_MS + minute * MINUTE_MS;
        let signed = self.speaker.receipt(phase, &self.log, now_ms);
        self.says(signed, now_ms)
    }

    fn acts(&mut self, scope: &str, status: Status, minute: u64) {
        let intent = record::intent(self.goal, scope);
        let intent = self.does(Phase::Intent(Box::new(intent)), minute);
        let result = record::result(intent, status, 30_000);
        self.does(Phase::Result(result), minute + 1);
    }

    fn is_denied(&mut self, scope: &str, minute: u64) {
        let now_ms = START_MS + minute * MINUTE_MS;
        let intent = record::intent(self.goal, scope);
        let intent = self.speaker.intent(intent, &self.log, now_ms);
        let refused = Refused {
            envelope: Some(intent.envelope().clone()),
            ..record::refused(&self.speaker.identity.name, 1, &intent, Code::ScopeDenied)
        };
        self.control(Body::Refusal(Box::new(refused)), now_ms);
    }

    fn control(&mut self, body: Body, now_ms: u64) {
        let key = self.log.keys().control.clone();
        let signed = self.log.sign(body, now_ms, &[&key]);
        self.log.submit(signed, now_ms).expect("by the rules");
    }

    fn operator(&mut self, body: Body, now_ms: u64) {
        let key = self.log.keys().operator.clone();
        let signed = self.log.sign(self.log.knowing(body), now_ms, &[&key]);
        self.log.submit(signed, now_ms).expect("by the rules");
    }

    fn entries(&self) -> Vec<Entry> {
        let leaves = (0..).map(LeafIndex::new).zip(self.log.leaves());
        let entry = |(index, leaf): (_, &proving::log::Held)| {
            Entry::parse(index, leaf.bytes.as_bytes()).expect("a leaf of the log")
        };
        leaves.map(entry).collect()
    }
}

/// Minute 1 started, 2 a goal, 3 to 6 two actions, 7 a denial, 8 the outcome, 10 an order to stop.
fn worked() -> World {
    let mut world = World::running();
    world.goal = world.does(record::goal("count <all> the words"), 2);
    world.acts("read:book", Status::Ok, 3);
    world.acts("write:repo/notes", Status::Error, 5);
    world.is_denied("write:repo/secrets/key", 7);
    world.does(record::outcome(world.goal, Verdict::Partial), 8);
    let stop = record::order(&world.speaker.identity.name, AgentState::Stopped);
    world.operator(stop, START_MS + 10 * MINUTE_MS);
    world
}

fn life(entries: &[Entry], from_ms: u64, to_ms: u64) -> LifeView {
    let mut life = Life::of("a".parse().unwrap(), from_ms..to_ms);
    entries.iter().for_each(|entry| life.hear(entry));
    life.told()
}

fn states(life: &LifeView) -> Vec<(Option<&'static str>, u64, u64)> {
    let minutes = |ms: u64| ms.saturating_sub(START_MS) / MINUTE_MS;
    let spans = life.states.iter();
    let state = |state: AgentState| state.as_str();
    spans
        .map(|it| (it.state.map(state), minutes(it.from_ms), minutes(it.to_ms)))
        .collect()
}

fn story(entries: &[Entry]) -> GoalStory {
    let mut goals = Goals::new();
    entries.iter().for_each(|entry| goals.hear(entry));
    let mut told = goals.told();
    assert_eq!(told.len(), 1);
    told.remove(0)
}

#[test]
fn a_life_is_told_from_its_beginning() {
    let world = worked();
    let entries = world.entries();
    let life = life(&entries, START_MS, START_MS + 20 * MINUTE_MS);
    let want = [
        (Some("stopped"), 0, 1),
        (Some("running"), 1, 10),
        (Some("stopped"), 10, 20),
    ];
    assert_eq!(states(&life), want);
    // Before its first registration there was no such agent.
    let whole = self::life(&entries, 0, START_MS + 20 * MINUTE_MS);
    assert_eq!(states(&whole), want);
    let causes: Vec<_> = life.states.iter().map(|it| it.cause.as_ref()).collect();
    assert_eq!(causes[0].unwrap().index, LeafIndex::new(1));
    assert_eq!(causes[1].unwrap().rule, Some(Rule::Started));
    assert_eq!(
        causes[2].unwrap().reason.as_ref().unwrap().as_str(),
        "proving"
    );
    let [lease] = &life.leases[..] else {
        panic!("one lease")
    };
    assert_eq!(
        (lease.lease, lease.ended.as_ref().unwrap().why),
        (world.lease, Why::Stopped)
    );
    assert_eq!(lease.granted_by, [world.log.keys().operator.public().id()]);
    let stopped_ms = START_MS + 10 * MINUTE_MS;
    let rest = Span {
        from_ms: stopped_ms,
        to_ms: life.to_ms,
    };
    assert_eq!((lease.to_ms, &life.unleased[..]), (stopped_ms, &[rest][..]));
    assert_eq!(
        (life.beats.len(), life.actions.len(), life.refusals.len()),
        (1, 2, 1)
    );
    assert_eq!((life.versions.len(), life.beats[0].epoch), (1, 1));
    assert!(life.refusals[0].is_denial);
}

#[test]
fn what_was_before_a_span_sets_its_scene() {
    let entries = worked().entries();
    let (from_ms, to_ms) = (START_MS + 4 * MINUTE_MS + 1, START_MS + 6 * MINUTE_MS);
    let all = life(&entries, from_ms, to_ms);
    assert_eq!(states(&all)[0].0, Some("running"));
    // The first action was over before; the other lies within.
    let scopes: Vec<String> = all.actions.iter().map(|it| it.scope.to_string()).collect();
    assert_eq!(scopes, ["write:repo/notes"]);
    assert_eq!((all.beats.len(), all.unleased.len()), (0, 0));
    // The order to stop comes after the span.
    assert_eq!((states(&all).len(), all.to_ms), (1, to_ms));
    // Without what was before, a transition says at least what it ends; an order does not.
    let known = life(&entries[5..], START_MS, to_ms);
    assert_eq!(states(&known)[0].0, Some("stopped"), "{:?}", known.states);
    let unknown = life(&entries[6..], from_ms, START_MS + 20 * MINUTE_MS);
    assert_eq!(states(&unknown)[0].0, None);
}

#[test]
fn leases_follow_one_another() {
    let mut world = World::running();
    let name = world.speaker.identity.name.clone();
    let (ten_ms, twenty_ms) = (START_MS + 10 * MINUTE_MS, START_MS + 20 * MINUTE_MS);
    world.operator(record::renewal(world.lease, START_MS + 2 * HOUR_MS), ten_ms);
    let hash = world.speaker.identity.manifest_hash;
    let second = record::lease(&name, hash, twenty_ms, twenty_ms + HOUR_MS);
    world.operator(Body::Lease(Box::new(second)), twenty_ms);
    let entries = world.entries();
    let second = entries.last().unwrap().record.hash();
    world.operator(record::revocation(second), twenty_ms + MINUTE_MS);
    let life = life(&world.entries(), START_MS, START_MS + 3 * HOUR_MS);
    let told: Vec<_> = life
        .leases
        .iter()
        .map(|it| {
            (
                it.to_ms,
                it.renewals.len(),
                it.ended.as_ref().map(|end| end.why),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (twenty_ms, 1, Some(Why::Superseded)),
            (twenty_ms + MINUTE_MS, 0, Some(Why::Revoked)),
        ]
    );
    assert_eq!(life.leases[0].renewals[0].by, life.leases[0].granted_by);
    assert_eq!(life.unleased.len(), 1);
}

#[test]
fn a_goal_is_told_with_who_authorised_each_step() {
    let world = worked();
    let story = story(&world.entries());
    let operator = world.log.keys().operator.public().id();
    assert_eq!(
        (story.goal, story.title.as_str()),
        (world.goal, "count <all> the words")
    );
    let steps: Vec<_> = story
        .actions
        .iter()
        .map(|it| {
            (
                it.scope.to_string(),
                it.result.as_ref().map(|result| result.status),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("read:book".to_owned(), Some(Status::Ok)),
            ("write:repo/notes".to_owned(), Some(Status::Error)),
        ]
    );
    let outcome = story.outcome().unwrap();
    assert_eq!(
        (outcome.verdict, outcome.checks.len()),
        (Verdict::Partial, 1)
    );
    for authority in [
        &story.authority,
        &story.actions[1].authority,
        &outcome.authority,
    ] {
        assert_eq!((authority.lease, authority.epoch), (Some(world.lease), 1));
        assert_eq!(authority.authorised_by, [operator]);
        let manifest_hash = world.speaker.identity.manifest_hash;
        assert_eq!(authority.manifest_hash, Some(manifest_hash));
        assert_eq!(authority.version.as_ref().unwrap().as_str(), "v1");
    }
    let refused = &story.refusals[0];
    assert_eq!(
        refused.scope.as_ref().unwrap().to_string(),
        "write:repo/secrets/key"
    );
    assert_eq!(
        (refused.code, refused.kind.as_str()),
        (Code::ScopeDenied, "intent")
    );
}

#[test]
fn both_are_told_as_json() {
    let world = worked();
    let entries = world.entries();
    let story = serde_json::to_value(story(&entries)).unwrap();
    let operator = world.log.keys().operator.public().id().to_string();
    assert_eq!(story["authority"]["authorised_by"], json!([operator]));
    assert_eq!(story["actions"][0]["result"]["status"], "ok");
    assert_eq!(story["outcomes"][0]["verdict"], "partial");
    let life = life(&entries, START_MS, START_MS + 20 * MINUTE_MS);
    let life = serde_json::to_value(life).unwrap();
    assert_eq!(life["agent"], "a");
    assert_eq!(life["states"][1]["state"], "running");
    assert_eq!(life["states"][1]["cause"]["rule"], "started");
    assert_eq!(life["leases"][0]["ended"]["why"], "stopped");
    assert_eq!(life["leases"][0]["budget"]["actions"], Value::Null);
    assert_eq!(life["beats"][0]["final"], false);
    assert_eq!(life["refusals"][0]["code"], "scope-denied");
}

#[test]
fn a_life_is_drawn() {
    let life = life(&worked().entries(), START_MS, START_MS + 20 * MINUTE_MS);
    let svg = drawing::svg(&life);
    for part in [
        "<title id=\"life-title\">a from 2025-11-24T16:00:00.000Z to 2025-11-24T16:20:00.000Z</title>",
        "stopped for 1 minute, then running for 9 minutes, then stopped for 10 minutes. 1 lease, 1 heartbeat, 2 actions, 1 refusal.",
        "class=\"bar running\"",
        "class=\"bar action ok\"",
        "class=\"mark failed\"",
        "class=\"mark refused\"",
        "class=\"mark ended\"",
        ">16:10</text>",
    ] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    for never in ["<script", "style=", "href", "http://e"] {
        assert!(!svg.contains(never), "{never}: {svg}");
    }
}

#[test]
fn a_long_life_is_no_larger_a_picture() {
    let mut life = life(&worked().entries(), START_MS, START_MS + 20 * MINUTE_MS);
    let beat = life.beats[0].clone();
    life.beats = (0..100_000)
        .map(|n| timeline::life::Beat {
            received_ms: START_MS + n,
            ..beat.clone()
        })
        .collect();
    assert!(drawing::svg(&life).len() < 100_000);
}
