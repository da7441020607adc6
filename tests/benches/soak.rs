//! An hour of mixed load on one service: `make soak`, or `cargo bench -p tests --bench soak`. It prints figures each
//! minute, and says at its end whether anything failed that was not meant to, and whether memory stayed flat.
//!
//! `SOAK_SECONDS` changes how long; of a short one figures come more often. Agents act and begin new epochs, an observer sends bodies of many lines, readers read,
//! streams are followed and dropped, packs are exported and left in the middle, backups are made, and nonsense is sent.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ledger::digest::{Digest, RecordHash};
use ledger::key::PrivateKey;
use ledger::record::{
    Amounts, Body, Check, Heartbeat, Intent, Lease, Outcome, Phase, Receipt, ResultOf,
    SignedRecord, Status, ToolUse, Verdict,
};
use tests::{Answer, Service, Signer, dragonsd, next};

/// How many agents act.
const AGENTS: u8 = 24;

/// How long an agent rests between two records, and a reader between two reads.
const REST: Duration = Duration::from_millis(200);

/// How many cycles an agent makes before it is started again under a new lease.
const CYCLES: u64 = 60;

/// How many lines an observer sends at once, and how often.
const LINES: u64 = 200;
const BODIES: Duration = Duration::from_secs(2);

/// How many streams are followed.
const STREAMS: usize = 16;

/// How often a pack is fetched, and a backup made.
const PACKS: Duration = Duration::from_secs(20);
const BACKUPS: Duration = Duration::from_secs(60);

/// How often figures are printed: each minute, and at least this many times.
const FIGURES: Duration = Duration::from_secs(60);
const LEAST_FIGURES: u32 = 12;

/// How much more memory the service may hold at the end than at half-time, in parts of a hundred, and in MiB beside that:
/// what the store keeps of its tables grows a little with them.
const MOST_GROWTH_PERCENT: u64 = 20;
const MOST_GROWTH_MIB: u64 = 16;

/// What was done, and what failed.
#[derive(Default)]
struct Seen {
    done: Mutex<BTreeMap<&'static str, u64>>,
    failed: Mutex<Vec<String>>,
    slowest_us: AtomicU64,
    /// What the service held, in MiB, as often as figures were printed.
    held_mib: Mutex<Vec<u64>>,
}

impl Seen {
    fn done(&self, what: &'static str, count: u64) {
        *self.done.lock().expect("no panic").entry(what).or_default() += count;
    }

    fn failed(&self, what: String) {
        self.failed.lock().expect("no panic").push(what);
    }

    /// Counts an answer that has to have this status.
    fn expect(&self, what: &'static str, answer: &Answer, status: u16) {
        match answer.status == status {
            true => self.done(what, 1),
            false => self.failed(format!("{what}: {} {}", answer.status, answer.text())),
        }
    }
}

/// One soak: a service, who signs, what is seen, and when it is over.
struct Soak {
    service: Service,
    signer: Signer,
    seen: Seen,
    lasts: Duration,
    until: Instant,
}

fn main() {
    let seconds =
        std::env::var("SOAK_SECONDS").map_or(3_600, |text| text.parse().expect("a number"));
    let lasts = Duration::from_secs(seconds);
    let service = Service::unlimited(&[]);
    let soak = Soak {
        signer: service.signer(),
        service,
        seen: Seen::default(),
        lasts,
        until: Instant::now() + lasts,
    };
    std::thread::scope(|scope| {
        for n in 0..AGENTS {
            let soak = &soak;
            scope.spawn(move || soak.agent(n));
        }
        for n in 0..STREAMS {
            let soak = &soak;
            scope.spawn(move || soak.follow(n));
        }
        let tasks: [fn(&Soak); 6] = [
            Soak::observe,
            Soak::read,
            Soak::export,
            Soak::leave_a_pack,
            Soak::back_up,
            Soak::send_nonsense,
        ];
        for task in tasks {
            let soak = &soak;
            scope.spawn(move || task(soak));
        }
        soak.print_figures();
    });
    soak.conclude();
}

impl Soak {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Lets time pass, or less of it if it is over.
    fn rest(&self, time: Duration) {
        let left = self.until.saturating_duration_since(Instant::now());
        std::thread::sleep(time.min(left));
    }

    fn log(&self, what: &'static str, record: &SignedRecord) {
        let sent = Instant::now();
        let answer = self.service.post(record.envelope().to_json());
        let took = u64::try_from(sent.elapsed().as_micros()).expect("not for ever");
        self.seen.slowest_us.fetch_max(took, Ordering::Relaxed);
        self.seen.expect(what, &answer, 200);
    }

    /// One agent, started anew again and again.
    fn agent(&self, n: u8) {
        let name = format!("agent-{n:02}");
        let key = PrivateKey::from_seed(&[n + 1; 32]);
        self.log("registrations", &self.signer.registration(&name, &key));
        let (mut after, mut before) = (None, None);
        for epoch in 1.. {
            let lease = self.lease(&name, &key, after);
            self.log("leases", &lease);
            after = Some(lease.hash());
            let first = self.signer.first_beat(&name, &key, epoch, lease.hash());
            let first = self.behind(before, &first, &key);
            self.log("starts of agents", &first);
            let (manifest_hash, mut last) = (registered(&first), first);
            for _ in 0..CYCLES {
                self.cycle(&key, manifest_hash, &mut last);
                if self.is_over() {
                    return;
                }
            }
            before = Some(last.hash());
        }
    }

    /// The same heartbeat of an agent whose last record of an earlier epoch was this one.
    fn behind(
        &self,
        before: Option<RecordHash>,
        beat: &SignedRecord,
        key: &PrivateKey,
    ) -> SignedRecord {
        let Body::Heartbeat(beat) = &beat.record().body else {
            unreachable!("it is a heartbeat");
        };
        let beat = Heartbeat {
            before,
            ..(**beat).clone()
        };
        let body = Body::Heartbeat(Box::new(beat));
        tests::sign(&self.signer.record(body), &[key])
    }

    fn lease(&self, name: &str, key: &PrivateKey, after: Option<RecordHash>) -> SignedRecord {
        let first = self.signer.lease(name, key);
        let Body::Lease(lease) = &first.record().body else {
            unreachable!("it is a lease");
        };
        let lease = Lease {
            after,
            ..(**lease).clone()
        };
        self.signer.by_operator(Body::Lease(Box::new(lease)))
    }

    /// A beat, a goal, an intent, its result.
    fn cycle(&self, key: &PrivateKey, manifest_hash: Digest, last: &mut SignedRecord) {
        let say = |what, record: SignedRecord| {
            self.log(what, &record);
            self.rest(REST);
            record
        };
        *last = say(
            "heartbeats",
            self.signer.beat(next(last), manifest_hash, key),
        );
        *last = say("receipts", self.signer.goal_after(last, key));
        let goal = last.hash();
        *last = say("receipts", self.receipt(last, key, intent(goal)));
        let intent = last.hash();
        *last = say("receipts", self.receipt(last, key, result(intent)));
        let result = last.hash();
        *last = say("receipts", self.receipt(last, key, outcome(goal, result)));
    }

    fn receipt(&self, last: &SignedRecord, key: &PrivateKey, phase: Phase) -> SignedRecord {
        let chain = next(last);
        let body = Body::Receipt(Box::new(Receipt { chain, phase }));
        tests::sign(&self.signer.record(body), &[key])
    }

    fn observe(&self) {
        for body in 0.. {
            let see = |n| self.signer.observation("agent-00", &format!("{body} {n}"));
            let lines: Vec<String> = (0..LINES).map(|n| see(n).envelope().to_json()).collect();
            let answer = self.service.post_lines(&lines);
            match answer.status == 200 && !answer.text().contains("\"code\"") {
                true => self.seen.done("observations", LINES),
                // Until its agent is registered.
                false if body == 0 => {}
                false => self.seen.failed(format!("lines: {}", answer.text())),
            }
            self.rest(BODIES);
            if self.is_over() {
                return;
            }
        }
    }

    fn read(&self) {
        for n in 1_u64.. {
            let size = self.service.size();
            let index = n.wrapping_mul(7_919) % size;
            for path in [
                format!("/v1/entries/{index}"),
                format!("/v1/entries/{index}/proof"),
                format!("/v1/consistency?old={}&new={size}", index.max(1)),
                "/v1/agents".to_owned(),
                format!(
                    "/v1/agents/agent-00/timeline?from_ms={}",
                    tests::now_ms() - 60_000
                ),
                "/agents/agent-00".to_owned(),
                "/".to_owned(),
                "/readyz".to_owned(),
            ] {
                self.seen.expect("reads", &self.service.get(&path), 200);
            }
            self.rest(REST);
            if self.is_over() {
                return;
            }
        }
    }

    /// Follows a stream for a while, and begins again where it was.
    fn follow(&self, n: usize) {
        let mut seen = 0;
        while !self.is_over() {
            let events = self.service.events_after(seen);
            self.seen.done("streams", 1);
            for event in events.take(500 + 37 * n) {
                if event.id != seen + 1 {
                    self.seen.failed(format!("event {} after {seen}", event.id));
                }
                seen = event.id;
                self.seen.done("events", 1);
                if self.is_over() {
                    return;
                }
            }
        }
    }

    fn export(&self) {
        while !self.is_over() {
            let size = self.service.size();
            let path = format!("/v1/pack?from={}&to={size}", size.saturating_sub(2_000));
            self.seen.expect("packs", &self.service.get(&path), 200);
            self.rest(PACKS);
        }
    }

    /// Begins to read all of the log, and goes away.
    fn leave_a_pack(&self) {
        while !self.is_over() {
            let request = self.service.request("GET", "/v1/pack?from=0");
            match request.send() {
                Ok(mut pack) => {
                    let _ = pack.read(&mut [0; 4_096]);
                    self.seen.done("packs left in the middle", 1);
                }
                Err(error) => self.seen.failed(format!("a pack: {error}")),
            }
            self.rest(PACKS);
        }
    }

    fn back_up(&self) {
        while !self.is_over() {
            let mut command = dragonsd().command();
            command.args(["backup", "create", "--keep", "2", "--data"]);
            command.arg(self.service.data()).arg("--to");
            let output = command.arg(self.service.scratch("backups")).output();
            let output = output.expect("a program that starts");
            match output.status.success() {
                true => self.seen.done("backups", 1),
                false => self
                    .seen
                    .failed(format!("a backup: {}", tests::stderr(&output))),
            }
            self.rest(BACKUPS);
        }
    }

    /// What is refused, as it should be.
    fn send_nonsense(&self) {
        let stranger = PrivateKey::from_seed(&[250; 32]);
        while !self.is_over() {
            self.seen
                .expect("asked-for errors", &self.service.post("{"), 400);
            let strange = self.signer.registration("x", &stranger);
            let strange = tests::sign(strange.record(), &[&stranger]);
            let answer = self.service.post(strange.envelope().to_json());
            self.seen.expect("asked-for errors", &answer, 403);
            let answer = self.service.get("/v1/entries/99999999");
            self.seen.expect("asked-for errors", &answer, 404);
            self.rest(5 * REST);
        }
    }

    fn print_figures(&self) {
        let began = Instant::now();
        println!(
            "   seconds       size    MiB now   MiB most   files   records/s   slowest ms   failed"
        );
        let (mut size, mut at) = (self.service.size(), began);
        while !self.is_over() {
            self.rest(FIGURES.min(self.lasts / LEAST_FIGURES));
            let now = self.service.size();
            let process = self.service.process();
            let held_mib = process.resident_bytes() >> 20;
            self.seen.held_mib.lock().expect("no panic").push(held_mib);
            let rate = (now - size) as f64 / at.elapsed().as_secs_f64();
            let slowest = self.seen.slowest_us.swap(0, Ordering::Relaxed) as f64 / 1e3;
            println!(
                "{:>10} {now:>10} {held_mib:>10} {:>10} {:>7} {rate:>11.0} {slowest:>12.1} {:>8}",
                began.elapsed().as_secs(),
                process.peak_bytes() >> 20,
                process.open_files(),
                self.seen.failed.lock().expect("no panic").len(),
            );
            (size, at) = (now, Instant::now());
        }
    }

    fn conclude(mut self) {
        for (what, count) in self.seen.done.lock().expect("no panic").iter() {
            println!("{what:<34} {count:>9}");
        }
        let failed = std::mem::take(&mut *self.seen.failed.lock().expect("no panic"));
        println!("{:<34} {:>9}", "failed", failed.len());
        for one in failed.iter().take(10) {
            println!("  {one}");
        }
        assert!(
            self.service.stop().success(),
            "it does not stop in good order"
        );
        let data = self.service.data();
        dragonsd().succeed(["fsck", "--data", data.to_str().expect("UTF-8")]);
        let backups = self.service.scratch("backups");
        let backups = backups.to_str().expect("UTF-8");
        dragonsd().succeed(["backup", "verify", "--from", backups]);
        assert!(failed.is_empty(), "errors that nobody asked for");
        self.check_memory();
        println!(
            "no error but asked-for ones; memory is flat; the store and its backups are sound"
        );
    }

    /// What is held at the end is what was held at half-time, or hardly more.
    fn check_memory(&self) {
        let held = self.seen.held_mib.lock().expect("no panic");
        let (first, second) = held.split_at(held.len() / 2);
        let (quarter, last) = (first.len() / 2, second.len() / 2);
        // The most of a quarter: what is held goes up and down with what is asked at the moment.
        let most = |of: &[u64]| of.iter().copied().max().unwrap_or_default();
        let (then, now) = (most(&first[quarter..]), most(&second[last..]));
        println!("{:<34} {then:>5} MiB", "held before half-time");
        println!("{:<34} {now:>5} MiB", "held at the end");
        let bound = then + then * MOST_GROWTH_PERCENT / 100 + MOST_GROWTH_MIB;
        assert!(now <= bound, "memory grew");
    }
}

/// The manifest that a heartbeat names.
fn registered(beat: &SignedRecord) -> Digest {
    match &beat.record().body {
        Body::Heartbeat(beat) => beat.manifest_hash,
        other => panic!("a {:?} is no heartbeat", other.kind()),
    }
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

fn outcome(goal: RecordHash, result: RecordHash) -> Phase {
    Phase::Outcome(Outcome {
        goal,
        verdict: Verdict::Accepted,
        checks: vec![Check {
            name: "the result".parse().expect("a text"),
            digest: *result.digest(),
            record: Some(result),
        }],
    })
}
