//! Signals to this process: held back, read one after another, and passed on once.
//!
//! Nothing is handled here and nothing ignored: all signals are blocked and read from a file, so whatever this process
//! was started with is what CMD begins with. The file tells who has sent one: what the kernel sends to the group in the
//! foreground of a terminal has reached CMD already where CMD is in that group.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use process::{Held, Inherited};
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGURG, SIGWINCH};

use super::RunError;
use super::message::Event;

/// The signals of this process, and the queue in which they and all other events of a run arrive.
pub struct Signals {
    events: (Sender<Event>, Receiver<Event>),
    /// Whether somebody listens to the queue.
    are_heard: Arc<AtomicBool>,
    /// Whether one has asked for the end.
    asked: Arc<AtomicBool>,
}

impl Signals {
    /// Holds all signals of this process back. It is called while there is one thread, for each further one holds back
    /// what its maker does. Until a run listens they do what they do by default.
    ///
    /// # Errors
    ///
    /// If the system does not let it.
    pub fn hold() -> Result<Self, RunError> {
        let failed = |what| move |source| RunError::Machine { what, source };
        // CMD gets back what was.
        process::keep_children();
        let held = Held::all().map_err(failed("signals cannot be held back"))?;
        let (events, are_heard) = (mpsc::channel(), Arc::new(AtomicBool::new(false)));
        let (sender, heard) = (events.0.clone(), Arc::clone(&are_heard));
        let asked = Arc::new(AtomicBool::new(false));
        let ask = Arc::clone(&asked);
        let reader = std::thread::Builder::new().name("signals".to_owned());
        let reader = reader.spawn(move || read(&held, &sender, &heard, &ask));
        reader.map_err(failed("there is no thread for signals"))?;
        Ok(Self {
            events,
            are_heard,
            asked,
        })
    }

    /// Becomes true when a signal asks for the end: what waits for something else need not wait any longer.
    pub fn asked_to_end(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// The queue, to which somebody listens from now on.
    pub(super) fn listen(self) -> (Sender<Event>, Receiver<Event>) {
        self.are_heard.store(true, Ordering::Release);
        self.events
    }
}

fn read(held: &Held, events: &Sender<Event>, are_heard: &AtomicBool, asked: &AtomicBool) {
    while let Ok(sent) = held.read() {
        if is_end(sent.number) {
            asked.store(true, Ordering::Relaxed);
        }
        let event = match sent.number {
            SIGCHLD => Event::Children,
            _ => Event::Signal(sent),
        };
        match are_heard.load(Ordering::Acquire) {
            true if events.send(event).is_err() => return,
            true => {}
            false => do_by_default(sent.number),
        }
    }
}

/// Nobody listens yet, so nothing has to be said or ended first.
fn do_by_default(number: i32) {
    let changes_nothing = [SIGCHLD, SIGCONT, SIGURG, SIGWINCH].contains(&number);
    if !changes_nothing && !Inherited::before_main().ignores(number) {
        // One that has no name here is of real time, and ends a process too.
        if signal_hook::low_level::emulate_default_handler(number).is_err() {
            signal_hook::low_level::exit(128 + number);
        }
    }
}

/// Whether a signal asks for the end: not one that this process was told to ignore.
pub(super) fn is_end(number: i32) -> bool {
    matches!(number, SIGTERM | SIGINT | SIGQUIT | SIGHUP)
        && !Inherited::before_main().ignores(number)
}
