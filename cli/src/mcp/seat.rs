//! Where somebody speaks for the agent: at its socket. If nobody does, and this process has the key, it does so itself, and
//! whoever comes later asks it.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use client::attend::{self, AttendError, End, Place};
use client::clock::LogClock;
use client::journal::JournalError;
use client::manifest::again::Directory;
use client::socket::Speaker;
use client::speaker::{Caller, with_sources};
use ledger::text::Text;

use crate::commands::acting::{self, AgentOptions};
use crate::output;
use crate::session::{Session, now_ms};

/// How long nothing may be asked before the agent says goodbye; the next call has it begin again.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// How long another process may take to begin, from its journal to its socket.
const OTHERS_BEGIN: Duration = Duration::from_secs(5);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// The socket, and what this process has to speak there itself.
pub(crate) struct Seat {
    socket: PathBuf,
    own: Option<Own>,
    taken: Mutex<Taken>,
}

/// What it takes to speak for the agent.
pub(crate) struct Own {
    pub(crate) session: Session,
    pub(crate) agent: AgentOptions,
    pub(crate) requester: Text,
}

/// Who speaks.
#[derive(Default)]
struct Taken {
    speaker: Option<Arc<Speaker>>,
    /// The thread in which this process speaks, and the end of a stream that ends it.
    post: Option<(UnixStream, JoinHandle<()>)>,
}

/// Why this process does not speak.
enum NotSpoken {
    /// Another does, or is about to.
    Another,
    Failed(String),
}

impl From<anyhow::Error> for NotSpoken {
    fn from(error: anyhow::Error) -> Self {
        let is_in_use = matches!(error.downcast_ref(), Some(JournalError::InUse { .. }));
        let is_taken = matches!(error.downcast_ref(), Some(AttendError::Taken(_)));
        match is_in_use || is_taken {
            true => Self::Another,
            false => Self::Failed(format!("{error:#}")),
        }
    }
}

impl Seat {
    /// A seat at a socket. With what is its own this process speaks there if nobody else does.
    pub(crate) fn at(socket: PathBuf, own: Option<Own>) -> Arc<Self> {
        Arc::new(Self {
            socket,
            own,
            taken: Mutex::default(),
        })
    }

    /// Whoever speaks.
    ///
    /// # Errors
    ///
    /// In words, if nobody does.
    pub(crate) fn speaker(self: &Arc<Self>) -> Result<Arc<Speaker>, String> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(speaker) = &taken.speaker {
            return Ok(Arc::clone(speaker));
        }
        let speaker = Arc::new(self.connect_or_speak(&mut taken)?);
        taken.speaker = Some(Arc::clone(&speaker));
        Ok(speaker)
    }

    fn connect_or_speak(self: &Arc<Self>, taken: &mut Taken) -> Result<Speaker, String> {
        let nobody = match self.connect() {
            Ok(speaker) => return Ok(speaker),
            Err(nobody) => nobody,
        };
        if self.own.is_none() {
            return Err(nobody);
        }
        match self.speak() {
            Ok(post) => {
                taken.post = Some(post);
                self.connect()
            }
            Err(NotSpoken::Another) => self.connect_soon(),
            Err(NotSpoken::Failed(why)) => Err(why),
        }
    }

    fn connect(&self) -> Result<Speaker, String> {
        Speaker::connect(&self.socket).map_err(|error| with_sources(&error))
    }

    /// Another process has the journal, and will have the socket as soon as it has begun.
    fn connect_soon(&self) -> Result<Speaker, String> {
        let until = Instant::now() + OTHERS_BEGIN;
        loop {
            match self.connect() {
                Err(_) if Instant::now() < until => std::thread::sleep(LOOK),
                connected => return connected,
            }
        }
    }

    /// Whoever spoke has gone: the next one who asks looks again.
    pub(crate) fn is_gone(&self, gone: &Arc<Speaker>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken
            .speaker
            .as_ref()
            .is_some_and(|speaker| Arc::ptr_eq(speaker, gone))
        {
            taken.speaker = None;
        }
    }

    /// Ends what this process speaks, with a goodbye.
    pub(crate) fn leave(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.speaker = None;
        if let Some((ends, post)) = taken.post.take() {
            drop(ends);
            // A thread that panicked has ended too.
            let _ = post.join();
        }
    }

    /// Speaks in a thread of its own. It comes back once somebody can ask there.
    fn speak(self: &Arc<Self>) -> Result<(UnixStream, JoinHandle<()>), NotSpoken> {
        let (ends, asked) = UnixStream::pair().map_err(anyhow::Error::from)?;
        let (begins, begun) = channel();
        let seat = Arc::clone(self);
        let posting = std::thread::Builder::new().name("speaker".to_owned());
        let post = posting.spawn(move || {
            if let Err(error) = seat.post(&asked, &begins) {
                // Whoever waits has the reason; nobody waits for what goes wrong later.
                let _ = begins.send(Err(error.into()));
            }
        });
        let post = post.map_err(anyhow::Error::from)?;
        match begun.recv() {
            Ok(Ok(())) => Ok((ends, post)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NotSpoken::Another),
        }
    }

    fn post(&self, asked: &UnixStream, begins: &Sender<Result<(), NotSpoken>>) -> Result<()> {
        let Some(own) = &self.own else {
            return Ok(());
        };
        let mut directory = Directory::read(own.agent.directory())?;
        own.agent.check(&directory.version().manifest)?;
        let version = directory.version().clone();
        let service = own.session.service()?;
        let answers = service.clone().within(acting::SOON);
        let agent = acting::open_version_at(&own.session, version, LogClock::default(), answers);
        let mut agent = agent?;
        let options = attend::Options {
            place: Place::At(self.socket.clone()),
            requester: own.requester.clone(),
            idle: IDLE,
            follow: Some(service),
        };
        let caller = Caller {
            now_ms: || now_ms().unwrap_or_default(),
            notice: output::complain,
        };
        let mut ready = |_: &Path| {
            let _ = begins.send(Ok(()));
            Ok(())
        };
        let end = End::Stream(asked);
        let (agent, directory) = (&mut agent, &mut directory);
        Ok(attend::attend_until(
            end, agent, directory, &options, caller, &mut ready,
        )?)
    }
}
