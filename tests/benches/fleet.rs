//! Many agents that beat through one service: `make fleet`. It prints figures, and at its end says whether the service
//! kept what it owes: no beat refused, no agent degraded that beat, each duty within the charter's tolerance.
//!
//! `FLEET_AGENTS`, `FLEET_ACTING`, `FLEET_SECONDS` change how many there are, how many of them act, and for how long;
//! `FLEET_SECONDS=600` is the run that counts. Those that act ask for permission, have their permit verified, say what came of
//! it, and rest for a moment: with 64 of 10,000 that is about half of what a service on two cores takes. At the end all
//! fall silent at once, to see how late the transitions of thousands come.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use ledger::digest::{Digest, RecordHash};
use ledger::key::PrivateKey;
use ledger::record::{
    Amounts, Body, Intent, Phase, Receipt, ResultOf, SignedRecord, Status, ToolUse,
};
use tests::{Service, Signer, next};
use tlog::proof::ProofFile;

/// How often an agent beats.
const EVERY: Duration = Duration::from_secs(10);

/// How many connections the agents share: each has one request under way at a time.
const CONNECTIONS: usize = 32;

/// The charter's tolerance: a duty that comes later than this is one that was missed.
const TOLERANCE: Duration = Duration::from_secs(5);

/// How many registrations and leases go in one body.
const LINES: usize = 2_000;

const CHARTER: &str = r#"{"liveness":{"heartbeat_ms":10000,"pulse_ms":10000,"degraded_after_ms":30000,
    "autoheal_after_ms":3600000,"tolerance_ms":5000}}"#;

/// One agent, and where its chain stands.
struct Agent {
    key: PrivateKey,
    manifest_hash: Digest,
    last: SignedRecord,
}

/// What came back.
#[derive(Default)]
struct Seen {
    took: Vec<Duration>,
    /// How long after its time a beat was sent: more than moments mean that this program could not keep up.
    behind: Vec<Duration>,
    refused: Vec<String>,
    not_running: usize,
}

fn main() {
    let count = setting("FLEET_AGENTS", 10_000);
    let acting = setting("FLEET_ACTING", 64);
    let time = Duration::from_secs(setting("FLEET_SECONDS", 60));
    let service = service();
    let signer = service.signer();
    let began = Instant::now();
    let mut agents = enlist(&service, &signer, count);
    println!(
        "{count} agents registered, leased and started in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    assert!(acting < count, "some agents only beat");
    let workers = agents.split_off(agents.len() - usize::try_from(acting).expect("few"));
    let fleet = Mutex::new(Seen::default());
    let permits = std::thread::scope(|scope| {
        let share = agents.len().div_ceil(CONNECTIONS);
        let begin = Instant::now();
        // So that the connections take turns.
        let offset = move |place| EVERY * small(place) / small(CONNECTIONS * share);
        for (place, agents) in agents.chunks_mut(share).enumerate() {
            let (service, signer, fleet) = (&service, &signer, &fleet);
            scope.spawn(move || {
                beat_on(
                    service,
                    signer,
                    agents,
                    begin + offset(place),
                    begin + time,
                    fleet,
                );
            });
        }
        let act = |mut agent: Agent| {
            let (service, signer) = (&service, &signer);
            scope.spawn(move || act(service, signer, &mut agent, begin + time))
        };
        let acting: Vec<_> = workers.into_iter().map(act).collect();
        let permits = acting.into_iter().map(|worker| worker.join());
        permits
            .flat_map(|permits| permits.expect("permits"))
            .collect::<Vec<_>>()
    });
    let seen = fleet.into_inner().expect("no panic");
    report(&seen, &permits, time);
    let degraded = degradations(&service);
    println!("{:<34} {degraded}", "wrongly degraded");
    silence(&service, count);
    let late: u64 = ["pulse", "transition"]
        .map(|duty| lateness(&service, duty))
        .into_iter()
        .sum();
    println!(
        "{:<34} {} MiB",
        "the service's memory at most",
        service.process().peak_bytes() >> 20
    );
    let owed = [seen.refused.len() as u64, degraded, late];
    assert_eq!(
        owed, [0; 3],
        "beats refused, agents wrongly degraded, duties beyond the tolerance"
    );
    println!("no beat refused, no agent wrongly degraded, no duty beyond the tolerance");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn small(count: usize) -> u32 {
    u32::try_from(count).expect("a count of agents")
}

fn service() -> Service {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), CHARTER).expect("room on the disk");
    let charter = file.path().to_str().expect("UTF-8");
    Service::unlimited(&["--charter", charter])
}

/// Registers agents, grants each a lease, and starts them.
fn enlist(service: &Service, signer: &Signer, count: u64) -> Vec<Agent> {
    let mut agents = Vec::new();
    let mut records = Vec::new();
    for n in 0..count {
        let name = format!("agent-{n:05}");
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&n.to_be_bytes());
        let key = PrivateKey::from_seed(&seed);
        let lease = signer.lease(&name, &key);
        records.push(signer.registration(&name, &key));
        records.push(lease.clone());
        let last = signer.first_beat(&name, &key, 1, lease.hash());
        records.push(last.clone());
        agents.push(Agent {
            manifest_hash: registered(&last),
            key,
            last,
        });
        if records.len() >= LINES || n + 1 == count {
            let lines: Vec<String> = records.drain(..).map(|r| r.envelope().to_json()).collect();
            let answer = service.post_lines(&lines);
            assert!(!answer.text().contains("\"code\""), "{}", answer.text());
        }
    }
    agents
}

/// The manifest that a heartbeat names.
fn registered(beat: &SignedRecord) -> Digest {
    match &beat.record().body {
        Body::Heartbeat(beat) => beat.manifest_hash,
        other => panic!("a {:?} is not a heartbeat", other.kind()),
    }
}

/// Beats for these agents, each at its time in every round.
fn beat_on(
    service: &Service,
    signer: &Signer,
    agents: &mut [Agent],
    begin: Instant,
    end: Instant,
    fleet: &Mutex<Seen>,
) {
    let mut seen = Seen::default();
    let step = EVERY / small(agents.len());
    let mut due = begin;
    while due < end {
        for agent in &mut *agents {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            seen.behind.push(due.elapsed());
            agent.beat(service, signer, &mut seen);
            due += step;
        }
    }
    let mut all = fleet.lock().expect("no panic");
    all.took.extend(seen.took);
    all.behind.extend(seen.behind);
    all.refused.extend(seen.refused);
    all.not_running += seen.not_running;
}

impl Agent {
    fn beat(&mut self, service: &Service, signer: &Signer, seen: &mut Seen) {
        let beat = signer.beat(next(&self.last), self.manifest_hash, &self.key);
        let sent = Instant::now();
        let answer = service.post(beat.envelope().to_json());
        seen.took.push(sent.elapsed());
        if answer.status != 200 {
            seen.refused.push(answer.text());
            return;
        }
        seen.not_running += usize::from(answer.json()["agent"]["state"] != "running");
        self.last = beat;
    }

    fn say(&mut self, signer: &Signer, phase: Phase) -> SignedRecord {
        let body = Receipt {
            chain: next(&self.last),
            phase,
        };
        let record = signer.record(Body::Receipt(Box::new(body)));
        self.last = tests::sign(&record, &[&self.key]);
        self.last.clone()
    }
}

/// An agent acts all the while: the time from an intent to a permit that was verified.
fn act(service: &Service, signer: &Signer, agent: &mut Agent, end: Instant) -> Vec<Duration> {
    let policy = service.policy();
    let goal = signer.goal_after(&agent.last, &agent.key);
    service.log(&goal);
    agent.last = goal.clone();
    let (mut permits, mut beats) = (Vec::new(), Seen::default());
    let mut due = Instant::now();
    while Instant::now() < end {
        if due <= Instant::now() {
            agent.beat(service, signer, &mut beats);
            due += EVERY;
        }
        let sent = Instant::now();
        let intent = agent.say(signer, intent(goal.hash()));
        let answer = service.post(intent.envelope().to_json());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let proof = answer.json()["proof"].as_str().expect("a proof").to_owned();
        let proof = ProofFile::parse(&proof).expect("a proof file");
        let leaf = proof.extra.clone().expect("the leaf");
        proof.verify(&leaf, &policy).expect("a permit");
        permits.push(sent.elapsed());
        service.log(&agent.say(signer, result(intent.hash())));
        std::thread::sleep(Duration::from_millis(50));
    }
    permits
}

fn intent(goal: RecordHash) -> Phase {
    Phase::Intent(Box::new(Intent {
        goal,
        scope: "read:file".parse().expect("a scope"),
        tool: ToolUse {
            name: "reader".parse().expect("a name"),
            digest: Digest::of(&[b"reader"]),
        },
        inputs: vec![],
        parents: vec![],
        reserve: Amounts::default(),
    }))
}

fn result(intent: RecordHash) -> Phase {
    Phase::Result(ResultOf {
        intent,
        status: Status::Ok,
        outputs: vec![],
        duration_ms: 0,
        usage: Amounts::default(),
        refs: vec![],
    })
}

fn report(seen: &Seen, permits: &[Duration], time: Duration) {
    let rate = seen.took.len() as f64 / time.as_secs_f64();
    println!(
        "{:<34} {rate:9.0}/s   {} in {:.0} s",
        "beats",
        seen.took.len(),
        time.as_secs_f64()
    );
    latencies("a beat, durable and proven", &seen.took);
    latencies("sent after its time", &seen.behind);
    latencies("from intent to verified permit", permits);
    let acted = permits.len() as f64 / time.as_secs_f64();
    println!("{:<34} {acted:9.0}/s", "permits");
    println!("{:<34} {}", "beats refused", seen.refused.len());
    println!(
        "{:<34} {}",
        "answers that say not running", seen.not_running
    );
    if let Some(first) = seen.refused.first() {
        println!("the first refusal: {first}");
    }
}

fn latencies(what: &str, samples: &[Duration]) {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 1000].as_secs_f64() * 1e3;
    println!(
        "{what:<34} p50 {:8.2} ms   p99 {:8.2} ms   max {:8.2} ms",
        at(500),
        at(990),
        at(1000)
    );
}

/// How many agents were degraded that beat all the while.
fn degradations(service: &Service) -> u64 {
    let metrics = service.metrics();
    let count = |rule: &str| {
        let name = format!("dragonsd_transitions_total{{rule=\"{rule}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().expect("a number"))
    };
    ["pulse-lost", "progress-lost", "lease-ended"]
        .map(count)
        .into_iter()
        .sum()
}

/// Nobody beats any more: all are degraded when their time has come.
fn silence(service: &Service, count: u64) {
    let began = Instant::now();
    while degraded(service) < count {
        std::thread::sleep(Duration::from_secs(1));
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "they are not degraded"
        );
    }
    println!(
        "{:<34} {:.0} s later",
        "all are degraded",
        began.elapsed().as_secs_f64()
    );
}

/// How late the service says that it was, by the buckets that it counts in, and how often beyond the tolerance.
fn lateness(service: &Service, duty: &str) -> u64 {
    let metrics = service.metrics();
    let prefix = format!("dragonsd_duty_lateness_seconds_bucket{{duty=\"{duty}\",le=\"");
    let bucket = |line: &str| {
        let (bound, count) = line.strip_prefix(&prefix)?.split_once("\"} ")?;
        let bound = bound.parse().unwrap_or(f64::INFINITY);
        Some((bound, count.parse().expect("a count")))
    };
    let buckets: Vec<(f64, u64)> = metrics.lines().filter_map(bucket).collect();
    let all = buckets.last().map_or(0, |(_, count)| *count);
    let within = |share: u64| {
        let place = (all * share).div_ceil(1000);
        let bucket = buckets.iter().find(|(_, count)| *count >= place);
        bucket.map_or(0.0, |(bound, _)| *bound)
    };
    println!(
        "{:<34} p50 ≤ {} s   p99 ≤ {} s   max ≤ {} s   of {all}",
        format!("lateness of a {duty}"),
        within(500),
        within(990),
        within(1000),
    );
    let kept = buckets
        .iter()
        .find(|(bound, _)| *bound >= TOLERANCE.as_secs_f64());
    all - kept.map_or(0, |(_, count)| *count)
}

fn degraded(service: &Service) -> u64 {
    let metrics = service.metrics();
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("dragonsd_agents{state=\"degraded\"} "));
    count.map_or(0, |count| count.parse().expect("a number"))
}
