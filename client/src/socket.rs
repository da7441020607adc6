//! A client of the socket at which a process speaks for an agent (`dragons attend`, `dragons run`), for what acts and
//! has no key. What may be said is in docs/socket.md.
//!
//! One connection serves many threads: each line gets an `id`, and each thread waits for the answer to its own.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ledger::json::{Value, object};
use ledger::text::Name;

/// A connection to whoever speaks for an agent. It ends when this is dropped.
#[derive(Debug)]
pub struct Speaker {
    stream: UnixStream,
    writing: Mutex<()>,
    waiting: Arc<Mutex<Waiting>>,
    next_id: AtomicU64,
}

/// Who waits for an answer, by the `id` of the line; `None` once none comes any more.
type Waiting = Option<HashMap<u64, Sender<Value>>>;

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer(Value);

/// Who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The agent that it speaks for.
    pub agent: Name,
    /// The agent's epoch; 0 before its first.
    pub epoch: u64,
    /// Whether the log refuses what breaks a rule, or only observes.
    pub enforces: bool,
    /// The version of the program that speaks.
    pub version: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nobody speaks there.
    #[error("no process speaks for the agent at {path:?}")]
    NoSpeaker {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The connection has ended.
    #[error("the process that speaks for the agent hung up")]
    HungUp,
    /// No answer came in time.
    #[error("no answer came in time")]
    TimedOut,
    /// It answers something else than it was asked.
    #[error("the answer is not one that protocol 1 has")]
    NotUnderstood,
}

impl Speaker {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`SocketError::NoSpeaker`].
    pub fn connect(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::NoSpeaker {
            path: path.to_owned(),
            source,
        };
        let stream = UnixStream::connect(path).map_err(failed)?;
        let reads = stream.try_clone().map_err(failed)?;
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let told = Arc::clone(&waiting);
        let reading = std::thread::Builder::new().name("answers".to_owned());
        reading
            .spawn(move || {
                read_answers(reads, &told);
                *lock(&told) = None;
            })
            .map_err(failed)?;
        Ok(Self {
            stream,
            writing: Mutex::new(()),
            waiting,
            next_id: AtomicU64::new(1),
        })
    }

    /// Says a line, such as `{"intent":{"scope":"read:a"}}`, and waits for its answer until the deadline. Its `id` is
    /// given here.
    ///
    /// # Errors
    ///
    /// [`SocketError::HungUp`], [`SocketError::TimedOut`]: nobody knows then what became of what was said.
    pub fn ask(&self, line: Value, deadline: Instant) -> Result<Answer, SocketError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = mpsc::channel();
        match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.insert(id, answered),
            None => return Err(SocketError::HungUp),
        };
        let mut said = object([("id", id.into())]);
        said.merge(line);
        self.write(&said)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = answer.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => SocketError::TimedOut,
            RecvTimeoutError::Disconnected => SocketError::HungUp,
        });
        if let Some(waiting) = &mut *lock(&self.waiting) {
            waiting.remove(&id);
        }
        answer.map(Answer)
    }

    /// Asks who is there.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and [`SocketError::NotUnderstood`].
    pub fn hello(&self, deadline: Instant) -> Result<Hello, SocketError> {
        let line = object([("hello", object([("protocol", 1_u64.into())]))]);
        let answer = self.ask(line, deadline)?;
        let hello = || {
            Some(Hello {
                agent: answer.text("agent")?.parse().ok()?,
                epoch: answer.integer("epoch")?,
                enforces: answer.text("mode")? == "enforce",
                version: answer.text("version")?.to_owned(),
            })
        };
        hello().ok_or(SocketError::NotUnderstood)
    }

    fn write(&self, line: &Value) -> Result<(), SocketError> {
        let _turn = lock(&self.writing);
        let line = format!("{}\n", line.to_json());
        let written = (&self.stream).write_all(line.as_bytes());
        written.map_err(|_| SocketError::HungUp)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // The thread that reads ends with it. One that has hung up is gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Answer {
    /// Whether it is done.
    pub fn is_done(&self) -> bool {
        self.member("ok") == Some(&Value::Bool(true))
    }

    /// Whether the log has decided that it is not to be done. If it is neither done nor denied, nobody has decided.
    pub fn is_denied(&self) -> bool {
        !self.is_done() && self.text("by") == Some("log")
    }

    /// Why it is not done: the code, and a sentence.
    pub fn why(&self) -> String {
        let part = |name| self.text(name).unwrap_or_default();
        format!("{}: {}", part("code"), part("detail"))
    }

    /// A member that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.member(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A member that is an integer.
    pub fn integer(&self, name: &str) -> Option<u64> {
        match self.member(name) {
            Some(Value::Integer(integer)) => Some(*integer),
            _ => None,
        }
    }

    /// The whole answer.
    pub const fn value(&self) -> &Value {
        &self.0
    }

    fn member(&self, name: &str) -> Option<&Value> {
        let Value::Object(members) = &self.0 else {
            return None;
        };
        let named = members.iter().find(|(member, _)| member == name);
        named.map(|(_, value)| value)
    }
}

fn read_answers(stream: UnixStream, waiting: &Mutex<Waiting>) {
    for line in BufReader::new(stream).split(b'\n') {
        let Some(answer) = line.ok().and_then(|line| Value::parse(&line).ok()) else {
            return;
        };
        let Some(id) = Answer(answer.clone()).integer("id") else {
            // It is not about a line, so it is about the connection: there is no place for it.
            return;
        };
        let asked = lock(waiting)
            .as_mut()
            .and_then(|waiting| waiting.remove(&id));
        if let Some(asked) = asked {
            // Whoever asked may have given up meanwhile.
            let _ = asked.send(answer);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn progress(n: u64) -> Value {
        object([("progress", n.into())])
    }

    #[test]
    fn answers_come_to_whoever_asked_in_whatever_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        assert!(matches!(
            Speaker::connect(&path),
            Err(SocketError::NoSpeaker { .. })
        ));
        let listener = UnixListener::bind(&path).unwrap();
        let speaks = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked: Vec<Value> = lines
                .take(2)
                .map(|line| Value::parse(line.unwrap().as_bytes()).unwrap())
                .collect();
            for line in asked.iter().rev() {
                let mut answer = object([("ok", true.into())]);
                answer.merge(line.clone());
                writeln!(stream, "{}", answer.to_json()).unwrap();
            }
        });
        let speaker = Speaker::connect(&path).unwrap();
        std::thread::scope(|scope| {
            for n in [1, 2] {
                let speaker = &speaker;
                scope.spawn(move || {
                    let answer = speaker.ask(progress(n), soon()).unwrap();
                    assert!(answer.is_done());
                    assert_eq!(answer.integer("progress"), Some(n));
                });
            }
        });
        speaks.join().unwrap();
        let after = speaker.ask(progress(3), soon());
        assert!(matches!(after, Err(SocketError::HungUp)), "{after:?}");
    }
}
