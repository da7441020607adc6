//! A line between a client and a service that somebody has hold of: it passes requests on, or does not, and says what it
//! likes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::Service;

/// What becomes of records that are handed in; everything else is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// They are passed on.
    None,
    /// They are kept, and the client is told what this says: a status line's end, and a problem's code.
    Keep(&'static str, &'static str),
    /// They are passed on, and the client is told this in the place of the answer.
    PassAndRefuse(&'static str, &'static str),
    /// They are passed on, and the client gets no answer.
    LoseAnswer,
    /// The last signature is taken off before they are passed on.
    Strip,
}

/// Such a line. Whoever drops it lets go of it.
#[derive(Debug)]
pub struct HeldLine {
    address: String,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug)]
struct Held {
    meddling: Meddling,
    /// The records that were kept, as they came.
    kept: Vec<String>,
    /// The records that came, in all.
    seen: Vec<String>,
}

impl HeldLine {
    /// A line to a service.
    ///
    /// # Panics
    /// If no port is free.
    pub fn to(service: &Service) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let held = Arc::new(Mutex::new(Held {
            meddling: Meddling::None,
            kept: Vec::new(),
            seen: Vec::new(),
        }));
        let (service, shared) = (
            service.url().trim_start_matches("http://").to_owned(),
            Arc::clone(&held),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (service, held) = (service.clone(), Arc::clone(&shared));
                std::thread::spawn(move || pass(&stream, &service, &held));
            }
        });
        Self { address, held }
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What becomes of records from now on.
    ///
    /// # Panics
    /// If a thread of the line has panicked.
    pub fn meddle(&self, meddling: Meddling) {
        self.held.lock().expect("a sound line").meddling = meddling;
    }

    /// The records that were kept back.
    ///
    /// # Panics
    /// If a thread of the line has panicked.
    pub fn kept(&self) -> Vec<String> {
        self.held.lock().expect("a sound line").kept.clone()
    }

    /// All records that came this way.
    ///
    /// # Panics
    /// If a thread of the line has panicked.
    pub fn seen(&self) -> Vec<String> {
        self.held.lock().expect("a sound line").seen.clone()
    }
}

/// One request and its answer. Whatever goes wrong ends the connection, as it does on any line.
fn pass(client: &TcpStream, service: &str, held: &Mutex<Held>) -> Option<()> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") && !lower.starts_with("content-length:") {
            head.push(line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let is_record = head.first()?.starts_with("POST /v1/entries");
    let meddling = match is_record {
        true => note(held, &body),
        false => Meddling::None,
    };
    let answer = match meddling {
        Meddling::None => ask(service, &head, &body)?,
        Meddling::Keep(status, code) => refusal(status, code),
        Meddling::PassAndRefuse(status, code) => {
            ask(service, &head, &body)?;
            refusal(status, code)
        }
        Meddling::LoseAnswer => {
            ask(service, &head, &body)?;
            return None;
        }
        Meddling::Strip => ask(service, &head, &stripped(&body)?)?,
    };
    let mut client = client;
    client.write_all(&answer).ok()
}

fn note(held: &Mutex<Held>, body: &[u8]) -> Meddling {
    let text = String::from_utf8_lossy(body).into_owned();
    let mut held = held.lock().expect("a sound line");
    held.seen.push(text.clone());
    if matches!(held.meddling, Meddling::Keep(..)) {
        held.kept.push(text);
    }
    held.meddling.clone()
}

fn ask(service: &str, head: &[String], body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(service).ok()?;
    let length = body.len();
    let head = head.concat();
    write!(
        stream,
        "{head}content-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

fn refusal(status: &str, code: &str) -> Vec<u8> {
    let body = format!("{{\"code\":\"{code}\",\"detail\":\"nobody signed this\"}}");
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The envelope without its last signature.
fn stripped(body: &[u8]) -> Option<Vec<u8>> {
    let mut envelope: serde_json::Value = serde_json::from_slice(body).ok()?;
    envelope["signatures"].as_array_mut()?.pop();
    serde_json::to_vec(&envelope).ok()
}
