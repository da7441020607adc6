//! Figures of the replay, in release: `make bench`. It prints and judges nothing.
//!
//! Times are those that a core worked, by the kernel's word, so that a busy machine does not change them much; only where
//! several threads verify it is the time that passed. Two
//! numbers, of days and agents, make the fleet smaller: `cargo bench -p proving --bench replay -- 3 20`.

use std::hint::black_box;
use std::io::{BufWriter, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evidence::{Crew, Verifying as _};
use ledger::govern::State;
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::record::{Body, SignedRecord};
use ledger::verify::{Trust, Verifier, verify};
use proving::fleet::{Size, plan};
use proving::simulation::{agent_name, play};
use proving::speaker::{Identity, Speaker};
use proving::{Keys, Log, record, score, script};
use tlog::LeafIndex;

/// A fleet that fills a log with about a million records.
const FLEET: Size = Size {
    days: 16,
    agents: 100,
};

/// How many agents the memory is measured with.
const AGENTS: u64 = 100_000;

/// An agent for whom faults are planned.
const SUSPECT: usize = 6;

/// The argument that makes this program the one whose memory is measured; the trust follows.
const VERIFY: &str = "--verify-stdin";

fn main() {
    let mut arguments = std::env::args().skip_while(|it| it != VERIFY).skip(1);
    if let Some(trust) = arguments.next() {
        return verify_stdin(&trust);
    }
    let bytes = bytes_an_agent();
    println!(
        "{:<44} {bytes:9.0} bytes   of {AGENTS} in a state",
        "an agent"
    );
    let plan = plan(1, fleet());
    let (log, took) = timed(|| play(1, &plan.script, plan.end_ms));
    let leaves = log.size().get();
    rate("records signed, admitted and logged", leaves, took);
    let (records, took) = timed(|| parsed(&log));
    rate("leaves read, and nothing else", leaves, took);
    let (_, took) = timed(|| black_box(fold(records)));
    rate("records replayed, signatures taken as good", leaves, took);
    let (report, took) = timed(|| score::verify(&log));
    rate("records verified, signatures and all", leaves, took);
    let of_raw =
        f64::from(u32::try_from(leaves).unwrap_or(u32::MAX)) / took.as_secs_f64() / verifications();
    println!("{:<44} {of_raw:9.2} times", "  of verify_strict of a core");
    println!("{:<44} {:9}", "findings in them", report.findings.len());
    by_threads(&log, &report.to_json());
    let grown = bytes_to_verify(&log);
    println!(
        "{:<44} {:9.1} bytes   a leaf, {grown:.0} of {leaves}",
        "memory to verify them",
        grown / f64::from(u32::try_from(leaves).unwrap_or(u32::MAX))
    );
    incident(&log);
}

/// Strict verifications a second.
fn verifications() -> f64 {
    const TIMES: u32 = 10_000;
    let (key, message) = (PrivateKey::from_seed(&[9; 32]), [7; 500]);
    let (signature, public) = (key.sign(&message), key.public());
    let verify = || public.verifies(black_box(&message), black_box(&signature));
    let ((), took) = timed(|| (0..TIMES).for_each(|_| assert!(verify())));
    f64::from(TIMES) / took.as_secs_f64()
}

/// The same verification, with lines that are read ahead.
fn by_threads(log: &Log, wanted: &str) {
    let signed = log.cosigned(log.size(), log.state().last_received_ms() / 1000);
    let pack = log.pack_of(0, log.size().get(), &signed);
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    for threads in [NonZeroUsize::MIN, cores] {
        let mut crew = Crew::new(Verifier::new(log.trust_witnessed()), threads);
        let began = Instant::now();
        for chunk in pack.as_bytes().chunks(64 * 1024) {
            crew.push(chunk);
        }
        let report = crew.finish();
        let took = began.elapsed();
        assert_eq!(report.to_json(), wanted, "the report is the same");
        let what = format!("records verified by {threads} threads, on the clock");
        rate(&what, log.size().get(), took);
    }
}

/// As the command line says, or as large as the log should be. What cargo adds to it is not a number.
fn fleet() -> Size {
    let numbers = std::env::args().filter_map(|it| it.parse::<usize>().ok());
    let numbers: Vec<usize> = numbers.collect();
    match numbers[..] {
        [days, agents] => Size {
            days: days as u64,
            agents,
        },
        _ => FLEET,
    }
}

/// By how much the memory of a process grows in which they are verified as they come.
fn bytes_to_verify(log: &Log) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args([VERIFY, &log.trust_witnessed().to_json()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let mut pack = BufWriter::new(child.stdin.take().expect("its input"));
    let signed = log.cosigned(log.size(), log.state().last_received_ms() / 1000);
    for line in log.pack_lines(0, log.size().get(), &signed) {
        pack.write_all(line.as_bytes()).expect("it reads");
    }
    drop(pack);
    let said = child.wait_with_output().expect("it ends").stdout;
    let said = String::from_utf8(said).expect("a number");
    said.trim().parse().expect("a number")
}

/// What that process does: says how much more it has held at most than before it began.
fn verify_stdin(trust: &str) {
    let mut verifier = Verifier::new(Trust::parse(trust.as_bytes()).expect("a trust"));
    let before = of_status("VmRSS:");
    let mut input = std::io::stdin().lock();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match input.read(&mut buffer).expect("the pack") {
            0 => break,
            read => verifier.push(&buffer[..read]),
        }
    }
    black_box(verifier.finish());
    println!("{}", of_status("VmHWM:") - before);
}

/// An agent's own records out of the whole log, and what they show.
fn incident(log: &Log) {
    let signed = log.cosigned(log.size(), log.state().last_received_ms() / 1000);
    let pack = log.pack_of_agent(&agent_name(SUSPECT), &signed);
    let trust = log.trust_witnessed();
    let (_, took) = timed(|| black_box(verify(pack.as_bytes(), &trust, None)));
    let lines = pack.lines().count() as u64;
    rate("records of one agent verified as a pack", lines, took);
    let (from, to) = (log.size().get() * 9 / 10, log.size().get());
    let window = log.pack_of(from, to, &signed);
    let (_, took) = timed(|| black_box(verify(window.as_bytes(), &trust, None)));
    rate(
        "records of the last tenth verified as a pack",
        to - from,
        took,
    );
}

fn parsed(log: &Log) -> Vec<(u64, SignedRecord)> {
    let read = |bytes: &str| {
        let leaf = Leaf::parse(bytes.as_bytes()).expect("a leaf");
        let received_ms = leaf.received_ms();
        let record = SignedRecord::from_envelope(leaf.into_envelope());
        (received_ms, record.expect("a record"))
    };
    let leaves = log.leaves().iter();
    leaves.map(|held| read(&held.bytes)).collect()
}

/// The rules alone: each record is judged and taken.
fn fold(records: Vec<(u64, SignedRecord)>) -> State {
    let mut state = State::new();
    for (index, (received_ms, record)) in (0..).zip(records) {
        let record = record.admitted_before();
        let _ = black_box(state.admit(&record, received_ms));
        state.apply(LeafIndex::new(index), received_ms, &record);
    }
    state
}

/// What an agent costs that is registered, has a lease, runs, and works on a goal.
fn bytes_an_agent() -> f64 {
    let now = script::START_MS;
    let keys = Keys::of("memory");
    let charter = record::charter(&keys);
    let mut log = Log::found(keys, charter, now);
    let mut crowd = log.state().clone();
    let identity = Identity::registered(&mut log, "model", now);
    let before = resident_bytes();
    let mut index = crowd.size();
    let mut take = |state: &mut State, signed: SignedRecord| {
        let record = signed.admitted_before();
        state.apply(LeafIndex::new(index), now, &record);
        index += 1;
    };
    for n in 0..AGENTS {
        for signed in life_of(&log, &identity, n) {
            take(&mut crowd, signed);
        }
        if n + 1 == AGENTS / 100 {
            ask_for_duties(&crowd);
        }
    }
    ask_for_duties(&crowd);
    let bytes = resident_bytes() - before;
    assert_eq!(black_box(&crowd).agent_count(), AGENTS);
    drop(log);
    bytes / 1e5
}

/// What it costs to ask which transition is due next, however many agents there are.
fn ask_for_duties(state: &State) {
    const TIMES: u32 = 100_000;
    let ask = || black_box(state).next_duty(black_box(script::START_MS));
    let ((), took) = timed(|| (0..TIMES).for_each(|_| drop(black_box(ask()))));
    let (each, agents) = (took / TIMES, state.agent_count());
    println!(
        "{:<44} {each:>9.1?} each   of {agents} agents",
        "the next duty"
    );
}

/// The records that begin an agent's life. All have one key, which the state need not like, since it does not check.
fn life_of(log: &Log, model: &Identity, n: u64) -> Vec<SignedRecord> {
    let now = script::START_MS;
    let name = record::name(&format!("agent-{n:06}"));
    let manifest = record::manifest(&name, "v1");
    let registration = record::registration(manifest, model.key.public(), None);
    let manifest_hash = registration.manifest_hash;
    let operator = &log.keys().operator;
    let registered = log.sign(Body::Manifest(Box::new(registration)), now, &[operator]);
    let lease = record::lease(&name, manifest_hash, now, now + script::DAY_MS);
    let leased = log.sign(Body::Lease(Box::new(lease)), now, &[operator]);
    let identity = Identity {
        name,
        manifest_hash,
        ..model.clone()
    };
    let mut speaker = Speaker::first(identity, "process", leased.hash());
    let beat = speaker.beat(log, now);
    speaker.said(&beat);
    let goal = speaker.receipt(record::goal("a goal"), log, now);
    vec![registered, leased, beat, goal]
}

/// What this process holds in memory, by the kernel's word.
fn resident_bytes() -> f64 {
    of_status("VmRSS:")
}

fn of_status(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux kernel");
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    let kilobytes: f64 = kilobytes.and_then(|it| it.parse().ok()).expect("a number");
    kilobytes * 1024.0
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = worked();
    let done = work();
    (done, worked() - start)
}

/// How long a core has worked for this thread.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel");
    let nanoseconds = stat.split_whitespace().next();
    let nanoseconds = nanoseconds.and_then(|it| it.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

fn rate(what: &str, count: u64, took: Duration) {
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64();
    let seconds = took.as_secs_f64();
    println!("{what:<44} {rate:9.0}/s   {count} in {seconds:.2} s");
}
