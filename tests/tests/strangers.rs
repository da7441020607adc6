//! Strangers without any key who ask, in ways that nobody should: at either listener, for whatever there is, and without
//! taking an answer. The service goes on for everybody else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use ledger::key::PrivateKey;
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
use tests::Service;

/// Whatever can be asked without a key, of which some answers are long.
const PATHS: [&str; 18] = [
    "/checkpoint",
    "/tile/0/000",
    "/tile/entries/000",
    "/v1/entries/1",
    "/v1/entries/1/proof",
    "/v1/consistency?old=1&new=300",
    "/v1/checkpoints?limit=1000",
    "/v1/charter",
    "/v1/agents?limit=1000",
    "/v1/agents/a",
    "/v1/agents/a/timeline",
    "/v1/events?after=0",
    "/v1/events?after=0&agent=a",
    "/v1/pack",
    "/openapi.json",
    "/",
    "/agents/a",
    "/nothing",
];

/// What one answer may cost while nobody takes it: a piece of a pack or of a stream, and the buffers of a connection.
const MOST_BYTES: u64 = 512 << 20;

fn service() -> Service {
    let service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(400);
    service
}

fn api(service: &Service) -> SocketAddr {
    service.url().trim_start_matches("http://").parse().unwrap()
}

fn metrics(service: &Service) -> SocketAddr {
    let url = service.metrics_url();
    let address = url.trim_start_matches("http://");
    address.trim_end_matches("/metrics").parse().unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// A client with hardly any room for what it is sent, who says this as far as it is taken, and reads nothing.
fn cramped(address: SocketAddr, say: &str) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4_096).unwrap();
    connect(&socket, &address).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_nonblocking(true).unwrap();
    let _ = stream.write(say.as_bytes());
    stream
}

/// Health, records, what can be read, what operators see.
fn works(service: &Service, n: &str) {
    for path in ["/healthz", "/readyz", "/v1/agents/a", "/v1/entries/1"] {
        assert_eq!(service.get(path).status, 200, "{n}: {path}");
    }
    service.log(&service.signer().observation("a", n));
    assert!(service.metrics().contains("dragonsd_records_total"));
}

/// Says it, and reads until the service hangs up.
fn answers(address: SocketAddr, say: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    // It may close as soon as it has seen what is wrong.
    let _ = stream.write_all(say);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn whoever_asks_for_anything_and_takes_nothing_holds_up_nobody() {
    let service = service();
    let mut idle = Vec::new();
    for path in PATHS {
        let many = get(path).repeat(64);
        idle.extend((0..24).map(|_| cramped(api(&service), &many)));
        works(&service, path);
    }
    let many = get("/metrics").repeat(64);
    idle.extend((0..100).map(|_| cramped(metrics(&service), &many)));
    works(&service, "metrics");
    let held = service.process().peak_bytes();
    assert!(held < MOST_BYTES, "{} MiB", held >> 20);
}

#[test]
fn requests_come_one_behind_the_other_and_are_answered_in_their_order() {
    let service = service();
    let count = 2_000;
    let paths = ["/healthz", "/v1/entries/1", "/nothing", "/checkpoint"];
    let mut say = String::new();
    for n in 0..count {
        say += &get(paths[n % paths.len()]);
    }
    say += "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(api(&service)).unwrap();
    let mut writes = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || writes.write_all(say.as_bytes()).unwrap());
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    writer.join().unwrap();
    let text = String::from_utf8_lossy(&text);
    let statuses: Vec<&str> = text
        .match_indices("HTTP/1.1 ")
        .map(|(at, found)| &text[at + found.len()..][..3])
        .collect();
    assert_eq!(statuses.len(), count + 1);
    for (n, status) in statuses[..count].iter().enumerate() {
        let expected = if n % 4 == 2 { "404" } else { "200" };
        assert_eq!(*status, expected, "request {n}");
    }
}

/// HTTP/2, whether it is known before or asked for, and what is not HTTP at all.
#[test]
fn what_is_not_http_1_is_not_taken_for_it() {
    let service = service();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03GET / HTTP/1.1\r\n\r\n";
    for address in [api(&service), metrics(&service)] {
        for say in [&preface[..], hello, &[0; 65_536]] {
            let answer = answers(address, say);
            assert!(!answer.contains(" 200 "), "{answer}");
        }
        let upgrade = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, http2-settings, close\r\n\
                       upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
        let answer = answers(address, upgrade.as_bytes());
        assert!(!answer.contains(" 101 "), "{answer}");
    }
    works(&service, "afterwards");
}

/// One body has one length, whichever way the doubt comes and whichever listener is asked.
#[test]
fn a_length_in_doubt_is_refused_at_both_listeners() {
    let service = service();
    let behind = get("/healthz") + &get("/metrics");
    for address in [api(&service), metrics(&service)] {
        for lengths in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\ncontent-length: 0\r\n",
            "Content-Length: 4\r\nContent-Length: 5\r\n",
            "Content-Length: 4, 5\r\n",
            "Content-Length: +4\r\n",
            "Content-Length: 0x4\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding:\x0bchunked\r\n",
            "Content-Length: 4\r\n Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
        ] {
            for method in ["POST /v1/entries", "GET /metrics"] {
                let request = format!(
                    "{method} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{lengths}\r\n0\r\n\r\n{behind}"
                );
                let answer = answers(address, request.as_bytes());
                let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 400");
                assert!(refused, "{method} {lengths:?}: {answer}");
                assert!(!answer.contains(" 200 "), "{method} {lengths:?}: {answer}");
            }
        }
    }
    works(&service, "afterwards");
}

/// Bodies where nobody expects one, announced and not sent, in pieces of one byte, with trailers.
#[test]
fn bodies_of_any_kind_at_any_place_take_nobodys_place() {
    let service = service();
    let mut idle = Vec::new();
    for (method, path) in [
        ("GET", "/healthz"),
        ("GET", "/v1/pack"),
        ("PUT", "/checkpoint"),
        ("POST", "/v1/requests"),
        ("POST", "/v1/entries"),
        ("DELETE", "/nothing"),
    ] {
        for head in [
            "expect: 100-continue\r\ncontent-length: 1000",
            "content-length: 40000",
            "transfer-encoding: chunked",
        ] {
            let say = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{head}\r\n\r\n1;x=y\r\n"
            );
            idle.extend((0..12).map(|_| cramped(api(&service), &say)));
        }
        works(&service, path);
    }
    let head = "POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 40000\r\n\r\n{";
    idle.extend((0..100).map(|_| cramped(metrics(&service), head)));
    works(&service, "metrics");
}

/// The name that a request asks for is in its target or in its `Host`, and nowhere twice.
#[test]
fn a_name_that_the_service_does_not_have_is_asked_for_in_vain() {
    let service = service();
    for address in [api(&service), metrics(&service)] {
        for (target, host, status) in [
            ("/healthz", "evil.example", "421"),
            ("/healthz", "127.0.0.1.evil.example", "421"),
            ("/healthz", "localhost.evil.example", "421"),
            ("/healthz", "2130706433", "421"),
            ("/healthz", "[::ffff:8.8.8.8]", "421"),
            ("/healthz", "", "421"),
            ("http://evil.example/healthz", "localhost", "421"),
            ("http://evil.example/healthz", "evil.example", "421"),
            ("http://localhost/nothing", "localhost", "404"),
            ("/nothing", "[::1]:7", "404"),
            ("/nothing", "127.9.8.7:1", "404"),
        ] {
            let say = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let answer = answers(address, say.as_bytes());
            let got = answer.get("HTTP/1.1 ".len()..).unwrap_or_default();
            assert!(got.starts_with(status), "{target} {host}: {answer}");
        }
        let two = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
        let none = "GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n";
        for say in [two, none] {
            let answer = answers(address, say.as_bytes());
            assert!(!answer.contains(" 200 "), "{answer}");
        }
    }
}
