//! The service's own messages: lines that hold nobody up.
//!
//! ```text
//! tracing ──▶ queue, bounded ──▶ one thread ──▶ stderr
//!               └── full: the line is dropped, and counted
//! ```
//!
//! Whoever reads stderr may go away, fill up, stop reading or make the pipe non-blocking. Then lines are lost and
//! requests are not: nothing but the one thread ever waits for stderr, and an error there ends nothing.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::metrics;

/// How many lines wait for a reader that is slow: some hundred KiB.
const QUEUE_LINES: usize = 1_024;

/// How long the end of the process waits for its last lines to be read.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the queue rests before it is tried again while the process ends.
const FLUSH_PAUSE: Duration = Duration::from_millis(5);

/// The way that messages take from here on.
#[derive(Clone, Debug)]
pub struct Messages(SyncSender<Message>);

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// All lines before this one were written, or dropped.
    Flush(SyncSender<()>),
}

impl Messages {
    /// Sends what the program says about itself this way, panics included. What `RUST_LOG` says of levels wins.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(format: LogFormat) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_LINES);
        let thread = std::thread::Builder::new().name("messages".to_owned());
        thread.spawn(move || write_out(&receiver))?;
        let messages = Self(sender);
        let queue = messages.clone();
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .log_internal_errors(false)
            .with_writer(move || queue.clone());
        match format {
            LogFormat::Text => subscriber.with_ansi(io::stderr().is_terminal()).init(),
            LogFormat::Json => subscriber.json().init(),
        }
        // The usual hook writes to stderr by itself, and waits for it.
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a panic")));
        Ok(messages)
    }

    /// Says a line as it is.
    pub fn say(&self, line: &str) {
        self.queue(format!("{line}\n").into_bytes());
    }

    /// Waits until what was said is written, though not for a reader that does not read.
    pub fn flush(&self) {
        let until = Instant::now() + FLUSH_TIMEOUT;
        let (written, wait) = sync_channel(1);
        let mut flush = Message::Flush(written);
        loop {
            match self.0.try_send(flush) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < until => {
                    flush = back;
                    std::thread::sleep(FLUSH_PAUSE);
                }
                Err(_) => return,
            }
        }
        // A time-out means that nobody reads, and there is nobody to say it to.
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    /// Writes a line to stdout, behind what was said before it, and waits for no reader.
    pub fn announce(&self, line: String) {
        let messages = self.clone();
        let write = move || {
            messages.flush();
            // Whoever started the service and does not read its first line has no use for it.
            let _ = write_whole(&io::stdout(), format!("{line}\n").as_bytes());
        };
        let thread = std::thread::Builder::new().name("announcement".to_owned());
        if let Err(error) = thread.spawn(write) {
            tracing::warn!(%error, "no thread for the line on stdout");
        }
    }

    fn queue(&self, line: Vec<u8>) {
        if self.0.try_send(Message::Line(line)).is_err() {
            metrics::message_dropped();
        }
    }
}

/// A formatted line comes in one piece, and is always taken: an error here would reach whoever only wanted to say something.
impl Write for Messages {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_out(messages: &Receiver<Message>) {
    let stderr = io::stderr();
    let mut torn = false;
    for message in messages {
        match message {
            Message::Line(mut line) => {
                if torn {
                    line.insert(0, b'\n');
                }
                torn = write_whole(&stderr, &line).is_err();
                if torn {
                    metrics::message_dropped();
                }
            }
            Message::Flush(written) => drop(written.try_send(())),
        }
    }
}

/// Writes all of it, also where somebody made the file non-blocking.
fn write_whole(file: &impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for_room(file)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_room(file: &impl AsFd) -> Result<(), Errno> {
    let mut files = [PollFd::new(file, PollFlags::OUT)];
    match poll(&mut files, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}
