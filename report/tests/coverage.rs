//! What only the log tells: alerts that an observer logged, gaps of its sources, clocks, and actions that nobody governed.

use ledger::codes::Code;
use ledger::digest::Digest;
use ledger::json::object;
use ledger::record::{Body, Event, Observation, Phase, Record, Refused, Status};
use ledger::text::Name;
use ledger::verify::verify;
use proving::{Identity, Keys, Log, Speaker, record};
use report::document::{Document, Terms};
use report::files::Made;
use report::inputs::{File, Watch};
use report::replay::Replay;

const AT_MS: u64 = 1_764_000_000_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// A log in the making, and the agent that works in it.
struct World {
    log: Log,
    speaker: Speaker,
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        let keys = Keys::of("coverage");
        let mut log = Log::found(keys.clone(), record::charter(&keys), AT_MS);
        let identity = Identity::registered(&mut log, "a", AT_MS);
        let lease = identity.leased(&mut log, 24 * HOUR_MS, AT_MS);
        let speaker = Speaker::first(identity, "first", lease);
        let mut world = Self {
            log,
            speaker,
            now_ms: AT_MS,
        };
        world.beat(None);
        world.log.settle(world.now_ms);
        world
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    /// Beats for so many minutes beside a control plane that does what is due.
    fn live(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.pass(MINUTE_MS);
            let control = self.log.keys().control.clone();
            let pulse = self
                .log
                .sign(self.log.pulse(None), self.now_ms, &[&control]);
            self.log.submit(pulse, self.now_ms).unwrap();
            self.beat(None);
        }
    }

    /// A heartbeat, with what it tells of actions that reached no log.
    fn beat(&mut self, unlogged: Option<(u64, u64, u64)>) {
        let body = Body::Heartbeat(Box::new(self.speaker.heartbeat()));
        let ext = unlogged.map(|(count, from_ms, to_ms)| {
            let members = [
                ("count", count.into()),
                ("from_ms", from_ms.into()),
                ("to_ms", to_ms.into()),
            ];
            object([("unlogged", object(members))])
        });
        let signed = self.speaker.sign(body, &self.log, self.now_ms);
        let Record {
            log, at_ms, body, ..
        } = signed.record().clone();
        let signed = Record {
            log,
            at_ms,
            body,
            ext,
        }
        .sign(&[&self.speaker.identity.key])
        .unwrap();
        self.log.force(signed.clone(), self.now_ms);
        self.speaker.said(&signed);
    }

    /// A call that the agent announces now and ends after `ms`, under the host's name for it.
    fn call(&mut self, name: &str, ms: u64) {
        let goal = self
            .speaker
            .receipt(record::goal("work"), &self.log, self.now_ms);
        self.say(&goal);
        let intent = record::intent(goal.hash(), "write:repo/src/main.rs");
        let intent = self.speaker.intent(intent, &self.log, self.now_ms);
        self.say(&intent);
        self.pass(ms);
        let mut result = record::result(intent.hash(), Status::Ok, ms);
        result.refs = vec![(record::name("call"), name.parse().unwrap())];
        let result = self
            .speaker
            .receipt(Phase::Result(result), &self.log, self.now_ms);
        self.say(&result);
        let outcome = record::outcome(goal.hash(), ledger::record::Verdict::Accepted);
        let outcome = self.speaker.receipt(outcome, &self.log, self.now_ms);
        self.say(&outcome);
    }

    fn say(&mut self, signed: &ledger::record::SignedRecord) {
        self.log.submit(signed.clone(), self.now_ms).unwrap();
        self.speaker.said(signed);
    }

    fn observe(
        &mut self,
        agent: &str,
        id: &str,
        event: Event,
        terms: impl FnOnce(&mut Observation),
    ) {
        let agent: Name = agent.parse().unwrap();
        let Body::Observation(mut seen) = record::observation(&agent, id) else {
            panic!("an observation");
        };
        seen.event = event;
        seen.call = None;
        seen.status = None;
        (seen.began_ms, seen.ended_ms) = (None, None);
        seen.source = record::name("tool");
        terms(&mut seen);
        let observer = self.log.keys().observer.clone();
        let signed = self
            .log
            .sign(Body::Observation(seen), self.now_ms, &[&observer]);
        self.log.submit(signed, self.now_ms).unwrap();
    }

    /// Control says that it refused something, with what it refused or without.
    fn refuse(&mut self, refused: Refused) {
        let control = self.log.keys().control.clone();
        let body = Body::Refusal(Box::new(refused));
        let signed = self.log.sign(body, self.now_ms, &[&control]);
        self.log.submit(signed, self.now_ms).unwrap();
    }

    fn document(&self, map: &str, files: &[File]) -> Document {
        self.made(map, files, &mut |_| {}).document
    }

    fn made(&self, map: &str, files: &[File], event: &mut dyn FnMut(String)) -> Made {
        let pack = self.log.pack();
        let watch = Watch::read(map.as_bytes(), files).unwrap();
        let terms = Terms {
            from_ms: AT_MS,
            to_ms: AT_MS + 24 * HOUR_MS,
            charter: self.log.name().to_string(),
            made_by: "a test".to_owned(),
        };
        let report = verify(pack.as_bytes(), &self.log.trust(), None);
        let mut replay = Replay::new(report, terms.from_ms..terms.to_ms, &watch);
        replay.push(pack.as_bytes(), event).unwrap();
        let played = replay.finish().unwrap();
        Made::of(&terms, &played, &watch, Digest::of(&[pack.as_bytes()])).unwrap()
    }
}

#[test]
fn actions_are_governed_observed_or_only_counted() {
    let mut world = World::new();
    world.live(1);
    // Governed, and seen by a tool whose clock is 4 s ahead.
    let began_ms = world.now_ms + 4_000;
    world.call("toolu_1", 2_000);
    let ended_ms = world.now_ms + 4_000;
    let times =
        |seen: &mut Observation| (seen.began_ms, seen.ended_ms) = (Some(began_ms), Some(ended_ms));
    world.observe("a", "span-1", Event::ToolEnded, |seen| {
        times(seen);
        seen.call = Some("toolu_1".parse().unwrap());
    });
    // Seen, and governed by nobody.
    world.observe("a", "span-2", Event::ToolEnded, times);
    world.observe("a", "span-3", Event::ToolDenied, times);
    world.live(1);
    let (from_ms, to_ms) = (world.now_ms - 30_000, world.now_ms - 10_000);
    world.beat(Some((3, from_ms, to_ms)));
    let told = world.document("", &[]);
    let actions = told.coverage.actions;
    assert_eq!(
        (actions.governed, actions.observed, actions.counted),
        (1, 2, 3)
    );
    let unlogged = &told.coverage.unlogged[0];
    assert_eq!((unlogged.from_ms, unlogged.to_ms), (from_ms, to_ms));
    let source = &told.coverage.sources[0];
    assert_eq!((source.name.as_str(), source.observations), ("tool", 3));
    assert_eq!((source.skew.ms, source.skew.actions), (Some(4_000), 1));
}

#[test]
fn an_alert_of_the_log_is_opened_and_closed_under_one_name() {
    let mut world = World::new();
    world.live(5);
    let opened_ms = world.now_ms;
    let detail = "monitor=Agent+20down class=silence severity=page";
    world.observe("a", "fp", Event::AlertOpened, |seen| {
        seen.began_ms = Some(opened_ms);
        seen.detail = detail.parse().unwrap();
    });
    world.live(1);
    let closed_ms = world.now_ms;
    world.observe("a", "fp", Event::AlertClosed, |seen| {
        (seen.began_ms, seen.ended_ms) = (Some(opened_ms), Some(closed_ms));
        seen.detail = detail.parse().unwrap();
    });
    world.beat(None);
    // The same alert in a file is the same alert.
    let time = |ms| timeline::words::utc(ms);
    let row = format!(
        "{},a,silence,fp,{},page,Agent down\n",
        time(opened_ms),
        time(closed_ms)
    );
    let file = File {
        name: "tool.csv".to_owned(),
        bytes: row.into_bytes(),
    };
    let told = world.document("[[source]]\nname = \"tool\"\nsees = [\"silence\"]", &[file]);
    let mut cases = told.cases.iter().filter(|case| !case.alerts.is_empty());
    let case = cases.next().unwrap();
    assert!(cases.next().is_none(), "{:#?}", told.cases);
    assert_eq!(
        (case.by, case.verdict, case.class),
        ("watchdog", "false-alarm", "silence")
    );
    let alert = &case.alerts[0];
    assert_eq!(
        (alert.opened_ms, alert.closed_ms),
        (opened_ms, Some(closed_ms))
    );
    assert!(alert.entry.is_some(), "the log tells of it");
    // Neither a record nor a table says whether anybody was told.
    assert_eq!((alert.muted, told.coverage.sources[0].muted), (None, None));
    assert!(!case.muted);
    assert_eq!(told.inputs[0].rows, 1);
}

#[test]
fn what_the_log_does_not_cover_nobody_calls_false() {
    let mut world = World::new();
    world.live(10);
    let now_ms = world.now_ms;
    world.beat(Some((1, now_ms - 5 * MINUTE_MS, now_ms - 4 * MINUTE_MS)));
    let time = |ms| timeline::words::utc(ms);
    let row = |minutes: u64, agent: &str, class: &str| {
        format!("{},{agent},{class}\n", time(now_ms - minutes * MINUTE_MS))
    };
    let verdict = |row: String| {
        let file = File {
            name: "x.csv".to_owned(),
            bytes: row.into_bytes(),
        };
        let told = world.document("", &[file]);
        let mut cases = told.cases.iter().filter(|case| !case.alerts.is_empty());
        let case = cases.next().unwrap();
        (case.by, case.verdict)
    };
    assert_eq!(verdict(row(2, "a", "scope")), ("watchdog", "false-alarm"));
    assert_eq!(
        verdict(row(2, "b", "scope")),
        ("watchdog", "incident"),
        "no such agent"
    );
    assert_eq!(
        verdict(row(5, "a", "scope")),
        ("watchdog", "incident"),
        "it acted without a log"
    );
    assert_eq!(
        verdict(row(5, "a", "silence")),
        ("watchdog", "false-alarm"),
        "it beat all the same"
    );
}

#[test]
fn a_gap_that_a_source_tells_of_is_told() {
    let mut world = World::new();
    world.live(10);
    let now_ms = world.now_ms;
    world.observe("a", "gap-1", Event::SourceGap, |seen| {
        (seen.began_ms, seen.ended_ms) = (Some(now_ms - MINUTE_MS), Some(now_ms));
        seen.detail = "lost 12 spans".parse().unwrap();
    });
    let told = world.document("", &[]);
    let gap = &told.coverage.sources[0].gaps[0];
    assert_eq!((gap.from_ms, gap.to_ms), (now_ms - MINUTE_MS, now_ms));
    assert_eq!(gap.detail, "source-gap lost 12 spans");
}

#[test]
fn a_gap_in_a_file_needs_no_agent() {
    let mut world = World::new();
    world.live(10);
    let time = |minutes: u64| timeline::words::utc(world.now_ms - minutes * MINUTE_MS);
    let rows = format!(
        "ts,agent,event,until\n{},,source-lost,{}\n{},,stall,\n",
        time(5),
        time(4),
        time(3)
    );
    let file = File {
        name: "tool.csv".to_owned(),
        bytes: rows.into_bytes(),
    };
    let told = world.document("[[source]]\nname = \"tool\"", &[file]);
    let gap = &told.coverage.sources[0].gaps[0];
    assert_eq!(gap.to_ms - gap.from_ms, MINUTE_MS);
    assert_eq!(
        (gap.detail.as_str(), gap.entry),
        ("source-lost source-lost", None)
    );
    let input = &told.inputs[2];
    assert_eq!((input.mapped, input.unmapped), (1, 1), "an alert needs one");
}

/// A fenced process that only the control plane tells of, beside a denial that brings what the agent signed.
#[test]
fn what_only_control_says_is_told_as_its_claim() {
    let mut world = World::new();
    world.live(2);
    let name = record::name("a");
    let (log, now_ms) = (&world.log, world.now_ms);
    let signed = world.speaker.receipt(record::goal("x"), log, now_ms);
    let claim = record::refused(&name, 1, &signed, Code::EpochFenced);
    world.refuse(claim);
    let goal = world
        .speaker
        .receipt(record::goal("work"), &world.log, now_ms);
    world.say(&goal);
    let intent = record::intent(goal.hash(), "write:repo/secrets/key");
    let intent = world.speaker.intent(intent, &world.log, now_ms);
    let mut denial = record::refused(&name, 1, &intent, Code::ScopeDenied);
    denial.envelope = Some(intent.envelope().clone());
    world.refuse(denial);
    world.live(1);
    let mut events = Vec::new();
    let made = world.made("", &[], &mut |event| events.push(event));
    let cases = made.document.cases.iter();
    let claimed: Vec<_> = cases.map(|case| (case.class, case.claimed)).collect();
    assert_eq!(claimed, [("scope", false), ("zombie", true)]);
    let file = |name: &str| made.files.iter().find(|file| file.0 == name).unwrap();
    let (_, page) = file("report.html");
    assert!(page.contains("s claim: zombie</td>") && !page.contains("s claim: scope"));
    let (_, register) = file("registers/incidents.csv");
    for row in register.lines().skip(1) {
        assert!(
            row.ends_with(&format!(",{}", row.contains("zombie"))),
            "{row}"
        );
    }
    let told = |what: &str| events.iter().find(|event| event.contains(what)).unwrap();
    let claim = told("\"title\":\"control's claim: a: goal refused\"");
    assert!(claim.contains("\"severity_id\":1") && claim.contains("\"is_alert\":false"));
    let denial = told("\"title\":\"a: intent refused\"");
    assert!(denial.contains("\"severity_id\":3") && denial.contains("\"is_alert\":true"));
}
