//! A line between a client and a service that somebody has hold of: it passes requests on, or does not, and says what it
//! likes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use ledger::envelope::Envelope;

use crate::Service;

/// What becomes of records that are handed in; everything else is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// They are passed on.
    None,
    /// They are kept, and the client is told what this says: a status line's end, and a problem's code.
    Keep(&'static str, &'static str),
    /// They are passed on, and the client is told this in place of the answer.
    PassAndRefuse(&'static str, &'static str),
    /// They are passed on, and the client gets no answer.
    LoseAnswer,
    /// The last signature is taken off before they are passed on.
    Strip,
    /// They are passed on, and whoever asks for the charter in force gets this: what the service answered once.
    ShowCharter(String),
    /// They are passed on, and the answer to an intent waits until something else is said: a slow service.
    HoldPermits,
}

/// Such a line. Whoever drops it lets go of it.
#[derive(Debug)]
pub struct HeldLine {
    address: String,
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    held: Mutex<Held>,
    /// Something came, or the meddling changed.
    moved: Condvar,
}

#[derive(Debug)]
struct Held {
    meddling: Meddling,
    /// The records that were kept, as they came.
    kept: Vec<String>,
    /// The records that came, in all, and when.
    seen: Vec<String>,
    came: Vec<Instant>,
}

impl HeldLine {
    /// A line to a service.
    ///
    /// # Panics
    /// If no port is free.
    pub fn to(service: &Service) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let line = Arc::new(Line {
            held: Mutex::new(Held {
                meddling: Meddling::None,
                kept: Vec::new(),
                seen: Vec::new(),
                came: Vec::new(),
            }),
            moved: Condvar::new(),
        });
        let (service, shared) = (
            service.url().trim_start_matches("http://").to_owned(),
            Arc::clone(&line),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (service, line) = (service.clone(), Arc::clone(&shared));
                std::thread::spawn(move || pass(&stream, &service, &line));
            }
        });
        Self { address, line }
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
        self.line.lock().meddling = meddling;
        self.line.moved.notify_all();
    }

    /// Returns once an intent has come this way.
    ///
    /// # Panics
    /// If a thread of the line has panicked.
    pub fn wait_for_intent(&self) {
        let came = |held: &mut Held| !held.seen.iter().any(|body| has_intent(body));
        drop(self.line.wait_while(came));
    }

    /// Waits for so many further records, and says when they came.
    ///
    /// # Panics
    /// If a thread of the line has panicked.
    pub fn wait_for(&self, more: usize) -> Vec<Instant> {
        let before = self.line.lock().came.len();
        let held = self.line.wait_while(|held| held.came.len() < before + more);
        held.came[before..].to_vec()
    }

    /// The records that were kept back.
    ///
    /// # Panics
    /// If a thread of the line has panicked.
    pub fn kept(&self) -> Vec<String> {
        self.line.lock().kept.clone()
    }

    /// All records that came this way.
    ///
    /// # Panics
    /// If a thread of the line has panicked.
    pub fn seen(&self) -> Vec<String> {
        self.line.lock().seen.clone()
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("a sound line")
    }

    fn wait_while(&self, condition: impl FnMut(&mut Held) -> bool) -> MutexGuard<'_, Held> {
        let waited = self.moved.wait_while(self.lock(), condition);
        waited.expect("a sound line")
    }

    fn note(&self, body: &[u8]) -> Meddling {
        let text = String::from_utf8_lossy(body).into_owned();
        let mut held = self.lock();
        held.seen.push(text.clone());
        held.came.push(Instant::now());
        self.moved.notify_all();
        if matches!(held.meddling, Meddling::Keep(..)) {
            held.kept.push(text);
        }
        held.meddling.clone()
    }
}

/// One request and its answer. Whatever goes wrong ends the connection, as it does on any line.
fn pass(client: &TcpStream, service: &str, line: &Line) -> Option<()> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok().filter(|read| *read > 0)?;
        let lower = field.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if field == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") && !lower.starts_with("content-length:") {
            head.push(field);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let is = |request: &str| head.first().is_some_and(|line| line.starts_with(request));
    let present = line.lock().meddling.clone();
    let meddling = match (is("POST /v1/entries"), present) {
        (true, _) => line.note(&body),
        (false, Meddling::ShowCharter(old)) if is("GET /v1/charter ") => {
            let mut client = client;
            return client.write_all(&answer("200 OK", "json", &old)).ok();
        }
        (false, _) => Meddling::None,
    };
    let answer = match meddling {
        Meddling::None | Meddling::ShowCharter(_) => ask(service, &head, &body)?,
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
        Meddling::HoldPermits => {
            let answer = ask(service, &head, &body)?;
            if has_intent(&String::from_utf8_lossy(&body)) {
                drop(line.wait_while(|held| held.meddling == Meddling::HoldPermits));
            }
            answer
        }
    };
    let mut client = client;
    client.write_all(&answer).ok()
}

/// Whether one of the records of a body asks for permission to act.
fn has_intent(body: &str) -> bool {
    let is_intent = |record: &str| {
        let envelope = Envelope::parse(record.as_bytes()).ok()?;
        let payload: serde_json::Value = serde_json::from_slice(envelope.payload()).ok()?;
        Some(payload["phase"] == "intent")
    };
    body.lines().any(|record| is_intent(record) == Some(true))
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
    answer(status, "problem+json", &body)
}

fn answer(status: &str, form: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/{form}\r\ncontent-length: {length}\r\n\
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
