//! A verifier that has its lines read ahead by others, and comes to the same report.
//!
//! Whoever pushes bytes goes on judging the leaves in their order. What a leaf is by itself, and its signatures, is worked
//! out before by others, some lines at a time: by threads, or by whoever answers a message, such as a page's workers. See
//! [`ledger::verify::LinesAhead`].

mod helpers;
#[cfg(not(target_family = "wasm"))]
mod threads;

use std::fmt::Debug;
use std::mem;
#[cfg(not(target_family = "wasm"))]
use std::num::NonZeroUsize;

use ledger::codes::Refusal;
use ledger::pack::MAX_LEAF_LINE_BYTES;
use ledger::verify::{LikelyKeys, LinesAhead, Paths, Report, Verifier};

use crate::Verifying;
pub use helpers::{Helper, Helpers, Read};
#[cfg(not(target_family = "wasm"))]
pub use threads::Threads;

/// How much is read ahead in one piece: some seventy leaves, or a few milliseconds of work.
const PIECE_BYTES: usize = 64 * 1024;

/// Those who read ahead.
pub trait ReadAhead: Debug {
    /// Whether there is nobody, so that whoever pushes does everything.
    fn is_nobody(&self) -> bool;

    /// The leaves begin, behind records that bring these keys; nobody asks who signed them if there are none.
    fn start(&mut self, keys: Option<LikelyKeys>);

    /// Takes whole lines.
    fn read(&mut self, lines: Vec<u8>);

    /// The next lines, if they should be judged now.
    fn ready(&mut self) -> Option<LinesAhead>;

    /// The next lines, if there are any.
    fn next(&mut self) -> Option<LinesAhead>;
}

/// A verifier and those who read ahead for it.
#[derive(Debug)]
pub struct Crew<R> {
    verifier: Verifier,
    readers: R,
    has_started: bool,
    piece_bytes: usize,
    /// Bytes that were not handed out yet.
    held: Vec<u8>,
}

#[cfg(not(target_family = "wasm"))]
impl Crew<Threads> {
    /// With this many threads to read ahead; with 1, the caller's thread does everything.
    #[must_use]
    pub const fn new(verifier: Verifier, threads: NonZeroUsize) -> Self {
        Self::of(verifier, Threads::new(threads))
    }
}

impl Crew<Helpers> {
    /// With helpers that answer messages. As long as there are none, whoever pushes does everything.
    #[must_use]
    pub const fn with_helpers(verifier: Verifier) -> Self {
        Self::of(verifier, Helpers::new())
    }

    /// The helpers. They are to be invited before the first bytes are pushed.
    pub const fn helpers(&mut self) -> &mut Helpers {
        &mut self.readers
    }

    /// Takes what a helper found in a piece, by its number, and judges what is next. What nobody waits for is passed over.
    pub fn take_found(&mut self, number: u64, found: Vec<u8>) {
        self.readers.take_found(number, found);
        self.judge_ready();
    }
}

impl<R: ReadAhead> Crew<R> {
    const fn of(verifier: Verifier, readers: R) -> Self {
        Self {
            verifier,
            readers,
            has_started: false,
            piece_bytes: PIECE_BYTES,
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
        if !self.has_started {
            if !self.verifier.awaits_leaves() {
                return self.verifier.push(line);
            }
            self.readers.start(self.verifier.likely_keys());
            self.has_started = true;
        }
        self.held.extend_from_slice(line);
        if self.held.len() >= self.piece_bytes && self.held.ends_with(b"\n") {
            self.readers.read(mem::take(&mut self.held));
            self.judge_ready();
        } else if self.held.len() > MAX_LEAF_LINE_BYTES + self.piece_bytes {
            // No line is as long as that: the verifier says so.
            self.catch_up();
        }
    }

    fn judge_ready(&mut self) {
        while let Some(lines) = self.readers.ready() {
            self.verifier.push_ahead(lines);
        }
    }
}

impl<R: ReadAhead> Verifying for Crew<R> {
    fn push(&mut self, bytes: &[u8]) {
        if self.readers.is_nobody() {
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
        while let Some(lines) = self.readers.next() {
            self.verifier.push_ahead(lines);
        }
        if self.has_started {
            self.verifier.push(&mem::take(&mut self.held));
        }
    }

    fn finish_with_paths(mut self) -> (Report, Option<Paths>) {
        self.catch_up();
        self.verifier.finish_with_paths()
    }
}
