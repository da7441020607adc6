use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Receiver;

use flate2::Compression;
use flate2::write::GzEncoder;
use ledger::record::Mode;
use serde_json::Value;

use super::*;
use crate::fake::{Event, Fake};
use crate::governor::Ending;

/// A gateway between a client and a server that are both written by hand.
struct World {
    gateway: SocketAddr,
    server: TcpListener,
    seen: Receiver<Event>,
    _runtime: tokio::runtime::Runtime,
}

fn world() -> World {
    let (fake, seen) = Fake::new(Mode::Enforce);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", server.local_addr().unwrap());
    let proxy = Arc::new(Proxy::new(Arc::new(fake), "s", []).unwrap());
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .unwrap();
    let listener =
        runtime.block_on(async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() });
    let address = listener.local_addr().unwrap();
    let gateway = Gateway::new(
        proxy,
        Upstream::at(&url).unwrap(),
        Gate::at(address, Vec::new()),
    );
    runtime.spawn(Arc::new(gateway).serve(listener, std::future::pending()));
    World {
        gateway: address,
        server,
        seen,
        _runtime: runtime,
    }
}

/// One end of a connection.
struct End(BufReader<TcpStream>);

impl End {
    fn write(&mut self, text: &str) {
        self.write_bytes(text.as_bytes());
    }

    fn write_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The head of a request or an answer, and its body if its length is given.
    fn read(&mut self) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                self.0.read_line(&mut head).unwrap(),
                0,
                "it ended after {head:?}"
            );
        }
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8_lossy(&body).into_owned())
    }

    /// The next chunk of a body that comes in chunks.
    fn chunk(&mut self) -> String {
        let mut size = String::new();
        self.0.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        self.0.read_exact(&mut chunk).unwrap();
        String::from_utf8(chunk[..size].to_vec()).unwrap()
    }

    fn has_ended(&mut self) -> bool {
        self.0.read(&mut [0]).map_or(true, |count| count == 0)
    }
}

fn call(id: u32, tool: &str) -> String {
    format!("{{\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\"}}}}")
}

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn json(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

impl World {
    fn request(&self, method: &str, headers: &str, body: &str) -> End {
        let mut end = End(BufReader::new(TcpStream::connect(self.gateway).unwrap()));
        let (host, length) = (self.gateway, body.len());
        end.write(&format!("{method} /mcp HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"));
        end
    }

    fn post(&self, headers: &str, body: &str) -> End {
        self.request("POST", headers, body)
    }

    /// The server's end of the next connection.
    fn accept(&self) -> End {
        End(BufReader::new(self.server.accept().unwrap().0))
    }

    fn closed(&self) -> (String, Ending) {
        loop {
            if let Event::Closed(scope, ending) = self.seen.recv().unwrap() {
                return (scope, ending);
            }
        }
    }
}

#[test]
fn headers_and_bodies_pass_in_both_directions() {
    let world = world();
    let body = "{ \"id\":1,\"method\":\"tools/call\", \"params\":{\"name\":\"a\"}}";
    let mut client = world.post("Authorization: Bearer secret\r\nMCP-Protocol-Version: 2025-11-25\r\nX-One: 1\r\nX-One: 2\r\n", body);
    let mut server = world.accept();
    let (head, got) = server.read();
    assert_eq!(got, body);
    assert!(head.starts_with("POST /mcp HTTP/1.1\r\n"), "{head}");
    let lower = head.to_ascii_lowercase();
    for line in [
        "authorization: bearer secret",
        "mcp-protocol-version: 2025-11-25",
        "x-one: 1",
        "x-one: 2",
    ] {
        assert!(lower.contains(line), "{head}");
    }
    assert!(
        lower.contains(&format!("host: {}", world.server.local_addr().unwrap())),
        "{head}"
    );
    let answer = "{\"id\":1,\"result\":{\"isError\": true}}";
    server.write(&json("200 OK\r\nMcp-Session-Id: s\r\nX-Two: 2", answer));
    let (head, got) = client.read();
    assert_eq!(got, answer);
    assert!(
        head.contains("200 OK") && head.to_ascii_lowercase().contains("mcp-session-id: s"),
        "{head}"
    );
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Error));
}

#[test]
fn each_event_arrives_while_the_next_is_not_written() {
    let world = world();
    let mut client = world.post("", &call(1, "a"));
    let mut server = world.accept();
    server.read();
    server.write(EVENTS);
    client.read();
    for event in [
        "data: {\"method\":\"notifications/progress\"}\n\n",
        ": comment\n\n",
        "data: {\"id\":1,\"result\":{}}\n\n",
    ] {
        server.write(&chunk(event));
        assert_eq!(client.chunk(), event);
    }
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Ok));
}

#[test]
fn a_denied_call_never_reaches_the_server() {
    let world = world();
    let (head, body) = world.post("", &call(1, "denied")).read();
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && head.contains("application/json"),
        "{head}"
    );
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["result"]["isError"], true);
    world.server.set_nonblocking(true).unwrap();
    assert!(world.server.accept().is_err());
}

#[test]
fn a_stream_that_the_client_closes_takes_the_call_back_and_is_closed_to_the_server() {
    let world = world();
    let mut client = world.post("", &call(1, "a"));
    let mut server = world.accept();
    server.read();
    server.write(&[EVENTS, &chunk(": hi\n\n")].concat());
    client.read();
    client.chunk();
    drop(client);
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Cancelled));
    assert!(server.has_ended());
}

#[test]
fn a_client_that_goes_before_there_is_an_answer_takes_the_call_back() {
    let world = world();
    let client = world.post("", &call(1, "a"));
    let mut server = world.accept();
    server.read();
    drop(client);
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Cancelled));
    assert!(server.has_ended());
}

#[test]
fn a_stream_that_the_server_closes_goes_on_by_another_if_its_events_have_ids() {
    let world = world();
    let session = "Mcp-Session-Id: x\r\n";
    let mut client = world.post(session, &call(1, "a"));
    let mut server = world.accept();
    server.read();
    // The connection ends with the stream, or the next request might come by this one or by another.
    let events = EVENTS.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    server.write(&[&events, &chunk("id: 7\ndata: \n\n"), "0\r\n\r\n"].concat());
    drop(server);
    client.read();
    client.chunk();
    let mut client = world.request("GET", &format!("{session}Last-Event-ID: 7\r\n"), "");
    let mut server = world.accept();
    let (head, _) = server.read();
    assert!(
        head.to_ascii_lowercase().contains("last-event-id: 7"),
        "{head}"
    );
    server.write(&[EVENTS, &chunk("id: 8\ndata: {\"id\":1,\"result\":{}}\n\n")].concat());
    client.read();
    client.chunk();
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Ok));
}

#[test]
fn a_server_that_ends_without_an_answer_has_failed() {
    let world = world();
    for answer in [
        [EVENTS, "0\r\n\r\n"].concat(),
        json("500 Internal Server Error", ""),
        String::new(),
    ] {
        let mut client = world.post("Connection: close\r\n", &call(1, "a"));
        let mut server = world.accept();
        server.read();
        server.write(&answer);
        drop(server);
        let (head, _) = client.read();
        assert_eq!(
            world.closed(),
            ("call:s/a".to_owned(), Ending::Error),
            "{head}"
        );
    }
}

#[test]
fn a_message_that_is_accepted_is_answered_by_another_stream() {
    let world = world();
    let mut client = world.post("", &call(1, "a"));
    let mut server = world.accept();
    server.read();
    server.write("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    client.read();
    let mut events = world.request("GET", "", "");
    server.read();
    server.write(
        &[
            EVENTS,
            &chunk("event: message\r\ndata: {\"id\":1,\"result\":{}}\r\n\r\n"),
        ]
        .concat(),
    );
    events.read();
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Ok));
}

#[test]
fn the_end_of_a_session_takes_its_calls_back() {
    let world = world();
    let session = "Mcp-Session-Id: x\r\n";
    let mut client = world.post(session, &call(1, "a"));
    let mut server = world.accept();
    server.read();
    server.write("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    client.read();
    let mut client = world.request("DELETE", session, "");
    assert!(server.read().0.starts_with("DELETE /mcp"));
    server.write(&json("200 OK", ""));
    client.read();
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Cancelled));
}

#[test]
fn a_packed_answer_passes_packed_and_is_read() {
    let world = world();
    let mut client = world.post("Accept-Encoding: gzip\r\n", &call(1, "a"));
    let mut server = world.accept();
    server.read();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed
        .write_all(b"{\"id\":1,\"result\":{\"isError\":true}}")
        .unwrap();
    let packed = packed.finish().unwrap();
    let length = packed.len();
    server.write(&format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"));
    server.write_bytes(&packed);
    let (head, _) = client.read();
    assert!(
        head.to_ascii_lowercase().contains("content-encoding: gzip"),
        "{head}"
    );
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Error));
}

#[test]
fn what_may_not_come_in_does_not() {
    let world = world();
    for (headers, body, status) in [
        ("Origin: http://evil.example\r\n", call(1, "a"), 403),
        ("Content-Encoding: gzip\r\n", call(1, "a"), 415),
        ("", "{\"id\":1".to_owned(), 400),
        ("", "{\"method\":\"a\",\"method\":\"b\"}".to_owned(), 202),
    ] {
        let (head, _) = world.post(headers, &body).read();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[test]
fn a_server_that_is_not_there_is_a_bad_gateway_and_the_call_has_failed() {
    let World {
        gateway,
        server,
        seen,
        _runtime,
    } = world();
    drop(server);
    let mut client = End(BufReader::new(TcpStream::connect(gateway).unwrap()));
    let body = call(1, "a");
    client.write(&format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(client.read().0.starts_with("HTTP/1.1 502 "));
    assert_eq!(seen.recv().unwrap(), Event::Asked("call:s/a".to_owned()));
    assert_eq!(
        seen.recv().unwrap(),
        Event::Closed("call:s/a".to_owned(), Ending::Error)
    );
}

#[test]
fn the_answers_to_an_array_are_put_together() {
    let world = world();
    let batch = format!("[{},{}]", call(1, "denied"), call(2, "a"));
    let mut client = world.post("", &batch);
    let mut server = world.accept();
    assert_eq!(server.read().1, format!("[{}]", call(2, "a")));
    server.write(&json("200 OK", "[{\"id\":2,\"result\":{}}]"));
    let answers: Value = serde_json::from_str(&client.read().1).unwrap();
    assert_eq!(
        (
            &answers[0]["id"],
            &answers[1]["id"],
            answers.as_array().unwrap().len()
        ),
        (&1.into(), &2.into(), 2)
    );
    let mut client = world.post("", &batch);
    server.read();
    server.write(&[EVENTS, &chunk("data: {\"id\":2,\"result\":{}}\n\n")].concat());
    client.read();
    assert!(
        client
            .chunk()
            .starts_with("event: message\ndata: [{\"jsonrpc\"")
    );
    assert_eq!(client.chunk(), "data: {\"id\":2,\"result\":{}}\n\n");
}
