//! Signals: which end the service, and that no other one does by itself.

use std::io;
use std::ops::RangeInclusive;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// The signals that end the service in good order: those of people and of whoever looks after a process, of a limit on its
/// time, and of a power supply that is failing.
const ENDING: [(Number, &str); 5] = [
    (Number::TERM, "SIGTERM"),
    (Number::INT, "SIGINT"),
    (Number::QUIT, "SIGQUIT"),
    (Number::XCPU, "SIGXCPU"),
    (Number::POWER, "SIGPWR"),
];

/// Those that would end it in none if nobody took them: of a terminal that goes away, of whoever rotates files, of timers
/// that nobody set. Where a file may not grow, the write fails instead.
const IGNORED: [(Number, &str); 9] = [
    (Number::HUP, "SIGHUP"),
    (Number::USR1, "SIGUSR1"),
    (Number::USR2, "SIGUSR2"),
    (Number::ALARM, "SIGALRM"),
    (Number::VTALARM, "SIGVTALRM"),
    (Number::PROF, "SIGPROF"),
    (Number::IO, "SIGIO"),
    (Number::STKFLT, "SIGSTKFLT"),
    (Number::XFSZ, "SIGXFSZ"),
];

/// The first and the last of the signals that programs give a meaning of their own.
const REAL_TIME: RangeInclusive<i32> = 34..=64;

/// The signals that the process takes.
#[derive(Debug)]
pub struct Signals(mpsc::Receiver<&'static str>);

impl Signals {
    /// Takes them, from inside of a runtime.
    ///
    /// # Errors
    /// If the system does not permit it.
    pub fn new() -> io::Result<Self> {
        let (sender, ending) = mpsc::channel(1);
        for (number, name) in ENDING {
            let mut signal = take(number.as_raw())?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    // It is sent only once.
                    let _ = sender.try_send(name);
                }
            });
        }
        for (number, name) in IGNORED {
            ignore(number.as_raw(), name)?;
        }
        for number in REAL_TIME {
            ignore(number, "a real-time signal")?;
        }
        Ok(Self(ending))
    }

    /// The next one that ends the service.
    pub async fn next(&mut self) -> &'static str {
        match self.0.recv().await {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }
}

fn take(number: i32) -> io::Result<Signal> {
    signal(SignalKind::from_raw(number))
}

fn ignore(number: i32, name: &'static str) -> io::Result<()> {
    let mut signal = take(number)?;
    tokio::spawn(async move {
        while signal.recv().await.is_some() {
            tracing::info!(signal = name, "ignored: it means nothing here");
        }
    });
    Ok(())
}
