//! What is cheap to ask for is cheap to answer, however long the log is: counted in the service's own time on the
//! processor, which no other work on the machine adds to.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ledger::key::PrivateKey;
use tests::{Service, read};

/// So long that a search of it shows.
const ENTRIES: u64 = 12_000;

/// What 500 such requests may cost: by rows it is a fraction of that, by a search of the log a minute.
const MOST: Duration = Duration::from_secs(10);

/// What the service has spent on the processor, by `/proc/PID/stat` (proc(5)): hundredths of a second.
fn spent(service: &Service) -> Duration {
    let stat = read(format!("/proc/{}/stat", service.process().0).as_ref());
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn what_a_stranger_asks_for_is_found_by_rows() {
    let service = Service::new();
    let (key, signer) = (PrivateKey::from_seed(&[5; 32]), service.signer());
    service.log(&signer.registration("a", &key));
    let lease = signer.lease("a", &key);
    service.log(&lease);
    let beat = signer.first_beat("a", &key, 1, lease.hash());
    service.log(&beat);
    let goal = signer.goal_after(&beat, &key);
    service.log(&goal);
    service.fill(ENTRIES);
    let last = service.size() - 1;
    for path in [
        "/v1/events?after=0&agent=nobody".to_owned(),
        "/v1/events?after=0&kind=order".to_owned(),
        format!("/v1/events?after={last}"),
        format!("/v1/goals/{}", goal.hash()),
        format!("/v1/leases/{}", lease.hash()),
        "/v1/agents/a".to_owned(),
        "/v1/agents".to_owned(),
    ] {
        let before = spent(&service);
        for _ in 0..500 {
            // Of a stream, which has no end, the head is enough: whoever asked is gone then.
            let answer = service.request("GET", &path).send().unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
        service.log(&signer.observation("a", &path));
        let cost = spent(&service) - before;
        println!("{path}: {cost:?} for 500");
        assert!(cost < MOST, "{path}: {cost:?}");
    }
}

/// How long it may take until a read that nobody waits for has ended.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many ask at once, and go away.
const LEAVING: usize = 128;

/// What the service says of reads whose clients had gone.
fn left(service: &Service) -> u64 {
    let metrics = service.metrics();
    let mut lines = metrics.lines();
    let left = lines.find_map(|line| line.strip_prefix("dragonsd_reads_left_total "));
    left.expect("a counter").parse().unwrap()
}

/// Many ask for much and close their connections: what was asked for is not read to its end. A fast machine may have
/// answered all of them before they left, so they come again.
#[test]
fn a_read_ends_with_its_client() {
    let service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(2_000);
    assert_eq!(left(&service), 0);
    let address = service.url().trim_start_matches("http://").to_owned();
    let ask = format!("GET /v1/agents/a/timeline?from_ms=0 HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let began = Instant::now();
    while left(&service) == 0 {
        assert!(began.elapsed() < PATIENCE, "each read went to its end");
        let asked = (0..LEAVING).map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(ask.as_bytes()).unwrap();
            stream
        });
        drop(asked.collect::<Vec<_>>());
    }
    // Whoever stays is answered.
    assert_eq!(service.get("/v1/agents/a").status, 200);
    println!("{} reads ended with their clients", left(&service));
}
