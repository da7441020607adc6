use ledger::key::PrivateKey;
use ledger::record::{AgentState, Lease, Phase, SignedRecord, Status};
use ledger::verify::verify;
use proving::{Identity, Keys, Log, Speaker, record};
use serde_json::Value;

use super::*;
use crate::pack_items::PackListener;
use crate::printer::Printer;

const START_MS: u64 = 1_764_000_000_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Markup, and a character that nobody sees.
const HOSTILE: &str = "<script>alert(1)</script> & \"zero\u{200b}width\"";

const fn minute(minute: u64) -> u64 {
    START_MS + minute * MINUTE_MS
}

/// A log in which an agent works.
struct World {
    log: Log,
    speaker: Speaker,
}

impl World {
    /// The agent `a` runs from the first minute, under a lease of an hour.
    fn running() -> Self {
        let keys = Keys::of("incident");
        let mut log = Log::found(keys.clone(), record::charter(&keys), START_MS);
        let agent = Identity::registered(&mut log, "a", START_MS);
        Identity::registered(&mut log, "b", START_MS);
        agent.leased(&mut log, HOUR_MS, START_MS);
        Self::started(log, agent)
    }

    fn started(log: Log, agent: Identity) -> Self {
        let speaker = Speaker::beginning(agent, "first", &log);
        let mut world = Self { log, speaker };
        let beat = world.speaker.beat(&world.log, minute(1));
        world.says(beat, minute(1));
        world
    }

    fn says(&mut self, signed: SignedRecord, now_ms: u64) -> RecordHash {
        self.speaker.said(&signed);
        let hash = signed.hash();
        // What breaks a rule is logged all the same: this is also a log whose control plane sleeps.
        self.log.force(signed, now_ms);
        self.log.settle(now_ms);
        hash
    }

    fn does(&mut self, phase: Phase, at: u64) -> RecordHash {
        let signed = self.speaker.receipt(phase, &self.log, minute(at));
        self.says(signed, minute(at))
    }

    fn intends(&mut self, goal: RecordHash, scope: &str, at: u64) -> RecordHash {
        self.does(Phase::Intent(Box::new(record::intent(goal, scope))), at)
    }

    fn by(&mut self, key: impl Fn(&Keys) -> PrivateKey, body: Body, at: u64) -> RecordHash {
        let key = key(self.log.keys());
        let signed = self.log.sign(body, minute(at), &[&key]);
        let hash = signed.hash();
        self.log.submit(signed, minute(at)).expect("by the rules");
        self.log.settle(minute(at));
        hash
    }

    fn agents_pack(&self) -> String {
        let checkpoint = self.log.checkpoint(self.log.size());
        let agent = &self.speaker.identity.name;
        self.log.pack_of_agent(agent, &checkpoint)
    }

    fn told(&self, pack: &str, from: u64, to: u64) -> Incident {
        let agent = self.speaker.identity.name.clone();
        let report = verify(pack.as_bytes(), &self.log.trust(), None);
        hear(pack, agent, minute(from)..minute(to), Some(report)).unwrap()
    }

    /// From the whole log.
    fn incident(&self, from: u64, to: u64) -> Incident {
        self.told(&self.log.pack(), from, to)
    }
}

fn hear(
    pack: &str,
    agent: Name,
    span: Range<u64>,
    report: Option<Report>,
) -> Result<Incident, Refusal> {
    let (mut listener, mut hearing) = (PackListener::default(), Hearing::of(agent, span));
    listener.hear(pack.as_bytes(), &mut |told| hearing.hear(told));
    listener.finish().expect("a whole pack");
    hearing.told(report)
}

fn text_of(incident: &Incident) -> String {
    let mut printer = Printer::plain();
    text::write(incident, &mut printer);
    printer.finish()
}

fn kinds(incident: &Incident) -> Vec<&str> {
    incident.lines.iter().map(|line| line.kind).collect()
}

#[test]
fn a_span_is_half_open_and_what_precedes_it_sets_the_scene() {
    let mut world = World::running();
    let goal = world.does(record::goal("work"), 2);
    let intent = world.intends(goal, "write:repo/a", 3);
    let result = record::result(intent, Status::Ok, 1_000);
    world.does(Phase::Result(result), 4);
    world.intends(goal, "write:repo/b", 10);
    for pack in [world.log.pack(), world.agents_pack()] {
        let incident = world.told(&pack, 4, 10);
        assert_eq!(kinds(&incident), ["result"]);
        // Charter, manifest, lease, beat, transition, goal, intent.
        assert_eq!((incident.before, incident.after), (7, 1));
        let states = &incident.life.states;
        assert_eq!(
            (states.len(), states[0].state),
            (1, Some(AgentState::Running))
        );
        let lease = &incident.leases[0];
        assert_eq!((lease.used_before.actions, lease.used.actions), (1, 1));
        assert!(lease.ended.is_none() && lease.span.purpose.as_str() == "proving");
        assert_eq!(incident.versions.len(), 1);
        assert_eq!(incident.findings.len(), 0);
    }
    let later = world.incident(10, 11);
    let (before, used) = (later.leases[0].used_before, later.leases[0].used);
    assert_eq!((before.actions, used.actions, used.tokens), (1, 2, 20));
    assert_eq!(kinds(&later), ["intent"]);
}

#[test]
fn a_span_with_nothing_in_it_says_so() {
    let world = World::running();
    for (from, to, before, after) in [(2, 3, 5, 0), (0, 1, 0, 2)] {
        let incident = world.incident(from, to);
        let text = text_of(&incident);
        let extent = format!("({before} before the span, {after} after it)");
        assert!(text.contains(&extent), "{text}");
        let is_empty = text.contains("Nothing about it was logged in this span");
        assert_eq!(is_empty, incident.lines.is_empty(), "{text}");
    }
    let empty = world.incident(2, 3);
    assert!(empty.lines.is_empty());
    assert_eq!(empty.life.states[0].state, Some(AgentState::Running));
    assert!(
        page::page(&empty)
            .unwrap()
            .contains("Nothing about it was logged")
    );
    let before_all = hear(&world.log.pack(), "a".parse().unwrap(), 0..1_000, None).unwrap();
    let states = &before_all.life.states;
    assert_eq!(
        (before_all.after, states.len(), states[0].state),
        (5, 1, None)
    );
    assert!(text_of(&before_all).contains("not registered"));
}

#[test]
fn an_agent_that_nobody_knows_has_no_incident() {
    let world = World::running();
    let nobody = hear(
        &world.log.pack(),
        "nobody".parse().unwrap(),
        0..u64::MAX,
        None,
    );
    assert_eq!(nobody.unwrap_err().code, Code::AgentUnknown);
}

#[test]
fn authority_from_above_is_told_with_what_ended_it() {
    let keys = Keys::of("above");
    let mut log = Log::found(keys.clone(), record::charter(&keys), START_MS);
    let above = Identity::registered(&mut log, "above", START_MS);
    let other = Identity::registered(&mut log, "other", START_MS);
    let parent = above.leased(&mut log, HOUR_MS, START_MS);
    other.leased(&mut log, HOUR_MS, START_MS);
    let agent = Identity::registered(&mut log, "a", START_MS);
    let part = Lease {
        parent: Some(parent),
        ..record::lease(&agent.name, agent.manifest_hash, START_MS, minute(30))
    };
    let signed = log.sign(Body::Lease(Box::new(part)), START_MS, &[&keys.operator]);
    log.submit(signed, START_MS).unwrap();
    let mut world = World::started(log, agent);
    let goal = world.does(record::goal("work"), 2);
    world.intends(goal, "write:repo/a", 3);
    world.by(|keys| keys.operator.clone(), record::revocation(parent), 5);
    let incident = world.incident(2, 10);
    assert!(kinds(&incident).contains(&"lease-revocation"));
    let agents: Vec<&str> = incident
        .leases
        .iter()
        .map(|it| it.span.agent.as_str())
        .collect();
    assert_eq!(agents, ["above", "a"], "and not of others");
    let codes = incident
        .leases
        .iter()
        .map(|it| it.ended.as_ref().unwrap().code);
    assert_eq!(codes.collect::<Vec<_>>(), [Code::LeaseRevoked; 2]);
    let used: Vec<u128> = incident.leases.iter().map(|it| it.used.actions).collect();
    assert_eq!(used, [1, 1], "what a part uses is of the whole");
    let text = text_of(&incident);
    assert!(text.contains("revoked: proving; by operator ["), "{text}");
    assert!(
        text.contains("The lease was revoked. (lease-revoked"),
        "{text}"
    );
}

#[test]
fn findings_stand_at_their_entries_and_others_are_counted() {
    let mut world = World::running();
    let goal = world.does(record::goal("work"), 2);
    world.intends(goal, "write:elsewhere/a", 3);
    world.intends(goal, "write:elsewhere/b", 20);
    let incident = world.incident(2, 10);
    let codes: Vec<Code> = incident.findings.iter().map(|it| it.refusal.code).collect();
    assert!(
        codes.contains(&Code::ScopeDenied) || codes.contains(&Code::CapabilityMissing),
        "{codes:?}"
    );
    let report = incident.report.as_ref().unwrap();
    assert_eq!(
        codes.len() + incident.other_findings(),
        report.findings.len()
    );
    assert!(incident.other_findings() > 0);
    let document = incident.timeline().unwrap();
    let of_kind = |kind: &str| {
        let entries = document["entries"].as_array().unwrap();
        let one = entries.iter().find(|entry| entry["kind"] == kind);
        one.unwrap()["findings"].as_array().unwrap().len()
    };
    assert!(of_kind("intent") > 0);
    assert_eq!(of_kind("goal"), 0);
    let text = text_of(&incident);
    let index = incident.findings.first().unwrap().index.unwrap();
    let line = text
        .lines()
        .position(|line| line.starts_with(&format!("{:>7}  2025", index.get())));
    let below = text.lines().nth(line.unwrap() + 1).unwrap();
    assert!(
        below.contains("finding") && below.contains("breach"),
        "{text}"
    );
    let unverified = hear(
        &world.log.pack(),
        "a".parse().unwrap(),
        minute(2)..minute(10),
        None,
    );
    let unverified = unverified.unwrap();
    assert!(unverified.verdict().starts_with("Unverified"));
    assert_eq!(unverified.finding_documents()["verdict"], Value::Null);
    assert!(!text_of(&unverified).contains("FINDINGS"));
}

#[test]
fn heartbeats_in_a_row_are_one_row() {
    let mut world = World::running();
    for at in [2, 3, 4] {
        let beat = world.speaker.beat(&world.log, minute(at));
        world.says(beat, minute(at));
    }
    world.does(record::goal("work"), 5);
    let incident = world.told(&world.agents_pack(), 2, 6);
    let runs: Vec<usize> = incident.runs().map(<[Line]>::len).collect();
    assert_eq!(runs, [3, 1]);
    let text = text_of(&incident);
    assert!(text.contains("3 up to 2025-11-24T16:04:00.000Z"), "{text}");
}

#[test]
fn a_version_is_told_with_the_one_before_it() {
    let mut world = World::running();
    let (mut manifest, key) = (
        record::manifest(&world.speaker.identity.name, "v2"),
        world.speaker.identity.key.clone(),
    );
    manifest.capabilities.pop();
    Identity::registered_as(&mut world.log, manifest, key, minute(5));
    let incident = world.incident(2, 10);
    let names = incident.versions.iter();
    let names: Vec<&str> = names
        .map(|it| it.now.registration.manifest.version.as_str())
        .collect();
    assert_eq!(names, ["v1", "v2"]);
    let differences = incident.versions[1].differences();
    let told: Vec<(&str, &str)> = differences
        .iter()
        .map(|it| (it.group, it.name.as_str()))
        .collect();
    let wanted = [
        ("version", "version"),
        ("code", "root"),
        ("config", "root"),
        ("capabilities", "write:repo/**"),
    ];
    assert_eq!(told, wanted);
    assert!(incident.versions[0].before.is_none());
    let later = world.incident(6, 10);
    assert_eq!(later.versions.len(), 1, "it was in force already");
    let before = later.versions[0].before.as_ref().unwrap();
    assert_eq!(before.registration.manifest.version.as_str(), "v1");
}

#[test]
fn what_others_wrote_stays_text() {
    let mut world = World::running();
    world.does(record::goal(HOSTILE), 2);
    let incident = world.incident(1, 10);
    let text = text_of(&incident);
    assert!(text.contains("zero⟨U+200B⟩width"), "{text}");
    let page = page::page(&incident).unwrap();
    assert!(
        !page.contains("<script") && !page.contains('\u{200b}'),
        "{page}"
    );
    assert!(
        page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"),
        "{page}"
    );
    let without_names = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!without_names.contains("http:") && !without_names.contains("https:"));
    assert!(!readme::readme(&incident).contains("alert"));
    let control = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    assert!(!control(&text) && !control(&page));
}
