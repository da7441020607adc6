//! Threads that read ahead.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use ledger::verify::{LikelyKeys, LinesAhead};

use super::ReadAhead;

/// How many pieces a thread may be ahead: enough to have the next one at hand, and few enough to need little memory.
const PIECES_A_THREAD: usize = 3;

/// So many threads, which start with the first leaves.
#[derive(Debug)]
pub struct Threads {
    count: NonZeroUsize,
    readers: Option<Readers>,
}

impl Threads {
    pub(super) const fn new(count: NonZeroUsize) -> Self {
        Self {
            count,
            readers: None,
        }
    }
}

impl ReadAhead for Threads {
    fn is_nobody(&self) -> bool {
        self.count.get() == 1
    }

    fn start(&mut self, keys: Option<LikelyKeys>) {
        self.readers = Some(Readers::start(self.count.get(), keys));
    }

    fn read(&mut self, lines: Vec<u8>) {
        if let Some(readers) = &mut self.readers {
            readers.read(lines);
        }
    }

    fn ready(&mut self) -> Option<LinesAhead> {
        let most = self.count.get() * PIECES_A_THREAD;
        self.readers.as_mut()?.next_if(|ahead| ahead > most)
    }

    fn next(&mut self) -> Option<LinesAhead> {
        self.readers.as_mut()?.next_if(|ahead| ahead > 0)
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
