//! Strangers without any key, who connect and do nothing, or hardly anything: the service goes on for everybody else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use ledger::key::PrivateKey;
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
use tests::{Service, dragonsd};

/// So few files that a test makes more connections than the service can have.
const FILES: usize = 300;

/// What the store has of them at least.
const OF_STORE: usize = 96;

/// Starts the service with that limit of open files.
fn with_few_files(service: &mut Service, soft: usize, hard: usize) {
    service.stop();
    let serve = service.serve_command();
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={soft}:{hard}"));
    command.arg(serve.get_program()).args(serve.get_args());
    service.start_by(command);
}

fn api(service: &Service) -> SocketAddr {
    service.url().trim_start_matches("http://").parse().unwrap()
}

fn metrics(service: &Service) -> SocketAddr {
    let url = service.metrics_url();
    let address = url
        .trim_start_matches("http://")
        .trim_end_matches("/metrics");
    address.parse().unwrap()
}

fn open_files(service: &Service) -> usize {
    let folder = format!("/proc/{}/fd", service.process().0);
    std::fs::read_dir(folder).unwrap().count()
}

/// Connects so often and says this each time.
fn strangers(count: usize, address: SocketAddr, say: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        // One that had to go in the meantime is no longer listened to.
        let _ = stream.write_all(say);
        stream
    };
    (0..count).map(connect).collect()
}

/// Everything that matters works: health, records, what can be read, what operators see.
fn works(service: &Service, n: u64) {
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.get("/readyz").status, 200);
    let seen = service.signer().observation("a", &n.to_string());
    service.log(&seen);
    assert_eq!(service.get("/v1/pack").status, 200);
    assert!(service.metrics().contains("dragonsd_records_total"));
}

fn registered(service: &Service) {
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
}

#[test]
fn silent_connections_leave_the_store_its_files() {
    let mut service = Service::new();
    registered(&service);
    with_few_files(&mut service, FILES, FILES);
    let on_api = strangers(FILES, api(&service), b"");
    works(&service, 1);
    let on_metrics = strangers(FILES, metrics(&service), b"GET /metrics HT");
    works(&service, 2);
    let open = open_files(&service);
    assert!(open + OF_STORE <= FILES, "{open} files are open");
    drop((on_api, on_metrics));
    assert!(service.stop().success());
}

#[test]
fn the_limit_is_raised_and_too_few_are_refused() {
    let mut service = Service::new();
    with_few_files(&mut service, 64, 2_048);
    let limits = tests::read(format!("/proc/{}/limits", service.process().0).as_ref());
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[3..5], ["2048", "2048"]);
    service.stop();
    let data = service.data();
    let output = Command::new("prlimit")
        .arg("--nofile=128:128")
        .arg(dragonsd().path())
        .args([
            "serve",
            "--data",
            data.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ])
        .args(["--metrics", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("128 files") && said.contains("LimitNOFILE"),
        "{said}"
    );
}

/// Each body is one byte of a thousand, and comes no further.
#[test]
fn bodies_that_drip_take_nobodys_place_and_come_to_an_end() {
    let mut service = Service::new();
    registered(&service);
    with_few_files(&mut service, FILES, FILES);
    let head = |kind: &str, length: usize| {
        format!(
            "POST /v1/entries HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{{"
        )
    };
    let records = head("application/json", 1_000);
    let batches = head("application/x-ndjson", 16 << 20);
    let began = Instant::now();
    let mut drips = strangers(100, api(&service), records.as_bytes());
    drips.extend(strangers(100, api(&service), batches.as_bytes()));
    works(&service, 1);
    let lines = [service
        .signer()
        .observation("a", "line")
        .envelope()
        .to_json()];
    assert_eq!(
        service.post_lines(&lines).status,
        200,
        "nor a batch's place"
    );
    for drip in &mut drips {
        let mut answer = String::new();
        // One that was closed with bytes unread sees a reset.
        let _ = drip.read_to_string(&mut answer);
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
}

/// A client with hardly any room for what it is sent.
fn cramped(address: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4_096).unwrap();
    connect(&socket, &address).unwrap();
    TcpStream::from(socket)
}

#[test]
fn packs_that_nobody_takes_block_no_others() {
    let service = Service::new();
    registered(&service);
    service.fill(4_000);
    let ask = b"GET /v1/pack HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut idle: Vec<TcpStream> = (0..40).map(|_| cramped(api(&service))).collect();
    for stream in &mut idle {
        stream.write_all(ask).unwrap();
    }
    // They hold all places for a moment, until it shows that they take nothing.
    let until = Instant::now() + Duration::from_secs(30);
    let fetched = loop {
        let answer = service.get("/v1/pack");
        if answer.status == 200 || Instant::now() > until {
            break answer;
        }
        assert_eq!(answer.status, 503);
    };
    assert_eq!(fetched.status, 200);
    assert!(fetched.body.len() > 1 << 20);
    works(&service, 1);
}

#[test]
fn streams_that_nobody_reads_block_no_others() {
    let service = Service::new();
    let ask = b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let _idle = strangers(600, api(&service), ask);
    let mut events = service.events("/v1/events?after=0");
    assert!(events.next().is_some());
}

/// How many connections of those who follow were closed to make room.
fn followers_sent_away(service: &Service) -> u64 {
    let metrics = service.metrics();
    let name = "dragonsd_http_connections_closed_total{doing=\"following\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(name));
    count.map_or(0, |count| count.parse().unwrap())
}

/// Whoever follows everything, or an agent that there is not, does not take the place of who follows an agent.
#[test]
fn streams_of_strangers_end_no_stream_of_an_agent() {
    let service = Service::new();
    registered(&service);
    let mut followed = service.events("/v1/events?agent=a&kind=observation");
    let follow = |query: &str| format!("GET /v1/events{query} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let _everything = strangers(300, api(&service), follow("").as_bytes());
    let _nobody = strangers(300, api(&service), follow("?agent=nobody").as_bytes());
    while followers_sent_away(&service) < 600 - 511 {}
    let index = service.log(&service.signer().observation("a", "heard"));
    assert_eq!(followed.next().map(|event| event.id), Some(index));
}

#[test]
fn a_request_with_two_lengths_is_refused() {
    let service = Service::new();
    let record = service.signer().stop("a").envelope().to_json();
    let chunk = format!("{:x}\r\n{record}\r\n0\r\n\r\n", record.len());
    let post = "POST /v1/entries HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let get = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let (length, coding) = ("Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n");
    for (before, lengths) in [
        ("", format!("{length}{coding}")),
        ("", format!("{coding}{length}")),
        ("", format!("{coding}Content-Length: {}\r\n", chunk.len())),
        (get, format!("{length}{coding}")),
        ("", "Transfer-Encoding: gzip, chunked\r\n".to_owned()),
    ] {
        let mut stream = TcpStream::connect(api(&service)).unwrap();
        let requests = format!("{before}{post}{lengths}\r\n{chunk}{get}");
        // One write: the service closes as soon as it has read the head.
        stream.write_all(requests.as_bytes()).unwrap();
        let mut answers = String::new();
        let _ = stream.read_to_string(&mut answers);
        assert!(answers.contains("HTTP/1.1 400"), "{lengths}: {answers}");
        assert!(
            !answers.contains("403") && !answers.contains("404"),
            "{lengths}: {answers}"
        );
        let behind = answers.split("HTTP/1.1 400").nth(1).unwrap();
        assert!(
            !behind.contains("HTTP/1.1 200"),
            "nothing is read behind it: {answers}"
        );
    }
    let mut stream = TcpStream::connect(api(&service)).unwrap();
    write!(stream, "{post}{coding}connection: close\r\n\r\n{chunk}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("agent-unknown"),
        "one length is read: {answer}"
    );
}
