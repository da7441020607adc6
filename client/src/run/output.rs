//! What the program puts out: passed on, counted, and kept to be committed to.
//!
//! ```text
//! CMD ── pipe or terminal ──▶ pump, a thread ──▶ our own stdout or stderr
//!                               └──▶ digest, value, lines
//! ```
//!
//! What was read is delivered, however slow whoever takes it: a run is over when all of it is. Only the reading has an end
//! of its own once CMD has ended, because what CMD left behind may hold a pipe open for as long as it likes. What was in
//! the pipe when CMD ended is CMD's, and is read in any case.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use ledger::digest::Digest;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::RunError;
use super::message::Event;
use crate::disclosure::{MAX_VALUE_BYTES, Secret};

/// How much is read of a pipe at a time: what a pipe of Linux holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// A stream of CMD's, passed on by a thread of its own.
pub(super) struct Pump {
    name: &'static str,
    /// What it reads from, for as long as it does.
    from: Weak<OwnedFd>,
    shared: Arc<Shared>,
}

/// How far a pump has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// There may be more to read, or to be taken.
    Goes,
    /// All is taken, or whoever took it wants no more.
    Done,
    /// It cannot be written.
    Failed,
}

/// Between a pump and the run.
struct Shared {
    state: Mutex<State>,
    /// Written when CMD has ended, so that whoever waits for more looks up.
    wake: OwnedFd,
    lines: Arc<AtomicU64>,
}

struct State {
    flow: Flow,
    error: Option<io::Error>,
    hasher: Sha256,
    read: u64,
    /// All of it, as long as that is short enough to be kept.
    kept: Option<Vec<u8>>,
    end: Option<ReadingEnds>,
}

/// When a pump stops to read, if the stream does not end before.
#[derive(Clone, Copy)]
struct ReadingEnds {
    at: Instant,
    /// So much is CMD's own, and is read in any case.
    owed: u64,
}

impl Pump {
    /// Begins to pass a stream on. An event says when that is over.
    pub(super) fn start(
        name: &'static str,
        from: OwnedFd,
        to: OwnedFd,
        lines: &Arc<AtomicU64>,
        events: &Sender<Event>,
    ) -> Result<Self, RunError> {
        let failed = |source| RunError::Machine {
            what: "the program's output cannot be passed on",
            source,
        };
        rustix::io::ioctl_fionbio(&from, true).map_err(|error| failed(error.into()))?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                flow: Flow::Goes,
                error: None,
                hasher: Sha256::new(),
                read: 0,
                kept: Some(Vec::new()),
                end: None,
            }),
            wake: wake.map_err(|error| failed(error.into()))?,
            lines: Arc::clone(lines),
        });
        let from = Arc::new(from);
        let read_from = Arc::downgrade(&from);
        let (own, events) = (Arc::clone(&shared), events.clone());
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread
            .spawn(move || own.pass_on(from, &to, &events))
            .map_err(failed)?;
        Ok(Self {
            name,
            from: read_from,
            shared,
        })
    }

    /// CMD has ended: what it has written by now is read, and what follows for a while.
    pub(super) fn finish(&self, most: Duration) {
        let Some(from) = self.from.upgrade() else {
            return;
        };
        // Counted before what was read: what a pump reads in between counts twice rather than not at all. A terminal
        // does not count what it has not looked at yet.
        let waiting = rustix::io::ioctl_fionread(from).unwrap_or_default();
        let waiting = waiting.max(CHUNK_BYTES as u64);
        let mut state = self.shared.state();
        let owed = waiting.saturating_add(state.read);
        state.end.get_or_insert(ReadingEnds {
            at: Instant::now() + most,
            owed,
        });
        drop(state);
        // It is full only if it was written before.
        let _ = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes());
    }

    pub(super) fn flow(&self) -> Flow {
        self.shared.state().flow
    }

    /// Why it could not be delivered.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.shared.state().error.take()
    }

    /// What came down it, to be committed to.
    pub(super) fn secret(&self) -> Result<Secret, ledger::codes::Refusal> {
        let state = self.shared.state();
        match &state.kept {
            Some(kept) => Secret::kept(self.name, kept.clone()),
            None => {
                let digest = Digest::from_bytes(state.hasher.clone().finalize().into());
                Secret::digested(self.name, digest)
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever no longer listens to us is as good as not listening to CMD: the pipe is closed, and CMD learns of it.
    fn pass_on(&self, from: Arc<OwnedFd>, to: &OwnedFd, events: &Sender<Event>) {
        let written = self.copy(&from, to.as_fd());
        drop(from);
        let mut state = self.state();
        state.flow = match written {
            Ok(()) => Flow::Done,
            Err(Errno::PIPE) => Flow::Done,
            Err(error) => {
                state.error = Some(error.into());
                Flow::Failed
            }
        };
        drop(state);
        // A run that no longer listens is over.
        let _ = events.send(Event::Output);
    }

    fn copy(&self, from: &OwnedFd, to: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Some(count) = self.read(from, &mut chunk) {
            let bytes = &chunk[..count];
            let ends = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.lines.fetch_add(ends, Ordering::Relaxed);
            self.state().take(bytes);
            write(to, bytes)?;
        }
        Ok(())
    }

    /// The next bytes, or none if that was all.
    fn read(&self, from: &OwnedFd, chunk: &mut [u8]) -> Option<usize> {
        loop {
            let end = self.state().end_of_reading();
            if end.is_some_and(|left| left == Left::Nothing) {
                return None;
            }
            match rustix::io::read(from, &mut *chunk) {
                Ok(0) => return None,
                Ok(count) => return Some(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if end == Some(Left::WhatIsThere) => return None,
                Err(Errno::AGAIN) => self.wait(from, end),
                // A terminal says so when the last program on it is gone.
                Err(_) => return None,
            }
        }
    }

    fn wait(&self, from: &OwnedFd, end: Option<Left>) {
        let mut either = [
            PollFd::new(from, PollFlags::IN),
            PollFd::new(&self.wake, PollFlags::IN),
        ];
        let (files, span) = match end {
            Some(Left::For(span)) => (&mut either[..1], Some(timespec(span))),
            _ => (&mut either[..], None),
        };
        // Whatever it was, the next look tells.
        let _ = poll(files, span.as_ref());
    }
}

/// What there is to read once CMD has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Whatever comes in this time.
    For(Duration),
    /// What is CMD's and in the pipe.
    WhatIsThere,
    Nothing,
}

impl State {
    fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.read += bytes.len() as u64;
        self.kept = self
            .kept
            .take()
            .filter(|kept| kept.len() + bytes.len() <= MAX_VALUE_BYTES);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
    }

    fn end_of_reading(&self) -> Option<Left> {
        let ReadingEnds { at, owed } = self.end?;
        let span = at.saturating_duration_since(Instant::now());
        Some(match (span.is_zero(), self.read < owed) {
            (false, _) => Left::For(span),
            (true, true) => Left::WhatIsThere,
            (true, false) => Left::Nothing,
        })
    }
}

/// Writes all of it. A file that takes nothing just now is waited for, as one that blocks does by itself.
pub(super) fn write(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                // Whatever it was, the next write tells.
                let _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
