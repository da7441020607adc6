//! A verifier that has its lines read ahead by other threads, and comes to the same report.
//!
//! Whoever pushes bytes goes on judging the leaves in their order. What a leaf is by itself, and its signatures, is worked
//! out before by the threads of the crew, some lines at a time. See [`ledger::verify::LinesAhead`].

use std::collections::VecDeque;
use std::mem;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use ledger::codes::Refusal;
use ledger::pack::MAX_LEAF_LINE_BYTES;
use ledger::verify::{LikelyKeys, LinesAhead, Paths, Report, Verifier};

use crate::Verifying;

/// How much is read ahead in one piece: some seventy leaves, or a few milliseconds of work.
const PIECE_BYTES: usize = 64 * 1024;

/// How many pieces a thread may be ahead: enough to have the next one at hand, and few enough to need little memory.
const PIECES_A_THREAD: usize = 3;

/// A verifier and the threads that read ahead for it.
#[derive(Debug)]
pub struct Crew {
    verifier: Verifier,
    threads: usize,
    piece_bytes: usize,
    /// None for as long as nothing was read ahead, and for a single thread.
    readers: Option<Readers>,
    /// Bytes that were not handed out yet.
    held: Vec<u8>,
}

impl Crew {
    /// With this many threads to read ahead; with 1, the caller's thread does everything.
    #[must_use]
    pub fn new(verifier: Verifier, threads: NonZeroUsize) -> Self {
        Self {
            verifier,
            threads: threads.get(),
            piece_bytes: PIECE_BYTES,
            readers: None,
            held: Vec::new(),
        }
    }

    /// Reads ahead in pieces of about so many bytes. Without it they have the length that pays.
    #[must_use]
    pub const fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.piece_bytes = bytes;
        self
    }

    /// The report.
    #[must_use]
    pub fn finish(self) -> Report {
        self.finish_with_paths().0
    }

    /// Leaves are read ahead; what stands before them is read at once.
    fn take(&mut self, line: &[u8]) {
        if self.readers.is_none() {
            if !self.verifier.awaits_leaves() {
                return self.verifier.push(line);
            }
            let keys = self.verifier.likely_keys();
            self.readers = Some(Readers::start(self.threads, keys));
        }
        self.held.extend_from_slice(line);
        if self.held.len() >= self.piece_bytes && self.held.ends_with(b"\n") {
            self.hand_out();
        } else if self.held.len() > MAX_LEAF_LINE_BYTES + self.piece_bytes {
            // No line is as long as that: the verifier says so.
            self.catch_up();
        }
    }

    fn hand_out(&mut self) {
        let Some(readers) = &mut self.readers else {
            return;
        };
        readers.read(mem::take(&mut self.held));
        while let Some(lines) = readers.next_if(|ahead| ahead > self.threads * PIECES_A_THREAD) {
            self.verifier.push_ahead(lines);
        }
    }
}

impl Verifying for Crew {
    fn push(&mut self, bytes: &[u8]) {
        if self.threads == 1 {
            return self.verifier.push(bytes);
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.verifier.is_settled() {
                break;
            }
            self.take(line);
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.catch_up();
        self.verifier.refuse(refusal);
    }

    fn is_settled(&self) -> bool {
        self.verifier.is_settled()
    }

    fn catch_up(&mut self) {
        let Some(readers) = &mut self.readers else {
            return;
        };
        while let Some(lines) = readers.next_if(|ahead| ahead > 0) {
            self.verifier.push_ahead(lines);
        }
        self.verifier.push(&mem::take(&mut self.held));
    }

    fn finish_with_paths(mut self) -> (Report, Option<Paths>) {
        self.catch_up();
        self.verifier.finish_with_paths()
    }
}

/// Lines to be read, and where they are to go.
type Task = (Vec<u8>, Sender<LinesAhead>);

/// The threads. They end once nothing more can come.
#[derive(Debug)]
struct Readers {
    tasks: Option<Sender<Task>>,
    /// What was handed out, in the order of the file.
    ahead: VecDeque<Receiver<LinesAhead>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    fn start(threads: usize, keys: Option<LikelyKeys>) -> Self {
        let (sender, tasks) = channel::<Task>();
        let tasks = Arc::new(Mutex::new(tasks));
        let keys = keys.map(|keys| Arc::new(RwLock::new(keys)));
        let start = |_| {
            let (tasks, keys) = (Arc::clone(&tasks), keys.clone());
            std::thread::spawn(move || work(&tasks, keys.as_deref()))
        };
        Self {
            tasks: Some(sender),
            ahead: VecDeque::new(),
            threads: (0..threads).map(start).collect(),
        }
    }

    fn read(&mut self, lines: Vec<u8>) {
        let (sender, receiver) = channel();
        let tasks = self.tasks.as_ref().expect("they are there until the end");
        let sent = tasks.send((lines, sender));
        sent.expect("no thread ends before nothing more can come");
        self.ahead.push_back(receiver);
    }

    /// The next lines, if that many were handed out and have not come back.
    fn next_if(&mut self, wanted: impl FnOnce(usize) -> bool) -> Option<LinesAhead> {
        if !wanted(self.ahead.len()) {
            return None;
        }
        let next = self.ahead.pop_front()?.recv();
        Some(next.expect("a thread ends only once its lines are read"))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn work(tasks: &Mutex<Receiver<Task>>, keys: Option<&RwLock<LikelyKeys>>) {
    loop {
        let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((bytes, done)) = task else {
            return;
        };
        let mut lines = LinesAhead::read(bytes);
        if let Some(keys) = keys {
            check(&mut lines, keys);
        }
        // Nobody waits for what comes behind a line that cannot be read.
        let _ = done.send(lines);
    }
}

fn check(lines: &mut LinesAhead, keys: &RwLock<LikelyKeys>) {
    if lines.bring_keys() {
        let mut keys = keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.take(lines);
    }
    let read = || keys.read().unwrap_or_else(PoisonError::into_inner);
    let logs = read().logs().to_vec();
    lines.check(&|id| read().key(id), &logs);
}
