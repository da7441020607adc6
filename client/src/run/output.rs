//! What the program puts out: passed on, counted, and kept to be committed to.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger::digest::Digest;
use sha2::{Digest as _, Sha256};

use crate::disclosure::{MAX_VALUE_BYTES, Secret};

/// How much is read of a pipe at a time: what a pipe of Linux holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// A stream of CMD's, passed on.
pub(super) struct Stream {
    name: &'static str,
    seen: Arc<Mutex<Seen>>,
    /// Nothing ever comes this way; it is closed when the stream is.
    end: Receiver<()>,
}

/// What has come down a stream.
#[derive(Default)]
struct Seen {
    hasher: Sha256,
    /// All of it, as long as that is short enough to be kept.
    kept: Option<Vec<u8>>,
}

impl Stream {
    pub(super) fn copy(
        name: &'static str,
        from: Option<impl Read + Send + 'static>,
        to: impl Write + Send + 'static,
        lines: &Arc<AtomicU64>,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            kept: Some(Vec::new()),
            ..Seen::default()
        }));
        let (own, lines) = (Arc::clone(&seen), Arc::clone(lines));
        let (open, end) = mpsc::channel();
        std::thread::spawn(move || {
            if let Some(from) = from {
                copy(from, to, &own, &lines);
            }
            drop(open);
        });
        Self { name, seen, end }
    }

    /// Waits for the end of the stream, but not for ever: what CMD has left behind may hold it open.
    pub(super) fn wait(&self, most: Duration) {
        // Closed and still open after that time are both as good.
        let _ = self.end.recv_timeout(most);
    }

    /// What came down it, to be committed to.
    pub(super) fn secret(&self) -> Result<Secret, ledger::codes::Refusal> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &seen.kept {
            Some(kept) => Secret::kept(self.name, kept.clone()),
            None => {
                let digest = Digest::from_bytes(seen.hasher.clone().finalize().into());
                Secret::digested(self.name, digest)
            }
        }
    }
}

/// Whoever no longer listens to us is as good as not listening to CMD: the pipe is closed, and CMD learns of it.
fn copy(mut from: impl Read, mut to: impl Write, seen: &Mutex<Seen>, lines: &AtomicU64) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let bytes = &chunk[..count];
        let ends = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        lines.fetch_add(ends, Ordering::Relaxed);
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(bytes);
        if to.write_all(bytes).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.kept = self
            .kept
            .take()
            .filter(|kept| kept.len() + bytes.len() <= MAX_VALUE_BYTES);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
    }
}
