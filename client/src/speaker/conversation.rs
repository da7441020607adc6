//! One connection to the socket: lines in, lines out.
//!
//! A line without an `id` is answered before the next one is read. Lines with an `id` are asked as they come, and each is
//! answered when its answer is there. A thread of its own writes, so that a reader who is slow holds up nobody else.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ledger::codes::{Code, Refusal};
use ledger::json::{Members, Value};

use super::Connection;
use super::answer::{Answer, By};
use super::clerk::Job;
use super::places::{Place, Places};
use super::prompt::Prompt;
use super::request::Request;
use super::session::Roots;

/// The longest line: an intent's inputs, each as long as a value may be, and room to spare.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// How many lines of a connection may be without an answer; further ones are not read until one has its answer.
const MAX_ASKED: usize = 128;

/// How long somebody may take to read an answer before the connection is given up.
const WRITING: Duration = Duration::from_secs(10);

/// Where the answer to a line goes. One that is dropped says that nobody answers any more.
#[derive(Debug)]
pub(crate) struct Reply(Waiting);

/// Somebody waits for an answer, which may come from more than one side: the first counts.
#[derive(Clone, Debug)]
pub(crate) struct Waiting(Arc<Mutex<Option<Asked>>>);

#[derive(Debug)]
struct Asked {
    id: Option<Value>,
    outbox: Sender<String>,
    /// Whether only the clerk may still answer.
    is_claimed: bool,
    _place: Option<Place>,
    /// Dropped with it: whoever asks one thing after the other waits for that.
    _turn: Option<Sender<()>>,
}

impl Reply {
    /// Answers, unless that was done meanwhile.
    pub(crate) fn send(self, answer: Answer) {
        self.0.answer(answer);
    }

    /// From now on nobody else answers. Whether nobody has.
    pub(crate) fn claim(&self) -> bool {
        let mut asked = self.0.lock();
        let asked = asked.as_mut();
        asked.map(|asked| asked.is_claimed = true).is_some()
    }
}

#[cfg(test)]
impl Reply {
    /// A reply whose answer, as a line, comes here.
    pub(super) fn to(outbox: &Sender<String>) -> Self {
        let asked = Asked {
            id: None,
            outbox: outbox.clone(),
            is_claimed: false,
            _place: None,
            _turn: None,
        };
        Self(Waiting(Arc::new(Mutex::new(Some(asked)))))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let stopping = || {
            Answer::refused(
                "stopping",
                "no process speaks for the agent any more",
                By::Speaker,
            )
        };
        self.0.answer(stopping());
    }
}

impl Waiting {
    /// Answers in place of a clerk that has not done so. Whether it was needed. What is claimed is the clerk's to
    /// answer, unless it was only to be done.
    pub(super) fn answer_for_want_of_another(&self, even_if_claimed: bool, answer: Answer) -> bool {
        let is_claimed = self.lock().as_ref().is_none_or(|asked| asked.is_claimed);
        (even_if_claimed || !is_claimed) && self.answer(answer)
    }

    fn answer(&self, answer: Answer) -> bool {
        let asked = self.lock().take();
        let is_first = asked.is_some();
        if let Some(asked) = asked {
            // Whoever hung up meanwhile does not want it.
            let _ = asked.outbox.send(answer.into_line(asked.id));
        }
        is_first
    }

    fn lock(&self) -> MutexGuard<'_, Option<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a conversation needs.
#[derive(Clone)]
pub(super) struct Conversation {
    pub(super) connection: Connection,
    pub(super) desk: Desk,
}

/// Where what is said goes. It is the same for all connections.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) jobs: Sender<Job>,
    pub(crate) roots: Roots,
    /// Answers in time beside a log that observes; `None` where the clerk alone answers.
    pub(crate) prompt: Option<Prompt>,
}

impl Conversation {
    /// Reads until the other end hangs up.
    pub(super) fn hold(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_write_timeout(Some(WRITING))?;
        let (outbox, lines) = mpsc::channel();
        let (writes, mine) = (stream.try_clone()?, self.clone());
        let writer = std::thread::Builder::new().name("answers".to_owned());
        writer.spawn(move || mine.write(&writes, &lines))?;
        let heard = self.read(stream, &outbox);
        if heard
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
        {
            self.is_unheard();
        }
        let _ = self.desk.jobs.send(Job::Gone(self.connection));
        heard
    }

    fn read(&self, stream: &UnixStream, outbox: &Sender<String>) -> io::Result<()> {
        let asked = Places::new(MAX_ASKED);
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let count = (&mut reader)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)?;
            if count == 0 {
                return Ok(());
            }
            self.ask(line.trim_ascii(), outbox, &asked);
            if count as u64 == MAX_LINE_BYTES {
                return Ok(());
            }
        }
    }

    fn ask(&self, line: &[u8], outbox: &Sender<String>, asked: &Places) {
        let (id, request) = match read_line(line) {
            Ok((id, request)) => (id, request),
            Err(refusal) => (None, Err(refusal)),
        };
        let (turn, wait) = mpsc::channel();
        let has_id = id.is_some();
        let waiting = Waiting(Arc::new(Mutex::new(Some(Asked {
            id,
            outbox: outbox.clone(),
            is_claimed: false,
            _place: has_id.then(|| asked.take(Duration::MAX)).flatten(),
            _turn: (!has_id).then_some(turn),
        }))));
        let reply = Reply(waiting.clone());
        match request {
            Ok(Request::Session(session)) if session.cancel.is_none() && session.end.is_none() => {
                let root = self.desk.roots.pin(&session.session, session.root.as_ref());
                let root = root.as_ref().map(|root| root.as_str());
                reply.send(Answer::with(ledger::json::object([("root", root.into())])));
            }
            Ok(request) => {
                if let Some(prompt) = &self.desk.prompt {
                    prompt.asked(&request, &waiting);
                }
                // A clerk that is gone drops the reply, which says so.
                let _ = self
                    .desk
                    .jobs
                    .send(Job::Ask(Box::new(request), self.connection, reply));
            }
            Err(refusal) => {
                reply.send(Answer::refused(
                    refusal.code.as_str(),
                    &refusal.detail,
                    By::Line,
                ));
            }
        }
        drop(waiting);
        if !has_id {
            // It is dropped with the reply, by which time the answer is on its way.
            let _ = wait.recv();
        }
    }

    /// In one piece: who reads once and takes it for a line is right, as short programs do.
    fn write(&self, mut stream: &UnixStream, lines: &Receiver<String>) {
        for line in lines {
            if stream.write_all(line.as_bytes()).is_err() {
                self.is_unheard();
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    /// The other end was gone before it had read what it was answered.
    fn is_unheard(&self) {
        let _ = self.desk.jobs.send(Job::Unheard(self.connection));
    }
}

/// What a line says, and its `id` even if it says nothing that is understood.
pub(super) fn read_line(line: &[u8]) -> Result<(Option<Value>, Result<Request, Refusal>), Refusal> {
    let mut members = Members::open("", Value::parse(line)?)?;
    let id = match members.take_if_present("id") {
        None | Some(Value::Null) => None,
        Some(id @ (Value::Integer(_) | Value::Text(_))) => Some(id),
        Some(_) => return Err(Code::Malformed.because("id is neither a string nor an integer")),
    };
    Ok((id, Request::read(members)))
}

#[cfg(test)]
mod tests;
