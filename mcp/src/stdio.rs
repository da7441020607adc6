//! The transport over streams of lines, as stdin and stdout of a server are.
//!
//! ```text
//! client in  ──▶ hear ──▶ queue ──▶ server in       a message waits for its own leave, and for those before it
//!                   └ denied ┐
//! client out ◀───────────────┴───── server out      a line is written whole, or as it comes if it is long
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::answer;
use crate::calls::Place;
use crate::heard::Heard;
use crate::lines::{self, MAX_LINE_BYTES, Piece};
use crate::proxy::{Decision, Forward, Proxy};
use crate::skim::{Skim, Skimmed};

/// The longest line of a server that is written in one piece; a longer one is passed on as it comes, in bounded memory.
const HELD_BYTES: usize = 256 * 1024;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// How many messages of the client may wait: one that sends more has to wait itself.
const MAX_WAITING: usize = 256;

/// The four streams.
pub struct Streams<I, O, S, T> {
    /// From the client.
    pub client_in: I,
    /// To the client.
    pub client_out: O,
    /// To the server. It is dropped when the client has said its last.
    pub server_in: S,
    /// From the server.
    pub server_out: T,
}

/// What is in the queue to the server.
enum Waiting {
    /// Bytes in which there is nothing to look at.
    Bytes(Vec<u8>),
    /// A message that may be forwarded.
    Ready(Heard),
    /// A message that is being decided on.
    Asked(Arc<Heard>, Receiver<Forward>),
}

type Out<O> = Arc<Mutex<O>>;

/// Relays until the server has said its last. Threads that still read from the client are left behind.
///
/// # Errors
///
/// If a thread could not be started.
pub fn relay<I, O, S, T>(proxy: &Arc<Proxy>, streams: Streams<I, O, S, T>) -> io::Result<()>
where
    I: Read + Send + 'static,
    O: Write + Send + 'static,
    S: Write + Send + 'static,
    T: Read,
{
    let out = Arc::new(Mutex::new(streams.client_out));
    let (queue, waiting) = sync_channel(MAX_WAITING);
    let ear = ClientReader {
        proxy: Arc::clone(proxy),
        out: Arc::clone(&out),
        queue,
    };
    let mut client_in = BufReader::with_capacity(READ_BYTES, streams.client_in);
    let listening = thread::Builder::new().name("client".to_owned());
    listening.spawn(move || ear.listen(&mut client_in))?;
    let (forwarder, mut server_in) = (Arc::clone(proxy), streams.server_in);
    let forwarding = thread::Builder::new().name("forward".to_owned());
    forwarding.spawn(move || forward(&forwarder, &waiting, &mut server_in))?;
    pass_on(proxy, streams.server_out, &out);
    Ok(())
}

/// What listens to the client.
struct ClientReader<O> {
    proxy: Arc<Proxy>,
    out: Out<O>,
    queue: SyncSender<Waiting>,
}

impl<O: Write + Send + 'static> ClientReader<O> {
    /// A client that cannot be read any more is one that has said its last.
    fn listen(&self, client: &mut impl BufRead) {
        while let Ok(Some(piece)) = lines::read_line(client, MAX_LINE_BYTES) {
            let sent = match piece {
                Piece::Line(line) => self.hear(line),
                Piece::TooLong(start) => self.hear_long(start, client),
            };
            if sent.is_err() {
                // The server takes nothing more; what the client says is read to its end all the same.
                while let Ok(Some(_)) = lines::read_on(client) {}
            }
        }
    }

    fn hear(&self, line: Vec<u8>) -> Result<(), Gone> {
        let heard = Heard::read(line, true);
        if !heard.has_to_be_decided() {
            return self.put(Waiting::Ready(heard));
        }
        let (decided, waits) = sync_channel(1);
        let heard = Arc::new(heard);
        let (proxy, out, asked) = (
            Arc::clone(&self.proxy),
            Arc::clone(&self.out),
            Arc::clone(&heard),
        );
        let ask = move || {
            let Decision { forward, answer } = proxy.decide(&asked, &Place::default());
            drop(asked);
            if let Some(mut answer) = answer {
                answer.push(b'\n');
                // A client that has gone wants no answer.
                let _ = write_whole(&out, &answer);
            }
            let _ = decided.send(forward);
        };
        match thread::Builder::new().name("ask".to_owned()).spawn(ask) {
            Ok(_) => self.put(Waiting::Asked(heard, waits)),
            // Without a thread nothing can be asked, so there is no permission.
            Err(_) => Ok(()),
        }
    }

    /// A line that is too long to be read before it is decided on.
    fn hear_long(&self, start: Vec<u8>, client: &mut impl BufRead) -> Result<(), Gone> {
        let passes = self.proxy.passes("a message is too long to decide on");
        if !passes {
            let text = format!("a message is longer than {MAX_LINE_BYTES} bytes");
            let mut answer = answer::refused("null", &text);
            answer.push(b'\n');
            let _ = write_whole(&self.out, &answer);
        }
        let mut pieces = passes.then_some(start);
        loop {
            if let Some(bytes) = pieces.take() {
                self.put(Waiting::Bytes(bytes))?;
            }
            let Ok(Some((bytes, is_end))) = lines::read_on(client) else {
                return Ok(());
            };
            if passes {
                self.put(Waiting::Bytes(bytes))?;
            }
            if is_end {
                return Ok(());
            }
        }
    }

    fn put(&self, waiting: Waiting) -> Result<(), Gone> {
        self.queue.send(waiting).map_err(|_| Gone)
    }
}

/// The server takes nothing more.
struct Gone;

/// Writes to the server what may be forwarded, in the order in which the client said it.
fn forward(proxy: &Proxy, waiting: &Receiver<Waiting>, server: &mut impl Write) {
    while let Ok(next) = waiting.recv() {
        let bytes = match next {
            Waiting::Bytes(bytes) => bytes,
            Waiting::Ready(heard) => {
                proxy.forwarded(&heard, &Place::default());
                heard.bytes
            }
            Waiting::Asked(heard, decided) => {
                // Whoever was to decide and has not has given no leave.
                let forward = decided.recv().unwrap_or(Forward::Nothing);
                if forward != Forward::Nothing {
                    proxy.forwarded(&heard, &Place::default());
                }
                match forward {
                    Forward::Whole => heard.bytes.clone(),
                    Forward::Rest(mut bytes) => {
                        bytes.push(b'\n');
                        bytes
                    }
                    Forward::Nothing => continue,
                }
            }
        };
        if server
            .write_all(&bytes)
            .and_then(|()| server.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Passes on what the server says, and looks at it.
fn pass_on<O: Write>(proxy: &Proxy, server: impl Read, out: &Out<O>) {
    let mut server = BufReader::with_capacity(READ_BYTES, server);
    let mut line = ServerLine {
        out,
        skim: Skim::default(),
        held: Vec::new(),
        streaming: None,
    };
    // A server that cannot be read any more is one that has said its last. The client may have gone: then nobody hears it.
    while let Ok(Some((bytes, is_end))) = lines::read_on(&mut server) {
        line.push(&bytes);
        if is_end {
            for message in line.end(proxy) {
                proxy.told(&message, &Place::default());
            }
        }
    }
    let _ = line.end(proxy);
}

/// A line of the server that is on its way.
struct ServerLine<'a, O> {
    out: &'a Out<O>,
    skim: Skim,
    held: Vec<u8>,
    /// The client's stream while a long line is on it: nothing else is written in between.
    streaming: Option<MutexGuard<'a, O>>,
}

impl<O: Write> ServerLine<'_, O> {
    fn push(&mut self, bytes: &[u8]) {
        self.skim.push(bytes);
        self.held.extend(bytes);
        if self.held.len() > HELD_BYTES || self.streaming.is_some() {
            let out = self.streaming.get_or_insert_with(|| locked(self.out));
            let _ = out.write_all(&self.held);
            self.held.clear();
        }
    }

    /// The line has ended: what it says is looked at once the client has it, but for a list of tools.
    fn end(&mut self, proxy: &Proxy) -> Vec<Skimmed> {
        let said = self.skim.finish();
        for message in &said {
            proxy.heed(message, &Place::default());
        }
        let mut out = self.streaming.take().unwrap_or_else(|| locked(self.out));
        let _ = out.write_all(&self.held).and_then(|()| out.flush());
        drop(out);
        self.held.clear();
        said
    }
}

fn write_whole<O: Write>(out: &Out<O>, bytes: &[u8]) -> io::Result<()> {
    let mut out = locked(out);
    out.write_all(bytes)?;
    out.flush()
}

fn locked<O>(out: &Out<O>) -> MutexGuard<'_, O> {
    out.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
