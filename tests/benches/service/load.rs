//! The load: requests over connections that stay open, by a client that costs as little as it can.
//!
//! Two threads hold the connections. Each goes round: it reads the answer that is next, and sends the next request there.
//! So all connections have a request under way, and an answer's time is that until it was read in its turn.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tests::{Process, Service};

/// How many threads send.
const THREADS: usize = 2;

/// A request, as it goes over the wire.
#[derive(Clone)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes())
    }

    /// For the exact bytes of an entry.
    pub(crate) fn leaf(path: &str) -> Self {
        let accept = "Accept: application/octet-stream";
        Self(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n\r\n").into_bytes())
    }

    pub(crate) fn post(path: &str, kind: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        Self([head.as_bytes(), body].concat())
    }
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Took {
    /// How long all of it took.
    pub(crate) all: Duration,
    /// How long each answer took.
    pub(crate) each: Vec<Duration>,
    /// How long the cores worked for the process that answered.
    pub(crate) worked: Duration,
    /// The answers.
    pub(crate) bodies: Vec<Vec<u8>>,
}

/// Connections to whoever answers.
pub(crate) struct Load {
    address: Arc<str>,
    connections: usize,
    server: Option<Process>,
}

impl Load {
    pub(crate) fn on(service: &Service, connections: usize) -> Self {
        let address = service.url().trim_start_matches("http://");
        Self {
            server: Some(service.process()),
            ..Self::at(address, connections)
        }
    }

    /// To a server that is in this process.
    pub(crate) fn at(address: &str, connections: usize) -> Self {
        Self {
            address: address.into(),
            connections,
            server: None,
        }
    }

    /// Sends all of them, and waits for the last answer. Each has to be a good one.
    pub(crate) fn send(&self, requests: Vec<Request>) -> Took {
        let connections: Vec<Connection> = (0..self.connections).map(|_| self.open()).collect();
        let worked = || self.server.map_or(Duration::ZERO, Process::worked);
        let (before, began) = (worked(), Instant::now());
        let mut took = Took::default();
        for part in send(connections, requests) {
            took.each.extend(part.each);
            took.bodies.extend(part.bodies);
        }
        took.all = began.elapsed();
        took.worked = worked().saturating_sub(before);
        took
    }

    fn open(&self) -> Connection {
        let stream = TcpStream::connect(&*self.address).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let answers = BufReader::new(stream.try_clone().expect("a socket"));
        Connection {
            stream,
            answers,
            sent: None,
        }
    }
}

/// Shares connections and requests among the threads.
fn send(connections: Vec<Connection>, requests: Vec<Request>) -> Vec<Took> {
    let threads = THREADS.min(connections.len());
    let share = requests.len().div_ceil(threads);
    let mut connections = connections.into_iter();
    let each = connections.len() / threads;
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for requests in requests.chunks(share) {
            let own: Vec<Connection> = connections.by_ref().take(each).collect();
            workers.push(scope.spawn(move || go_round(own, requests)));
        }
        let ended = workers.into_iter().map(|worker| worker.join());
        ended.map(|took| took.expect("good answers")).collect()
    })
}

fn go_round(mut connections: Vec<Connection>, requests: &[Request]) -> Took {
    let mut took = Took::default();
    let count = connections.len();
    for (n, request) in requests.iter().enumerate() {
        let connection = &mut connections[n % count];
        connection.read(&mut took);
        connection.send(request);
    }
    let next = requests.len();
    (next..next + count).for_each(|n| connections[n % count].read(&mut took));
    took
}

struct Connection {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    /// When the request was sent that is not answered.
    sent: Option<Instant>,
}

impl Connection {
    fn send(&mut self, request: &Request) {
        self.sent = Some(Instant::now());
        self.stream.write_all(&request.0).expect("it is taken");
    }

    /// Reads an answer, if one is to come.
    fn read(&mut self, took: &mut Took) {
        let Some(sent) = self.sent.take() else {
            return;
        };
        let (mut line, mut length, mut status) = (String::new(), 0, String::new());
        while line != "\r\n" {
            line.clear();
            let read = self.answers.read_line(&mut line).expect("a head");
            assert!(read > 0, "the connection has ended");
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            } else if status.is_empty() {
                status.clone_from(&line);
            }
        }
        let mut body = vec![0; length];
        self.answers.read_exact(&mut body).expect("a body");
        took.each.push(sent.elapsed());
        let said = String::from_utf8_lossy(&body);
        assert!(status.starts_with("HTTP/1.1 200"), "{status}{said}");
        took.bodies.push(body);
    }
}
